# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state in a bucket, or its destination: reads and writes of a move, which never overwrite anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import LockClient
from .._core.model import Call, CallFailed, Failure, Response
from .._locks.locking import UNMET, read_locks
from .._locks.stores import Place
from .._repair import digest_item
from .._terraform.state_parser import BEGINNING, may_begin_state

TAG = "cornerstone.tfstate:moved-to"
#: The maximum for an object. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
MOST_TAGS = 10
#: The encryption parameters of PutObject and HeadObject.
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")


@dataclass(frozen=True)
class StoredState:
    """A state in a bucket, or its destination. `encryption` goes with every upload."""

    aws: LockClient
    place: Place
    encryption: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"s3://{self.place.bucket}/{self.place.path}"

    @property
    def is_set_aside(self) -> bool:
        return False

    @property
    def stores(self) -> int:
        """How many locks a state has."""
        return 2 if self.place.table else 1

    def body(self) -> bytes | None:
        """None if there is none, or an empty one, as for clients. For an object that is not a state, its beginning."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return take

        def take(piece: bytes) -> None:
            body.extend(piece)
            if not may_begin_state(body[:BEGINNING]):  # the object may be a log of many GB
                raise _Enough

        try:
            answer = self.aws.stream(Call("s3", "get_object", self._object()), begin)
        except _Enough:
            return bytes(body)
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
            raise CallFailed(answer)
        return bytes(body) or None

    def create(self, body: bytes) -> None:
        """Writes it if there is none. If there is one, the caller finds it when it reads next."""
        content = {"Body": body, "ContentType": "application/json", "ChecksumAlgorithm": "SHA256"}
        content |= {"IfNoneMatch": "*", **self.encryption}
        _unless_met(lambda: self.aws.write(Call("s3", "put_object", {**self._object(), **content})))

    def lock_place(self) -> Place:
        """The place of a lock with the encryption of the state: a policy may demand it of every upload."""
        head = self._known(Call("s3", "head_object", self._object()))
        return replace(self.place, encryption={name: head[name] for name in ENCRYPTION if name in head})

    def digest(self) -> str | None:
        """The digest in the table; None if there is none, or one that clients ignore."""
        return self._digest().text if self.place.table else None

    def is_in_use(self) -> bool:
        """Whether a digest or a lock says that this is a state."""
        has_digest = bool(self.place.table) and self._digest().exists
        return has_digest or bool(read_locks(self.aws, self.place))

    def create_digest(self, digest: str) -> None:
        """Writes a digest unless there is a valid one, which the caller finds when it reads next."""
        seen = self._digest()
        if seen.text is None:
            digest_item.put_digest(self.aws, self.place, seen, digest)

    def _digest(self) -> digest_item.DigestItem:
        return digest_item.digest_of(self.aws, self.place)

    def mark(self) -> str | None:
        """Where the state was moved to; None if it was not."""
        return self.tags().get(TAG)

    def put_mark(self, mark: str) -> None:
        tags = [{"Key": name, "Value": value} for name, value in {**self.tags(), TAG: mark}.items()]
        self.aws.write(Call("s3", "put_object_tagging", {**self._object(), "Tagging": {"TagSet": tags}}))

    def tags(self) -> dict[str, str]:
        """The tags of the object; empty if there is none."""
        tags = self._known(Call("s3", "get_object_tagging", self._object())).get("TagSet", [])
        return {tag["Key"]: tag["Value"] for tag in tags}

    def _known(self, call: Call) -> Response:
        """The answer of S3; empty if there is no object."""
        answer = self.aws.read([call])[0]
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
            raise CallFailed(answer)
        return {} if isinstance(answer, Failure) else answer

    def _object(self) -> dict[str, str]:
        owner = {"ExpectedBucketOwner": self.place.owner} if self.place.owner else {}
        return {"Bucket": self.place.bucket, "Key": self.place.path, **owner}


class _Enough(Exception):
    """The bytes read so far show that the object is not a state."""


def mark_of(target: StoredState) -> str:
    """The destination, in characters that a tag can have."""
    hashed = hashlib.sha256(target.place.path.encode()).hexdigest()
    return target.url if _TAG_VALUE.fullmatch(target.url) else f"s3://{target.place.bucket}/sha256:{hashed}"


def digest_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _unless_met(write: Callable[[], object]) -> None:
    """Ignores a condition that does not hold: the caller reads what is there next."""
    try:
        write()
    except CallFailed as refused:
        if refused.failure.code not in UNMET | {"ConditionalRequestConflict"}:
            raise

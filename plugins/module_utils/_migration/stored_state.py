# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state in a bucket, or the place for one: what is read and written of it when it moves, never over anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .._aws.protocols import LockClient
from .._core.model import Call, CallFailed, Failure, Response
from .._locks.locking import UNMET
from .._locks.stores import ABSENT, Place
from .._repair import digest_item

TAG = "cornerstone.tfstate:moved-to"
#: An object has no more. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
MOST_TAGS = 10
BEGINNING = 64
#: What an upload can say of its encryption, and S3 of an object.
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")


@dataclass(frozen=True)
class StoredState:
    """A state in a bucket, or the place for one. `encryption` is what an upload says of it."""

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
        """How many locks it has."""
        return 2 if self.place.table else 1

    def body(self) -> bytes | None:
        """None where there is none; an empty one is none to the clients either. Of what is no state, its beginning."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return take

        def take(piece: bytes) -> None:
            body.extend(piece)
            if is_foreign(body[:BEGINNING]):  # it may be a log of many GB
                raise _Enough

        try:
            answer = self.aws.stream(Call("s3", "get_object", self._object()), begin)
        except _Enough:
            return bytes(body)
        if isinstance(answer, Failure) and answer.code not in ABSENT:
            raise CallFailed(answer)
        return bytes(body) or None

    def create(self, body: bytes) -> None:
        """Writes it where there is none. If there is one, by somebody else or by us, the next look tells."""
        content = {"Body": body, "ContentType": "application/json", "ChecksumAlgorithm": "SHA256"}
        content |= {"IfNoneMatch": "*", **self.encryption}
        _unless_met(lambda: self.aws.write(Call("s3", "put_object", {**self._object(), **content})))

    def lock_place(self) -> Place:
        """For a lock that says of its encryption what the state's client said: a policy may demand it of any upload."""
        said = self._known(Call("s3", "head_object", self._object()))
        return replace(self.place, encryption={name: said[name] for name in ENCRYPTION if name in said})

    def digest(self) -> str | None:
        """As the table has it; None: it has none, or one that clients would not heed."""
        return self._digest().text if self.place.table else None

    def create_digest(self, digest: str) -> None:
        """Never over one that clients heed: what is there is read next, and judged by what it is."""
        seen = self._digest()
        if seen.text is None:
            digest_item.put_digest(self.aws, self.place, seen, digest)

    def _digest(self) -> digest_item.DigestItem:
        return digest_item.digest_of(self.aws, self.place)

    def mark(self) -> str | None:
        """Where it was moved to, if it was."""
        return self.tags().get(TAG)

    def put_mark(self, mark: str) -> None:
        tags = [{"Key": name, "Value": value} for name, value in {**self.tags(), TAG: mark}.items()]
        self.aws.write(Call("s3", "put_object_tagging", {**self._object(), "Tagging": {"TagSet": tags}}))

    def tags(self) -> dict[str, str]:
        """Those of the object; none where there is none."""
        tags = self._known(Call("s3", "get_object_tagging", self._object())).get("TagSet", [])
        return {tag["Key"]: tag["Value"] for tag in tags}

    def _known(self, call: Call) -> Response:
        """What S3 says of it; nothing where there is none."""
        answer = self.aws.read([call])[0]
        if isinstance(answer, Failure) and answer.code not in ABSENT:
            raise CallFailed(answer)
        return {} if isinstance(answer, Failure) else answer

    def _object(self) -> dict[str, str]:
        owner = {"ExpectedBucketOwner": self.place.owner} if self.place.owner else {}
        return {"Bucket": self.place.bucket, "Key": self.place.path, **owner}


class _Enough(Exception):
    """What was read of an object tells what it is."""


def is_foreign(body: bytes | bytearray) -> bool:
    """Whether these bytes begin no state."""
    return not body.lstrip().startswith(b"{")


def mark_of(target: StoredState) -> str:
    """The destination in the characters that a tag may have."""
    hashed = hashlib.sha256(target.place.path.encode()).hexdigest()
    return target.url if _TAG_VALUE.fullmatch(target.url) else f"s3://{target.place.bucket}/sha256:{hashed}"


def digest_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _unless_met(write: Callable[[], object]) -> None:
    """That a condition does not hold is no error here: what is there is read next, and judged by what it is."""
    try:
        write()
    except CallFailed as refused:
        if refused.failure.code not in UNMET | {"ConditionalRequestConflict"}:
            raise

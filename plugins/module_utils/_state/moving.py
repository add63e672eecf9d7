# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state from where it lies to where it shall lie: the same bytes, under the locks of both sides, never over another.

Every step can be the last one of a killed run. The locks bear an id that follows from source and destination, so that
the next run knows them for its own; the state comes before its digest, as clients write them; the mark comes last, and
says that all before it is done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from .._core import Answer, Call, CallFailed, Failure, TfstateError
from .._guard import Refused
from .._lock_record import LockInfo, digest_id, lock_id, uuid_of
from .document import Document, Unreadable, document_of
from .locking import ABSENT, UNMET, Lock, Place, Taken, look, release, take

#: What a move may still have to do to a state.
MOVE, FINISH, NOTHING = "move", "finish", "none"
TAG = "cornerstone.tfstate:moved-to"
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")
_DIGEST = re.compile(r"[0-9a-f]{32}")


#: Waits once more for a lock that somebody else holds, or says that it was long enough.
Patience: TypeAlias = Callable[[int], bool]


class World(Protocol):
    """As much of AWS as moving needs."""

    warnings: list[str]

    def read(self, calls: Sequence[Call]) -> list[Answer]: ...
    def write(self, call: Call) -> None: ...
    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer: ...
    def pause(self, attempt: int) -> None: ...


class Source(Protocol):
    """Where a state comes from."""

    @property
    def url(self) -> str: ...
    def body(self) -> bytes | None: ...
    def digest(self) -> str | None: ...
    def mark(self) -> str | None: ...


@dataclass(frozen=True)
class Stored:
    """A state in a bucket, or the place for one. `encryption` is what an upload says of it."""

    world: World
    place: Place
    encryption: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"s3://{self.place.bucket}/{self.place.path}"

    @property
    def stores(self) -> int:
        """How many locks it has."""
        return 2 if self.place.table else 1

    def body(self) -> bytes | None:
        """None where there is none; an empty one is none to the clients either."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return body.extend

        answer = self.world.stream(Call("s3", "get_object", self._object()), begin)
        if isinstance(answer, Failure) and answer.code not in ABSENT:
            raise CallFailed(answer)
        return bytes(body) or None

    def create(self, body: bytes) -> None:
        """Writes it where there is none. That somebody else did, or we did and never heard of it, tells the next look."""
        content = {"Body": body, "ContentType": "application/json", "IfNoneMatch": "*", **self.encryption}
        _unless_met(lambda: self.world.write(Call("s3", "put_object", {**self._object(), **content})))

    def digest(self) -> str | None:
        """As the table has it; None: it has none, or one that clients would not heed."""
        if not self.place.table:
            return None
        asked = {"Key": self._digest_key(), "ProjectionExpression": "LockID, Digest", "ConsistentRead": True}
        answer = _given(self.world, Call("dynamodb", "get_item", {"TableName": self.place.table, **asked}))
        digest = str(answer.get("Item", {}).get("Digest", {}).get("S", "")).lower()
        return digest if _DIGEST.fullmatch(digest) else None

    def create_digest(self, digest: str) -> None:
        item = {**self._digest_key(), "Digest": {"S": digest}}
        asked = {"TableName": self.place.table, "Item": item, "ConditionExpression": "attribute_not_exists(Digest)"}
        _unless_met(lambda: self.world.write(Call("dynamodb", "put_item", asked)))

    def mark(self) -> str | None:
        """Where it was moved to, if it was."""
        return self._tags().get(TAG)

    def put_mark(self, mark: str) -> None:
        tags = [{"Key": name, "Value": value} for name, value in {**self._tags(), TAG: mark}.items()]
        self.world.write(Call("s3", "put_object_tagging", {**self._object(), "Tagging": {"TagSet": tags}}))

    def _tags(self) -> dict[str, str]:
        (answer,) = self.world.read([Call("s3", "get_object_tagging", self._object())])
        if isinstance(answer, Failure) and answer.code in ABSENT:
            return {}
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", [])}

    def _object(self) -> dict[str, str]:
        owner = {"ExpectedBucketOwner": self.place.owner} if self.place.owner else {}
        return {"Bucket": self.place.bucket, "Key": self.place.path, **owner}

    def _digest_key(self) -> dict[str, Any]:
        return {"LockID": {"S": digest_id(self.place.bucket, self.place.path)}}


def mark_of(target: Stored) -> str:
    """The destination in the characters that a tag may have."""
    hashed = hashlib.sha256(target.place.path.encode()).hexdigest()
    return target.url if _TAG_VALUE.fullmatch(target.url) else f"s3://{target.place.bucket}/sha256:{hashed}"


@dataclass(frozen=True)
class Seen:
    """Both sides as they are: bodies, digests of the tables, and the mark of the source."""

    body: bytes | None
    there: bytes | None
    digest: str | None
    digest_there: str | None
    mark: str | None
    mark_there: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What is left to do about a state, and which one it is."""

    action: str
    document: Document
    size: int


def seen(source: Source, target: Stored) -> Seen:
    return Seen(source.body(), target.body(), source.digest(), target.digest(), source.mark(), target.mark())


def judged(seen: Seen, source: str, target: Stored) -> Verdict:
    """What is left to do. Raises Refused where there could be something to lose."""
    wanted, url = mark_of(target), target.url
    if seen.mark not in (None, wanted):
        raise Refused(f"{source} was moved to {seen.mark} before: move it on from there")
    if seen.body is None:
        raise Refused(f"{source} holds no state")
    document = document_of(seen.body)
    if isinstance(document, Unreadable):
        raise Refused(f"{source} is no state that could be moved: {document.reason}")
    if seen.mark and seen.there is None:
        raise Refused(f"{source} was moved to {url} before, and is not there any more: restore it there")
    if seen.mark:
        return Verdict(NOTHING, document, len(seen.body))
    digest = digest_of(seen.body)
    if seen.digest not in (None, digest):
        raise Refused(f"{source} is not what the digest in its lock table says: repair that first")
    if seen.mark_there:
        raise Refused(f"{url} was itself moved to {seen.mark_there}: remove its tag {TAG} if it shall be used again")
    if seen.there not in (None, seen.body):
        raise Refused(f"{url} holds {_said(seen.there)} and {source} {_said(seen.body)}: nothing is overwritten")
    if seen.digest_there not in (None, digest):
        raise Refused(f"the lock table has the digest of another state for {url}: restore that state, or repair this")
    return Verdict(MOVE if seen.there is None else FINISH, document, len(seen.body))


def _said(body: bytes | None) -> str:
    document = document_of(body or b"")
    if isinstance(document, Unreadable):
        return "what is no state"
    return f"lineage {document.lineage}, serial {document.serial}"


def digest_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Move:
    """A state on its way. `info` is what its locks say, but for id and path. The lock of the source can stay, as a fence."""

    source: Source
    target: Stored
    info: LockInfo
    keeps_lock: bool = False

    @property
    def lock_name(self) -> str:
        """The id that all locks of this move bear, whoever carries it out."""
        return uuid_of(hashlib.sha256(f"{self.source.url} -> {self.target.url}".encode()).digest()[:16])

    def foresee(self) -> Verdict:
        """What carrying it out would do."""
        verdict = judged(seen(self.source, self.target), self.source.url, self.target)
        return verdict if verdict.action != NOTHING or self._is_at_rest() else replace(verdict, action=FINISH)

    def _is_at_rest(self) -> bool:
        """Whether our locks are as a finished move leaves them."""
        return all(
            len(self._ours(look(side.world, side.place))) == (side.stores if self._stays(side) else 0)
            for side in self._sides()
        )

    def _ours(self, locks: Sequence[Lock]) -> list[Lock]:
        return [lock for lock in locks if lock.id == self.lock_name]

    def _sides(self) -> list[Stored]:
        """Those that are locked in AWS, in the order in which every move locks them; local states are locked before."""
        stored = [side for side in (self.source, self.target) if isinstance(side, Stored)]
        return sorted(stored, key=lambda side: side.url)

    def _stays(self, side: Stored) -> bool:
        return self.keeps_lock and side is self.source

    def carry_out(self, patience: Patience) -> Verdict:
        """Moves the state. `patience` waits once more for a lock, or says that it was long enough."""
        begun: list[Verdict] = []
        with ExitStack() as locks:
            for side in self._sides():
                locks.enter_context(self._held(side, begun, patience))
            now = seen(self.source, self.target)
            begun.append(judged(now, self.source.url, self.target))
            if begun[0].action != NOTHING and now.body:
                self._write(now, now.body)
        return begun[0]

    def _write(self, now: Seen, body: bytes) -> None:
        digest = digest_of(body)
        if now.there is None:
            self.target.create(body)
        if now.digest_there is None and self.target.place.table:
            self.target.create_digest(digest)
        if self.target.body() != body or (self.target.place.table and self.target.digest() != digest):
            raise TfstateError(f"{self.target.url} reads back other than it was written: somebody else writes there")
        if isinstance(self.source, Stored):
            self.source.put_mark(mark_of(self.target))

    @contextmanager
    def _held(self, side: Stored, begun: list[Verdict], patience: Patience) -> Iterator[None]:
        """The locks of one side. That of the source stays once there may be a copy, however the rest of it ends."""
        info = replace(self.info, id=self.lock_name, path=lock_id(side.place.bucket, side.place.path))
        locks = _taken(side, info, patience)
        try:
            yield
        except BaseException:
            side.world.warnings.extend(() if begun and self._stays(side) else self._released(side, locks))
            raise
        problems = () if self._stays(side) else self._released(side, locks)
        if problems:
            raise TfstateError("; ".join(problems))

    def _released(self, side: Stored, locks: Sequence[Lock]) -> Sequence[str]:
        return release(side.world, side.place, self._ours(locks)).problems


def _taken(side: Stored, info: LockInfo, patience: Patience) -> tuple[Lock, ...]:
    attempt = 0
    while True:
        try:
            return take(side.world, side.place, info)
        except Taken:
            if not patience(attempt):
                raise
            attempt += 1


def _given(world: World, call: Call) -> Any:
    (answer,) = world.read([call])
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer


def _unless_met(write: Callable[[], None]) -> None:
    """That a condition does not hold is no error here: what is there is read next, and judged by what it is."""
    try:
        write()
    except CallFailed as refused:
        if refused.failure.code not in UNMET | {"ConditionalRequestConflict"}:
            raise

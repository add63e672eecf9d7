# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks of a state as the clients take and release them, in both stores, but released only as they were seen.

The file comes first, then the table, as in clients that take both. Nothing here waits for a lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeAlias

from .._core import Answer, Call, CallFailed, Failure, TfstateError
from .._lock_record import LockInfo, Wedged, lock_file, lock_id, marshal, parsed

#: The condition did not hold, or what it was about is gone.
UNMET = {"ConditionalCheckFailedException", "PreconditionFailed", "412", "NoSuchKey", "404"}
ABSENT = {"NoSuchKey", "404"}
#: Stores other than AWS that know no conditional delete.
UNCONDITIONAL = {"NotImplemented", "XNotImplemented", "UnsupportedArgument", "501"}
#: Between a refused write and the look at who holds the lock it may have been released; then it is tried again.
TRIES = 3


class World(Protocol):
    """As much of AWS as locks need."""

    warnings: list[str]

    def read(self, calls: Sequence[Call]) -> list[Answer]: ...
    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer: ...
    def write(self, call: Call) -> None: ...


@dataclass(frozen=True)
class Place:
    """The state that is locked. Without a table there is only the lock file."""

    bucket: str
    path: str
    table: str | None = None
    #: The account that must own the bucket.
    owner: str | None = None


@dataclass(frozen=True)
class Lock:
    """A lock as it was seen in one store."""

    store: str
    path: str
    record: LockInfo | Wedged
    #: What a client would parse; None where there is nothing that it could.
    text: str | None
    #: What its release depends on: the file's ETag, or the item's `Info` as DynamoDB gives it (None: it has none).
    condition: Any
    #: A wedged item does not say when it was written.
    since: datetime | None

    @property
    def id(self) -> str:
        """That of its record. A wedged lock has none, and goes by a digest of what was seen."""
        if isinstance(self.record, LockInfo):
            return self.record.id
        seen = json.dumps([self.store, self.condition], sort_keys=True, default=str)
        return f"seen-{hashlib.sha256(seen.encode()).hexdigest()[:32]}"


class Taken(TfstateError):
    """Somebody else holds the lock."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(f"somebody else holds the lock of {lock.path} ({lock.store}: {lock.id})")
        self.lock = lock


class ChangedHands(TfstateError):
    """Between look and release the lock went to somebody else; it was left alone."""

    def __init__(self, seen: Lock, now: Lock) -> None:
        super().__init__(
            f"the lock {seen.id} of {seen.path} ({seen.store}) changed hands: it is {now.id} now, and was left alone"
        )


@dataclass(frozen=True)
class Released:
    done: tuple[Lock, ...]
    #: A sentence for each lock that was not released.
    problems: tuple[str, ...]


class _File:
    NAME: ClassVar[str] = "file"

    def __init__(self, place: Place) -> None:
        self._path = place.path
        owner = {"ExpectedBucketOwner": place.owner} if place.owner else {}
        self._object = {"Bucket": place.bucket, "Key": lock_file(place.path), **owner}

    def look(self, world: World) -> Lock | None:
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return body.extend

        answer = world.stream(Call("s3", "get_object", self._object), begin)
        if isinstance(answer, Failure) and answer.code in ABSENT:
            return None
        return lock_of_file(self._path, _known(answer), bytes(body))

    def take(self, text: str) -> Call:
        content = {"Body": text.encode(), "ContentType": "application/json", "ChecksumAlgorithm": "SHA256"}
        return Call("s3", "put_object", {**self._object, **content, "IfNoneMatch": "*"})

    def release(self, lock: Lock) -> Call:
        return Call("s3", "delete_object", {**self._object, "IfMatch": lock.condition})

    def release_whatever(self) -> Call:
        return Call("s3", "delete_object", self._object)


class _Item:
    NAME: ClassVar[str] = "table"

    def __init__(self, place: Place) -> None:
        self._path = place.path
        self._key = {"LockID": {"S": lock_id(place.bucket, place.path)}}
        self._item = {"TableName": place.table, "Key": self._key}

    def look(self, world: World) -> Lock | None:
        asked = {"ProjectionExpression": "LockID, Info, Digest", "ConsistentRead": True}
        (answer,) = world.read([Call("dynamodb", "get_item", {**self._item, **asked})])
        return lock_of_item(self._path, _known(answer).get("Item", {}))

    def take(self, text: str) -> Call:
        item = {**self._key, "Info": {"S": text}}
        return Call(
            "dynamodb",
            "put_item",
            {
                "TableName": self._item["TableName"],
                "Item": item,
                "ConditionExpression": "attribute_not_exists(LockID)",
            },
        )

    def release(self, lock: Lock) -> Call:
        if lock.condition is None:
            bare = "attribute_exists(LockID) AND attribute_not_exists(Info) AND attribute_not_exists(Digest)"
            return Call("dynamodb", "delete_item", {**self._item, "ConditionExpression": bare})
        seen = {"ConditionExpression": "Info = :seen", "ExpressionAttributeValues": {":seen": lock.condition}}
        return Call("dynamodb", "delete_item", {**self._item, **seen})


_Store: TypeAlias = "_File | _Item"


def lock_of_file(path: str, answer: Mapping[str, Any], body: bytes) -> Lock:
    """The lock that a lock file is, from the answer to GetObject and what it held."""
    text = body.decode("utf-8", "replace")
    return Lock(_File.NAME, path, parsed(text), text, answer["ETag"], answer.get("LastModified"))


def lock_of_item(path: str, item: Mapping[str, Any]) -> Lock | None:
    """The lock that a table's item is; None if it is none, such as the digest of a state with nearly that name."""
    if not item or ("Digest" in item and "Info" not in item):
        return None
    info = item.get("Info")
    text = info.get("S") if info else None
    record = parsed(text)
    return Lock(_Item.NAME, path, record, text, info, record.since if isinstance(record, LockInfo) else None)


def look(world: World, place: Place) -> tuple[Lock, ...]:
    """The locks that are held. Raises CallFailed where that cannot be known."""
    return tuple(lock for lock in [store.look(world) for store in _stores(place)] if lock)


def take(world: World, place: Place, info: LockInfo, have: Sequence[Lock] = ()) -> tuple[Lock, ...]:
    """Takes every lock but those that we have already, or none. Raises Taken, or what made it fail."""
    missing = [store for store in _stores(place) if store.NAME not in {lock.store for lock in have}]
    tried: list[_Store] = []
    try:
        for store in missing:
            tried.append(store)
            _take(world, store, info)
        return _ours(look(world, place), place, info.id)
    except BaseException as cause:
        kept = _give_back(world, tried, info.id)
        if kept and isinstance(cause, TfstateError):
            raise TfstateError(f"{cause}; and the lock {info.id} may still be held: {'; '.join(kept)}") from cause
        raise


def release(world: World, place: Place, locks: Sequence[Lock]) -> Released:
    """Releases each of these locks if it is still the one that was seen, whatever becomes of the others."""
    done, problems = [], []
    for lock in locks:
        try:
            _release(world, next(store for store in _stores(place) if lock.store == store.NAME), lock)
            done.append(lock)
        except TfstateError as error:
            problems.append(str(error))
    return Released(tuple(done), tuple(problems))


def foreseen(place: Place, info: LockInfo) -> tuple[Lock, ...]:
    """The locks that `take` would take."""
    text = marshal(info)
    return tuple(Lock(store.NAME, place.path, info, text, None, info.since) for store in _stores(place))


@contextmanager
def held(world: World, place: Place, info: LockInfo) -> Iterator[tuple[Lock, ...]]:
    """Every lock of a state is held inside. Raises at the end if somebody else holds one of them then."""
    locks = take(world, place, info)
    try:
        yield locks
    except BaseException:
        world.warnings.extend(release(world, place, locks).problems)
        raise
    problems = release(world, place, locks).problems
    if problems:
        raise TfstateError("; ".join(problems))


def _stores(place: Place) -> list[_Store]:
    return [_File(place), *([_Item(place)] if place.table else [])]


def _known(answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer


def _take(world: World, store: _Store, info: LockInfo) -> None:
    for _unused in range(TRIES):
        try:
            return world.write(store.take(marshal(info)))
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            failure = refused.failure
        holder = store.look(world)
        if holder and holder.id == info.id:  # it is ours: the reply to our own write was lost
            return None
        if holder:
            raise Taken(holder)
    raise CallFailed(failure)


def _ours(locks: tuple[Lock, ...], place: Place, ours: str) -> tuple[Lock, ...]:
    """Who can force our lock away may have done so by now; what is theirs must never be released as ours."""
    for lock in locks:
        if lock.id != ours:
            raise Taken(lock)
    if len(locks) < len(_stores(place)):
        raise TfstateError(f"the lock {ours} of {place.path} was released by somebody else as soon as it was taken")
    return locks


def _give_back(world: World, stores: Sequence[_Store], ours: str) -> list[str]:
    """Releases what we took, also where no reply said that we had; what went wrong."""
    problems = []
    for store in stores:
        try:
            lock = store.look(world)
            if lock and lock.id == ours:
                _release(world, store, lock)
        except TfstateError as error:
            problems.append(str(error))
    return problems


def _release(world: World, store: _Store, lock: Lock) -> None:
    try:
        return world.write(store.release(lock))
    except CallFailed as refused:
        code = refused.failure.code
        if code not in UNMET | (UNCONDITIONAL if isinstance(store, _File) else set()):
            raise
    now = store.look(world)
    if now is None:  # released by its holder, or by us and the reply was lost
        return None
    if code in UNMET or now != lock or not isinstance(store, _File):
        raise ChangedHands(lock, now)
    world.write(store.release_whatever())
    world.warnings.append(
        f"the store of {lock.path} knows no conditional delete ({code}): its lock file was read once more and then "
        "deleted; if somebody took the lock in between, it was theirs"
    )
    return None

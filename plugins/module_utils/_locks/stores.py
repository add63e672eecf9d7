# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two stores of locks, as calls: the lock file beside the state, and the item in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import LockClient
from .._core.model import Answer, Call, CallFailed, Failure, Response
from .._terraform.protocol import IS_STATE, LockInfo, Wedged, lock_file, lock_id, parsed, seen_id
from .._terraform.scope import Scope
from .._terraform.state_document import is_state

#: The bytes of a lock file that are read: no record is longer.
LONGEST_RECORD = 65536


@dataclass(frozen=True)
class Place:
    """The state to lock. Without a table, only by its lock file."""

    bucket: str
    path: str
    table: str | None = None
    #: The account that must own the bucket.
    owner: str | None = None
    #: The encryption parameters of uploads, which a policy may demand.
    encryption: Mapping[str, str] = field(default_factory=dict)
    #: Whether the bucket exists, so that there can be a lock file.
    has_bucket: bool = True


def place_in(scope: Scope, path: str) -> Place:
    return Place(scope.bucket.name, path, scope.table, scope.bucket.owner, scope.encryption)


@dataclass(frozen=True)
class Lock:
    """A lock as it was read in one store."""

    store: str
    path: str
    record: LockInfo | Wedged
    #: The text that a client would parse; None if there is none.
    text: str | None
    #: The condition of its release: the ETag of the file, or the `Info` of the item as DynamoDB returns it.
    condition: Any
    #: None for an unreadable item.
    since: datetime | None

    @property
    def id(self) -> str:
        """The id in its record. For an unreadable lock, the ETag or a hash of the item."""
        if isinstance(self.record, LockInfo):
            return self.record.id
        if self.store == FileStore.NAME:
            return str(self.condition).strip('"')
        return seen_id(self.condition)


class FileStore:
    NAME: ClassVar[str] = "file"

    def __init__(self, place: Place) -> None:
        self._path, self._encryption = place.path, place.encryption
        owner = {"ExpectedBucketOwner": place.owner} if place.owner else {}
        self._object = {"Bucket": place.bucket, "Key": lock_file(place.path), **owner}

    def read_lock(self, aws: LockClient) -> Lock | None:
        found = self.read(aws)
        return lock_of_file(self._path, *found) if found else None

    def read(self, aws: LockClient) -> tuple[Response, bytes] | None:
        """The answer to GetObject and the body; None if there is no such object."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return lambda piece: body.extend(piece[: LONGEST_RECORD - len(body)])

        answer = aws.stream(Call("s3", "get_object", self._object), begin)
        if isinstance(answer, Failure) and answer.code in NO_SUCH_OBJECT:
            return None
        return _known(answer), bytes(body)

    def take(self, text: str) -> Call:
        return self._put(text, {"IfNoneMatch": "*"})

    def take_over(self, lock: Lock, text: str) -> Call:
        return self._put(text, {"IfMatch": lock.condition})

    def _put(self, text: str, condition: Mapping[str, str]) -> Call:
        content = {"Body": text.encode(), "ContentType": "application/json", "ChecksumAlgorithm": "SHA256"}
        content |= self._encryption
        return Call("s3", "put_object", {**self._object, **content, **condition})

    def release(self, lock: Lock) -> Call:
        return Call("s3", "delete_object", {**self._object, "IfMatch": lock.condition})

    def release_unconditionally(self) -> Call:
        return Call("s3", "delete_object", self._object)


class TableStore:
    NAME: ClassVar[str] = "table"

    def __init__(self, place: Place) -> None:
        self._path = place.path
        self._key = {"LockID": {"S": lock_id(place.bucket, place.path)}}
        self._item = {"TableName": place.table, "Key": self._key}

    def read_lock(self, aws: LockClient) -> Lock | None:
        asked = {"ProjectionExpression": "LockID, Info, Digest", "ConsistentRead": True}
        (answer,) = aws.read([Call("dynamodb", "get_item", {**self._item, **asked})])
        return lock_of_item(self._path, _known(answer).get("Item", {}))

    def take(self, text: str) -> Call:
        return self._put(text, {"ConditionExpression": "attribute_not_exists(LockID)"})

    def take_over(self, lock: Lock, text: str) -> Call:
        return self._put(text, _as_seen(lock))

    def _put(self, text: str, condition: Mapping[str, Any]) -> Call:
        item = {**self._key, "Info": {"S": text}}
        return Call("dynamodb", "put_item", {"TableName": self._item["TableName"], "Item": item, **condition})

    def release(self, lock: Lock) -> Call:
        if lock.condition is None:
            bare = "attribute_exists(LockID) AND attribute_not_exists(Info) AND attribute_not_exists(Digest)"
            return Call("dynamodb", "delete_item", {**self._item, "ConditionExpression": bare})
        return Call("dynamodb", "delete_item", {**self._item, **_as_seen(lock)})


Store: TypeAlias = "FileStore | TableStore"


def _as_seen(lock: Lock) -> dict[str, Any]:
    return {"ConditionExpression": "Info = :seen", "ExpressionAttributeValues": {":seen": lock.condition}}


def lock_of_file(path: str, answer: Mapping[str, Any], body: bytes) -> Lock:
    """The lock in a lock file, from the answer to GetObject and its body."""
    text = body.decode("utf-8", "replace")
    return Lock(FileStore.NAME, path, record_in(body), text, answer["ETag"], answer.get("LastModified"))


def record_in(body: bytes) -> LockInfo | Wedged:
    """The record in a lock file. LONGEST_RECORD bytes of it are enough."""
    return IS_STATE if is_state(body) else parsed(body.decode("utf-8", "replace"))


def lock_of_item(path: str, item: Mapping[str, Any]) -> Lock | None:
    """The lock in an item of the table; None if it is not one, as the digest of a state of a similar name."""
    if not item or ("Digest" in item and "Info" not in item):
        return None
    info = item.get("Info")
    text = info.get("S") if info else None
    record = parsed(text)
    return Lock(TableStore.NAME, path, record, text, info, record.since if isinstance(record, LockInfo) else None)


def stores(place: Place) -> list[Store]:
    return [*([FileStore(place)] if place.has_bucket else []), *([TableStore(place)] if place.table else [])]


def _known(answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer

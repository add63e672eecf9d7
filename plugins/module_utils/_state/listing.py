# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies in a bucket and in a lock table, page by page: only what is in scope is kept of a page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from .._aws.clock import clock
from .._aws.protocols import BackendReader
from .._core.model import Call, Failure, Response
from .._core.periods import USAGE_DAYS
from .._terraform.protocol import lock_file, put_requests, split_id
from .._terraform.scope import LEASE, SUFFIX, Scope
from .._terraform.state_document import is_state

#: Of ListObjectVersions, with a thousand versions each: lock files leave two behind with every run of a client.
MOST_PAGES = 500

#: Writes are counted for so long: clients leave a version of the lock file, or of the state, with every run.
LATELY = timedelta(days=USAGE_DAYS)

#: Terraform and OpenTofu write lineage and serial into the first bytes of a state.
HEAD_BYTES = 65536
#: At the end of the LockID of a digest.
MARK = "-md5"

#: The attributes of locks and digests.
_PROJECTION = "LockID, Info, Digest"

T = TypeVar("T")


@dataclass(frozen=True)
class Object:
    """An object as a listing tells of it."""

    path: str
    size: int
    last_modified: datetime
    storage_class: str | None = None


@dataclass
class Objects:
    """The objects in scope. `now` is the time on the clock of AWS."""

    now: datetime
    states: dict[str, Object] = field(default_factory=dict)
    #: By the path of the state that they lock.
    lock_files: dict[str, Object] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    version_id: str
    last_modified: datetime
    size: int
    is_latest: bool
    is_delete_marker: bool
    storage_class: str | None = None


@dataclass
class Usage:
    """What all versions are together, those of lock files too, and how many were written lately."""

    current_bytes: int = 0
    noncurrent_bytes: int = 0
    version_count: int = 0
    state_writes: int = 0
    lock_writes: int = 0
    #: The PUT requests of these writes of states, and how many states were written in parts.
    state_puts: int = 0
    multipart_writes: int = 0

    def count(self, key: str, version: Version, now: datetime, is_state: bool) -> None:
        self.version_count += 1
        if version.is_latest:
            self.current_bytes += version.size
        else:
            self.noncurrent_bytes += version.size
        if not version.is_delete_marker and now - version.last_modified < LATELY:
            self.lock_writes += key.endswith(SUFFIX)
            if is_state and not key.endswith(SUFFIX):
                puts = put_requests(version.size)
                self.state_writes += 1
                self.state_puts += puts
                self.multipart_writes += puts > 1


@dataclass
class Versions:
    """By path, the newest first, and how many there are."""

    newest: dict[str, list[Version]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    #: Of everything that was listed.
    usage: Usage = field(default_factory=Usage)
    #: Where reading stopped because there were too many: nothing is known from this path on.
    stopped_at: str | None = None


@dataclass(frozen=True)
class TableItem:
    """An item of the lock table: a lock, or a digest, whose `path` is then that of its state."""

    path: str
    info: str | None
    digest: str | None
    #: The `Info` of a lock as DynamoDB gives it, which may be no text.
    attribute: Response | None = None

    @property
    def is_digest(self) -> bool:
        return self.digest is not None


def objects(aws: BackendReader, scope: Scope) -> Objects | Failure:
    found = Objects(datetime.now(timezone.utc))
    for prefix in scope.prefixes():
        for page in aws.pages(Call("s3", "list_objects_v2", {**scope.bucket.bucket, "Prefix": prefix})):
            if isinstance(page, Failure):
                return page
            found.now = clock(page)
            for each in page.get("Contents", []):
                path = each["Key"].removesuffix(SUFFIX)
                is_folder = path.endswith("/") and each["Size"] == 0  # which the console makes
                if path != LEASE and not is_folder and (scope.takes(path) or scope.takes(each["Key"])):
                    place = found.lock_files if each["Key"] != path else found.states
                    place[path] = Object(path, each["Size"], each["LastModified"], each.get("StorageClass"))
    _sort_out(aws, scope, found)
    return found


def _sort_out(aws: BackendReader, scope: Scope, found: Objects) -> None:
    """A state may bear the name of a lock file: without a state beside it, what it holds tells.

    A lock file that cannot be read is kept as one, which is the safe assumption.
    """
    alone = [path for path in found.lock_files if path not in found.states]
    answers = aws.together([partial(_is_state, aws, scope, path) for path in alone]) if alone else []
    for path, is_one in zip(alone, answers, strict=True):
        if is_one:
            each = found.lock_files.pop(path)
            key = lock_file(path)
            found.states |= {key: replace(each, path=key)} if scope.takes(key) else {}
        elif not scope.takes(path):
            del found.lock_files[path]


def _is_state(aws: BackendReader, scope: Scope, path: str) -> bool:
    """Of a lock file."""
    heads: list[bytearray] = []

    def begin() -> Callable[[bytes], object]:
        heads[:] = [bytearray()]
        return lambda piece: heads[0].extend(piece[: HEAD_BYTES - len(heads[0])])

    answer = aws.stream(Call("s3", "get_object", {**scope.bucket.bucket, "Key": lock_file(path)}), begin)
    return not isinstance(answer, Failure) and is_state(bytes(heads[0]))


def versions(
    aws: BackendReader, scope: Scope, most: int, states: Collection[str] = (), others: Collection[str] = ()
) -> Versions | Failure:
    """The newest `most` of each state. `states`, `others`: what is known for one, or for none, whatever its name."""
    found = Versions()
    pages = 0
    for prefix in scope.prefixes():
        for page in aws.pages(Call("s3", "list_object_versions", {**scope.bucket.bucket, "Prefix": prefix})):
            if isinstance(page, Failure):
                return page
            now = clock(page)
            for key, version in _versions_on(page):
                found.usage.count(key, version, now, is_state=key not in others)
                is_lock_file = key.endswith(SUFFIX) and key not in states
                if not is_lock_file and not key.endswith("/") and scope.takes(key):
                    found.counts[key] = found.counts.get(key, 0) + 1
                    kept = found.newest.setdefault(key, [])
                    if len(kept) < most:
                        kept.append(version)
            pages += 1
            if pages == MOST_PAGES and page.get("IsTruncated"):
                found.stopped_at = page["NextKeyMarker"]
                return found
    return found


def versions_of(aws: BackendReader, scope: Scope, path: str, most: int) -> list[Version] | Failure:
    """The newest versions of one path."""
    (page,) = aws.read([Call("s3", "list_object_versions", {**scope.bucket.bucket, "Prefix": path, "MaxKeys": most})])
    if isinstance(page, Failure):
        return page
    return [version for key, version in _versions_on(page) if key == path]


def every_version_of(aws: BackendReader, scope: Scope, path: str) -> list[Version] | Failure:
    """The versions of one path, the newest first."""
    found: list[Version] = []
    for page in aws.pages(Call("s3", "list_object_versions", {**scope.bucket.bucket, "Prefix": path})):
        if isinstance(page, Failure):
            return page
        on_page = _versions_on(page)
        found += [version for key, version in on_page if key == path]
        if any(key != path for key, _unused in on_page):  # its lock file, which comes after it
            break
    return found


def versions_under(aws: BackendReader, scope: Scope, prefix: str) -> list[tuple[str, Version]] | Failure:
    """All versions with such keys, with their keys."""
    found: list[tuple[str, Version]] = []
    for page in aws.pages(Call("s3", "list_object_versions", {**scope.bucket.bucket, "Prefix": prefix})):
        if isinstance(page, Failure):
            return page
        found += _versions_on(page)
    return found


def _versions_on(page: Response) -> list[tuple[str, Version]]:
    marked = [(each, False) for each in page.get("Versions", [])]
    marked += [(each, True) for each in page.get("DeleteMarkers", [])]
    found = [(each["Key"], _version(each, is_marker)) for each, is_marker in marked]
    # Seconds are all the time that S3 tells; of versions of the same second, the latest one is known.
    return sorted(found, key=lambda each: (each[0], not each[1].is_latest, -each[1].last_modified.timestamp()))


def _version(answer: Any, is_marker: bool) -> Version:
    return Version(
        answer["VersionId"],
        answer["LastModified"],
        answer.get("Size", 0),
        bool(answer["IsLatest"]),
        is_marker,
        answer.get("StorageClass"),
    )


def items(
    aws: BackendReader,
    scope: Scope,
    table: str,
    on_page: Callable[[list[Response]], object] | None = None,
    more: str = "",
) -> list[TableItem] | Failure:
    """What the table holds about states in scope, read so as to see what was written last.

    `on_page` gets the items of a page, of all buckets, with the attribute `more`.
    """
    asked: dict[str, Any] = {"TableName": table, "ConsistentRead": True, "ProjectionExpression": _PROJECTION}
    if more and more not in _PROJECTION.split(", "):  # the name may be a reserved word
        asked |= {"ProjectionExpression": f"{_PROJECTION}, #more", "ExpressionAttributeNames": {"#more": more}}
    found: list[TableItem] = []
    for page in aws.pages(Call("dynamodb", "scan", asked)):
        if isinstance(page, Failure):
            return page
        if on_page:
            on_page(page.get("Items", []))
        read = (item_of(each) for each in page.get("Items", []))
        found += [item for bucket, item in read if bucket == scope.bucket.name and scope.takes(item.path)]
    return found


def item_call(scope: Scope, item_id: str) -> Call:
    """Reads one item of the table; `item_of` tells what it is."""
    asked = {"TableName": scope.table, "Key": {"LockID": {"S": item_id}}, "ConsistentRead": True}
    return Call("dynamodb", "get_item", {**asked, "ProjectionExpression": "LockID, Info, Digest"})


def item_of(answer: Response) -> tuple[str, TableItem]:
    """Bucket and item. An item is what its attributes say: the lock of `x-md5` bears the name of the digest of `x`."""
    bucket, path = split_id(_attribute(answer, "LockID") or "")
    if path.endswith(MARK) and ("Digest" in answer or "Info" not in answer):
        return bucket, TableItem(path.removesuffix(MARK), None, _attribute(answer, "Digest") or "")
    # Without Info it wedges, whatever else it says.
    return bucket, TableItem(path, _attribute(answer, "Info"), None, answer.get("Info"))


def _attribute(answer: Response, name: str) -> str | None:
    value: str | None = answer.get(name, {}).get("S")
    return value

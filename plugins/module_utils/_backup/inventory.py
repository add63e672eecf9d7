# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists a bucket and its table: every version, every delete marker, every item."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from .._aws.protocols import BackendReader, ResourceClient
from .._core.model import Answer, Call, CallFailed, Failure, Resource, Target
from .._engine.location import locate_resource
from .._engine.observer import caller
from .._state.listing import TableItem, item_of
from .._terraform.protocol import LockInfo, lock_file
from .._terraform.scope import LEASE
from .manifest import Listed, RawItem, oldest_first


def locate(aws: ResourceClient, resource: Resource, target: Target) -> tuple[Target, bool]:
    """The bucket or table with its account, and whether it exists. Raises TfstateError if it is in another region."""
    known, exists = locate_resource(aws, resource, target)
    if known.account:
        return replace(known, account_id=known.account), exists
    who = caller(aws, target)
    return replace(known, account_id=None if who is None or isinstance(who, Failure) else who["Account"]), exists


def versions(aws: BackendReader, bucket: Target) -> list[Listed]:
    """All versions except those of a lease, oldest first for each key."""
    return versions_on(aws.pages(Call("s3", "list_object_versions", bucket.bucket)))


def versions_of_lease(aws: BackendReader, bucket: Target) -> list[Listed]:
    """All versions of the lease: one for each renewal."""
    pages = aws.pages(Call("s3", "list_object_versions", {**bucket.bucket, "Prefix": lock_file(LEASE)}))
    return versions_on(pages, lock_file(LEASE), excluded=())


def versions_of(aws: BackendReader, bucket: Target, key: str) -> list[Listed]:
    """The versions of one key. A listing is sorted by key, so they come before those of longer keys."""
    pages = aws.pages(Call("s3", "list_object_versions", {**bucket.bucket, "Prefix": key}))
    return [each for each in versions_on(pages, key) if each.key == key]


def versions_on(
    pages: Iterable[Answer], key: str | None = None, excluded: Collection[str] = (lock_file(LEASE),)
) -> list[Listed]:
    """The versions in pages of a listing, oldest first. `key`: stops at the page on which other keys begin."""
    bodies: list[Listed] = []
    markers: list[Listed] = []
    for page in pages:
        if isinstance(page, Failure):
            raise CallFailed(page)
        bodies += [_listed(each, False) for each in page.get("Versions", []) if each["Key"] not in excluded]
        markers += [_listed(each, True) for each in page.get("DeleteMarkers", []) if each["Key"] not in excluded]
        if key is not None and any(each.key != key for each in (*bodies, *markers)):
            break
    return oldest_first(bodies, markers)


def _listed(listed: Any, is_marker: bool) -> Listed:
    moment: datetime = listed["LastModified"]
    etag = listed.get("ETag")
    return Listed(
        listed["Key"],
        listed["VersionId"],
        moment.astimezone(timezone.utc).isoformat(timespec="milliseconds"),
        etag.strip('"') if etag else None,
        listed.get("Size", 0),
        bool(listed["IsLatest"]),
        is_marker,
        listed.get("StorageClass"),
    )


def items(aws: BackendReader, table: str) -> list[RawItem]:
    """The whole items, by a consistent read."""
    found: list[RawItem] = []
    for page in aws.pages(Call("dynamodb", "scan", {"TableName": table, "ConsistentRead": True})):
        if isinstance(page, Failure):
            raise CallFailed(page)
        found += page.get("Items", [])
    return sorted(found, key=lambda item: str(name_of(item)))


def of_bucket(items: Sequence[RawItem], bucket: str) -> list[TableItem]:
    read = [item_of(each) for each in items]
    return [item for name, item in read if name == bucket]


def raw_items_of(items: Iterable[RawItem], bucket: str) -> list[RawItem]:
    return [each for each in items if item_of(each)[0] == bucket]


def name_of(item: RawItem) -> str | None:
    name: str | None = item.get("LockID", {}).get("S")
    return name


def id_of(record: object) -> str | None:
    """The lock id in a record; None if no client could read the record."""
    return record.id if isinstance(record, LockInfo) else None

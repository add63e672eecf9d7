# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that there is in a bucket and its table: every version, every marker, every item."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from .._aws.protocols import BackendReader, ResourceClient
from .._core.model import Answer, Call, CallFailed, Failure, Resource, Target
from .._engine.location import found
from .._engine.observer import caller
from .._state.listing import Item, item_of
from .._terraform.protocol import LockInfo, lock_file
from .._terraform.scope import LEASE
from .manifest import Listed, RawItem, oldest_first


def locate(aws: ResourceClient, resource: Resource, target: Target) -> tuple[Target, bool]:
    """The bucket or table with its account, and whether it exists. Raises TfstateError if it is elsewhere."""
    known, exists = found(aws, resource, target)
    if known.account:
        return replace(known, account_id=known.account), exists
    who = caller(aws, target)
    return replace(known, account_id=None if who is None or isinstance(who, Failure) else who["Account"]), exists


def versions(aws: BackendReader, bucket: Target) -> list[Listed]:
    """Those of each key, the oldest first, but for those of a lease."""
    return versions_on(aws.pages(Call("s3", "list_object_versions", bucket.bucket)))


def versions_of_lease(aws: BackendReader, bucket: Target) -> list[Listed]:
    """Of each renewal of it."""
    pages = aws.pages(Call("s3", "list_object_versions", {**bucket.bucket, "Prefix": lock_file(LEASE)}))
    return versions_on(pages, lock_file(LEASE), leaves_out=())


def versions_of(aws: BackendReader, bucket: Target, key: str) -> list[Listed]:
    """A listing goes by key, and this one comes before all that begin with it."""
    pages = aws.pages(Call("s3", "list_object_versions", {**bucket.bucket, "Prefix": key}))
    return [each for each in versions_on(pages, key) if each.key == key]


def versions_on(
    pages: Iterable[Answer], key: str | None = None, leaves_out: Collection[str] = (lock_file(LEASE),)
) -> list[Listed]:
    """What pages of a listing tell, the oldest first. `key`: no further than the page on which others begin."""
    bodies: list[Listed] = []
    markers: list[Listed] = []
    for page in pages:
        if isinstance(page, Failure):
            raise CallFailed(page)
        bodies += [_listed(each, False) for each in page.get("Versions", []) if each["Key"] not in leaves_out]
        markers += [_listed(each, True) for each in page.get("DeleteMarkers", []) if each["Key"] not in leaves_out]
        if key is not None and any(each.key != key for each in (*bodies, *markers)):
            break
    return oldest_first(bodies, markers)


def _listed(told: Any, is_marker: bool) -> Listed:
    moment: datetime = told["LastModified"]
    etag = told.get("ETag")
    return Listed(
        told["Key"],
        told["VersionId"],
        moment.astimezone(timezone.utc).isoformat(timespec="milliseconds"),
        etag.strip('"') if etag else None,
        told.get("Size", 0),
        bool(told["IsLatest"]),
        is_marker,
    )


def items(aws: BackendReader, table: str) -> list[RawItem]:
    """Whole, and read so as to see what was written last."""
    found: list[RawItem] = []
    for page in aws.pages(Call("dynamodb", "scan", {"TableName": table, "ConsistentRead": True})):
        if isinstance(page, Failure):
            raise CallFailed(page)
        found += page.get("Items", [])
    return sorted(found, key=lambda item: str(name_of(item)))


def of_bucket(items: Sequence[RawItem], bucket: str) -> list[Item]:
    read = [item_of(each) for each in items]
    return [item for name, item in read if name == bucket]


def about(items: Iterable[RawItem], bucket: str) -> list[RawItem]:
    return [each for each in items if item_of(each)[0] == bucket]


def name_of(item: RawItem) -> str | None:
    name: str | None = item.get("LockID", {}).get("S")
    return name


def id_of(record: object) -> str | None:
    """Of a lock, by its record; None where no client could read one."""
    return record.id if isinstance(record, LockInfo) else None

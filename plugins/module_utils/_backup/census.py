# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that there is in a bucket and its table: every version, every marker, every item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Protocol

from .._aws_errors import DENIED
from .._core import Call, CallFailed, Failure, Resource, Target
from .._lock_record import LockInfo
from .._observe import IDENTITY, World
from .._state.listing import Backend, Item, item_of
from .._whereabouts import found
from .manifest import Listed, RawItem, oldest_first


class Keeper(World, Backend, Protocol):
    """What is needed of AWS."""

    def renew(self) -> None: ...


def whereabouts(aws: World, resource: Resource, target: Target) -> tuple[Target, bool]:
    """The bucket or table with its account, and whether it exists. Raises TfstateError if it is elsewhere."""
    known, exists = found(aws, resource, target)
    (who,) = aws.read([IDENTITY])
    if isinstance(who, Failure) and who.code not in DENIED:
        raise CallFailed(who)
    return replace(known, account_id=None if isinstance(who, Failure) else who["Account"]), exists


def versions(aws: Backend, bucket: Target) -> list[Listed]:
    """Those of each key, the oldest first."""
    found: list[Listed] = []
    markers: list[Listed] = []
    for page in aws.pages(Call("s3", "list_object_versions", bucket.bucket)):
        if isinstance(page, Failure):
            raise CallFailed(page)
        found += [_listed(each, False) for each in page.get("Versions", [])]
        markers += [_listed(each, True) for each in page.get("DeleteMarkers", [])]
    return oldest_first(found, markers)


def versions_of(aws: Backend, bucket: Target, key: str) -> list[Listed]:
    found: list[Listed] = []
    markers: list[Listed] = []
    for page in aws.pages(Call("s3", "list_object_versions", {**bucket.bucket, "Prefix": key})):
        if isinstance(page, Failure):
            raise CallFailed(page)
        found += [_listed(each, False) for each in page.get("Versions", []) if each["Key"] == key]
        markers += [_listed(each, True) for each in page.get("DeleteMarkers", []) if each["Key"] == key]
    return oldest_first(found, markers)


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


def items(aws: Backend, table: str) -> list[RawItem]:
    """Whole, and read so as to see what was written last."""
    found: list[RawItem] = []
    for page in aws.pages(Call("dynamodb", "scan", {"TableName": table, "ConsistentRead": True})):
        if isinstance(page, Failure):
            raise CallFailed(page)
        found += page.get("Items", [])
    return sorted(found, key=lambda item: str(item.get("LockID", {}).get("S")))


def of_bucket(items: Sequence[RawItem], bucket: str) -> list[Item]:
    read = [item_of(each) for each in items]
    return [item for name, item in read if name == bucket]


def id_of(record: object) -> str | None:
    """Of a lock, by its record; None where no client could read one."""
    return record.id if isinstance(record, LockInfo) else None

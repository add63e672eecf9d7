# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The members of an answer that AWS always sends and other stores may leave out: checked before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import Call, Response

_TAGS = ("TagSet", "TagSet.*.Key", "TagSet.*.Value")
_OBJECT = ("ETag", "LastModified")
_VERSION = ("Key", "VersionId", "LastModified", "IsLatest")
_KEY = tuple(f"Table.{part}" for part in ("KeySchema.*.AttributeName", "KeySchema.*.KeyType"))
_ATTRIBUTES = tuple(f"Table.AttributeDefinitions.*.{part}" for part in ("AttributeName", "AttributeType"))
#: By operation: the members that must be there. `*` stands for each entry of a list, which may be empty or absent.
MEMBERS: dict[str, tuple[str, ...]] = {
    "describe_continuous_backups": ("ContinuousBackupsDescription",),
    "describe_key": ("KeyMetadata.Arn",),
    "describe_table": ("Table.TableName", *_KEY, *_ATTRIBUTES),
    "get_bucket_acl": ("Owner.ID", "Grants.*.Grantee"),
    "get_bucket_encryption": ("ServerSideEncryptionConfiguration.Rules.0",),
    "get_bucket_lifecycle_configuration": ("Rules",),
    "get_bucket_ownership_controls": ("OwnershipControls.Rules.0.ObjectOwnership",),
    "get_bucket_replication": ("ReplicationConfiguration.Rules", "ReplicationConfiguration.Rules.*.Destination.Bucket"),
    "get_bucket_tagging": _TAGS,
    "get_object": _OBJECT,
    "get_object_legal_hold": ("LegalHold",),
    "get_object_lock_configuration": ("ObjectLockConfiguration",),
    "get_object_retention": ("Retention",),
    "get_object_tagging": _TAGS,
    "get_public_access_block": ("PublicAccessBlockConfiguration",),
    "get_resource_policy": ("Policy", "RevisionId"),
    "head_object": (*_OBJECT, "ContentLength"),
    "list_accounts": ("Accounts", "Accounts.*.Id"),
    "list_accounts_for_parent": ("Accounts", "Accounts.*.Id"),
    "list_access_points": ("AccessPointList.*.Name",),
    "list_buckets": ("Buckets", "Buckets.*.Name"),
    "list_object_versions": tuple(f"{kind}.*.{name}" for kind in ("Versions", "DeleteMarkers") for name in _VERSION),
    "list_objects_v2": ("Contents.*.Key", "Contents.*.LastModified", "Contents.*.Size"),
    "list_organizational_units_for_parent": (
        *("OrganizationalUnits", "OrganizationalUnits.*.Id", "OrganizationalUnits.*.Name"),
    ),
    "list_regions": ("Regions", "Regions.*.RegionName", "Regions.*.RegionOptStatus"),
    "list_roots": ("Roots", "Roots.*.Id"),
    "list_tags_for_resource": ("Tags.*.Key", "Tags.*.Value"),
    "list_tags_of_resource": ("Tags.*.Key", "Tags.*.Value"),
}
#: Answers of which one member at least must be there.
ANY_OF = {
    "list_object_versions": ("IsTruncated", "Name", "MaxKeys"),
    "list_objects_v2": ("IsTruncated", "Name", "KeyCount"),
    "scan": ("Items", "Count"),
}
#: Reads of a policy, which is JSON in text.
POLICIES = {"get_bucket_policy", "get_resource_policy"}
#: By operation: the member with an item of a table, or a list of them.
ITEMS = {"get_item": "Item", "scan": "Items"}
#: Reads whose answer has no body, or may have an empty one.
WITHOUT_BODY = {"head_bucket", "head_object", "get_object"}
READS = ("get_", "list_", "describe_", "scan")


def missing_member(call: Call, answer: Response) -> str | None:
    """The first member that the answer to a read should have and has not; None if all are there."""
    if _is_empty(call, answer):
        return "body"
    any_of = ANY_OF.get(call.operation, ())
    if any_of and not any(name in answer for name in any_of):
        return any_of[0]
    if call.operation in POLICIES and not _is_document(answer.get("Policy")):
        return "policy"
    if any(not _is_item(each) for each in _items(call, answer)):
        return ITEMS[call.operation]
    return next((path for path in MEMBERS.get(call.operation, ()) if not all(_found(answer, path.split(".")))), None)


def is_strange(call: Call, answer: Response) -> bool:
    """Whether a page that a proxy gives is taken for an object or a bucket. S3 sends a header x-amz-* with all."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    is_page = str(headers.get("content-type", "")).startswith("text/html")
    return call.operation in WITHOUT_BODY and is_page and not any(name.startswith("x-amz-") for name in headers)


def is_read(call: Call) -> bool:
    return call.operation.startswith(READS)


def _is_empty(call: Call, answer: Response) -> bool:
    has_body = is_read(call) and call.operation not in WITHOUT_BODY
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return has_body and headers.get("content-length") == "0"


def _items(call: Call, answer: Response) -> list[Any]:
    """The items of a table that the answer has, or should have by its count."""
    found = answer.get(ITEMS.get(call.operation, ""))
    if call.operation == "get_item":
        return [found] if "Item" in answer else []
    return [None] * bool(answer.get("Count")) if found is None else list(found)


def _is_item(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and bool(item)
        and all(isinstance(value, Mapping) and value for value in item.values())
    )


def _is_document(text: Any) -> bool:
    try:
        return isinstance(json.loads(text or ""), dict)
    except ValueError:
        return False


def _found(value: Any, names: list[str]) -> Iterator[bool]:
    """Whether each place that the path leads to has a value. A blank is one: tags may have it."""
    if not names:
        yield value is not None and value != {}
        return
    first, rest = names[0], names[1:]
    if first == "*":
        for each in value or ():
            yield from _found(each, rest)
    elif first.isdigit():
        yield from _found(value[int(first)] if value and len(value) > int(first) else None, rest)
    elif rest and rest[0] == "*" and not (isinstance(value, Mapping) and value.get(first)):
        yield True
    elif isinstance(value, Mapping):
        yield from _found(value.get(first), rest)
    else:
        yield False

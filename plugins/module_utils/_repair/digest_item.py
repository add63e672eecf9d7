# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The item in the table with the digest of one state, written only if it is unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._aws.protocols import LockClient
from .._core.model import Call, CallFailed, Failure, TfstateError
from .._locks.locking import UNMET
from .._locks.stores import Place
from .._terraform.protocol import digest_id


@dataclass(frozen=True)
class DigestItem:
    """`attribute`: its `Digest` as DynamoDB returns it; None if it has none."""

    exists: bool
    attribute: Mapping[str, Any] | None = None

    @property
    def text(self) -> str | None:
        """The digest as clients read it, in lower case; None if they ignore it."""
        text = str((self.attribute or {}).get("S", "")).lower()
        return text if re.fullmatch("[0-9a-f]{32}", text) else None

    @property
    def shown(self) -> str | None:
        """The text in the item, valid or not."""
        return (self.attribute or {}).get("S")

    @property
    def status(self) -> str:
        return "known" if self.text else "malformed" if self.exists else "missing"


def digest_of(aws: LockClient, place: Place) -> DigestItem:
    asked = {"ConsistentRead": True, "ProjectionExpression": "LockID, Info, Digest"}
    (answer,) = aws.read([Call("dynamodb", "get_item", {**_name(place), **asked})])
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    item = answer.get("Item", {})
    if "Info" in item and "Digest" not in item:
        raise TfstateError(
            f"the digest of {place.path} would have the name of the lock of {place.path}-md5, which is held"
        )
    return DigestItem(bool(item), item.get("Digest"))


def put_digest(aws: LockClient, place: Place, seen: DigestItem, md5: str) -> None:
    put_item(aws, place, seen, {"Digest": {"S": md5}})


def put_item(aws: LockClient, place: Place, seen: DigestItem, attributes: Mapping[str, Any]) -> None:
    """Writes an item that may have more attributes than its `Digest`."""
    item = {**attributes, **_name(place)["Key"]}
    call = Call("dynamodb", "put_item", {"TableName": place.table, "Item": item, **_condition(seen)})
    _write(aws, place, call, attributes["Digest"])


def remove_digest(aws: LockClient, place: Place, seen: DigestItem) -> None:
    _write(aws, place, removal(place, seen), None)


def removal(place: Place, seen: DigestItem) -> Call:
    return Call("dynamodb", "delete_item", {**_name(place), **_condition(seen)})


def _write(aws: LockClient, place: Place, call: Call, wanted: Mapping[str, Any] | None) -> None:
    try:
        aws.write(call)
    except CallFailed as refused:
        if refused.failure.code not in UNMET:
            raise
        found = digest_of(aws, place)
        if found != DigestItem(wanted is not None, wanted):  # else a reply was lost
            raise TfstateError(f"somebody else changed the digest of {place.path} meanwhile: run again") from None


def _condition(seen: DigestItem) -> dict[str, Any]:
    if seen.attribute is not None:
        condition = "Digest = :old OR attribute_not_exists(LockID)"
        return {"ConditionExpression": condition, "ExpressionAttributeValues": {":old": seen.attribute}}
    bare = (
        "attribute_not_exists(Digest) AND attribute_not_exists(Info)" if seen.exists else "attribute_not_exists(LockID)"
    )
    return {"ConditionExpression": bare}


def _name(place: Place) -> dict[str, Any]:
    return {"TableName": place.table, "Key": {"LockID": {"S": digest_id(place.bucket, place.path)}}}

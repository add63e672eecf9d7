# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import dynamodb

LOCK_ID = {"key": {"LockID": "S HASH"}}


def described(keys: dict[str, str], **types: str) -> dict[str, Any]:
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]
    attributes = [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]
    return {"Table": {"KeySchema": schema, "AttributeDefinitions": attributes}}


READS = {
    "Terraform's key": (described({"LockID": "HASH"}, LockID="S"), LOCK_ID),
    "the keys of an index are another matter": (described({"LockID": "HASH"}, Other="N", LockID="S"), LOCK_ID),
    "a key of another name and type, and a range": (
        described({"id": "HASH", "at": "RANGE"}, id="N", at="S"),
        {"key": {"id": "N HASH", "at": "S RANGE"}},
    ),
    "replicas": (
        {"Table": {**described({"LockID": "HASH"}, LockID="S")["Table"], "Replicas": [{"RegionName": "eu-west-2"}]}},
        {**LOCK_ID, "replicas": ["eu-west-2"]},
    ),
    "a table on its way out may not tell": ({"Table": {"TableStatus": "DELETING"}}, {"key": {}}),
}
DESIRES = {
    "Terraform's key, whatever there is": ({}, {"key": {"id": "S HASH"}}, LOCK_ID),
    "replicas are somebody else's": (
        {},
        {**LOCK_ID, "replicas": ["eu-west-2"]},
        {**LOCK_ID, "replicas": ["eu-west-2"]},
    ),
}
CALLS = {
    "created on demand": (
        None,
        LOCK_ID,
        [
            dynamodb(
                "create_table",
                AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
        ],
    ),
    "deleted": (LOCK_ID, None, [dynamodb("delete_table")]),
    "another key is never changed": ({"key": {"id": "S HASH"}}, LOCK_ID, []),
}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the lock table exists, with the key that Terraform and OpenTofu need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._core.model import Call, Change, IamActions, Params, Refusal, Response, Target, Value
from .._core.provider import TABLE, Block, ProviderArguments

NAME = "existence"
OPTIONS = {"state": {"choices": ["present", "absent"], "default": "present"}}
ABSENT = None
NOT_FOUND = {"ResourceNotFoundException"}
IAM_ACTIONS = IamActions(
    read=("dynamodb:DescribeTable",), write=("dynamodb:CreateTable",), delete=("dynamodb:DeleteTable",)
)

#: Source: https://developer.hashicorp.com/terraform/language/backend/s3#dynamodb-state-locking
KEY: Value = {"LockID": "S HASH"}


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    table = response["Table"]
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", [])}
    key = {
        each["AttributeName"]: f"{types.get(each['AttributeName'])} {each['KeyType']}"
        for each in table.get("KeySchema", [])
    }
    replicas = sorted(each["RegionName"] for each in table.get("Replicas", []) if "RegionName" in each)
    return {"key": key, **({"replicas": replicas} if replicas else {})}


def desired(params: Params, observed: Value, target: Target) -> Value:
    return {**(observed or {}), "key": KEY}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if after is None:
        return (Call("dynamodb", "delete_table", {"TableName": target.name}),)
    if before is not None:
        return ()  # a key schema cannot change: the guard refuses this
    create = {
        "TableName": target.name,
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",  # AWS wants one even if billing is unmanaged
    }
    return (Call("dynamodb", "create_table", create),)


def problems(params: Params, target: Target) -> Iterator[str]:
    if not re.fullmatch(r"[a-zA-Z0-9_.-]{3,255}", target.name):
        yield f"{target.name!r} is no table name: 3 to 255 letters, digits, dots, hyphens and underscores"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    if change.before and change.before["key"] != KEY:
        yield Refusal(
            f"table {target.name} has the key {change.before['key']}, but a lock table has {KEY}; "
            "a key cannot be changed, and the table is neither replaced nor deleted: choose another name"
        )
    if change.before and change.after is None and change.before.get("replicas"):
        yield Refusal(f"table {target.name} has replicas in {', '.join(change.before['replicas'])}: remove them first")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    attributes = tuple(Block("attribute", (), {"name": name, "type": kind.split()[0]}) for name, kind in KEY.items())
    yield ProviderArguments(TABLE, {"hash_key": "LockID"}, attributes)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encryption at rest: DynamoDB always encrypts; this is about the owner of its key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.kms import customer_keys
from .._core.model import Call, Change, FindingKind, IamActions, Params, Refusal, Response, Target, Value
from .._core.provider import TABLE, Block, ProviderArguments
from .._core.refusals import other_key

NAME = "encryption"
OPTIONS = {
    "encryption": {"choices": ["aws_owned_key", "aws_managed_key", "customer_managed_key"]},
    "kms_key_id": {"no_log": False},
}
#: The key that AWS owns, which no account sees.
ABSENT: Value = {"kms_key_id": None}
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("server_side_encryption",)
IAM_ACTIONS = IamActions(read=("dynamodb:DescribeTable",), write=("dynamodb:UpdateTable",))
FINDING = FindingKind(
    "low", "The table's key is not the one asked for", "Use of the key is neither yours to log.", ("CKV_AWS_119",)
)

MANAGED_KEY = "alias/aws/dynamodb"


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    described = response["Table"].get("SSEDescription", {})
    on = described.get("Status") not in (None, "DISABLED", "DISABLING")
    key = target.key_arn(described.get("KMSMasterKeyArn", MANAGED_KEY))
    return {"kms_key_id": _named(key, target) if on else None}


def _named(key: str, target: Target) -> str:
    """The managed key by its alias: in a request it is not named."""
    return MANAGED_KEY if key == target.key_arn(MANAGED_KEY) or key.endswith(f":{MANAGED_KEY}") else key


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked = next(requested_keys(params), None)
    if asked:
        return {"kms_key_id": _named(target.key_arn(asked), target)}
    return ABSENT if params.get("encryption") == "aws_owned_key" else observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    specification = creation(after) or {"SSESpecification": {"Enabled": False}}
    return (Call("dynamodb", "update_table", {"TableName": target.name, **specification}),)


def creation(after: Value) -> dict[str, object]:
    key = after["kms_key_id"]
    if not key:
        return {}
    named = {} if key == MANAGED_KEY else {"KMSMasterKeyId": key}
    return {"SSESpecification": {"Enabled": True, "SSEType": "KMS", **named}}


def requested_keys(params: Params) -> Iterator[str]:
    if params.get("kms_key_id"):
        yield params["kms_key_id"]
    elif params.get("encryption") == "aws_managed_key":
        yield MANAGED_KEY


def problems(params: Params, target: Target) -> Iterator[str]:
    if params.get("encryption") == "customer_managed_key" and not params.get("kms_key_id"):
        yield "encryption: customer_managed_key needs kms_key_id"
    if params.get("encryption") in ("aws_owned_key", "aws_managed_key") and params.get("kms_key_id"):
        yield "kms_key_id needs encryption: customer_managed_key"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["kms_key_id"], change.after["kms_key_id"]
    if before and not after:
        yield Refusal(f"encryption would go from the key {before} to the key that AWS owns", "weaken_encryption")
    elif before:
        yield other_key(before, after)


def returned(response: Response) -> Value:
    """The key by the name that it has there."""
    return normalise(response, Target("", ""))


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    """The provider reads back no ARN of the key that AWS manages, so the project must not set one."""
    key = value["kms_key_id"]
    if key:
        named = {} if key.startswith("alias/aws/") else {"kms_key_arn": key}
        yield ProviderArguments(TABLE, {}, (Block("server_side_encryption", (), {"enabled": True, **named}),))


def cost(value: Value) -> dict[str, Any]:
    return {"kms_keys": customer_keys(value["kms_key_id"]) if value else None}

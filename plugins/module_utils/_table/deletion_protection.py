# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deletion protection: AWS itself refuses to delete the table."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import (
    Call,
    Change,
    CreationProtection,
    FindingKind,
    IamActions,
    Params,
    Refusal,
    Response,
    Target,
    Value,
)
from .._core.provider import TABLE, ProviderArguments

NAME = "deletion_protection"
OPTIONS = {"deletion_protection": {"type": "bool"}}
ABSENT = False
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("deletion_protection_enabled",)
CREATION_PROTECTION = CreationProtection(
    "deletion protection", "disable_deletion_protection", lambda on, _target: bool(on)
)
IAM_ACTIONS = IamActions(read=("dynamodb:DescribeTable",), write=("dynamodb:UpdateTable",))
FINDING = FindingKind(
    "medium",
    "The lock table can be deleted by accident",
    "Without the table nobody gets a lock, and the digests that guard states are gone.",
    ("DynamoDB.6",),
)


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    return bool(response["Table"].get("DeletionProtectionEnabled"))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return params.get("deletion_protection") is not False


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return (Call("dynamodb", "update_table", {"TableName": target.name, **creation(after)}),)


def creation(after: Value) -> dict[str, object]:
    return {"DeletionProtectionEnabled": after}


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    if not change.after:
        reason = f"deletion protection of table {target.name} would be switched off"
        yield Refusal(reason, "disable_deletion_protection")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    yield ProviderArguments(TABLE, {"deletion_protection_enabled": value})

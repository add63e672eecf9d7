# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Point-in-time recovery: locks and digests as they were at any second of the recovery period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
from .._core.provider import TABLE, Block, ProviderArguments, without_nulls

NAME = "recovery"
OPTIONS = {"point_in_time_recovery": {"type": "bool"}, "recovery_period_days": {"type": "int"}}
ABSENT: Value = {"enabled": False, "period_days": None}
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("point_in_time_recovery",)
IAM_ACTIONS = IamActions(read=("dynamodb:DescribeContinuousBackups",), write=("dynamodb:UpdateContinuousBackups",))
FINDING = FindingKind(
    "medium",
    "The lock table has no point-in-time recovery",
    "Locks and digests that were overwritten or deleted cannot be had back.",
    ("DynamoDB.2", "CKV_AWS_28"),
)

LONGEST_DAYS = 35


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_continuous_backups", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    # ContinuousBackupsStatus is ENABLED on every table: it is not this setting.
    described = response["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if described.get("PointInTimeRecoveryStatus") != "ENABLED":
        return ABSENT
    return {"enabled": True, "period_days": described.get("RecoveryPeriodInDays", LONGEST_DAYS)}


def desired(params: Params, observed: Value, target: Target) -> Value:
    if params.get("point_in_time_recovery") is False:
        return ABSENT
    days = params.get("recovery_period_days") or observed["period_days"] or LONGEST_DAYS
    return {"enabled": True, "period_days": days}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    asked: dict[str, object] = {"PointInTimeRecoveryEnabled": after["enabled"]}
    periods = {before["period_days"], after["period_days"]}
    if after["enabled"] and periods - {None, LONGEST_DAYS}:  # left out, it becomes the longest
        asked["RecoveryPeriodInDays"] = after["period_days"]
    specification = {"TableName": target.name, "PointInTimeRecoverySpecification": asked}
    return (Call("dynamodb", "update_continuous_backups", specification),)


def problems(params: Params, target: Target) -> Iterator[str]:
    days = params.get("recovery_period_days")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        yield f"recovery_period_days is {days}; it must lie between 1 and {LONGEST_DAYS}"
    if days and params.get("point_in_time_recovery") is False:
        yield "recovery_period_days needs point_in_time_recovery"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["period_days"] or 0, change.after["period_days"] or 0
    if after < before:
        yield Refusal(f"point-in-time recovery would go from {before} days to {after or 'none'}", "disable_recovery")


def _is_longest(value: Value, target: Target) -> bool:
    return (value["period_days"] or 0) >= LONGEST_DAYS


CREATION_PROTECTION = CreationProtection(
    f"point-in-time recovery of {LONGEST_DAYS} days", "disable_recovery", _is_longest
)


def returned(response: Response) -> Value:
    """A period only where AWS says one: the provider knows no other."""
    described = response["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    enabled = described.get("PointInTimeRecoveryStatus") == "ENABLED"
    return {"enabled": enabled, "period_days": described.get("RecoveryPeriodInDays") if enabled else None}


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    days = without_nulls(recovery_period_in_days=value["period_days"])
    yield ProviderArguments(TABLE, {}, (Block("point_in_time_recovery", (), {"enabled": value["enabled"], **days}),))


def cost(value: Value) -> dict[str, Any]:
    return {"has_recovery": value["enabled"] if value else None}

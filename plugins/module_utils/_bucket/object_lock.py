# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Object Lock: opt-in, because it can never be switched off."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, Change, FindingKind, IamActions, Params, Refusal, Response, Target, Value
from .._core.provider import BUCKET, Block, ProviderArguments

NAME = "object_lock"
OPT_IN = True
OPTIONS = {
    "object_lock": {"type": "bool"},
    "object_lock_mode": {"choices": ["GOVERNANCE", "COMPLIANCE"]},
    "object_lock_days": {"type": "int"},
}
ABSENT: Value = {"enabled": False, "mode": None, "days": None}
NOT_FOUND = {"ObjectLockConfigurationNotFoundError"}
IAM_ACTIONS = IamActions(read=("s3:GetBucketObjectLockConfiguration",), write=("s3:PutBucketObjectLockConfiguration",))
FINDING = FindingKind(
    "low",
    "Object lock is not what was asked",
    "Versions can be deleted before their time.",
    ("S3.15", "CKV_AWS_143"),
)

DAYS_IN_A_YEAR = 365


def read(target: Target) -> Call:
    return Call("s3", "get_object_lock_configuration", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    lock = response["ObjectLockConfiguration"]
    retention = lock.get("Rule", {}).get("DefaultRetention", {})
    years = retention.get("Years")
    return {
        "enabled": lock.get("ObjectLockEnabled") == "Enabled",
        "mode": retention.get("Mode"),
        "days": years * DAYS_IN_A_YEAR if years else retention.get("Days"),
        **({"years": years} if years else {}),
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    """Years are kept if they equal the requested days."""
    mode, days = params.get("object_lock_mode"), params.get("object_lock_days") or observed["days"]
    return {
        "enabled": observed["enabled"] or bool(params.get("object_lock")),
        "mode": mode or observed["mode"],
        "days": days,
        **({"years": observed["years"]} if "years" in observed and days == observed["days"] else {}),
    }


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    lock: dict[str, object] = {"ObjectLockEnabled": "Enabled"}
    if after["mode"]:
        period = {"Years": after["years"]} if "years" in after else {"Days": after["days"]}
        lock["Rule"] = {"DefaultRetention": {"Mode": after["mode"], **period}}
    return (Call("s3", "put_object_lock_configuration", {**target.bucket, "ObjectLockConfiguration": lock}),)


def problems(params: Params, target: Target) -> Iterator[str]:
    mode, days = params.get("object_lock_mode"), params.get("object_lock_days")
    if (mode or days) and not params.get("object_lock"):
        yield "object_lock_mode and object_lock_days need object_lock: true"
    if bool(mode) != bool(days):
        yield "object_lock_mode and object_lock_days go together"
    if days is not None and not 1 <= days <= 36500:
        yield f"object_lock_days is {days}; AWS takes 1 to 36500"
    if params.get("object_lock") and params.get("versioning") is False:
        yield "object_lock needs versioning"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before, change.after
    if (before["days"] or 0) > (after["days"] or 0) or (before["mode"], after["mode"]) == ("COMPLIANCE", "GOVERNANCE"):
        reason = f"new versions would be locked for less than {before['days']} days in mode {before['mode']}"
        yield Refusal(reason, "shorten_retention")
    what = "no version, lock files included, can be deleted before its time" if change.after["mode"] else "it stays on"
    yield Refusal(f"object lock can never be switched off again: {what}", "enable_object_lock")
    if change.after["mode"] == "COMPLIANCE":
        reason = "in COMPLIANCE mode not even the account's root user can delete a version, or a lock file, early"
        yield Refusal(reason, "enforce_compliance")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    if value["enabled"]:
        yield ProviderArguments(BUCKET, {"object_lock_enabled": True})
    if value == ABSENT:
        return
    rule: tuple[Block, ...] = ()
    if value["mode"]:
        period = {"years": value["years"]} if "years" in value else {"days": value["days"]}
        rule = (Block("rule", (), {}, (Block("default_retention", (), {"mode": value["mode"], **period}),)),)
    yield ProviderArguments("aws_s3_bucket_object_lock_configuration", {}, rule, after=("versioning",))

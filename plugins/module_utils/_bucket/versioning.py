# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versioning: what makes a lost or broken state recoverable."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import (
    Answer,
    Call,
    Change,
    CreationProtection,
    Failure,
    FindingKind,
    IamActions,
    Params,
    Probe,
    Refusal,
    Refuse,
    Response,
    Target,
    Value,
)
from .._core.provider import Block, ProviderArguments
from .mfa_delete_probe import mfa_delete

NAME = "versioning"
OPTIONS = {"versioning": {"type": "bool"}}
#: Never enabled; AWS has no way back to it.
ABSENT = "Disabled"
NOT_FOUND: set[str] = set()
CREATION_PROTECTION = CreationProtection(
    "versioning, so that the next write destroys the state before it",
    "suspend_versioning",
    lambda value, _target: bool(value == "Enabled"),
)
IAM_ACTIONS = IamActions(
    read=("s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"), write=("s3:PutBucketVersioning",)
)
FINDING = FindingKind(
    "high",
    "Old states are not kept",
    "Without versioning the next write destroys the state before it, and a deleted state is gone.",
    ("S3.14", "CKV_AWS_21"),
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_versioning", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return response.get("Status") or ABSENT


def desired(params: Params, observed: Value, target: Target) -> Value:
    if params.get("versioning") is not False:
        return "Enabled"
    return ABSENT if observed == ABSENT else "Suspended"


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    status = {"Status": after}
    return (Call("s3", "put_bucket_versioning", {**target.bucket, "VersioningConfiguration": status}),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    if before != ABSENT:
        yield mfa_delete(target, "leave versioning as it is, or alone with unmanaged: [versioning]")
    if after == "Suspended":
        yield Probe(Call("s3", "get_object_lock_configuration", target.bucket), _locked)


def _locked(answer: Answer) -> Refuse | None:
    if not isinstance(answer, Failure):
        return Refuse("versioning cannot be suspended where object lock is on: leave versioning out")
    if answer.code == "ObjectLockConfigurationNotFoundError":
        return None
    return Refuse(f"{answer}; with object lock, which this would tell, versioning cannot be suspended")


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    if change.after != "Enabled":
        yield Refusal("without versioning the next write destroys the state before it", "suspend_versioning")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    """The provider, too, calls it `Disabled` where versioning was never enabled."""
    configuration = Block("versioning_configuration", (), {"status": value})
    yield ProviderArguments("aws_s3_bucket_versioning", {}, (configuration,))

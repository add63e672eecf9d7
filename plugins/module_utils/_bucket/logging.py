# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Server access logging into another bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import (
    Answer,
    Call,
    Change,
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
from .._core.provider import Block, ProviderArguments, snake_case, without_nulls
from .._policy.baseline import bucket_region

NAME = "logging"
OPT_IN = True
OPTIONS: dict[str, dict[str, object]] = {"logging_target_bucket": {}, "logging_target_prefix": {}}
#: Instead of a bucket. A blank is "not set", as for every option.
NOWHERE = "none"
ABSENT: Value = {}
NOT_FOUND: set[str] = set()
IAM_ACTIONS = IamActions(read=("s3:GetBucketLogging", "s3:ListBucket"), write=("s3:PutBucketLogging",))
FINDING = FindingKind(
    "low", "Access is not logged as asked", "Nobody can tell who read a state.", ("S3.9", "CKV_AWS_18")
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_logging", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return dict(response.get("LoggingEnabled") or {})


def desired(params: Params, observed: Value, target: Target) -> Value:
    bucket, prefix = params.get("logging_target_bucket"), params.get("logging_target_prefix")
    if bucket is None:
        return observed
    if bucket == NOWHERE:
        return ABSENT
    same = observed.get("TargetBucket") == bucket
    kept = observed if same else {}
    default = kept.get("TargetPrefix", f"{target.name}/")
    return {**kept, "TargetBucket": bucket, "TargetPrefix": default if prefix is None else prefix}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    status = {"LoggingEnabled": after} if after else {}
    return (Call("s3", "put_bucket_logging", {**target.bucket, "BucketLoggingStatus": status}),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    if not after:
        return
    bucket = after["TargetBucket"]

    def verdict(answer: Answer) -> Refuse | None:
        if isinstance(answer, Failure):
            return Refuse(f"the log bucket {bucket} cannot be used: {answer}")
        region = bucket_region(answer)
        if region and region != target.region:
            return Refuse(f"the log bucket {bucket} lies in {region}; AWS wants it in {target.region}")
        return None

    yield Probe(Call("s3", "head_bucket", {**target.bucket, "Bucket": bucket}), verdict)


def problems(params: Params, target: Target) -> Iterator[str]:
    if params.get("logging_target_bucket") == target.name:
        yield "logging_target_bucket is the bucket itself: its logs would grow for ever; name another bucket"
    if params.get("logging_target_prefix") is not None and params.get("logging_target_bucket") in (None, NOWHERE):
        yield "logging_target_prefix needs logging_target_bucket"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before.get("TargetBucket"), change.after.get("TargetBucket")
    if before and before != after:
        how = f"go to {after}" if after else "be switched off"
        yield Refusal(f"the access logs that go to bucket {before} today would {how}", "change_logging")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    if value:
        attributes = {"target_bucket": value["TargetBucket"], "target_prefix": value.get("TargetPrefix", "")}
        grants = map(_grant, value.get("TargetGrants", ()))
        blocks = (*grants, *_key_format(value.get("TargetObjectKeyFormat", {})))
        yield ProviderArguments("aws_s3_bucket_logging", attributes, blocks)


def _grant(grant: Mapping[str, Any]) -> Block:
    who: dict[str, Any] = {
        snake_case(name): value for name, value in sorted(grant["Grantee"].items()) if name != "DisplayName"
    }
    return Block("target_grant", (), {"permission": grant["Permission"]}, (Block("grantee", (), who),))


def _key_format(form: Mapping[str, Any]) -> Iterator[Block]:
    if "PartitionedPrefix" in form:
        source: dict[str, Any] = without_nulls(
            partition_date_source=form["PartitionedPrefix"].get("PartitionDateSource")
        )
        yield Block("target_object_key_format", (), {}, (Block("partitioned_prefix", (), source),))
    elif "SimplePrefix" in form:
        yield Block("target_object_key_format", (), {}, (Block("simple_prefix"),))

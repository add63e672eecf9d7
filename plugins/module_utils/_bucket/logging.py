# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Server access logging into another bucket."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Answer, Call, Failure, Params, Probe, Refuse, Response, Target, Value
from .._policy.baseline import bucket_region

NAME = "logging"
OPT_IN = True
OPTIONS: dict[str, dict[str, object]] = {"logging_target_bucket": {}, "logging_target_prefix": {}}
#: Instead of a bucket. A blank is "not set", as for every option.
NOWHERE = "none"
ABSENT: Value = {}
NOT_FOUND: set[str] = set()


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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the bucket exists, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._core.model import Call, Change, IamActions, Params, Refusal, Response, Target, Value
from .._policy.baseline import bucket_region

NAME = "existence"
OPTIONS = {"state": {"choices": ["present", "absent"], "default": "present"}}
ABSENT = None
NOT_FOUND = {"404", "NoSuchBucket", "NotFound"}
IAM_ACTIONS = IamActions(read=("s3:ListBucket",), write=("s3:CreateBucket",), delete=("s3:DeleteBucket",))

NAME_FORM = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
IP_ADDRESS = re.compile(r"(\d+\.){3}\d+")
RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
ACCOUNT_REGIONAL_SUFFIX = "-an"


def read(target: Target) -> Call:
    return Call("s3", "head_bucket", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return {"region": bucket_region(response)}


def desired(params: Params, observed: Value, target: Target) -> Value:
    return {"region": target.region}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if after is None:
        return (Call("s3", "delete_bucket", target.bucket),)
    create: dict[str, object] = {"Bucket": target.name}
    if after["region"] != "us-east-1":  # the one region that must not be named
        create["CreateBucketConfiguration"] = {"LocationConstraint": after["region"]}
    if target.name.endswith(ACCOUNT_REGIONAL_SUFFIX):
        create["BucketNamespace"] = "account-regional"
    return (Call("s3", "create_bucket", create),)


def problems(params: Params, target: Target) -> Iterator[str]:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = target.name
    if not NAME_FORM.fullmatch(name) or ".." in name or IP_ADDRESS.fullmatch(name):
        yield (
            f"{name!r} is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, "
            "a letter or digit at both ends, no two dots together, no IP address"
        )
    if name.startswith(RESERVED_PREFIXES) or name.endswith(RESERVED_SUFFIXES):
        yield f"{name!r} is no bucket name: AWS reserves its first or last part; choose another name"
    regional = rf".+-\d{{12}}-{re.escape(target.region)}{ACCOUNT_REGIONAL_SUFFIX}"
    if name.endswith(ACCOUNT_REGIONAL_SUFFIX) and not re.fullmatch(regional, name):
        yield f"{name!r} ends in -an, so it must have the form <prefix>-<account id>-{target.region}-an"
    elif name.endswith(ACCOUNT_REGIONAL_SUFFIX) and target.owner and f"-{target.owner}-" not in name:
        yield f"{name!r} ends in -an, so it must hold account_id {target.owner}: only that account could create it"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    found = change.before["region"] if change.before else target.region
    if found != target.region:
        yield Refusal(
            f"bucket {target.name} lies in {found}, not in {target.region}; correct region, or choose another name"
        )

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket's public access block: all four settings, on by default."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, Change, FindingKind, IamActions, Params, Refusal, Response, Target, Value
from .._core.provider import ProviderArguments

NAME = "public_access"
FLAGS = {
    "block_public_acls": "BlockPublicAcls",
    "ignore_public_acls": "IgnorePublicAcls",
    "block_public_policy": "BlockPublicPolicy",
    "restrict_public_buckets": "RestrictPublicBuckets",
}
OPTIONS = {"public_access": {"type": "dict", "options": {flag: {"type": "bool"} for flag in FLAGS}}}
ABSENT = dict.fromkeys(FLAGS, False)
NEW = dict.fromkeys(FLAGS, True)
NOT_FOUND = {"NoSuchPublicAccessBlockConfiguration"}
IAM_ACTIONS = IamActions(read=("s3:GetBucketPublicAccessBlock",), write=("s3:PutBucketPublicAccessBlock",))
FINDING = FindingKind(
    "high",
    "Public access is not blocked",
    "A state holds secrets in clear text. One wrong policy or ACL shows them to everybody.",
    ("S3.2", "S3.3", "S3.8", "CIS 2.1.4", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "CKV2_AWS_6"),
)


def read(target: Target) -> Call:
    return Call("s3", "get_public_access_block", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    block = response["PublicAccessBlockConfiguration"]
    return {flag: bool(block.get(name)) for flag, name in FLAGS.items()}


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked = params.get("public_access") or {}
    return {flag: asked.get(flag) is not False for flag in FLAGS}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    block = {name: after[flag] for flag, name in FLAGS.items()}  # a flag left out would be set to false
    return (Call("s3", "put_public_access_block", {**target.bucket, "PublicAccessBlockConfiguration": block}),)


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    opened = [flag for flag, on in change.before.items() if on and not change.after[flag]]
    if opened:
        yield Refusal(f"public_access would switch off {', '.join(opened)}", "open_public_access")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    yield ProviderArguments("aws_s3_bucket_public_access_block", dict(value))

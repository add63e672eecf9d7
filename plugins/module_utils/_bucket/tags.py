# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags: added to what is there, or exactly these with purge_tags."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, FindingKind, IamActions, Response, Target, Value
from .._core.provider import BUCKET, ProviderArguments
from .._core.tags import OPTIONS, desired, in_turn, problems, provider_tags, refusals, tag_list, whole_set

__all__ = ["OPTIONS", "desired", "problems", "refusals"]

NAME = "tags"
OPTIONAL_AT_CREATION = True
ABSENT: Value = {}
NOT_FOUND = {"NoSuchTagSet"}
PROVIDER_IGNORES = ("tags",)
IAM_ACTIONS = IamActions(
    read=("s3:GetBucketTagging",), write=("s3:PutBucketTagging", "s3:TagResource", "s3:UntagResource")
)
FINDING = FindingKind("low", "Tags of the bucket differ", "Owner and cost cannot be told by its tags.")


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_tagging", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return {tag["Key"]: tag["Value"] for tag in response["TagSet"]}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    # S3 rejects a set without the tags of AWS's services that it has.
    tags, arn = whole_set(after), {"ResourceArn": target.arn}
    changed = tag_list({key: value for key, value in after.items() if before.get(key) != value})
    gone = [tag["Key"] for tag in tag_list(before) if tag["Key"] not in after]
    # The only way to tag a bucket whose tags grant access (ABAC).
    tag = (Call("s3control", "tag_resource", {**arn, "Tags": changed}),) if changed else ()
    untag = (Call("s3control", "untag_resource", {**arn, "TagKeys": gone}),) if gone else ()
    whole = Call(
        "s3",
        "put_bucket_tagging",
        {**target.bucket, "Tagging": {"TagSet": tags}},
        instead=in_turn(tag, untag, before, after),
    )
    nothing = Call("s3", "delete_bucket_tagging", target.bucket, instead=untag)
    return (whole if tags else nothing,)


def creation(after: Value) -> dict[str, object]:
    # Within CreateBucket, so that a policy that requires tags is met, and no untagged bucket is left behind.
    return {"CreateBucketConfiguration": {"Tags": tag_list(after)}} if after else {}


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    yield from provider_tags(BUCKET, value)

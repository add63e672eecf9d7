# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags: added to what is there, or exactly these with purge_tags."""

from __future__ import annotations

from .._core import Call, Response, Target, Value
from .._tags import OPTIONS, desired, problems, tag_list

__all__ = ["OPTIONS", "desired", "problems"]

NAME = "tags"
ABSENT: Value = {}
NOT_FOUND = {"NoSuchTagSet"}


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_tagging", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return {tag["Key"]: tag["Value"] for tag in response["TagSet"]}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    tags = tag_list(after)
    if not tags:
        return (Call("s3", "delete_bucket_tagging", target.bucket),)
    return (Call("s3", "put_bucket_tagging", {**target.bucket, "Tagging": {"TagSet": tags}}),)


def creation(after: Value) -> dict[str, object]:
    # Within CreateBucket, so that a rule which demands tags is met and no untagged bucket is ever left behind.
    return {"CreateBucketConfiguration": {"Tags": tag_list(after)}} if after else {}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags: added to what is there, or exactly these with purge_tags."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, FindingKind, IamActions, Response, Target, Value
from .._core.provider import TABLE, ProviderArguments
from .._core.tags import OPTIONS, desired, in_turn, problems, provider_tags, refusals, tag_list

__all__ = ["OPTIONS", "desired", "problems", "refusals"]

NAME = "tags"
ABSENT: Value = {}
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("tags",)
IAM_ACTIONS = IamActions(
    read=("dynamodb:ListTagsOfResource",), write=("dynamodb:TagResource", "dynamodb:UntagResource")
)
FINDING = FindingKind("low", "Tags of the table differ", "Owner and cost cannot be told by its tags.", ("DynamoDB.5",))


def read(target: Target) -> Call:
    return Call("dynamodb", "list_tags_of_resource", {"ResourceArn": target.arn}, paged=True)


def normalise(response: Response, target: Target) -> Value:
    return {tag["Key"]: tag["Value"] for tag in response.get("Tags", [])}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    where = {"ResourceArn": target.arn}
    added = {key: value for key, value in after.items() if before.get(key) != value}
    removed = sorted(before.keys() - after.keys())
    tag = (Call("dynamodb", "tag_resource", {**where, "Tags": tag_list(added)}),) if added else ()
    untag = (Call("dynamodb", "untag_resource", {**where, "TagKeys": removed}),) if removed else ()
    return in_turn(tag, untag, before, after)


def creation(after: Value) -> dict[str, object]:
    return {"Tags": tag_list(after)} if after else {}


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    yield from provider_tags(TABLE, value)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock files that clients hold right now: a bucket is not deleted under them."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, Change, IamActions, Params, Refusal, Response, Target, Value
from .._core.refusals import held

NAME = "lock_files"
OPTIONS: dict[str, dict[str, object]] = {}
ABSENT: Value = []
NOT_FOUND = {"NoSuchBucket"}  # deleted by somebody else
IAM_ACTIONS = IamActions(read=("s3:ListBucket",))

SUFFIX = ".tflock"


def read(target: Target) -> Call:
    return Call("s3", "list_objects_v2", target.bucket, paged=True)


def normalise(response: Response, target: Target) -> Value:
    return sorted(each["Key"] for each in response.get("Contents", []) if each["Key"].endswith(SUFFIX))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()  # they go with the contents


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    yield held(change.before)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy statement that keeps everybody from states that have moved: a client fails before it changes anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from .._core import Answer, Call, CallFailed, Failure, Invalid, Target
from .._lock_record import lock_file
from .._policy_document import MAX_BYTES, VERSION
from .._policy_document import MOVED as SID

#: Reading too: a client that locks in a table could else plan and apply before it fails to write.
ACTIONS = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
#: In the place of a path: all that there is in a bucket.
EVERYTHING = "*"


class World(Protocol):
    """As much of AWS as the fence needs."""

    def partition(self) -> str: ...
    def read(self, calls: Sequence[Call]) -> list[Answer]: ...
    def write(self, call: Call) -> None: ...


def denied_in(world: World, bucket: Target) -> set[str]:
    """The states of a bucket that are behind the fence."""
    return denied(policy_of(world, bucket), arn_of(world, bucket))


def deny(world: World, bucket: Target, paths: set[str]) -> None:
    """Puts these states behind the fence too. Raises Invalid if the policy has no room for them."""
    policy, arn = policy_of(world, bucket), arn_of(world, bucket)
    behind = denied(policy, arn)
    if not (paths <= behind or EVERYTHING in behind):
        world.write(Call("s3", "put_bucket_policy", {**bucket.bucket, "Policy": fenced(policy, arn, paths)}))


def check_deny(world: World, bucket: Target, paths: set[str]) -> None:
    """Raises Invalid if there is no room for these states."""
    fenced(policy_of(world, bucket), arn_of(world, bucket), paths)


Fence: TypeAlias = Callable[[World, Target, set[str]], None]


def policy_of(world: World, bucket: Target) -> str | None:
    """As it is written; None where there is none."""
    (answer,) = world.read([Call("s3", "get_bucket_policy", bucket.bucket)])
    if not isinstance(answer, Failure):
        return str(answer["Policy"])
    if answer.code == "NoSuchBucketPolicy":
        return None
    raise CallFailed(answer)


def arn_of(world: World, bucket: Target) -> str:
    return f"arn:{world.partition()}:s3:::{bucket.name}"


def fenced(policy: str | None, bucket_arn: str, paths: Iterable[str]) -> str:
    """The policy of a bucket with these states behind the fence, too; what else it says stays as it is."""
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": VERSION}
    kept = [each for each in statements_in(policy) if each.get("Sid") != SID]
    wanted = {*denied(policy, bucket_arn), *paths}
    behind = [EVERYTHING] if EVERYTHING in wanted else sorted(wanted)
    resources = [f"{bucket_arn}/{name}" for path in behind for name in (path, lock_file(path))]
    ours = {"Sid": SID, "Effect": "Deny", "Principal": "*", "Action": ACTIONS, "Resource": resources}
    text = json.dumps({**document, "Statement": [*kept, ours]}, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise Invalid(
            f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes: "
            "use fence lock, and deny the bucket as a whole once everybody has moved"
        )
    return text


def denied(policy: str | None, bucket_arn: str) -> set[str]:
    """The paths that are behind the fence already."""
    resources = [name for each in statements_in(policy) if each.get("Sid") == SID for name in _named(each)]
    paths = {name.removeprefix(f"{bucket_arn}/") for name in resources}
    return {path for path in paths if lock_file(path) in paths}


def statements_in(policy: str | None) -> list[dict[str, Any]]:
    written = json.loads(policy).get("Statement", []) if policy else []
    return [written] if isinstance(written, dict) else list(written)


def _named(statement: dict[str, Any]) -> list[str]:
    value = statement.get("Resource", [])
    return [value] if isinstance(value, str) else value

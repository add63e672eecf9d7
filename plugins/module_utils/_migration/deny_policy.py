# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket policy statement that denies access to states that have moved, so that clients fail before any change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .._aws.protocols import PolicyClient
from .._core.model import Call, CallFailed, Failure, Invalid, Target, TfstateError
from .._policy.analysis import OPEN, contains
from .._policy.document import MAX_BYTES, MOVED, VERSION, Statement, canonical, deleted_principals, policy_text
from .._terraform.protocol import lock_file

#: Reading too. Otherwise a client that locks in a table could plan and apply before it fails to write.
ACTIONS = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
#: In place of a path: everything in the bucket.
EVERYTHING = "*"
#: How often a new policy is read, about 15 seconds. It is in effect once it was read twice in a row.
LOOKS, TWICE = 7, 2


def denied_states(aws: PolicyClient, bucket: Target) -> set[str]:
    """The states of a bucket that its policy denies."""
    return denied_paths(policy_of(aws, bucket), arn_of(aws, bucket))


def is_denied(path: str, denied: set[str]) -> bool:
    return bool({path, EVERYTHING} & denied)


def not_denied(aws: PolicyClient, bucket: Target, paths: set[str]) -> set[str]:
    """The states that the policy does not deny yet. Raises Invalid if it cannot deny them."""
    policy, arn = policy_of(aws, bucket), arn_of(aws, bucket)
    known = denied_paths(policy, arn)
    found = {path for path in paths if not is_denied(path, known)}
    if found:
        with_denied(policy, arn, found)
    return found


def deny(aws: PolicyClient, bucket: Target, paths: set[str]) -> set[str]:
    """Denies these states, and returns those that were not denied before. Raises Invalid if they cannot be denied.

    AWS returns old policies for a while, and another writer may have read one. If the statement does not appear, the
    policy that is there is read again, and the statement is added to it.
    """
    missing = not_denied(aws, bucket, paths)
    is_shown = not missing
    while not is_shown:
        _put(aws, bucket, paths)
        is_shown = _is_in_effect(aws, bucket, paths)
        if not is_shown and aws.late():
            raise TfstateError(
                f"the policy of {bucket.name} does not deny the states that moved: another client changes it; run again"
            )
    return missing


def _put(aws: PolicyClient, bucket: Target, paths: set[str]) -> None:
    text = with_denied(policy_of(aws, bucket), arn_of(aws, bucket), paths)
    aws.write(Call("s3", "put_bucket_policy", {**bucket.bucket, "Policy": text}))


def _is_in_effect(aws: PolicyClient, bucket: Target, paths: set[str]) -> bool:
    """Whether the statement is read twice in a row."""
    in_a_row = 0
    for attempt in range(LOOKS):
        aws.pause(attempt)
        in_a_row = 0 if not_denied(aws, bucket, paths) else in_a_row + 1
        if in_a_row == TWICE:
            return True
    return False


def policy_of(aws: PolicyClient, bucket: Target) -> str | None:
    """The policy document; None if the bucket has no policy."""
    (answer,) = aws.read([Call("s3", "get_bucket_policy", bucket.bucket)])
    if not isinstance(answer, Failure):
        return str(answer["Policy"])
    if answer.code == "NoSuchBucketPolicy":
        return None
    raise CallFailed(answer)


def arn_of(aws: PolicyClient, bucket: Target) -> str:
    return f"arn:{aws.partition()}:s3:::{bucket.name}"


def with_denied(policy: str | None, bucket_arn: str, paths: Iterable[str]) -> str:
    """The policy with these states denied, too. Other statements are kept as they are."""
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": VERSION}
    kept = [each for each in statements_in(policy) if each.get("Sid") != MOVED]
    _check_principals(kept, bucket_arn)
    check_names(path for path in paths if path != EVERYTHING)
    wanted = {*denied_paths(policy, bucket_arn), *paths}
    denied = [EVERYTHING] if EVERYTHING in wanted else sorted(wanted)
    ours = _statement([f"{bucket_arn}/{name}" for path in denied for name in (path, lock_file(path))])
    _check_replaced(policy, bucket_arn, ours)
    text = policy_text({**document, "Statement": [*kept, ours]})
    if len(text) > MAX_BYTES:
        raise Invalid(
            f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes: "
            "use source_protection: lock, and deny the whole bucket once all states have moved"
        )
    return text


def _statement(resources: list[str]) -> Statement:
    return {"Sid": MOVED, "Effect": "Deny", "Principal": "*", "Action": ACTIONS, "Resource": resources}


def check_names(paths: Iterable[str]) -> None:
    """Raises Invalid for names that are patterns in a policy: AWS has no way to escape them."""
    wild = sorted(path for path in paths if OPEN.search(path))
    if wild:
        more = f" and {len(wild) - 1} more" if wild[1:] else ""
        raise Invalid(
            f"the key {wild[0]!r}{more} holds *, ? or ${{, which a policy takes for a pattern: to deny it would deny "
            "other states, too; use source_protection: lock for it, and deny for the others, selected by keys"
        )


def _check_replaced(policy: str | None, bucket_arn: str, ours: Statement) -> None:
    """Raises Invalid if a statement of somebody else has our Sid."""
    partition = bucket_arn.split(":")[1]
    for each in statements_in(policy):
        if each.get("Sid") == MOVED and not contains(canonical(ours, partition), canonical(each, partition)):
            raise Invalid(
                f"the statement {MOVED} in the policy of {bucket_arn} says more than that states have moved, and would "
                "be replaced: give it another Sid, or use source_protection: lock"
            )


def _check_principals(statements: Iterable[Statement], bucket_arn: str) -> None:
    """Raises Invalid if the policy names a deleted role or user: AWS rejects such a policy."""
    for each in statements:
        for who in deleted_principals(canonical(each, bucket_arn.split(":")[1])):
            raise Invalid(
                f"the statement {each.get('Sid', '(without Sid)')} in the policy of {bucket_arn} names {who}, which "
                "was deleted, and AWS rejects a policy that names it: remove it first, or use source_protection: lock"
            )


def denied_paths(policy: str | None, bucket_arn: str) -> set[str]:
    """The paths that the policy denies to everybody, without a condition."""
    ours = [each for each in statements_in(policy) if each.get("Sid") == MOVED and _denies_everybody(each)]
    resources = [name for each in ours for name in _named(each)]
    paths = {name.removeprefix(f"{bucket_arn}/") for name in resources}
    return {path for path in paths if lock_file(path) in paths}


def _denies_everybody(statement: Statement) -> bool:
    names = _named(statement)
    return contains(canonical(statement, "aws"), canonical(_statement(names), "aws")) if names else False


def statements_in(policy: str | None) -> list[dict[str, Any]]:
    written = json.loads(policy).get("Statement", []) if policy else []
    return [written] if isinstance(written, dict) else list(written)


def _named(statement: dict[str, Any]) -> list[str]:
    value = statement.get("Resource", [])
    return [value] if isinstance(value, str) else value

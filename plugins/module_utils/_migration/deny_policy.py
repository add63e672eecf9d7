# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy statement that keeps everybody from states that have moved: a client fails before it changes anything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .._aws.protocols import PolicyClient
from .._core.model import Call, CallFailed, Failure, Invalid, Target, TfstateError
from .._policy.analysis import OPEN, contains
from .._policy.document import MAX_BYTES, MOVED, VERSION, Statement, canonical, deleted_principals
from .._terraform.protocol import lock_file

#: Reading too: a client that locks in a table could else plan and apply before it fails to write.
ACTIONS = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
#: In the place of a path: all that there is in a bucket.
EVERYTHING = "*"
#: A policy that was put is looked for so often, which is some 15 seconds, and is there once it was seen twice in a row.
LOOKS, TWICE = 7, 2


def denied_states(aws: PolicyClient, bucket: Target) -> set[str]:
    """The states of a bucket that are behind the fence."""
    return denied_paths(policy_of(aws, bucket), arn_of(aws, bucket))


def is_denied(path: str, denied: set[str]) -> bool:
    return bool({path, EVERYTHING} & denied)


def not_denied(aws: PolicyClient, bucket: Target, paths: set[str]) -> set[str]:
    """Those of these states that are not behind the fence yet. Raises Invalid if they cannot be put there."""
    policy, arn = policy_of(aws, bucket), arn_of(aws, bucket)
    known = denied_paths(policy, arn)
    found = {path for path in paths if not is_denied(path, known)}
    if found:
        with_denied(policy, arn, found)
    return found


def deny(aws: PolicyClient, bucket: Target, paths: set[str]) -> set[str]:
    """Puts these states behind the fence, and tells which were not there yet. Raises Invalid if they cannot be.

    AWS shows old policies for a while, and whoever writes at the same time may have read one: what it does not come to
    show is put once more, with what it shows instead.
    """
    missing = not_denied(aws, bucket, paths)
    is_shown = not missing
    while not is_shown:
        _put(aws, bucket, paths)
        is_shown = _comes_to_show(aws, bucket, paths)
        if not is_shown and aws.late():
            raise TfstateError(
                f"the policy of {bucket.name} does not come to deny what moved: somebody else writes it; run again"
            )
    return missing


def _put(aws: PolicyClient, bucket: Target, paths: set[str]) -> None:
    text = with_denied(policy_of(aws, bucket), arn_of(aws, bucket), paths)
    aws.write(Call("s3", "put_bucket_policy", {**bucket.bucket, "Policy": text}))


def _comes_to_show(aws: PolicyClient, bucket: Target, paths: set[str]) -> bool:
    """Whether the fence is seen twice in a row."""
    in_a_row = 0
    for attempt in range(LOOKS):
        aws.pause(attempt)
        in_a_row = 0 if not_denied(aws, bucket, paths) else in_a_row + 1
        if in_a_row == TWICE:
            return True
    return False


def policy_of(aws: PolicyClient, bucket: Target) -> str | None:
    """As it is written; None where there is none."""
    (answer,) = aws.read([Call("s3", "get_bucket_policy", bucket.bucket)])
    if not isinstance(answer, Failure):
        return str(answer["Policy"])
    if answer.code == "NoSuchBucketPolicy":
        return None
    raise CallFailed(answer)


def arn_of(aws: PolicyClient, bucket: Target) -> str:
    return f"arn:{aws.partition()}:s3:::{bucket.name}"


def with_denied(policy: str | None, bucket_arn: str, paths: Iterable[str]) -> str:
    """The policy of a bucket with these states behind the fence, too; what else it says stays as it is."""
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": VERSION}
    kept = [each for each in statements_in(policy) if each.get("Sid") != MOVED]
    _check_principals(kept, bucket_arn)
    check_names(path for path in paths if path != EVERYTHING)
    wanted = {*denied_paths(policy, bucket_arn), *paths}
    denied = [EVERYTHING] if EVERYTHING in wanted else sorted(wanted)
    ours = _statement([f"{bucket_arn}/{name}" for path in denied for name in (path, lock_file(path))])
    _check_replaced(policy, bucket_arn, ours)
    text = json.dumps({**document, "Statement": [*kept, ours]}, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise Invalid(
            f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes: "
            "use fence lock, and deny the bucket as a whole once everybody has moved"
        )
    return text


def _statement(resources: list[str]) -> Statement:
    return {"Sid": MOVED, "Effect": "Deny", "Principal": "*", "Action": ACTIONS, "Resource": resources}


def check_names(paths: Iterable[str]) -> None:
    """Raises Invalid for names that stand for others too where a policy names them: AWS has no way to quote them."""
    wild = sorted(path for path in paths if OPEN.search(path))
    if wild:
        more = f" and {len(wild) - 1} more" if wild[1:] else ""
        raise Invalid(
            f"the key {wild[0]!r}{more} holds *, ? or ${{, which a policy takes for a pattern: to deny it would deny "
            "other states, too; use fence lock for it, and fence deny for all others, chosen by keys"
        )


def _check_replaced(policy: str | None, bucket_arn: str, ours: Statement) -> None:
    """What somebody else wrote under our Sid is not ours to drop."""
    partition = bucket_arn.split(":")[1]
    for each in statements_in(policy):
        if each.get("Sid") == MOVED and not contains(canonical(ours, partition), canonical(each, partition)):
            raise Invalid(
                f"the statement {MOVED} in the policy of {bucket_arn} says more than that states have moved, and would "
                "be replaced: give it another Sid, or use fence lock"
            )


def _check_principals(statements: Iterable[Statement], bucket_arn: str) -> None:
    """AWS takes back no policy that names what it makes of a role or user that was deleted."""
    for each in statements:
        for who in deleted_principals(canonical(each, bucket_arn.split(":")[1])):
            raise Invalid(
                f"the statement {each.get('Sid', '(without Sid)')} in the policy of {bucket_arn} names {who}, which "
                "was deleted, and AWS takes no policy that names it: take it out first, or use fence lock"
            )


def denied_paths(policy: str | None, bucket_arn: str) -> set[str]:
    """The paths that are behind the fence already: everybody is denied all of it, and under no condition."""
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

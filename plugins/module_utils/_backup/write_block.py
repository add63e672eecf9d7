# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy statement that denies all writes to a bucket while a teardown empties it.

A bucket can only be deleted once its lock files are. From then on this statement keeps clients off: a client that finds
neither lock nor state would plan to create everything again.
"""

from __future__ import annotations

import json
from typing import Any

from .._aws.protocols import PolicyClient
from .._core.model import Call, CallFailed, Invalid, Target
from .._engine.guard import Refused
from .._migration.deny_policy import arn_of, policy_of, statements_in
from .._policy.analysis import contains
from .._policy.document import MAX_BYTES, OURS, VERSION, canonical, deleted_principals, policy_text, statements_of

SID = f"{OURS}TearDown"


def has_write_block(aws: PolicyClient, bucket: Target) -> bool:
    """Whether an earlier teardown has begun to empty the bucket. A store without policies has no such statement."""
    return bool(_write_blocks(aws, bucket))


def is_narrowed(aws: PolicyClient, bucket: Target) -> bool:
    """Whether the end of a teardown has begun, which lets lock files be written."""
    return any("NotResource" in each for each in _write_blocks(aws, bucket))


def _write_blocks(aws: PolicyClient, bucket: Target) -> list[Any]:
    try:
        policy = policy_of(aws, bucket)
    except CallFailed as failed:
        if failed.failure.is_unsupported:
            return []
        raise
    return [each for each in statements_in(policy) if each.get("Sid") == SID]


def check_no_write_block(aws: PolicyClient, bucket: Target) -> None:
    """Raises Refused if the bucket is being torn down."""
    if has_write_block(aws, bucket):
        raise Refused(
            f"bucket {bucket.name} is being torn down: finish that, or end it with tf_backend_teardown and "
            "state: cancelled"
        )


def write_block(aws: PolicyClient, bucket: Target) -> Call:
    """The call that adds the statement. Raises Invalid if AWS would reject the policy."""
    try:
        present = policy_of(aws, bucket)
    except CallFailed as failed:
        if failed.failure.is_unsupported:
            raise Invalid(
                f"{failed}. Without a policy, nobody can be kept from writing while the bucket is emptied: back it up "
                "with tf_backend_backup, stop all clients, then delete it with tf_state_bucket and state: absent"
            ) from None
        raise
    policy = policy_with_write_block(present, arn_of(aws, bucket))
    return Call("s3", "put_bucket_policy", {**bucket.bucket, "Policy": policy})


def policy_with_write_block(policy: str | None, bucket_arn: str) -> str:
    """Adds our statement to a policy and keeps all others."""
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": VERSION}
    kept = [each for each in statements_in(policy) if each.get("Sid") != SID]
    ours = {"Sid": SID, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{bucket_arn}/*"}
    partition = bucket_arn.split(":")[1]
    replaced = [each for each in statements_in(policy) if each.get("Sid") == SID]
    if not all(contains(canonical(ours, partition), canonical(each, partition)) for each in replaced):
        raise Invalid(
            f"the statement {SID} in the policy of {bucket_arn} says more than that nobody writes, and would be "
            "replaced: give it another Sid first"
        )
    text = policy_text({**document, "Statement": [*kept, ours]})
    if len(text) > MAX_BYTES:
        raise Invalid(f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes: shorten it first")
    gone = [who for each in statements_of({"Statement": kept}, "aws") for who in deleted_principals(each)]
    if gone:
        raise Invalid(
            f"the policy of {bucket_arn} names {', '.join(gone)}, which is what AWS makes of a role or user that was "
            "deleted, and AWS takes no policy that names it, so that nobody can be kept from writing: remove it first"
        )
    return text

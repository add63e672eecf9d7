# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The digest policy: a statement in the policy of a table that denies everybody to read and write digests.

Clients that lock in the table write a digest after each state. Clients that lock in the bucket alone do not. So the
first stop as soon as one of the second has written. With the digest policy nobody reads or writes a digest: Terraform
and OpenTofu log that, and continue without. Source: putMD5 and getMD5 of hashicorp/terraform,
internal/backend/remote-state/s3/client.go
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from .._aws.protocols import PolicyClient
from .._core.model import Call, CallFailed, Failure, Invalid, TfstateError
from .._policy.analysis import contains
from .._policy.document import MAX_BYTES, OURS, VERSION, canonical, meaning, policy_text

SID = f"{OURS}Digests"
ACTIONS = ["dynamodb:GetItem", "dynamodb:PutItem"]
LEADING = "dynamodb:LeadingKeys"
#: The names of the digests of a bucket.
DIGESTS = "/*-md5"
#: The revision of a policy that does not exist; and the error code if the policy has another revision.
NO_POLICY, OTHER_POLICY = "NO_POLICY", "PolicyNotFoundException"
#: Error codes of a change if another one came first, which may be ours whose reply was lost. The next read tells.
OVERTAKEN = {OTHER_POLICY, "ResourceNotFoundException"}
#: Error codes of stores without policies of tables.
UNKNOWN = {"UnknownOperationException", "NotImplemented", "InvalidAction", "UnsupportedOperation"}


@dataclass(frozen=True)
class DigestPolicy:
    """The policy of a table, as it was read."""

    arn: str
    policy: str | None = None
    revision: str = NO_POLICY

    @property
    def buckets(self) -> set[str]:
        """The buckets whose digests it denies."""
        wanted = _meaning(_statement(self.arn, self._named))
        return self._named if [_meaning(each) for each in self._ours] == [wanted] else set()

    @property
    def _ours(self) -> list[dict[str, Any]]:
        return [each for each in _statements(self.policy) if each.get("Sid") == SID]

    @property
    def _named(self) -> set[str]:
        keys = [key for each in self._ours for key in _keys(each)]
        return {key.removesuffix(DIGESTS) for key in keys if key.endswith(DIGESTS)}

    def _check_replaced(self) -> None:
        """Raises Invalid if a statement of somebody else has our Sid."""
        ours = canonical(_statement(self.arn, self._named), "aws")
        if not all(contains(ours, canonical(each, "aws")) for each in self._ours):
            raise Invalid(
                f"the statement {SID} in the policy of {self.arn} says more than that digests are not used, and would "
                "be replaced: give it another Sid first"
            )

    def changed(self, bucket: str, up: bool) -> Call:
        """The call that adds a bucket, or removes it. Other statements are kept as they are.

        Raises Invalid if a statement that is not ours would be lost.
        """
        self._check_replaced()
        buckets = self._named | {bucket} if up else self._named - {bucket}
        kept = [each for each in _statements(self.policy) if each.get("Sid") != SID]
        statements = [*kept, *([_statement(self.arn, buckets)] if buckets else [])]
        named = {"ResourceArn": self.arn, "ExpectedRevisionId": self.revision}
        if not statements:
            return Call("dynamodb", "delete_resource_policy", named)
        document = json.loads(self.policy) if self.policy else {"Version": VERSION}
        text = policy_text({**document, "Statement": statements})
        if len(text) > MAX_BYTES:
            raise Invalid(f"the policy of {self.arn} would be longer than the {MAX_BYTES} bytes that AWS takes")
        return Call("dynamodb", "put_resource_policy", {**named, "Policy": text})


def read_digest_policy(aws: PolicyClient, arn: str) -> DigestPolicy | None:
    """None if the store has no policies of tables."""
    (answer,) = aws.read([Call("dynamodb", "get_resource_policy", {"ResourceArn": arn})])
    if not isinstance(answer, Failure):
        return DigestPolicy(arn, answer["Policy"], answer["RevisionId"])
    if answer.code == OTHER_POLICY:
        return DigestPolicy(arn)
    if answer.code in UNKNOWN:
        return None
    raise CallFailed(answer)


def set_digest_policy(aws: PolicyClient, arn: str, bucket: str, up: bool, on_write: Callable[[], None]) -> None:
    """Returns once the policy has the change. A read may be older than the last write; then nothing is overwritten.

    `on_write` is called for a write that succeeded, also if its reply was lost and only the policy shows it.
    """
    is_written = False
    for attempt in count():
        seen = read_digest_policy(aws, arn)
        if seen is None or (bucket in seen.buckets) == up:
            return on_write() if attempt else None
        if attempt and aws.late():
            raise TfstateError(f"the policy of {arn} does not show {_wanted(up)} yet: run again in a minute")
        if not is_written and _is_taken(aws, seen.changed(bucket, up)):
            is_written = True
            on_write()
        aws.pause(attempt)


def _wanted(up: bool) -> str:
    return "the digest policy" if up else "that the digest policy is gone"


def _is_taken(aws: PolicyClient, call: Call) -> bool:
    """False if another client changed the policy meanwhile."""
    try:
        aws.write(call)
    except CallFailed as refused:
        if refused.failure.code not in OVERTAKEN:
            raise
        return False
    return True


def _statement(arn: str, buckets: Iterable[str]) -> dict[str, Any]:
    names = {"ForAnyValue:StringLike": {LEADING: [f"{bucket}{DIGESTS}" for bucket in sorted(buckets)]}}
    about = {"Action": ACTIONS, "Resource": arn, "Condition": names}
    return {"Sid": SID, "Effect": "Deny", "Principal": "*", **about}


def _statements(policy: str | None) -> list[dict[str, Any]]:
    written = json.loads(policy).get("Statement", []) if policy else []
    return [written] if isinstance(written, dict) else written


def _keys(statement: dict[str, Any]) -> list[str]:
    tests = statement.get("Condition", {}).values()
    found = [test.get(LEADING, []) for test in tests]
    return [key for keys in found for key in ([keys] if isinstance(keys, str) else keys)]


def _meaning(statement: dict[str, Any]) -> str:
    return meaning(canonical(statement, "aws"))

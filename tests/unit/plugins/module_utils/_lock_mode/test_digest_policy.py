# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The digest policy is one statement of ours for all buckets of a table, and changes nothing else of its policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.digest_policy import (
    NO_POLICY,
    SID,
    DigestPolicy,
)
from hypothesis import given
from hypothesis import strategies as st

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/acme-locks"
TEAM = {"Sid": "Team", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "dynamodb:*", "Resource": ARN}
NAMES = st.lists(st.sampled_from(["acme-a", "acme-b", "acme-c"]), max_size=6)


def after(seen: DigestPolicy, call: Call) -> DigestPolicy:
    """The policy as it is once a call was taken."""
    assert call.params["ExpectedRevisionId"] == seen.revision
    if call.operation == "delete_resource_policy":
        return DigestPolicy(ARN)
    return DigestPolicy(ARN, call.params["Policy"], f"{seen.revision}+")


def statements(digest_policy: DigestPolicy) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(digest_policy.policy)["Statement"] if digest_policy.policy else []
    return found


@given(up=NAMES, down=NAMES, is_shared=st.booleans())
def test_each_bucket_goes_and_comes_by_itself_and_others_statements_stay(
    up: list[str], down: list[str], is_shared: bool
) -> None:
    theirs = json.dumps({"Version": "2012-10-17", "Id": "x", "Statement": [TEAM]})
    digest_policy = DigestPolicy(ARN, theirs, "r") if is_shared else DigestPolicy(ARN)
    for name in up:
        digest_policy = after(digest_policy, digest_policy.changed(name, up=True))
        assert name in digest_policy.buckets
    assert digest_policy.buckets == set(up)
    assert len([each for each in statements(digest_policy) if each["Sid"] == SID]) == bool(up)
    for name in down:
        digest_policy = after(digest_policy, digest_policy.changed(name, up=False))
    assert digest_policy.buckets == set(up) - set(down)
    assert [each for each in statements(digest_policy) if each["Sid"] != SID] == ([TEAM] if is_shared else [])


def test_the_last_statement_goes_with_the_policy() -> None:
    digest_policy = after(DigestPolicy(ARN), DigestPolicy(ARN).changed("acme-a", up=True))
    call = digest_policy.changed("acme-a", up=False)
    assert (call.operation, call.params) == (
        "delete_resource_policy",
        {"ResourceArn": ARN, "ExpectedRevisionId": digest_policy.revision},
    )
    assert DigestPolicy(ARN).revision == NO_POLICY


def ours() -> dict[str, Any]:
    digest_policy = after(DigestPolicy(ARN), DigestPolicy(ARN).changed("acme-a", up=True))
    (statement,) = statements(digest_policy)
    return statement


#: As others write the same, and what is not the same.
SAME: dict[str, dict[str, Any]] = {
    "principal": {"Principal": {"AWS": "*"}},
    "order": {"Action": ["dynamodb:PutItem", "dynamodb:GetItem"]},
    "one key": {"Condition": {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": "acme-a/*-md5"}}},
}
OTHER: dict[str, dict[str, Any]] = {
    "allows": {"Effect": "Allow"},
    "less": {"Action": "dynamodb:PutItem"},
    "all keys": {"Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["acme-a/*-md5"]}}},
    "more keys": {"Condition": {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["acme-a/*-md5", "acme-a/*"]}}},
    "another table": {"Resource": f"{ARN}-2"},
}

#: Of these, what the digest policy says, too, so that nothing is lost if it takes their place.
LESS = [OTHER["less"]]


@pytest.mark.parametrize("written", SAME.values(), ids=list(SAME))
def test_the_fence_is_known_however_it_is_written(written: dict[str, Any]) -> None:
    digest_policy = DigestPolicy(ARN, json.dumps({"Version": "2012-10-17", "Statement": [{**ours(), **written}]}), "r")
    assert digest_policy.buckets == {"acme-a"}


@pytest.mark.parametrize("written", OTHER.values(), ids=list(OTHER))
def test_what_is_not_quite_the_fence_is_made_one_if_it_says_no_more(written: dict[str, Any]) -> None:
    digest_policy = DigestPolicy(ARN, json.dumps({"Version": "2012-10-17", "Statement": [{**ours(), **written}]}), "r")
    assert digest_policy.buckets == set()
    if written in LESS:
        assert after(digest_policy, digest_policy.changed("acme-a", up=True)).buckets == {"acme-a"}
        return
    for up in (True, False):
        with pytest.raises(Invalid, match=f"{SID} .* says more .* give it another Sid first"):
            digest_policy.changed("acme-a", up=up)


def test_a_policy_without_room_is_told() -> None:
    large = {**TEAM, "Principal": {"AWS": [f"arn:aws:iam::111122223333:role/{number:060}" for number in range(250)]}}
    digest_policy = DigestPolicy(ARN, json.dumps({"Version": "2012-10-17", "Statement": [large]}), "r")
    with pytest.raises(Invalid, match="longer than the 20480 bytes"):
        digest_policy.changed("acme-a", up=True)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statement that keeps people from states that have moved, among the statements of others."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.write_block import policy_with_write_block
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, Target, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.deny_policy import (
    EVERYTHING,
    LOOKS,
    denied_paths,
    denied_states,
    deny,
    not_denied,
    with_denied,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.source_policy import SourcePolicy
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import MOVED

from tests.unit.plugins.module_utils.fake_aws import Bucket, FakeAws

ARN = "arn:aws:s3:::old"
OLD = Target("old", "eu-west-1")
FOREIGN: dict[str, Any] = {"Sid": "Foreign", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN}


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_a_bucket_without_a_policy_gets_one():
    policy = with_denied(None, ARN, ["a"])
    assert json.loads(policy)["Version"] == "2012-10-17"
    assert [each["Resource"] for each in statements(policy)] == [[f"{ARN}/a", f"{ARN}/a.tflock"]]
    assert denied_paths(policy, ARN) == {"a"}


@pytest.mark.parametrize("written", [[FOREIGN], FOREIGN], ids=["a list", "a single statement"])
def test_what_others_say_stays_as_they_wrote_it(written: Any):
    policy = with_denied(json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": written}), ARN, ["b"])
    document = json.loads(policy)
    assert (document["Version"], document["Id"], statements(policy)[0]) == ("2008-10-17", "x", FOREIGN)


def test_the_fence_grows_and_twice_is_once():
    once = with_denied(with_denied(None, ARN, ["b"]), ARN, ["a", "b"])
    assert denied_paths(once, ARN) == {"a", "b"}
    assert len(statements(once)) == 1
    assert with_denied(once, ARN, ["a"]) == once


def test_nobody_else_s_statement_is_taken_for_the_fence():
    policy = json.dumps({"Statement": [{**FOREIGN, "Resource": [f"{ARN}/a", f"{ARN}/a.tflock"]}]})
    assert denied_paths(policy, ARN) == denied_paths(None, ARN) == set()


def test_a_fence_that_names_nothing_keeps_nobody_out():
    assert (
        denied_paths(json.dumps({"Statement": {"Sid": MOVED, "Effect": "Deny", "NotResource": f"{ARN}/a"}}), ARN)
        == set()
    )


PROTECTION = statements(with_denied(None, ARN, ["a"]))[0]
NOT_QUITE: dict[str, dict[str, Any]] = {
    "it allows": {"Effect": "Allow"},
    "it is for one account": {"Principal": {"AWS": "444455556666"}},
    "it has a condition": {"Condition": {"StringEquals": {"aws:PrincipalAccount": "444455556666"}}},
    "it denies too little": {"Action": "s3:PutObject"},
}


@pytest.mark.parametrize("other", NOT_QUITE.values(), ids=NOT_QUITE)
def test_what_does_not_deny_everybody_everything_is_no_fence(other: dict[str, Any]):
    assert denied_paths(json.dumps({"Statement": [{**PROTECTION, **other}]}), ARN) == set()


SAYS_MORE: dict[str, dict[str, Any]] = {
    "it allows": {"Effect": "Allow"},
    "it denies more actions": {"Action": "s3:*"},
    "it denies more objects": {"Resource": [*PROTECTION["Resource"], f"{ARN}/logs/*"]},
    "it is about all but one": {"Resource": None, "NotResource": f"{ARN}/b"},
}


@pytest.mark.parametrize("other", SAYS_MORE.values(), ids=SAYS_MORE)
def test_somebody_else_s_words_under_our_sid_are_not_dropped(other: dict[str, Any]):
    theirs = {name: value for name, value in {**PROTECTION, **other}.items() if value}
    with pytest.raises(Invalid, match=r"CornerstoneTfstateMoved in the policy of .* would be replaced"):
        with_denied(json.dumps({"Statement": [theirs]}), ARN, ["b"])


WILD = ["*", "a*", "a?b/terraform.tfstate", "${aws:username}", "env:/${x}/k", "a/*/b"]


@pytest.mark.parametrize("key", WILD)
def test_a_key_that_a_policy_takes_for_a_pattern_is_not_written_into_one(key: str):
    aws = bucket_of()
    for paths in ({key, "b"}, {key}):
        with pytest.raises(
            Invalid, match=r"holds \*, \? or \$\{, which a policy takes for a pattern.*use source_protection: lock"
        ):
            source_policy(aws, paths).plan(paths)
        with pytest.raises(Invalid, match="pattern"):
            source_policy(aws, paths).put(paths)
    assert aws.writes == []


@pytest.mark.parametrize("key", ["$", "{a}", "$a{", "[ab]", "a b", "a%2A", "ä"])
def test_any_other_key_can_be_denied(key: str):
    aws = bucket_of()
    source_policy(aws, {key}).put({key})
    assert denied_states(aws, OLD) == {key}


@pytest.mark.parametrize("key", WILD)
def test_a_bucket_as_a_whole_can_be_denied_whatever_its_keys_are(key: str):
    aws = bucket_of()
    protection = source_policy(aws, {key}, is_whole=True)
    protection.put({key})
    assert protection.done == denied_states(aws, OLD) == {EVERYTHING}


def source_policy(aws: FakeAws, paths: set[str], is_whole: bool = False) -> SourcePolicy:
    """Of a move of these states."""
    protection = SourcePolicy(cast(Any, SimpleNamespace(aws=aws, bucket=OLD)), is_whole)
    protection._holds_only = lambda found: found == paths  # type: ignore[method-assign]
    return protection


def test_a_fence_that_is_too_long_for_a_policy_is_refused():
    with pytest.raises(Invalid, match="20480 bytes that AWS takes: use source_protection: lock"):
        with_denied(None, ARN, [f"{number:03}/terraform.tfstate" for number in range(300)])


def bucket_of(policy: str | None = None) -> FakeAws:
    return FakeAws({"old": Bucket(policy=json.loads(policy) if policy else None)})


def put(aws: FakeAws, policy: str) -> None:
    aws.buckets["old"].policy = json.loads(policy)


def test_what_is_denied_already_is_not_written_again():
    aws = bucket_of()
    assert deny(aws, OLD, {"a", "b"}) == {"a", "b"} and denied_states(aws, OLD) == {"a", "b"}
    assert deny(aws, OLD, {"a"}) == set()
    assert len(aws.writes) == 1


@pytest.mark.aws("2.2")
def test_an_old_policy_is_no_reason_to_put_it_again():
    aws = bucket_of()
    aws.stale_rounds = LOOKS - 2
    deny(aws, OLD, {"a"})
    assert denied_states(aws, OLD) == {"a"} and len(aws.writes) == 1


@pytest.mark.aws("2.2")
def test_a_fence_that_somebody_overwrites_is_put_once_more_beside_what_he_wrote():
    aws = bucket_of()
    theirs = [with_denied(json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN]}), ARN, ["b"])]
    aws.watch = lambda world: put(world, theirs.pop()) if theirs else None
    deny(aws, OLD, {"a"})
    assert denied_states(aws, OLD) == {"a", "b"}
    assert (aws.buckets["old"].policy or {})["Statement"][0] == FOREIGN


def test_a_fence_that_never_shows_is_a_failure():
    aws = bucket_of()
    aws.watch = lambda world: put(world, with_denied(None, ARN, ["b"]))
    with pytest.raises(TfstateError, match="old does not deny the states that moved: another client changes it"):
        deny(aws, OLD, {"a"})


@pytest.mark.aws("2.5")
def test_a_statement_of_somebody_who_was_deleted_is_told_before_anything_moves():
    gone = {**FOREIGN, "Principal": {"AWS": "AROAEXAMPLE"}}
    aws = bucket_of(json.dumps({"Version": "2012-10-17", "Statement": [gone]}))
    with pytest.raises(Invalid, match=r"the statement Foreign in the policy of .* names AROAEXAMPLE"):
        not_denied(aws, OLD, {"a"})
    assert aws.writes == []


def test_nobody_else_s_words_are_dropped_as_a_bucket_is_closed():
    write_block = statements(policy_with_write_block(None, ARN))[0]
    assert statements(policy_with_write_block(policy_with_write_block(None, ARN), ARN)) == [write_block]
    theirs = {**write_block, "Action": "s3:*"}
    with pytest.raises(Invalid, match=r"CornerstoneTfstateTearDown in the policy of .* would be replaced"):
        policy_with_write_block(json.dumps({"Statement": [theirs]}), ARN)

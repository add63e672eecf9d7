# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statement that keeps people from states that have moved, among the statements of others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.fencing import SID, denied, fenced

ARN = "arn:aws:s3:::old"
FOREIGN: dict[str, Any] = {"Sid": "Foreign", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN}


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_a_bucket_without_a_policy_gets_one():
    policy = fenced(None, ARN, ["a"])
    assert json.loads(policy)["Version"] == "2012-10-17"
    assert [each["Resource"] for each in statements(policy)] == [[f"{ARN}/a", f"{ARN}/a.tflock"]]
    assert denied(policy, ARN) == {"a"}


@pytest.mark.parametrize("written", [[FOREIGN], FOREIGN], ids=["a list", "a single statement"])
def test_what_others_say_stays_as_they_wrote_it(written: Any):
    policy = fenced(json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": written}), ARN, ["b"])
    document = json.loads(policy)
    assert (document["Version"], document["Id"], statements(policy)[0]) == ("2008-10-17", "x", FOREIGN)


def test_the_fence_grows_and_twice_is_once():
    once = fenced(fenced(None, ARN, ["b"]), ARN, ["a", "b"])
    assert denied(once, ARN) == {"a", "b"}
    assert len(statements(once)) == 1
    assert fenced(once, ARN, ["a"]) == once


def test_nobody_else_s_statement_is_taken_for_the_fence():
    policy = json.dumps({"Statement": [{**FOREIGN, "Resource": [f"{ARN}/a", f"{ARN}/a.tflock"]}]})
    assert denied(policy, ARN) == denied(None, ARN) == set()


def test_a_fence_that_names_nothing_keeps_nobody_out():
    assert denied(json.dumps({"Statement": {"Sid": SID, "Effect": "Deny", "NotResource": f"{ARN}/a"}}), ARN) == set()


def test_a_fence_that_is_too_long_for_a_policy_is_refused():
    with pytest.raises(Invalid, match="20480 bytes that AWS takes: use fence lock"):
        fenced(None, ARN, [f"{number:03}/terraform.tfstate" for number in range(300)])

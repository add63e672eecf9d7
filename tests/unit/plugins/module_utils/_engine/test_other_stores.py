# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stores that are not AWS: settings that they take and do not keep, and operations that they do not have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import (
    ADVICE,
    DENIED,
    advice_on,
    is_definite,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.write_block import (
    has_write_block,
    write_block,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import differing
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import Bucket, FakeAws, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME, STATE_OBJECTS, TARGET

KIND = KINDS["bucket"]


@dataclass
class Forgetful(FakeAws):
    """A store that takes every lifecycle and keeps only the members that it knows."""

    serves_like_aws: bool = False
    keeps: frozenset[str] = frozenset()

    def _s3_put_bucket_lifecycle_configuration(self, params: Any) -> None:
        rules = copy.deepcopy(params["LifecycleConfiguration"]["Rules"])
        for rule in rules:
            expiration = rule.get("NoncurrentVersionExpiration", {})
            for name in {*expiration} - self.keeps:
                del expiration[name]
        kept = {**params, "LifecycleConfiguration": {"Rules": rules}}
        super()._s3_put_bucket_lifecycle_configuration(kept)


@dataclass
class Deaf(FakeAws):
    """A store that takes every lifecycle and keeps none."""

    serves_like_aws: bool = False

    def _s3_put_bucket_lifecycle_configuration(self, params: Any) -> None:
        self._bucket(params)


def test_what_a_store_drops_of_a_setting_is_warned_of_within_seconds() -> None:
    aws = Forgetful(keeps=frozenset({"NoncurrentDays"}))
    outcome = KIND.run(aws, {})
    assert [each for each in outcome.warnings if "lifecycle" in each] == [
        f"bucket {NAME}: the store accepted the change of lifecycle but did not keep it: it has "
        '{} instead of {"NewerNoncurrentVersions": 20}, or leave it alone with unmanaged: [lifecycle]'
    ]
    assert aws.pauses < 20
    rule = outcome.after["lifecycle"]["cornerstone.tfstate"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}, "the result says what is there"


def test_a_setting_that_a_store_does_not_keep_at_all_is_warned_of_before_the_deadline() -> None:
    aws = Deaf()
    outcome = KIND.run(aws, {})
    assert [each for each in outcome.warnings if "did not keep it: it has {} instead of" in each]
    assert outcome.after["lifecycle"] == {}
    assert aws.pauses < 30


def test_aws_itself_gets_the_whole_time() -> None:
    aws = Deaf(serves_like_aws=True)
    (warning,) = [each for each in KIND.run(aws, {}).warnings if "lifecycle" in each]
    assert "reads back the old lifecycle" in warning
    assert aws.late()


def test_a_store_that_shows_a_change_late_is_waited_for() -> None:
    aws = FakeAws(serves_like_aws=False, stale_rounds=3)
    assert KIND.run(aws, {}).warnings == ()


def test_only_what_differs_is_named() -> None:
    assert differing({"a": 1, "b": {"c": 1, "d": 2}}, {"a": 1, "b": {"c": 1, "d": 3}}) == ("2", "3")
    assert differing({"a": 1}, {"a": 2, "b": 3}) == ('{"a": 1}', '{"a": 2, "b": 3}')
    assert differing(None, "x") == ("null", '"x"')


# A definite refusal is told at once.

DEFINITE = ["MethodNotAllowed", "405", "400", "NotImplemented", "501", "InvalidRequest", "MalformedXML", "AccessDenied"]


@pytest.mark.parametrize("code", DEFINITE)
def test_a_definite_refusal_is_looked_at_once(code: str) -> None:
    aws = KIND.world(Bucket(versioning=None), faults={"put_bucket_versioning": [code]})
    with pytest.raises(TfstateError, match=code):
        KIND.run(aws, {"versioning": True})
    assert aws.pauses == 0


@pytest.mark.parametrize("code", ["InternalError", "ServiceUnavailable", "500", "OperationAborted", "SlowDown"])
def test_a_doubtful_reply_is_looked_at_for_some_seconds(code: str) -> None:
    aws = KIND.world(Bucket(versioning=None), faults={"put_bucket_versioning": [code]})
    with pytest.raises(TfstateError, match=code):
        KIND.run(aws, {"versioning": True})
    assert aws.pauses == 5


@given(st.sampled_from(["MalformedXML", "InvalidRequest", "400"]))
def test_the_refusal_of_a_repetition_is_doubtful(code: str) -> None:
    call = Call("dynamodb", "update_table", {"TableName": NAME})
    assert is_definite(Failure(call, code, "", ""))
    assert not is_definite(Failure(call, code, "", "", is_repeated=True))


# What a store does not have.


def test_a_write_that_a_store_does_not_have_names_the_option_that_leaves_it_out() -> None:
    aws = KIND.world(Bucket(versioning=None), faults={"put_bucket_versioning": ["NotImplemented"]})
    with pytest.raises(TfstateError, match=r"NotImplemented; .*, or leave it alone with unmanaged: \[versioning\]"):
        KIND.run(aws, {"versioning": True})


@pytest.mark.parametrize("kind", ["bucket", "table"])
def test_a_deletion_needs_no_read_that_the_store_does_not_have(kind: str) -> None:
    operations = ["get_bucket_tagging", "list_tags_of_resource", "get_object_lock_configuration"]
    found = Bucket(objects=list(STATE_OBJECTS)) if kind == "bucket" else Table()
    aws = KINDS[kind].world(found, faults={each: ["NotImplemented"] * 9 for each in operations})
    KINDS[kind].run(aws, {"state": "absent", **KINDS[kind].everything_allowed})
    assert NAME not in {**aws.buckets, **aws.tables}


@pytest.mark.parametrize("kind", ["bucket", "table"])
def test_a_deletion_by_a_module_without_unmanaged_does_not_advise_it(kind: str) -> None:
    read = {"bucket": "get_bucket_tagging", "table": "list_tags_of_resource"}[kind]
    aws = KINDS[kind].world(Bucket() if kind == "bucket" else Table(), faults={read: ["AccessDenied"] * 2})
    with pytest.raises(TfstateError, match=f"{read}.*AccessDenied") as refusal:
        KINDS[kind].run_without_unmanaged(aws, {"state": "absent", **KINDS[kind].everything_allowed})
    assert "unmanaged" not in str(refusal.value)


def test_a_bucket_of_a_store_without_policies_can_be_backed_up_and_not_be_torn_down() -> None:
    aws: Any = KIND.world(Bucket(), faults={"get_bucket_policy": ["NotImplemented"] * 2})
    assert not has_write_block(aws, TARGET)
    with pytest.raises(TfstateError, match="back it up with tf_backend_backup, stop all clients, then delete it with"):
        write_block(aws, TARGET)
    aws.faults = {"get_bucket_policy": ["AccessDenied"]}
    with pytest.raises(TfstateError, match="AccessDenied"):
        has_write_block(aws, TARGET)


#: Options that only the modules of buckets and tables have.
FOREIGN = ("unmanaged", "policy_statements", "kms_key_id", "tags", "billing_mode")


@pytest.mark.parametrize("operation", ["put_object", "delete_object", "get_object", "head_object", "get_item"])
def test_advice_on_objects_and_items_names_only_options_that_their_modules_have(operation: str) -> None:
    params = {"Bucket": "b", "Key": "k", "IfNoneMatch": "*"}
    call = Call("dynamodb" if "item" in operation else "s3", operation, params)
    for code in sorted({*ADVICE, *DENIED}):
        advice = advice_on(call, code)
        assert not [each for each in FOREIGN if each in advice and "tf_lock_table" not in advice], (code, advice)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The vocabulary: calls in words, three answers, and plans."""

from __future__ import annotations

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    Failure,
    Target,
    Unknown,
    desire,
    merged,
    plan,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.baseline import bucket_region
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

BUCKETS = Target("tf-state", "eu-west-1", owner="111122223333", fresh=True)
NEW_BUCKET = {facet.name: facet.new for facet in BUCKET.facets}
NEW_TABLE = {facet.name: facet.new for facet in TABLE.facets}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("s3", "head_bucket", {"Bucket": "b"}), "head_bucket on b"),
        (Call("dynamodb", "tag_resource", {"ResourceArn": "arn", "Tags": []}), "tag_resource on arn"),
        (Call("sts", "get_caller_identity"), "get_caller_identity"),
    ],
)
def test_a_call_says_what_and_on_what(call: Call, words: str) -> None:
    assert str(call) == words


def test_a_failure_says_what_failed_on_what_and_what_to_do() -> None:
    failure = Failure(
        Call("s3", "put_bucket_policy", {"Bucket": "b"}), "AccessDenied", "no", "needs s3:PutBucketPolicy"
    )
    assert str(failure) == "put_bucket_policy on b: AccessDenied; needs s3:PutBucketPolicy (AWS: no)"


def test_there_are_three_answers() -> None:
    tags = next(facet for facet in BUCKET.facets if facet.name == "tags")
    missing, denied = (Failure(tags.read(BUCKETS), code, "", "") for code in ("NoSuchTagSet", "AccessDenied"))
    assert tags.value({"TagSet": []}, BUCKETS) == {}
    assert tags.value(missing, BUCKETS) == tags.absent
    assert tags.value(denied, BUCKETS) == Unknown(denied)


def test_nothing_differs_nothing_is_planned() -> None:
    wanted = desire(BUCKET.facets, BUCKETS, {}, NEW_BUCKET)
    assert plan(BUCKET.facets, BUCKETS, wanted, wanted) == ()


def test_a_new_bucket_is_planned_in_the_order_of_application() -> None:
    wanted = desire(BUCKET.facets, BUCKETS, {"tags": {"a": "1"}}, NEW_BUCKET)
    changes = plan(BUCKET.facets, BUCKETS, NEW_BUCKET, wanted)
    assert [change.facet for change in changes] == ["existence", "lifecycle", "versioning", "tags", "policy"]


def test_a_bucket_is_never_created_without_the_tags_that_were_asked_for() -> None:
    wanted = desire(BUCKET.facets, BUCKETS, {"tags": {"a": "1"}}, NEW_BUCKET)
    changes = {change.facet: change for change in plan(BUCKET.facets, BUCKETS, NEW_BUCKET, wanted)}
    (create,) = changes["existence"].calls
    assert create.params["CreateBucketConfiguration"] == {
        "LocationConstraint": "eu-west-1",
        "Tags": [{"Key": "a", "Value": "1"}],
    }
    assert changes["tags"].calls == ()


def test_where_aws_denies_the_tags_the_bucket_is_created_without_them() -> None:
    wanted = desire(BUCKET.facets, BUCKETS, {"tags": {"a": "1"}}, NEW_BUCKET)
    (create,) = plan(BUCKET.facets, BUCKETS, NEW_BUCKET, wanted)[0].calls
    (bare,) = create.instead
    assert bare.params == {"Bucket": "tf-state", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}


def test_one_call_creates_a_table_as_it_shall_be() -> None:
    params = {"read_capacity": 5, "write_capacity": 5, "tags": {"a": "1"}, "table_class": "STANDARD_INFREQUENT_ACCESS"}
    wanted = desire(TABLE.facets, BUCKETS, params, NEW_TABLE)
    changes = plan(TABLE.facets, BUCKETS, NEW_TABLE, wanted)
    calls = [call for change in changes for call in change.calls]
    assert [call.operation for call in calls] == ["create_table", "update_continuous_backups"]
    assert calls[0].params == {
        "TableName": "tf-state",
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        "DeletionProtectionEnabled": True,
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "Tags": [{"Key": "a", "Value": "1"}],
    }


def test_a_table_can_be_created_with_everything_else_unmanaged() -> None:
    changes = plan((TABLE.existence,), BUCKETS, {"existence": None}, {"existence": {"key": {"LockID": "S HASH"}}})
    (create,) = changes[0].calls
    assert create.params["BillingMode"] == "PAY_PER_REQUEST"  # AWS takes no table without


def test_absent_wants_nothing_but_absence() -> None:
    observed = {facet.name: facet.new for facet in BUCKET.teardown}
    assert desire(BUCKET.teardown, BUCKETS, {"state": "absent"}, observed) == {
        "lock_files": [],
        "contents": {"versions": [], "more": False},
        "existence": None,
    }


def test_trees_merge_where_they_meet_and_the_second_wins() -> None:
    assert merged({"a": {"b": 1, "c": 1}, "d": 1}, {"a": {"b": 2}, "d": {"e": 3}}) == {
        "a": {"b": 2, "c": 1},
        "d": {"e": 3},
    }


def test_the_region_is_read_from_wherever_botocore_leaves_it() -> None:
    headers = {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}}
    assert bucket_region({"BucketRegion": "af-south-1", **headers}) == "af-south-1"
    assert bucket_region(headers) == "eu-west-1"
    assert bucket_region({}) is None

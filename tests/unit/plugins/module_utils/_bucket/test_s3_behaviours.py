# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS does to buckets and keys, by the items of docs/aws-behaviours.md that no emulator can show."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import replace
from importlib import import_module
from typing import Any

import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    Call,
    CallFailed,
    Facet,
    Failure,
    Target,
    TfstateError,
    Unknown,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Interrupted, reconcile
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.baseline import our_statements
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import faults
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.unit.plugins.module_utils._aws.test_client import (
    DONE,
    HEAD,
    VERSIONED,
    WHO,
    Script,
    botocore_does_not_sleep,
    described_key,
    header,
    s3_error,
    says,
    sts_error,
)
from tests.unit.plugins.module_utils.facets import given
from tests.unit.plugins.module_utils.facets.given import UNKNOWN
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, FLAGS, KEY, OTHER_KEY, REGION, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import ARN, KINDS, NAME, OUR_RULE, STATE_OBJECTS

__all__ = ["botocore_does_not_sleep"]

KIND = KINDS["bucket"]
SETTINGS = {facet.name: facet for facet in BUCKET.facets[1:]}
every_setting = pytest.mark.parametrize("facet", SETTINGS.values(), ids=SETTINGS)


def bucket_of(aws: Any) -> Bucket:
    found = KIND.it(aws)
    assert isinstance(found, Bucket)
    return found


# 1. Create and identify


@pytest.mark.aws("1.1")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "af-south-1", "cn-north-1"])
def test_only_us_east_1_is_not_named_when_a_bucket_is_created(region: str) -> None:
    target = replace(given.BUCKET, region=region)
    (create,) = BUCKET.existence.calls(target, None, BUCKET.existence.desired({}, None, target))
    script = Script([DONE])
    script.connect(region=region).write(create)
    body = bytes(script.requests[0].body or b"").decode()
    assert (f"<LocationConstraint>{region}</LocationConstraint>" in body) == (region != "us-east-1")
    assert f"/{region}/s3/aws4_request" in header(script, "Authorization")


@pytest.mark.aws("1.2")
def test_a_bucket_that_is_there_is_never_created_again() -> None:
    aws = KIND.world(Bucket())
    KIND.run(aws, {"encryption": "aws:kms"})
    assert "create_bucket" not in [call.operation for call in aws.writes]


@pytest.mark.aws("1.2")
def test_a_bucket_that_appears_while_we_create_it_keeps_its_history() -> None:
    history = Bucket(versioning="Enabled", objects=list(STATE_OBJECTS), tags={"Owner": "ops"}, policy=None)
    aws = KIND.world(None, overtaken_by=history)
    outcome = KIND.run(aws, {})
    assert bucket_of(aws).lifecycle is None  # a new one of ours would have got a retention
    assert bucket_of(aws).tags == {"Owner": "ops"}
    assert outcome.changes[0].facet == EXISTENCE  # for all that we know, it was our call
    assert KIND.run(aws, {}).changes == ()


@pytest.mark.aws("1.2", "1.6")
def test_a_bucket_that_appears_in_another_region_is_not_touched() -> None:
    aws = KIND.world(None, overtaken_by=Bucket(region="af-south-1"))
    with pytest.raises(TfstateError, match="BucketAlreadyOwnedByYou"):
        KIND.run(aws, {})
    assert aws.writes == []


@pytest.mark.aws("1.2")
def test_a_bucket_of_ours_that_cannot_be_seen_says_where_it_may_be() -> None:
    script = Script([s3_error("BucketAlreadyOwnedByYou", 409)])
    with pytest.raises(CallFailed, match="is it in another region"):
        script.connect().write(Call("s3", "create_bucket", {"Bucket": NAME}))


@pytest.mark.aws("1.2")
def test_a_bucket_that_appears_and_is_managed_by_another_tool_is_refused() -> None:
    aws = KIND.world(None, overtaken_by=Bucket(tags={"ManagedBy": "Terraform"}))
    with pytest.raises(Refused, match="shared_management"):
        KIND.run(aws, {})
    assert aws.writes == []


PAGES = [
    b"<ListAllMyBucketsResult><Buckets><Bucket><Name>tf-state-2</Name></Bucket></Buckets>"
    b"<ContinuationToken>more</ContinuationToken></ListAllMyBucketsResult>",
    b"<ListAllMyBucketsResult><Buckets><Bucket><Name>tf-state</Name></Bucket></Buckets></ListAllMyBucketsResult>",
]


@pytest.mark.aws("1.4")
def test_buckets_are_listed_page_by_page_whatever_the_quota() -> None:
    script = Script([says(403), *(says(200, page) for page in PAGES)])
    (answer,) = script.connect().read([HEAD])
    assert "the bucket is yours" in str(answer)
    asked = [request.url for request in script.requests[1:]]
    assert all("max-buckets=1000" in url and "prefix=tf-state" in url for url in asked)
    assert "continuation-token=more" in asked[1]


@pytest.mark.aws("1.4")
def test_a_head_bucket_without_reason_is_told_by_sts() -> None:
    expired = says(403, b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>")
    script = Script(by_operation={"HeadBucket": says(400), "GetCallerIdentity": expired})
    with pytest.raises(TfstateError, match="get_caller_identity: ExpiredToken; the credentials have expired"):
        reconcile(script.connect(), BUCKET, Target(NAME, REGION), {"state": "present"}, check_mode=False)


@pytest.mark.aws("1.5")
def test_a_bucket_that_we_did_not_create_is_not_waited_for() -> None:
    script = Script([s3_error("NoSuchBucket", 404)])
    (answer,) = script.connect().read([SETTINGS["versioning"].read(given.BUCKET)])
    assert isinstance(answer, Failure)
    assert script.slept == []


@pytest.mark.aws("1.5")
@pytest.mark.parametrize("call", [HEAD, SETTINGS["policy"].read(given.BUCKET)], ids=str)
def test_a_bucket_that_we_created_is_waited_for_at_least_two_minutes(call: Call) -> None:
    script = Script([says(404) if call is HEAD else s3_error("NoSuchBucket", 404)])
    script.connect().read([call], newly_created=True)
    assert script.clock >= 120


@pytest.mark.aws("1.6")
def test_a_bucket_that_botocore_follows_into_another_region_is_refused_before_any_write() -> None:
    elsewhere = says(301, x_amz_bucket_region="eu-central-1")
    there = says(200, x_amz_bucket_region="eu-central-1")

    class Followed(Script):
        def __call__(self, request: Any, event_name: str, **more: Any) -> Any:
            followed = "eu-central-1" in request.url
            self.by_operation["HeadBucket"] = there if followed else elsewhere
            return super().__call__(request, event_name, **more)

    absent = {"GetBucketPolicy": "NoSuchBucketPolicy", "GetBucketTagging": "NoSuchTagSet"}
    by_operation = {name: s3_error(code, 404) for name, code in absent.items()}
    script = Followed(by_operation={**by_operation, "GetBucketVersioning": VERSIONED})
    unmanaged = [name for name in SETTINGS if name not in ("versioning", "tags", "policy")]
    with pytest.raises(Refused, match=r"lies in eu-central-1, not in eu-west-1; correct region"):
        reconcile(script.connect(), BUCKET, Target(NAME, REGION), {"state": "present", "unmanaged": unmanaged}, False)
    assert {request.method for request in script.requests} <= {"HEAD", "GET"}


def located(region: str) -> Any:
    return says(200, f"<LocationConstraint>{region}</LocationConstraint>".encode())


@pytest.mark.aws("1.1", "1.6")
@pytest.mark.parametrize(("location", "region"), [("", "us-east-1"), ("EU", "eu-west-1"), ("af-south-1", "af-south-1")])
def test_a_region_that_head_bucket_leaves_out_is_asked_for(location: str, region: str) -> None:
    script = Script(by_operation={"HeadBucket": DONE, "GetBucketLocation": located(location)})
    (answer,) = script.connect().read([HEAD])
    assert BUCKET.existence.value(answer, given.BUCKET) == {"region": region}
    assert header(script, "x-amz-expected-bucket-owner") == ACCOUNT


@pytest.mark.aws("1.6", "6.10")
def test_a_region_that_nobody_tells_is_not_taken_for_ours() -> None:
    denied: dict[str, Any] = {"HeadBucket": DONE, "GetBucketLocation": s3_error("AccessDenied", 403)}
    denied["GetCallerIdentity"] = sts_error("AccessDenied")
    with pytest.raises(
        TfstateError, match=r"get_bucket_location on tf-state: AccessDenied; needs s3:GetBucketLocation"
    ):
        reconcile(Script(by_operation=denied).connect(), BUCKET, Target(NAME, REGION), {"state": "present"}, False)


@pytest.mark.aws("1.6")
def test_a_redirect_that_names_no_region_is_no_endless_one() -> None:
    with pytest.raises(TfstateError, match="redirected without end; look for a proxy or a captive portal"):
        Script([says(301)]).connect().read([HEAD])


@pytest.mark.aws("1.7", "3.1")
def test_the_expected_owner_goes_with_every_call_but_the_creation() -> None:
    asked = {"kms_key_id": "alias/state", "object_lock": True, "tags": {"a": "b"}, "logging_target_bucket": "tf-logs"}
    aws = KIND.world(None)
    KIND.run(aws, {**asked, **KIND.everything_allowed})
    bucket_of(aws).objects = list(STATE_OBJECTS[:1])
    bucket_of(aws).object_lock = None
    KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    calls = [call for call in [*aws.reads, *aws.writes] if call.service == "s3"]
    without = {call.operation for call in calls if call.params.get("ExpectedBucketOwner") != ACCOUNT}
    assert without == {"create_bucket"}
    assert {"delete_objects", "delete_bucket", "put_bucket_policy"} <= {call.operation for call in calls}


@pytest.mark.aws("1.10")
def test_a_creation_carries_nothing_that_needs_another_permission_but_tags() -> None:
    aws = KIND.world(None)
    asked = {"tags": {"a": "b"}, "object_lock": True, "kms_key_id": KEY, "object_ownership": "BucketOwnerPreferred"}
    KIND.run(aws, {**asked, **KIND.everything_allowed})
    create = aws.writes[0]
    assert set(create.params) == {"Bucket", "CreateBucketConfiguration"}
    assert set(create.params["CreateBucketConfiguration"]) == {"LocationConstraint", "Tags"}


@pytest.mark.aws("1.10")
def test_if_the_bare_creation_is_denied_too_both_permissions_are_named() -> None:
    with_tags = {"CreateBucketConfiguration": {"Tags": [{"Key": "a", "Value": "b"}]}}
    bare = Call("s3", "create_bucket", {"Bucket": NAME})
    script = Script([s3_error("AccessDenied", 403, "no way")])
    with pytest.raises(CallFailed, match="needs s3:CreateBucket and s3:TagResource"):
        script.connect().write(replace(bare, params={**bare.params, **with_tags}, instead=(bare,)))
    assert len(script.requests) == 2


@pytest.mark.aws("1.10")
def test_what_botocore_is_too_old_to_carry_is_left_out_of_the_creation() -> None:
    bare = Call("s3", "create_bucket", {"Bucket": NAME})
    script = Script([DONE])
    script.connect().write(replace(bare, params={**bare.params, "OfTomorrow": True}, instead=(bare,)))
    assert len(script.requests) == 1


# 2. Defaults and settings

ABSENT_CODES = [
    ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("public_access", "NoSuchPublicAccessBlockConfiguration"),
    ("ownership", "OwnershipControlsNotFoundError"),
    ("policy", "NoSuchBucketPolicy"),
    ("tags", "NoSuchTagSet"),
    ("lifecycle", "NoSuchLifecycleConfiguration"),
    ("object_lock", "ObjectLockConfigurationNotFoundError"),
]
UNSUPPORTED = ("MethodNotAllowed", "NotImplemented", "XNotImplemented", "UnsupportedArgument", "UnsupportedOperation")


def answered(facet: Facet, code: str, status: int = 404) -> Any:
    (answer,) = Script([s3_error(code, status)]).connect().read([facet.read(given.BUCKET)])
    return facet.value(answer, given.BUCKET)


@pytest.mark.aws("2.0")
@pytest.mark.parametrize(("name", "code"), ABSENT_CODES)
def test_one_code_alone_says_that_a_setting_is_absent(name: str, code: str) -> None:
    assert answered(SETTINGS[name], code) == SETTINGS[name].absent
    others = {other for _unused, other in ABSENT_CODES} - {code} | {"NoSuchBucket"}
    assert all(isinstance(answered(SETTINGS[name], other), Unknown) for other in others)


@pytest.mark.aws("1.5", "2.0")
def test_tags_that_cannot_be_seen_for_a_moment_are_neither_lost_nor_overlooked() -> None:
    theirs = {"Owner": "ops", "ManagedBy": "Terraform"}
    aws = KIND.world(Bucket(tags=theirs), faults={"get_bucket_tagging": ["NoSuchBucket"]})
    with pytest.raises(TfstateError, match="get_bucket_tagging on tf-state: NoSuchBucket"):
        KIND.run(aws, {"tags": {"Team": "core"}})
    assert (aws.writes, aws.buckets[NAME].tags) == ([], theirs)


@pytest.mark.aws("1.5")
def test_what_was_written_is_looked_at_until_two_looks_agree() -> None:
    """Two servers of S3 may know of a write at different times."""
    aws = KIND.world(Bucket())
    KIND.run(aws, {})
    aws.reads.clear()
    KIND.run(aws, {"tags": {"Team": "core"}})
    assert [call.operation for call in aws.reads].count("get_bucket_tagging") == 1 + 2


@pytest.mark.aws("2.0", "2.1", "2.7")
@every_setting
@pytest.mark.parametrize("code", [*UNSUPPORTED, "AccessDenied"])
def test_denied_and_unsupported_are_neither_absent_nor_present(facet: Facet, code: str) -> None:
    assert isinstance(answered(facet, code, 405), Unknown)


@pytest.mark.aws("2.0")
def test_what_the_partition_lacks_can_be_left_alone() -> None:
    aws = KIND.world(Bucket(), faults={"get_public_access_block": ["NotImplemented"]})
    with pytest.raises(TfstateError, match=r"get_public_access_block.*NotImplemented.*unmanaged: \[public_access\]"):
        KIND.run(aws, {})


@pytest.mark.aws("2.0", "2.14")
def test_on_a_new_bucket_what_aws_gives_is_not_written_again() -> None:
    aws = KIND.world(None)
    KIND.run(aws, {})
    assert [call.operation for call in aws.writes] == [
        "create_bucket",
        "put_bucket_lifecycle_configuration",
        "put_bucket_versioning",
        "put_bucket_policy",
    ]


@pytest.mark.aws("2.0")
def test_an_old_bucket_gets_what_a_new_one_has() -> None:
    aws = KIND.world(Bucket(public_access=None, ownership=None, versioning="Enabled"))
    KIND.run(aws, {})
    assert bucket_of(aws).public_access == dict.fromkeys(FLAGS, True)
    assert bucket_of(aws).ownership == "BucketOwnerEnforced"


@pytest.mark.aws("2.3")
def test_a_bucket_is_written_one_call_at_a_time() -> None:
    """Whoever writes at the same time is OperationAborted, and botocore repeats that in none of its modes."""
    script = Script([s3_error("OperationAborted", 409), s3_error("OperationAborted", 409), DONE])
    script.connect().write(
        Call("s3", "put_bucket_versioning", {"Bucket": NAME, "VersioningConfiguration": {"Status": "Enabled"}})
    )
    assert len(script.slept) == 2


BLOCKED = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}


def encrypted(algorithm: str, key: str | None = None, **rule: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    return {"ApplyServerSideEncryptionByDefault": default, **rule}


@pytest.mark.aws("2.4")
def test_what_nobody_asked_to_change_of_the_encryption_rule_is_carried_along() -> None:
    found = encrypted("aws:kms", KEY, BucketKeyEnabled=False, **BLOCKED)
    aws = KIND.world(Bucket(versioning="Enabled", encryption=found))
    KIND.run(aws, {"kms_key_id": "alias/other", "allow": ["change_kms_key"]})
    (put,) = [call for call in aws.writes if call.operation == "put_bucket_encryption"]
    (rule,) = put.params["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule == encrypted("aws:kms", OTHER_KEY, BucketKeyEnabled=False, **BLOCKED)


@pytest.mark.aws("2.4", "5.3")
@pytest.mark.parametrize(
    "found",
    [
        encrypted("AES256"),
        encrypted("AES256", BucketKeyEnabled=False, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]}),
        encrypted("AES256", BucketKeyEnabled=False),
        encrypted("aws:kms", KEY),
        encrypted("aws:kms", BucketKeyEnabled=False),
        encrypted("aws:fsx"),
    ],
)
def test_no_way_to_write_an_encryption_is_a_difference(found: dict[str, Any]) -> None:
    aws = KIND.world(Bucket(versioning="Enabled", encryption=found))
    assert "encryption" not in [change.facet for change in KIND.run(aws, {}).changes]
    assert bucket_of(aws).encryption == found


@pytest.mark.aws("2.5")
@pytest.mark.parametrize(
    ("action", "resource", "said"),
    [
        ("s3:GetObject", ARN, f"s3:GetObject is about objects: add the resource {ARN}/*"),
        ("s3:AbortMultipartUpload", ARN, "is about objects"),
        ("s3:ListBucket", f"{ARN}/*", f"s3:ListBucket is about the bucket: add the resource {ARN}"),
        ("s3:PutEncryptionConfiguration", f"{ARN}/*", "is about the bucket"),
        ("s3:PutBucketObjectLockConfiguration", ARN, None),
        ("s3:*", ARN, None),
        ("s3:Get*", f"{ARN}/*", None),
        (["s3:ListBucket", "s3:GetObject"], [ARN, f"{ARN}/*"], None),
        ("s3:GetObject", f"{ARN}/env/*", None),
    ],
)
def test_an_action_that_fits_no_resource_is_told_before_aws_says_malformed(
    action: Any, resource: Any, said: str | None
) -> None:
    statement = {"Sid": "A", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    found = "; ".join(faults(statement, ARN))
    assert said in found if said else not found


@pytest.mark.aws("2.5")
def test_what_aws_makes_of_a_role_that_was_deleted_is_another_role() -> None:
    role = {
        "Sid": "Reader",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"},
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/*",
    }
    dead = {**role, "Principal": {"AWS": "AROAEXAMPLEEXAMPLEEX"}}
    aws = KIND.world(Bucket(versioning="Enabled", policy={"Version": "2012-10-17", "Statement": [dead]}))
    outcome = KIND.run(aws, {"policy_statements": [role]})
    (change,) = [each for each in outcome.changes if each.facet == "policy"]
    assert "AROAEXAMPLEEXAMPLEEX" in json.dumps(change.before)
    assert "AROA" not in json.dumps(bucket_of(aws).policy)


@pytest.mark.aws("2.5")
def test_the_key_that_the_policy_demands_goes_over_with_the_bucket() -> None:
    aws = KIND.world(Bucket(versioning="Enabled"))
    KIND.run(aws, {"kms_key_id": "alias/state", "require_kms_key": True})
    assert KEY in json.dumps(bucket_of(aws).policy)
    with pytest.raises(Refused, match=r"allow: \[change_kms_key\]"):
        KIND.run(aws, {"kms_key_id": "alias/other"})
    KIND.run(aws, {"kms_key_id": "alias/other", "allow": ["change_kms_key"]})
    assert KEY not in json.dumps(bucket_of(aws).policy)
    assert OTHER_KEY in json.dumps(bucket_of(aws).policy)
    assert KIND.run(aws, {}).changes == ()
    assert OTHER_KEY in json.dumps(bucket_of(aws).policy)


@pytest.mark.aws("2.5")
def test_a_deletion_leaves_the_policy_in_force_to_the_end() -> None:
    aws = KIND.world(Bucket(objects=list(STATE_OBJECTS)))
    KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    assert {call.operation for call in aws.writes} == {"delete_objects", "delete_bucket"}


@pytest.mark.aws("2.6", "7.4")
def test_our_lifecycle_has_an_id_and_a_filter_and_never_expires_what_is_current() -> None:
    aws = KIND.world(None)
    KIND.run(aws, {})
    (rule,) = bucket_of(aws).lifecycle or []
    assert rule["ID"] == "cornerstone.tfstate"
    assert rule["Filter"] == {"Prefix": ""}
    assert rule["Expiration"] == {"ExpiredObjectDeleteMarker": True}  # each lock that ends leaves a delete marker
    assert "Transitions" not in rule


@pytest.mark.aws("2.6")
@pytest.mark.parametrize("size", ["all_storage_classes_128K", "varies_by_storage_class"])
def test_a_put_of_the_lifecycle_keeps_the_smallest_size_that_transitions(size: str) -> None:
    aws = KIND.world(Bucket(versioning="Enabled", lifecycle=[OUR_RULE], smallest_size=size))
    KIND.run(aws, {"noncurrent_version_expiration_days": 400})
    assert bucket_of(aws).smallest_size == size
    assert KIND.run(aws, {"noncurrent_version_expiration_days": 400}).changes == ()


@pytest.mark.aws("2.7")
def test_whatever_is_asked_all_four_blocks_are_sent() -> None:
    aws = KIND.world(Bucket(versioning="Enabled"))
    KIND.run(aws, {"public_access": {"block_public_acls": False}, **KIND.everything_allowed})
    (put,) = [call for call in aws.writes if call.operation == "put_public_access_block"]
    asked_for = {**dict.fromkeys(FLAGS, True), "BlockPublicAcls": False}
    assert put.params["PublicAccessBlockConfiguration"] == bucket_of(aws).public_access == asked_for


ABAC = {
    "PutBucketTagging": s3_error("MethodNotAllowed", 405),
    "DeleteBucketTagging": s3_error("InvalidRequest", 400),
    "GetCallerIdentity": WHO,
    "TagResource": says(204),
    "UntagResource": says(204),
}


def tagging(before: dict[str, str], after: dict[str, str]) -> Call:
    (call,) = SETTINGS["tags"].calls(given.BUCKET, before, after)
    return call


@pytest.mark.aws("2.8")
def test_a_bucket_whose_tags_grant_access_is_tagged_by_its_own_calls() -> None:
    script = Script(by_operation=dict(ABAC))
    aws = script.connect()
    aws.write(tagging({"a": "1", "gone": "1", "aws:x": "1"}, {"a": "2", "b": "3", "aws:x": "1"}))
    aws.write(tagging({"a": "2"}, {}))
    tag, untag, rest = [request for request in script.requests if "s3-control" in request.url]
    assert tag.url.startswith(f"https://{ACCOUNT}.s3-control.{REGION}.amazonaws.com/v20180820/tags/")
    assert re.findall(rb"<Key>(.*?)</Key><Value>(.*?)<", bytes(tag.body)) == [(b"a", b"2"), (b"b", b"3")]
    assert (untag.method, rest.method) == ("DELETE", "DELETE")
    assert "tagKeys=gone" in untag.url
    assert "tagKeys=a" in rest.url


@pytest.mark.aws("2.8")
def test_tags_whose_own_calls_would_make_too_many_go_before_others_come() -> None:
    script = Script(by_operation=dict(ABAC))
    old, new = ({f"{name}-{number}": "1" for number in range(30)} for name in ("old", "new"))
    script.connect().write(tagging(old, new))
    assert [request.method for request in script.requests if "s3-control" in request.url] == ["DELETE", "POST"]


@pytest.mark.aws("2.8")
def test_if_the_other_way_to_tag_is_denied_the_usual_permission_is_named() -> None:
    denied = {"PutBucketTagging": s3_error("AccessDenied", 403), "TagResource": s3_error("AccessDenied", 403)}
    with pytest.raises(CallFailed, match=r"put_bucket_tagging on tf-state: AccessDenied; needs s3:PutBucketTagging"):
        Script(by_operation={**ABAC, **denied}).connect().write(tagging({}, {"a": "1"}))


@pytest.mark.aws("2.8")
def test_behind_an_endpoint_there_is_no_other_way_to_tag() -> None:
    script = Script(by_operation={"PutBucketTagging": s3_error("AccessDenied", 403)})
    with pytest.raises(CallFailed, match="needs s3:PutBucketTagging"):
        script.connect(endpoint_url="http://127.0.0.1:9").write(tagging({}, {"a": "1"}))
    assert len(script.requests) == 1


@pytest.mark.aws("2.9")
def test_no_acl_is_ever_written() -> None:
    aws = KIND.world(None)
    KIND.run(aws, {"object_ownership": "ObjectWriter", **KIND.everything_allowed})
    assert not [call for call in aws.writes if "acl" in call.operation or "ACL" in call.params]


@pytest.mark.aws("2.10")
@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Bucket(region="af-south-1"), "lies in af-south-1; AWS wants it in eu-west-1"),
        (Bucket(owner="999999999999"), "the log bucket tf-logs cannot be used"),
    ],
)
def test_a_log_bucket_elsewhere_or_of_others_is_told_before_anything_is_written(found: Bucket, said: str) -> None:
    aws = KIND.world(Bucket())
    aws.buckets["tf-logs"] = found
    with pytest.raises(Refused, match=said):
        KIND.run(aws, {"logging_target_bucket": "tf-logs"})
    assert aws.writes == []


@pytest.mark.aws("2.10")
def test_the_policy_of_a_log_bucket_is_never_touched() -> None:
    aws = KIND.world(Bucket())
    KIND.run(aws, {"logging_target_bucket": "tf-logs"})
    assert {call.params["Bucket"] for call in aws.writes} == {NAME}


@pytest.mark.aws("2.11")
def test_never_versioned_is_not_suspended() -> None:
    suspended, never = KIND.world(Bucket(versioning="Suspended")), KIND.world(Bucket())
    asked = {"versioning": False, "allow": ["suspend_versioning"]}
    assert KIND.run(suspended, asked).changes != KIND.run(suspended, {}).changes
    assert KIND.run(never, asked).after["versioning"] == "Disabled"
    assert bucket_of(never).versioning is None


@pytest.mark.aws("2.11")
def test_mfa_delete_is_neither_a_difference_nor_ever_sent() -> None:
    aws = KIND.world(Bucket(versioning="Enabled", mfa_delete=True))
    KIND.run(aws, {})
    assert KIND.run(aws, {}).changes == ()
    assert "MFADelete" not in str(aws.writes)


@pytest.mark.aws("2.12")
def test_compliance_needs_a_second_word() -> None:
    asked = {"object_lock": True, "object_lock_mode": "COMPLIANCE", "object_lock_days": 1}
    aws = KIND.world(Bucket(versioning="Enabled"))
    with pytest.raises(Refused, match=r"allow: \[enforce_compliance\]") as refusal:
        KIND.run(aws, {**asked, "allow": ["enable_object_lock"]})
    assert "a lock file" in str(refusal.value)
    KIND.run(aws, {**asked, "allow": ["enable_object_lock", "enforce_compliance"]})
    assert bucket_of(aws).object_lock


@pytest.mark.aws("2.14")
def test_settings_are_written_in_this_order() -> None:
    asked = {
        "tags": {"a": "b"},
        "object_lock": True,
        "encryption": "aws:kms",
        "logging_target_bucket": "tf-logs",
        "noncurrent_version_expiration_days": 90,
    }
    aws = KIND.world(Bucket(public_access=None, ownership=None, encryption=encrypted("AES256")))
    KIND.run(aws, {**asked, **KIND.everything_allowed})
    assert [call.operation.removeprefix("put_") for call in aws.writes] == [
        "bucket_ownership_controls",
        "public_access_block",
        "bucket_encryption",
        "bucket_lifecycle_configuration",
        "bucket_versioning",
        "object_lock_configuration",
        "bucket_tagging",
        "bucket_logging",
        "bucket_policy",
    ]


@pytest.mark.aws("2.15")
@pytest.mark.parametrize(
    "asked",
    [{"kms_key_id": "alias/nope"}, {"logging_target_bucket": "no-logs"}, {"policy_statements": [{"Sid": "A"}]}],
)
def test_what_would_fail_fails_in_check_mode_even_if_there_is_no_bucket_yet(asked: dict[str, Any]) -> None:
    with pytest.raises(TfstateError):
        KIND.run(KIND.world(None), asked, check_mode=True)


# 3. Delete


@pytest.mark.aws("3.1", "3.2")
def test_versions_markers_and_null_go_a_thousand_at_a_time() -> None:
    objects = [{"Key": f"{place}", "VersionId": "null", "IsLatest": True, "Marker": place % 2} for place in range(1001)]
    aws = KIND.world(Bucket(objects=objects))
    KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    deleted = [call.params["Delete"]["Objects"] for call in aws.writes if call.operation == "delete_objects"]
    assert [len(each) for each in deleted] == [1000, 1]
    assert {each["VersionId"] for page in deleted for each in page} == {"null"}


@pytest.mark.aws("3.3")
def test_a_lock_without_default_retention_does_not_stand_in_the_way() -> None:
    aws = KIND.world(Bucket(object_lock={"ObjectLockEnabled": "Enabled"}, objects=list(STATE_OBJECTS)))
    KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    assert KIND.it(aws) is None


@pytest.mark.aws("3.4")
def test_a_bucket_whose_contents_are_still_there_at_the_deadline_is_not_deleted() -> None:
    aws = KIND.world(Bucket(objects=list(STATE_OBJECTS)), stale_rounds=10**6)
    with pytest.raises(Interrupted, match=r"contents still there past wait_timeout; run again to go on") as failure:
        KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    assert failure.value.has_written
    assert [call.operation for call in aws.writes] == ["delete_objects"]


@pytest.mark.aws("4.12")
def test_a_table_that_is_still_protected_at_the_deadline_is_not_deleted() -> None:
    kind = KINDS["table"]
    aws = kind.world(Table(protected=True), stale_rounds=10**6)
    with pytest.raises(Interrupted, match=r"deletion_protection still there past wait_timeout; run again to go on"):
        kind.run(aws, {"state": "absent", **kind.everything_allowed})
    assert [call.operation for call in aws.writes] == ["update_table"]


GOVERNED = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
}
UNREADABLE = ["AccessDenied", "NotImplemented", "InternalError", "NoSuchObjectLockConfiguration"]


@pytest.mark.aws("2.1", "3.3")
@pytest.mark.parametrize("code", [each for each in UNREADABLE if each != "NotImplemented"])
def test_an_object_lock_that_cannot_be_read_keeps_the_bucket_from_being_deleted(code: str) -> None:
    found = Bucket(object_lock=GOVERNED, objects=list(STATE_OBJECTS))
    aws = KIND.world(found, faults={"get_object_lock_configuration": [code]})
    with pytest.raises(Refused, match=rf"{code}.*a deletion would stop half way") as refusal:
        KIND.run(aws, {"state": "absent", **KIND.everything_allowed})
    assert "unmanaged" not in str(refusal.value)
    assert aws.writes == []


@pytest.mark.aws("2.1", "2.12")
@pytest.mark.parametrize("code", UNREADABLE)
def test_an_object_lock_that_cannot_be_read_keeps_versioning_on(code: str) -> None:
    aws = KIND.world(Bucket(versioning="Enabled"), faults={"get_object_lock_configuration": [code]})
    with pytest.raises(Refused, match=rf"{code}.*or leave it alone with unmanaged: \[versioning\]"):
        KIND.run(aws, {"versioning": False, **KIND.everything_allowed})
    assert aws.writes == []


# 5. KMS


@pytest.mark.aws("5.1")
@pytest.mark.parametrize("name", ["alias/state", "1111", KEY])
def test_by_whatever_name_a_bucket_knows_its_key_it_is_that_key(name: str) -> None:
    aws = KIND.world(Bucket(versioning="Enabled", encryption=encrypted("aws:kms", name, BucketKeyEnabled=True)))
    for asked in ("alias/state", "1111", KEY):
        assert "encryption" not in [change.facet for change in KIND.run(aws, {"kms_key_id": asked}).changes]


@pytest.mark.aws("5.1")
def test_the_key_is_written_as_its_arn() -> None:
    aws = KIND.world(Bucket(versioning="Enabled"))
    KIND.run(aws, {"kms_key_id": "alias/state"})
    assert bucket_of(aws).encryption["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY


@pytest.mark.aws("5.1", "5.4")
@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("Disabled", "enable it"),
        ("PendingDeletion", "cancel its deletion, which leaves it disabled, and enable it"),
        ("PendingReplicaDeletion", "cancel its deletion"),
        ("PendingImport", "import its key material"),
        ("Unavailable", "connect its key store"),
        ("Creating", "wait until it is Enabled"),
        ("OfTomorrow", "wait until it is Enabled"),
    ],
)
def test_only_an_enabled_key_is_taken(state: str, advice: str) -> None:
    with pytest.raises(TfstateError, match=f"it is {state}: {advice}"):
        Script([described_key(KeyState=state)]).connect().key_arn("alias/state", must_exist=True)


@pytest.mark.aws("5.4")
def test_a_key_that_cannot_be_seen_yet_is_told_with_what_to_do() -> None:
    unknown = says(400, b'{"__type": "NotFoundException", "message": "Alias is not found."}')
    with pytest.raises(TfstateError, match="if the key was made a moment ago, run again"):
        Script([unknown]).connect().key_arn("alias/state", must_exist=True)


@pytest.mark.aws("5.2")
@pytest.mark.parametrize("name", [None, "alias/aws/s3", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/s3"])
def test_the_key_that_aws_manages_is_no_key_of_ones_own(name: str | None) -> None:
    aws = KIND.world(Bucket(versioning="Enabled", encryption=encrypted("aws:kms", name, BucketKeyEnabled=True)))
    outcome = KIND.run(aws, {"kms_key_id": "alias/aws/s3"})
    assert "encryption" not in [change.facet for change in outcome.changes]
    assert outcome.after["encryption"]["kms_key_id"] is None


@pytest.mark.aws("5.3")
def test_a_bucket_key_comes_with_kms_and_is_never_forced_upon_a_bucket_that_has_kms() -> None:
    to_kms, with_kms = KIND.world(Bucket()), KIND.world(Bucket(encryption=encrypted("aws:kms", KEY)))
    assert KIND.run(to_kms, {"encryption": "aws:kms"}).after["encryption"]["bucket_key_enabled"] is True
    assert KIND.run(with_kms, {"encryption": "aws:kms"}).after["encryption"]["bucket_key_enabled"] is False


@pytest.mark.aws("5.5")
def test_no_object_is_encrypted_anew() -> None:
    aws = KIND.world(Bucket(versioning="Enabled", objects=list(STATE_OBJECTS)))
    KIND.run(aws, {"kms_key_id": "alias/state"})
    assert not [call for call in aws.writes if "Key" in call.params]


# 7. Locks


def denied_by(statements: list[Any], action: str, key: str, **headers: str) -> list[str]:
    """The Sids that deny this request, made over TLS 1.3 by a principal of the account."""
    sent = {f"s3:{name.replace('_', '-')}": value for name, value in headers.items()}
    sent |= {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    return [
        str(each["Sid"])
        for each in statements
        if any(fnmatch.fnmatchcase(action, pattern) for pattern in each["Action"])
        and any(fnmatch.fnmatchcase(f"{ARN}/{key}", pattern) for pattern in each["Resource"])
        and all(_holds(operator, tests, sent) for operator, tests in each["Condition"].items())
    ]


def _holds(operator: str, tests: dict[str, list[str]], sent: dict[str, str]) -> bool:
    rules = {
        "Null": lambda name, values: (name not in sent) == (values == ["true"]),
        "Bool": lambda name, values: sent.get(name) in values,
        "NumericLessThan": lambda name, values: float(sent[name]) < float(values[0]),
        "StringNotEquals": lambda name, values: sent.get(name) not in values,
    }
    return all(rules[operator](name, values) for name, values in tests.items())


STRICTEST = {"require_kms_key": True, "kms_key_id": "alias/state", "minimum_tls_version": "1.3"}
SSE, SSE_KEY = "x_amz_server_side_encryption", "x_amz_server_side_encryption_aws_kms_key_id"


@pytest.mark.aws("7.1")
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
def test_no_statement_of_ours_stands_between_a_client_and_its_lock_file(action: str) -> None:
    statements = [*our_statements(STRICTEST, [], given.BUCKET)]
    assert len(statements) == 4
    assert denied_by(statements, action, "prod.tfstate.tflock") == []
    assert denied_by(statements, "s3:PutObject", "prod.tfstate.tflock", **{SSE: "aws:kms", SSE_KEY: KEY}) == []


@pytest.mark.aws("5.5", "7.1")
def test_uploads_by_another_cipher_or_key_are_denied() -> None:
    statements = [*our_statements(STRICTEST, [], given.BUCKET)]
    assert denied_by(statements, "s3:PutObject", "prod.tfstate", **{SSE: "AES256"}) == ["CornerstoneTfstateRequireKms"]
    other = {SSE: "aws:kms", SSE_KEY: OTHER_KEY}
    assert denied_by(statements, "s3:PutObject", "prod.tfstate", **other) == ["CornerstoneTfstateRequireKmsKey"]


# 8. Newer parameters

REGIONAL = f"tf-state-{ACCOUNT}-{REGION}-an"


@pytest.mark.aws("8.1")
def test_a_bucket_of_the_accounts_own_namespace_is_created_in_it() -> None:
    target = replace(given.BUCKET, name=REGIONAL)
    assert not [*BUCKET.existence.problems({}, target)]
    (create,) = BUCKET.existence.calls(target, None, {"region": REGION})
    script = Script([DONE])
    creation = botocore.session.get_session().get_service_model("s3").operation_model("CreateBucket")
    if "BucketNamespace" not in creation.input_shape.members:
        with pytest.raises(TfstateError, match="this botocore is too old for the request: update botocore"):
            script.connect().write(create)
        return
    script.connect().write(create)
    assert header(script, "x-amz-bucket-namespace") == "account-regional"


@pytest.mark.aws("8.1")
def test_any_other_bucket_names_no_namespace() -> None:
    (create,) = BUCKET.existence.calls(given.BUCKET, None, {"region": REGION})
    script = Script([DONE])
    script.connect().write(create)
    assert "x-amz-bucket-namespace" not in script.requests[0].headers


@pytest.mark.aws("8.1")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tf-state-an", f"<prefix>-<account id>-{REGION}-an"),
        (f"tf-state-{ACCOUNT}-af-south-1-an", f"<prefix>-<account id>-{REGION}-an"),
        (f"{'a' * 40}-{ACCOUNT}-{REGION}-an", "3 to 63"),
        (f"tf-state-999999999999-{REGION}-an", f"must hold account_id {ACCOUNT}"),
    ],
)
def test_a_name_that_claims_another_namespace_is_told(name: str, said: str) -> None:
    assert said in "; ".join(BUCKET.existence.problems({}, replace(given.BUCKET, name=name)))


@pytest.mark.aws("8.1")
def test_whoever_deletes_a_bucket_of_the_accounts_own_namespace_frees_no_name() -> None:
    assert BUCKET.deletion_warning
    assert BUCKET.deletion_warning(replace(given.BUCKET, name=REGIONAL)) is None
    assert "anybody may take its name" in str(BUCKET.deletion_warning(given.BUCKET))


@pytest.mark.aws("8.1")
def test_an_old_botocore_is_blamed_only_for_what_it_does_not_know() -> None:
    aws = Script([DONE]).connect()
    with pytest.raises(TfstateError, match="this botocore is too old for the request: update botocore"):
        aws.read([Call("s3", "head_bucket", {"Bucket": NAME, "OfTomorrow": True})])
    with pytest.raises(TfstateError, match="botocore does not take this value") as failure:
        aws.read([Call("s3", "head_bucket", {"Bucket": NAME, "ExpectedBucketOwner": 1})])
    assert "too old" not in str(failure.value)


@pytest.mark.aws("8.1")
@pytest.mark.parametrize("facet", BUCKET.facets, ids=lambda facet: facet.name)
def test_what_s3_will_answer_one_day_is_no_error(facet: Facet) -> None:
    table = import_module(f"tests.unit.plugins.module_utils.facets.bucket.{facet.name}")
    value = facet.normalise({**table.LATER_READ, **UNKNOWN}, given.BUCKET)
    json.dumps(facet.desired({}, value, given.BUCKET))


TABLE_OF_TOMORROW = {
    "Table": {
        "TableName": NAME,
        "TableArn": given.TABLE_ARN,
        "TableStatus": "ACTIVE",
        "BillingModeSummary": {"BillingMode": "PAY_PER_MOON"},
        "SSEDescription": {"Status": "ENABLED", "SSEType": "MOON", "KMSMasterKeyArn": KEY},
        "TableClassSummary": {"TableClass": "LUNAR"},
        "WarmThroughput": {"Status": "TEPID"},
        "MultiRegionConsistency": "STRONGEST",
        "Replicas": [{"ReplicaStatus": "REPLICATION_NOT_AUTHORIZED"}],
        **UNKNOWN,
    },
    "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "MAYBE"},
    },
    "Tags": [{"Key": "a", "Value": "1"}],
}


@pytest.mark.aws("8.2")
@pytest.mark.parametrize("facet", TABLE.facets, ids=lambda facet: facet.name)
def test_what_dynamodb_will_answer_one_day_is_no_error(facet: Facet) -> None:
    value = facet.normalise(TABLE_OF_TOMORROW, given.TABLE)
    json.dumps(facet.desired({}, value, given.TABLE))
    assert TABLE.busy(TABLE_OF_TOMORROW) is None


@pytest.mark.aws("8.2")
def test_a_table_in_a_state_of_tomorrow_is_busy_and_no_error() -> None:
    assert TABLE.busy({"Table": {"TableName": NAME, "TableStatus": "WAXING"}}) == "the table is WAXING"

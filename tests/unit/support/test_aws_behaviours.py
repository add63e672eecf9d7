# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each behaviour does what its name says, and together they leave what was put as it was put."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import aws_behaviours as aws
from tests.support.emulators import RunningEmulator, client
from tests.support.relay import Relay

ON, OFF = {"Status": "Enabled"}, {"Status": "Suspended"}


@pytest.fixture
def scripted(ministack: RunningEmulator) -> Iterator[Relay]:
    with Relay(ministack.url) as relay:
        yield relay


@pytest.fixture
def s3(scripted: Relay) -> Any:
    return client(scripted.url, "s3")


def answer(call: Callable[..., Any], **params: Any) -> str:
    """`ok`, or the code of the error."""
    try:
        call(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def put_policy(s3: Any, bucket: str, **changed: Any) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        **changed,
    }
    return answer(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps({"Statement": [statement]}))


def test_a_new_bucket_is_not_there_for_some_calls(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.BucketsAppearLate(2))
    s3.create_bucket(Bucket=bucket_name)
    assert answer(s3.head_bucket, Bucket=bucket_name) == "404"
    assert answer(s3.get_bucket_versioning, Bucket=bucket_name) == "NoSuchBucket"
    assert answer(s3.get_bucket_versioning, Bucket=bucket_name) == "ok"


def test_a_new_object_is_not_there_for_some_calls(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.ObjectsAppearLate(2))
    s3.create_bucket(Bucket=bucket_name)
    s3.put_object(Bucket=bucket_name, Key="k", Body=b"{}")
    assert answer(s3.head_object, Bucket=bucket_name, Key="k") == "404"
    assert answer(s3.get_object, Bucket=bucket_name, Key="k") == "NoSuchKey"
    assert answer(s3.get_object, Bucket=bucket_name, Key="k") == "ok"


def test_a_deleted_bucket_lingers(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.BucketsLinger(1))
    s3.create_bucket(Bucket=bucket_name)
    s3.head_bucket(Bucket=bucket_name)
    s3.delete_bucket(Bucket=bucket_name)
    assert [answer(s3.head_bucket, Bucket=bucket_name) for _unused in range(2)] == ["ok", "404"]


def test_a_put_so_soon_after_another_conflicts_with_it_but_not_elsewhere(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.RecentPutsConflict())
    for name in (bucket_name, f"{bucket_name}-2"):
        s3.create_bucket(Bucket=name)
    puts = [answer(s3.put_bucket_versioning, Bucket=bucket_name, VersioningConfiguration=ON) for _unused in range(3)]
    assert puts == ["ok", "OperationAborted", "ok"]
    assert answer(s3.put_bucket_versioning, Bucket=f"{bucket_name}-2", VersioningConfiguration=ON) == "ok"


def test_a_read_after_a_put_is_stale_for_a_while(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.ReadsAreStale(2))
    s3.create_bucket(Bucket=bucket_name)
    s3.get_bucket_versioning(Bucket=bucket_name)
    s3.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration=ON)
    reads = [s3.get_bucket_versioning(Bucket=bucket_name).get("Status") for _unused in range(3)]
    assert reads == [None, None, "Enabled"]
    put_policy(s3, bucket_name)
    absent = [answer(s3.get_bucket_policy, Bucket=bucket_name) for _unused in range(3)]
    assert absent == ["NoSuchBucketPolicy", "NoSuchBucketPolicy", "ok"]


def test_a_lost_put_is_answered_and_forgotten(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.PutsAreLost("PutBucketVersioning"))
    s3.create_bucket(Bucket=bucket_name)
    for status in (None, "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration=ON)
        assert s3.get_bucket_versioning(Bucket=bucket_name).get("Status") == status


@pytest.mark.parametrize("status", [400, 403, 503])
def test_head_bucket_says_no_more_than_a_number(scripted: Relay, s3: Any, status: int):
    scripted.use(aws.HeadBucket(status))
    assert answer(s3.head_bucket, Bucket="any-bucket") == str(status)


def test_the_owner_is_compared(ministack: RunningEmulator, scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.owners_are_compared(ministack))
    s3.create_bucket(Bucket=bucket_name)
    account = ministack.client("sts").get_caller_identity()["Account"]
    owners = [answer(s3.head_bucket, Bucket=bucket_name, ExpectedBucketOwner=each) for each in (account, "9" * 12)]
    assert owners == ["ok", "403"]


def test_a_policy_comes_back_in_other_words(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.PoliciesAreRewritten({"arn:aws:iam::111122223333:role/gone": "AROAGONE"}))
    s3.create_bucket(Bucket=bucket_name)
    who = {"AWS": ["444455556666", "arn:aws:iam::111122223333:role/gone"]}
    condition = {"Bool": {"aws:SecureTransport": [False]}}
    put_policy(s3, bucket_name, Principal=who, Action=["s3:GetObject"], Condition=condition)
    statement = json.loads(s3.get_bucket_policy(Bucket=bucket_name)["Policy"])["Statement"]
    assert statement["Principal"] == {"AWS": ["arn:aws:iam::444455556666:root", "AROAGONE"]}
    assert statement["Action"] == "s3:GetObject"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_lifecycle_comes_back_with_ids_and_its_size(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.LifecyclesAreRewritten())
    s3.create_bucket(Bucket=bucket_name)
    nameless = {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}
    rules = {"Rules": [nameless, {**nameless, "ID": "mine", "Filter": {"Prefix": "a/"}}]}
    for size in ({"TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}, {}):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket_name, LifecycleConfiguration=rules, **size)
        found = s3.get_bucket_lifecycle_configuration(Bucket=bucket_name)
        expected = size.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
        assert found["TransitionDefaultMinimumObjectSize"] == expected
    assert found["Rules"][0]["ID"] == "mine"
    assert found["Rules"][1]["ID"]
    assert found["Rules"][1]["Filter"] == {}


def test_tags_of_aws_are_read_sent_back_and_never_added(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.system_tags(backup_source="1"))
    s3.create_bucket(Bucket=bucket_name)
    theirs = {"Key": "aws:backup:source", "Value": "1"}
    assert s3.get_bucket_tagging(Bucket=bucket_name)["TagSet"] == [theirs]
    mine = {"Key": "Team", "Value": "core"}
    for sent, expected in (([mine], "InvalidTag"), ([theirs, mine], "ok"), ([{**theirs, "Value": "2"}], "InvalidTag")):
        assert answer(s3.put_bucket_tagging, Bucket=bucket_name, Tagging={"TagSet": sent}) == expected
    assert answer(s3.delete_bucket_tagging, Bucket=bucket_name) == "InvalidTag"
    assert s3.get_bucket_tagging(Bucket=bucket_name)["TagSet"] == [theirs, mine]
    created = {"CreateBucketConfiguration": {"Tags": [theirs]}}
    assert answer(s3.create_bucket, Bucket=f"{bucket_name}-2", **created) == "InvalidTag"


def test_tags_are_demanded_or_denied_on_create(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.tags_are_demanded("Team"))
    tags = {"Tags": [{"Key": "Team", "Value": "core"}]}
    assert answer(s3.create_bucket, Bucket=bucket_name) == "AccessDenied"
    assert answer(s3.create_bucket, Bucket=bucket_name, CreateBucketConfiguration=tags) == "ok"
    scripted.use_first(aws.tags_on_create_are_denied())
    assert answer(s3.create_bucket, Bucket=f"{bucket_name}-2", CreateBucketConfiguration=tags) == "AccessDenied"


def test_mfa_delete_forbids_what_only_root_may(scripted: Relay, s3: Any, bucket_name: str):
    scripted.use(aws.mfa_delete_is_on)
    s3.create_bucket(Bucket=bucket_name)
    assert s3.get_bucket_versioning(Bucket=bucket_name)["MFADelete"] == "Enabled"
    assert answer(s3.put_bucket_versioning, Bucket=bucket_name, VersioningConfiguration=OFF) == "AccessDenied"


STRICT = {
    "sound": ({}, "ok"),
    "another bucket": ({"Resource": "arn:aws:s3:::other"}, "MalformedPolicy"),
    "no such action": ({"Action": "s3:GetMoon"}, "MalformedPolicy"),
    "an action on nothing": ({"Action": "s3:ListBucket"}, "MalformedPolicy"),
    "a role that was deleted": ({"Principal": {"AWS": "AROAGONE"}}, "MalformedPolicy"),
    "public": ({"Effect": "Allow"}, "AccessDenied"),
}


@pytest.mark.parametrize("case", STRICT)
def test_policies_are_as_strict_as_aws(
    ministack: RunningEmulator, scripted: Relay, s3: Any, bucket_name: str, case: str
):
    scripted.use(aws.policies_are_validated(ministack))
    s3.create_bucket(Bucket=bucket_name)
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=bucket_name, PublicAccessBlockConfiguration=block)
    changed, code = STRICT[case]
    assert put_policy(s3, bucket_name, **changed) == code
    assert answer(s3.put_bucket_policy, Bucket=bucket_name, Policy="{}") == "MalformedPolicy"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets that exist: adopted with what is theirs, refused where they are not ours, deleted with what they hold."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.integration.scenarios import in_region, overtaken
from tests.integration.subject import Subject, changed
from tests.support.relay import error

LOCK = "env/prod/terraform.tfstate.tflock"
SURE = {"allow": ["delete_state"]}


@pytest.fixture
def adopted(bare_bucket: Subject) -> Subject:
    """A bucket that somebody made by hand, with states, history and settings of its own."""
    s3, name = bare_bucket.aws(), bare_bucket.name
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"2", b"3"):
        s3.put_object(Bucket=name, Key="terraform.tfstate", Body=content)
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "Owner", "Value": "ops"}]})
    s3.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [FOREIGN_RULE, FOREIGN_RULE_BY_TAGS]}
    )
    theirs = [{**statement, "Resource": f"arn:aws:s3:::{name}"} for statement in FOREIGN_STATEMENTS]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Id": "ops", "Statement": theirs}))
    return bare_bucket


FOREIGN_RULE = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
FOREIGN_RULE_BY_TAGS = {
    "ID": "scratch",
    "Status": "Disabled",
    "Filter": {"And": {"Prefix": "tmp/", "Tags": [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}]}},
    "Expiration": {"Days": 1},
}
FOREIGN_STATEMENTS = [
    {
        "Sid": "Audit",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "s3:ListBucket",
    },
    {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteBucket"]},
]


@pytest.mark.aws("2.6", "2.8")
def test_an_adopted_bucket_keeps_its_lifecycle_statements_tags_and_history(adopted: Subject):
    adopted.asked = {}
    before = adopted.state()
    versions = adopted.aws().list_object_versions(Bucket=adopted.name)["Versions"]
    result = adopted.done(tags={"Stage": "prod"})
    assert {"lifecycle", "versioning"}.isdisjoint(changed(result))
    after = adopted.state()
    assert after["lifecycle"] == before["lifecycle"]
    assert after["tags"] == {"Owner": "ops", "Stage": "prod"}
    sids = [statement.get("Sid") for statement in after["policy"]]
    assert "Audit" in sids
    assert None in sids
    assert len(sids) == 4
    assert adopted.aws().list_object_versions(Bucket=adopted.name)["Versions"] == versions
    assert set(after["public_access"].values()) == {True}
    assert (adopted.done(tags={"Stage": "prod"})["changes"], adopted.writes) == ([], [])


@pytest.mark.aws("2.6")
def test_a_lifecycle_of_ours_joins_foreign_rules_and_leaves_them_alone(adopted: Subject):
    asked = {"noncurrent_version_expiration_days": 90}
    assert "allow: [shorten_retention]" in adopted.refused(**asked, allow=[])
    adopted.done(**asked, allow=["shorten_retention"])
    rules = {rule["ID"]: rule for rule in adopted.state()["lifecycle"]}
    assert rules.keys() == {"logs", "scratch", "cornerstone.tfstate"}
    assert rules["logs"]["Filter"] == FOREIGN_RULE["Filter"]
    tags = rules["scratch"]["Filter"]["And"]["Tags"]
    assert sorted(tag["Key"] for tag in tags) == ["a", "b"]
    assert (adopted.done(**asked)["changes"], adopted.writes) == ([], [])


def test_a_bucket_that_never_was_versioned_becomes_versioned_and_loses_nothing(bare_bucket: Subject):
    s3 = bare_bucket.aws()
    s3.create_bucket(Bucket=bare_bucket.name)
    s3.put_object(Bucket=bare_bucket.name, Key="terraform.tfstate", Body=b"1")
    bare_bucket.asked = {}
    result = bare_bucket.done()
    assert "versioning" in changed(result)
    assert "lifecycle" not in changed(result)
    (version,) = s3.list_object_versions(Bucket=bare_bucket.name)["Versions"]
    assert (version["VersionId"], version["IsLatest"]) == ("null", True)


@pytest.mark.aws("1.6")
def test_a_bucket_in_another_region_is_refused(bucket: Subject):
    bucket.done()
    bucket.relay.on("HeadBucket", reply=in_region("eu-west-1"), times=math.inf)
    said = bucket.refused()
    assert "lies in eu-west-1, not in us-east-1" in said


@pytest.mark.aws("1.4")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_bucket_of_another_account_is_refused(bucket: Subject, state: str):
    bucket.relay.on("HeadBucket", reply=error("403", 403), times=math.inf)
    assert "belongs to another account" in bucket.refused(state=state)


@pytest.mark.aws("1.3")
def test_a_name_that_another_account_took_is_told(bucket: Subject):
    bucket.relay.on("CreateBucket", reply=error("BucketAlreadyExists", 409))
    result = bucket.task()
    assert result["failed"]
    assert "another account" in result["msg"]
    assert (result["changed"], bucket.state()["versioning"]) == (False, None)


def test_an_account_that_is_not_the_declared_one_is_refused(subject: Subject):
    assert "these credentials belong to account" in subject.refused(account_id="999988887777")


@pytest.mark.aws("1.7")
def test_the_declared_account_is_sent_along_as_the_expected_owner(bucket: Subject):
    account = bucket.aws("sts").get_caller_identity()["Account"]
    bucket.done(account_id=account)
    bucket.done(account_id=account)
    headers = [call.request.headers for call in bucket.requests if call.service == "s3"]
    assert {each.get("x-amz-expected-bucket-owner") for each in headers} == {account}


@pytest.mark.aws("1.2")
def test_a_bucket_that_somebody_creates_at_the_same_time_ends_converged(bucket: Subject):
    bucket.relay.on("CreateBucket", reply=overtaken("BucketAlreadyOwnedByYou", 409))
    undisturbed = Subject("bucket", f"{bucket.name}-2", bucket.relay, bucket.emulator)
    bucket.done()
    undisturbed.done()
    assert bucket.state() == undisturbed.state()


def test_an_empty_bucket_is_deleted_and_deleting_it_again_is_nothing(bare_bucket: Subject):
    bare_bucket.done(allow=["shorten_retention"])  # some emulators keep no newer versions
    assert changed(bare_bucket.done(state="absent")) == ["existence"]
    assert (bare_bucket.done(state="absent")["changes"], bare_bucket.writes) == ([], [])


def test_a_bucket_that_holds_state_goes_only_with_a_word_and_its_name(adopted: Subject):
    name = adopted.name
    assert "allow: [delete_state]" in adopted.refused(state="absent")
    assert f"confirm_name: {name}" in adopted.refused(state="absent", **SURE)
    assert "confirm_name" in adopted.refused(state="absent", **SURE, confirm_name="another")
    assert "allow: [delete_state]" in adopted.refused(state="absent", confirm_name=name)
    foreseen = adopted.task(True, state="absent", **SURE, confirm_name=name)
    result = adopted.done(state="absent", **SURE, confirm_name=name)
    assert changed(foreseen) == changed(result) == ["contents", "existence"]
    assert adopted.state()["versioning"] is None


@pytest.mark.aws("3.4")
def test_a_bucket_with_a_live_lock_goes_only_with_one_more_word(adopted: Subject):
    adopted.aws().put_object(Bucket=adopted.name, Key=LOCK, Body=b"{}")
    asked = {"state": "absent", "confirm_name": adopted.name}
    said = adopted.refused(**asked, **SURE)
    assert LOCK in said
    assert "allow: [break_lock]" in said
    adopted.done(**asked, allow=["delete_state", "break_lock"])


@pytest.mark.aws("3.1", "3.2")
def test_2500_versions_and_delete_markers_are_deleted_page_by_page(bare_bucket: Subject):
    words = ["weaken_policy", "shorten_retention"]
    bare_bucket.done(unmanaged=["policy"], allow=words)  # moto takes no object where TLS is required
    s3, name = bare_bucket.aws(), bare_bucket.name
    keys = [f"{place}.tfstate" for place in range(100)]
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=b"1")
    for _unused in range(6):  # a delete marker for each time that a key is named
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in keys * 4], "Quiet": True})
    bare_bucket.done(state="absent", **SURE, confirm_name=name, wait_timeout=60)
    assert bare_bucket.writes == ["DeleteObjects"] * 3 + ["DeleteBucket"]
    assert bare_bucket.state()["versioning"] is None


KEY_NAMES = ("id", "alias", "ARN")


@pytest.fixture
def key(emulator: Any) -> dict[str, str]:
    """A key by all of its names."""
    kms = emulator.client("kms")
    made = kms.create_key()["KeyMetadata"]
    alias = f"alias/{made['KeyId']}"
    kms.create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
    return {"id": made["KeyId"], "alias": alias, "ARN": made["Arn"]}


@pytest.mark.aws("5.1")
def test_a_kms_key_is_the_same_by_each_of_its_names(subject: Subject, key: dict[str, str]):
    asked = {"bucket": {"encryption": "aws:kms"}, "table": {"encryption": "customer_managed_key"}}[subject.kind]
    plans = [subject.task(True, **asked, kms_key_id=key[name]) for name in KEY_NAMES]
    assert plans[0] == plans[1] == plans[2]
    result = subject.done(**asked, kms_key_id=key["alias"])
    assert result[subject.kind]["encryption"]["kms_key_id"] == key["ARN"]
    for name in KEY_NAMES:
        assert (subject.done(**asked, kms_key_id=key[name])["changes"], subject.writes) == ([], [])


@pytest.mark.aws("5.1")
@pytest.mark.parametrize("change", ["unknown", "disabled", "asymmetric", "in another region"])
def test_a_kms_key_that_cannot_encrypt_is_refused_before_any_write(subject: Subject, key: dict[str, str], change: str):
    kms = subject.aws("kms")
    if change == "unknown":
        name, said = "00000000-0000-4000-8000-000000000000", "NotFoundException"
    elif change == "disabled":
        kms.disable_key(KeyId=key["id"])
        name, said = key["id"], "it is Disabled: enable it"
    elif change == "asymmetric":
        made = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        name, said = made["Arn"], "no symmetric encryption key"
    else:
        made = subject.emulator.client("kms", region="eu-west-1").create_key()["KeyMetadata"]
        name, said = made["Arn"], ""
    refusal = subject.refused(kms_key_id=name)
    assert said in refusal
    assert name in refusal


@pytest.mark.aws("5.1")
def test_a_key_that_may_not_be_described_is_taken_by_its_whole_arn_with_a_warning(subject: Subject):
    arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000"
    subject.relay.on("DescribeKey", reply=error("AccessDeniedException", 400), times=math.inf)
    foreseen = subject.task(True, kms_key_id=arn)
    assert foreseen[subject.kind]["encryption"]["kms_key_id"] == arn
    (warning,) = foreseen["warnings"]
    assert "kms:DescribeKey" in warning
    assert "give the full ARN" in subject.refused(kms_key_id="alias/theirs")


def test_another_key_and_a_weaker_cipher_need_a_word(bucket: Subject, key: dict[str, str]):
    bucket.done(kms_key_id=key["ARN"])
    other = bucket.aws("kms").create_key()["KeyMetadata"]["Arn"]
    assert "allow: [change_kms_key]" in bucket.refused(kms_key_id=other)
    assert "allow: [weaken_encryption]" in bucket.refused(encryption="AES256")
    assert changed(bucket.done(kms_key_id=other, allow=["change_kms_key"])) == ["encryption"]
    assert (bucket.done()["changes"], bucket.writes) == ([], [])


def test_requiring_the_key_puts_its_arn_into_the_policy(bucket: Subject, key: dict[str, str]):
    asked = {"kms_key_id": key["alias"], "require_kms_key": True}
    foreseen = bucket.task(True, **asked)
    assert bucket.done(**asked)["changes"] == foreseen["changes"]
    assert key["ARN"] in json.dumps(bucket.state()["policy"])
    assert (bucket.done(**asked)["changes"], bucket.writes) == ([], [])
    assert "allow: [weaken_policy]" in bucket.refused(require_kms_key=False)


def test_double_encryption_drops_the_bucket_key(bucket: Subject):
    bucket.done(encryption="aws:kms")
    assert bucket.done(encryption="aws:kms:dsse")["bucket"]["encryption"]["bucket_key_enabled"] is False

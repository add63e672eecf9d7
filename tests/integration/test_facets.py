# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facets one by one: each option away from its baseline and back, refused where that needs a word, and denied reads."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.scenarios import deny
from tests.integration.subject import Subject, changed, foretold

FOREIGN = {
    "Sid": "AllowAudit",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": "s3:GetBucketLocation",
    "Resource": "arn:aws:s3:::{name}",
}


@dataclass(frozen=True)
class Turn:
    """A facet on its way and back; `away_needs` and `back_needs` are words of `allow`, which alone permit it."""

    facet: str
    away: dict[str, Any]
    back: dict[str, Any] | None = None
    away_needs: str | None = None
    back_needs: str | None = None
    before: dict[str, Any] = field(default_factory=dict)


BUCKET_TURNS = {
    "ownership": Turn(
        "ownership",
        {"object_ownership": "BucketOwnerPreferred"},
        {"object_ownership": "BucketOwnerEnforced"},
        away_needs="enable_acls",
    ),
    "acls of objects": Turn("ownership", {"object_ownership": "ObjectWriter"}, {}, away_needs="enable_acls"),
    "public access": Turn(
        "public_access", {"public_access": {"block_public_policy": False}}, {}, away_needs="open_public_access"
    ),
    "versioning": Turn("versioning", {"versioning": False}, {"versioning": True}, away_needs="suspend_versioning"),
    "encryption": Turn(
        "encryption", {"encryption": "aws:kms"}, {"encryption": "AES256"}, back_needs="weaken_encryption"
    ),
    "double encryption": Turn(
        "encryption",
        {"encryption": "aws:kms:dsse"},
        {"encryption": "aws:kms"},
        back_needs="weaken_encryption",
        before={"encryption": "aws:kms", "bucket_key_enabled": False},
    ),
    "bucket key": Turn(
        "encryption",
        {"bucket_key_enabled": False},
        {"bucket_key_enabled": True},
        before={"encryption": "aws:kms"},
    ),
    "days": Turn(
        "lifecycle",
        {"noncurrent_version_expiration_days": 30},
        {"noncurrent_version_expiration_days": 90},
        away_needs="shorten_retention",
    ),
    "versions for ever": Turn(
        "lifecycle",
        {"noncurrent_version_expiration_days": 0},
        {"noncurrent_version_expiration_days": 90, "newer_noncurrent_versions": 20},
        back_needs="shorten_retention",
    ),
    "newest versions": Turn(
        "lifecycle",
        {"newer_noncurrent_versions": 5},
        {"newer_noncurrent_versions": 20},
        away_needs="shorten_retention",
    ),
    "multipart uploads": Turn(
        "lifecycle", {"abort_incomplete_multipart_upload_days": 0}, {"abort_incomplete_multipart_upload_days": 7}
    ),
    "delete markers": Turn(
        "lifecycle", {"expired_object_delete_marker": False}, {"expired_object_delete_marker": True}
    ),
    "object lock": Turn("object_lock", {"object_lock": True}, away_needs="enable_object_lock"),
    "object lock mode": Turn(
        "object_lock",
        {"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 3},
        away_needs="enable_object_lock",
    ),
    "tags": Turn("tags", {"tags": {"Stage": "test"}}, {"tags": {}, "purge_tags": True}),
    "logging": Turn(
        "logging",
        {"logging_target_bucket": "{name}-logs"},
        {"logging_target_bucket": "none"},
        back_needs="change_logging",
    ),
    "logging prefix": Turn(
        "logging",
        {"logging_target_bucket": "{name}-logs", "logging_target_prefix": "s3/"},
        {"logging_target_bucket": "{name}-logs", "logging_target_prefix": "{name}/"},
        before={"logging_target_bucket": "{name}-logs"},
    ),
    "tls": Turn("policy", {"require_tls": False}, {"require_tls": True}, away_needs="weaken_policy"),
    "tls version": Turn(
        "policy", {"minimum_tls_version": "1.3"}, {"minimum_tls_version": "1.2"}, back_needs="weaken_policy"
    ),
    "organization": Turn(
        "policy",
        {"allowed_organization_ids": ["o-1234567890"]},
        {"allowed_organization_ids": []},
        back_needs="weaken_policy",
    ),
    "vpc endpoint": Turn(
        "policy",
        {"allowed_vpc_endpoint_ids": ["vpce-1a2b3c4d", "vpce-0123456789abcdef0"]},
        {"allowed_vpc_endpoint_ids": []},
        back_needs="weaken_policy",
    ),
    "statements": Turn(
        "policy",
        {"policy_statements": [FOREIGN]},
        {"purge_policy_statements": True},
        back_needs="drop_policy_statements",
    ),
}

TABLE_TURNS = {
    "billing": Turn("billing", {"read_capacity": 4, "write_capacity": 2}, {"billing_mode": "PAY_PER_REQUEST"}),
    "capacity": Turn(
        "billing",
        {"read_capacity": 4, "write_capacity": 2},
        {"read_capacity": 1, "write_capacity": 1},
        before={"billing_mode": "PROVISIONED", "read_capacity": 1, "write_capacity": 1},
    ),
    "managed key": Turn(
        "encryption",
        {"encryption": "aws_managed_key"},
        {"encryption": "aws_owned_key"},
        back_needs="weaken_encryption",
    ),
    "deletion protection": Turn(
        "deletion_protection", {"deletion_protection": False}, {}, away_needs="disable_deletion_protection"
    ),
    "recovery": Turn("recovery", {"point_in_time_recovery": False}, {}, away_needs="disable_recovery"),
    "recovery period": Turn(
        "recovery", {"recovery_period_days": 7}, {"recovery_period_days": 35}, away_needs="disable_recovery"
    ),
    "table class": Turn("table_class", {"table_class": "STANDARD_INFREQUENT_ACCESS"}, {"table_class": "STANDARD"}),
    "tags": Turn("tags", {"tags": {"Stage": "test"}}, {"tags": {}, "purge_tags": True}),
}


def named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: named(each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, name) for each in value]
    return value.replace("{name}", name) if isinstance(value, str) else value


def go(subject: Subject, facet: str, asked: dict[str, Any], needs: str | None) -> None:
    """Refused without the word; then as foreseen in check mode, that facet and no other, and never twice."""
    asked = named(asked, subject.name)
    if needs:
        assert f"allow: [{needs}]" in subject.refused(**asked)
    allowed = {**asked, "allow": [needs]} if needs else asked
    before = subject.state()
    foreseen = subject.task(True, **allowed)
    assert (subject.writes, subject.state()) == ([], before)
    result = subject.done(**allowed)
    assert changed(result) == [facet]
    assert foretold(foreseen, result)
    assert subject.state() != before
    again = subject.done(**allowed)
    assert (again["changes"], subject.writes) == ([], [])
    assert again[subject.kind] == result[subject.kind]


def make_log_bucket(subject: Subject) -> None:
    name = f"{subject.name}-logs"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    subject.aws().create_bucket(Bucket=name)
    subject.aws().put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def make_managed_key(subject: Subject) -> None:
    """AWS makes it when it is first used."""
    kms = subject.aws("kms")
    with suppress(ClientError):
        kms.create_alias(AliasName="alias/aws/dynamodb", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])


def turn(subject: Subject, case: Turn) -> None:
    subject.done(**named(case.before, subject.name))
    at_first = subject.state()
    go(subject, case.facet, case.away, case.away_needs)
    if case.back is not None:
        go(subject, case.facet, case.back, case.back_needs)
        assert subject.state() == at_first


@pytest.mark.parametrize("case", BUCKET_TURNS)
def test_a_bucket_option_goes_away_from_the_baseline_and_back(bucket: Subject, case: str):
    make_log_bucket(bucket)
    turn(bucket, BUCKET_TURNS[case])


@pytest.mark.parametrize("case", TABLE_TURNS)
def test_a_table_option_goes_away_from_the_baseline_and_back(request: pytest.FixtureRequest, table: Subject, case: str):
    make_managed_key(table)
    turn(table, TABLE_TURNS[case])


@pytest.mark.parametrize("case", BUCKET_TURNS)
def test_a_bucket_created_with_an_option_is_what_check_mode_foresaw(bucket: Subject, case: str):
    make_log_bucket(bucket)
    created_as_foreseen(bucket, BUCKET_TURNS[case])


@pytest.mark.parametrize("case", TABLE_TURNS)
def test_a_table_created_with_an_option_is_what_check_mode_foresaw(table: Subject, case: str):
    make_managed_key(table)
    created_as_foreseen(table, TABLE_TURNS[case])


def created_as_foreseen(subject: Subject, case: Turn) -> None:
    words = [case.away_needs] if case.away_needs else []
    asked = named({**case.before, **case.away, "allow": words}, subject.name)
    foreseen = subject.task(True, **asked)
    assert subject.writes == []
    assert foretold(foreseen, subject.done(**asked))
    assert (subject.done(**asked)["changes"], subject.writes) == ([], [])


# Facet, the operation that reads it, and the permission that this takes.
BUCKET_READS = (
    ("ownership", "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls"),
    ("public_access", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("encryption", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("lifecycle", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("versioning", "GetBucketVersioning", "s3:GetBucketVersioning"),
    ("object_lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ("tags", "GetBucketTagging", "s3:GetBucketTagging"),
    ("logging", "GetBucketLogging", "s3:GetBucketLogging"),
    ("policy", "GetBucketPolicy", "s3:GetBucketPolicy"),
)
TABLE_READS = (
    ("recovery", "DescribeContinuousBackups", "dynamodb:DescribeContinuousBackups"),
    ("tags", "ListTagsOfResource", "dynamodb:ListTagsOfResource"),
)
# Every facet would have to change.
BUCKET_ASKED = {
    "object_lock": True,
    "tags": {"Stage": "test"},
    "logging_target_bucket": "{name}-logs",
    "allow": ["enable_object_lock"],
}


@pytest.mark.aws("2.1")
@pytest.mark.parametrize(("facet", "operation", "permission"), BUCKET_READS)
def test_a_bucket_facet_that_may_not_be_read_fails_the_run_before_any_write(
    bare_bucket: Subject, facet: str, operation: str, permission: str
):
    bare_bucket.aws().create_bucket(Bucket=bare_bucket.name)
    make_log_bucket(bare_bucket)
    asked = named(BUCKET_ASKED, bare_bucket.name)
    asked["allow"] = [*asked["allow"], *bare_bucket.asked.get("allow", ())]
    if facet == "versioning":  # which object lock needs
        asked.pop("object_lock")
    unreadable(bare_bucket, asked, facet, operation, permission)


@pytest.mark.parametrize(("facet", "operation", "permission"), TABLE_READS)
def test_a_table_facet_that_may_not_be_read_fails_the_run_before_any_write(
    bare_table: Subject, facet: str, operation: str, permission: str
):
    bare_table.done(deletion_protection=False, allow=["disable_deletion_protection"])
    unreadable(bare_table, {"tags": {"Stage": "test"}}, facet, operation, permission)


def unreadable(subject: Subject, asked: dict[str, Any], facet: str, operation: str, permission: str) -> None:
    deny(subject.relay, operation)
    said = subject.refused(**asked)
    assert f"needs {permission}" in said
    assert f"unmanaged: [{facet}]" in said
    result = subject.done(**asked, unmanaged=[facet])
    assert result["changed"]
    assert (operation in subject.calls) == (facet == "tags")  # which say whether another tool manages it
    assert facet not in changed(result)


def test_unmanaged_facets_are_neither_read_nor_written(subject: Subject):
    facets = {
        "bucket": [facet for facet, _unused, _unused in BUCKET_READS],
        "table": ["billing", "encryption", "deletion_protection", "recovery", "table_class", "tags"],
    }[subject.kind]
    words = {
        "bucket": ["suspend_versioning", "weaken_policy"],
        "table": ["disable_deletion_protection", "disable_recovery"],
    }[subject.kind]
    assert f"allow: [{words[0]}]" in subject.refused(unmanaged=facets, allow=words[1:])
    result = subject.done(unmanaged=facets, allow=words)
    assert changed(result) == ["existence"]
    assert subject.done(unmanaged=facets)["changes"] == []
    assert set(subject.calls) <= {"GetCallerIdentity", "HeadBucket", "DescribeTable"}


def test_a_bucket_that_may_not_be_looked_for_fails_the_run(bucket: Subject):
    deny(bucket.relay, "HeadBucket")
    assert "s3:ListBucket" in bucket.refused() or "another account" in bucket.refused()


def test_a_table_that_may_not_be_described_fails_the_run(table: Subject):
    deny(table.relay, "DescribeTable")
    assert "needs dynamodb:DescribeTable" in table.refused()


@pytest.mark.parametrize("operation", ["ListObjectVersions", "Scan"])
def test_contents_that_may_not_be_read_cannot_be_left_alone(bare_bucket: Subject, bare_table: Subject, operation: str):
    subject = bare_table if operation == "Scan" else bare_bucket
    subject.done()
    deny(subject.relay, operation)
    said = subject.refused(state="absent")
    assert "needs" in said
    assert "unmanaged" not in said


def test_a_denied_write_names_the_permission_and_what_was_done(bucket: Subject):
    deny(bucket.relay, "PutBucketVersioning")
    result = bucket.task()
    assert result["failed"]
    assert "needs s3:PutBucketVersioning" in result["msg"]
    assert result["changed"] is True
    assert changed(result) == ["existence", "lifecycle"]


def test_tags_of_other_people_survive_and_purging_takes_them(subject: Subject):
    subject.done(tags={"Stage": "test"})
    result = subject.done(tags={"Team": "core"})
    assert result[subject.kind]["tags"] == {"Stage": "test", "Team": "core"}
    result = subject.done(tags={"Team": "core"}, purge_tags=True)
    assert result[subject.kind]["tags"] == {"Team": "core"}


def test_tags_of_aws_survive_purging(subject: Subject):
    """Moto takes no such tag on a bucket, as AWS does not from users; ministack loses it with the next request."""
    subject.done()
    theirs = [{"Key": "aws:backup:source", "Value": "1"}]
    if subject.kind == "table":
        arn = subject.aws().describe_table(TableName=subject.name)["Table"]["TableArn"]
        subject.aws().tag_resource(ResourceArn=arn, Tags=theirs)
    else:
        try:
            subject.aws().put_bucket_tagging(Bucket=subject.name, Tagging={"TagSet": theirs})
        except ClientError as refused:
            pytest.skip(f"{subject.emulator.emulator.name} takes no such tag: {refused}")
    result = subject.done(tags={"Team": "core"}, purge_tags=True)
    (change,) = result["changes"]
    assert change["after"] == {"aws:backup:source": "1", "Team": "core"}
    sent = [b"aws:backup" in call.body for call in subject.requests if "ag" in call.name and call.is_write]
    assert any(sent) == (subject.kind == "bucket")  # S3 takes no set without it, DynamoDB takes none with it


def test_a_resource_that_another_tool_manages_is_left_to_it(subject: Subject):
    subject.done(tags={"managed-by": "terraform"})
    asked = {"tags": {"Team": "core"}}
    assert "allow: [take_over_resource]" in subject.refused(**asked)
    assert changed(subject.done(**asked, allow=["take_over_resource"])) == ["tags"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facets one by one over the wire: away from the baseline and back, refused where that needs a word; denied reads."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.scenarios import deny
from tests.integration.subject import Subject, changed, foretold
from tests.support.facet_turns import BUCKET_TURNS, TABLE_TURNS, WIRE_OF_CREATION, Turn, named, over_the_wire


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


@pytest.mark.parametrize("case", over_the_wire("bucket"))
def test_a_bucket_option_goes_away_from_the_baseline_and_back(bucket: Subject, case: str):
    make_log_bucket(bucket)
    turn(bucket, BUCKET_TURNS[case])


@pytest.mark.parametrize("case", over_the_wire("table"))
def test_a_table_option_goes_away_from_the_baseline_and_back(request: pytest.FixtureRequest, table: Subject, case: str):
    make_managed_key(table)
    turn(table, TABLE_TURNS[case])


@pytest.mark.parametrize("case", over_the_wire("bucket", WIRE_OF_CREATION))
def test_a_bucket_created_with_an_option_is_what_check_mode_foresaw(bucket: Subject, case: str):
    make_log_bucket(bucket)
    created_as_foreseen(bucket, BUCKET_TURNS[case])


@pytest.mark.parametrize("case", over_the_wire("table", WIRE_OF_CREATION))
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


def some_denied(reads: Any) -> list[Any]:
    """All of them are denied in test_denied_reads: of a run that would write, these are enough."""
    return [
        pytest.param(*each, marks=() if each[0] in ("versioning", "tags", "policy") else pytest.mark.thorough)
        for each in reads
    ]


# Every facet would have to change.
BUCKET_ASKED = {
    "object_lock": True,
    "tags": {"Stage": "test"},
    "logging_target_bucket": "{name}-logs",
    "allow": ["enable_object_lock"],
}


@pytest.mark.aws("2.1")
@pytest.mark.parametrize(("facet", "operation", "permission"), some_denied(BUCKET_READS))
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
    assert "allow: [shared_management]" in subject.refused(**asked)
    assert changed(subject.done(**asked, allow=["shared_management"])) == ["tags"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where each emulator differs from AWS: every line of `Emulator.lacks` is asked for, bare and behind the shim."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.support.aws_defaults import SHIMMED, aws_defaults
from tests.support.emulators import AWS_BEHAVIOURS, EMULATORS, RunningEmulator, client
from tests.support.relay import Relay

Probe = Callable[[str], bool]
PROBES: dict[str, Probe] = {}


def probe(function: Probe) -> Probe:
    """A function of an endpoint: does it behave as AWS does?"""
    PROBES[function.__name__] = function
    return function


def new_bucket(url: str, **options: Any) -> tuple[Any, str]:
    s3, name = client(url, "s3"), f"probe-{uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name, **options)
    return s3, name


def new_table(url: str, **options: Any) -> tuple[Any, str]:
    dynamodb, name = client(url, "dynamodb"), f"probe-{uuid4().hex[:16]}"
    key = {"AttributeName": "LockID"}
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{**key, "AttributeType": "S"}],
        KeySchema=[{**key, "KeyType": "HASH"}],
        **({"BillingMode": "PAY_PER_REQUEST"} | options),
    )
    return dynamodb, name


def described(dynamodb: Any, name: str) -> dict[str, Any]:
    table: dict[str, Any] = dynamodb.describe_table(TableName=name)["Table"]
    return table


def refused(call: Callable[..., Any], code: str, **params: Any) -> bool:
    try:
        call(**params)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == code)
    return False


def encryption(s3: Any, bucket: str) -> dict[str, Any]:
    try:
        answer = s3.get_bucket_encryption(Bucket=bucket)
    except ClientError:
        return {}
    rule: dict[str, Any] = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    return rule


def put_encryption(s3: Any, bucket: str, algorithm: str, **members: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}, **members}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


@probe
def new_buckets_are_encrypted(url: str) -> bool:
    rule = encryption(*new_bucket(url))
    return bool(rule) and rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@probe
def new_buckets_block_sse_c(url: str) -> bool:
    return encryption(*new_bucket(url)).get("BlockedEncryptionTypes") == {"EncryptionType": ["SSE-C"]}


@probe
def blocked_encryption_types_are_kept(url: str) -> bool:
    s3, bucket = new_bucket(url)
    put_encryption(s3, bucket, "AES256", BlockedEncryptionTypes={"EncryptionType": ["NONE"]})
    put_encryption(s3, bucket, "aws:kms")
    return encryption(s3, bucket).get("BlockedEncryptionTypes") == {"EncryptionType": ["NONE"]}


@probe
def bucket_key_is_kept(url: str) -> bool:
    s3, bucket = new_bucket(url)
    put_encryption(s3, bucket, "aws:kms", BucketKeyEnabled=True, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]})
    return encryption(s3, bucket).get("BucketKeyEnabled") is True


@probe
def deleted_encryption_is_aes256(url: str) -> bool:
    s3, bucket = new_bucket(url)
    put_encryption(s3, bucket, "aws:kms")
    s3.delete_bucket_encryption(Bucket=bucket)
    rule = encryption(s3, bucket)
    return bool(rule) and rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@probe
def new_buckets_block_public_access(url: str) -> bool:
    s3, bucket = new_bucket(url)
    try:
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except ClientError:
        return False
    return len(block) == 4 and all(block.values())


@probe
def new_buckets_enforce_the_owner(url: str) -> bool:
    s3, bucket = new_bucket(url)
    try:
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    except ClientError:
        return False
    return bool(rules == [{"ObjectOwnership": "BucketOwnerEnforced"}])


@probe
def tags_on_create_are_kept(url: str) -> bool:
    tags = [{"Key": "who & why", "Value": "<me>"}]
    s3, bucket = new_bucket(url, CreateBucketConfiguration={"Tags": tags})
    try:
        return bool(s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags)
    except ClientError:
        return False


@probe
def head_bucket_names_the_region(url: str) -> bool:
    _unused, bucket = new_bucket(url, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    headers = client(url, "s3", region="us-west-2").head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    return bool(headers.get("x-amz-bucket-region") == "us-west-2")


@probe
def newer_noncurrent_versions_are_kept(url: str) -> bool:
    s3, bucket = new_bucket(url)
    expiry = {"NoncurrentDays": 90, "NewerNoncurrentVersions": 5}
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": expiry}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    return bool(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [rule])


@probe
def foreign_owners_are_refused(url: str) -> bool:
    s3, bucket = new_bucket(url)
    return refused(s3.get_bucket_versioning, "AccessDenied", Bucket=bucket, ExpectedBucketOwner="999999999999")


def policy(**statement: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@probe
def public_policies_are_blocked(url: str) -> bool:
    s3, bucket = new_bucket(url)
    block = {
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
    }
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    public = policy(Effect="Allow", Principal="*", Action="s3:GetObject", Resource=f"arn:aws:s3:::{bucket}/*")
    return refused(s3.put_bucket_policy, "AccessDenied", Bucket=bucket, Policy=public)


@probe
def malformed_policies_are_refused(url: str) -> bool:
    s3, bucket = new_bucket(url)
    return refused(s3.put_bucket_policy, "MalformedPolicy", Bucket=bucket, Policy="{}")


@probe
def billing_summary_is_absent_until_on_demand(url: str) -> bool:
    capacity = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    dynamodb, table = new_table(url, BillingMode="PROVISIONED", ProvisionedThroughput=capacity)
    at_first = described(dynamodb, table)
    dynamodb.update_table(TableName=table, BillingMode="PAY_PER_REQUEST")
    on_demand = described(dynamodb, table).get("BillingModeSummary", {})
    dynamodb.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=capacity)
    back = described(dynamodb, table).get("BillingModeSummary", {})
    modes = (on_demand.get("BillingMode"), back.get("BillingMode"))
    return "BillingModeSummary" not in at_first and modes == ("PAY_PER_REQUEST", "PROVISIONED")


@probe
def table_class_updates_are_kept(url: str) -> bool:
    dynamodb, table = new_table(url)
    dynamodb.update_table(TableName=table, TableClass="STANDARD_INFREQUENT_ACCESS")
    summary = described(dynamodb, table).get("TableClassSummary", {})
    return bool(summary.get("TableClass") == "STANDARD_INFREQUENT_ACCESS")


@probe
def sse_updates_are_kept(url: str) -> bool:
    arn = client(url, "kms").create_key()["KeyMetadata"]["Arn"]
    dynamodb, table = new_table(url)
    asked = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn}
    dynamodb.update_table(TableName=table, SSESpecification=asked)
    return bool(described(dynamodb, table).get("SSEDescription", {}).get("KMSMasterKeyArn") == arn)


@probe
def absent_sse_means_the_aws_owned_key(url: str) -> bool:
    dynamodb, table = new_table(url, SSESpecification={"Enabled": True, "SSEType": "KMS"})
    dynamodb.update_table(TableName=table, SSESpecification={"Enabled": False})
    return "SSEDescription" not in described(dynamodb, table)


@probe
def recovery_period_is_kept(url: str) -> bool:
    dynamodb, table = new_table(url)
    asked = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=asked)
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return bool(backups["PointInTimeRecoveryDescription"].get("RecoveryPeriodInDays") == 7)


@probe
def update_table_takes_one_change(url: str) -> bool:
    dynamodb, table = new_table(url)
    two = {"DeletionProtectionEnabled": True, "TableClass": "STANDARD_INFREQUENT_ACCESS"}
    return refused(dynamodb.update_table, "ValidationException", TableName=table, **two)


@probe
def tables_start_as_creating(url: str) -> bool:
    return bool(described(*new_table(url))["TableStatus"] == "CREATING")


def test_every_behaviour_has_a_probe_and_every_lack_a_name():
    assert set(PROBES) == set(AWS_BEHAVIOURS)
    assert {name for emulator in EMULATORS for name in emulator.lacks} <= set(AWS_BEHAVIOURS)
    assert set(AWS_BEHAVIOURS) >= SHIMMED


@pytest.mark.parametrize("behaviour", AWS_BEHAVIOURS)
def test_the_emulator_still_differs_where_we_say_so(emulator: RunningEmulator, behaviour: str):
    assert PROBES[behaviour](emulator.url) is not emulator.lacks(behaviour)


@pytest.mark.parametrize("behaviour", sorted(SHIMMED))
def test_behind_the_shim_both_are_like_aws(aws_like: Relay, behaviour: str):
    assert PROBES[behaviour](aws_like.url)


def test_the_shim_needs_nothing_where_nothing_lacks(ministack: RunningEmulator):
    perfect = RunningEmulator(emulator=type(ministack.emulator)("perfect", "", "", "", frozenset()), url="", pid=0)
    assert aws_defaults(perfect) == []

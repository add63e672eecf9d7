# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shim's edges; that each behaviour is like AWS is proven in test_differences.py."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulators import RunningEmulator, client
from tests.support.relay import Relay, error


@pytest.fixture
def s3(aws_like: Relay) -> Any:
    return client(aws_like.url, "s3")


def settings(s3: Any, bucket: str) -> dict[str, Any]:
    reads = {
        "encryption": (s3.get_bucket_encryption, "ServerSideEncryptionConfiguration"),
        "public_access": (s3.get_public_access_block, "PublicAccessBlockConfiguration"),
        "ownership": (s3.get_bucket_ownership_controls, "OwnershipControls"),
    }
    return {name: attempt(read, bucket).get(member) for name, (read, member) in reads.items()}


def attempt(read: Any, bucket: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = read(Bucket=bucket)
    except ClientError:
        return {}
    return answer


def test_a_new_bucket_is_exactly_what_aws_gives(s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name)
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    assert settings(s3, bucket_name) == {
        "encryption": {"Rules": [rule]},
        "public_access": dict.fromkeys(flags, True),
        "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    }


def test_a_bucket_from_before_the_shim_stays_as_it_was(emulator: RunningEmulator, s3: Any, bucket_name: str):
    bare = emulator.client("s3")
    bare.create_bucket(Bucket=bucket_name)
    before = settings(bare, bucket_name)
    s3.create_bucket(Bucket=bucket_name)  # us-east-1 answers 200 to the owner's second create
    assert settings(s3, bucket_name) == before


def test_a_second_create_changes_nothing(s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name)
    s3.delete_public_access_block(Bucket=bucket_name)
    s3.create_bucket(Bucket=bucket_name)
    assert settings(s3, bucket_name)["public_access"] is None


def test_a_bucket_made_again_starts_anew(s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name)
    at_first = settings(s3, bucket_name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=bucket_name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.delete_bucket(Bucket=bucket_name)
    assert settings(s3, bucket_name)["encryption"] is None
    s3.create_bucket(Bucket=bucket_name)
    assert settings(s3, bucket_name) == at_first


def test_the_ownership_asked_for_on_create_is_given(s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name, ObjectOwnership="BucketOwnerPreferred")
    assert settings(s3, bucket_name)["ownership"] == {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}


def test_a_bucket_in_another_region_is_given_the_same(aws_like: Relay, bucket_name: str):
    s3 = client(aws_like.url, "s3", region="af-south-1")
    s3.create_bucket(Bucket=bucket_name, CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    assert all(settings(s3, bucket_name).values())
    assert s3.get_bucket_location(Bucket=bucket_name)["LocationConstraint"] == "af-south-1"


def test_a_bucket_of_another_account_is_given_the_same(ministack: RunningEmulator, aws_like: Relay, bucket_name: str):
    s3 = client(aws_like.url, "s3", access_key="222222222222")
    s3.create_bucket(Bucket=bucket_name)
    assert all(settings(s3, bucket_name).values())


def test_what_the_shim_does_itself_is_not_in_the_log(aws_like: Relay, s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name)
    assert aws_like.operations == ["CreateBucket"]


def test_a_scripted_refusal_gives_nothing(aws_like: Relay, emulator: RunningEmulator, s3: Any, bucket_name: str):
    aws_like.on("CreateBucket", reply=error("OperationAborted", 409))
    with pytest.raises(ClientError, match="OperationAborted"):
        s3.create_bucket(Bucket=bucket_name)
    assert bucket_name not in [bucket["Name"] for bucket in emulator.client("s3").list_buckets()["Buckets"]]


def test_a_lifecycle_that_was_deleted_is_gone(s3: Any, bucket_name: str):
    s3.create_bucket(Bucket=bucket_name)
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket_name, LifecycleConfiguration={"Rules": [rule]})
    s3.delete_bucket_lifecycle(Bucket=bucket_name)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket_name)


def test_tables_keep_their_changes_apart_by_region(aws_like: Relay, table_name: str):
    key = {"AttributeName": "LockID"}
    classes = {}
    for region, table_class in (("us-east-1", "STANDARD_INFREQUENT_ACCESS"), ("af-south-1", "STANDARD")):
        dynamodb = client(aws_like.url, "dynamodb", region=region)
        dynamodb.create_table(
            TableName=table_name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{**key, "AttributeType": "S"}],
            KeySchema=[{**key, "KeyType": "HASH"}],
        )
        dynamodb.update_table(TableName=table_name, TableClass=table_class)
    for region in ("us-east-1", "af-south-1"):
        table = client(aws_like.url, "dynamodb", region=region).describe_table(TableName=table_name)["Table"]
        classes[region] = table["TableClassSummary"]["TableClass"]
    assert classes == {"us-east-1": "STANDARD_INFREQUENT_ACCESS", "af-south-1": "STANDARD"}

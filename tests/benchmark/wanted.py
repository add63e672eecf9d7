# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state that every peer must reach, as data: how each setting is read, when it holds, and how it is written.

The reader that checks the peers uses it, and so do the two peers that are plain scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.benchmark.targets import TAGS, Target

Response = dict[str, Any]

BLOCKED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
RULE = {
    "ID": "tfstate",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


@dataclass(frozen=True)
class Setting:
    """One setting of a bucket or a table. `params` go with both operations, `content` with the writing one."""

    read: str
    holds: Callable[[Response], bool]
    write: str
    params: dict[str, Any]
    content: dict[str, Any]

    def is_met(self, client: Any) -> bool:
        try:
            return self.holds(getattr(client, self.read)(**self.params))
        except ClientError as error:
            # What is not there is 404 in S3, and an exception of this name in DynamoDB.
            missing = error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
            if missing or "NotFound" in error.response["Error"]["Code"]:
                return False
            raise

    def put(self, client: Any) -> None:
        getattr(client, self.write)(**self.params, **self.content)


def bucket(target: Target) -> Setting:
    """The bucket itself."""
    where = {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    content = {} if target.region == "us-east-1" else where
    return Setting("head_bucket", bool, "create_bucket", {"Bucket": target.bucket}, content)


def bucket_settings(target: Target) -> list[Setting]:
    """In an order in which AWS takes them, the policy last."""
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    tag_set = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    named: tuple[tuple[str, str, Callable[[Response], bool], str, Any], ...] = (
        (
            "get_public_access_block",
            "put_public_access_block",
            lambda found: bool(found["PublicAccessBlockConfiguration"] == BLOCKED),
            "PublicAccessBlockConfiguration",
            BLOCKED,
        ),
        (
            "get_bucket_ownership_controls",
            "put_bucket_ownership_controls",
            lambda found: bool(found["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced"),
            "OwnershipControls",
            {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        ),
        (
            "get_bucket_versioning",
            "put_bucket_versioning",
            lambda found: found.get("Status") == "Enabled",
            "VersioningConfiguration",
            {"Status": "Enabled"},
        ),
        (
            "get_bucket_encryption",
            "put_bucket_encryption",
            _is_encrypted,
            "ServerSideEncryptionConfiguration",
            encryption,
        ),
        (
            "get_bucket_lifecycle_configuration",
            "put_bucket_lifecycle_configuration",
            _expires_old_versions,
            "LifecycleConfiguration",
            {"Rules": [RULE]},
        ),
        (
            "get_bucket_tagging",
            "put_bucket_tagging",
            lambda found: _has_tags(found["TagSet"]),
            "Tagging",
            {"TagSet": tag_set},
        ),
        ("get_bucket_policy", "put_bucket_policy", _demands_tls, "Policy", policy(target)),
    )
    params = {"Bucket": target.bucket}
    return [Setting(read, holds, write, params, {name: content}) for read, write, holds, name, content in named]


def _is_encrypted(found: Response) -> bool:
    rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
    return bool(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256")


def _expires_old_versions(found: Response) -> bool:
    days = {rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in found["Rules"]}
    aborts = {rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation") for rule in found["Rules"]}
    return 90 in days and 7 in aborts


def _demands_tls(found: Response) -> bool:
    statements = json.loads(found["Policy"])["Statement"]
    return any(each["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(each) for each in statements)


def _has_tags(found: list[dict[str, str]]) -> bool:
    return {tag["Key"]: tag["Value"] for tag in found}.items() >= TAGS.items()


def policy(target: Target) -> str:
    arn = f"arn:aws:s3:::{target.bucket}"
    statement = {
        "Sid": "TLSOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def table(target: Target) -> Setting:
    """The table itself, with what its creation can carry."""
    content = {
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
    }
    return Setting("describe_table", _is_lock_table, "create_table", {"TableName": target.table}, content)


def _is_lock_table(found: Response) -> bool:
    described = found["Table"]
    on_demand = described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    return bool(on_demand and described["KeySchema"] == [{"AttributeName": "LockID", "KeyType": "HASH"}])


def table_protection(target: Target) -> Setting:
    content = {"DeletionProtectionEnabled": True}
    return Setting("describe_table", _is_protected, "update_table", {"TableName": target.table}, content)


def _is_protected(found: Response) -> bool:
    return found["Table"].get("DeletionProtectionEnabled") is True


def table_recovery(target: Target) -> Setting:
    content = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    params = {"TableName": target.table}
    return Setting("describe_continuous_backups", _can_go_back, "update_continuous_backups", params, content)


def _can_go_back(found: Response) -> bool:
    backups = found["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(backups.get("PointInTimeRecoveryStatus") == "ENABLED")


def table_tags(arn: str) -> Setting:
    content = {"Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]}
    return Setting(
        "list_tags_of_resource", lambda found: _has_tags(found["Tags"]), "tag_resource", {"ResourceArn": arn}, content
    )


def unmet(target: Target, client: Callable[..., Any]) -> Iterator[str]:
    """What a backend still lacks, read by clients that none of the peers has made."""
    s3, dynamodb = (client(service, region=target.region, access_key=target.account) for service in ("s3", "dynamodb"))
    constraint = s3.get_bucket_location(Bucket=target.bucket)["LocationConstraint"]
    if (constraint or "us-east-1") != target.region:
        yield f"{target.bucket} lies in {constraint}"
    arn = dynamodb.describe_table(TableName=target.table)["Table"]["TableArn"]
    table_ones = [table(target), table_protection(target), table_recovery(target), table_tags(arn)]
    for service, settings in ((s3, bucket_settings(target)), (dynamodb, table_ones)):
        yield from (f"{target.name}: {each.read}" for each in settings if not each.is_met(service))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends that were found in the wild, by what AWS answers: what differs from one that AWS creates today."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MANAGED_TABLE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/aws-dynamodb"
ARN = "arn:aws:s3:::tf-state"

Answers = dict[str, Any]

NEW_BUCKET: Answers = {
    "head_bucket": {"BucketRegion": REGION},
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
    "get_public_access_block": {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    },
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                    "BucketKeyEnabled": False,
                    "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                }
            ]
        }
    },
    "get_bucket_versioning": {},
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_tagging": "NoSuchTagSet",
    "get_bucket_logging": {},
    "get_bucket_policy": "NoSuchBucketPolicy",
}
NEW_TABLE: Answers = {
    "describe_table": {
        "Table": {
            "TableName": "tf-locks",
            "TableArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/tf-locks",
            "TableId": "1",
            "TableStatus": "ACTIVE",
            "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "DeletionProtectionEnabled": False,
        }
    },
    "describe_continuous_backups": {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    },
    "describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
    "list_tags_of_resource": {"Tags": []},
    "managed_table_key": MANAGED_TABLE_KEY,
}


def policy(*statements: Any, **more: Any) -> Answers:
    document = {"Version": "2012-10-17", "Statement": [*statements], **more}
    return {"get_bucket_policy": {"Policy": json.dumps(document)}}


def statement(**parts: Any) -> dict[str, Any]:
    return {"Sid": "One", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"{ARN}/*", **parts}


def lifecycle(*rules: Any, **more: Any) -> Answers:
    size = {"TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}
    return {"get_bucket_lifecycle_configuration": {"Rules": [*rules], **(more or size)}}


def rule(name: str | None, **parts: Any) -> dict[str, Any]:
    id_ = {"ID": name} if name else {}
    return {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled", **id_, **parts}


def encryption(rule: Any) -> Answers:
    return {"get_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}}


def by_kms(algorithm: str = "aws:kms", **key: Any) -> Answers:
    return encryption(
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **key}, "BucketKeyEnabled": True}
    )


def table(**parts: Any) -> Answers:
    described = {**NEW_TABLE["describe_table"]["Table"], **parts}
    return {**NEW_TABLE, "describe_table": {"Table": described}}


def recovery(**described: Any) -> Answers:
    about = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": described}
    return {**NEW_TABLE, "describe_continuous_backups": {"ContinuousBackupsDescription": about}}


def at_rest(**described: Any) -> Answers:
    return table(SSEDescription={"Status": "ENABLED", "SSEType": "KMS", **described})


TLS = statement(
    Sid="CornerstoneTfstateRequireTls",
    Resource=[ARN, f"{ARN}/*"],
    Condition={"Bool": {"aws:SecureTransport": "false"}},
)
OURS = rule(
    "cornerstone.tfstate",
    Filter={"Prefix": ""},
    NoncurrentVersionExpiration={"NoncurrentDays": 90, "NewerNoncurrentVersions": 20},
    AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
    Expiration={"ExpiredObjectDeleteMarker": True},
)
LOGS: dict[str, Any] = {"TargetBucket": "acme-logs", "TargetPrefix": "tf-state/"}
DAY = datetime(2031, 1, 1, tzinfo=timezone.utc)

SHAPES: dict[str, Answers] = {
    "as AWS creates it": {},
    "as the bootstrap makes it": {
        **policy(TLS),
        **lifecycle(OURS),
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_bucket_tagging": {"TagSet": [{"Key": "managed-by", "Value": "ansible"}]},
        **recovery(PointInTimeRecoveryStatus="ENABLED", RecoveryPeriodInDays=35),
        "describe_table": table(DeletionProtectionEnabled=True)["describe_table"],
    },
    "from before 2023": {
        "get_bucket_ownership_controls": "OwnershipControlsNotFoundError",
        "get_public_access_block": "NoSuchPublicAccessBlockConfiguration",
        **encryption({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}),
    },
    # Policies
    "everybody": policy(statement()),
    "everybody of AWS": policy(statement(Principal={"AWS": "*"})),
    "everybody of AWS in a list": policy(statement(Principal={"AWS": ["*"]})),
    "an account and its role": policy(
        statement(Principal={"AWS": ["444455556666", f"arn:aws:iam::{ACCOUNT}:role/z", f"arn:aws:iam::{ACCOUNT}:root"]})
    ),
    "a role that was deleted": policy(statement(Effect="Allow", Principal={"AWS": "AROAEXAMPLEID00000000"})),
    "actions that stand there twice": policy(statement(Action=["s3:PutObject", "s3:GetObject", "s3:PutObject"])),
    "a statement by itself": {
        "get_bucket_policy": {"Policy": json.dumps({"Version": "2012-10-17", "Statement": statement()}, indent=4)}
    },
    "conditions that are no text": policy(
        statement(Condition={"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:TlsVersion": 1.2}})
    ),
    "conditions of numbers": policy(statement(Condition={"NumericGreaterThan": {"s3:max-keys": 10}})),
    "an old version, and an id": policy(statement(Resource=f"{ARN}/${{literal}}/*"), Version="2008-10-17", Id="old"),
    "no version": {"get_bucket_policy": {"Policy": json.dumps({"Statement": [statement()]})}},
    "what is not named": policy(
        {
            "Sid": "Others",
            "Effect": "Deny",
            "NotPrincipal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "NotAction": ["s3:ListBucket", "s3:GetObject"],
            "NotResource": f"{ARN}/%{{if}}/*",
        }
    ),
    "statements without a Sid": policy(
        {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"{ARN}/*"},
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ARN,
            "Condition": {"Bool": {"a:b": ["true"]}},
        },
    ),
    # Lifecycle
    "rules in their own order": lifecycle(rule("z", Filter={"Prefix": "a/"}), OURS, rule("a", Filter={"Prefix": "z/"})),
    "a rule of old": lifecycle(rule("old", Prefix="logs/"), OURS),
    "a rule of old for everything": lifecycle(rule("old", Prefix="")),
    "an empty filter": lifecycle(rule("all", Filter={})),
    "one tag by And": lifecycle(rule("and", Filter={"And": {"Tags": [{"Key": "a", "Value": "b"}]}})),
    "one prefix by And": lifecycle(rule("and", Filter={"And": {"Prefix": "a/"}})),
    "a tag": lifecycle(rule("tag", Filter={"Tag": {"Key": "scratch", "Value": "${yes}"}})),
    "sizes": lifecycle(
        rule("small", Filter={"ObjectSizeLessThan": 1}),
        rule("large", Filter={"And": {"Prefix": "", "ObjectSizeGreaterThan": 0, "ObjectSizeLessThan": 9}}),
    ),
    "transitions": lifecycle(
        {
            "ID": "cold",
            "Status": "Disabled",
            "Filter": {"And": {"Prefix": "r/", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]}},
            "Transitions": [
                {"Days": 0, "StorageClass": "INTELLIGENT_TIERING"},
                {"Date": DAY, "StorageClass": "GLACIER"},
            ],
            "NoncurrentVersionTransitions": [
                {"NoncurrentDays": 90, "StorageClass": "GLACIER"},
                {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3, "StorageClass": "STANDARD_IA"},
            ],
            "Expiration": {"Date": DAY},
        }
    ),
    "markers that stay": lifecycle(
        {"ID": "m", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": False}}
    ),
    "small objects transition": lifecycle(OURS, TransitionDefaultMinimumObjectSize="varies_by_storage_class"),
    # Encryption
    "AES256 with a bucket key": encryption(
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}
    ),
    "a key by its ARN": by_kms(KMSMasterKeyID=KEY),
    "a key by its alias": by_kms(KMSMasterKeyID="alias/state"),
    "a key by its id": by_kms(KMSMasterKeyID="1234abcd-12ab-34cd-56ef-1234567890ab"),
    "a key by the ARN of its alias": by_kms(KMSMasterKeyID=f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/state"),
    "the key of S3 by its alias": by_kms(KMSMasterKeyID="alias/aws/s3"),
    "the key of S3": by_kms(),
    "two layers": by_kms("aws:kms:dsse", KMSMasterKeyID=KEY),
    "everything unblocked": encryption(
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
        }
    ),
    "types in their own order": encryption(
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C", "NONE"]},
        }
    ),
    "blocked types alone": encryption({"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}),
    # The rest of a bucket
    "ACLs in use": {
        "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
        "get_bucket_acl": {"Owner": {"ID": "me"}, "Grants": [{"Grantee": {"ID": "you"}, "Permission": "READ"}]},
    },
    "public access that is configured as open": {"get_public_access_block": {"PublicAccessBlockConfiguration": {}}},
    "versioning that was suspended": {"get_bucket_versioning": {"Status": "Suspended"}},
    "MFA delete": {"get_bucket_versioning": {"Status": "Enabled", "MFADelete": "Enabled"}},
    "object lock": {
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_object_lock_configuration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    },
    "object lock for years": {
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_object_lock_configuration": {
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}},
            }
        },
    },
    "tags of AWS, and odd ones": {
        "get_bucket_tagging": {
            "TagSet": [
                {"Key": "aws:cloudformation:stack-name", "Value": "base"},
                {"Key": "cost centre", "Value": '${x} %{y} \\ "\u00e9\u4e2d\U0001f600'},
                {"Key": "empty", "Value": ""},
            ]
        }
    },
    "logs": {
        "get_bucket_logging": {
            "LoggingEnabled": {
                **LOGS,
                "TargetGrants": [
                    {"Permission": "WRITE", "Grantee": {"Type": "CanonicalUser", "ID": "79a5", "DisplayName": "ops"}},
                    {"Permission": "READ", "Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/X"}},
                ],
                "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
            }
        }
    },
    "logs without a prefix": {
        "get_bucket_logging": {
            "LoggingEnabled": {"TargetBucket": "b", "TargetPrefix": "", "TargetObjectKeyFormat": {"SimplePrefix": {}}}
        }
    },
    "a replicated bucket": {
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_bucket_replication": {"ReplicationConfiguration": {"Role": "arn:aws:iam::1:role/r", "Rules": []}},
    },
    # Tables
    "capacity that was never on demand": {
        **NEW_TABLE,
        "describe_table": {
            "Table": {
                **{k: v for k, v in NEW_TABLE["describe_table"]["Table"].items() if k != "BillingModeSummary"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
            }
        },
    },
    "capacity instead of demand": table(
        BillingModeSummary={"BillingMode": "PROVISIONED"},
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    ),
    "infrequent access": table(TableClassSummary={"TableClass": "STANDARD_INFREQUENT_ACCESS"}),
    "the standard class": table(TableClassSummary={"TableClass": "STANDARD"}, DeletionProtectionEnabled=True),
    "recovery of a week": recovery(PointInTimeRecoveryStatus="ENABLED", RecoveryPeriodInDays=7),
    "recovery without a period": recovery(PointInTimeRecoveryStatus="ENABLED"),
    "a table with a key": at_rest(KMSMasterKeyArn=KEY),
    "a table with the key of DynamoDB": at_rest(KMSMasterKeyArn=MANAGED_TABLE_KEY),
    "a table whose key was switched off": table(SSEDescription={"Status": "DISABLED"}),
    "a time to live": {
        **NEW_TABLE,
        "describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}},
    },
    "a stream": table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}),
    "a global table": table(
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        Replicas=[{"RegionName": "us-east-1", "ReplicaStatus": "ACTIVE"}],
    ),
    "indexes": table(
        AttributeDefinitions=[
            {"AttributeName": "LockID", "AttributeType": "S"},
            {"AttributeName": "Who", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[{"IndexName": "who", "KeySchema": [{"AttributeName": "Who", "KeyType": "HASH"}]}],
    ),
    "a limit of the throughput": table(OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 9}),
    "a limit that was lifted": table(OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1}),
    "tags of a table": {
        **NEW_TABLE,
        "list_tags_of_resource": {"Tags": [{"Key": "aws:backup:x", "Value": "1"}, {"Key": "team", "Value": "ops"}]},
    },
}

#: What other stores than AWS answer, and the argument that the first plan shows then.
STORES: dict[str, tuple[Answers, str]] = {
    "no smallest size": (
        {"get_bucket_lifecycle_configuration": {"Rules": [OURS]}},
        "aws_s3_bucket_lifecycle_configuration.state.transition_default_minimum_object_size",
    ),
    "a rule without an ID": (lifecycle(rule(None, Filter={"Prefix": ""})), "rule[0].id: None -> 'unnamed-0'"),
}

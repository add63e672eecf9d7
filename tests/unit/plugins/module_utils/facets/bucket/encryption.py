# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import KEY, OTHER_KEY, UNKNOWN, s3


def config(algorithm: str, key: str | None = None, **rule: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    return {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **rule}]}}


def normal(
    algorithm: str | None, key: str | None = None, bucket_key: bool = False, blocked: Any = None
) -> dict[str, Any]:
    return {
        "algorithm": algorithm,
        "kms_key_id": key,
        "bucket_key_enabled": bucket_key,
        "blocked_encryption_types": blocked,
    }


def put(*args: Any, **rule: Any) -> Any:
    return [s3("put_bucket_encryption", **config(*args, **rule))]


BLOCKED = {"EncryptionType": ["SSE-C", "NONE"]}

READS = {
    "an old bucket": (config("AES256"), normal("AES256")),
    "a new bucket": (
        config("AES256", BucketKeyEnabled=False, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]}),
        normal("AES256", blocked=["SSE-C"]),
    ),
    "blocked types have no order": (
        config("AES256", BlockedEncryptionTypes=BLOCKED),
        normal("AES256", blocked=["NONE", "SSE-C"]),
    ),
    "a bucket key without KMS means nothing": (config("AES256", BucketKeyEnabled=True), normal("AES256")),
    "an alias is the key that it stands for": (config("aws:kms", "alias/state"), normal("aws:kms", KEY)),
    "a key id is the key that it stands for": (
        config("aws:kms", "1111", BucketKeyEnabled=True),
        normal("aws:kms", KEY, True),
    ),
    "the alias of the managed key means no key of one's own": (config("aws:kms", "alias/aws/s3"), normal("aws:kms")),
    "its ARN does, too": (config("aws:kms", "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3"), normal("aws:kms")),
    "an algorithm of tomorrow is no error": (config("aws:fsx"), normal("aws:fsx")),
    "a rule without a default is no error": (
        {"ServerSideEncryptionConfiguration": {"Rules": [{"BucketKeyEnabled": False}]}},
        normal(None),
    ),
}
DESIRES = {
    "the baseline is AES256": ({}, normal(None), normal("AES256")),
    "KMS stays when nothing is asked": (
        {},
        normal("aws:kms", KEY, True, ["SSE-C"]),
        normal("aws:kms", KEY, True, ["SSE-C"]),
    ),
    "an algorithm of tomorrow stays": ({}, normal("aws:fsx"), normal("aws:fsx")),
    "a key alone means KMS with a bucket key": (
        {"kms_key_id": "alias/state"},
        normal("AES256"),
        normal("aws:kms", KEY, True),
    ),
    "the managed key is no key of one's own": (
        {"kms_key_id": "alias/aws/s3"},
        normal("aws:kms", KEY),
        normal("aws:kms"),
    ),
    "AES256 drops the key": ({"encryption": "AES256"}, normal("aws:kms", KEY, True), normal("AES256")),
    "a missing bucket key is nobody's wish to change": ({}, normal("aws:kms", KEY), normal("aws:kms", KEY)),
    "dsse keeps the key but has no bucket key": (
        {"encryption": "aws:kms:dsse"},
        normal("aws:kms", KEY, True),
        normal("aws:kms:dsse", KEY),
    ),
    "the bucket key alone can change": (
        {"bucket_key_enabled": False},
        normal("aws:kms", KEY, True),
        normal("aws:kms", KEY),
    ),
    "another key": ({"kms_key_id": "alias/other"}, normal("aws:kms", KEY, True), normal("aws:kms", OTHER_KEY, True)),
}
CALLS = {
    "AES256": (normal("aws:kms", KEY), normal("AES256"), put("AES256", BucketKeyEnabled=False)),
    "KMS with a key carries the blocked types along": (
        normal("AES256", blocked=["SSE-C"]),
        normal("aws:kms", KEY, True, ["SSE-C"]),
        put("aws:kms", KEY, BucketKeyEnabled=True, BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]}),
    ),
}
PROBLEMS = {
    "a key is for KMS": ({"encryption": "AES256", "kms_key_id": "x"}, "kms_key_id needs encryption"),
    "a bucket key is for KMS": ({"encryption": "AES256", "bucket_key_enabled": True}, "bucket_key_enabled needs"),
    "dsse has no bucket key": ({"encryption": "aws:kms:dsse", "bucket_key_enabled": True}, "no bucket key"),
    "a key alone is fine": ({"kms_key_id": "x"}, None),
}
#: What a later S3 may answer.
LATER_READ = {
    "ServerSideEncryptionConfiguration": {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:moon"}, **UNKNOWN}]
    }
}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Default encryption of new objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.kms import customer_keys
from .._core.model import Call, Change, FindingKind, IamActions, Params, Refusal, Response, Target, Value
from .._core.provider import Block, ProviderArguments, without_nulls
from .._core.refusals import check_known, other_key

NAME = "encryption"
MAY_BE_LOST = True
OPTIONS = {
    "encryption": {"choices": ["AES256", "aws:kms", "aws:kms:dsse"]},
    "kms_key_id": {"no_log": False},
    "bucket_key_enabled": {"type": "bool"},
}
ABSENT = {"algorithm": None, "kms_key_id": None, "bucket_key_enabled": False, "blocked_encryption_types": None}
NEW = {**ABSENT, "algorithm": "AES256"}
NOT_FOUND = {"ServerSideEncryptionConfigurationNotFoundError"}
IAM_ACTIONS = IamActions(read=("s3:GetEncryptionConfiguration",), write=("s3:PutEncryptionConfiguration",))
FINDING = FindingKind(
    "medium",
    "Default encryption is not what it should be",
    "What is stored without the right key can be read by whoever gets at the object.",
    ("S3.17", "CKV_AWS_19", "CKV_AWS_145"),
)

#: The key that aws:kms uses by default.
MANAGED_KEY = "alias/aws/s3"


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_encryption", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    rule = response["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    key = default.get("KMSMasterKeyID")
    managed = key is None or key.endswith(MANAGED_KEY)
    blocked = rule.get("BlockedEncryptionTypes", {}).get("EncryptionType")
    return {
        "algorithm": default.get("SSEAlgorithm"),
        "kms_key_id": None if managed else target.key_arn(key),
        "bucket_key_enabled": is_kms(default.get("SSEAlgorithm")) and bool(rule.get("BucketKeyEnabled")),
        "blocked_encryption_types": sorted(blocked) if blocked else None,
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    key = params.get("kms_key_id")
    algorithm = params.get("encryption") or observed["algorithm"] or "AES256"
    if key and not params.get("encryption") and not is_kms(algorithm):
        algorithm = "aws:kms"
    if not is_kms(algorithm):
        return {**observed, "algorithm": algorithm, "kms_key_id": None, "bucket_key_enabled": False}
    asked = params.get("bucket_key_enabled")
    bucket_key = observed["bucket_key_enabled"] if is_kms(observed["algorithm"]) else True  # it saves KMS requests
    return {
        **observed,
        "algorithm": algorithm,
        "kms_key_id": named_key(key, target) if key else observed["kms_key_id"],
        # With dsse there is no bucket key.
        "bucket_key_enabled": algorithm == "aws:kms" and (bucket_key if asked is None else asked),
    }


def is_kms(algorithm: str | None) -> bool:
    return bool(algorithm) and str(algorithm).startswith("aws:kms")


def named_key(key: str, target: Target) -> str | None:
    return None if key.endswith(MANAGED_KEY) else target.key_arn(key)


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    default = {"SSEAlgorithm": after["algorithm"]}
    if after["kms_key_id"]:
        default["KMSMasterKeyID"] = after["kms_key_id"]
    rule: dict[str, object] = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": after["bucket_key_enabled"],
    }
    if after["blocked_encryption_types"]:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": after["blocked_encryption_types"]}
    rules = {"Rules": [rule]}
    return (Call("s3", "put_bucket_encryption", {**target.bucket, "ServerSideEncryptionConfiguration": rules}),)


def requested_keys(params: Params) -> Iterator[str]:
    key = params.get("kms_key_id")
    if key and not key.endswith(MANAGED_KEY):
        yield key


def observed_keys(response: Response) -> Iterator[str]:
    key = normalise(response, Target("", ""))["kms_key_id"]
    if key and ":key/" not in key:
        yield key


def problems(params: Params, target: Target) -> Iterator[str]:
    if params.get("encryption") == "AES256" and params.get("kms_key_id"):
        yield "kms_key_id needs encryption: aws:kms or aws:kms:dsse"
    if params.get("encryption") == "AES256" and params.get("bucket_key_enabled"):
        yield "bucket_key_enabled needs encryption: aws:kms"
    if params.get("encryption") == "aws:kms:dsse" and params.get("bucket_key_enabled"):
        yield "aws:kms:dsse has no bucket key; leave bucket_key_enabled out"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before, change.after
    if _strength(after["algorithm"]) < _strength(before["algorithm"]):
        reason = f"encryption would go from {before['algorithm']} down to {after['algorithm']}"
        yield Refusal(reason, "weaken_encryption")
    elif before["kms_key_id"] and before["kms_key_id"] != after["kms_key_id"]:
        yield other_key(before["kms_key_id"], after["kms_key_id"])


def _strength(algorithm: str | None) -> int:
    """An unknown algorithm counts as the strongest."""
    known = (None, "AES256", "aws:kms", "aws:kms:dsse")
    return known.index(algorithm) if algorithm in known else len(known)


def returned(response: Response) -> Value:
    """The rules. A key keeps the name that it has there, and the list its order: the provider compares texts."""
    return response["ServerSideEncryptionConfiguration"]["Rules"]


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    rules = tuple(map(_provider_rule, value))
    if rules:
        yield ProviderArguments("aws_s3_bucket_server_side_encryption_configuration", {}, rules)


def _provider_rule(rule: Mapping[str, Any]) -> Block:
    check_known("default encryption", rule, _PARTS)
    default = rule.get("ApplyServerSideEncryptionByDefault")
    attributes = without_nulls(
        bucket_key_enabled=rule.get("BucketKeyEnabled"),
        blocked_encryption_types=rule.get("BlockedEncryptionTypes", {}).get("EncryptionType") or None,
    )
    return Block("rule", (), attributes, (_provider_default(default),) if default else ())


def _provider_default(default: Mapping[str, Any]) -> Block:
    check_known("default encryption", default, ("SSEAlgorithm", "KMSMasterKeyID"))
    named = without_nulls(sse_algorithm=default.get("SSEAlgorithm"), kms_master_key_id=default.get("KMSMasterKeyID"))
    return Block("apply_server_side_encryption_by_default", (), named)


#: Of a rule, those that the provider has words for.
_PARTS = ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes")


def cost(value: Value) -> dict[str, Any]:
    if not value:
        return {"kms_keys": None, "asks_kms": None}
    return {
        "kms_keys": customer_keys(value["kms_key_id"]),
        "asks_kms": is_kms(value["algorithm"]) and not value["bucket_key_enabled"],
    }

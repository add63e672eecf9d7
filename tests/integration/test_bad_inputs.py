# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot be right is told in a sentence before any write, in check mode too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.subject import Subject

DENY = {"Sid": "A", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{name}/*"}
LONG = "arn:aws:s3:::{name}/" + "x" * 900

BUCKET_INPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "short name": ({"name": "ab"}, "'ab' is no bucket name: 3 to 63"),
    "upper case": ({"name": "Terraform-State"}, "'Terraform-State' is no bucket name"),
    "underscore": ({"name": "terraform_state"}, "is no bucket name"),
    "two dots": ({"name": "terraform..state"}, "no two dots together"),
    "address": ({"name": "192.168.0.1"}, "no IP address"),
    "long name": ({"name": "a" * 64}, "is no bucket name"),
    "reserved name": ({"name": "xn--state"}, "AWS reserves"),
    "reserved end": ({"name": "state-s3alias"}, "AWS reserves"),
    "regional name": ({"name": "state-an"}, "must have the form <prefix>-<account id>-us-east-1-an"),
    "account": ({"account_id": "1234"}, "an AWS account has 12 digits"),
    "no region": ({"region": None}, "region is not set"),
    "unknown state": ({"state": "gone"}, "value of state must be one of: present, absent"),
    "unknown option": ({"versionning": True}, "versionning"),
    "unknown facet": ({"unmanaged": ["version"]}, "unmanaged must be one or more of"),
    "unknown word": ({"allow": ["everything"]}, "allow must be one or more of"),
    "key with AES256": ({"encryption": "AES256", "kms_key_id": "alias/x"}, "kms_key_id needs encryption: aws:kms"),
    "bucket key with AES256": (
        {"encryption": "AES256", "bucket_key_enabled": True},
        "bucket_key_enabled needs encryption: aws:kms",
    ),
    "bucket key with dsse": ({"encryption": "aws:kms:dsse", "bucket_key_enabled": True}, "has no bucket key"),
    "unknown cipher": ({"encryption": "AES512"}, "value of encryption must be one of"),
    "negative days": ({"noncurrent_version_expiration_days": -1}, "must lie between 0 (off) and 36500"),
    "many versions": ({"newer_noncurrent_versions": 101}, "must lie between 0 (off) and 100"),
    "days of uploads": ({"abort_incomplete_multipart_upload_days": 99999}, "must lie between 0"),
    "tag of AWS": ({"tags": {"aws:mine": "1"}}, "names that start with aws: are AWS's own"),
    "long tag": ({"tags": {"k" * 129: "1"}}, "a key has 1 to 128 characters"),
    "long value": ({"tags": {"k": "1" * 257}}, "a value at most 256"),
    "many tags": ({"tags": {f"k{place}": "" for place in range(51)}}, "51 tags; AWS takes 50"),
    "purge alone": ({"purge_tags": True}, "purge_tags needs tags"),
    "own logs": ({"logging_target_bucket": "{name}"}, "logging_target_bucket is the bucket itself"),
    "prefix alone": ({"logging_target_prefix": "x"}, "logging_target_prefix needs logging_target_bucket"),
    "no log bucket": ({"logging_target_bucket": "{name}-no"}, "the log bucket {name}-no cannot be used"),
    "lock without versions": ({"object_lock": True, "versioning": False}, "object_lock needs versioning"),
    "lock mode alone": ({"object_lock_mode": "GOVERNANCE", "object_lock_days": 1}, "need object_lock: true"),
    "lock without days": ({"object_lock": True, "object_lock_mode": "GOVERNANCE"}, "go together"),
    "lock for ever": (
        {"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 99999},
        "AWS takes 1 to 36500",
    ),
    "version without tls": (
        {"require_tls": False, "minimum_tls_version": "1.3"},
        "minimum_tls_version needs require_tls",
    ),
    "no key to require": ({"require_kms_key": True}, "require_kms_key needs kms_key_id"),
    "statement without Sid": ({"policy_statements": [{**DENY, "Sid": None}]}, "needs a Sid"),
    "statement of nothing": ({"policy_statements": [{"Sid": "A"}]}, "Effect is Allow or Deny"),
    "statement on another bucket": (
        {"policy_statements": [{**DENY, "Resource": "arn:aws:s3:::other"}]},
        "is not this bucket",
    ),
    "statement named like ours": (
        {"policy_statements": [{**DENY, "Sid": "CornerstoneTfstateRequireTls"}]},
        "the Sid is taken",
    ),
    "statements too long": (
        {"policy_statements": [{**DENY, "Sid": f"A{place}", "Resource": LONG} for place in range(20)]},
        "longer than the 20480 bytes",
    ),
    "profile and key": ({"profile": "x"}, "parameters are mutually exclusive: profile|access_key"),
    "key without secret": ({"secret_key": None}, "required together: access_key, secret_key"),
}

TABLE_INPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "short name": ({"name": "ab"}, "'ab' is no table name: 3 to 255"),
    "bad name": ({"name": "terraform locks"}, "is no table name"),
    "long name": ({"name": "a" * 256}, "is no table name"),
    "capacity on demand": (
        {"billing_mode": "PAY_PER_REQUEST", "read_capacity": 1, "write_capacity": 1},
        "need billing_mode: PROVISIONED",
    ),
    "no capacity": ({"billing_mode": "PROVISIONED"}, "PROVISIONED needs read_capacity and write_capacity"),
    "half a capacity": ({"read_capacity": 1}, "go together"),
    "huge capacity": ({"read_capacity": 40001, "write_capacity": 1}, "must lie between 1 and 40000"),
    "no capacity at all": ({"read_capacity": 0, "write_capacity": 1}, "must lie between 1 and 40000"),
    "key without id": ({"encryption": "customer_managed_key"}, "needs kms_key_id"),
    "id without key": ({"encryption": "aws_owned_key", "kms_key_id": "alias/x"}, "customer_managed_key"),
    "unknown class": ({"table_class": "GLACIER"}, "value of table_class must be one of"),
    "long recovery": ({"recovery_period_days": 36}, "must lie between 1 and 35"),
    "no recovery days": ({"recovery_period_days": 0}, "must lie between 1 and 35"),
    "days without recovery": (
        {"point_in_time_recovery": False, "recovery_period_days": 7},
        "recovery_period_days needs point_in_time_recovery",
    ),
    "tag of AWS": ({"tags": {"AWS:mine": "1"}}, "names that start with aws: are AWS's own"),
}


def told(subject: Subject, asked: dict[str, Any], sentence: str) -> None:
    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [named(each) for each in value]
        return value.replace("{name}", subject.name) if isinstance(value, str) else value

    said = subject.refused(**named(asked))
    assert named(sentence) in said


@pytest.mark.aws("1.9", "2.10", "2.12")
@pytest.mark.parametrize("case", BUCKET_INPUTS)
def test_a_wrong_bucket_option_is_told(bare_bucket: Subject, case: str):
    told(bare_bucket, *BUCKET_INPUTS[case])


@pytest.mark.parametrize("case", TABLE_INPUTS)
def test_a_wrong_table_option_is_told(bare_table: Subject, case: str):
    told(bare_table, *TABLE_INPUTS[case])

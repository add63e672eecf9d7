# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options one by one, away from the baseline and back: in memory all of them, over the wire one for each call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

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

#: The others send the same calls with other values: over the wire they are repetitions.
WIRE = {
    "bucket": (
        *("ownership", "public access", "versioning", "encryption", "days", "object lock mode", "tags", "logging"),
        *("tls version", "statements"),
    ),
    "table": ("billing", "managed key", "deletion protection", "recovery period", "table class", "tags"),
}
#: Of these, what is created at once sends other calls.
WIRE_OF_CREATION = {
    "bucket": ("ownership", "object lock mode", "tags", "logging"),
    "table": ("billing", "managed key", "deletion protection", "table class", "tags"),
}


def over_the_wire(kind: str, wire: dict[str, tuple[str, ...]] = WIRE) -> list[Any]:
    """The names of the turns, for `parametrize`."""
    turns = {"bucket": BUCKET_TURNS, "table": TABLE_TURNS}[kind]
    return [pytest.param(each, marks=() if each in wire[kind] else pytest.mark.thorough) for each in turns]


def named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: named(each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, name) for each in value]
    return value.replace("{name}", name) if isinstance(value, str) else value

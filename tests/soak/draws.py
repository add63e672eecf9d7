# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Resources and options, drawn by a plain generator, so that a seed reproduces a run."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from tests.unit.plugins.module_utils.fake_aws import FLAGS, KEY, MANAGED_TABLE_KEY, OTHER_KEY, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import (
    AUDITOR,
    FOREIGN_RULE,
    LOGS,
    OUR_RULE,
    READER,
    STATE_OBJECTS,
    TARGET,
    WITHOUT_SID,
    Kind,
    tls,
)

Params = dict[str, Any]

OPTIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "bucket": {
        "versioning": (True, False),
        "encryption": ("AES256", "aws:kms", "aws:kms:dsse"),
        "kms_key_id": ("alias/state", "1111", KEY, "alias/other"),
        "bucket_key_enabled": (True, False),
        "public_access": ({}, {"block_public_acls": False}, {"restrict_public_buckets": True}),
        "object_ownership": ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"),
        "noncurrent_version_expiration_days": (0, 1, 90, 365),
        "newer_noncurrent_versions": (0, 5, 20),
        "abort_incomplete_multipart_upload_days": (0, 7),
        "expired_object_delete_marker": (True, False),
        "require_tls": (True, False),
        "minimum_tls_version": ("1.2", "1.3"),
        "allowed_organization_ids": (["o-1"], ["o-2", "o-1"]),
        "policy_statements": ([AUDITOR], [AUDITOR, READER]),
        "purge_policy_statements": (True, False),
        "logging_target_bucket": ("none", LOGS),
        "object_lock": (True,),
        "tags": ({"Owner": "a"}, {"Owner": "b", "Team": ""}),
        "purge_tags": (True, False),
    },
    "table": {
        "billing_mode": ("PAY_PER_REQUEST",),
        "encryption": ("aws_owned_key", "aws_managed_key"),
        "deletion_protection": (True, False),
        "point_in_time_recovery": (True, False),
        "recovery_period_days": (1, 7, 35),
        "table_class": ("STANDARD", "STANDARD_INFREQUENT_ACCESS"),
        "tags": ({"Owner": "a"}, {"Owner": "b", "Team": ""}),
        "purge_tags": (True, False),
    },
}
#: Options of a table that go together only.
TOGETHER: tuple[Params, ...] = (
    {},
    {"read_capacity": 3, "write_capacity": 3, "billing_mode": "PROVISIONED"},
    {"encryption": "customer_managed_key", "kms_key_id": "alias/state"},
)
ENCRYPTIONS: tuple[Any, ...] = (
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False},
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/state"}},
    {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": OTHER_KEY},
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
    },
)
LIFECYCLES: tuple[Any, ...] = (None, [OUR_RULE], [FOREIGN_RULE, OUR_RULE], [{**OUR_RULE, "Status": "Disabled"}])
POLICIES: tuple[list[Any], ...] = ([], [READER], [WITHOUT_SID, tls("1.2")], [AUDITOR, tls("1.3")])
ITEMS = [
    {"LockID": {"S": "tf-state/prod-md5"}, "Digest": {"S": "d41d"}},
    {"LockID": {"S": "tf-state/prod"}, "Info": {"S": "{}"}},
]


def draw_resource(kind: Kind, random: Random) -> Bucket | Table | None:
    """The resource at the start: none, or one with any settings."""
    if random.random() < 0.35:
        return None
    return _bucket(random) if kind.name == "bucket" else _table(random)


def _bucket(random: Random) -> Bucket:
    statements = random.choice(POLICIES)
    bucket = Bucket(
        tags=random.choice([{}, {"Team": "b"}, {"Owner": "x", "aws:servicecatalog:x": "a"}]),
        encryption=random.choice(ENCRYPTIONS),
        public_access=random.choice(
            [None, dict.fromkeys(FLAGS, True), {**dict.fromkeys(FLAGS, True), FLAGS[0]: False}]
        ),
        ownership=random.choice([None, "ObjectWriter", "BucketOwnerEnforced"]),
        versioning=random.choice([None, "Enabled", "Enabled", "Suspended"]),
        lifecycle=random.choice(LIFECYCLES),
        policy={"Version": "2012-10-17", "Statement": statements} if statements else None,
        logging=random.choice([{}, {"TargetBucket": LOGS, "TargetPrefix": "old/"}]),
        objects=random.choice([[], STATE_OBJECTS, STATE_OBJECTS]),
    )
    return copy.deepcopy(bucket)


def _table(random: Random) -> Table:
    table = Table(
        capacity=random.choice([None, {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}]),
        sse=random.choice([None, KEY, OTHER_KEY, MANAGED_TABLE_KEY]),
        protected=random.choice([True, False]),
        recovery_days=random.choice([None, 7, 35]),
        table_class=random.choice([None, "STANDARD_INFREQUENT_ACCESS"]),
        tags=random.choice([{}, {"Team": "b"}]),
        items=random.choice([[], ITEMS, ITEMS]),
        autoscaled=random.random() < 0.1,
    )
    return copy.deepcopy(table)


def draw_options(kind: Kind, random: Random) -> Params:
    """A few options, without those that exclude each other."""
    if random.random() < 0.15:
        return {"state": "absent"}
    options = OPTIONS[kind.name]
    names = random.sample(sorted(options), random.choice([0, 1, 3, 5]))
    params = {name: random.choice(options[name]) for name in names}
    if kind.name == "table":
        params = {name: each for name, each in params.items() if name not in ("billing_mode", "encryption")}
        params |= random.choice(TOGETHER)
    if random.random() < 0.5:
        params["tags"] = random.choice(options["tags"])
    while any(problem for facet in kind.resource.facets for problem in facet.problems(params, TARGET)):
        params.pop(random.choice(sorted(params)))
    if params.get("object_lock"):
        params.pop("versioning", None)
    return {"state": "present", **params}

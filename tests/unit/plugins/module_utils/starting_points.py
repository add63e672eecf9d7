# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a run may start: what the operator asks, and what is there already, in every mixture that AWS allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Resource, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Outcome, reconcile
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import (
    ACCOUNT,
    FLAGS,
    KEY,
    MANAGED_TABLE_KEY,
    OTHER_KEY,
    REGION,
    Bucket,
    FakeAws,
    Table,
)

NAME, LOGS = "tf-state", "tf-logs"
TARGET = Target(NAME, REGION, owner=ACCOUNT, arn=f"arn:aws:s3:::{NAME}")
ARN = f"arn:aws:s3:::{NAME}"

READER = {
    "Sid": "Reader",
    "Effect": "Allow",
    "Principal": {"AWS": "444455556666"},
    "Action": "s3:GetObject",
    "Resource": f"{ARN}/*",
}
AUDITOR = {
    "Sid": "Auditor",
    "Effect": "Allow",
    "Principal": {"AWS": ["arn:aws:iam::444455556666:root", "arn:aws:iam::777788889999:role/audit"]},
    "Action": ["s3:ListBucket", "s3:GetBucketPolicy"],
    "Resource": [ARN],
    "Condition": {"Bool": {"aws:MultiFactorAuthPresent": True}},
}
WITHOUT_SID = {name: value for name, value in READER.items() if name != "Sid"}


def tls(version: str) -> dict[str, Any]:
    return {
        "Sid": "CornerstoneTfstateMinimumTlsVersion",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [ARN, f"{ARN}/*"],
        "Condition": {"NumericLessThan": {"s3:TlsVersion": version}},
    }


@dataclass(frozen=True)
class Kind:
    """A resource, and what may be asked and found of it."""

    resource: Resource = field(repr=False)
    params: st.SearchStrategy[dict[str, Any]] = field(repr=False)
    found: st.SearchStrategy[Bucket | Table | None] = field(repr=False)
    name: str = ""

    def world(self, found: Bucket | Table | None, **more: Any) -> FakeAws:
        buckets = {LOGS: Bucket(), **({NAME: found} if isinstance(found, Bucket) else {})}
        tables = {NAME: found} if isinstance(found, Table) else {}
        return FakeAws(buckets, tables, **more)

    def it(self, aws: FakeAws) -> Bucket | Table | None:
        return (aws.buckets if self.resource is BUCKET else aws.tables).get(NAME)  # type: ignore[attr-defined]

    def run(self, aws: FakeAws, params: dict[str, Any], check_mode: bool = False) -> Outcome:
        target = Target(NAME, REGION, owner=ACCOUNT)
        return reconcile(aws, self.resource, target, {"state": "present", "unmanaged": None, **params}, check_mode)

    def run_without_unmanaged(self, aws: FakeAws, params: dict[str, Any]) -> Outcome:
        """As a module does that has no such option."""
        return reconcile(aws, self.resource, Target(NAME, REGION, owner=ACCOUNT), {"state": "present", **params}, False)

    @property
    def everything_allowed(self) -> dict[str, Any]:
        return {"allow": list(ALLOW[self.resource.kind]), "confirm_name": NAME}


def _is_valid(resource: Resource) -> Any:
    def judge(params: dict[str, Any]) -> bool:
        return not any(problem for facet in resource.facets for problem in facet.problems(params, TARGET))

    return judge


def _one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


_tags = st.dictionaries(_one_of("Owner", "Team", "Empty"), _one_of("a", "b", ""), max_size=3)
_found_tags = st.dictionaries(_one_of("Owner", "Team", "aws:servicecatalog:x"), _one_of("a", "b"), max_size=3)

_bucket_options: dict[str, st.SearchStrategy[Any]] = {
    "versioning": st.booleans(),
    "encryption": _one_of("AES256", "aws:kms", "aws:kms:dsse"),
    "kms_key_id": _one_of("alias/state", "1111", KEY, "alias/other", "alias/aws/s3"),
    "bucket_key_enabled": st.booleans(),
    "public_access": st.dictionaries(_one_of("block_public_acls", "restrict_public_buckets"), st.booleans()),
    "object_ownership": _one_of("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"),
    "noncurrent_version_expiration_days": _one_of(0, 1, 90, 365),
    "newer_noncurrent_versions": _one_of(0, 5, 20),
    "abort_incomplete_multipart_upload_days": _one_of(0, 7),
    "expired_object_delete_marker": st.booleans(),
    "lifecycle_rules": _one_of(
        {}, {"logs": {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 400}}}
    ),
    "require_tls": st.booleans(),
    "minimum_tls_version": _one_of("1.2", "1.3"),
    "require_kms_key": st.booleans(),
    "allowed_organization_ids": _one_of([], ["o-1"], ["o-2", "o-1"]),
    "allowed_vpc_endpoint_ids": _one_of([], ["vpce-1"]),
    "policy_statements": _one_of([], [AUDITOR], [AUDITOR, READER], [{**WITHOUT_SID, "Sid": "SameAsReader"}]),
    "purge_policy_statements": st.booleans(),
    "drop_statements": _one_of(["Auditor"], ["Nobody", "sha256:0123456789ab"]),
    "logging_target_bucket": _one_of("none", LOGS),
    "logging_target_prefix": _one_of("", "logs/"),
    "object_lock": st.booleans(),
    "object_lock_mode": _one_of("GOVERNANCE", "COMPLIANCE"),
    "object_lock_days": _one_of(1, 30),
    "tags": _tags,
    "purge_tags": st.booleans(),
}
_table_options: dict[str, st.SearchStrategy[Any]] = {
    "billing_mode": _one_of("PAY_PER_REQUEST", "PROVISIONED"),
    "read_capacity": _one_of(1, 5),
    "write_capacity": _one_of(1, 5),
    "encryption": _one_of("aws_owned_key", "aws_managed_key", "customer_managed_key"),
    "kms_key_id": _one_of("alias/state", KEY, "alias/other"),
    "deletion_protection": st.booleans(),
    "point_in_time_recovery": st.booleans(),
    "recovery_period_days": _one_of(1, 7, 35),
    "table_class": _one_of("STANDARD", "STANDARD_INFREQUENT_ACCESS"),
    "tags": _tags,
    "purge_tags": st.booleans(),
}


@st.composite
def _options(draw: st.DrawFn, resource: Resource, options: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """A few options at a time, as people ask; a combination that is refused as such is no starting point."""
    names = draw(st.lists(st.sampled_from(sorted(options)), max_size=8, unique=True))
    params = {name: draw(options[name]) for name in names}
    while not _is_valid(resource)(params):
        params.pop(draw(st.sampled_from(sorted(params))))
    return params


_encryption = _one_of(
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
    {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    },
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True},
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/state"}},
    {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": OTHER_KEY},
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
    },
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": KEY}},
)
FOREIGN_RULE = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}]}},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
}
OUR_RULE = {
    "ID": "cornerstone.tfstate",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 365, "NewerNoncurrentVersions": 50},
}
_lifecycle = _one_of(
    None,
    [OUR_RULE],
    [FOREIGN_RULE, OUR_RULE],
    [{**OUR_RULE, "Filter": {"Prefix": "team-a/"}}],
    [{**OUR_RULE, "Status": "Disabled"}, FOREIGN_RULE],
)
_statements = st.lists(
    _one_of(READER, AUDITOR, WITHOUT_SID, tls("1.2"), tls("1.3")), max_size=3, unique_by=lambda each: each.get("Sid")
)
STATE_OBJECTS = [
    {"Key": "prod.tfstate", "VersionId": "2", "IsLatest": True},
    {"Key": "prod.tfstate", "VersionId": "null", "IsLatest": False},
    {"Key": "prod.tfstate.tflock", "VersionId": "3", "IsLatest": True, "Marker": True},
]


@st.composite
def _buckets(draw: st.DrawFn) -> Bucket:
    lock = draw(_one_of(None, None, {"ObjectLockEnabled": "Enabled"}))
    statements = draw(_statements)
    return Bucket(
        tags=draw(_found_tags),
        encryption=draw(_encryption),
        public_access=draw(st.none() | st.fixed_dictionaries(dict.fromkeys(FLAGS, st.booleans()))),
        ownership=draw(_one_of(None, "ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced")),
        versioning="Enabled" if lock else draw(_one_of(None, "Enabled", "Suspended")),
        lifecycle=draw(_lifecycle),
        smallest_size=draw(_one_of("all_storage_classes_128K", "varies_by_storage_class")),
        policy={"Version": draw(_one_of("2008-10-17", "2012-10-17")), "Statement": statements} if statements else None,
        logging=draw(_one_of({}, {"TargetBucket": LOGS, "TargetPrefix": "old/"})),
        object_lock=lock,
        objects=draw(_one_of([], STATE_OBJECTS)),
    )


_capacities = _one_of(None, {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
_tables = st.builds(
    Table,
    capacity=_capacities,
    was_on_demand=st.booleans(),
    sse=_one_of(None, KEY, OTHER_KEY, MANAGED_TABLE_KEY),
    protected=st.booleans(),
    recovery_days=_one_of(None, 7, 35),
    table_class=_one_of(None, "STANDARD", "STANDARD_INFREQUENT_ACCESS"),
    tags=_found_tags,
    items=_one_of([], [{"LockID": {"S": "tf-state/prod-md5"}, "Digest": {"S": "d41d"}}]),
    autoscaled=_one_of(False, False, True),
)

KINDS = {
    "bucket": Kind(BUCKET, _options(BUCKET, _bucket_options), st.none() | _buckets(), "bucket"),
    "table": Kind(TABLE, _options(TABLE, _table_options), st.none() | _tables, "table"),
}


def strength(it: Bucket | Table | None) -> dict[str, float]:
    """How well it protects what it holds, judged from AWS's side; more is better."""
    if isinstance(it, Table):
        return {
            "deletion protection": it.protected,
            "recovery": it.recovery_days or 0,
            "encryption": it.sse is not None,
        }
    if it is None:
        return {}
    algorithm = it.encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    statements = it.policy["Statement"] if it.policy else []
    tests = [each.get("Condition", {}).get("NumericLessThan", {}).get("s3:TlsVersion", 0) for each in statements]
    block = it.public_access or {}
    return {
        "versioning": it.versioning == "Enabled",
        "encryption": ("AES256", "aws:kms", "aws:kms:dsse").index(algorithm),
        "ownership": it.ownership == "BucketOwnerEnforced",
        "tls version": max((float(test[0] if isinstance(test, list) else test) for test in tests), default=0),
        "object lock": it.object_lock is not None,
        **{flag: block.get(flag, False) for flag in FLAGS},
        **{f"retention of {prefix!r}": _days(it, prefix) for prefix in ("", "logs/", "team-a/")},
    }


def _days(bucket: Bucket, prefix: str) -> float:
    found = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in bucket.lifecycle or []
        if rule["Status"] == "Enabled"
        and "NoncurrentVersionExpiration" in rule
        and prefix.startswith(rule["Filter"].get("And", rule["Filter"]).get("Prefix", ""))
    ]
    return min(found, default=float("inf"))

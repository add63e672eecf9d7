# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS in memory, as the loop's `World`: buckets and tables really change by the calls, strictly as AWS would take them.

What AWS would reject is rejected, what it rewrites comes back rewritten, and an operation that is not known here fails
the test. Reads and writes are told apart: what was declared as a read can never change anything.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    CallFailed,
    Failure,
    Invalid,
)

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY, OTHER_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("1111", "2222"))
MANAGED_TABLE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/aws-dynamodb"
KEYS = {
    "alias/state": KEY,
    "1111": KEY,
    KEY: KEY,
    "alias/other": OTHER_KEY,
    OTHER_KEY: OTHER_KEY,
    "alias/aws/dynamodb": MANAGED_TABLE_KEY,
    MANAGED_TABLE_KEY: MANAGED_TABLE_KEY,
}
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
READ_VERBS = ("get_", "head_", "list_", "describe_", "scan")
GIVE_UP_AFTER_PAUSES = 60

Params = Mapping[str, Any]
#: What S3 says of each object in a listing, besides.
LISTED = {"LastModified": datetime(2026, 1, 1, tzinfo=timezone.utc), "Size": 3, "IsLatest": False}


class Killed(BaseException):
    """The process died; no code of ours may catch it."""


class Rejected(Exception):
    """An error of AWS's."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass
class Bucket:
    """A bucket as AWS creates it today; each setting in the form of AWS's answers."""

    region: str = REGION
    owner: str = ACCOUNT
    tags: dict[str, str] = field(default_factory=dict)
    encryption: dict[str, Any] = field(
        default_factory=lambda: {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        }
    )
    public_access: dict[str, bool] | None = field(default_factory=lambda: dict.fromkeys(FLAGS, True))
    ownership: str | None = "BucketOwnerEnforced"
    versioning: str | None = None
    lifecycle: list[dict[str, Any]] | None = None
    smallest_size: str = "all_storage_classes_128K"
    mfa_delete: bool = False
    policy: dict[str, Any] | None = None
    logging: dict[str, Any] = field(default_factory=dict)
    object_lock: dict[str, Any] | None = None
    objects: list[dict[str, Any]] = field(default_factory=list)
    grants: list[dict[str, Any]] = field(default_factory=list)
    access_points: list[str] = field(default_factory=list)
    replication: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Table:
    key: list[dict[str, str]] = field(default_factory=lambda: [{"AttributeName": "LockID", "KeyType": "HASH"}])
    attributes: list[dict[str, str]] = field(
        default_factory=lambda: [{"AttributeName": "LockID", "AttributeType": "S"}]
    )
    capacity: dict[str, int] | None = None
    was_on_demand: bool = False
    sse: str | None = None
    protected: bool = False
    recovery_days: int | None = None
    table_class: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    status: str = "ACTIVE"
    autoscaled: bool = False
    ttl: str | None = None
    replicas: list[str] = field(default_factory=list)
    id: str = "1"
    #: Whatever else AWS says of a table, today or tomorrow.
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeAws:
    """One account in one region, and what is done to it."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    writes: list[Call] = field(default_factory=list)
    reads: list[Call] = field(default_factory=list)
    pauses: int = 0
    #: The process dies right after this many writes.
    killed_after: int | None = None
    #: So many rounds of reads after a write still show what was before it.
    stale_rounds: int = 0
    #: Somebody else creates it as this bucket, right before we do.
    overtaken_by: Bucket | None = None
    #: Called after each write.
    watch: Callable[[FakeAws], None] = lambda _aws: None
    #: operation -> codes with which it fails next.
    faults: dict[str, list[str]] = field(default_factory=dict)
    #: The public access block of the account.
    account_block: dict[str, bool] | None = field(default_factory=lambda: dict.fromkeys(FLAGS, True))
    #: Another store would not.
    serves_like_aws: bool = True
    #: Where S3 is asked by plain HTTP, and the account that STS says; none where there is no STS.
    http: str = ""
    sts_account: str = ACCOUNT
    _past: FakeAws | None = None
    _stale_left: int = 0

    # The protocol of the loop.

    def partition(self) -> str:
        return "aws"

    def is_aws(self, service: str) -> bool:
        return self.serves_like_aws

    def owner(self) -> str | None:
        return ACCOUNT

    def http_endpoint(self) -> str:
        return self.http

    def read(self, calls: Sequence[Call], young: bool = False) -> list[Answer]:
        self.reads += calls
        shown: FakeAws = self
        if self._past and self._stale_left:
            shown, self._stale_left = self._past, self._stale_left - 1
        if young:  # whoever knows that it is new waits until it is there
            self._finish_creations()
        return [shown._answer(call, reading=True) for call in calls]

    def write(self, call: Call, young: bool = False) -> None:
        if young:
            self._finish_creations()
        if self.stale_rounds:
            self._past = FakeAws(copy.deepcopy(self.buckets), copy.deepcopy(self.tables))
            self._stale_left = self.stale_rounds
        answer = self._answer(call, reading=False)
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        self.writes.append(call)
        self.watch(self)
        if self.killed_after == len(self.writes):
            raise Killed

    def key_arn(self, name: str, must_exist: bool) -> str:
        if must_exist and name not in KEYS:
            raise Invalid(f"kms_key_id {name} cannot be used")
        return KEYS.get(name, name)

    def late(self) -> bool:
        return self.pauses >= GIVE_UP_AFTER_PAUSES

    def pause(self, attempt: int) -> None:
        self.pauses += 1
        self._finish_creations()

    def _finish_creations(self) -> None:
        for table in self.tables.values():
            table.status = "ACTIVE" if table.status == "CREATING" else table.status

    # What AWS makes of a call.

    def _answer(self, call: Call, reading: bool) -> Answer:
        operation = getattr(self, f"_{call.service.replace('-', '_')}_{call.operation}", None)
        assert operation, f"an operation that this AWS does not know: {call}"
        assert reading == call.operation.startswith(READ_VERBS), f"read and write are mixed up: {call}"
        try:
            if self.faults.get(call.operation):
                raise Rejected(self.faults[call.operation].pop(0))
            if call.service == "s3" and call.operation != "create_bucket":
                self._check_owner(call.params)
            answer: Answer = copy.deepcopy(operation(call.params)) or {}
        except Rejected as error:
            return Failure(call, error.code, error.message, "see what AWS says")
        return answer

    def _check_owner(self, params: Params) -> None:
        bucket = self.buckets.get(params["Bucket"])
        if bucket and params.get("ExpectedBucketOwner", bucket.owner) != bucket.owner:
            raise Rejected("AccessDenied")

    def _bucket(self, params: Params) -> Bucket:
        if params["Bucket"] not in self.buckets:
            raise Rejected("NoSuchBucket")
        return self.buckets[params["Bucket"]]

    def _s3control_list_access_points(self, params: Params) -> Any:
        return {"AccessPointList": [{"Name": name} for name in self._bucket(params).access_points]}

    def _sts_get_caller_identity(self, params: Params) -> Any:
        if not self.sts_account:
            raise Rejected("MethodNotAllowed")
        return {"Account": self.sts_account, "Arn": f"arn:aws:iam::{self.sts_account}:user/tester"}

    # S3

    def _s3_head_bucket(self, params: Params) -> Any:
        if params["Bucket"] not in self.buckets:
            raise Rejected("404")
        return {"BucketRegion": self.buckets[params["Bucket"]].region}

    def _s3_create_bucket(self, params: Params) -> None:
        configuration = params.get("CreateBucketConfiguration", {})
        wanted = None if REGION == "us-east-1" else REGION
        if configuration.get("LocationConstraint") != wanted:
            raise Rejected("IllegalLocationConstraintException")
        if self.overtaken_by:
            self.buckets[params["Bucket"]], self.overtaken_by = self.overtaken_by, None
        if params["Bucket"] in self.buckets:
            raise Rejected("BucketAlreadyOwnedByYou")
        self.buckets[params["Bucket"]] = Bucket(tags=_written_tags(configuration.get("Tags", []), {}))

    def _s3_delete_bucket(self, params: Params) -> None:
        if self._bucket(params).objects:
            raise Rejected("BucketNotEmpty")
        del self.buckets[params["Bucket"]]

    def _s3_get_bucket_ownership_controls(self, params: Params) -> Any:
        ownership = _present(self._bucket(params).ownership, "OwnershipControlsNotFoundError")
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]}}

    def _s3_put_bucket_ownership_controls(self, params: Params) -> None:
        bucket = self._bucket(params)
        (rule,) = params["OwnershipControls"]["Rules"]
        if rule["ObjectOwnership"] == "BucketOwnerEnforced" and bucket.grants:
            raise Rejected("InvalidBucketAclWithObjectOwnership")
        bucket.ownership = rule["ObjectOwnership"]

    def _s3_delete_bucket_ownership_controls(self, params: Params) -> None:
        self._bucket(params).ownership = None

    def _s3_delete_public_access_block(self, params: Params) -> None:
        self._bucket(params).public_access = None

    def _s3_get_bucket_acl(self, params: Params) -> Any:
        mine = {"Grantee": {"ID": "me", "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}
        return {"Owner": {"ID": "me"}, "Grants": [mine, *self._bucket(params).grants]}

    def _s3_get_bucket_replication(self, params: Params) -> Any:
        rules = _present(self._bucket(params).replication or None, "ReplicationConfigurationNotFoundError")
        return {"ReplicationConfiguration": {"Role": "arn:aws:iam::111122223333:role/copies", "Rules": rules}}

    def _s3control_get_public_access_block(self, params: Params) -> Any:
        block = _present(self.account_block, "NoSuchPublicAccessBlockConfiguration")
        return {"PublicAccessBlockConfiguration": block}

    def _s3_get_public_access_block(self, params: Params) -> Any:
        block = _present(self._bucket(params).public_access, "NoSuchPublicAccessBlockConfiguration")
        return {"PublicAccessBlockConfiguration": block}

    def _s3_put_public_access_block(self, params: Params) -> None:
        block = params["PublicAccessBlockConfiguration"]
        self._bucket(params).public_access = {flag: bool(block.get(flag)) for flag in FLAGS}

    def _s3_get_bucket_encryption(self, params: Params) -> Any:
        return {"ServerSideEncryptionConfiguration": {"Rules": [self._bucket(params).encryption]}}

    def _s3_put_bucket_encryption(self, params: Params) -> None:
        bucket = self._bucket(params)
        (rule,) = params["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        by_kms = default["SSEAlgorithm"].startswith("aws:kms")
        if "KMSMasterKeyID" in default and not by_kms:
            raise Rejected("InvalidArgument", "a KMS key without KMS")
        if rule.get("BucketKeyEnabled") and default["SSEAlgorithm"] != "aws:kms":
            raise Rejected("InvalidArgument", "a bucket key without aws:kms")
        kept = {name: bucket.encryption[name] for name in ("BlockedEncryptionTypes",) if name in bucket.encryption}
        bucket.encryption = {"BucketKeyEnabled": False, **kept, **copy.deepcopy(rule)}

    def _s3_get_bucket_versioning(self, params: Params) -> Any:
        bucket = self._bucket(params)
        mfa = {"MFADelete": "Enabled"} if bucket.mfa_delete else {}
        return {**({"Status": bucket.versioning} if bucket.versioning else {}), **mfa}

    def _s3_put_bucket_versioning(self, params: Params) -> None:
        bucket, status = self._bucket(params), params["VersioningConfiguration"]["Status"]
        if status not in ("Enabled", "Suspended"):
            raise Rejected("MalformedXML")
        if bucket.mfa_delete:
            raise Rejected("AccessDenied", "MFA delete is on")
        if status == "Suspended" and bucket.object_lock:
            raise Rejected("InvalidBucketState")
        bucket.versioning = status

    def _s3_get_object_lock_configuration(self, params: Params) -> Any:
        lock = _present(self._bucket(params).object_lock, "ObjectLockConfigurationNotFoundError")
        return {"ObjectLockConfiguration": lock}

    def _s3_put_object_lock_configuration(self, params: Params) -> None:
        bucket = self._bucket(params)
        if bucket.versioning != "Enabled":
            raise Rejected("InvalidBucketState")
        bucket.object_lock = copy.deepcopy(params["ObjectLockConfiguration"])

    def _s3_get_bucket_lifecycle_configuration(self, params: Params) -> Any:
        rules = _present(self._bucket(params).lifecycle, "NoSuchLifecycleConfiguration")
        size = self._bucket(params).smallest_size
        return {"Rules": [_reread_rule(rule) for rule in reversed(rules)], "TransitionDefaultMinimumObjectSize": size}

    def _s3_put_bucket_lifecycle_configuration(self, params: Params) -> None:
        rules = params["LifecycleConfiguration"]["Rules"]
        if not rules or len({rule["ID"] for rule in rules}) != len(rules):
            raise Rejected("MalformedXML", "no rules, or two of one ID")
        for rule in rules:
            _check_rule(rule)
        bucket = self._bucket(params)
        if bucket.mfa_delete:
            raise Rejected("AccessDenied", "MFA delete is on")
        bucket.lifecycle = copy.deepcopy(rules)
        bucket.smallest_size = params.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")

    def _s3_delete_bucket_lifecycle(self, params: Params) -> None:
        self._bucket(params).lifecycle = None

    def _s3_get_bucket_tagging(self, params: Params) -> Any:
        tags = _present(self._bucket(params).tags or None, "NoSuchTagSet")
        return {"TagSet": [{"Key": key, "Value": value} for key, value in reversed(tags.items())]}

    def _s3_put_bucket_tagging(self, params: Params) -> None:
        bucket = self._bucket(params)
        sent = {tag["Key"]: tag["Value"] for tag in params["Tagging"]["TagSet"]}
        if _system(bucket.tags).items() - sent.items():
            raise Rejected("InvalidTag", "System tags cannot be removed by requester")
        own = [{"Key": key, "Value": value} for key, value in sent.items() if bucket.tags.get(key) != value]
        kept = {key: value for key, value in bucket.tags.items() if sent.get(key) == value}
        bucket.tags = _written_tags(own, kept)

    def _s3_delete_bucket_tagging(self, params: Params) -> None:
        bucket = self._bucket(params)
        if _system(bucket.tags):  # what AWS does is not known
            raise Rejected("InvalidTag", "System tags cannot be removed by requester")
        bucket.tags = {}

    def _s3_get_bucket_logging(self, params: Params) -> Any:
        logging = self._bucket(params).logging
        return {"LoggingEnabled": logging} if logging else {}

    def _s3_put_bucket_logging(self, params: Params) -> None:
        logging = params["BucketLoggingStatus"].get("LoggingEnabled", {})
        if logging and logging["TargetBucket"] not in self.buckets:
            raise Rejected("InvalidTargetBucketForLogging")
        self._bucket(params).logging = dict(logging)

    def _s3_get_bucket_policy(self, params: Params) -> Any:
        policy = _present(self._bucket(params).policy, "NoSuchBucketPolicy")
        return {
            "Policy": json.dumps({**policy, "Statement": [_reread_statement(each) for each in policy["Statement"]]})
        }

    def _s3_put_bucket_policy(self, params: Params) -> None:
        bucket, policy = self._bucket(params), json.loads(params["Policy"])
        if not policy["Statement"] or len(params["Policy"]) > 20480 or "AROA" in params["Policy"]:
            raise Rejected("MalformedPolicy")
        if (
            bucket.public_access
            and bucket.public_access["BlockPublicPolicy"]
            and any(map(_lets_in, policy["Statement"]))
        ):
            raise Rejected("AccessDenied", "public policies are prevented")
        bucket.policy = policy

    def _s3_delete_bucket_policy(self, params: Params) -> None:
        self._bucket(params).policy = None

    def _s3_list_object_versions(self, params: Params) -> Any:
        objects, size = [LISTED | each for each in self._bucket(params).objects], params["MaxKeys"]
        return {
            "Versions": [each for each in objects[:size] if not each.get("Marker")],
            "DeleteMarkers": [each for each in objects[:size] if each.get("Marker")],
            "IsTruncated": len(objects) > size,
        }

    def _s3_list_objects_v2(self, params: Params) -> Any:
        return {
            "Contents": [
                LISTED | each for each in self._bucket(params).objects if each["IsLatest"] and not each.get("Marker")
            ],
            "IsTruncated": False,
        }

    def _s3_delete_objects(self, params: Params) -> None:
        going = [(each["Key"], each["VersionId"]) for each in params["Delete"]["Objects"]]
        if not 1 <= len(going) <= 1000:
            raise Rejected("MalformedXML")
        bucket = self._bucket(params)
        bucket.objects = [each for each in bucket.objects if (each["Key"], each["VersionId"]) not in going]

    # DynamoDB

    def _table(self, params: Params) -> Table:
        name = params.get("TableName") or params["ResourceArn"].rpartition("/")[2]
        if name not in self.tables:
            raise Rejected("ResourceNotFoundException")
        return self.tables[name]

    def _usable_table(self, params: Params, code: str = "ResourceNotFoundException") -> Table:
        if self._table(params).status == "CREATING":
            raise Rejected(code)
        return self._table(params)

    def _dynamodb_describe_table(self, params: Params) -> Any:
        table = self._table(params)
        described: dict[str, Any] = {
            "TableName": params["TableName"],
            "TableArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{params['TableName']}",
            "TableId": table.id,
            "TableStatus": table.status,
            "KeySchema": table.key,
            "AttributeDefinitions": table.attributes,
            "ProvisionedThroughput": table.capacity or {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
            "DeletionProtectionEnabled": table.protected,
        }
        if table.was_on_demand or not table.capacity:  # AWS leaves it out of a table that never was on demand
            described["BillingModeSummary"] = {"BillingMode": "PROVISIONED" if table.capacity else "PAY_PER_REQUEST"}
        if table.sse:
            described["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": table.sse}
        if table.table_class:
            described["TableClassSummary"] = {"TableClass": table.table_class}
        if table.replicas:
            described["Replicas"] = [{"RegionName": region, "ReplicaStatus": "ACTIVE"} for region in table.replicas]
        return {"Table": {**described, **table.more}}

    def _dynamodb_describe_time_to_live(self, params: Params) -> Any:
        on = self._usable_table(params).ttl
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": on} if on else {}}

    def _dynamodb_create_table(self, params: Params) -> None:
        if params["TableName"] in self.tables:
            raise Rejected("ResourceInUseException")
        if (params.get("BillingMode") == "PAY_PER_REQUEST") == ("ProvisionedThroughput" in params):
            raise Rejected("ValidationException", "billing mode and throughput do not fit")
        specification = params.get("SSESpecification", {})
        self.tables[params["TableName"]] = Table(
            key=params["KeySchema"],
            attributes=params["AttributeDefinitions"],
            capacity=params.get("ProvisionedThroughput"),
            sse=_table_key(specification) if specification else None,
            protected=params.get("DeletionProtectionEnabled", False),
            table_class=params.get("TableClass"),
            tags=_written_tags(params.get("Tags", []), {}),
            status="CREATING",
        )

    def _dynamodb_update_table(self, params: Params) -> None:
        table = self._usable_table(params, "ResourceInUseException")
        asked = {name: value for name, value in params.items() if name != "TableName"}
        billing = {name: asked.pop(name) for name in ("BillingMode", "ProvisionedThroughput") if name in asked}
        if len(asked) + bool(billing) != 1:
            raise Rejected("ValidationException", "one change at a time")
        if billing:
            _bill(table, billing)
        elif "SSESpecification" in asked:
            key = _table_key(asked["SSESpecification"])
            if key == table.sse:
                raise Rejected("ValidationException", "already encrypted so")
            table.sse = key
        elif "TableClass" in asked:
            table.table_class = asked["TableClass"]
        else:
            table.protected = asked["DeletionProtectionEnabled"]

    def _dynamodb_delete_table(self, params: Params) -> None:
        if self._table(params).protected:
            raise Rejected("ValidationException", "protected")
        del self.tables[params["TableName"]]

    def _dynamodb_describe_continuous_backups(self, params: Params) -> Any:
        days = self._usable_table(params, "TableNotFoundException").recovery_days
        recovery = {"PointInTimeRecoveryStatus": "ENABLED" if days else "DISABLED"}
        found = {**recovery, "RecoveryPeriodInDays": days} if days else recovery
        description = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": found}
        return {"ContinuousBackupsDescription": description}

    def _dynamodb_update_continuous_backups(self, params: Params) -> None:
        asked = params["PointInTimeRecoverySpecification"]
        on = asked["PointInTimeRecoveryEnabled"]
        if not on and "RecoveryPeriodInDays" in asked:
            raise Rejected("ValidationException")
        self._usable_table(params, "TableNotFoundException").recovery_days = (
            asked.get("RecoveryPeriodInDays", 35) if on else None
        )

    def _dynamodb_list_tags_of_resource(self, params: Params) -> Any:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._usable_table(params).tags.items()]}

    def _dynamodb_tag_resource(self, params: Params) -> None:
        table = self._usable_table(params)
        table.tags = _written_tags(params["Tags"], table.tags)

    def _dynamodb_untag_resource(self, params: Params) -> None:
        table = self._table(params)
        if any(key.startswith("aws:") for key in params["TagKeys"]):
            raise Rejected("ValidationException")
        table.tags = {key: value for key, value in table.tags.items() if key not in params["TagKeys"]}

    def _dynamodb_scan(self, params: Params) -> Any:
        return {"Items": self._table(params).items}

    def _application_autoscaling_describe_scalable_targets(self, params: Params) -> Any:
        (resource,) = params["ResourceIds"]
        table = self.tables[resource.removeprefix("table/")]
        return {"ScalableTargets": [{"ResourceId": resource}] if table.autoscaled else []}


def _present(value: Any, code: str) -> Any:
    if value is None:
        raise Rejected(code)
    return value


def _system(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("aws:")}


def _written_tags(tag_list: Sequence[Mapping[str, str]], kept: Mapping[str, str]) -> dict[str, str]:
    if any(tag["Key"].startswith("aws:") for tag in tag_list):
        raise Rejected("InvalidTag")
    tags = {**kept, **{tag["Key"]: tag["Value"] for tag in tag_list}}
    if len(tags) - len(_system(tags)) > 50:
        raise Rejected("InvalidTag", "more than 50")
    return tags


def _bill(table: Table, asked: Mapping[str, Any]) -> None:
    on_demand = asked.get("BillingMode") == "PAY_PER_REQUEST"
    capacity = asked.get("ProvisionedThroughput")
    if on_demand == bool(capacity) or (capacity and capacity == table.capacity):
        raise Rejected("ValidationException", "the throughput does not fit or will not change")
    if capacity and not all(isinstance(units, int) and units > 0 for units in capacity.values()):
        raise Rejected("ValidationException", "no throughput")
    table.was_on_demand |= on_demand or not table.capacity
    table.capacity = capacity


def _table_key(specification: Mapping[str, Any]) -> str | None:
    if not specification["Enabled"]:
        return None
    if specification.get("KMSMasterKeyId") == MANAGED_TABLE_KEY:
        raise Rejected("ValidationException", "only a key other than the managed one is named")
    key = specification.get("KMSMasterKeyId", MANAGED_TABLE_KEY)
    if key not in KEYS.values():
        raise Rejected("ValidationException", "a key by any name but its ARN would be encrypted with again")
    return str(key)


def _check_rule(rule: Mapping[str, Any]) -> None:
    actions = rule.keys() - {"ID", "Status", "Filter", "Prefix"}
    where = rule.get("Filter", {})
    if "Prefix" in rule or not actions or len(where) > 1 or ("And" in where and len(where["And"]) < 1):
        raise Rejected("MalformedXML", str(rule))
    if rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 1) < 1:
        raise Rejected("InvalidArgument")


def _reread_rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {**rule, "Filter": {}} if rule.get("Filter") == {"Prefix": ""} else rule


def _reread_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Single elements lose their list, everybody the kind of principal; accounts become roots, and values text."""
    short = {name: _short(value) for name, value in statement.items() if name not in ("Principal", "Condition")}
    if "Principal" in statement:
        who = statement["Principal"]
        everybody = who in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        short["Principal"] = "*" if everybody else {kind: _short(_each(_root, some)) for kind, some in who.items()}
    if "Condition" in statement:
        tests = statement["Condition"].items()
        short["Condition"] = {
            name: {key: _short(_each(_text, value)) for key, value in test.items()} for name, test in tests
        }
    return short


def _each(change: Callable[[Any], str], value: Any) -> Any:
    return [change(each) for each in value] if isinstance(value, list) else change(value)


def _root(who: str) -> str:
    return f"arn:aws:iam::{who}:root" if who.isdigit() and len(who) == 12 else who


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _lets_in(statement: Mapping[str, Any]) -> bool:
    everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    return statement["Effect"] == "Allow" and everybody and not statement.get("Condition")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the first plan of an import would show: HCL compared with the state that the aws provider reads from AWS.

    differences(files, answers, version=(6, 62, 0))

The files are read as text, and AWS's answers as the provider's read functions turn them into a state. What its schemas
say of defaults, computed values and suppressed differences decides whether the plan shows a difference. It is written
from the sources and the documentation of versions 5.100 and 6: internal/service/s3/bucket_*.go,
internal/service/dynamodb/table.go and internal/verify/json.go of https://github.com/hashicorp/terraform-provider-aws,
and https://github.com/hashicorp/awspolicyequivalence. The provider itself cannot be downloaded where the tests run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.hcl_parser import Evaluator, Hcl

#: Of operations: an answer, or the code of an error.
Answers = Mapping[str, Any]
Body = Mapping[str, Any]
Version = tuple[int, int, int]
LAST_OF_5: Version = (5, 100, 0)
NEWEST: Version = (6, 62, 0)

#: Nothing, as most of the provider's resources see it.
ZERO = (None, "", 0, False, [], {})


def is_zero(value: Any) -> bool:
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in ZERO)


def same(state: Any, config: Any) -> bool:
    return state == config or (is_zero(state) and is_zero(config))


def exactly(state: Any, config: Any) -> bool:
    return bool(state == config)


def in_time(state: Any, config: Any) -> bool:
    instants = [datetime.fromisoformat(each.replace("Z", "+00:00")) if each else None for each in (state, config)]
    return instants[0] == instants[1]


@dataclass(frozen=True)
class Argument:
    default: Any = None
    #: Without a value in the configuration, the one of the state stays.
    computed: bool = False
    equal: Callable[[Any, Any], bool] = same
    since: Version = (0, 0, 0)


@dataclass(frozen=True)
class Nested:
    parts: Mapping[str, Argument | Nested] = field(default_factory=dict)
    computed: bool = False
    is_set: bool = False


Schema = Mapping[str, "Argument | Nested"]
ANY, COMPUTED = Argument(), Argument(computed=True)


def differences(files: Mapping[str, str], answers: Answers, version: Version = NEWEST) -> list[str]:
    """Each argument that the plan would show as changed, with the value of the state and of the files."""
    found, described = [], set()
    for (kind, name), body in resources_in(files).items():
        described.add(kind)
        reader, schema = RESOURCES[kind]
        state = reader(answers)
        address = f"{kind}.{name}"
        if state is None:
            found.append(f"{address}: cannot import a non-existent object")
            continue
        ignored = {each for (one,) in [body.get("lifecycle", [{}])] for each in one.get("ignore_changes", [])}
        config = {key: value for key, value in body.items() if key not in (*ignored, "lifecycle", "depends_on")}
        left = {key: rule for key, rule in schema.items() if key not in ignored}
        found += [f"{address}.{each}" for each in _compared(left, state, config, version)]
    there = {kind for kind, (reader, _schema) in RESOURCES.items() if reader(answers) is not None}
    return [*found, *(f"{kind}: is not described" for kind in sorted(there - described))]


def resources_in(files: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The resources of a project, by type and name. References are their own text."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for text in (text for name, text in files.items() if name.endswith(".tf")):
        hcl = Hcl(text)
        evaluator = Evaluator(hcl, ".".join, {"jsonencode": lambda given: json.dumps(given[0])})
        for block in hcl.blocks("resource"):
            kind, name = block.labels
            found[kind, name] = hcl.attributes(block.start, block.end, evaluator)
    return found


def _compared(schema: Schema, state: Body, config: Body, version: Version) -> Iterator[str]:
    for name, rule in schema.items():
        if isinstance(rule, Nested):
            yield from _compared_blocks(name, rule, state.get(name) or [], config.get(name), version)
        elif version >= rule.since:
            value = config.get(name)
            if value is None and rule.computed:
                continue
            value = rule.default if value is None else value
            if not rule.equal(state.get(name), value):
                yield f"{name}: {state.get(name)!r} -> {value!r}"
        elif name in config:
            yield f"{name}: unsupported argument"
    yield from (f"{name}: unsupported argument" for name in config if name not in schema)


def _compared_blocks(name: str, rule: Nested, state: Any, config: Any, version: Version) -> Iterator[str]:
    if config is None and (rule.computed or not state):
        return
    # A filter that says nothing is planned as the empty prefix.
    blocks = [{"prefix": ""} if rule.parts is FILTER and not each else each for each in config or []]
    if len(blocks) != len(state):
        yield f"{name}: {len(state)} blocks -> {len(blocks)} blocks"
        return
    if rule.is_set:
        left = list(state)
        for block in blocks:
            match = next((each for each in left if not [*_compared(rule.parts, each, block, version)]), None)
            if match is None:
                yield f"{name}: no element like {block!r}"
            else:
                left.remove(match)
        return
    for place, (before, after) in enumerate(zip(state, blocks, strict=True)):
        yield from (f"{name}[{place}].{each}" for each in _compared(rule.parts, before, after, version))


# Policies


def same_policy(state: Any, config: Any) -> bool:
    """Equal as normalised JSON, or equivalent."""
    before, after = json.loads(state or "{}"), json.loads(config or "{}")
    return before == after or equivalent(before, after)


def equivalent(one: Body, other: Body) -> bool:
    """As awspolicyequivalence has it: lists of one are their element, order is nothing, and `*` is no `{AWS: *}`."""
    if any((one.get(name) or "") != (other.get(name) or "") for name in ("Version", "Id")):
        return False
    mine, its = (_listed(each.get("Statement", [])) for each in (one, other))
    return len(mine) == len(its) and _each_in(mine, its) and _each_in(its, mine)


def _each_in(mine: list[Body], its: list[Body]) -> bool:
    return all(any(_same_statement(one, other) for other in its) for one in mine)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _same_statement(one: Body, other: Body) -> bool:
    if (one.get("Sid") or "") != (other.get("Sid") or ""):
        return False
    if str(one.get("Effect", "")).lower() != str(other.get("Effect", "")).lower():
        return False
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        if sorted(_texts(one.get(name)) or []) != sorted(_texts(other.get(name)) or []):
            return False
    if not _same_conditions(one.get("Condition"), other.get("Condition")):
        return False
    return all(_same_principals(one.get(name), other.get(name)) for name in ("Principal", "NotPrincipal"))


def _texts(value: Any) -> list[str] | None:
    """None for what holds anything but texts: that is never equal to anything."""
    if value is None:
        return []
    many = _listed(value)
    return many if all(isinstance(each, str) for each in many) else None


def _same_texts(one: Any, other: Any) -> bool:
    mine, its = _texts(one), _texts(other)
    return mine is not None and its is not None and len(mine) == len(its) and {*mine} == {*its}


def _same_conditions(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(
        one[operator].keys() == other[operator].keys()
        and all(_same_texts(one[operator][key], other[operator][key]) for key in one[operator])
        for operator in one
    )


def _same_principals(one: Any, other: Any) -> bool:
    if one is None and other is None:
        return True
    if isinstance(one, str) and isinstance(other, str) and _same_principal(one, other):
        return True
    mine, its = (
        {kind: _texts(who) or [] for kind, who in _mapping(each).items() if _texts(who)} for each in (one, other)
    )
    return mine.keys() == its.keys() and all(
        len(mine[kind]) == len(its[kind])
        and all(any(_same_principal(who, each) for each in its[kind]) for who in mine[kind])
        and all(any(_same_principal(who, each) for each in mine[kind]) for who in its[kind])
        for kind in mine
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same_principal(one: str, other: str) -> bool:
    """An account is its root user."""
    accounts = {re.sub(r"arn:[^:]+:iam::(\d{12}):root", r"\1", each) for each in (one, other)}
    is_account = any(re.fullmatch(r"\d{12}", each) for each in (one, other))
    return one == other or (is_account and len(accounts) == 1)


# Buckets


def answer(answers: Answers, operation: str) -> Any:
    """None where AWS has no configuration of it."""
    found = answers[operation]
    return None if isinstance(found, str) else found


def _own_tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("aws:")}


def _bucket(answers: Answers) -> Body:
    tags = answer(answers, "get_bucket_tagging") or {"TagSet": []}
    lock = answer(answers, "get_object_lock_configuration") or {"ObjectLockConfiguration": {}}
    return {
        "bucket": "tf-state",
        "tags": _own_tags(tags["TagSet"]),
        "object_lock_enabled": lock["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled",
        "force_destroy": None,
    }


def _ownership(answers: Answers) -> Body | None:
    found = answer(answers, "get_bucket_ownership_controls")
    rules = found and [{"object_ownership": each["ObjectOwnership"]} for each in found["OwnershipControls"]["Rules"]]
    return found and {"bucket": BUCKET, "rule": rules}


FLAGS = {
    "block_public_acls": "BlockPublicAcls",
    "ignore_public_acls": "IgnorePublicAcls",
    "block_public_policy": "BlockPublicPolicy",
    "restrict_public_buckets": "RestrictPublicBuckets",
}


def _public_access(answers: Answers) -> Body | None:
    found = answer(answers, "get_public_access_block")
    block = found and found["PublicAccessBlockConfiguration"]
    return found and {"bucket": BUCKET, **{name: block.get(flag, False) for name, flag in FLAGS.items()}}


def _encryption(answers: Answers) -> Body | None:
    found = answer(answers, "get_bucket_encryption")
    return found and {
        "bucket": BUCKET,
        "rule": [_encryption_rule(each) for each in found["ServerSideEncryptionConfiguration"]["Rules"]],
    }


def _encryption_rule(rule: Body) -> Body:
    default = rule.get("ApplyServerSideEncryptionByDefault")
    named = default and {
        "sse_algorithm": default.get("SSEAlgorithm"),
        "kms_master_key_id": default.get("KMSMasterKeyID"),
    }
    return {
        "apply_server_side_encryption_by_default": [named] if named else [],
        "blocked_encryption_types": rule.get("BlockedEncryptionTypes", {}).get("EncryptionType"),
        "bucket_key_enabled": rule.get("BucketKeyEnabled"),
    }


def _lifecycle(answers: Answers) -> Body | None:
    found = answer(answers, "get_bucket_lifecycle_configuration")
    if not found or not found["Rules"]:
        return None
    size = found.get("TransitionDefaultMinimumObjectSize", "")
    rules = [_lifecycle_rule(each) for each in found["Rules"]]
    return {"bucket": BUCKET, "transition_default_minimum_object_size": size, "rule": rules}


def _lifecycle_rule(rule: Body) -> Body:
    where = rule.get("Filter")
    has_filter = bool(where) and any(where.get(name) is not None for name in FILTERS)
    return {
        "id": rule.get("ID"),
        "prefix": rule.get("Prefix", ""),
        "status": rule["Status"],
        "filter": [_filter(where or {})] if has_filter else [],
        **{
            name: [_snake(each) for each in _listed(rule[part])] if part in rule else []
            for name, part in LIFECYCLE_PARTS.items()
        },
    }


FILTERS = ("And", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Prefix", "Tag")
LIFECYCLE_PARTS = {
    "abort_incomplete_multipart_upload": "AbortIncompleteMultipartUpload",
    "expiration": "Expiration",
    "noncurrent_version_expiration": "NoncurrentVersionExpiration",
    "noncurrent_version_transition": "NoncurrentVersionTransitions",
    "transition": "Transitions",
}


def _snake(parts: Body) -> dict[str, Any]:
    plain = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in parts.items()}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}


def _filter(where: Body) -> Body:
    both = where.get("And")
    plain = _snake({name: value for name, value in where.items() if name not in ("And", "Tag")})
    return {
        **plain,
        "tag": [_snake(where["Tag"])] if where.get("Tag") else [],
        "and": [{**_snake({k: v for k, v in both.items() if k != "Tags"}), "tags": _own_tags(both.get("Tags", []))}]
        if both is not None
        else [],
    }


def _versioning(answers: Answers) -> Body:
    found = answers["get_bucket_versioning"]
    status = {"status": found.get("Status") or "Disabled", "mfa_delete": found.get("MFADelete")}
    return {"bucket": BUCKET, "versioning_configuration": [status]}


def _object_lock(answers: Answers) -> Body | None:
    found = answer(answers, "get_object_lock_configuration")
    lock = found and found["ObjectLockConfiguration"]
    retention = found and lock.get("Rule", {}).get("DefaultRetention")
    return found and {
        "bucket": BUCKET,
        "object_lock_enabled": lock.get("ObjectLockEnabled"),
        "rule": [{"default_retention": [_snake(retention)] if retention else []}] if "Rule" in lock else [],
    }


def _logging(answers: Answers) -> Body | None:
    found = answers["get_bucket_logging"].get("LoggingEnabled")
    form = found and found.get("TargetObjectKeyFormat")
    names = {"DisplayName": "display_name", "EmailAddress": "email_address", "ID": "id", "URI": "uri", "Type": "type"}
    return found and {
        "bucket": BUCKET,
        "target_bucket": found["TargetBucket"],
        "target_prefix": found.get("TargetPrefix"),
        "target_grant": [
            {
                "permission": each["Permission"],
                "grantee": [{names[name]: value for name, value in each["Grantee"].items()}],
            }
            for each in found.get("TargetGrants", [])
        ],
        "target_object_key_format": [
            {
                "partitioned_prefix": [_snake(form["PartitionedPrefix"])] if "PartitionedPrefix" in form else [],
                "simple_prefix": [{}] if "SimplePrefix" in form else [],
            }
        ]
        if form is not None
        else [],
    }


def _policy(answers: Answers) -> Body | None:
    found = answer(answers, "get_bucket_policy")
    return found and {"bucket": BUCKET, "policy": found["Policy"]}


# Tables


def _table(answers: Answers) -> Body | None:
    found = answers.get("describe_table")
    if not found:
        return None
    table, stream = found["Table"], found["Table"].get("StreamSpecification") or {}
    capacity = table.get("ProvisionedThroughput", {})
    keys = {each["KeyType"]: each["AttributeName"] for each in table["KeySchema"]}
    limit = table.get("OnDemandThroughput")
    return {
        "name": table["TableName"],
        "billing_mode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "read_capacity": capacity.get("ReadCapacityUnits"),
        "write_capacity": capacity.get("WriteCapacityUnits"),
        "hash_key": keys.get("HASH"),
        "range_key": keys.get("RANGE"),
        "attribute": [
            {"name": each["AttributeName"], "type": each["AttributeType"]} for each in table["AttributeDefinitions"]
        ],
        "deletion_protection_enabled": table.get("DeletionProtectionEnabled"),
        "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "server_side_encryption": _encryption_at_rest(table, answers["managed_table_key"]),
        "point_in_time_recovery": [_recovery(answers)],
        "stream_enabled": stream.get("StreamEnabled", False),
        "stream_view_type": stream.get("StreamViewType", ""),
        "on_demand_throughput": [_snake(limit)] if limit is not None else [],
        "global_secondary_index": [{"name": each["IndexName"]} for each in table.get("GlobalSecondaryIndexes", [])],
        "local_secondary_index": [{"name": each["IndexName"]} for each in table.get("LocalSecondaryIndexes", [])],
        "replica": [{"region_name": each["RegionName"]} for each in table.get("Replicas", [])],
        "ttl": [{"enabled": True}],
        "tags": _own_tags(answers["list_tags_of_resource"].get("Tags", [])),
    }


def _encryption_at_rest(table: Body, managed: str) -> list[Body]:
    described = table.get("SSEDescription")
    if not described:
        return []
    key = described.get("KMSMasterKeyArn", "")
    return [{"enabled": described.get("Status") == "ENABLED", "kms_key_arn": "" if key == managed else key}]


def _recovery(answers: Answers) -> Body:
    backups = answers["describe_continuous_backups"]["ContinuousBackupsDescription"]
    described = backups.get("PointInTimeRecoveryDescription", {})
    is_on = described.get("PointInTimeRecoveryStatus") == "ENABLED"
    days = described.get("RecoveryPeriodInDays") if is_on else None
    return {"enabled": is_on, "recovery_period_in_days": days}


#: What a project's references to the bucket stand for, on both sides.
BUCKET = "aws_s3_bucket.state.bucket"
SIZES: Schema = {"object_size_greater_than": ANY, "object_size_less_than": ANY}
EXACT = Argument(equal=exactly)
FILTER: Schema = {
    "prefix": EXACT,
    "object_size_greater_than": EXACT,
    "object_size_less_than": EXACT,
    "tag": Nested({"key": EXACT, "value": EXACT}),
    "and": Nested({"prefix": ANY, **SIZES, "tags": ANY}),
}
LIFECYCLE_RULE: Schema = {
    "id": EXACT,
    "prefix": ANY,
    "status": EXACT,
    "filter": Nested(FILTER),
    "abort_incomplete_multipart_upload": Nested({"days_after_initiation": EXACT}),
    "expiration": Nested({"date": Argument(equal=in_time), "days": ANY, "expired_object_delete_marker": ANY}),
    "noncurrent_version_expiration": Nested({"newer_noncurrent_versions": EXACT, "noncurrent_days": EXACT}),
    "noncurrent_version_transition": Nested(
        {"newer_noncurrent_versions": EXACT, "noncurrent_days": EXACT, "storage_class": EXACT}, is_set=True
    ),
    "transition": Nested({"date": Argument(equal=in_time), "days": EXACT, "storage_class": EXACT}, is_set=True),
}
GRANTEE: Schema = {"type": ANY, "id": ANY, "uri": ANY, "email_address": ANY, "display_name": COMPUTED}
OF_BUCKET: Schema = {"bucket": EXACT}
RESOURCES: dict[str, tuple[Callable[[Answers], Any], Schema]] = {
    "aws_s3_bucket": (
        _bucket,
        {
            "bucket": EXACT,
            "bucket_namespace": Argument(computed=True, since=(6, 37, 0)),
            "tags": ANY,
            "object_lock_enabled": COMPUTED,
            "force_destroy": Argument(default=False, equal=exactly),
        },
    ),
    "aws_s3_bucket_ownership_controls": (_ownership, {**OF_BUCKET, "rule": Nested({"object_ownership": EXACT})}),
    "aws_s3_bucket_public_access_block": (_public_access, {**OF_BUCKET, **dict.fromkeys(FLAGS, ANY)}),
    "aws_s3_bucket_server_side_encryption_configuration": (
        _encryption,
        {
            **OF_BUCKET,
            "rule": Nested(
                {
                    "apply_server_side_encryption_by_default": Nested({"sse_algorithm": ANY, "kms_master_key_id": ANY}),
                    "blocked_encryption_types": Argument(since=(6, 22, 0)),
                    "bucket_key_enabled": ANY,
                },
                is_set=True,
            ),
        },
    ),
    "aws_s3_bucket_lifecycle_configuration": (
        _lifecycle,
        {
            **OF_BUCKET,
            "transition_default_minimum_object_size": Argument(default="all_storage_classes_128K", equal=exactly),
            "rule": Nested(LIFECYCLE_RULE),
        },
    ),
    "aws_s3_bucket_versioning": (
        _versioning,
        {**OF_BUCKET, "versioning_configuration": Nested({"status": EXACT, "mfa_delete": COMPUTED})},
    ),
    "aws_s3_bucket_object_lock_configuration": (
        _object_lock,
        {
            **OF_BUCKET,
            "object_lock_enabled": Argument(default="Enabled"),
            "rule": Nested({"default_retention": Nested({"mode": ANY, "days": ANY, "years": ANY})}),
        },
    ),
    "aws_s3_bucket_logging": (
        _logging,
        {
            **OF_BUCKET,
            "target_bucket": EXACT,
            "target_prefix": ANY,
            "target_grant": Nested({"permission": ANY, "grantee": Nested(GRANTEE)}, is_set=True),
            "target_object_key_format": Nested(
                {"partitioned_prefix": Nested({"partition_date_source": ANY}), "simple_prefix": Nested({})}
            ),
        },
    ),
    "aws_s3_bucket_policy": (_policy, {**OF_BUCKET, "policy": Argument(equal=same_policy)}),
    "aws_dynamodb_table": (
        _table,
        {
            "name": EXACT,
            "billing_mode": Argument(default="PROVISIONED"),
            "read_capacity": COMPUTED,
            "write_capacity": COMPUTED,
            "hash_key": COMPUTED,
            "range_key": ANY,
            "attribute": Nested({"name": EXACT, "type": EXACT}, computed=True, is_set=True),
            "deletion_protection_enabled": ANY,
            "table_class": Argument(default="STANDARD"),
            "server_side_encryption": Nested({"enabled": ANY, "kms_key_arn": COMPUTED}, computed=True),
            "point_in_time_recovery": Nested({"enabled": ANY, "recovery_period_in_days": COMPUTED}, computed=True),
            "stream_enabled": ANY,
            "stream_view_type": COMPUTED,
            "on_demand_throughput": Nested({"max_read_request_units": COMPUTED, "max_write_request_units": COMPUTED}),
            # Version 6 computes it; a project must be right for both.
            "global_secondary_index": Nested({"name": EXACT}, is_set=True),
            "local_secondary_index": Nested({"name": EXACT}, is_set=True),
            "replica": Nested({"region_name": EXACT}, is_set=True),
            "ttl": Nested(computed=True),
            "tags": ANY,
        },
    ),
}

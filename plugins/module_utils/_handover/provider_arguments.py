# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facets as arguments of the aws provider's resources: each facet has one place, and nothing of it is left out.

Pure: no I/O. A facet that is not configured has no resource: there is nothing to import, and nothing to describe.
Source: https://registry.terraform.io/providers/hashicorp/aws/6.62.0/docs/resources/s3_bucket and its neighbours
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from .._bucket import encryption, object_lock, ownership, public_access
from .._bucket.lifecycle_rules import SMALLEST
from .._core.model import Invalid
from .._core.tags import SYSTEM
from .._table.existence import KEY
from .._terraform.hcl import Block, Json, Value

Attributes: TypeAlias = "dict[str, Value]"
#: What a resource holds besides the name of what it is about.
Body: TypeAlias = "tuple[Attributes, tuple[Block, ...]]"


def bucket_attributes(facets: Mapping[str, Any]) -> Attributes:
    """What aws_s3_bucket itself says: the rest of it is deprecated there."""
    locked: Attributes = {"object_lock_enabled": True} if facets["object_lock"]["enabled"] else {}
    return {**locked, **_tags(facets["tags"])}


def _tags(tags: Mapping[str, str]) -> Attributes:
    """Tags of AWS's own services are nobody's to write."""
    own: dict[str, Value] = {key: value for key, value in sorted(tags.items()) if not key.startswith(SYSTEM)}
    return {"tags": own} if own else {}


def _ownership(value: str) -> Body | None:
    return None if value == ownership.ABSENT else ({}, (Block("rule", (), {"object_ownership": value}),))


def _public_access(value: Mapping[str, bool]) -> Body | None:
    return None if value == public_access.ABSENT else (dict(value), ())


def _encryption(value: Mapping[str, Any]) -> Body | None:
    if value == encryption.ABSENT:
        return None
    key: Attributes = {"kms_master_key_id": value["kms_key_id"]} if value["kms_key_id"] else {}
    default = Block("apply_server_side_encryption_by_default", (), {"sse_algorithm": value["algorithm"], **key})
    blocked: Attributes = _given(blocked_encryption_types=value["blocked_encryption_types"])
    rule: Attributes = {"bucket_key_enabled": value["bucket_key_enabled"], **blocked}
    return {}, (Block("rule", (), rule, (default,) if value["algorithm"] else ()),)


def _versioning(value: str) -> Body:
    """`Disabled` is the provider's word, too, for a bucket whose versioning never was on."""
    return {}, (Block("versioning_configuration", (), {"status": value}),)


def _object_lock(value: Mapping[str, Any]) -> Body | None:
    if value == object_lock.ABSENT:
        return None
    period: Attributes = {"years": value["years"]} if "years" in value else {"days": value["days"]}
    retention = Block("default_retention", (), {"mode": value["mode"], **period})
    return {}, (Block("rule", (), {}, (retention,)),) if value["mode"] else ()


def _policy(value: Mapping[str, Any]) -> Body | None:
    if not value["statements"]:
        return None
    document: dict[str, Value] = {"Version": value["version"], "Statement": value["statements"]}
    return {"policy": Json({**_given(Id=value["id"]), **document})}, ()


def _lifecycle(value: Mapping[str, Any]) -> Body | None:
    """The provider puts AWS's default for the smallest size where the project does not say it."""
    rules = tuple(_rule(name, rule) for name, rule in sorted(value.items()) if name != SMALLEST)
    return (_given(transition_default_minimum_object_size=value.get(SMALLEST)), rules) if rules else None


#: Parts of a lifecycle rule, and of its filter, that the provider calls by another name than by ours in snake case.
_PLURALS = {"Transitions": "transition", "NoncurrentVersionTransitions": "noncurrent_version_transition"}
_ACTIONS = ("AbortIncompleteMultipartUpload", "Expiration", "NoncurrentVersionExpiration", *_PLURALS)


def _rule(name: str, rule: Mapping[str, Any]) -> Block:
    unknown = sorted(rule.keys() - {*_ACTIONS, "Status", "Filter"})
    if unknown:
        raise Invalid(f"the lifecycle rule {name} has {', '.join(unknown)}, which the aws provider has no words for")
    return Block("rule", (), {"id": name, "status": rule["Status"]}, (_filter(rule["Filter"]), *_actions(rule)))


def _actions(rule: Mapping[str, Any]) -> Iterator[Block]:
    for name in _ACTIONS:
        found = rule.get(name) or ()
        for each in (found,) if isinstance(found, Mapping) else found:
            yield Block(_PLURALS.get(name, _snake(name)), (), {_snake(key): _plain(each[key]) for key in sorted(each)})


def _filter(where: Mapping[str, Any]) -> Block:
    """AWS keeps a filter for everything as the empty prefix."""
    tags = where.get("Tags", [])
    plain: Attributes = {_snake(name): value for name, value in sorted(where.items()) if name != "Tags"}
    if len(plain) + len(tags) > 1:
        named: dict[str, Value] = {tag["Key"]: tag["Value"] for tag in tags}
        return Block("filter", (), {}, (Block("and", (), {**plain, **({"tags": named} if named else {})}),))
    if tags:
        return Block("filter", (), {}, (Block("tag", (), {"key": tags[0]["Key"], "value": tags[0]["Value"]}),))
    return Block("filter", (), plain or {"prefix": ""})


def _plain(value: Any) -> Value:
    """A date in the one form that the provider takes: RFC 3339 in UTC."""
    found: Value = value.replace("+00:00", "Z") if isinstance(value, str) else value
    return found


def _logging(value: Mapping[str, Any]) -> Body | None:
    if not value:
        return None
    attributes: Attributes = {"target_bucket": value["TargetBucket"], "target_prefix": value.get("TargetPrefix", "")}
    return attributes, (
        *map(_grant, value.get("TargetGrants", ())),
        *_key_format(value.get("TargetObjectKeyFormat", {})),
    )


def _grant(grant: Mapping[str, Any]) -> Block:
    who: Attributes = {_snake(name): value for name, value in sorted(grant["Grantee"].items()) if name != "DisplayName"}
    return Block("target_grant", (), {"permission": grant["Permission"]}, (Block("grantee", (), who),))


def _key_format(form: Mapping[str, Any]) -> Iterator[Block]:
    if "PartitionedPrefix" in form:
        source: Attributes = _given(partition_date_source=form["PartitionedPrefix"].get("PartitionDateSource"))
        yield Block("target_object_key_format", (), {}, (Block("partitioned_prefix", (), source),))
    elif "SimplePrefix" in form:
        yield Block("target_object_key_format", (), {}, (Block("simple_prefix"),))


#: Facet -> the resource that is its place, and how to write it; in the order of application.
BUCKET_PARTS: dict[str, tuple[str, Callable[[Any], Body | None]]] = {
    "ownership": ("aws_s3_bucket_ownership_controls", _ownership),
    "public_access": ("aws_s3_bucket_public_access_block", _public_access),
    "encryption": ("aws_s3_bucket_server_side_encryption_configuration", _encryption),
    "lifecycle": ("aws_s3_bucket_lifecycle_configuration", _lifecycle),
    "versioning": ("aws_s3_bucket_versioning", _versioning),
    "object_lock": ("aws_s3_bucket_object_lock_configuration", _object_lock),
    "logging": ("aws_s3_bucket_logging", _logging),
    "policy": ("aws_s3_bucket_policy", _policy),
}


#: Facet -> the arguments and blocks of aws_dynamodb_table that are its place.
TABLE_PLACES = {
    "billing": ("billing_mode", "read_capacity", "write_capacity"),
    "encryption": ("server_side_encryption",),
    "deletion_protection": ("deletion_protection_enabled",),
    "recovery": ("point_in_time_recovery",),
    "table_class": ("table_class",),
    "tags": ("tags",),
}


#: What no lock table needs and Ansible does not look at -> the arguments that are its place. What they do not say
#: Terraform would remove; a time to live, and a resource policy, it leaves alone.
#: Source: internal/service/dynamodb/table.go of https://github.com/hashicorp/terraform-provider-aws
LEFT_ALONE = {
    "a stream": ("stream_enabled", "stream_view_type"),
    "global secondary indexes": ("attribute", "global_secondary_index"),
    "local secondary indexes": ("attribute", "local_secondary_index"),
    "replicas": ("replica",),
    "a limit of its throughput": ("on_demand_throughput",),
}


def left_alone(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of these a table has, as DescribeTable tells it. Minus one is no limit."""
    limits = table.get("OnDemandThroughput") or {}
    there = {
        "a stream": (table.get("StreamSpecification") or {}).get("StreamEnabled"),
        "global secondary indexes": table.get("GlobalSecondaryIndexes"),
        "local secondary indexes": table.get("LocalSecondaryIndexes"),
        "replicas": table.get("Replicas"),
        "a limit of its throughput": any(limit not in (None, -1) for limit in limits.values()),
    }
    return tuple(name for name in LEFT_ALONE if there[name])


def table_body(facets: Mapping[str, Any]) -> Body:
    """All of aws_dynamodb_table but its name."""
    billing, recovery, key = facets["billing"], facets["recovery"], facets["encryption"]["kms_key_id"]
    attributes: Attributes = {
        "billing_mode": billing["billing_mode"],
        **_given(read_capacity=billing["read_capacity"], write_capacity=billing["write_capacity"]),
        "hash_key": "LockID",
        "table_class": facets["table_class"],
        "deletion_protection_enabled": facets["deletion_protection"],
        **_tags(facets["tags"]),
    }
    days: Attributes = _given(recovery_period_in_days=recovery["period_days"])
    blocks = (
        *(Block("attribute", (), {"name": name, "type": kind.split()[0]}) for name, kind in KEY.items()),
        Block("point_in_time_recovery", (), {"enabled": recovery["enabled"], **days}),
        *((Block("server_side_encryption", (), {"enabled": True, **_customer_key(key)}),) if key else ()),
    )
    return attributes, blocks


def _customer_key(key: str) -> Attributes:
    """The provider reads back no ARN of the key that AWS manages, and so must not be told one."""
    return {} if key.startswith("alias/aws/") else {"kms_key_arn": key}


def _given(**values: Any) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}


def _snake(name: str) -> str:
    return {"ID": "id", "URI": "uri"}.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

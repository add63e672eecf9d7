# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facets as arguments of the aws provider's resources: each facet has one place, and nothing of it is left out.

Pure: no I/O. What each facet contributes is declared in its own file.
Source: https://registry.terraform.io/providers/hashicorp/aws/6.62.0/docs/resources/s3_bucket and its neighbours
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import Resource
from .._core.provider import Attributes, Block, ProviderArguments

#: The order of arguments and blocks in aws_dynamodb_table; others follow.
TABLE_ORDER = (
    "billing_mode",
    "read_capacity",
    "write_capacity",
    "hash_key",
    "table_class",
    "deletion_protection_enabled",
    "tags",
    "attribute",
    "point_in_time_recovery",
    "server_side_encryption",
)


def arguments_of(
    resource: Resource, values: Mapping[str, Any], main: str, order: tuple[str, ...] = ()
) -> tuple[ProviderArguments, dict[str, ProviderArguments]]:
    """The arguments of the main resource, and by facet those of the facets that have a resource of their own.

    A facet that AWS has no configuration of has none: there is nothing to import, and nothing to describe.
    """
    attributes: Attributes = {}
    blocks: list[Block] = []
    parts: dict[str, ProviderArguments] = {}
    for facet in resource.facets:
        value = values.get(facet.name)
        for each in () if value is None else facet.provider_arguments(value):
            if each.resource == main:
                attributes |= each.attributes
                blocks += each.blocks
            else:
                parts[facet.name] = each

    def place(name: str) -> int:
        return order.index(name) if name in order else len(order)

    ordered = dict(sorted(attributes.items(), key=lambda item: place(item[0])))
    return ProviderArguments(main, ordered, tuple(sorted(blocks, key=lambda block: place(block.type)))), parts


def ignored(resource: Resource, unmanaged: frozenset[str]) -> Iterator[str]:
    """Arguments of the main resource that belong to unmanaged facets."""
    for facet in resource.facets:
        if facet.name in unmanaged:
            yield from facet.provider_ignores


#: What no lock table needs and Ansible does not look at -> the arguments that are its place. What they do not say
#: Terraform would remove; a time to live, and a resource policy, it leaves alone.
#: Source: internal/service/dynamodb/table.go of https://github.com/hashicorp/terraform-provider-aws
LEFT_ALONE = {
    "a stream": ("stream_enabled", "stream_view_type"),
    "global secondary indexes": ("attribute", "global_secondary_index"),
    "local secondary indexes": ("attribute", "local_secondary_index"),
    "replicas": ("replica",),
    "a limit of its throughput": ("on_demand_throughput",),
    "a lifted limit of its throughput": ("on_demand_throughput",),
}


def left_alone(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of these a table has, as DescribeTable tells it.

    Minus one is no limit, and to the provider something all the same: a project without it would remove it.
    """
    limits = [limit for limit in (table.get("OnDemandThroughput") or {}).values() if limit is not None]
    there = {
        "a stream": (table.get("StreamSpecification") or {}).get("StreamEnabled"),
        "global secondary indexes": table.get("GlobalSecondaryIndexes"),
        "local secondary indexes": table.get("LocalSecondaryIndexes"),
        "replicas": table.get("Replicas"),
        "a limit of its throughput": any(limit != -1 for limit in limits),
        "a lifted limit of its throughput": bool(limits) and all(limit == -1 for limit in limits),
    }
    return tuple(name for name in LEFT_ALONE if there[name])

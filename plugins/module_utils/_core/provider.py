# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Terraform configuration as values, and facets in the words of the aws provider. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

Value: TypeAlias = "str | bool | int | Reference | Json | list[Value] | dict[str, Value]"
Attributes: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True)
class Reference:
    """What another part of the configuration is called, such as `aws_s3_bucket.state.arn`."""

    text: str


@dataclass(frozen=True)
class Json:
    """A value that Terraform turns into JSON text: `jsonencode({ ... })`."""

    value: Value


@dataclass(frozen=True)
class Block:
    """A block such as `backend "s3" { ... }`: its attributes come first, then its blocks."""

    type: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()


#: The resources of the provider that a bucket and a table themselves are.
BUCKET, TABLE = "aws_s3_bucket", "aws_dynamodb_table"


class ProviderArguments(NamedTuple):
    """What a facet is in a resource of the aws provider: that of the bucket or table itself, or one of its own."""

    resource: str
    attributes: Mapping[str, Value] = MappingProxyType({})
    blocks: tuple[Block, ...] = ()
    #: Facets whose resources Terraform has to apply before.
    after: tuple[str, ...] = ()


def without_nulls(**values: Any) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}


def snake_case(name: str) -> str:
    """A name of the AWS API as the provider writes it."""
    return {"ID": "id", "URI": "uri"}.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def is_plain(value: Any) -> bool:
    """Whether HCL can say it as it is: text, true or false, whole numbers, and lists and objects of them."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, list) else isinstance(value, (str, int))

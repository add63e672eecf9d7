# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Table class. AWS allows two changes in 30 days, so it changes only when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.model import Call, FindingKind, IamActions, Params, Response, Target, Value
from .._core.provider import TABLE, ProviderArguments

NAME = "table_class"
OPTIONS = {"table_class": {"choices": ["STANDARD", "STANDARD_INFREQUENT_ACCESS"]}}
ABSENT = "STANDARD"
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("table_class",)
IAM_ACTIONS = IamActions(read=("dynamodb:DescribeTable",), write=("dynamodb:UpdateTable",))
FINDING = FindingKind("info", "The table class is not the one asked for", "It costs more than it has to.")


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    return response["Table"].get("TableClassSummary", {}).get("TableClass", ABSENT)


def desired(params: Params, observed: Value, target: Target) -> Value:
    return params.get("table_class") or observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return (Call("dynamodb", "update_table", {"TableName": target.name, "TableClass": after}),)


def creation(after: Value) -> dict[str, object]:
    return {} if after == ABSENT else {"TableClass": after}


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    yield ProviderArguments(TABLE, {"table_class": value})


def cost(value: Value) -> dict[str, Any]:
    return {"table_class": value or "?"}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Billing mode and capacity: pay per request when we create the table, else left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.model import (
    Answer,
    Call,
    Failure,
    FindingKind,
    IamActions,
    Leave,
    Params,
    Probe,
    Refuse,
    Response,
    Target,
    Value,
)
from .._core.provider import TABLE, ProviderArguments, without_nulls

NAME = "billing"
OPTIONS = {
    "billing_mode": {"choices": ["PAY_PER_REQUEST", "PROVISIONED"]},
    "read_capacity": {"type": "int"},
    "write_capacity": {"type": "int"},
}
ABSENT: Value = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
NOT_FOUND: set[str] = set()
PROVIDER_IGNORES = ("billing_mode", "read_capacity", "write_capacity")
#: Whatever it is, its price is not known.
UNREAD: Value = {"billing_mode": "PROVISIONED", "read_capacity": None, "write_capacity": None}
IAM_ACTIONS = IamActions(
    read=("dynamodb:DescribeTable", "application-autoscaling:DescribeScalableTargets"), write=("dynamodb:UpdateTable",)
)
FINDING = FindingKind(
    "low",
    "The table is not paid for as asked",
    "With too little capacity locks fail when many apply.",
    ("DynamoDB.1", "CKV2_AWS_16"),
)


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    table = response["Table"]
    # AWS leaves the summary out of a table that never was on demand.
    if table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") != "PROVISIONED":
        return ABSENT
    capacity = table.get("ProvisionedThroughput", {})
    return _provisioned(capacity.get("ReadCapacityUnits"), capacity.get("WriteCapacityUnits"))


def _provisioned(read_capacity: int | None, write_capacity: int | None) -> Value:
    return {"billing_mode": "PROVISIONED", "read_capacity": read_capacity, "write_capacity": write_capacity}


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked_capacity = params.get("read_capacity") or params.get("write_capacity")
    mode = params.get("billing_mode") or ("PROVISIONED" if asked_capacity else observed["billing_mode"])
    if mode == "PAY_PER_REQUEST":
        return ABSENT
    return _provisioned(
        params.get("read_capacity") or observed["read_capacity"],
        params.get("write_capacity") or observed["write_capacity"],
    )


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return (Call("dynamodb", "update_table", {"TableName": target.name, **creation(after)}),)


def creation(after: Value) -> dict[str, object]:
    if after["billing_mode"] == "PAY_PER_REQUEST":
        return {"BillingMode": "PAY_PER_REQUEST"}
    capacity = {"ReadCapacityUnits": after["read_capacity"], "WriteCapacityUnits": after["write_capacity"]}
    return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": capacity}


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    scaled = {"ServiceNamespace": "dynamodb", "ResourceIds": [f"table/{target.name}"]}
    yield Probe(Call("application-autoscaling", "describe_scalable_targets", scaled), _autoscaled)


def _autoscaled(answer: Answer) -> Refuse | Leave | None:
    if isinstance(answer, Failure):
        return Refuse(f"{answer}; without it nobody knows whether autoscaling sets the capacity")
    return Leave("autoscaling sets the table's capacity") if answer.get("ScalableTargets") else None


def problems(params: Params, target: Target) -> Iterator[str]:
    capacities = {name: params.get(name) for name in ("read_capacity", "write_capacity")}
    for name, value in capacities.items():
        if value is not None and not 1 <= value <= 40000:
            yield f"{name} is {value}; it must lie between 1 and 40000"
    if params.get("billing_mode") == "PAY_PER_REQUEST" and any(capacities.values()):
        yield "read_capacity and write_capacity need billing_mode: PROVISIONED"
    if params.get("billing_mode") == "PROVISIONED" and not all(capacities.values()):
        yield "billing_mode: PROVISIONED needs read_capacity and write_capacity"
    if any(capacities.values()) and not all(capacities.values()):
        yield "read_capacity and write_capacity go together"


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    capacity = without_nulls(read_capacity=value["read_capacity"], write_capacity=value["write_capacity"])
    yield ProviderArguments(TABLE, {"billing_mode": value["billing_mode"], **capacity})


def cost(value: Value) -> dict[str, Any]:
    return {"billing": value or UNREAD}

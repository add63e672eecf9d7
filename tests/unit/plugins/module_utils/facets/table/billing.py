# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import dynamodb

ON_DEMAND = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}


def provisioned(read: int, write: int) -> dict[str, Any]:
    return {"billing_mode": "PROVISIONED", "read_capacity": read, "write_capacity": write}


def described(read: int, write: int, *mode: str) -> dict[str, Any]:
    summary = {"BillingModeSummary": {"BillingMode": mode[0]}} if mode else {}
    return {"Table": {"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}, **summary}}


FIVE = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
READS = {
    "no summary means that it never was on demand": (described(5, 6), provisioned(5, 6)),
    "provisioned after all": (described(5, 6, "PROVISIONED"), provisioned(5, 6)),
    "on demand": (described(0, 0, "PAY_PER_REQUEST"), ON_DEMAND),
}
DESIRES = {
    "nothing asked leaves it": ({}, provisioned(5, 6), provisioned(5, 6)),
    "on demand": ({"billing_mode": "PAY_PER_REQUEST"}, provisioned(5, 6), ON_DEMAND),
    "capacity alone means provisioned": ({"read_capacity": 1, "write_capacity": 2}, ON_DEMAND, provisioned(1, 2)),
}
CALLS = {
    "on demand": (provisioned(5, 6), ON_DEMAND, [dynamodb("update_table", BillingMode="PAY_PER_REQUEST")]),
    "provisioned": (
        ON_DEMAND,
        provisioned(5, 6),
        [dynamodb("update_table", BillingMode="PROVISIONED", ProvisionedThroughput=FIVE)],
    ),
}
PROBLEMS = {
    "on demand has no capacity": (
        {"billing_mode": "PAY_PER_REQUEST", "read_capacity": 1, "write_capacity": 1},
        "need billing_mode: PROVISIONED",
    ),
    "provisioned needs capacity": ({"billing_mode": "PROVISIONED"}, "needs read_capacity and write_capacity"),
    "half a capacity is none": ({"read_capacity": 1}, "go together"),
    "capacity is bounded": ({"read_capacity": 40001, "write_capacity": 1}, "between 1 and 40000"),
    "no capacity is none": ({"read_capacity": 0, "write_capacity": 1}, "between 1 and 40000"),
}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sums and prices of docs/cost.md are those of the code."""

from __future__ import annotations

from decimal import Decimal

from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import (
    GB,
    RUN,
    CostFacts,
    KmsKey,
    monthly_cost,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import ITEMS, PRICES

from tests.docs.pages import tables

PAGE = "docs/cost.md"
EXAMPLE = CostFacts(
    "us-east-1",
    "both",
    current_bytes=GB // 5,
    noncurrent_bytes=GB * 3 // 2,
    runs_per_month=3000,
    billing={"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None},
    table_bytes=GB // 1000,
    has_recovery=True,
    kms_keys={"one": KmsKey(True, 0)},
)


def test_the_example_is_what_the_code_computes():
    cost = monthly_cost(EXAMPLE)
    rows = tables(PAGE, "part")[4:]  # below the table of what is counted
    told = {row[0].strip("*"): row[2].strip("*") for row in rows}
    assert told.pop("in all") == str(cost)
    assert {item: Decimal(usd) for item, usd in told.items()} == {
        part.item: part.usd.quantize(Decimal("0.000001")) for part in cost.parts
    }
    quantities = {row[0]: Decimal(row[1].removesuffix(" GB")) for row in rows[:-1]}
    assert quantities == {part.item: Decimal(part.quantity).quantize(Decimal("0.001")) for part in cost.parts}


def test_every_price_is_shown():
    shown = {row[0]: row[1:] for row in tables(PAGE, "region")}
    assert shown == {
        region: [f"{prices[item].usd:f}" if item in prices else "-" for item in ITEMS]
        for region, prices in PRICES.items()
    }
    assert {row[0]: row[1] for row in tables(PAGE, "item")} == ITEMS


def test_the_requests_of_a_run_are_shown():
    shown = {row[0].strip("`"): [int(cell) for cell in row[1:]] for row in tables(PAGE, "lock mode")}
    assert shown == {
        mode: [run.writes, run.reads, run.write_units, run.read_units, run.encrypted] for mode, run in RUN.items()
    }

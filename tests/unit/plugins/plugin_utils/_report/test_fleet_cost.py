# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet costs together, by account, and what would lower it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.cost import (
    NOTHING_KNOWN,
    FleetCost,
    fleet_cost,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import cost_markdown, report_of

from tests.unit.plugins.module_utils.audited import facts, row

PARTS = {"storage": "0.5", "write_capacity": "2.4", "read_capacity": "0.6", "keys": "1", "key_requests": "0.25"}


def backend(
    name: str, account: str = "111122223333", key: str = "k", rotations: int = 0, **more: Any
) -> dict[str, Any]:
    paid = {**PARTS, "keys": str(1 + min(rotations, 2))}
    parts = [{"item": item, "usd": usd, "as_of": "2026-09-11"} for item, usd in paid.items()]
    keys = [{"key": key, "rotations": rotations}]
    cost = {"parts": parts, "missing": [], "kms_keys": keys, "kms_key_usd": "1.00", "noncurrent_usd": "0.4"}
    about = {"name": name, "account_id": account, "region": "eu-west-1", "table": {"name": f"{name}-locks"}}
    return {**about, "bucket": {"exists": True}, "cost": cost, **more}


def cost_of(*backends: dict[str, Any]) -> FleetCost:
    found = fleet_cost(backends)
    assert found
    return found


def test_the_total_is_by_account() -> None:
    found = cost_of(backend("a"), backend("b", "444455556666", key="other"), backend("c", key="third"))
    assert str(found.total) == "14.25"
    assert {name: str(each) for name, each in found.accounts.items()} == {
        "111122223333": "9.50",
        "444455556666": "4.75",
    }


def test_what_backends_share_is_paid_for_once() -> None:
    shared = {"table": {"name": "locks"}}
    assert str(cost_of(backend("a", **shared), backend("b", **shared)).total) == "5.50"  # 4.75 + 0.5 + 0.25
    assert str(cost_of(backend("a", rotations=7), backend("b", rotations=7)).total) == "10.50"  # 6.75 + 3.75
    elsewhere = backend("b", **shared, region="us-east-1", key="other")
    assert str(cost_of(backend("a", **shared), elsewhere).total) == "9.50"


def test_what_nobody_knows_makes_a_lower_bound_and_is_counted() -> None:
    lacking = backend("b")
    lacking["cost"] = {**lacking["cost"], "missing": ["the size of the table"]}
    gone = {**backend("c"), "cost": None, "bucket": {"exists": False}}
    unread = {**backend("d"), "cost": None, "bucket": {"exists": None}}
    found = cost_of(backend("a"), lacking, gone, unread)
    assert str(found.total) == "at least 8.50"
    assert found.missing == {"the size of the table": 1, NOTHING_KNOWN: 1}
    assert fleet_cost([gone, unread]) is None


def test_what_would_lower_it_is_told_with_the_most_first() -> None:
    found = cost_of(backend("a"), backend("b", key="other", rotations=2))
    told = [(each.backend, each.usd, each.what.split(" (")[0]) for each in found.savings]
    assert told[:2] == [
        ("a", Decimal("3.0"), "pay for the table on demand"),
        ("b", Decimal("3.0"), "pay for the table on demand"),
    ]
    assert ("111122223333 eu-west-1", Decimal(1), "share one KMS key instead of 2, if one may do") in told
    assert ("a", Decimal("0.4"), "remove old versions sooner") in told
    assert ("a", Decimal("0.25"), "switch on the bucket key") in told
    assert [usd for _name, usd, _what in told] == sorted((usd for _name, usd, _what in told), reverse=True)


def test_the_page_says_the_total_the_accounts_and_what_is_missing() -> None:
    us, af = row("us", facts()), row("af-south-1", facts("af-south-1", "cpt"))
    page = cost_markdown(report_of([us, af], [], "2026-11-21 10:20 UTC"))
    assert "**at least 0.15** US dollars a month, estimated from sizes and runs; prices as of 2024-09-25." in page
    assert "| 111122223333 | 2 | at least 0.15 |" in page
    assert "| us | us-east-1 | 0.07 |" in page
    assert "- the price of DynamoDB write requests in af-south-1: 1 backend" in page
    assert "## What would lower it" in page
    nothing = cost_markdown(report_of([], [], "today"))
    assert "Nothing is known of what the backends cost." in nothing

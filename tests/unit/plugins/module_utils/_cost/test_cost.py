# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend costs: the sums, and that nothing unknown is ever made up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import (
    GB,
    RUN,
    Cost,
    CostFacts,
    legend,
    monthly_cost,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import ITEMS, PER, PRICES, UNDATED
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import (
    cost_in_use,
    facts_at_rest,
    facts_of,
)

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ON_DEMAND = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
PROVISIONED = {"billing_mode": "PROVISIONED", "read_capacity": 1, "write_capacity": 1}
EMPTY = CostFacts("us-east-1", "both", 0, 0, runs_per_month=0, billing=ON_DEMAND, table_bytes=0, has_recovery=True)


def cost_of(facts: CostFacts) -> Cost:
    found = monthly_cost(facts)
    assert found
    return found


def part(facts: CostFacts, item: str) -> Decimal | None:
    (found,) = [each for each in cost_of(facts).parts if each.item == item]
    return found.usd


SUMS: dict[str, tuple[CostFacts, str, str]] = {
    "a GB of states and old versions": (
        replace(EMPTY, current_bytes=GB // 4, noncurrent_bytes=GB * 3 // 4),
        "storage",
        "0.023",
    ),
    "10,000 lock cycles": (replace(EMPTY, runs_per_month=10_000), "write_units", "0.01875"),
    "digests and locks that are read": (replace(EMPTY, runs_per_month=10_000), "read_units", "0.0025"),
    "lists, states and lock files": (replace(EMPTY, runs_per_month=10_000), "writes", "0.15"),
    "states and lock files that are read": (replace(EMPTY, runs_per_month=10_000), "reads", "0.012"),
    "a capacity unit to write": (replace(EMPTY, billing=PROVISIONED), "write_capacity", "0.4745"),
    "a capacity unit to read": (replace(EMPTY, billing=PROVISIONED), "read_capacity", "0.0949"),
    "a GB of locks": (replace(EMPTY, table_bytes=GB), "table_storage", "0.25"),
    "a GB of locks that can be recovered": (replace(EMPTY, table_bytes=GB), "recovery", "0.20"),
    "two keys": (replace(EMPTY, kms_keys=frozenset({"a", "b"})), "keys", "2.00"),
    "each object asks KMS": (replace(EMPTY, asks_kms=True, runs_per_month=10_000), "key_requests", "0.12"),
    "with a bucket key none does": (replace(EMPTY, runs_per_month=10_000), "key_requests", "0"),
    "Ireland": (replace(EMPTY, region="eu-west-1", runs_per_month=10_000), "write_units", "0.02115"),
}


@pytest.mark.parametrize(("facts", "item", "usd"), SUMS.values(), ids=SUMS)
def test_each_part_is_quantity_times_price(facts: CostFacts, item: str, usd: str) -> None:
    assert part(facts, item) == Decimal(usd)


def test_a_backend_at_rest_costs_nothing_anywhere() -> None:
    for region in (*PRICES, "mx-central-1"):
        assert str(cost_of(replace(EMPTY, region=region))) == "0.00"


UNKNOWN: dict[str, tuple[CostFacts, set[str]]] = {
    "nobody counted old versions": (replace(EMPTY, noncurrent_bytes=None), {"storage"}),
    "nobody said how often it runs": (
        replace(EMPTY, runs_per_month=None),
        {"writes", "reads", "write_units", "read_units"},
    ),
    "nobody measured the table": (replace(EMPTY, table_bytes=None), {"table_storage", "recovery"}),
    "recovery could not be read": (replace(EMPTY, has_recovery=None), {"recovery"}),
    "a key could not be read": (replace(EMPTY, kms_keys=None), {"keys"}),
    "encryption could not be read": (replace(EMPTY, asks_kms=None), {"key_requests"}),
    "no price was found in Cape Town": (
        replace(EMPTY, region="af-south-1", runs_per_month=1, table_bytes=1),
        {"writes", "reads", "write_units", "read_units", "table_storage", "recovery"},
    ),
    "the other table class has other prices": (
        replace(EMPTY, table_class="STANDARD_INFREQUENT_ACCESS", table_bytes=1, billing=PROVISIONED),
        {"write_capacity", "read_capacity", "table_storage"},
    ),
}


@pytest.mark.parametrize(("facts", "items"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_unknown_is_said_and_not_guessed(facts: CostFacts, items: set[str]) -> None:
    cost = cost_of(facts)
    assert set(cost.unknown) == items
    assert str(cost).endswith("+?")
    assert {each["item"] for each in cost.to_result()["parts"] if each["usd"] is None} == items


def test_where_nothing_is_known_there_is_no_cost() -> None:
    nothing = CostFacts("mx-central-1", "lockfile", kms_keys=None, asks_kms=None)
    assert monthly_cost(nothing) is None


def test_a_table_that_takes_no_locks_is_paid_for_without_requests() -> None:
    facts = replace(EMPTY, lock_mode="lockfile", billing=None, has_recovery=None, table_bytes=None, runs_per_month=5)
    assert {each.item for each in cost_of(facts).parts} == {"storage", "writes", "reads", "keys", "key_requests"}


def test_the_oldest_price_dates_the_whole() -> None:
    assert cost_of(EMPTY).as_of is None
    assert cost_of(replace(EMPTY, runs_per_month=1)).as_of == "2025-01-31"
    assert cost_of(replace(EMPTY, current_bytes=1)).as_of == "2026-10-08"


LEGENDS = {
    "no price went in": ((), False, "x"),
    "the oldest is told": (("2026-10-08", "2025-01-31"), False, "x; prices as of 2025-01-31"),
    "one has no date": (("undated", "2025-01-31"), False, "x; prices as of 2025-01-31, some undated"),
    "none has a date": (("undated",), True, "x; prices undated; +?: part unknown"),
}


@pytest.mark.parametrize(("dates", "is_partial", "told"), LEGENDS.values(), ids=LEGENDS)
def test_a_column_of_costs_says_how_old_it_is_and_what_is_left_out(
    dates: tuple[str, ...], is_partial: bool, told: str
) -> None:
    assert legend("x", dates, is_partial) == told


BUCKET: dict[str, Any] = {
    "region": "us-east-1",
    "encryption": {"algorithm": "aws:kms", "kms_key_id": KEY, "bucket_key_enabled": True},
}
TABLE: dict[str, Any] = {
    "billing": ON_DEMAND,
    "table_class": "STANDARD",
    "encryption": {"kms_key_id": None},
    "recovery": {"enabled": True, "period_days": 35},
}


def test_one_key_for_both_is_paid_for_once() -> None:
    with_key = {**TABLE, "encryption": {"kms_key_id": KEY}}
    for table in (None, TABLE, with_key):
        assert str(cost_of(facts_at_rest(BUCKET, table, "both"))) == "1.00"
    other = {**TABLE, "encryption": {"kms_key_id": f"{KEY}2"}}
    assert str(cost_of(facts_at_rest(BUCKET, other, "both"))) == "2.00"


def test_keys_that_aws_manages_cost_nothing() -> None:
    managed = {**BUCKET, "encryption": {**BUCKET["encryption"], "kms_key_id": None}}
    table = {**TABLE, "encryption": {"kms_key_id": "alias/aws/dynamodb"}}
    assert str(cost_of(facts_at_rest(managed, table, "both"))) == "0.00"


@pytest.mark.parametrize("unread", ["encryption", "billing"])
def test_a_setting_that_nobody_read_makes_a_lower_bound(unread: str) -> None:
    table = {name: value for name, value in TABLE.items() if name != unread}
    assert str(cost_of(facts_at_rest(BUCKET, table, "both"))).endswith("+?")


USAGE = {"current_bytes": GB, "noncurrent_bytes": GB, "version_count": 900, "state_writes": 250, "lock_writes": 400}
EXPIRY = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled", "Filter": {}}


def in_use(usage: dict[str, Any] | None = None, locks: dict[str, Any] | None = None, **facets: Any) -> dict[str, Any]:
    """What tf_backend_info tells of a backend whose versions stay."""
    bucket = {**BUCKET, "exists": True, "versioning": "Enabled", "lifecycle": {"old": EXPIRY}, **facets}
    table = {"exists": True, "size_bytes": 0, **(TABLE if locks is None else locks)}
    return {"region": "us-east-1", "bucket": bucket, "table": table, "usage": {**USAGE, **(usage or {})}}


def test_a_backend_in_use_is_counted_from_what_was_gathered() -> None:
    facts = facts_of(in_use())
    assert (facts.current_bytes, facts.noncurrent_bytes, facts.table_bytes) == (GB, GB, 0)
    assert str(cost_of(facts)) == "1.05"
    assert str(cost_of(facts_of({**in_use(), "usage": None}))) == "1.00+?"


SHORT = {"old": {**EXPIRY, "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}}
RUNS: dict[str, tuple[dict[str, Any], str, int | None]] = {
    "each run leaves a lock file": (in_use(), "both", 400),
    "without a table, too": ({**in_use(), "table": None}, "lockfile", 400),
    "with a table alone, only a state that changed": (in_use({"lock_writes": 0}), "dynamodb", 250),
    "nobody ran": (in_use({"lock_writes": 0, "state_writes": 0}), "both", 0),
    "the table is missing": (in_use(locks={"exists": False}), "lockfile", 400),
    "versions do not stay for a month": (in_use(lifecycle=SHORT), "both", None),
    "nobody knows for how long they stay": (in_use(lifecycle=None), "both", None),
    "there are no versions": (in_use(versioning="Suspended"), "both", None),
    "nobody looked": ({**in_use(), "usage": None}, "both", None),
}


@pytest.mark.parametrize(("backend", "lock_mode", "runs"), RUNS.values(), ids=RUNS)
def test_runs_are_estimated_from_what_they_leave(backend: dict[str, Any], lock_mode: str, runs: int | None) -> None:
    facts = facts_of(backend)
    assert (facts.lock_mode, facts.runs_per_month) == (lock_mode, runs)
    assert facts_of(backend, runs_per_month=0).runs_per_month == 0


def test_the_cost_of_a_backend_tells_what_it_is_made_of() -> None:
    told = cost_in_use(in_use(), runs_per_month=3000)
    assert told
    assert (told["usd"], told["as_of"], told["unknown"]) == ("1.10", "2025-01-31", [])
    assert (told["lock_mode"], told["runs_per_month"]) == ("both", 3000)
    quantities = {part["item"]: part["quantity"] for part in told["parts"]}
    assert (quantities["storage"], quantities["writes"], quantities["keys"]) == ("2", "9000", "1")


@pytest.mark.parametrize("exists", [False, None])
def test_what_is_not_known_to_exist_has_no_cost(exists: bool | None) -> None:
    assert cost_in_use(in_use(exists=exists)) is None


def test_every_price_has_a_name_and_a_date() -> None:
    for prices in PRICES.values():
        assert prices.keys() <= ITEMS.keys()
        for price in prices.values():
            assert price.usd > 0
            assert price.as_of == UNDATED or price.as_of.startswith("202")
    assert PER.keys() <= ITEMS.keys()


def test_who_locks_both_ways_pays_for_both() -> None:
    both, file, table = RUN["both"], RUN["lockfile"], RUN["dynamodb"]
    assert (both.writes, both.reads) == (file.writes, file.reads)
    assert (both.write_units, both.read_units) == (table.write_units, table.read_units)

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
    KmsKey,
    legend,
    monthly_cost,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import (
    ITEMS,
    LISTINGS,
    PER,
    PRICES,
    UNDATED,
    with_own,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import (
    cost_in_use,
    facts_at_rest,
    facts_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import put_requests

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ON_DEMAND = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
NEW_KEY = KmsKey(True, 0)
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
    "digests and locks that are read": (replace(EMPTY, runs_per_month=10_000), "read_units", "0.00375"),
    "lists, states and lock files": (replace(EMPTY, runs_per_month=10_000), "writes", "0.25"),
    "states and lock files that are read": (replace(EMPTY, runs_per_month=10_000), "reads", "0.02"),
    "a capacity unit to write": (replace(EMPTY, billing=PROVISIONED), "write_capacity", "0.4745"),
    "a capacity unit to read": (replace(EMPTY, billing=PROVISIONED), "read_capacity", "0.0949"),
    "a GB of locks": (replace(EMPTY, table_bytes=GB), "table_storage", "0.25"),
    "a GB of locks that can be recovered": (replace(EMPTY, table_bytes=GB), "recovery", "0.20"),
    "two keys": (replace(EMPTY, kms_keys={"a": NEW_KEY, "b": NEW_KEY}), "keys", "2.00"),
    "a key that was rotated once": (replace(EMPTY, kms_keys={"a": KmsKey(True, 1)}), "keys", "2.00"),
    "a key that was rotated seven times": (replace(EMPTY, kms_keys={"a": KmsKey(True, 7)}), "keys", "3.00"),
    "a key that AWS manages": (replace(EMPTY, kms_keys={"a": KmsKey(False, 0)}), "keys", "0"),
    "each object asks KMS": (replace(EMPTY, asks_kms=True, runs_per_month=10_000), "key_requests", "0.15"),
    "runs that change no state": (replace(EMPTY, runs_per_month=10_000, state_writes=0), "writes", "0.20"),
    "with a bucket key none does": (replace(EMPTY, runs_per_month=10_000), "key_requests", "0"),
    "Ireland": (replace(EMPTY, region="eu-west-1", runs_per_month=10_000), "write_units", "0.02115"),
}


@pytest.mark.parametrize(("facts", "item", "usd"), SUMS.values(), ids=SUMS)
def test_each_part_is_quantity_times_price(facts: CostFacts, item: str, usd: str) -> None:
    assert part(facts, item) == Decimal(usd)


def test_a_backend_at_rest_costs_nothing_anywhere() -> None:
    for region in (*PRICES, "mx-central-1"):
        assert str(cost_of(replace(EMPTY, region=region))) == "0.00"


#: What is missing, by the items, and the words for it.
MISSING: dict[str, tuple[CostFacts, set[str], str]] = {
    "nobody counted old versions": (replace(EMPTY, noncurrent_bytes=None), {"storage"}, "the size of all versions"),
    "nobody said how often it runs": (
        replace(EMPTY, runs_per_month=None),
        {"writes", "reads", "write_units", "read_units"},
        "say runs_per_month",
    ),
    "locks in the table leave no trace": (
        replace(EMPTY, lock_mode="dynamodb", runs_per_month=9, runs_are_least=True),
        {"writes", "reads", "write_units", "read_units"},
        "runs that changed no state, as locks in a table leave no trace",
    ),
    "nobody measured the table": (replace(EMPTY, table_bytes=None), {"table_storage", "recovery"}, "size of the table"),
    "recovery could not be read": (replace(EMPTY, has_recovery=None), {"recovery"}, "point-in-time recovery"),
    "a key could not be read": (replace(EMPTY, has_unread_keys=True), {"keys"}, "the encryption of bucket or table"),
    "rotations could not be read": (replace(EMPTY, kms_keys={"a": KmsKey(True)}), {"keys"}, "rotations of the KMS key"),
    "a key may be managed by AWS": (replace(EMPTY, kms_keys={"a": KmsKey()}), {"keys"}, "may be managed by AWS"),
    "encryption could not be read": (replace(EMPTY, asks_kms=None), {"key_requests"}, "the encryption of the bucket"),
    "no price was found in Cape Town": (
        replace(EMPTY, region="af-south-1", runs_per_month=1, table_bytes=1),
        {"write_units", "read_units", "table_storage", "recovery"},
        "the price of DynamoDB write requests in af-south-1",
    ),
    "the other table class has other prices": (
        replace(EMPTY, table_class="STANDARD_INFREQUENT_ACCESS", table_bytes=1, billing=PROVISIONED),
        {"write_capacity", "read_capacity", "table_storage"},
        "the prices of the table class STANDARD_INFREQUENT_ACCESS",
    ),
}


@pytest.mark.parametrize(("facts", "items", "words"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_said_in_words_and_not_guessed(facts: CostFacts, items: set[str], words: str) -> None:
    cost = cost_of(facts)
    assert set(cost.unknown) == items
    assert words in "; ".join(cost.missing)
    assert "?" not in str(cost)
    assert str(cost) == (f"at least {cost.usd}" if cost.usd else "unknown")
    assert {each["item"] for each in cost.to_result()["parts"] if each["missing"]} == items


def test_where_nothing_is_known_there_is_no_cost() -> None:
    nothing = CostFacts("mx-central-1", "lockfile", kms_keys={KEY: NEW_KEY}, asks_kms=None)
    assert monthly_cost(nothing) is None


def test_what_is_known_of_a_part_counts() -> None:
    """A lower bound that leaves out what is there would be none."""
    some = replace(EMPTY, lock_mode="dynamodb", runs_per_month=10_000, runs_are_least=True, current_bytes=GB)
    assert str(cost_of(some)) == "at least 0.26"
    assert str(cost_of(replace(EMPTY, kms_keys={"a": KmsKey(True)}))) == "at least 1.00"


PUTS = {0: 1, 5 * 2**20: 1, 5 * 2**20 + 1: 4, 13_000_000: 5, 13 * 2**20: 5, 100 * 2**20: 22}


@pytest.mark.parametrize(("size", "puts"), PUTS.items())
def test_a_state_above_the_size_of_a_part_is_written_in_parts(size: int, puts: int) -> None:
    assert put_requests(size) == puts


def test_a_table_that_takes_no_locks_is_paid_for_without_requests() -> None:
    facts = replace(EMPTY, lock_mode="lockfile", billing=None, has_recovery=None, table_bytes=None, runs_per_month=5)
    assert {each.item for each in cost_of(facts).parts} == {"storage", "writes", "reads", "keys", "key_requests"}


def test_the_oldest_price_dates_the_whole() -> None:
    assert cost_of(EMPTY).as_of is None
    assert cost_of(replace(EMPTY, runs_per_month=1)).as_of == "2026-10-04"
    assert cost_of(replace(EMPTY, current_bytes=1)).as_of == "2026-10-08"


LEGENDS = {
    "no price went in": ((), {}, "x"),
    "the oldest is told": (("2026-10-08", "2025-01-31"), {}, "x; prices as of 2025-01-31"),
    "one has no date": (("undated", "2025-01-31"), {}, "x; prices as of 2025-01-31, some undated"),
    "none has a date": (("undated",), {"the size": 1}, "x; prices undated; not counted: the size"),
    "several backends lack the same": ((), {"the size": 7, "a": 1}, "x; not counted: the size (7); a"),
    "a price can be read": (
        (),
        {"the price of KMS keys in x": 1},
        "x; not counted: the price of KMS keys in x; playbooks/prices.yml reads prices",
    ),
    "much is missing": ((), dict.fromkeys("abcde", 1), "x; not counted: a; b; c; 2 more in audit.json"),
}


@pytest.mark.parametrize(("dates", "missing", "told"), LEGENDS.values(), ids=LEGENDS)
def test_a_column_of_costs_says_how_old_it_is_and_what_is_left_out(
    dates: tuple[str, ...], missing: dict[str, int], told: str
) -> None:
    assert legend("x", dates, missing) == told


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


def keys(**known: tuple[str | None, int | None]) -> dict[str, Any]:
    """What tf_backend_info tells of them."""
    names = {"mine": KEY, "other": f"{KEY}2"}
    return {names[name]: {"manager": manager, "rotations": count} for name, (manager, count) in known.items()}


ENCRYPTED_BY: dict[str, tuple[str | None, dict[str, Any], str]] = {
    "the table has none": (None, keys(mine=("CUSTOMER", 0)), "1.00"),
    "one key for both is paid for once": (KEY, keys(mine=("CUSTOMER", 0)), "1.00"),
    "two keys": (f"{KEY}2", keys(mine=("CUSTOMER", 0), other=("CUSTOMER", 0)), "2.00"),
    "the key of the table is managed by AWS": (f"{KEY}2", keys(mine=("CUSTOMER", 0), other=("AWS", 0)), "1.00"),
    "the alias of a key that AWS manages": ("alias/aws/dynamodb", keys(mine=("CUSTOMER", 0)), "1.00"),
    "rotated": (None, keys(mine=("CUSTOMER", 2)), "3.00"),
    "nobody may describe the key of the table": (f"{KEY}2", keys(mine=("CUSTOMER", 0)), "at least 1.00"),
    "nobody may list rotations": (None, keys(mine=(None, None)), "at least 1.00"),
    "nothing was looked up": (None, {}, "at least 1.00"),
}


@pytest.mark.parametrize(("key", "known", "told"), ENCRYPTED_BY.values(), ids=ENCRYPTED_BY)
def test_a_key_costs_by_who_manages_it_and_how_often_it_was_rotated(
    key: str | None, known: dict[str, Any], told: str
) -> None:
    empty = dict.fromkeys(("current_bytes", "noncurrent_bytes", "state_writes", "lock_writes"), 0)
    backend = in_use(empty, {**TABLE, "encryption": {"kms_key_id": key}}) | {"kms_keys": known}
    cost = cost_in_use(backend)
    assert cost
    assert cost["text"] == told


def test_keys_that_aws_manages_cost_nothing() -> None:
    managed = {**BUCKET, "encryption": {**BUCKET["encryption"], "kms_key_id": None}}
    table = {**TABLE, "encryption": {"kms_key_id": "alias/aws/dynamodb"}}
    assert str(cost_of(facts_at_rest(managed, table, "both"))) == "0.00"


def test_a_bucket_that_was_there_before_may_hold_anything() -> None:
    plain = {**BUCKET, "encryption": {**BUCKET["encryption"], "kms_key_id": None}}
    cost = cost_of(facts_at_rest(plain, TABLE, "both", is_new=False))
    assert (str(cost), "the size of all versions in the bucket" in cost.missing) == ("unknown", True)


@pytest.mark.parametrize("unread", ["encryption", "billing"])
def test_a_setting_that_nobody_read_makes_a_lower_bound(unread: str) -> None:
    table = {name: value for name, value in TABLE.items() if name != unread}
    assert str(cost_of(facts_at_rest(BUCKET, table, "both"))).startswith("at least ")


USAGE = {"current_bytes": GB, "noncurrent_bytes": GB, "version_count": 900, "state_writes": 250, "lock_writes": 400}
EXPIRY = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled", "Filter": {}}


def in_use(usage: dict[str, Any] | None = None, locks: dict[str, Any] | None = None, **facets: Any) -> dict[str, Any]:
    """What tf_backend_info tells of a backend whose versions stay."""
    bucket = {**BUCKET, "exists": True, "versioning": "Enabled", "lifecycle": {"old": EXPIRY}, **facets}
    table = {"exists": True, "size_bytes": 0, **(TABLE if locks is None else locks)}
    known = {KEY: {"manager": "CUSTOMER", "rotations": 0}}
    counted = {**USAGE, **(usage or {})}
    return {"region": "us-east-1", "bucket": bucket, "table": table, "usage": counted, "kms_keys": known}


def test_a_backend_in_use_is_counted_from_what_was_gathered() -> None:
    facts = facts_of(in_use())
    assert (facts.current_bytes, facts.noncurrent_bytes, facts.table_bytes) == (GB, GB, 0)
    assert str(cost_of(facts)) == "1.06"
    assert str(cost_of(facts_of({**in_use(), "usage": None}))) == "at least 1.00"


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


def test_clients_that_lock_by_the_table_alone_may_run_unseen() -> None:
    idle = in_use({"lock_writes": 0, "state_writes": 0})
    assert (facts_of(idle, lock_mode="both").lock_mode, facts_of(idle, lock_mode="both").runs_are_least) == (
        "both",
        False,
    )
    unseen = facts_of(idle, lock_mode="dynamodb")
    assert (unseen.lock_mode, unseen.runs_per_month, unseen.runs_are_least) == ("dynamodb", 0, True)
    assert str(cost_of(unseen)) == "at least 1.05"
    told = facts_of(idle, runs_per_month=100, lock_mode="dynamodb")
    assert (told.runs_per_month, told.runs_are_least, told.state_writes) == (100, False, 0)


def test_the_cost_of_a_backend_tells_what_it_is_made_of() -> None:
    told = cost_in_use(in_use(), runs_per_month=3000)
    assert told
    assert (told["usd"], told["as_of"], told["unknown"]) == ("1.12", "2026-08-31", [])
    assert (told["lock_mode"], told["runs_per_month"], told["missing"]) == ("both", 3000, [])
    quantities = {part["item"]: part["quantity"] for part in told["parts"]}
    assert (quantities["storage"], quantities["writes"], quantities["keys"]) == ("2", "12250", "1")


@pytest.mark.parametrize("exists", [False, None])
def test_what_is_not_known_to_exist_has_no_cost(exists: bool | None) -> None:
    assert cost_in_use(in_use(exists=exists)) is None


def test_writes_in_parts_are_counted_as_they_were_seen() -> None:
    seen = {"state_writes": 250, "lock_writes": 400, "state_puts": 1250, "multipart_writes": 250}
    facts = facts_of(in_use(seen))
    assert (facts.puts_per_write, facts.multipart_share) == (5, 1)
    assert {part.item: part.quantity for part in cost_of(facts).parts}["writes"] == 400 * 4 + 1250
    big = {**in_use({"state_writes": 0}), "states": [{"size": 13_000_000}, {"size": 100}, {"size": None}]}
    assert facts_of(big, runs_per_month=3).puts_per_write == Decimal(7) / 3


def test_no_number_is_longer_than_anybody_reads() -> None:
    told = cost_in_use(in_use({"current_bytes": 123_456_789, "noncurrent_bytes": 1, "state_puts": 333}))
    assert told
    for part in told["parts"]:
        for number in (part["quantity"], part["usd"]):
            assert len(number.partition(".")[2]) <= 6
            assert "E" not in number


def test_every_price_has_a_name_a_date_and_a_source() -> None:
    for prices in PRICES.values():
        assert prices.keys() <= ITEMS.keys()
        for price in prices.values():
            assert price.usd > 0
            assert price.as_of == UNDATED or "2024-09-25" <= price.as_of <= "2026-12-31"
            assert price.source.startswith("https://")
    assert PER.keys() <= ITEMS.keys()


def test_two_sources_of_one_price_agree() -> None:
    """Where they do not, none of them is here."""
    told: dict[tuple[str, str], set[Decimal]] = {}
    for listing in LISTINGS:
        for region, item, price in listing.prices():
            told.setdefault((region, item), set()).add(price.usd)
    assert {place: prices for place, prices in told.items() if len(prices) > 1} == {}


def test_prices_on_demand_are_those_since_november_2024() -> None:
    for listing in LISTINGS:
        assert "write_units" not in listing.items or listing.as_of == UNDATED or listing.as_of > "2024-11-01"
    for prices in PRICES.values():
        assert "write_units" not in prices or prices["write_units"].usd < 1


def test_the_regions_of_the_demo_are_complete_but_for_cape_town() -> None:
    lacking = {
        region: sorted(ITEMS.keys() - PRICES[region].keys())
        for region in ("us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2", "af-south-1", "us-gov-west-1")
    }
    on_demand = ["key_requests", "read_units", "recovery", "table_storage", "write_units"]
    assert {region: items for region, items in lacking.items() if items} == {
        "ap-southeast-2": ["key_requests"],
        "af-south-1": on_demand,
        "us-gov-west-1": on_demand,
    }


def test_a_price_of_ones_own_takes_the_place_of_ours() -> None:
    own = with_own({"af-south-1": {"write_units": PRICES["us-east-1"]["write_units"]}})
    assert own["af-south-1"]["write_units"] == PRICES["us-east-1"]["write_units"]
    assert own["af-south-1"]["storage"] == PRICES["af-south-1"]["storage"]
    assert own["us-east-1"] == PRICES["us-east-1"]


def test_who_locks_both_ways_pays_for_both() -> None:
    both, file, table = RUN["both"], RUN["lockfile"], RUN["dynamodb"]
    assert (both.writes, both.reads) == (file.writes, file.reads)
    assert (both.write_units, both.read_units) == (table.write_units, table.read_units)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet costs in a month: in all, by account, and what would lower it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import (
    CENT,
    PAID_ROTATIONS,
    cost_text,
)

#: What several backends pay once if they share a table.
OF_TABLE = ("write_capacity", "read_capacity", "table_storage", "recovery")
CAPACITY = ("write_capacity", "read_capacity")
NO_ACCOUNT = "unknown"
#: Of a backend of which nothing is known.
NOTHING_KNOWN = "all of a backend"
#: The most proposals on the page.
MAX_SAVINGS = 20


@dataclass(frozen=True)
class Sum:
    """What some backends cost together."""

    backends: int = 0
    usd: Decimal = Decimal(0)
    is_partial: bool = False

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.backends + other.backends, self.usd + other.usd, self.is_partial or other.is_partial)

    def __str__(self) -> str:
        return cost_text(self.usd.quantize(CENT), self.is_partial)

    def to_result(self) -> dict[str, Any]:
        return {"backends": self.backends, "usd": str(self.usd.quantize(CENT)), "text": str(self)}


@dataclass(frozen=True)
class Saving:
    """What would lower the cost, and at most by how much."""

    backend: str
    usd: Decimal
    what: str

    def to_result(self) -> dict[str, str]:
        return {"backend": self.backend, "usd": str(self.usd.quantize(CENT)), "what": self.what}


@dataclass(frozen=True)
class FleetCost:
    total: Sum
    accounts: Mapping[str, Sum]
    #: What is not counted, each with the number of backends.
    missing: Mapping[str, int]
    savings: tuple[Saving, ...]
    #: Of all prices that went in.
    dates: frozenset[str]

    def to_result(self) -> dict[str, Any]:
        accounts = [{"account_id": name, **each.to_result()} for name, each in self.accounts.items()]
        savings = [each.to_result() for each in self.savings]
        return {**self.total.to_result(), "accounts": accounts, "missing": dict(self.missing), "savings": savings}


def fleet_cost(backends: Iterable[Mapping[str, Any]]) -> FleetCost | None:
    """None if no cost of any backend is known. A key or table that several backends share is paid for once."""
    there = [each for each in backends if (each.get("bucket") or {}).get("exists") is not False]
    if not any(each.get("cost") for each in there):
        return None
    accounts: dict[str, Sum] = {}
    seen: set[tuple[Any, ...]] = set()
    savings: list[Saving] = []
    for backend in there:
        account = str(backend.get("account_id") or NO_ACCOUNT)
        accounts[account] = accounts.get(account, Sum()) + _once(backend, account, seen)
        savings += _savings(backend)
    reasons = [(each.get("cost") or {"missing": [NOTHING_KNOWN]})["missing"] for each in there]
    missing = Counter(reason for each in reasons for reason in each)
    savings += _shared_keys(there)
    found = sorted((each for each in savings if each.usd >= CENT), key=lambda each: (-each.usd, each.backend))
    total = sum(accounts.values(), Sum())
    dates = frozenset(part["as_of"] for each in there for part in _parts(each) if part["as_of"])
    return FleetCost(total, dict(sorted(accounts.items())), dict(missing.most_common()), tuple(found), dates)


def _parts(backend: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((backend.get("cost") or {"parts": ()})["parts"])


def _once(backend: Mapping[str, Any], account: str, seen: set[tuple[Any, ...]]) -> Sum:
    """What this backend adds to what those before it cost."""
    cost = backend.get("cost")
    if not cost:
        return Sum(1, is_partial=True)
    table = ("table", account, backend["region"], (backend.get("table") or {}).get("name"))
    is_shared = table in seen
    seen.add(table)
    usd = sum((dollars(part) for part in cost["parts"] if not (is_shared and part["item"] in OF_TABLE)), Decimal(0))
    for key in cost["kms_keys"]:
        if ("key", key["key"]) in seen:
            usd -= _key_usd(key, cost)
        seen.add(("key", key["key"]))
    return Sum(1, usd, bool(cost["missing"]))


def dollars(part: Mapping[str, Any]) -> Decimal:
    return Decimal(part["usd"] or 0)


def _key_usd(key: Mapping[str, Any], cost: Mapping[str, Any]) -> Decimal:
    return Decimal(cost["kms_key_usd"] or 0) * (1 + min(key["rotations"] or 0, PAID_ROTATIONS))


def _savings(backend: Mapping[str, Any]) -> Iterator[Saving]:
    cost, name = backend.get("cost"), str(backend["name"])
    if not cost:
        return
    usd = {part["item"]: dollars(part) for part in cost["parts"]}
    yield Saving(
        name,
        usd.get("key_requests", Decimal(0)),
        "switch on the bucket key (bucket_key_enabled), so that not each object asks KMS",
    )
    yield Saving(
        name,
        sum((usd.get(item, Decimal(0)) for item in CAPACITY), Decimal(0)),
        "pay for the table on demand (billing_mode: PAY_PER_REQUEST): less than a thousandth of a cent a lock",
    )
    yield Saving(
        name,
        Decimal(cost.get("noncurrent_usd") or 0),
        "remove old versions sooner (noncurrent_version_expiration_days, newer_noncurrent_versions)",
    )
    yield Saving(
        name,
        usd.get("recovery", Decimal(0)) + usd.get("table_storage", Decimal(0)),
        "lock by file alone, without the table (playbooks/lock_mode.yml)",
    )


def _shared_keys(backends: Iterable[Mapping[str, Any]]) -> Iterator[Saving]:
    """Backends of one account and region may share a key."""
    places: dict[tuple[str, str], dict[str, Decimal]] = {}
    for backend in backends:
        cost = backend.get("cost") or {"kms_keys": []}
        keys = places.setdefault((str(backend.get("account_id") or NO_ACCOUNT), str(backend["region"])), {})
        keys.update({key["key"]: _key_usd(key, cost) for key in cost["kms_keys"]})
    for (account, region), keys in sorted(places.items()):
        if len(keys) > 1:
            usd = sum(keys.values()) - max(keys.values())
            yield Saving(
                f"{account} {region}", Decimal(usd), f"share one KMS key instead of {len(keys)}, if one may do"
            )

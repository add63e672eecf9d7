# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend costs in a month, part by part: from what is there, and from prices that somebody looked up.

Pure: no I/O. List prices without free tiers, discounts and taxes. An unknown price or quantity makes its part unknown,
and the whole a lower bound; nothing of something costs nothing, whatever its price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from .prices import PER, PRICES, UNDATED, Price

Quantity: TypeAlias = "int | Decimal | None"

GB = 2**30
HOURS_IN_A_MONTH = 730
CENT = Decimal("0.01")
STANDARD_CLASS = "STANDARD"
#: What a column of costs is called.
COLUMN = "$/month"


@dataclass(frozen=True)
class Requests:
    """What a client sends in one run of `apply`: S3 requests by price, table units, and what KMS has to do."""

    writes: int
    reads: int
    write_units: int = 0
    read_units: int = 0
    encrypted: int = 0


#: As seen on the wire of Terraform 1.11. S3: list, put the state; head and get it. A lock file: put and get (deleting
#: is free). A lock in the table: lock, digest, unlock; digest and lock are read consistently.
RUN = {
    "lockfile": Requests(writes=3, reads=3, encrypted=4),
    "dynamodb": Requests(writes=2, reads=2, write_units=3, read_units=2, encrypted=2),
    "both": Requests(writes=3, reads=3, write_units=3, read_units=2, encrypted=4),
}


@dataclass(frozen=True)
class CostFacts:
    """What a backend is and holds. None is "not known"."""

    region: str
    lock_mode: str = "both"
    current_bytes: int | None = None
    noncurrent_bytes: int | None = None
    #: Runs of a client in a month, each counted as an `apply`.
    runs_per_month: int | None = None
    #: In the form of tf_lock_table; None without a table.
    billing: Mapping[str, Any] | None = None
    table_class: str = STANDARD_CLASS
    table_bytes: int | None = None
    has_recovery: bool | None = None
    #: The keys that are the customer's, of bucket and table; None if one of them is not known.
    kms_keys: frozenset[str] | None = frozenset()
    #: Whether objects are encrypted by KMS without a bucket key, so that each is a request to KMS.
    asks_kms: bool | None = False


@dataclass(frozen=True)
class Part:
    """One thing that is paid for; `usd` is None if its price or its quantity is unknown."""

    item: str
    quantity: Quantity
    usd: Decimal | None
    as_of: str | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of a month: what is known of it, and whether that is all."""

    parts: tuple[Part, ...]

    @property
    def usd(self) -> Decimal:
        return sum((part.usd for part in self.parts if part.usd is not None), Decimal(0)).quantize(CENT)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(part.item for part in self.parts if part.usd is None)

    @property
    def as_of(self) -> str | None:
        """The oldest date of a price that went in; a price without a date has none to tell."""
        return min(self.dates, default=None)

    @property
    def dates(self) -> frozenset[str]:
        """Of all prices that went in."""
        return frozenset(part.as_of for part in self.parts if part.as_of)

    def __str__(self) -> str:
        return f"{self.usd}{'+?' if self.unknown else ''}"

    def to_result(self) -> dict[str, Any]:
        """As JSON."""
        parts = [
            {"item": part.item, "quantity": _text(part.quantity), "usd": _text(part.usd), "as_of": part.as_of}
            for part in self.parts
        ]
        return {"usd": str(self.usd), "as_of": self.as_of, "unknown": list(self.unknown), "parts": parts}


def _text(number: Quantity) -> str | None:
    return None if number is None else f"{number:f}" if isinstance(number, Decimal) else str(number)


def legend(what: str, dates: Collection[str], is_partial: bool) -> str:
    """What the costs of a column are, how old the prices that went in, and what `+?` means if one has it."""
    known = sorted({*dates} - {UNDATED})
    undated = "prices undated" if not known else "some undated"
    aged = [*(f"prices as of {date}" for date in known[:1]), *([undated] if UNDATED in dates else [])]
    return "; ".join(filter(None, (what, ", ".join(aged), "+?: part unknown" if is_partial else "")))


def monthly_cost(facts: CostFacts) -> Cost | None:
    """None if no part of it is known."""
    prices = PRICES.get(facts.region, {})
    parts = tuple(_part(item, quantity, prices.get(item), facts) for item, quantity in _quantities(facts))
    return Cost(parts) if any(part.usd is not None for part in parts) else None


def _part(item: str, quantity: Quantity, price: Price | None, facts: CostFacts) -> Part:
    if quantity == 0:
        return Part(item, quantity, Decimal(0))
    # The other table class has prices of its own.
    is_other_class = facts.table_class != STANDARD_CLASS and item in _OF_THE_TABLE
    if quantity is None or price is None or is_other_class:
        return Part(item, quantity, None)
    return Part(item, quantity, price.usd * quantity / PER.get(item, 1), price.as_of)


_OF_THE_TABLE = {"write_units", "read_units", "write_capacity", "read_capacity", "table_storage"}


def _quantities(facts: CostFacts) -> Iterator[tuple[str, Quantity]]:
    run = RUN[facts.lock_mode]
    yield "storage", _gigabytes(_sum(facts.current_bytes, facts.noncurrent_bytes))
    yield "writes", _times(run.writes, facts.runs_per_month)
    yield "reads", _times(run.reads, facts.runs_per_month)
    if facts.billing is not None:
        yield from _table(facts, facts.billing, run)
    yield "keys", None if facts.kms_keys is None else len(facts.kms_keys)
    encrypted = run.encrypted if facts.asks_kms else 0
    yield "key_requests", None if facts.asks_kms is None else _times(encrypted, facts.runs_per_month)


def _table(facts: CostFacts, billing: Mapping[str, Any], run: Requests) -> Iterator[tuple[str, Quantity]]:
    if billing["billing_mode"] == "PROVISIONED":
        yield "write_capacity", _times(HOURS_IN_A_MONTH, billing["write_capacity"])
        yield "read_capacity", _times(HOURS_IN_A_MONTH, billing["read_capacity"])
    else:
        yield "write_units", _times(run.write_units, facts.runs_per_month)
        yield "read_units", _times(run.read_units, facts.runs_per_month)
    yield "table_storage", _gigabytes(facts.table_bytes)
    if facts.has_recovery is not False:
        yield "recovery", None if facts.has_recovery is None else _gigabytes(facts.table_bytes)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _times(one: int, other: int | None) -> int | None:
    return 0 if one == 0 else None if other is None else one * other


def _gigabytes(size: int | None) -> Decimal | None:
    return None if size is None else Decimal(size) / GB

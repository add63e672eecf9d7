# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend costs in a month, part by part: from what is there, and from prices that somebody looked up.

Pure: no I/O. List prices without free tiers, discounts and taxes. What is not known of a part is said in words, and the
whole is then a lower bound; nothing of something costs nothing, whatever its price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from .prices import NAMES, PER, PRICES, UNDATED, Prices

Quantity: TypeAlias = "int | Decimal | None"

GB = 2**30
HOURS_IN_A_MONTH = 730
CENT = Decimal("0.01")
#: Quantities and dollars of a part are told as exactly as this.
EXACT = Decimal("0.000001")
STANDARD_CLASS = "STANDARD"
#: Each of the first rotations of a KMS key adds the price of a key; later ones add nothing.
PAID_ROTATIONS = 2
#: What a column of costs is called.
COLUMN = "$/month"
#: The text of a cost of which nothing is known.
UNKNOWN = "unknown"
#: The most reasons in a legend.
MAX_REASONS = 3


@dataclass(frozen=True)
class Requests:
    """What a client sends: S3 requests by price, table units, and what KMS has to do without a bucket key."""

    writes: int
    reads: int
    write_units: int = 0
    read_units: int = 0
    encrypted: int = 0


#: One run, as seen on the wire of Terraform 1.11: `init`, then `plan` or `apply`, without the write of the state.
#: `init`: two lists, head and get of the state, the digest. Then: a list, head and get of the state. A lock file: put
#: and get (deleting is free). A lock in the table: lock, digest, unlock; digest and lock are read consistently.
RUN = {
    "lockfile": Requests(writes=4, reads=5, encrypted=4),
    "dynamodb": Requests(writes=3, reads=4, write_units=2, read_units=3, encrypted=2),
    "both": Requests(writes=4, reads=5, write_units=2, read_units=3, encrypted=4),
}
#: The digest, with each write of a state.
DIGEST_UNITS = {"lockfile": 0, "dynamodb": 1, "both": 1}


@dataclass(frozen=True)
class KmsKey:
    """What is known of a KMS key. None is "not known"."""

    is_customer: bool | None = None
    rotations: int | None = None


@dataclass(frozen=True)
class CostFacts:
    """What a backend is and holds. None is "not known"."""

    region: str
    lock_mode: str = "both"
    current_bytes: int | None = None
    noncurrent_bytes: int | None = None
    #: Runs of a client in a month, each with `init`.
    runs_per_month: int | None = None
    #: Whether there may be more runs: locks in the table leave no trace.
    runs_are_least: bool = False
    #: Writes of states in a month; None: one with each run.
    state_writes: int | None = None
    #: PUT requests for a write of a state; more than one where states are written in parts.
    puts_per_write: Decimal = Decimal(1)
    #: Of the writes of states, those in parts, for which KMS is asked twice.
    multipart_share: Decimal = Decimal(0)
    #: In the form of tf_lock_table; None without a table.
    billing: Mapping[str, Any] | None = None
    table_class: str = STANDARD_CLASS
    table_bytes: int | None = None
    has_recovery: bool | None = None
    #: The keys of bucket and table that are or may be the customer's, and whether there may be others.
    kms_keys: Mapping[str, KmsKey] = field(default_factory=dict)
    has_unread_keys: bool = False
    #: Whether objects are encrypted by KMS without a bucket key, so that each is a request to KMS.
    asks_kms: bool | None = False


@dataclass(frozen=True)
class Amount:
    """How much of an item is used. With a reason, it is only what is known of it."""

    quantity: Quantity
    missing: str | None = None


@dataclass(frozen=True)
class Part:
    """One thing that is paid for. What is missing of it is said; `usd` is None if nothing of it is known."""

    item: str
    quantity: Quantity
    usd: Decimal | None
    as_of: str | None = None
    source: str | None = None
    missing: str | None = None
    #: Of the item, or of as many of it as PER says.
    price: Decimal | None = None

    def to_result(self) -> dict[str, Any]:
        quantity, usd = _text(self.quantity), _text(self.usd)
        told = {"item": self.item, "quantity": quantity, "usd": usd, "as_of": self.as_of}
        return {**told, "source": self.source, "missing": self.missing}


@dataclass(frozen=True)
class Cost:
    """The cost of a month: what is known of it, and what is missing."""

    parts: tuple[Part, ...]

    @property
    def usd(self) -> Decimal:
        return sum((part.usd for part in self.parts if part.usd is not None), Decimal(0)).quantize(CENT)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The items of which something is missing."""
        return tuple(part.item for part in self.parts if part.missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """In words, each once."""
        return tuple(dict.fromkeys(part.missing for part in self.parts if part.missing))

    @property
    def as_of(self) -> str | None:
        """The oldest date of a price that went in; a price without a date has none to tell."""
        return min(self.dates, default=None)

    @property
    def dates(self) -> frozenset[str]:
        """Of all prices that went in."""
        return frozenset(part.as_of for part in self.parts if part.as_of)

    def __str__(self) -> str:
        return cost_text(self.usd, bool(self.missing))

    def to_result(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "usd": str(self.usd),
            "text": str(self),
            "as_of": self.as_of,
            "unknown": list(self.unknown),
            "missing": list(self.missing),
            "parts": [part.to_result() for part in self.parts],
        }


def cost_text(usd: Decimal, is_partial: bool) -> str:
    """A sum in a table: `at least` if something is missing, and no number where nothing is known."""
    if not is_partial:
        return str(usd)
    return f"at least {usd}" if usd else UNKNOWN


def _text(number: Quantity) -> str | None:
    if number is None:
        return None
    exact = f"{Decimal(number).quantize(EXACT):f}"
    return exact.rstrip("0").rstrip(".")


def legend(what: str, dates: Collection[str], missing: Mapping[str, int]) -> str:
    """What the costs of a column are, how old the prices, and what is missing, each with the number of backends."""
    known = sorted({*dates} - {UNDATED})
    undated = "prices undated" if not known else "some undated"
    aged = [*(f"prices as of {date}" for date in known[:1]), *([undated] if UNDATED in dates else [])]
    reasons = [f"{reason} ({count})" if count > 1 else reason for reason, count in missing.items()]
    more = f"; {len(reasons) - MAX_REASONS} more in audit.json" if len(reasons) > MAX_REASONS else ""
    hint = "; playbooks/prices.yml reads prices" if any(each.startswith(_PRICE) for each in missing) else ""
    not_counted = f"not counted: {'; '.join(reasons[:MAX_REASONS])}{more}{hint}" if reasons else ""
    return "; ".join(filter(None, (what, ", ".join(aged), not_counted)))


def monthly_cost(facts: CostFacts, prices: Prices = PRICES) -> Cost | None:
    """None if no part of it is known."""
    parts = tuple(_part(item, amount, facts, prices) for item, amount in _amounts(facts))
    return Cost(parts) if any(part.usd is not None for part in parts) else None


def _part(item: str, amount: Amount, facts: CostFacts, prices: Prices) -> Part:
    quantity, price = amount.quantity, prices.get(facts.region, {}).get(item)
    if not quantity:
        return Part(item, quantity, None if quantity is None else Decimal(0), missing=amount.missing)
    # The other table class has prices of its own.
    if facts.table_class != STANDARD_CLASS and item in _OF_THE_TABLE:
        return Part(item, quantity, None, missing=f"the prices of the table class {facts.table_class}")
    if price is None:
        return Part(item, quantity, None, missing=f"{_PRICE} {NAMES[item]} in {facts.region}")
    usd = price.usd * quantity / PER.get(item, 1)
    return Part(item, quantity, usd, price.as_of, price.source, amount.missing, price.usd)


_OF_THE_TABLE = {"write_units", "read_units", "write_capacity", "read_capacity", "table_storage"}

_PRICE = "the price of"
_SIZES = "the size of all versions in the bucket"
_RUNS = "the runs of clients in a month: say runs_per_month"
_MORE_RUNS = "runs that changed no state, as locks in a table leave no trace: say runs_per_month"


def _amounts(facts: CostFacts) -> Iterator[tuple[str, Amount]]:
    run = RUN[facts.lock_mode]
    is_known = facts.current_bytes is not None and facts.noncurrent_bytes is not None
    stored = [size for size in (facts.current_bytes, facts.noncurrent_bytes) if size is not None]
    yield "storage", Amount(_gigabytes(sum(stored) if stored else None), None if is_known else _SIZES)
    yield "writes", _sent(facts, run.writes, facts.puts_per_write)
    yield "reads", _sent(facts, run.reads, 0)
    if facts.billing is not None:
        yield from _table(facts, facts.billing, run)
    yield "keys", _keys(facts)
    if facts.asks_kms is None:
        yield "key_requests", Amount(None, "the encryption of the bucket")
    elif facts.asks_kms:
        yield "key_requests", _sent(facts, run.encrypted, 1 + facts.multipart_share)
    else:
        yield "key_requests", Amount(0)


def _sent(facts: CostFacts, in_run: int, with_write: int | Decimal) -> Amount:
    """What is sent in each run, and with each write of a state."""
    if not in_run and not with_write:
        return Amount(0)
    runs = facts.runs_per_month
    if runs is None:
        return Amount(None, _RUNS)
    writes = runs if facts.state_writes is None else facts.state_writes
    return Amount(runs * in_run + writes * with_write, _MORE_RUNS if facts.runs_are_least else None)


def _keys(facts: CostFacts) -> Amount:
    count, missing = 0, "the encryption of bucket or table" if facts.has_unread_keys else None
    for key in facts.kms_keys.values():
        if key.is_customer is None:
            missing = missing or "a KMS key of the table, which may be managed by AWS, and then free"
        elif key.is_customer:
            count += 1 + min(key.rotations or 0, PAID_ROTATIONS)
            missing = missing or ("rotations of the KMS key" if key.rotations is None else None)
    return Amount(count, missing)


def _table(facts: CostFacts, billing: Mapping[str, Any], run: Requests) -> Iterator[tuple[str, Amount]]:
    if billing["billing_mode"] == "PROVISIONED":
        for kind in ("write_capacity", "read_capacity"):
            units = billing[kind]
            missing = None if units is not None else "the billing mode and the capacity of the table"
            yield kind, Amount(None if units is None else HOURS_IN_A_MONTH * units, missing)
    else:
        yield "write_units", _sent(facts, run.write_units, DIGEST_UNITS[facts.lock_mode])
        yield "read_units", _sent(facts, run.read_units, 0)
    size = _gigabytes(facts.table_bytes)
    unmeasured = None if facts.table_bytes is not None else "the size of the table"
    yield "table_storage", Amount(size, unmeasured)
    if facts.has_recovery is None:
        yield "recovery", Amount(None, "whether the table has point-in-time recovery")
    elif facts.has_recovery:
        yield "recovery", Amount(size, unmeasured)


def _gigabytes(size: int | None) -> Decimal | None:
    return None if size is None else Decimal(size) / GB

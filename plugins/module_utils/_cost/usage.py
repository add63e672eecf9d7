# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules return of a backend, as what its cost is counted from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from .._bucket import BUCKET
from .._bucket.lifecycle_rules import expiries
from .._core.periods import USAGE_DAYS
from .._table import TABLE
from .._terraform.protocol import put_requests
from .estimate import EXACT, Cost, CostFacts, KmsKey, monthly_cost
from .prices import PRICES, Prices


def facts_at_rest(
    bucket: Mapping[str, Any], table: Mapping[str, Any] | None, lock_mode: str, is_new: bool = True
) -> CostFacts:
    """A backend without states and runs, from what tf_state_bucket and tf_lock_table return.

    A bucket that was there before may hold states: what it holds and how it is used is not known.
    """
    nothing = 0 if is_new else None
    empty = CostFacts(bucket["region"], lock_mode, nothing, nothing, runs_per_month=nothing, table_bytes=nothing)
    # A new key was never rotated, but who says that the key is new.
    return replace(empty, **_settings(bucket, table, {}))


def cost_in_use(
    backend: Mapping[str, Any],
    runs_per_month: int | None = None,
    lock_mode: str | None = None,
    prices: Prices = PRICES,
) -> dict[str, Any] | None:
    """As JSON, from what tf_backend_info returns. None without a bucket, or where no part of it is known."""
    facts = facts_of(backend, runs_per_month, lock_mode)
    cost = monthly_cost(facts, prices) if backend["bucket"].get("exists") else None
    return None if cost is None else {**cost.to_result(), **_used(facts, cost)}


def _used(facts: CostFacts, cost: Cost) -> dict[str, Any]:
    """What of the facts a fleet has to know: keys that several backends share are paid for once."""
    keys = {name: key for name, key in facts.kms_keys.items() if key.is_customer}
    paid = {part.item: part for part in cost.parts}
    stored, old = (facts.current_bytes or 0) + (facts.noncurrent_bytes or 0), facts.noncurrent_bytes or 0
    share = Decimal(old) / stored if stored else Decimal(0)
    return {
        "lock_mode": facts.lock_mode,
        "runs_per_month": facts.runs_per_month,
        "kms_keys": [{"key": name, "rotations": key.rotations} for name, key in sorted(keys.items())],
        "kms_key_usd": _dollars(paid["keys"].price),
        "noncurrent_usd": _dollars((paid["storage"].usd or 0) * share),
    }


def _dollars(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd.quantize(EXACT):f}"


def facts_of(backend: Mapping[str, Any], runs_per_month: int | None = None, lock_mode: str | None = None) -> CostFacts:
    """A backend in use, from what tf_backend_info returns. What was not gathered is not known.

    `lock_mode`: how its clients shall lock, if that is known.
    """
    bucket, usage = backend["bucket"], backend.get("usage") or {}
    table = backend.get("table")
    table = None if table and table.get("exists") is False else table
    states, locks = _writes(bucket, usage)
    # Locks in the table leave no trace: what is known are the states that changed.
    is_table_alone = not locks and (bool(states) or lock_mode == "dynamodb")
    mode = "lockfile" if table is None else "dynamodb" if is_table_alone else "both"
    runs = locks or states  # a run leaves one version of its lock file, and may leave several of the state
    found = CostFacts(
        backend["region"],
        mode,
        current_bytes=usage.get("current_bytes"),
        noncurrent_bytes=usage.get("noncurrent_bytes"),
        runs_per_month=runs if runs_per_month is None else runs_per_month,
        runs_are_least=mode == "dynamodb" and runs_per_month is None,
        state_writes=states,
        table_bytes=table.get("size_bytes") if table else None,
    )
    return replace(found, **_parts(backend, usage), **_settings(bucket, table, backend.get("kms_keys") or {}))


def _writes(bucket: Mapping[str, Any], usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Of states and of lock files in a month. Not known where versions do not stay for so long."""
    rules = bucket.get("lifecycle")
    stay = rules is not None and all(each.days >= USAGE_DAYS for each in expiries(rules))
    if not stay or bucket.get("versioning") != "Enabled":
        return None, None
    return usage.get("state_writes"), usage.get("lock_writes")


def _parts(backend: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    """In how many requests a state is written: by the writes of a month, or else by the states that are there."""
    writes, puts = usage.get("state_writes"), usage.get("state_puts")
    if writes and puts:
        return _shares(writes, puts, usage.get("multipart_writes") or 0)
    sizes = [state.get("size") or 0 for state in backend.get("states") or () if not state.get("is_deleted")]
    each = [put_requests(size) for size in sizes]
    return _shares(len(each), sum(each), sum(puts > 1 for puts in each)) if each else {}


def _shares(writes: int, puts: int, multipart: int) -> dict[str, Any]:
    return {"puts_per_write": Decimal(puts) / writes, "multipart_share": Decimal(multipart) / writes}


def _settings(
    bucket: Mapping[str, Any], table: Mapping[str, Any] | None, known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What the facets contribute to the cost. A setting that nobody read is not known."""
    read = [(BUCKET, bucket), *([] if table is None else [(TABLE, table)])]
    settings: dict[str, Any] = {"kms_keys": {}}
    for resource, values in read:
        for facet in resource.facets:
            if facet.cost is not None:
                facts = dict(facet.cost(values.get(facet.name)))
                keys = facts.pop("kms_keys", frozenset())
                # The key of a bucket is named because it is the customer's. That of a table always has an ARN.
                mine = {each: _key(known.get(each), True if resource is BUCKET else None) for each in keys or ()}
                unread = {"has_unread_keys": True} if keys is None else {}
                settings = {**settings, **facts, **unread, "kms_keys": {**mine, **settings["kms_keys"]}}
    return settings


def _key(known: Mapping[str, Any] | None, is_customer: bool | None) -> KmsKey:
    """By what was read of it."""
    if not known or known.get("manager") is None:
        return KmsKey(is_customer, known.get("rotations") if known else None)
    return KmsKey(known["manager"] == "CUSTOMER", known.get("rotations"))

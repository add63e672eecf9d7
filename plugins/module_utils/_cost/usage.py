# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules return of a backend, as what its cost is counted from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._bucket import BUCKET
from .._bucket.lifecycle_rules import expiries
from .._core.periods import USAGE_DAYS
from .._table import TABLE
from .estimate import CostFacts, monthly_cost


def facts_at_rest(bucket: Mapping[str, Any], table: Mapping[str, Any] | None, lock_mode: str) -> CostFacts:
    """A backend without states and runs, from what tf_state_bucket and tf_lock_table return."""
    empty = CostFacts(bucket["region"], lock_mode, 0, 0, runs_per_month=0, table_bytes=0)
    return replace(empty, **_settings(bucket, table))


def cost_in_use(backend: Mapping[str, Any], runs_per_month: int | None = None) -> dict[str, Any] | None:
    """As JSON, from what tf_backend_info returns. None without a bucket, or where no part of it is known."""
    facts = facts_of(backend, runs_per_month)
    cost = monthly_cost(facts) if backend["bucket"].get("exists") else None
    return {**cost.to_result(), "lock_mode": facts.lock_mode, "runs_per_month": facts.runs_per_month} if cost else None


def facts_of(backend: Mapping[str, Any], runs_per_month: int | None = None) -> CostFacts:
    """A backend in use, from what tf_backend_info returns. What was not gathered is not known."""
    bucket, usage = backend["bucket"], backend.get("usage") or {}
    table = backend.get("table")
    table = None if table and table.get("exists") is False else table
    states, locks = _writes(bucket, usage)
    runs = locks or states  # a run leaves one version of its lock file, and may leave several of the state
    found = CostFacts(
        backend["region"],
        "lockfile" if table is None else "dynamodb" if states and not locks else "both",
        current_bytes=usage.get("current_bytes"),
        noncurrent_bytes=usage.get("noncurrent_bytes"),
        runs_per_month=runs if runs_per_month is None else runs_per_month,
        table_bytes=table.get("size_bytes") if table else None,
    )
    return replace(found, **_settings(bucket, table))


def _writes(bucket: Mapping[str, Any], usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Of states and of lock files in a month. Not known where versions do not stay for so long."""
    rules = bucket.get("lifecycle")
    stay = rules is not None and all(each.days >= USAGE_DAYS for each in expiries(rules))
    if not stay or bucket.get("versioning") != "Enabled":
        return None, None
    return usage.get("state_writes"), usage.get("lock_writes")


def _settings(bucket: Mapping[str, Any], table: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the facets contribute to the cost. A setting that nobody read is not known."""
    read = [(BUCKET, bucket), *([] if table is None else [(TABLE, table)])]
    settings: dict[str, Any] = {"kms_keys": frozenset()}
    for resource, values in read:
        for facet in resource.facets:
            if facet.cost is not None:
                facts = dict(facet.cost(values.get(facet.name)))
                keys = facts.pop("kms_keys", frozenset())
                is_known = keys is not None and settings["kms_keys"] is not None
                settings = {**settings, **facts, "kms_keys": settings["kms_keys"] | keys if is_known else None}
    return settings

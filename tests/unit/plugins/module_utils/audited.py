# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts of backends, in the form of tf_backend_info, and reports on many of them."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning, evaluate
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit, summary
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import EXISTENCE, Resource, Target, desire
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import cost_in_use
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.existence import KEY
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import (
    AuditedBackend,
    Report,
    report_of,
)

TODAY = date(2026, 11, 21)
USAGE = {
    **{"current_bytes": 3_000_000, "noncurrent_bytes": 400_000_000, "version_count": 4000},
    **{"state_writes": 700, "lock_writes": 2500},
}
LOCK: dict[str, Any] = {
    "path": "network/terraform.tfstate",
    "store": "table",
    "lock_id": "b1c095f2-855b-d3a8-2d5d-50f638809c5c",
    "operation": "OperationTypeApply",
    "who": "ana@laptop",
    "age_s": 60.0,
    "is_wedged": False,
    "is_canonical": True,
    "problem": None,
}


def resource(kind: Resource, name: str, where: str, **facets: Any) -> dict[str, Any]:
    """One as a run leaves it, but for some facets."""
    target = Target(name, where, arn=f"arn:aws:{kind.kind}:::{name}", fresh=True)
    rest = [facet for facet in kind.facets if facet.name != EXISTENCE]
    settled = desire(rest, target, {}, {facet.name: facet.new for facet in rest})
    about = {"name": name, "arn": target.arn, "exists": True, "region": where}
    return {**about, **({"key": KEY} if kind is TABLE else {}), **settled, **facets}


def facts(region: str = "us-east-1", name: str = "state-us", **more: Any) -> dict[str, Any]:
    return {
        "region": region,
        "account_id": "111122223333",
        "bucket": resource(BUCKET, name, region),
        "table": resource(TABLE, f"{name}-locks", region, size_bytes=5000),
        "usage": USAGE,
        **{kind: [] for kind in ("states", "locks", "digests", "orphan_lock_files", "unknown")},
        **more,
    }


def row(name: str, about: dict[str, Any], tuning: Tuning | None = None, layers: int | None = None) -> AuditedBackend:
    expected = Expectations(name)
    findings = evaluate(audit(about, expected), name, tuning or Tuning(TODAY))
    backend = {**summary(about, expected), "cost": cost_in_use(about)}
    return AuditedBackend(backend, tuple(each.to_result() for each in findings), layers)


def fleet(count: int) -> Report:
    """Every kind of trouble, on few or many backends."""
    bad: list[dict[str, Any]] = [
        {},
        {"table": {"name": "gone-locks", "exists": False}},
        {"locks": [{**LOCK, "age_s": 200_000}], "orphan_lock_files": ["a.tflock"]},
        {"bucket": resource(BUCKET, "state", "us-east-1", versioning="Suspended", ownership="ObjectWriter")},
        {"digests": [{"path": "a", "status": "mismatch", "digest": "0" * 32, "actual": "1" * 32}]},
        {"table": resource(TABLE, "bare-locks", "us-east-1", deletion_protection=False)},
    ]
    rows = [row(f"backend-{place:03}", facts(**bad[place % len(bad)]), layers=place % 2) for place in range(count)]
    return report_of(rows, [], "2026-11-21 10:20 UTC")

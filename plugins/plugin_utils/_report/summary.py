# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of the backends of a run, as a plain table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import is_censored
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import (
    COLUMN,
    Cost,
    legend,
    monthly_cost,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import facts_at_rest

#: Past so many backends only counts and the exceptions are printed.
LONGEST_TABLE = 40
#: So many backends of one account are named, more are counted.
LISTED = 3
COST = COLUMN.upper()
HEADINGS = ("BACKEND", "STATE BUCKET", "LOCK TABLE", "LOCK MODE", COST, "CHANGED", "STATUS")
#: All that a run knows without looking into the backend.
LEGEND = f"{COST}: at rest, without states and runs"
NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """A backend in the summary."""

    backend: str
    bucket: str
    table: str
    lock_mode: str
    changed: str
    status: str
    #: Of a month, at rest; and the dates of the prices in it.
    cost: str = NOTHING
    dates: frozenset[str] = frozenset()
    #: The account, as far as it is known, and by which credentials the work was done.
    account: str | None = None
    credentials: str | None = None

    @property
    def failed(self) -> bool:
        return self.status != "ok"


def line_of(
    backend: str,
    names: tuple[str | None, str | None],
    lock_mode: str | None,
    result: Mapping[str, Any],
    failure: str | None,
) -> Line:
    """The line of one backend, from what its task registered."""
    bucket, table_, config = (result.get(kind) or {} for kind in ("bucket", "table", "config"))
    unreachable = f"unreachable: {result.get('msg')}" if result.get("unreachable") else None
    finished = config.get("backend") and not result.get("failed")
    status = (
        unreachable
        or failure
        or ("ok" if finished else "no answer: the host was unreachable, or its run was cut short")
    )
    has_table = lock_mode != "lockfile"
    cost = _cost(bucket, table_, lock_mode) if finished else None
    return Line(
        backend=backend,
        cost=str(cost or NOTHING),
        dates=cost.dates if cost else frozenset(),
        bucket=_name(bucket.get("bucket"), names[0]),
        table=_name(table_.get("table"), names[1]) if has_table else NOTHING,
        account=result.get("account_id"),
        credentials=result.get("credentials"),
        lock_mode=lock_mode or (config.get("backend") or {}).get("lock_mode") or NOTHING,
        changed=_changes(bucket, table_, config),
        status=printable(" ".join(status.split())),
    )


def _name(told: Mapping[str, Any] | None, asked: str | None) -> str:
    """As the result has it, unless that was censored."""
    name = (told or {}).get("name")
    return str((None if is_censored(name) else name) or asked or NOTHING)


def _cost(bucket: Mapping[str, Any], table_: Mapping[str, Any], lock_mode: str | None) -> Cost | None:
    told = bucket.get("bucket") or {}
    if "region" not in told:
        return None
    return monthly_cost(facts_at_rest(told, table_.get("table"), lock_mode or "both"))


def _changes(bucket: Mapping[str, Any], table_: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    files = "files" if config.get("changes") else ""
    told = [each for each in (_changed("bucket", bucket), _changed("table", table_), files) if each]
    is_new = told in (["bucket created", "table created", "files"], ["bucket created", "files"])
    return "all created" if is_new and bool(table_) == (len(told) == 3) else "; ".join(told) or NOTHING


def _changed(kind: str, result: Mapping[str, Any]) -> str:
    facets = [change["facet"] for change in result.get("changes") or ()]
    if not facets:
        return ""
    return f"{kind} created" if "existence" in facets else f"{kind}: {', '.join(facets)}"


def table(lines: Sequence[Line], check_mode: bool = False) -> str:
    """Every backend in a line; of a large fleet only those that changed or failed, below the counts."""
    shown = lines if len(lines) <= LONGEST_TABLE else [each for each in lines if each.failed or each.changed != NOTHING]
    cut = shown[:LONGEST_TABLE]
    rows = [HEADINGS, *(_cells(each) for each in cut)] if cut else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))] if rows else []
    told = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = [f"... and {len(shown) - len(cut)} more that changed or failed"] if len(shown) > len(cut) else []
    return "\n".join(
        ["", *told, *more, *_legend(cut), *_accounts(lines), "", _counts(lines, check_mode), *_failures(lines)]
    )


def _legend(lines: Sequence[Line]) -> list[str]:
    dates = {date for each in lines for date in each.dates}
    partial = any(each.cost.endswith("+?") for each in lines)
    return [legend(LEGEND, dates, partial)] if any(each.cost != NOTHING for each in lines) else []


def _accounts(lines: Sequence[Line]) -> list[str]:
    """Where the work was done and by whom, with the backends that this is true of."""
    backends: dict[tuple[str, str], list[str]] = {}
    for each in lines:
        if each.account or each.credentials:
            backends.setdefault((each.account or "unknown", each.credentials or "unknown"), []).append(each.backend)
    told = [
        f"Account {account}, credentials: {credentials}: {_listed(names)}"
        for (account, credentials), names in sorted(backends.items())
    ]
    more = len(told) - LONGEST_TABLE
    return [*told[:LONGEST_TABLE], *([f"... and {more} more accounts or credentials"] if more > 0 else [])]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= LISTED else f"{len(names)} backends"


def _cells(line: Line) -> tuple[str, ...]:
    status = "FAILED" if line.failed else "ok"
    cells = (line.backend, line.bucket, line.table, line.lock_mode, line.cost, line.changed, status)
    return tuple(map(printable, cells))


def _counts(lines: Sequence[Line], check_mode: bool) -> str:
    failed = sum(each.failed for each in lines)
    changed = sum(each.changed != NOTHING for each in lines)
    would = "would change" if check_mode else "changed"
    backends = "1 backend" if len(lines) == 1 else f"{len(lines)} backends"
    return f"{backends}: {len(lines) - failed} ok, {failed} failed, {changed} {would}"


def _failures(lines: Sequence[Line]) -> list[str]:
    return [f"FAILED {printable(each.backend)}: {each.status}" for each in lines if each.failed]

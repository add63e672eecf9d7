# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a run for each backend, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import is_censored
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import Cost, monthly_cost
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import facts_at_rest

from .table import MAX_ROWS, backends, omitted, table_lines

#: The most backends of one account that are named; more are counted.
MAX_NAMES = 3
HEADINGS = ("BACKEND", "STATE BUCKET", "LOCK TABLE", "LOCK MODE", "CHANGED", "STATUS")
NOTHING = "-"
FAILED, WOULD_CHANGE = "FAILED", "would change"


@dataclass(frozen=True)
class Line:
    """A backend in the summary."""

    backend: str
    bucket: str
    table: str
    lock_mode: str
    changed: str
    status: str
    #: Of a month, at rest: in the result only, as it is 0.00 wherever nothing is provisioned, and what a bucket that
    #: was there before holds is not known.
    cost: str = NOTHING
    #: The account, as far as it is known, and by which credentials the work was done.
    account: str | None = None
    credentials: str | None = None

    @property
    def failed(self) -> bool:
        return self.status != "ok"

    @property
    def outcome(self) -> str:
        return "failed" if self.failed else "ok" if self.changed == NOTHING else "changed"

    def to_result(self) -> dict[str, str | None]:
        """The line as the result of the task has it."""
        return {
            "name": self.backend,
            "bucket": self.bucket,
            "table": None if self.table == NOTHING else self.table,
            "lock_mode": self.lock_mode,
            "changed": None if self.changed == NOTHING else self.changed,
            "status": self.status,
            "cost": None if self.cost == NOTHING else self.cost,
            "account_id": self.account,
            "credentials": self.credentials,
        }


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
        bucket=_name(bucket.get("bucket"), names[0]),
        table=_name(table_.get("table"), names[1]) if has_table else NOTHING,
        account=result.get("account_id"),
        credentials=result.get("credentials"),
        lock_mode=lock_mode or (config.get("backend") or {}).get("lock_mode") or NOTHING,
        changed=_changes(bucket, table_, config),
        status=printable(" ".join(status.split())),
    )


def _name(resource: Mapping[str, Any] | None, configured: str | None) -> str:
    """As the result has it, unless it was censored there."""
    name = (resource or {}).get("name")
    return str((None if is_censored(name) else name) or configured or NOTHING)


def _cost(bucket: Mapping[str, Any], table_: Mapping[str, Any], lock_mode: str | None) -> Cost | None:
    facts = bucket.get("bucket") or {}
    if "region" not in facts:
        return None
    is_new = any(change["facet"] == "existence" for change in bucket.get("changes") or ())
    return monthly_cost(facts_at_rest(facts, table_.get("table"), lock_mode or "both", is_new))


def _changes(bucket: Mapping[str, Any], table_: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    files = "files" if config.get("changes") else ""
    parts = [each for each in (_changed("bucket", bucket), _changed("table", table_), files) if each]
    is_new = parts == ["bucket created", *(["table created"] if table_ else []), "files"]
    return "all created" if is_new else "; ".join(parts) or NOTHING


def _changed(kind: str, result: Mapping[str, Any]) -> str:
    facets = [change["facet"] for change in result.get("changes") or ()]
    if not facets:
        return ""
    return f"{kind} created" if "existence" in facets else f"{kind}: {', '.join(facets)}"


#: Gives a text the colour of a status: ok, changed or failed.
Paint = Callable[[str, str], str]


def plain(text: str, _status: str) -> str:
    return text


def summary_text(lines: Sequence[Line], check_mode: bool = False, paint: Paint = plain) -> str:
    """A row for each backend; of a large fleet only those that changed or failed. Counts and failures follow."""
    listed = lines if len(lines) <= MAX_ROWS else [each for each in lines if each.failed or each.changed != NOTHING]
    shown = listed[:MAX_ROWS]
    return "\n".join(
        [
            "",
            *_rows(shown, check_mode, paint),
            *omitted(listed, "more that changed or failed"),
            *_accounts(lines),
            "",
            _counts(lines, check_mode),
            *_failures(lines, paint),
        ]
    )


def _accounts(lines: Sequence[Line]) -> list[str]:
    """Where the work was done and by whom, with the backends that this is true of."""
    names_by_account: dict[tuple[str, str], list[str]] = {}
    for each in lines:
        if each.account or each.credentials:
            key = (each.account or "unknown", each.credentials or "unknown")
            names_by_account.setdefault(key, []).append(each.backend)
    accounts = [
        f"Account {account}, credentials: {credentials}: {_listed(names)}"
        for (account, credentials), names in sorted(names_by_account.items())
    ]
    return [*accounts[:MAX_ROWS], *omitted(accounts, "more accounts or credentials")]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MAX_NAMES else backends(len(names))


def _rows(lines: Sequence[Line], check_mode: bool, paint: Paint) -> list[str]:
    """The table, with the last word of each row in the colour of its status."""
    headings, *rows = table_lines(HEADINGS, [_cells(each, check_mode) for each in lines]) or [""]
    ends = [(row, _status(line, check_mode), line.outcome) for row, line in zip(rows, lines, strict=True)]
    painted = [row.removesuffix(status) + paint(status, outcome) for row, status, outcome in ends]
    return [headings, *painted] if lines else []


def _status(line: Line, check_mode: bool) -> str:
    return FAILED if line.failed else WOULD_CHANGE if check_mode and line.outcome == "changed" else "ok"


def _cells(line: Line, check_mode: bool) -> tuple[str, ...]:
    status = _status(line, check_mode)
    return line.backend, line.bucket, line.table, line.lock_mode, line.changed, status


def _counts(lines: Sequence[Line], check_mode: bool) -> str:
    failed = sum(each.failed for each in lines)
    changed = sum(each.changed != NOTHING for each in lines)
    would = WOULD_CHANGE if check_mode else "changed"
    return f"{backends(len(lines))}: {len(lines) - failed} ok, {failed} failed, {changed} {would}"


def _failures(lines: Sequence[Line], paint: Paint) -> list[str]:
    failed = [each for each in lines if each.failed]
    return [f"{paint(FAILED, each.outcome)} {printable(each.backend)}: {each.status}" for each in failed]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audits of all backends as one report: as values, as Markdown, and as a table for the terminal. Pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    SEVERITIES,
    Finding,
    rank,
    worst,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import CENT, COLUMN, legend
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import NAMES

from .cost import MAX_SAVINGS, FleetCost, dollars, fleet_cost
from .painted import Paint, Painted
from .table import MAX_ROWS, backends, omitted, table_lines

#: What is checked, by the first part of the ids, in the order of the columns.
CHECKS = {
    "bucket": "S3 bucket",
    "table": "DynamoDB table",
    "lock": "Locks",
    "digest": "Digests",
    "state": "States",
    "code": "Setup code",
    "audit": "Audit",
}
#: What costs are made from.
ESTIMATED = "estimated from sizes and runs"
#: Shown where nothing was read, or could be: this is not the same as ok.
UNKNOWN = "unknown"
#: So many findings of one kind are named in a line.
MAX_NAMED = 3
#: The columns for the terminal.
UNSEEN = "Could not be seen"
HEADINGS = ("BACKEND", "REGION", "S3 BUCKET", "DYNAMODB TABLE", "SETUP CODE", COLUMN.upper(), UNSEEN.upper(), "STATUS")


@dataclass(frozen=True)
class AuditedBackend:
    """A backend and its findings, as the results of the audit have them."""

    backend: Mapping[str, Any]
    findings: tuple[Mapping[str, Any], ...]
    #: How many layers of code use it; None if no code was read.
    layers: int | None = None

    @property
    def name(self) -> str:
        return str(self.backend["name"])

    @property
    def open(self) -> list[Mapping[str, Any]]:
        return [each for each in self.findings if not each["waived"]]

    @property
    def severity(self) -> str | None:
        return worst(self.findings)

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to do; findings of severity info need no action."""
        return self.severity in (None, "info")

    @property
    def status(self) -> str:
        is_waived = any(each["waived"] and each["severity"] != "info" for each in self.findings)
        return str(self.severity) if not self.is_ok else "waived" if is_waived else "ok"

    def of(self, check: str) -> list[Mapping[str, Any]]:
        kinds = {"audit": ("audit", "waiver"), "bucket": ("bucket", "key")}.get(check, (check,))
        return [each for each in self.open if each["id"].partition(".")[0] in kinds]

    @property
    def cost(self) -> str:
        """Of a month; none if the bucket does not exist."""
        cost = self.backend.get("cost")
        is_missing = (self.backend.get("bucket") or {}).get("exists") is False
        return str(cost["text"]) if cost else "-" if is_missing else UNKNOWN

    @property
    def unseen(self) -> str:
        """What could not be seen, in a cell."""
        names = self.backend.get("unseen")
        if names is None:
            return UNKNOWN
        more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
        return ", ".join([*names[:MAX_NAMED], *more]) or "-"

    def cell(self, check: str) -> str:
        """The text of the column of this check, beside its severity."""
        if check in ("bucket", "table"):
            return _named(self.backend.get(check))
        if check == "code":
            return {None: "not read", 0: "none", 1: "1 layer"}.get(self.layers, f"{self.layers} layers")
        if check == "audit":
            return ""
        count = self.backend["counts"].get(f"{check}s")
        return UNKNOWN if count is None else "" if check == "digest" else str(count)


def _named(resource: Mapping[str, Any] | None) -> str:
    if not resource or not resource["name"]:
        return "none"
    suffix = {False: " (missing)", None: f" ({UNKNOWN})"}.get(resource["exists"], "")
    return f"{resource['name']}{suffix}"


@dataclass(frozen=True)
class Report:
    rows: tuple[AuditedBackend, ...]
    #: Findings that belong to no backend of the run.
    others: tuple[Mapping[str, Any], ...]
    created: str

    @property
    def findings(self) -> list[tuple[str, Mapping[str, Any]]]:
        """All of them with their backend, the worst first."""
        every = [(row.name, each) for row in self.rows for each in row.findings] + [("", each) for each in self.others]
        return sorted(every, key=lambda each: (rank(each[1]["severity"]), each[1]["id"]))

    @property
    def counts(self) -> dict[str, int]:
        severities = [finding["severity"] for _name, finding in self.findings if not finding["waived"]]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    @property
    def cost(self) -> FleetCost | None:
        return fleet_cost(row.backend for row in self.rows)

    @property
    def legend(self) -> str:
        """The legend of the cost column, with the sum; empty where no cost is known."""
        cost = self.cost
        return legend(f"{cost.total} in all, {ESTIMATED}", cost.dates, cost.missing) if cost else ""

    @property
    def groups(self) -> list[list[tuple[str, Mapping[str, Any]]]]:
        """Findings of one id and severity together, as their explanation is the same."""
        together: dict[tuple[str, str, bool], list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        for name, finding in self.findings:
            together[finding["severity"], finding["id"], bool(finding["waived"])].append((name, finding))
        return sorted(together.values(), key=lambda each: (bool(each[0][1]["waived"]), rank(each[0][1]["severity"])))


def report_of(rows: Iterable[AuditedBackend], others: Iterable[Finding], created: str) -> Report:
    return Report(tuple(sorted(rows, key=lambda row: row.name)), tuple(each.to_result() for each in others), created)


def to_result(report: Report) -> dict[str, Any]:
    """For other tools."""
    return {
        "created": report.created,
        "counts": report.counts,
        "cost": report.cost.to_result() if report.cost else None,
        "backends": [
            {**row.backend, "layers": row.layers, "status": row.status, "findings": list(row.findings)}
            for row in report.rows
        ],
        "others": list(report.others),
    }


def json_text(report: Report) -> str:
    return json.dumps(to_result(report), indent=2) + "\n"


def markdown_text(report: Report) -> str:
    """For merge requests and wikis."""
    head = ["Backend", "Region", *CHECKS.values(), COLUMN, UNSEEN, "Status"]
    lines = ["# Audit of the state backends", "", f"{headline(report)} {report.created}", ""]
    lines += [_md_row(head), _md_row(["---"] * len(head))]
    for row in report.rows:
        cells = [_md_cell(row, check) for check in CHECKS]
        ends = [_md(row.cost), _in_cell(row.unseen), row.status]
        lines.append(_md_row([_in_cell(row.name), _in_cell(row.backend["region"]), *cells, *ends]))
    lines += ["", _md(f"{COLUMN}: {report.legend}")] if report.legend else []
    for group in report.groups:
        first = group[0][1]
        waived = " (waived)" if first["waived"] else ""
        lines += [
            "",
            f"## {first['severity']}: {_md(first['title'])}{waived}",
            "",
            f"`{first['id']}` {_md(first['why'])}",
        ]
        lines += ["", f"Asked for by {', '.join(first['controls'])}."] if first["controls"] else []
        lines += ["", f"[Runbook]({first['runbook']})"] if first.get("runbook") else []
        for name, each in group:
            lines += ["", f"- **{_md(name or 'code')}** {_code(each['resource'])}: {_md(each['detail'])}"]
            if each["waived"]:
                lines.append(f"  Waived until {each['waived']['until']}: {_md(each['waived']['reason'])}")
            else:
                lines += ["", f"  {_code(each['fix'])}"]
    return "\n".join(lines) + "\n"


def cost_markdown(report: Report) -> str:
    """The cost of the fleet as a page of its own."""
    cost = report.cost
    lines = ["# Cost of the state backends", "", report.created, ""]
    if not cost:
        return "\n".join([*lines, "Nothing is known of what the backends cost."]) + "\n"
    estimated = _md(legend(ESTIMATED, cost.dates, {}))
    lines += [f"**{_md(str(cost.total))}** US dollars a month, {estimated}.", "", "## By account", ""]
    lines += [_md_row(["Account", "Backends", COLUMN]), _md_row(["---", "---:", "---:"])]
    lines += [_md_row([_in_cell(name), str(each.backends), _md(str(each))]) for name, each in cost.accounts.items()]
    lines += ["", "A key or a table that several backends share is counted once.", "", "## By backend", ""]
    lines += [_md_row(["Backend", "Region", COLUMN, "Most of it"]), _md_row(["---", "---", "---:", "---"])]
    lines += [
        _md_row([_in_cell(row.name), _in_cell(row.backend["region"]), _md(row.cost), _md(_most(row.backend))])
        for row in sorted(report.rows, key=_by_cost)
    ]
    lines += ["", "## What would lower it", ""]
    lines += [
        f"- **{_md(each.backend)}**, up to {each.usd.quantize(CENT)}: {_md(each.what)}"
        for each in cost.savings[:MAX_SAVINGS]
    ]
    lines += [] if cost.savings else ["No change would save a cent or more a month."]
    lines += ["", "## What is not counted", ""]
    lines += [f"- {_md(reason)}: {backends(count)}" for reason, count in cost.missing.items()]
    lines += [] if cost.missing else ["Every price and quantity is known."]
    lines += ["- Free tiers, discounts, taxes, and all that docs/cost.md names."]
    return "\n".join(lines) + "\n"


def _by_cost(row: AuditedBackend) -> tuple[Decimal, str]:
    return -Decimal((row.backend.get("cost") or {"usd": 0})["usd"]), row.name


def _most(backend: Mapping[str, Any]) -> str:
    """The part that costs most."""
    parts = (backend.get("cost") or {"parts": []})["parts"]
    part = max(parts, key=dollars, default=None)
    return f"{NAMES[part['item']]}: {dollars(part).quantize(CENT)}" if part and dollars(part) >= CENT else "-"


def headline(report: Report) -> str:
    counts = [f"{count} {severity}" for severity, count in report.counts.items() if count]
    return f"{backends(len(report.rows))}: {', '.join(counts) or 'nothing found'}."


def _md_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(row: AuditedBackend, check: str) -> str:
    level = worst(row.of(check))
    text = _in_cell(row.cell(check))
    if level:
        return f"{text} **{level}**" if text else f"**{level}**"
    return text or "ok"


_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\`*_{}[]<>()#+!|~&"})
#: What GitHub and GitLab make links of, and mentions that notify people, though every mark in it is escaped.
_LINKED = re.compile(r'@|[#!$&]\d|[~%][\w"]|://|www\.')


def _md(text: str) -> str:
    """Plain text: no heading, no row, no link."""
    words = printable(text).split(" ")
    return " ".join(_code(each) if _LINKED.search(each) else each.translate(_SPECIAL) for each in words)


def _in_cell(text: object) -> str:
    """As `_md`; but even in code a bar ends a cell."""
    return _md(str(text).replace("|", "\\x7c"))


def _code(text: str) -> str:
    """A code span that its own text cannot end."""
    flat = printable(text) or " "
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    space = " " if "`" in flat else ""
    return f"{ticks}{space}{flat}{space}{ticks}"


def terminal_text(report: Report, path: str | None) -> Painted:
    """The overview for the terminal; of a large fleet only the backends with findings."""
    return Painted.of(partial(_terminal_text, report, path))


def _terminal_text(report: Report, path: str | None, paint: Paint) -> str:
    listed = [row for row in report.rows if len(report.rows) <= MAX_ROWS or not row.is_ok][:MAX_ROWS]
    urgent = [_urgent(group, paint) for group in report.groups if _is_urgent(group[0][1])]
    lines = ["", *_rows(listed, paint)]
    if listed and report.legend:
        lines.append(f"{COLUMN.upper()}: {report.legend}")
    lines += ["", headline(report), *urgent[:MAX_ROWS], *omitted(urgent)]
    if path:
        lines.append(f"The report: {path}")
    return "\n".join(lines)


def _rows(listed: Sequence[AuditedBackend], paint: Paint) -> list[str]:
    """The table, with the status of each row in its colour."""
    headings, *rows = table_lines(HEADINGS, [_cells(row) for row in listed]) or [""]
    ends = zip(rows, listed, strict=True)
    painted = [text.removesuffix(row.status) + paint(row.status, _outcome(row.severity)) for text, row in ends]
    return [headings, *painted] if listed else []


def _outcome(severity: str | None) -> str:
    """The status whose colour a severity has."""
    return {"critical": "failed", "high": "failed", "medium": "changed", "low": "changed"}.get(str(severity), "ok")


def _is_urgent(finding: Mapping[str, Any]) -> bool:
    return finding["severity"] in ("critical", "high") and not finding["waived"]


def _urgent(group: Sequence[tuple[str, Mapping[str, Any]]], paint: Paint) -> str:
    """The findings of one kind in a line."""
    (name, first), count = group[0], len(group)
    severity = paint(first["severity"].upper(), _outcome(first["severity"]))
    if count == 1:
        return f"{severity} {printable(name or 'code')}: {first['title']} ({_where(first)})"
    places = "; ".join(f"{printable(each or 'code')} ({_where(finding)})" for each, finding in group[:MAX_NAMED])
    more = f"; and {count - MAX_NAMED} more" if count > MAX_NAMED else ""
    return f"{severity} {count} times: {first['title']}: {places}{more}"


def _where(finding: Mapping[str, Any]) -> str:
    return printable(finding["detail" if finding["id"] == "audit.failed" else "resource"])


def _cells(row: AuditedBackend) -> tuple[str, ...]:
    resources = (row.cell(check) for check in ("bucket", "table", "code"))
    return (row.name, str(row.backend["region"]), *resources, row.cost, row.unseen, row.status)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audits of all backends as one report: as values, as Markdown, and as a table for the terminal. Pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    SEVERITIES,
    Finding,
    rank,
    worst,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import COLUMN, legend

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
#: Said of what nobody looked at, or could: it is not the same as fine.
UNKNOWN = "unknown"
#: Past so many backends only those with findings are printed.
LONGEST_TABLE = 40


@dataclass(frozen=True)
class Row:
    """A backend and all that was found in it; `findings` as they are told."""

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
        """Whether there is nothing to do: what is merely worth knowing is none."""
        return self.severity in (None, "info")

    @property
    def status(self) -> str:
        is_waived = any(each["waived"] and each["severity"] != "info" for each in self.findings)
        return str(self.severity) if not self.is_ok else "waived" if is_waived else "ok"

    def of(self, check: str) -> list[Mapping[str, Any]]:
        kinds = ("audit", "waiver") if check == "audit" else (check,)
        return [each for each in self.open if each["id"].partition(".")[0] in kinds]

    @property
    def cost(self) -> str:
        """Of a month; of a bucket that is missing, none."""
        cost = self.backend.get("cost")
        is_missing = (self.backend.get("bucket") or {}).get("exists") is False
        return f"{cost['usd']}{'+?' if cost['unknown'] else ''}" if cost else "-" if is_missing else UNKNOWN

    def cell(self, check: str) -> str:
        """What a reader wants to know first of this check."""
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
    said = {False: " (missing)", None: f" ({UNKNOWN})"}.get(resource["exists"], "")
    return f"{resource['name']}{said}"


@dataclass(frozen=True)
class Report:
    rows: tuple[Row, ...]
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
        told = [finding["severity"] for _name, finding in self.findings if not finding["waived"]]
        return {severity: told.count(severity) for severity in SEVERITIES}

    @property
    def legend(self) -> str:
        """Of the column of costs; none where none is known."""
        costs = [cost for cost in (row.backend.get("cost") for row in self.rows) if cost]
        dates = {part["as_of"] for cost in costs for part in cost["parts"] if part["as_of"]}
        partial = any(cost["unknown"] for cost in costs)
        return legend("estimated from sizes and runs", dates, partial) if costs else ""

    @property
    def groups(self) -> list[list[tuple[str, Mapping[str, Any]]]]:
        """Findings of one id and severity together: why it matters is the same for all."""
        together: dict[tuple[str, str, bool], list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        for name, finding in self.findings:
            together[finding["severity"], finding["id"], bool(finding["waived"])].append((name, finding))
        return sorted(together.values(), key=lambda each: (bool(each[0][1]["waived"]), rank(each[0][1]["severity"])))


def report_of(rows: Iterable[Row], others: Iterable[Finding], created: str) -> Report:
    return Report(tuple(sorted(rows, key=lambda row: row.name)), tuple(each.told() for each in others), created)


def json_text(report: Report) -> str:
    """For other tools."""
    told = {
        "created": report.created,
        "counts": report.counts,
        "backends": [
            {**row.backend, "layers": row.layers, "status": row.status, "findings": list(row.findings)}
            for row in report.rows
        ],
        "others": list(report.others),
    }
    return json.dumps(told, indent=2) + "\n"


def markdown_text(report: Report) -> str:
    """For merge requests and wikis."""
    head = ["Backend", "Region", *CHECKS.values(), COLUMN, "Status"]
    lines = ["# Audit of the state backends", "", f"{headline(report)} {report.created}", ""]
    lines += [_md_row(head), _md_row(["---"] * len(head))]
    for row in report.rows:
        cells = [_md_cell(row, check) for check in CHECKS]
        lines.append(_md_row([_in_cell(row.name), _in_cell(row.backend["region"]), *cells, _md(row.cost), row.status]))
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
        for name, each in group:
            lines += ["", f"- **{_md(name or 'code')}** {_code(each['resource'])}: {_md(each['detail'])}"]
            if each["waived"]:
                lines.append(f"  Waived until {each['waived']['until']}: {_md(each['waived']['reason'])}")
            else:
                lines += ["", f"  {_code(each['fix'])}"]
    return "\n".join(lines) + "\n"


def headline(report: Report) -> str:
    backends = "1 backend" if len(report.rows) == 1 else f"{len(report.rows)} backends"
    told = [f"{count} {severity}" for severity, count in report.counts.items() if count]
    return f"{backends}: {', '.join(told) or 'nothing found'}."


def _md_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(row: Row, check: str) -> str:
    level = worst(row.of(check))
    told = _in_cell(row.cell(check))
    return " ".join(part for part in (told, f"**{level}**" if level else "" if told else "ok") if part)


_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\`*_{}[]<>()#+!|~&"})
#: What GitHub and GitLab make links of, and mentions that notify people, though every mark in it is escaped.
_LINKED = re.compile(r'@|[#!$&]\d|[~%][\w"]|://|www\.')


def _md(text: str) -> str:
    """Text that is no more than text: no heading, no row, no link."""
    words = printable(text).split(" ")
    return " ".join(_code(each) if _LINKED.search(each) else each.translate(_SPECIAL) for each in words)


def _in_cell(text: object) -> str:
    """As `_md`; but even in code a bar ends a cell."""
    return _md(str(text).replace("|", "\\x7c"))


def _code(text: str) -> str:
    """A code span that its own text cannot end."""
    flat = printable(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    space = " " if "`" in flat else ""
    return f"{fence}{space}{flat}{space}{fence}"


def table(report: Report, where: str | None) -> str:
    """The overview for the terminal."""
    shown = [row for row in report.rows if len(report.rows) <= LONGEST_TABLE or not row.is_ok][:LONGEST_TABLE]
    heads = ("BACKEND", "REGION", "S3 BUCKET", "DYNAMODB TABLE", "SETUP CODE", COLUMN.upper(), "STATUS")
    rows = [heads, *(_printed(row) for row in shown)] if shown else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))] if rows else []
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    grave = [(name, each) for name, each in report.findings if rank(each["severity"]) < 2 and not each["waived"]]
    told = [
        f"{each['severity'].upper()} {printable(name or 'code')}: {each['title']} ({_where(each)})"
        for name, each in grave
    ]
    more = [f"... and {len(told) - LONGEST_TABLE} more"] if len(told) > LONGEST_TABLE else []
    legend_is = [f"{COLUMN.upper()}: {report.legend}"] if rows and report.legend else []
    report_is = [f"The report: {where}"] if where else []
    return "\n".join(["", *lines, *legend_is, "", headline(report), *told[:LONGEST_TABLE], *more, *report_is])


def _where(finding: Mapping[str, Any]) -> str:
    return printable(finding["detail" if finding["id"] == "audit.failed" else "resource"])


def _printed(row: Row) -> tuple[str, ...]:
    cells = (
        row.name,
        str(row.backend["region"]),
        *(row.cell(check) for check in ("bucket", "table", "code")),
        row.cost,
        row.status,
    )
    return tuple(map(printable, cells))

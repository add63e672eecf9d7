# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as one HTML page that needs nothing else: no network, no framework, no server.

Its style and its script are page.css and page.js, which are part of the page. All values go through `_e`, and the
page's content security policy allows only its own style and script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from pkgutil import get_data
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import SEVERITIES, rank, worst
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import COLUMN

from .report import CHECKS, UNKNOWN, UNSEEN, AuditedBackend, Report, headline

#: Shown by the script, as it does nothing without it.
COPY = '<button class="copy small" hidden>Copy</button>'
#: A group with more items starts closed.
MAX_OPEN_ITEMS = 12


def _packaged(name: str) -> str:
    """A text file of this package, by the loader that found the package."""
    data = get_data(__package__, name)
    if data is None:
        raise FileNotFoundError(name)
    return "\n" + data.decode()


STYLE, SCRIPT = _packaged("page.css"), _packaged("page.js")


def page_text(report: Report, version: str = "", command: str = "") -> str:
    """The whole page; `version` of the collection and `command` tell what made it."""
    rows = sorted(report.rows, key=lambda row: (row.is_ok, rank(row.severity or "info"), row.name))
    heads = "".join(f'<th scope="col">{_e(heading)}</th>' for heading in ("Backend", *CHECKS.values(), COLUMN, UNSEEN))
    lines = "\n".join(_row(row) for row in rows)
    groups = "\n".join(_group(group) for group in report.groups) or '<p class="soft">Nothing was found.</p>'
    policy = f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; img-src data:"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of the state backends</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Audit of the state backends</h1>
<p class="soft">{_e(headline(report))} {_e(report.created)}</p>
{_tally(report)}
{_bar(report)}
</header>
<main>
<div class="find"><input id="text" type="search" aria-label="Filter" placeholder="Filter: region, bucket, finding ..."
autocomplete="off"><a class="small" href="#findings">Findings</a>
<span id="shown" class="soft small" aria-live="polite"></span></div>
<div class="card">
<table>
<thead><tr>{heads}<th scope="col" class="last">Status</th></tr></thead>
<tbody>
{lines}
</tbody>
</table>
</div>
{f'<p class="legend soft small">{COLUMN}: {_e(report.legend)}</p>' if report.legend else ""}
<h2 id="findings">Findings</h2>
{groups}
<footer class="soft small">cornerstone.tfstate {_e(version)}, {_e(report.created)}{_made_by(command)}</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _made_by(command: str) -> str:
    return f", by <code>{_e(command)}</code>" if command else ""


def _e(text: Any) -> str:
    return escape(printable(text))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _badge(level: str) -> str:
    return f'<span class="badge {level}">{level}</span>'


def _tally(report: Report) -> str:
    """A count of each severity, which is also its filter."""
    buttons = [
        f'<li><button class="{level}" value="{level}" aria-pressed="false"><b>{count}</b>{level}</button></li>'
        for level, count in report.counts.items()
    ]
    return f'<ul class="tally" aria-label="Findings by severity">{"".join(buttons)}</ul>'


def _bar(report: Report) -> str:
    """How many backends have which status."""
    levels = [row.status for row in report.rows]
    counts = {level: levels.count(level) for level in (*SEVERITIES, "waived", "ok") if level in levels}
    rects, x = [], 0.0
    for level, count in counts.items():
        width = 100 * count / len(levels)
        rects.append(f'<rect class="{level}" x="{x:.3f}" y="0" width="{width:.3f}" height="1"/>')
        x += width
    label = ", ".join(f"{count} {level}" for level, count in counts.items())
    begin = (
        f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="Backends: {label}">'
    )
    return f"{begin}{''.join(rects)}</svg>"


def _row(row: AuditedBackend) -> str:
    region = row.backend["region"] if row.backend["region"] != row.name else None
    where = " ".join(str(part) for part in (region, row.backend.get("account_id")) if part)
    cells = "".join(_cell(row, check, heading) for check, heading in CHECKS.items())
    levels = " ".join(sorted({each["severity"] for each in row.open}))
    search_text = _search_text(
        row.name, where, *(row.cell(check) for check in CHECKS), *(each["title"] for each in row.open)
    )
    return (
        f'<tr data-text="{search_text}" data-levels="{levels}">'
        f'<td><a href="#findings" data-name="{_e(row.name)}">{_e(row.name)}</a>'
        f'<div class="soft small">{_e(where)}</div></td>{cells}'
        f'<td class="cost" data-label="{_e(COLUMN)}"><span>{_e(row.cost)}</span></td>'
        f'<td data-label="{_e(UNSEEN)}"><span>{_e(row.unseen)}</span></td>'
        f'<td class="last" data-label="Status">{_badge(row.status)}</td></tr>'
    )


def _cell(row: AuditedBackend, check: str, heading: str) -> str:
    level, text = worst(row.of(check)), row.cell(check)
    badge = _badge(level) if level else "" if text else '<span class="soft">ok</span>'
    shown = f"{_e(text)} " if text else ""
    calm = "" if level or UNKNOWN in text or check in ("bucket", "table", "code") else ' class="calm"'
    return f'<td{calm} data-label="{_e(heading)}"><span>{shown}{badge}</span></td>'


def _group(group: list[tuple[str, Mapping[str, Any]]]) -> str:
    first = group[0][1]
    controls = (
        f' <span class="soft">Asked for by {_e(", ".join(first["controls"]))}.</span>' if first["controls"] else ""
    )
    runbook = f' <a href="{_e(first["runbook"])}">Runbook</a>' if first.get("runbook") else ""
    is_open = " open" if len(group) <= MAX_OPEN_ITEMS and not first["waived"] else ""
    waived = ' <span class="soft">waived</span>' if first["waived"] else ""
    level = first["severity"]
    return (
        f'<details class="card"{is_open} data-level="{level}"><summary>{_badge(level)}'
        f"<b>{_e(first['title'])}{waived}</b>"
        f'<span class="soft small"><span class="count">{len(group)}</span></span></summary>'
        f'<p class="why">{_e(first["why"])}{controls}{runbook} <code class="soft">{_e(first["id"])}</code></p>'
        f"{''.join(_items(group))}</details>"
    )


def _items(group: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[str]:
    for name, each in group:
        waived = each["waived"]
        end = (
            f'<div class="soft small">Waived until {_e(waived["until"])}: {_e(waived["reason"])}</div>'
            if waived
            else f'<div class="do"><code class="fix">{_e(each["fix"])}</code>{COPY}</div>'
        )
        search_text = _search_text(name, *(each[part] for part in ("resource", "title", "id", "detail")))
        yield (
            f'<div class="item" data-text="{search_text}">'
            f"<div><b>{_e(name or 'code')}</b></div>"
            f'<div><code>{_e(each["resource"])}</code><div class="small">{_e(each["detail"])}</div>{end}</div></div>'
        )


def _search_text(*parts: str) -> str:
    return _e(" ".join(parts).lower())

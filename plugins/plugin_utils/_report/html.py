# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as one HTML page that needs nothing else: no network, no framework, no server. Pure.

Everything that comes from outside goes through `_e`; and the page's own policy lets nothing run but its own script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import SEVERITIES, rank, worst
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import COLUMN

from .report import CHECKS, UNKNOWN, Report, Row, headline

#: Past so many items a group starts closed.
LONGEST_OPEN_GROUP = 12

STYLE = """
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#526071;--line:#dde2e8;--link:#0b57a8;
--critical:#b3123c;--high:#b4440a;--medium:#8a5a00;--low:#3d5a80;--info:#526071;--ok:#17703c;--tint:8%}
@media(prefers-color-scheme:dark){:root{--paper:#10151b;--card:#18202a;--ink:#e7ecf2;--soft:#a3b1c2;--line:#2b3643;
--link:#8ec1ff;--critical:#ff8fa6;--high:#ffab7a;--medium:#f2c46d;--low:#a9c7ee;--info:#a3b1c2;--ok:#79d8a0;--tint:14%}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main,header{max-width:1240px;margin:0 auto;padding:0 20px}
header{padding-top:32px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:18px;margin:36px 0 12px;scroll-margin-top:70px}
p{margin:0}
a{color:var(--link)}
.soft{color:var(--soft)}
.tally{display:flex;flex-wrap:wrap;gap:8px;margin:20px 0 0;padding:0;list-style:none}
.tally button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:8px 14px;min-width:92px;text-align:left;cursor:pointer}
.tally button[aria-pressed=true]{outline:2px solid var(--link);outline-offset:1px}
.tally b{display:block;font-size:22px;line-height:1.15;font-variant-numeric:tabular-nums}
.bar{display:block;width:100%;height:8px;margin:20px 0 0;border-radius:4px}
.critical{--hue:var(--critical)}.high{--hue:var(--high)}.medium{--hue:var(--medium)}
.low{--hue:var(--low)}.info,.waived{--hue:var(--info)}.ok{--hue:var(--ok)}
.tally b,.badge{color:var(--hue)}
rect{fill:var(--hue)}
.badge{display:inline-block;font-size:12px;font-weight:650;line-height:18px;padding:0 8px;border-radius:9px;
background:color-mix(in srgb,var(--hue) var(--tint),var(--card));white-space:nowrap}
.find{position:sticky;top:0;z-index:2;background:var(--paper);padding:14px 0 10px;margin-top:10px;display:flex;gap:12px;
align-items:center;flex-wrap:wrap}
.find input{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:8px 12px;flex:1 1 260px;min-width:0}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-size:12px;font-weight:600;color:var(--soft);padding:10px 12px;
border-bottom:1px solid var(--line)}
td{padding:9px 12px;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
td:first-child{min-width:132px}
td:first-child a{font-weight:600;text-decoration:none}
td:first-child a:hover{text-decoration:underline}
td.last,th.last{text-align:right}
.small{font-size:12.5px}
.cost{white-space:nowrap;font-variant-numeric:tabular-nums}
.legend{margin-top:8px}
details{margin-bottom:10px;content-visibility:auto;contain-intrinsic-size:auto 120px}
summary{cursor:pointer;padding:12px 16px;display:flex;gap:10px;align-items:baseline;list-style:none}
summary::-webkit-details-marker{display:none}
summary b{flex:1;font-weight:600;overflow-wrap:anywhere}
summary::after{content:"+";color:var(--soft);width:12px;text-align:center}
details[open]>summary::after{content:"\\2212"}
.why{padding:0 16px 12px;max-width:78ch}
.item{border-top:1px solid var(--line);padding:10px 16px 12px;display:grid;
grid-template-columns:minmax(120px,190px) 1fr;gap:4px 16px;overflow-wrap:anywhere}
code{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.fix{display:block;margin-top:6px;padding:7px 10px;border-radius:8px;background:var(--paper);
border:1px solid var(--line);white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
footer{padding:28px 0 48px}
[hidden]{display:none!important}
@media(max-width:760px){
main,header{padding-left:14px;padding-right:14px}
thead{display:none}
table,tbody,tr,td{display:block}
tr{padding:10px 14px 12px;border-bottom:1px solid var(--line)}
tr:last-child{border-bottom:0}
td{border:0;padding:2px 0;display:grid;grid-template-columns:118px 1fr;gap:8px}
td:first-child{display:block;font-size:16px;padding-bottom:4px}
td:before{content:attr(data-label);color:var(--soft);font-size:12.5px}
td:first-child:before{content:none}
tr{position:relative}
td.last{position:absolute;top:12px;right:14px;display:block}
td.last:before{content:none}
td:first-child{padding-right:84px}
td.calm{display:none}
.tally button{min-width:0;flex:1 1 28%;padding:8px 10px}
.item{grid-template-columns:1fr}
}
@media print{.find{display:none}body{background:#fff}}
"""

SCRIPT = """
const text = document.getElementById("text"), told = document.getElementById("told");
const rows = [...document.querySelectorAll("tbody tr")], groups = [...document.querySelectorAll("details")];
const buttons = [...document.querySelectorAll(".tally button")];
let level = "", waiting = 0;
const opened = new Map(groups.map(group => [group, group.open]));
function show() {
  const words = text.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const fits = part => words.every(word => part.dataset.text.includes(word));
  let seen = 0;
  for (const row of rows) {
    row.hidden = !(fits(row) && (!level || row.dataset.levels.split(" ").includes(level)));
    seen += !row.hidden;
  }
  for (const group of groups) {
    let count = 0;
    const asked = !level || group.dataset.level === level;
    for (const item of group.querySelectorAll(".item")) { item.hidden = !(asked && fits(item)); count += !item.hidden; }
    group.hidden = !count;
    group.open = words.length ? count <= 12 : opened.get(group);
    group.querySelector(".count").textContent = count;
  }
  told.textContent = seen === rows.length ? `${rows.length} shown` : `${seen} of ${rows.length} shown`;
}
text.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
for (const button of buttons) button.addEventListener("click", () => {
  level = level === button.value ? "" : button.value;
  for (const each of buttons) each.setAttribute("aria-pressed", String(level !== "" && each.value === level));
  show();
});
document.querySelector("tbody").addEventListener("click", event => {
  const link = event.target.closest("a[data-name]");
  if (!link) return;
  event.preventDefault();
  text.value = link.dataset.name;
  show();
  document.getElementById("findings").scrollIntoView();
});
show();
"""


def page_text(report: Report) -> str:
    """The whole page."""
    rows = sorted(report.rows, key=lambda row: (row.is_ok, rank(row.severity or "info"), row.name))
    heads = "".join(f'<th scope="col">{_e(heading)}</th>' for heading in ("Backend", *CHECKS.values(), COLUMN))
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
<span id="told" class="soft small" aria-live="polite"></span></div>
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
<footer class="soft small">cornerstone.tfstate. A command is selected as a whole by one click.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


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
    """How many backends are how bad, at a glance."""
    levels = [row.status for row in report.rows]
    counts = {level: levels.count(level) for level in (*SEVERITIES, "waived", "ok") if level in levels}
    rects, x = [], 0.0
    for level, count in counts.items():
        width = 100 * count / len(levels)
        rects.append(f'<rect class="{level}" x="{x:.3f}" y="0" width="{width:.3f}" height="1"/>')
        x += width
    told = ", ".join(f"{count} {level}" for level, count in counts.items())
    begin = f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="Backends: {told}">'
    return f"{begin}{''.join(rects)}</svg>"


def _row(row: Row) -> str:
    region = row.backend["region"] if row.backend["region"] != row.name else None
    where = " ".join(str(part) for part in (region, row.backend.get("account_id")) if part)
    cells = "".join(_cell(row, check, heading) for check, heading in CHECKS.items())
    levels = " ".join(sorted({each["severity"] for each in row.open}))
    searched = _searched(row.name, where, *(row.cell(check) for check in CHECKS), *(each["title"] for each in row.open))
    return (
        f'<tr data-text="{searched}" data-levels="{levels}">'
        f'<td><a href="#findings" data-name="{_e(row.name)}">{_e(row.name)}</a>'
        f'<div class="soft small">{_e(where)}</div></td>{cells}'
        f'<td class="cost" data-label="{_e(COLUMN)}"><span>{_e(row.cost)}</span></td>'
        f'<td class="last" data-label="Status">{_badge(row.status)}</td></tr>'
    )


def _cell(row: Row, check: str, heading: str) -> str:
    level, told = worst(row.of(check)), row.cell(check)
    badge = _badge(level) if level else "" if told else '<span class="soft">ok</span>'
    told = f"{_e(told)} " if told else ""
    calm = "" if level or UNKNOWN in told or check in ("bucket", "table", "code") else ' class="calm"'
    return f'<td{calm} data-label="{_e(heading)}"><span>{told}{badge}</span></td>'


def _group(group: list[tuple[str, Mapping[str, Any]]]) -> str:
    first = group[0][1]
    controls = (
        f' <span class="soft">Asked for by {_e(", ".join(first["controls"]))}.</span>' if first["controls"] else ""
    )
    is_open = " open" if len(group) <= LONGEST_OPEN_GROUP and not first["waived"] else ""
    waived = ' <span class="soft">waived</span>' if first["waived"] else ""
    level = first["severity"]
    return (
        f'<details class="card"{is_open} data-level="{level}"><summary>{_badge(level)}'
        f"<b>{_e(first['title'])}{waived}</b>"
        f'<span class="soft small"><span class="count">{len(group)}</span></span></summary>'
        f'<p class="why">{_e(first["why"])}{controls} <code class="soft">{_e(first["id"])}</code></p>'
        f"{''.join(_items(group))}</details>"
    )


def _items(group: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[str]:
    for name, each in group:
        waived = each["waived"]
        end = (
            f'<div class="soft small">Waived until {_e(waived["until"])}: {_e(waived["reason"])}</div>'
            if waived
            else f'<code class="fix">{_e(each["fix"])}</code>'
        )
        searched = _searched(name, *(each[part] for part in ("resource", "title", "id", "detail")))
        yield (
            f'<div class="item" data-text="{searched}">'
            f"<div><b>{_e(name or 'code')}</b></div>"
            f'<div><code>{_e(each["resource"])}</code><div class="small">{_e(each["detail"])}</div>{end}</div></div>'
        )


def _searched(*parts: str) -> str:
    return _e(" ".join(parts).lower())

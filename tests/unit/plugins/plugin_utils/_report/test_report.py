# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report, as values, Markdown, terminal and page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import runbook_url
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning, finding_of, waivers_of
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.html import page_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import (
    CHECKS,
    AuditedBackend,
    json_text,
    markdown_text,
    report_of,
    terminal_text,
)

from tests.unit.plugins.module_utils.audited import TODAY, facts, fleet, row

HOSTILE = "<script>alert(1)</script>\"'`|](javascript:x)&\n# no"
MISSING = {"name": "terraform-locks-us-east-1", "exists": False}
AF = row("af-south-1", facts("af-south-1", "cptwn-terraform-state"), layers=1)
US = row("us-east-1", facts("us-east-1", "usest1-terraform-state", table=MISSING), layers=0)
REPORT = report_of([US, AF], [], "2026-11-21 10:20 UTC")


def test_the_terminal_shows_the_overview_and_what_is_grave() -> None:
    assert terminal_text(REPORT, "audit/audit.html") == (
        "\n"
        "BACKEND     REGION      S3 BUCKET               DYNAMODB TABLE                       SETUP CODE"
        "  $/MONTH        COULD NOT BE SEEN  STATUS\n"
        "af-south-1  af-south-1  cptwn-terraform-state   cptwn-terraform-state-locks          1 layer   "
        "  at least 0.08  -                  ok\n"
        "us-east-1   us-east-1   usest1-terraform-state  terraform-locks-us-east-1 (missing)  none      "
        "  0.07           -                  critical\n"
        "$/MONTH: at least 0.15 in all, estimated from sizes and runs; prices as of 2024-09-25; not counted: "
        "the price of DynamoDB write requests in af-south-1; the price of DynamoDB read requests in af-south-1; "
        "the price of DynamoDB storage in af-south-1; 1 more in audit.json; playbooks/prices.yml reads prices\n"
        "\n"
        "2 backends: 1 critical.\n"
        "CRITICAL us-east-1: No state locking: the lock table does not exist (terraform-locks-us-east-1)\n"
        "The report: audit/audit.html"
    )


def test_findings_of_one_kind_are_one_line_and_each_severity_has_its_colour() -> None:
    rows = [row(f"eu-{place}", facts(f"eu-{place}", f"states-{place}", table=MISSING), layers=0) for place in range(5)]
    text = terminal_text(report_of(rows, [], "2026-11-21 10:20 UTC"), None)
    lines = [line for line in text.splitlines() if line.startswith("CRITICAL")]
    named = "; ".join(f"eu-{place} (terraform-locks-us-east-1)" for place in range(3))
    assert lines == [f"CRITICAL 5 times: No state locking: the lock table does not exist: {named}; and 2 more"]
    painted = text.render(lambda part, status: f"<{status}>{part}</>")
    assert "<failed>CRITICAL</> 5 times" in painted and painted.count("<failed>critical</>") == 5
    assert re.sub(r"<\w+>|</>", "", painted) == text
    assert "<ok>ok</>" in terminal_text(REPORT, None).render(lambda part, status: f"<{status}>{part}</>")


def test_what_could_not_be_seen_is_a_column_of_every_report() -> None:
    hidden = [{"what": f"bucket.{name}", "why": "denied", "cause": "denied"} for name in ("policy", "tags", "a|b", "x")]
    report = report_of([row("eu", facts("eu", "states", unknown=hidden))], [], "2026-11-21 10:20 UTC")
    names = "bucket.policy, bucket.tags, bucket.a|b, 1 more"
    assert "COULD NOT BE SEEN" in terminal_text(report, None) and f"  {names}  " in terminal_text(report, None)
    assert "| Could not be seen |" in markdown_text(report) and "bucket.a\\\\x7cb, 1 more |" in markdown_text(report)
    assert f'<td data-label="Could not be seen"><span>{names}</span></td>' in page_text(report)
    assert json.loads(json_text(report))["backends"][0]["unseen"] == [each["what"] for each in hidden]


def test_a_large_fleet_shows_only_what_needs_somebody() -> None:
    text = terminal_text(fleet(60), None)
    assert "backend-000" not in text and "backend-001" in text
    assert len(text.splitlines()) < 100


def test_tools_are_told_everything() -> None:
    values = json.loads(json_text(REPORT))
    assert values["counts"] == {"critical": 1, "high": 0, "medium": 0, "low": 0, "info": 0}
    assert [(each["name"], each["status"], each["layers"]) for each in values["backends"]] == [
        ("af-south-1", "ok", 1),
        ("us-east-1", "critical", 0),
    ]
    assert [each["cost"]["usd"] for each in values["backends"]] == ["0.08", "0.07"]
    assert (values["cost"]["text"], values["cost"]["usd"]) == ("at least 0.15", "0.15")
    (finding,) = values["backends"][1]["findings"]
    assert set(finding) == {
        *("id", "severity", "title", "detail", "resource", "why", "fix", "controls", "runbook", "waived"),
    }


def test_markdown_has_the_overview_and_each_finding() -> None:
    lines = markdown_text(REPORT).splitlines()
    assert lines[4] == (
        "| Backend | Region | S3 bucket | DynamoDB table | Locks | Digests | States | Setup code | Audit "
        "| $/month | Could not be seen | Status |"
    )
    assert lines[6].endswith("| ok | at least 0.08 | - | ok |")
    assert lines[9].startswith("$/month: at least 0.15 in all, estimated from sizes and runs; prices as of 2024-09-25;")
    assert "## critical: No state locking: the lock table does not exist" in lines
    assert "  `ansible-playbook cornerstone.tfstate.bootstrap -l us-east-1`" in lines
    assert f"[Runbook]({runbook_url('lost-table')})" in lines


UNREAD = facts("eu-west-1", "state-eu", **dict.fromkeys(("states", "locks", "digests")))
FAILED = AuditedBackend(
    {**AF.backend, "bucket": {"name": "b", "exists": None}, "table": {"name": "t", "exists": None}, "counts": {}},
    (finding_of("audit.failed", "af-south-1", "unreachable", "x").to_result(),),
)


def test_what_nobody_looked_at_is_nowhere_said_to_be_fine() -> None:
    assert [row("eu-west-1", UNREAD).cell(check) for check in ("lock", "digest", "state")] == ["unknown"] * 3
    assert [FAILED.cell(check) for check in CHECKS] == ["b (unknown)", "t (unknown)", *["unknown"] * 3, "not read", ""]
    report = report_of([FAILED], [], "today")
    read = "| b \\(unknown\\) | t \\(unknown\\) | unknown | unknown | unknown | not read | **critical** |"
    assert read in markdown_text(report)
    cells = re.findall(r'<td[^>]*data-label="([^"]*)"><span>(.*?)</span></td>', page_text(report))
    assert dict(cells)["Locks"] == "unknown " and "critical" in dict(cells)["Audit"]
    assert '<td class="calm"' not in page_text(report)


def test_what_is_waived_is_told_and_counts_for_nothing() -> None:
    waivers = waivers_of([{"id": "table.missing", "reason": "being built", "until": "2027-01-01"}])
    report = report_of([row("us-east-1", facts(table=MISSING), Tuning(TODAY, waivers=waivers))], [], "today")
    assert report.rows[0].status == "waived" and sum(report.counts.values()) == 0
    for text in (markdown_text(report), page_text(report)):
        assert "being built" in text and "2027" in text


def test_a_cost_is_a_sum_or_nothing_or_unknown() -> None:
    no_bucket = {"name": "state", "exists": False}
    backends: list[dict[str, Any]] = [{}, {"bucket": no_bucket}, {"bucket": {**no_bucket, "exists": None}}]
    assert [row("x", facts(**more)).cost for more in backends] == ["0.07", "-", "unknown"]
    bare = report_of([row("x", facts(bucket=no_bucket))], [], "today")
    for text in (terminal_text(bare, None), markdown_text(bare), page_text(bare)):
        assert "estimated" not in text


class Page(HTMLParser):
    """The tags of a page, and the text of all but script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] and self.tags[-1][0] not in ("script", "style"):
            self.text += data


@pytest.fixture
def hostile() -> Page:
    about = facts("us-east-1", HOSTILE, states=[{"path": HOSTILE, "is_readable": False, "problem": HOSTILE}])
    return Page(page_text(report_of([row(HOSTILE, about)], [], HOSTILE)))


def test_nothing_from_outside_becomes_markup(hostile: Page) -> None:
    assert [tag for tag, _attributes in hostile.tags].count("script") == 1
    assert not [name for _tag, attributes in hostile.tags for name in attributes if name.startswith("on")]
    links = {attributes["href"] for _tag, attributes in hostile.tags if "href" in attributes}
    assert links == {"data:,", "#findings", runbook_url("overwritten-state")}
    assert HOSTILE.replace("\n", "\\n") in hostile.text


def test_markdown_has_no_markup_from_outside() -> None:
    report = report_of([row(HOSTILE, facts("r", HOSTILE, table={"name": HOSTILE, "exists": False}))], [], "t")
    text = markdown_text(report)
    outside_of_code = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text.replace(r"\`", ""))
    assert r"\<script\>" in outside_of_code and "<script" not in outside_of_code.replace(r"\<", "")
    assert "\n# no" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1


def test_the_page_asks_the_network_for_nothing() -> None:
    """A link to a runbook is followed by whoever clicks it."""
    links = [f'<a href="{runbook_url(name)}">Runbook</a>' for name in ("lost-table", "stuck-lock", "digest-mismatch")]
    text = page_text(fleet(20))
    for link in links:
        assert link in text
        text = text.replace(link, "")
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert "default-src 'none'" in text


def test_600_backends_make_a_page_that_can_be_mailed() -> None:
    assert len(page_text(fleet(600))) < 2_000_000

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report's page in a real browser: on a phone and on a desk, by day and by night, with few backends and many."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.html import page_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import Report, report_of
from playwright.sync_api import Browser, Page, sync_playwright

from tests.unit.plugins.module_utils.audited import facts, fleet, row

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None
)
PHONE, DESK = 390, 1280
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>' + "w" * 300
#: Source: WCAG 2.2, 1.4.3, for text of ordinary size.
LEAST_CONTRAST = 4.5

CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = colour => colour.slice(0, 3).map(part => part / 255)
    .map(part => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [.2126, .7152, .0722][place], 0);
  const behind = part => { for (let each = part; each; each = each.parentElement) {
    const colour = rgba(getComputedStyle(each).backgroundColor); if (colour[3] === 255) return colour; } };
  const texts = [...document.querySelectorAll("body *")].filter(part => part.checkVisibility()
    && [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  return texts.map(part => {
    const [one, other] = [light(rgba(getComputedStyle(part).color)), light(behind(part))].sort((a, b) => b - a);
    return [(one + .05) / (other + .05), part.className + " " + part.textContent.slice(0, 40)];
  });
}
"""


@dataclass
class Watched:
    """A page, and all that should not happen to it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is not on PATH: on Debian, apt install chromium-headless-shell"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, folder: Path, report: Report, width: int = DESK, scheme: str = "light") -> Watched:
    file = folder / "audit.html"
    file.write_text(page_text(report))
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watched = Watched(page)
    page.on("console", lambda message: watched.complaints.append(message.text))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (watched.complaints.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: watched.requests.append(request.url))
    page.goto(file.as_uri())
    return watched


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("count", [3, 600])
def test_it_can_be_read_everywhere(browser: Browser, tmp_path: Path, count: int, width: int, scheme: str) -> None:
    watched = opened(browser, tmp_path, fleet(count), width, scheme)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.complaints == []
    assert [url for url in watched.requests if not url.startswith(("file:", "data:"))] == []
    assert watched.page.locator("tbody tr").count() == count
    worst, where = min(watched.page.evaluate(CONTRASTS))
    assert worst >= LEAST_CONTRAST, where


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_hostile_name_is_shown_and_does_nothing(browser: Browser, tmp_path: Path, width: int) -> None:
    about = facts("us-east-1", HOSTILE, table={"name": HOSTILE, "exists": False}, orphan_lock_files=[HOSTILE])
    watched = opened(browser, tmp_path, report_of([row(HOSTILE, about)], [], "today"), width)
    assert watched.complaints == [] and watched.page.locator("img").count() == 0
    assert HOSTILE in watched.page.locator("tbody tr").inner_text()
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    watched.page.locator("tbody a").first.click()
    assert watched.page.locator("#text").input_value() == HOSTILE
    assert watched.complaints == []


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_a_fix_is_copied_as_a_whole(browser: Browser, tmp_path: Path, has_clipboard: bool) -> None:
    watched = opened(browser, tmp_path, fleet(3))
    page = watched.page
    page.evaluate(
        """has => {
          window.received = [];
          const clipboard = has ? {writeText: async text => { window.received.push(text); }} : undefined;
          Object.defineProperty(navigator, "clipboard", {value: clipboard});
          document.addEventListener("copy", () => window.received.push(getSelection().toString()));
        }""",
        has_clipboard,
    )
    item = page.locator(".item:visible").first
    button = item.get_by_role("button", name="Copy")
    button.click()
    item.get_by_role("button", name=re.compile("Copied")).wait_for()
    assert page.evaluate("window.received") == [item.locator(".fix").inner_text()]
    button.wait_for()
    assert watched.complaints == []


def test_the_footer_says_what_made_the_page() -> None:
    text = page_text(fleet(1), "0.2.0", "ansible-playbook <audit>.yml -e ...")
    (footer,) = re.findall("<footer.*?</footer>", text)
    assert "cornerstone.tfstate 0.2.0, " in footer
    assert "by <code>ansible-playbook &lt;audit&gt;.yml -e ...</code>" in footer


def shown(page: Page) -> int:
    return page.locator("tbody tr:visible").count()


def test_600_backends_are_filtered_by_words_and_by_severity(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, fleet(600)).page
    page.fill("#text", "BACKEND-0 locks")
    count = page.locator("#shown")
    count.filter(has_text=" of ").wait_for()
    assert shown(page) == 100
    page.fill("#text", "")
    count.filter(has_text=re.compile("^600 shown$")).wait_for()
    page.get_by_role("button", name=re.compile("critical")).click()
    assert shown(page) == 100
    assert {each.get_attribute("data-level") for each in page.locator("details:visible").all()} == {"critical"}
    page.get_by_role("button", name=re.compile("critical")).click()
    assert shown(page) == 600


def test_a_backend_leads_to_its_findings(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, fleet(600)).page
    page.get_by_role("link", name="backend-001", exact=True).click()
    items = page.locator(".item:visible")
    items.wait_for()  # of one item alone
    assert items.count() == 1
    assert "ansible-playbook cornerstone.tfstate.bootstrap -l backend-001" in items.inner_text()

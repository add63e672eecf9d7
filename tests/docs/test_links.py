# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Links lead somewhere: to a file of this tree, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import CODE_BLOCK, MARKDOWN, ROOT, read

OURS = "https://github.com/cornerstone-tfstate/cornerstone.tfstate"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    return LINK.findall(CODE_BLOCK.sub("", read(page)))


def in_tree(page: Path, link: str) -> str | None:
    """The path that a link names in this tree, and its heading."""
    if link.startswith(f"{OURS}/blob/main/"):
        return link.removeprefix(f"{OURS}/blob/main/")
    if re.match(r"[a-z]+:", link):
        return None
    file, hash_, heading = link.partition("#")
    path = (ROOT / page.parent / file).resolve().relative_to(ROOT) if file else page
    return f"{path}{hash_}{heading}"


def headings(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", MARKDOWN, ids=str)
def test_links_into_the_tree_lead_to_a_file_and_a_heading(page):
    for target in filter(None, (in_tree(page, link) for link in links(page))):
        file, _unused, heading = target.partition("#")
        assert (ROOT / file).exists(), f"{page} links to {file}, which is not there"
        assert not heading or heading in headings(ROOT / file), f"{page} links to {target}: no such heading"


@pytest.mark.parametrize("page", [page for page in MARKDOWN if page.name == "README.md"], ids=str)
def test_what_galaxy_shows_links_with_full_addresses(page):
    assert [link for link in links(page) if not link.startswith("https://")] == []


@pytest.mark.parametrize("page", MARKDOWN, ids=str)
def test_our_own_addresses_are_of_a_known_form(page):
    ours = [link for link in links(page) if link.startswith(OURS)]
    assert all(re.fullmatch(rf"{OURS}(/issues|/blob/main/\S+)?", link) for link in ours)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/aws-behaviours.md has a row for everything that AWS is known to do, and each row its proof."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read, tables

PAGE = "docs/aws-behaviours.md"
#: Section -> the numbers of its first and its last item.
SECTIONS = {1: (1, 12), 2: (0, 15), 3: (1, 7), 4: (1, 19), 5: (1, 5), 6: (1, 10), 7: (1, 5), 8: (1, 3)}
EXPECTED = [f"{section}.{item}" for section, (first, last) in SECTIONS.items() for item in range(first, last + 1)]
CANNOT_APPLY = "cannot apply"


@cache
def rows() -> dict[str, list[str]]:
    """Item -> what AWS does, what we do, and its proof."""
    found: dict[str, list[str]] = {}
    for item, *cells in tables(PAGE, "item"):
        assert item not in found, f"two rows for {item}"
        assert len(cells) == 3, item
        found[item] = cells
    return found


def proof(item: str) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", rows()[item][2])


@cache
def marked() -> dict[str, frozenset[str]]:
    """Test -> the items that its marker names."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[f"{path.relative_to(ROOT)}::{node.name}"] = frozenset(_items(node))
    return found


def _items(test: ast.FunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.aws":
            yield from map(ast.literal_eval, decorator.args)


@pytest.mark.parametrize("item", EXPECTED)
def test_everything_that_aws_does_has_a_row(item: str):
    assert item in rows(), f"{PAGE} has no row for {item}"
    does, do, _unused = rows()[item]
    assert does and do
    assert proof(item) or CANNOT_APPLY in do, f"{item} has no proof, and no word why it cannot apply"


def test_no_row_is_about_something_else():
    assert [item for item in rows() if item not in EXPECTED] == []


def test_rows_are_in_order():
    assert list(rows()) == [item for item in EXPECTED if item in rows()]


def test_every_proof_is_a_test_that_carries_the_number():
    missing = [(item, test) for item in rows() for test in proof(item) if item not in marked().get(test, ())]
    assert missing == []


def test_every_number_on_a_test_is_on_the_page():
    untold = [
        (item, test)
        for test, items in marked().items()
        for item in sorted(items)
        if item not in rows() or test not in proof(item)
    ]
    assert untold == []


def test_sections_are_headed_as_their_items_are_numbered():
    headings = [int(number) for number in re.findall(r"^## (\d)\. ", read(Path(PAGE)), re.MULTILINE)]
    assert headings == list(SECTIONS)

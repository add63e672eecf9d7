# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of the terminal, for the summary and the report."""

from __future__ import annotations

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.table import MAX_ROWS, omitted, table_lines


def test_a_column_is_as_wide_as_its_widest_cell() -> None:
    assert table_lines(("A", "LONG", "C"), [("12345", "x", ""), ("1", "y", "z")]) == [
        "A      LONG  C",
        "12345  x",
        "1      y     z",
    ]


def test_without_rows_there_are_no_headings() -> None:
    assert table_lines(("A", "B"), []) == []


def test_a_cell_cannot_break_its_line_or_control_the_terminal() -> None:
    (_headings, line) = table_lines(("A", "B"), [("a\nb", "\x1b[31m")])
    assert line == "a\\nb  \\x1b[31m"


@pytest.mark.parametrize(("count", "expected"), [(0, []), (MAX_ROWS, []), (MAX_ROWS + 2, ["... and 2 more rows"])])
def test_what_is_left_out_is_counted(count: int, expected: list[str]) -> None:
    assert omitted(range(count), "more rows") == expected

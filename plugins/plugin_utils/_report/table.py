# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plain text table for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable

#: The most rows of a table, and the most lines of a list below it.
MAX_ROWS = 40


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for the headings and one for each row, in columns as wide as their widest cell. Empty without rows."""
    if not rows:
        return []
    table = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def omitted(entries: Sequence[object], noun: str = "more") -> list[str]:
    """The line that counts the entries beyond `MAX_ROWS`, if there are any."""
    count = len(entries) - MAX_ROWS
    return [f"... and {count} {noun}"] if count > 0 else []


def backends(count: int) -> str:
    return "1 backend" if count == 1 else f"{count} backends"

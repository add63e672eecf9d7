# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages that people read, and the examples on them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Run by tests/end_to_end/test_runbooks.py, after the disaster that each of them repairs.
RUNBOOKS = sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/runbooks/*.md") if path.stem != "index")
MARKDOWN = sorted(
    path.relative_to(ROOT) for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md") for path in ROOT.glob(pattern)
)
PLUGINS = sorted(
    path.relative_to(ROOT)
    for folder in ("modules", "filter", "inventory", "lookup")
    for path in ROOT.glob(f"plugins/{folder}/*.py")
    if path.name != "__init__.py"
)

LANGUAGES = {"yaml", "sh", "hcl", "json"}
#: Code blocks that are shown and not run.
SHOWN = {"mermaid", "text"}

CODE_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<excuse>[^\n]+?) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:yml|tf))\n")


@dataclass(frozen=True)
class Example:
    page: Path
    line: int
    language: str
    text: str
    #: Why it is not run.
    excuse: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """An example whose first line is a comment with a file name is that file."""
        named = FILE_NAME.match(self.text)
        return named.group(1) if named else None


def read(page: Path) -> str:
    return (ROOT / page).read_text()


def code_blocks(page: Path) -> list[Example]:
    text = read(page)
    return [
        Example(page, text.count("\n", 0, match.start("text")), match["language"], match["text"], match["excuse"])
        for match in CODE_BLOCK.finditer(text)
    ]


def plugin_examples(page: Path) -> str:
    for node in ast.parse(read(page)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            return str(ast.literal_eval(node.value))
    return ""


def examples(page: Path) -> list[Example]:
    """What a page asks its readers to type, from top to bottom; all of a plugin's in one piece."""
    if page.suffix == ".py":
        text = plugin_examples(page)
        return [Example(page, 1, "yaml", text)] if text.strip() else []
    return [example for example in code_blocks(page) if example.language not in SHOWN]


def section(page: str, heading: str) -> list[Example]:
    """The examples between a heading and the next one, of whatever depth."""
    text = read(Path(page))
    start = re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{page} has no heading {heading!r}"
    following = re.search(r"^#+ ", text[start.end() :], re.MULTILINE)
    end = start.end() + following.start() if following else len(text)
    first, last = text.count("\n", 0, start.end()), text.count("\n", 0, end)
    return [example for example in code_blocks(Path(page)) if first <= example.line <= last]


def tables(page: str, first_heading: str) -> list[list[str]]:
    """The rows of every table whose first column bears this heading."""
    rows: list[list[str]] = []
    taking = False
    for line in read(Path(page)).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        taking = bool(cells) and (taking or cells[0] == first_heading)
        if taking and cells[0] != first_heading and set(cells[0]) != {"-"}:
            rows.append(cells)
    return rows

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where in a file of YAML a problem is: the lines of its keys and items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid

MAX_PROBLEMS = 10
MERGE = "tag:yaml.org,2002:merge"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Problem(str):
    """A sentence about a place: the keys, and positions in lists, that lead to it from the top of the file."""

    place: tuple[Any, ...]

    def __new__(cls, text: str, *place: Any) -> Problem:
        made = super().__new__(cls, text)
        made.place = place
        return made

    def below(self, *place: Any) -> Problem:
        """The same problem of a part of the file that is at this place."""
        return Problem(self, *place, *self.place)


class Refused(Invalid):
    """Problems of a file. As text they have no lines."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(in_one_sentence(problems))


def refuse(problems: Iterable[str]) -> None:
    """Raises Refused if there is a problem."""
    listed = list(problems)
    if listed:
        raise Refused(listed)


def in_one_sentence(problems: list[str]) -> str:
    more = [f"and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return "; ".join(problems[:MAX_PROBLEMS] + more)


def with_lines(refused: Refused, text: str) -> str:
    """The problems, each after the line of its place; or of what is nearest to it, as templates have no lines."""
    try:
        top = yaml.compose(text, _LOADER)
    except yaml.YAMLError:
        return str(refused)
    return in_one_sentence([_with_line(each, top) for each in refused.problems])


def _with_line(problem: str, top: Any) -> str:
    line = _line(top, problem.place) if isinstance(problem, Problem) else None
    return f"line {line}: {problem}" if line else problem


def _line(node: Any, place: tuple[Any, ...]) -> int | None:
    found = None
    for key in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((name, value) for name, value in node.value if name.value == str(key)), None)
            if pair is None:
                return found
            found, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            found = node.start_mark.line + 1
        else:
            return found
    return found


def top_keys(text: str) -> list[str]:
    """The keys of the file itself, if it is a dictionary."""
    try:
        top = yaml.compose(text, _LOADER)
    except yaml.YAMLError:
        return []
    return [str(name.value) for name, _value in top.value] if isinstance(top, yaml.MappingNode) else []


def repeated_keys(text: str) -> Iterator[Problem]:
    """Keys that are twice in one dictionary: YAML readers take the last one without a word, or with a warning."""
    try:
        todo: list[Any] = [yaml.compose(text, _LOADER)]
    except yaml.YAMLError:  # told by Ansible
        return
    known: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in known:  # an alias
            continue
        known.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for name, value in node.value:
                todo.append(value)
                line = name.start_mark.line + 1
                first = lines.setdefault(str(name.value), line)
                if first != line and name.tag != MERGE:
                    yield Problem(f"{name.value} is there twice, in lines {first} and {line}")

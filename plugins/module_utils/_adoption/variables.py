# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file of variables of an adopted backend, in which text from AWS is code to neither YAML nor Jinja. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.printable import printable

HEADING = "# What this backend was when it was adopted, by cornerstone.tfstate"
_INTRODUCTION = """\
{heading}.
# bootstrap keeps it so, and audit finds what differs. To change a setting, change its value here.
---
"""
#: What begins a template.
_TEMPLATE = re.compile(r"\{[{%#]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
#: Names that YAML reads as something else.
_NO_NAMES = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
_WIDTH = 110


@dataclass(frozen=True)
class Part:
    """Comments, and variables below them; variables that are only offered are comments, too."""

    comments: tuple[str, ...]
    variables: Mapping[str, Any]
    is_offered: bool = False


def file_text(parts: Iterable[Part]) -> str:
    return _INTRODUCTION.format(heading=HEADING) + "\n".join(_part_text(each) for each in parts)


def _part_text(part: Part) -> str:
    lines = [line for comment in part.comments for line in _comment(comment)]
    for name, value in part.variables.items():
        written = [*_entry(name, value, 0)]
        lines += [f"# {line}" for line in written] if part.is_offered else written
    return "".join(f"{line}\n" for line in lines)


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in printable(text).split():
        if len(line) + len(word) > _WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _entry(name: str, value: Any, depth: int) -> Iterator[str]:
    indent, key = "  " * depth, _name(name)
    if isinstance(value, Mapping) and value:
        yield f"{indent}{key}:"
        for inner, each in value.items():
            yield from _entry(str(inner), each, depth + 1)
    elif _is_list(value) and value:
        yield f"{indent}{key}:"
        for each in value:
            yield from _item(each, depth + 1)
    else:
        yield f"{indent}{key}: {_scalar(value)}"


def _item(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        first = True
        for inner, each in value.items():
            lines = [*_entry(str(inner), each, depth + 1)]
            if first:
                lines[0] = f"{indent}- {lines[0].lstrip(' ')}"
            first = False
            yield from lines
    elif _is_list(value) and value:
        yield f"{indent}-"
        for each in value:
            yield from _item(each, depth + 1)
    else:
        yield f"{indent}- {_scalar(value)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _name(text: str) -> str:
    is_plain = _PLAIN_NAME.fullmatch(text) and text.lower() not in _NO_NAMES
    return text if is_plain else quoted(text)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, str):
        return f"!unsafe {quoted(value)}" if _TEMPLATE.search(value) else quoted(value)
    return "[]"


def quoted(text: str) -> str:
    """In double quotes, with all that is not ASCII as an escape that YAML has."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(each: str) -> str:
    if each in '"\\':
        return f"\\{each}"
    if " " <= each <= "~":
        return each
    return f"\\u{ord(each):04x}" if ord(each) < 0x10000 else f"\\U{ord(each):08x}"


def variables_in(text: str) -> list[str]:
    """The lines of a file that are no comments."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def has_template_in_names(value: Any) -> bool:
    """Whether a name in dictionaries would be a template: a tag of YAML says nothing of names."""
    if isinstance(value, Mapping):
        return any(_TEMPLATE.search(str(name)) or has_template_in_names(each) for name, each in value.items())
    return _is_list(value) and any(map(has_template_in_names, value))

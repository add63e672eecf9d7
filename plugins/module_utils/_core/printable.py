# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text from AWS as a person may see it: whoever can write a key, a lock or a tag chooses its characters. Pure.

Control characters move the cursor, recolour or forge lines; bidirectional ones reorder what is read; others are
invisible. Each is replaced by its escape, such as `\\x1b`. A backslash stays as it is, so that to escape twice is to
escape once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: Letters and symbols by Unicode's account, and blank on every screen.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: So much of one value is part of a sentence. All clients' own values are shorter.
_LONGEST_SHOWN = 200
#: Of the mark behind what was shortened, so that to shorten twice is to shorten once.
_MARK_LENGTH = 40
#: The members of a task's result that are sentences for people. All others are for machines, and stay exact.
_SENTENCES = ("msg", "warnings", "deprecations", "missing")
#: The same in the rows of a result.
_SENTENCES_OF_ROWS = ("problem", "why")

#: What the holder of a lock wrote of it, at any length.
_WRITTEN_BY_HOLDERS = ("who", "info", "operation", "client", "version")


def is_printable(text: str) -> bool:
    """Whether it is shown as it is, in one line."""
    return text.isprintable() and (text.isascii() or _BLANK.isdisjoint(text))


def printable(text: object) -> str:
    """One line, whatever was in it."""
    shown = str(text)
    return shown if is_printable(shown) else "".join(map(_printable, shown))


def shortened(text: object) -> str:
    """The begin of a long text, and how long it is. Whoever writes a lock or a policy chooses its length, too."""
    whole = str(text)
    is_short = len(whole) <= _LONGEST_SHOWN + _MARK_LENGTH
    return whole if is_short else f"{whole[:_LONGEST_SHOWN]}... ({len(whole)} characters)"


def printable_lines(text: object) -> str:
    """As `printable`, for text of several lines: newlines and tabs stay."""
    return "".join(each if each in "\n\t" else _printable(each) for each in str(text))


def printable_result(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a task, its sentences and its diff made printable. Values that machines read are untouched.

    Ansible shows all of a failed result, and its JSON escapes few control characters: all of it is made printable.
    """
    if result.get("failed"):
        result = {name: _of_a_failure(name, value) for name, value in result.items()}
    shown = {name: _rows(value) for name, value in result.items()}
    if isinstance(shown.get("backend"), dict):
        shown["backend"] = {name: _rows(value) for name, value in shown["backend"].items()}
    for name in _SENTENCES:
        if name in shown:
            shown[name] = _sentences(shown[name])
    if "exception" in shown and isinstance(shown["exception"], str):
        shown["exception"] = printable_lines(shown["exception"])
    if "diff" in shown:
        shown["diff"] = _diff(shown["diff"])
    return shown


def _of_a_failure(name: object, value: Any) -> Any:
    if isinstance(value, str):
        return shortened(printable_lines(value)) if name in _WRITTEN_BY_HOLDERS else printable_lines(value)
    if isinstance(value, Mapping):
        return {
            printable_lines(each) if isinstance(each, str) else each: _of_a_failure(each, inner)
            for each, inner in value.items()
        }
    return [_of_a_failure(name, each) for each in value] if isinstance(value, (list, tuple)) else value


def _rows(value: Any) -> Any:
    """A list of rows that have sentences; anything else as it is."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return value
    names = [name for name in _SENTENCES_OF_ROWS if name in value[0]]
    return [{**row, **{name: _sentences(row.get(name)) for name in names}} for row in value] if names else value


def _sentences(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return [_sentences(each) for each in value] if isinstance(value, list) else value


def _diff(diff: Any) -> Any:
    """Texts and headers of diffs. What is no text, Ansible writes as JSON in ASCII."""
    if isinstance(diff, list):
        return [_diff(each) for each in diff]
    if isinstance(diff, Mapping):
        return {name: printable_lines(each) if isinstance(each, str) else each for name, each in diff.items()}
    return diff


def _printable(character: str) -> str:
    if is_printable(character):
        return character
    if character in _NAMES:
        return _NAMES[character]
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds backend blocks in Terraform text, with their exact place, for programs that edit them.

It is strict: it gives up on text that it does not know, because a wrong place would damage the file, and it counts
every variable as a template. `hcl_parser` is for code that is only read: it is lenient and evaluates expressions.

Source: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_IDENTIFIER = re.compile(r"[^\W\d][\w-]*")
_BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BLANKS_OF_LINE = re.compile(r"(?:[ \t]|/\*.*?\*/)*", re.DOTALL)
_HEREDOC = re.compile(r"<<-?([^\W\d][\w-]*)\r?\n")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"\w[\w-]*")
#: Of an object: no variable.
_KEY = re.compile(r"[^\W\d][\w-]*(?=[ \t]*[=:](?!=))")
_PIECE = re.compile(r"(?:[^\"\\$%\n]|\\.|\$(?!\{)|%(?!\{))+", re.DOTALL)
_HEREDOC_PIECE = re.compile(r"(?:[^$%\n]|\$(?!\{)|%(?!\{))+")
_STRING = re.compile(r"\s*(\"(?:[^\"\\]|\\.)*\")\s*(?:(?:#|//)[^\n]*)?")
_PAIRS = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True)
class NotSimple:
    """Why a program must not edit this code."""

    reason: str


@dataclass(frozen=True)
class FoundBackend:
    """A block: its type, labels, and where it begins and ends."""

    type: str
    labels: tuple[str, ...]
    start: int
    end: int
    has_template: bool
    #: By name; None for values that are not plain strings.
    arguments: Mapping[str, str | None] = field(default_factory=dict, compare=False)

    @property
    def backend(self) -> str:
        """The type of the backend, such as `s3`."""
        return self.labels[0] if self.type == "backend" and self.labels else self.type


class _SyntaxError(Exception):
    """The place at which the text is not understood."""


def backends_in(text: str) -> list[FoundBackend] | NotSimple:
    """The backend and cloud blocks in the `terraform` blocks of a text."""
    reader = _BackendReader(text)
    try:
        reader.body(1 if text.startswith("\ufeff") else 0, ())
    except _SyntaxError as stop:
        place = text.count("\n", 0, stop.args[0]) + 1
        return NotSimple(f"line {place} is no Terraform that this module can read")
    except RecursionError:
        return NotSimple("it is nested deeper than any Terraform")
    return reader.found


def arguments_in(text: str) -> dict[str, str | None]:
    """The arguments in a file for `-backend-config=`; none if it cannot be read."""
    reader = _BackendReader(text)
    try:
        reader.body(0, ("terraform", "backend"), is_file=True)
    except (_SyntaxError, RecursionError):
        return {}
    return reader.arguments


def _plain(expression: str) -> str | None:
    """The text of a string without templates."""
    matched = _STRING.fullmatch(expression)
    if not matched or "${" in matched[1] or "%{" in matched[1]:
        return None
    try:
        return str(json.loads(matched[1]))
    except ValueError:
        return None


class _BackendReader:
    """A recursive descent parser. Every method takes the offset of the start and returns that of the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.found: list[FoundBackend] = []
        #: Those of the backend block that was begun last.
        self.arguments: dict[str, str | None] = {}
        self._templates = 0

    def body(self, at: int, inside: tuple[str, ...], is_file: bool = False) -> int:
        """To the brace that closes the body, or to the end of the text."""
        while True:
            at = self._skip(_BLANKS, at)
            if at == len(self._text) and (is_file or not inside):
                return at
            if self._text.startswith("}", at) and inside:
                return at
            at = self._statement(at, inside)

    def _statement(self, start: int, inside: tuple[str, ...]) -> int:
        name, at = self._name(start)
        at = self._skip(_BLANKS_OF_LINE, at)
        if self._text.startswith("=", at) and not self._text.startswith("==", at):
            end = self._expression(at + 1)
            if inside == ("terraform", "backend"):
                self.arguments[name] = _plain(self._text[at + 1 : end])
            return end
        labels = []
        while not self._text.startswith("{", at):
            label, at = self._label(at)
            labels.append(label)
            at = self._skip(_BLANKS_OF_LINE, at)
        before = self._templates
        if inside == ("terraform",):
            self.arguments = {}
        elif inside == ("terraform", "backend"):
            self.arguments[name] = None
        end = self.body(at + 1, (*inside, name)) + 1
        if inside == ("terraform",) and name in ("backend", "cloud"):
            has_template = self._templates > before
            self.found.append(FoundBackend(name, tuple(labels), start, end, has_template, self.arguments))
        return end

    def _name(self, at: int) -> tuple[str, int]:
        matched = _IDENTIFIER.match(self._text, at)
        if not matched:
            raise _SyntaxError(at)
        return matched[0], matched.end()

    def _label(self, at: int) -> tuple[str, int]:
        if not self._text.startswith('"', at):
            return self._name(at)
        end = self._string(at)
        return self._text[at + 1 : end - 1], end

    def _expression(self, at: int) -> int:
        """To the end of the line that ends it, or to the brace that closes its block."""
        while at < len(self._text) and self._text[at] not in "\n}":
            at = self._line_end(at) if self._text.startswith(("#", "//"), at) else self._part(at)
        return at

    def _part(self, at: int) -> int:
        """A string, heredoc, comment or bracket whole; else one character, or one word."""
        text = self._text
        if text[at] == '"':
            return self._string(at)
        if heredoc := _HEREDOC.match(text, at):
            return self._heredoc(heredoc)
        if text.startswith("/*", at):
            return self._skip(_COMMENT, at)
        if text[at] in _PAIRS:
            return self._bracket(at)
        if text[at] in ")]}":
            raise _SyntaxError(at)
        word = _WORD.match(text, at)
        if word and not word[0][0].isdigit() and word[0] not in ("true", "false", "null"):
            self._templates += 1
        return word.end() if word else at + 1

    def _bracket(self, start: int) -> int:
        """Newlines mean nothing to the expression in it, and keys of objects are no variables."""
        closing, at, text = _PAIRS[self._text[start]], start + 1, self._text
        while not text.startswith(closing, at):
            if at >= len(text):
                raise _SyntaxError(start)
            key = _KEY.match(text, at) if closing == "}" else None
            if key:
                at = key.end()
            elif text.startswith(("#", "//"), at):
                at = self._line_end(at)
            else:
                at = self._part(at)
        return at + 1

    def _string(self, start: int) -> int:
        at = start + 1
        while not self._text.startswith('"', at):
            at = self._quoted(at, start, _PIECE)
        return at + 1

    def _quoted(self, at: int, start: int, plain: re.Pattern[str]) -> int:
        """A piece of a string or heredoc: text as it is, or a template."""
        if self._text.startswith(("$${", "%%{"), at):
            return at + 3
        if self._text.startswith(("${", "%{"), at):
            self._templates += 1
            return self._bracket(at + 1)
        piece = plain.match(self._text, at)
        if not piece:
            raise _SyntaxError(start)
        # `$$` before a brace is an escape that begins with what the plain text would else have ended with.
        end = piece.end()
        escaped = end - at > 1 and self._text[end - 1] in "$%" and self._text.startswith(self._text[end - 1] + "{", end)
        return end - 1 if escaped else end

    def _heredoc(self, opening: re.Match[str]) -> int:
        """To the end of the marker that closes it."""
        closing = re.compile(rf"[ \t]*{re.escape(opening[1])}[ \t]*(?=\r?\n|\Z)")
        at = opening.end()
        while True:
            ended = closing.match(self._text, at)
            if ended:
                return ended.end()
            while at < len(self._text) and self._text[at] != "\n":
                at = self._quoted(at, opening.start(), _HEREDOC_PIECE)
            if at == len(self._text):
                raise _SyntaxError(opening.start())
            at += 1

    def _line_end(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _skip(self, what: re.Pattern[str], at: int) -> int:
        matched = what.match(self._text, at)
        if not matched:
            raise _SyntaxError(at)
        return matched.end()

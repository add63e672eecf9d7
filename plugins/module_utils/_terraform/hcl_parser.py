# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parses HCL, native and JSON, into attributes and blocks, and evaluates static expressions. Pure.

It is lenient: it accepts at least what the clients accept. Text that it cannot read is Unparsable, and a value that it
cannot evaluate is UNKNOWN, never omitted. To edit a backend block, use `parser`, which is strict.

Source: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md and scan_tokens.rl
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.model import TfstateError

#: Stands in a text for what only a run of the client knows. It is an identifier, so that texts with it can be parsed.
PLACEHOLDER = "__tfstate_unknown__"


class Unparsable(TfstateError):
    """A text that is not what its name says."""


class UnknownValue:
    """The value of an expression that only a run of the client knows."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = UnknownValue()


@dataclass(frozen=True)
class Attribute:
    """`name = expression`, and where the expression is."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class ParsedBlock:
    """`type "label" { body }`, and where its body is."""

    type: str
    labels: tuple[str, ...]
    start: int
    end: int


#: Brackets within brackets, and parts of one value.
DEEPEST, LARGEST_VALUE = 100, 50_000
#: The value of a reference such as `local.name`, by its parts; UNKNOWN if it is not known.
Lookup = Callable[[Sequence[str]], Any]
#: By name: a function of static or unknown arguments.
Functions = Mapping[str, Callable[[list[Any]], Any]]

_IDENTIFIER = re.compile(r"[^\W\d][\w-]*")
_BLANKS = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BLANKS_OF_LINE = re.compile(r"(?:[ \t\r]+|/\*.*?\*/)*", re.DOTALL)
_COMMENT = r"#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)"
_HEREDOC = r"<<-?(?P<tag>[^\W\d][\w-]*)\r?\n"
#: A string without templates and escapes, as most are, is passed over at once.
_SIMPLE = r'"[^"\\$%\n]*"'
_SIMPLE_LABEL = re.compile(r'"([^"\\$%\n]*)"')
_IN_BLOCK = re.compile(rf'{_SIMPLE}|["{{}}]|{_COMMENT}|{_HEREDOC}', re.DOTALL)
_IN_EXPRESSION = re.compile(rf'{_SIMPLE}|["{{}}()\[\],\n]|{_COMMENT}|{_HEREDOC}', re.DOTALL)
_IN_STRING = re.compile(r'\\.|\$\$\{|%%\{|[$%]\{|["\n]', re.DOTALL)
_IN_HEREDOC = re.compile(r"\$\$\{|%%\{|[$%]\{|\n")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt\"\\]))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_PART = re.compile(r"\.([^\W\d][\w-]*)|\[\s*\"([^\"\\$%]*)\"\s*\]")
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_OPENING_HEREDOC = re.compile(_HEREDOC)
_MARKERS: dict[str, re.Pattern[str]] = {}


class _Heredoc:
    """A heredoc that is being read; its end is a line with nothing but its tag."""

    def __init__(self, tag: str) -> None:
        self.is_line_start = True
        self.end = _MARKERS.setdefault(tag, re.compile(rf"[ \t\f\v]*{re.escape(tag)}[ \t\r\f\v]*(?=\n|\Z)"))


class Hcl:
    """A text in HCL's native syntax."""

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")

    def items(self, start: int = 0, end: int | None = None) -> Iterator[Attribute | ParsedBlock]:
        """What is in a body. Raises Unparsable where the text stops being HCL."""
        text, at = self.text, start
        end = len(text) if end is None else end
        while True:
            at = self._skip(_BLANKS, at)
            if at >= end:
                return
            name, at = self._name(at)
            at = self._skip(_BLANKS_OF_LINE, at)
            if text.startswith("=", at) and not text.startswith("==", at):
                stop = self._end_of_expression(at + 1, "\n}")
                yield Attribute(name, at + 1, stop)
                at = stop
                continue
            labels = []
            while not text.startswith("{", at):
                label, at = self._label(at)
                labels.append(label)
                at = self._skip(_BLANKS_OF_LINE, at)
            stop = self._end_of_brackets(at, _IN_BLOCK)
            yield ParsedBlock(name, tuple(labels), at + 1, stop - 1)
            at = stop

    def blocks(self, type_: str, start: int = 0, end: int | None = None) -> Iterator[ParsedBlock]:
        for item in self.items(start, end):
            if isinstance(item, ParsedBlock) and item.type == type_:
                yield item

    def line_of(self, name: str, start: int = 0, end: int | None = None) -> int | None:
        """The line of an attribute of a body; None if it has none of this name."""
        found = (each.start for each in self.items(start, end) if isinstance(each, Attribute) and each.name == name)
        at = next(found, None)
        return None if at is None else self.text.count("\n", 0, at) + 1

    def attributes(self, start: int, end: int, evaluated: Evaluator) -> dict[str, Any]:
        """The values of a body; a nested block is there as a list of what is in it, one for each."""
        values: dict[str, Any] = {}
        for item in self.items(start, end):
            if isinstance(item, Attribute):
                values[item.name] = evaluated.value(item.start, item.end)
            else:
                inner = self.attributes(item.start, item.end, evaluated)
                for label in reversed(item.labels):
                    inner = {label: inner}
                before = values.get(item.type)
                values[item.type] = [*(before if isinstance(before, list) else []), inner]
        return values

    def unparsable(self, at: int) -> Unparsable:
        return Unparsable(f"line {self.text.count(chr(10), 0, at) + 1} is not HCL that can be read")

    def _name(self, at: int) -> tuple[str, int]:
        matched = _IDENTIFIER.match(self.text, at)
        if not matched:
            raise self.unparsable(at)
        return matched[0], matched.end()

    def _label(self, at: int) -> tuple[str, int]:
        if not self.text.startswith('"', at):
            return self._name(at)
        if simple := _SIMPLE_LABEL.match(self.text, at):
            return simple[1], simple.end()
        end = self._end_of_brackets(at, _IN_BLOCK)
        value = Evaluator(self).value(at, end)
        return value if isinstance(value, str) else PLACEHOLDER, end

    def _skip(self, what: re.Pattern[str], at: int) -> int:
        matched = what.match(self.text, at)
        return matched.end() if matched else at

    def _end_of_expression(self, at: int, stops: str) -> int:
        """Where an expression ends: at one of the stops that is outside of every bracket of it, or with the text."""
        while True:
            matched = _IN_EXPRESSION.search(self.text, at)
            if not matched:
                return len(self.text)
            token = matched[0]
            if token in stops:
                return matched.start()
            if token == '"' or token in _CLOSING or matched["tag"]:
                at = self._end_of_brackets(matched.start(), _IN_EXPRESSION)
            elif token in ")]}":
                raise self.unparsable(matched.start())
            else:
                at = matched.end()

    def _end_of_brackets(self, start: int, in_code: re.Pattern[str]) -> int:
        """After the bracket, string or heredoc that begins here, with all that is in it."""
        text, at = self.text, start
        stack: list[str | _Heredoc] = []
        while True:
            top = stack[-1] if stack else None
            if isinstance(top, _Heredoc):
                at = self._in_heredoc(top, at, stack, start)
            elif top == '"':
                at = self._in_string(at, stack, start)
            else:
                matched = in_code.search(text, at)
                if not matched:
                    raise self.unparsable(start)
                token, at = matched[0], matched.end()
                if matched["tag"]:
                    stack.append(_Heredoc(matched["tag"]))
                elif token == '"' or token in _CLOSING:
                    if len(stack) > DEEPEST:
                        raise Unparsable("it is nested deeper than any Terraform")
                    stack.append(_CLOSING.get(token, token))
                elif token in ("}", "]", ")") and (not stack or stack.pop() != token):
                    raise self.unparsable(matched.start())
            if not stack:
                return at

    def _in_string(self, at: int, stack: list[str | _Heredoc], start: int) -> int:
        matched = _IN_STRING.search(self.text, at)
        if not matched or matched[0] == "\n":
            raise self.unparsable(start)
        if matched[0] == '"':
            stack.pop()
        elif matched[0] in ("${", "%{"):
            stack.append("}")
        return matched.end()

    def _in_heredoc(self, heredoc: _Heredoc, at: int, stack: list[str | _Heredoc], start: int) -> int:
        ended = heredoc.end.match(self.text, at) if heredoc.is_line_start else None
        if ended:
            stack.pop()
            return ended.end()
        matched = _IN_HEREDOC.search(self.text, at)
        if not matched:
            raise self.unparsable(start)
        heredoc.is_line_start = matched[0] == "\n"
        if matched[0] in ("${", "%{"):
            stack.append("}")
        return matched.end()


def _nothing(_parts: Sequence[str]) -> Any:
    return UNKNOWN


class Evaluator:
    """The values of the expressions of a text, as far as they are static."""

    def __init__(self, hcl: Hcl, lookup: Lookup = _nothing, functions: Functions | None = None) -> None:
        self._hcl, self._text = hcl, hcl.text
        self._lookup, self._functions = lookup, functions or {}

    def value(self, start: int, end: int) -> Any:
        """A str may hold PLACEHOLDER; anything may be UNKNOWN, or hold it. Raises Unparsable."""
        at = self._blanks(start)
        if at >= end:
            raise self._hcl.unparsable(start)
        value, at = self._primary(at, end)
        return value if self._blanks(at) >= end else UNKNOWN

    def template(self, text: str) -> Any:
        """The value of a whole text that is a template, as of `templatefile`."""
        return Evaluator(Hcl(text), self._lookup, self._functions)._parts(0, len(text), None)

    def _blanks(self, at: int) -> int:
        return self._hcl._skip(_BLANKS, at)

    def _primary(self, at: int, end: int) -> tuple[Any, int]:
        text = self._text
        if simple := _SIMPLE_LABEL.match(text, at):
            return simple[1], simple.end()
        if text[at] == '"':
            stop = self._hcl._end_of_brackets(at, _IN_EXPRESSION)
            return self._parts(at + 1, stop - 1, _ESCAPE), stop
        if opening := _OPENING_HEREDOC.match(text, at):
            stop = self._hcl._end_of_brackets(at, _IN_EXPRESSION)
            return self._heredoc(opening, stop), stop
        if text[at] in _CLOSING:
            stop = self._hcl._end_of_brackets(at, _IN_EXPRESSION)
            read = {"{": self._object, "[": self._tuple, "(": self.value}[text[at]]
            return read(at + 1, stop - 1), stop
        if number := _NUMBER.match(text, at):
            return _number(number[0]), number.end()
        name = _IDENTIFIER.match(text, at)
        if not name:
            return UNKNOWN, end
        if name[0] in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[name[0]], name.end()
        if text.startswith("(", name.end()):
            stop = self._hcl._end_of_brackets(name.end(), _IN_EXPRESSION)
            function = self._functions.get(name[0])
            return (function(self._tuple(name.end() + 1, stop - 1)) if function else UNKNOWN), stop
        return self._reference(name[0], name.end(), end)

    def _reference(self, root: str, at: int, end: int) -> tuple[Any, int]:
        parts = [root]
        while at < end and (part := _PART.match(self._text, at)):
            parts.append(part[1] or part[2] or "")
            at = part.end()
        return self._lookup(parts), at

    def _tuple(self, at: int, end: int) -> Any:
        if self._is_for(at):
            return UNKNOWN
        values = []
        while (at := self._blanks(at)) < end:
            stop = min(self._hcl._end_of_expression(at, ",)]}"), end)
            values.append(self.value(at, stop))
            at = stop + 1
        return values

    def _is_for(self, at: int) -> bool:
        name = _IDENTIFIER.match(self._text, self._blanks(at))
        return bool(name and name[0] == "for")

    def _object(self, at: int, end: int) -> Any:
        values: dict[str, Any] = {}
        if self._is_for(at):
            return UNKNOWN
        while (at := self._blanks(at)) < end:
            if self._text[at] == ",":
                at += 1
                continue
            key, at = self._key(at, end)
            at = self._blanks(at)
            if self._text[at : at + 1] not in ("=", ":"):
                return UNKNOWN
            stop = min(self._hcl._end_of_expression(self._blanks(at + 1), ",\n}"), end)
            value = self.value(at + 1, stop)
            if not isinstance(key, str) or PLACEHOLDER in key:
                return UNKNOWN
            values[key] = value
            at = stop
        return values

    def _key(self, at: int, end: int) -> tuple[Any, int]:
        name = _IDENTIFIER.match(self._text, at)
        return (name[0], name.end()) if name else self._primary(at, end)

    def _parts(self, at: int, end: int, escapes: re.Pattern[str] | None) -> Any:
        """A template: its text, with the values of what is interpolated; UNKNOWN with directives."""
        text, parts = self._text, []
        pattern = _IN_STRING if escapes else _IN_HEREDOC
        while at < end:
            matched = pattern.search(text, at, end)
            parts.append(text[at : matched.start() if matched else end])
            if not matched:
                break
            token, at = matched[0], matched.end()
            if token in ("$${", "%%{"):
                parts.append(token[1:])
            elif token == "%{" or (token == "${" and text.startswith("~", at)):
                return UNKNOWN
            elif token == "${":
                stop = self._hcl._end_of_brackets(at - 1, _IN_EXPRESSION)
                if text[stop - 2] == "~":
                    return UNKNOWN
                parts.append(_text_of(self.value(at, stop - 1)))
                at = stop
            elif token == "\n":
                parts.append(token)
            else:
                escape = escapes.match(text, matched.start()) if escapes else None
                if not escape:
                    raise self._hcl.unparsable(matched.start())
                parts.append(_unescaped(escape))
                at = escape.end()
        return "".join(parts)

    def _heredoc(self, opening: re.Match[str], stop: int) -> Any:
        last_line = self._text.rfind("\n", 0, stop) + 1
        value = self._parts(opening.end(), last_line, None)
        if not isinstance(value, str):
            return value
        value = value.replace("\r\n", "\n")
        return _flushed(value) if opening[0].startswith("<<-") else value


def _flushed(text: str) -> str:
    lines = text.splitlines(keepends=True)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    width = min(indents, default=0)
    return "".join(line[width:] if line.strip() else line.lstrip(" \t") for line in lines)


def _number(text: str) -> Any:
    return int(text) if text.lstrip("-").isdigit() else UNKNOWN


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if not code:
        return _ESCAPED[escape[3]]
    point = int(code, 16)
    return chr(point) if point < 0x110000 else PLACEHOLDER


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else PLACEHOLDER


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its members, also those of one name."""


def json_value(text: str) -> Any:
    """JSON whose objects are Pairs. Raises Unparsable."""
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=Pairs)
    except (ValueError, RecursionError) as error:
        raise Unparsable(f"it is not JSON: {error}") from None


def members(value: Any, name: str) -> Iterator[Any]:
    """The bodies under a name in a JSON body, which is an object or a list of them, as the bodies are themselves."""
    for body in value if isinstance(value, list) and not isinstance(value, Pairs) else [value]:
        for key, each in body if isinstance(body, Pairs) else ():
            if key == name:
                yield from each if isinstance(each, list) and not isinstance(each, Pairs) else [each]


def labelled(value: Any) -> Iterator[tuple[str, Any]]:
    """The blocks of one label in a JSON body."""
    for body in value if isinstance(value, list) and not isinstance(value, Pairs) else [value]:
        for key, each in body if isinstance(body, Pairs) else ():
            for one in each if isinstance(each, list) and not isinstance(each, Pairs) else [each]:
                yield key, one


def plain(value: Any, read: Callable[[str], Any] = lambda text: text) -> Any:
    """JSON as Python's dicts and lists, its strings as `read` makes them."""
    if isinstance(value, Pairs):
        return {key: plain(each, read) for key, each in value}
    if isinstance(value, list):
        return [plain(each, read) for each in value]
    return read(value) if isinstance(value, str) else UNKNOWN if isinstance(value, float) else value


def small(value: Any) -> Any:
    """UNKNOWN for what is made of so many parts that nobody wrote it: references to references double each time."""
    return value if _parts_of(value, LARGEST_VALUE) >= 0 else UNKNOWN


def _parts_of(value: Any, left: int) -> int:
    """What is left of a number after the parts of a value are taken from it, or less than nothing."""
    if isinstance(value, str):
        return left - len(value) // 100 - 1
    left -= 1
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        if left < 0:
            return left
        left = _parts_of(each, left)
    return left


def is_known(value: Any) -> bool:
    """Whether nothing in it waits for a run of the client."""
    if isinstance(value, dict):
        return all(is_known(each) for each in value.values())
    if isinstance(value, list):
        return all(is_known(each) for each in value)
    return not isinstance(value, UnknownValue) and not (isinstance(value, str) and PLACEHOLDER in value)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python values as Terraform text, in the form that `terraform fmt` leaves alone, and where the blocks of a text are.

Pure: no I/O. Source: https://developer.hashicorp.com/terraform/language/style
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from textwrap import indent

from .._core.provider import Block, Json, Reference, Value

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# As bare object keys these are read as an expression, not as a name.
_KEYWORDS = frozenset({"for", "true", "false", "null"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def hcl_text(attributes: Mapping[str, Value], blocks: tuple[Block, ...] = (), comment: str = "") -> str:
    """A whole file, newline at its end; `comment` becomes the `#` lines on top.

    Raises ValueError for a name or label that is no identifier, TypeError for a value that HCL has no words for.
    """
    heading = "".join(f"# {line}\n" for line in comment.splitlines())
    return "\n".join(filter(None, (heading, _body(attributes, blocks))))


def _body(attributes: Mapping[str, Value], blocks: tuple[Block, ...]) -> str:
    assignments = _assignments([(_identifier(name), value) for name, value in attributes.items()])
    return "\n".join(filter(None, (assignments, *map(_block, blocks))))


def _block(block: Block) -> str:
    # `terraform fmt` garbles a label that needs escapes, and Terraform takes only names there.
    head = " ".join((_identifier(block.type), *(f'"{_identifier(label)}"' for label in block.labels)))
    body = _body(block.attributes, block.blocks)
    return f"{head} {{\n{indent(body, '  ')}}}\n" if body else f"{head} {{}}\n"


def _assignments(items: list[tuple[str, Value]]) -> str:
    """A line or more for each name; `=` is aligned over runs of single lines, and a longer value ends the run."""
    expressions = [(name, _expression(value)) for name, value in items]
    lines = []
    for is_single_line, run in groupby(expressions, key=lambda item: "\n" not in item[1]):
        members = list(run)
        width = max(len(name) for name, _text in members) if is_single_line else 0
        lines += [f"{name:{width}} = {text}\n" if width else f"{name} = {text}\n" for name, text in members]
    return "".join(lines)


def _expression(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Reference):
        return _reference(value.text)
    if isinstance(value, Json):
        return f"jsonencode({_expression(value.value)})"
    if isinstance(value, list):
        return _tuple([_expression(element) for element in value])
    if isinstance(value, dict):
        return _object(value)
    raise TypeError(
        f"{value!r} is a {type(value).__name__}; HCL text is made of str, bool, int, list, dict and references"
    )


def _tuple(elements: list[str]) -> str:
    if any("\n" in element for element in elements):
        return "[\n" + "".join(indent(f"{element},\n", "  ") for element in elements) + "]"
    return "[" + ", ".join(elements) + "]"


def _object(value: dict[str, Value]) -> str:
    if not value:
        return "{}"
    return "{\n" + indent(_assignments([(_object_key(name), member) for name, member in value.items()]), "  ") + "}"


def _object_key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) and name not in _KEYWORDS else _quoted(name)


def _identifier(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an attribute or block; letters, digits, _ and - can, no digit first")
    return name


def _reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError(f"{text!r} is no reference; names joined by dots are")
    return text


def _quoted(text: str) -> str:
    escaped = "".join(_ESCAPES.get(character) or _ascii(character) for character in text)
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


def _ascii(character: str) -> str:
    """Printable ASCII as it is, all else by number: then width, line ends and encoding can't surprise anyone."""
    if " " <= character <= "~":
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


_IN_CODE = re.compile(
    r'#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)|<<-?(?P<tag>[A-Za-z_][\w-]*)|["{}\n]|[A-Za-z_][\w-]*', re.DOTALL
)
_IN_STRING = re.compile(r'\\.|\$\$\{|%%\{|[$%]\{|["\n]', re.DOTALL)


def blocks_in(text: str, name: str) -> Iterator[str]:
    """The top-level blocks of this name; one that never ends goes to the end of the text."""
    stack: list[str] = []
    position = start = 0
    word = ""
    while match := (_IN_STRING if stack[-1:] == ['"'] else _IN_CODE).search(text, position):
        token, position = match[0], match.end()
        if token.startswith("<<") and match["tag"]:
            end = re.compile(rf"^[ \t]*{match['tag']}[ \t]*$", re.MULTILINE).search(text, position)
            position = end.end() if end else len(text)
        elif stack[-1:] == ['"'] and token in ('"', "\n"):  # no string goes over a line
            stack.pop()
        elif token in ('"', "{", "${", "%{"):
            stack.append('"' if token == '"' else "{")
        elif token == "}" and stack:
            stack.pop()
            if not stack and word == name:
                yield text[start:position]
        elif token == "\n" and not stack:
            word = ""
        elif not stack and not word and token[0] not in "#/}":
            word, start = token, match.start()
    if stack and word == name:
        yield text[start:]

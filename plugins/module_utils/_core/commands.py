# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands for a user to paste, and which text is safe in them. Pure.

Quoting protects the shell, but Ansible templates `-e` and `-a` with Jinja after the shell is done, and nothing quotes
for both. So a word stands in a command only if every character of it is harmless everywhere. What is not is given in
another form (a key percent-encoded, a lock by its hash), or no command is printed.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from .printable import is_printable

#: A word of a command: text, or what becomes one argument of JSON.
Word: TypeAlias = "str | Mapping[str, Any] | Sequence[Any]"

#: Printed where a word is not harmless and has no other form.
NO_COMMAND = "# No command is printed: a name in it has characters that may run as code. See docs/audit.md"

#: Besides letters and digits. Neither braces, quotes, backslashes nor `$`, and nothing that begins or ends a command.
_MARKS = frozenset(" _./:@=+,~%-*?[]")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@=+,-]*")
#: As many bytes as S3 lets a key have.
_LONGEST = 1024
#: What none of our notes needs: in a zsh, `#` begins no comment, and the note is read as words.
_NEVER_IN_NOTES = frozenset("$`;&|<>\\!'")
#: In a percent-encoded key.
_UNENCODED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/")


def is_plain(text: str) -> bool:
    """Whether it is a word that needs no quotes, wherever a person pastes it."""
    return len(text) <= _LONGEST and bool(_PLAIN.fullmatch(text))


def is_harmless(text: str) -> bool:
    """Whether it is only text to a shell within quotes, to Jinja, YAML and JSON.

    YAML reads the pairs of escapes that JSON has for letters past U+FFFF as something else.
    """
    is_known = all(each in _MARKS or (each.isalnum() and each < "\U00010000") for each in text)
    return is_known and len(text) <= _LONGEST and is_printable(text)


def command(*words: Word, note: str = "", into: str = "") -> str:
    """A line for a POSIX shell; the note is a comment in it. NO_COMMAND where a word is not harmless."""
    if not all(is_harmless(text) for word in words for text in _texts(word)):
        return NO_COMMAND
    line = shlex.join(word if isinstance(word, str) else json.dumps(word) for word in words)
    return line + (f" > {shlex.quote(into)}" if into else "") + _comment(note)


def edit(path: str, note: str) -> str:
    """Opens a file of the code: its name is only quoted, as nothing but the shell reads it."""
    if not is_printable(path):
        return NO_COMMAND
    file = f"./{path}" if path[:1] in ("-", "+") else path  # not an option of the editor
    return f"${{EDITOR:-vi}} {shlex.quote(file)}{_comment(note)}"


def in_note(value: object) -> str:
    """A value as part of a note; the finding has those that are not safe there."""
    return str(value) if is_plain(str(value)) else "..."


def percent_encoded(text: str) -> str:
    """As in a URL; slashes stay."""
    encoded = text.encode("utf-8", "surrogatepass")
    return "".join(chr(each) if each in _UNENCODED else f"%{each:02X}" for each in encoded)


def is_note(text: str) -> bool:
    """Whether it can be part of a comment."""
    return is_printable(text) and _NEVER_IN_NOTES.isdisjoint(text)


def _comment(note: str) -> str:
    return f"  # {note}" if note and is_note(note) else ""


def _texts(word: Any) -> Iterator[str]:
    """Every text in a word, the names of members among them."""
    if isinstance(word, str):
        yield word
    elif isinstance(word, Mapping):
        for name, value in word.items():
            yield str(name)
            yield from _texts(value)
    elif isinstance(word, Sequence):
        for value in word:
            yield from _texts(value)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state as it comes in, piece by piece, so that one of any size takes little memory.

Source: internal/states/statefile of Terraform, internal/encryption of OpenTofu.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

#: What Terraform and OpenTofu write today; they still read, and then upgrade, the versions before it.
CURRENT = 4
#: In what is wrong with a state of a later version.
NEWER = "a newer client wrote it"
#: The versions before it, whose resources lie in modules.
OLD = (1, 2, 3)
#: So much of a state lies in memory at once, at most: one resource, or one value of the top level.
LARGEST_VALUE = 32 * 1024 * 1024
CUT_OFF = "it is cut off, or not JSON"
_BLANKS = re.compile(r"[ \t\r\n]*")
_END_OF_TEXT = re.compile(r'["\\]')
#: So many bytes tell whether a state can begin with them, after blanks.
BEGINNING = 64
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK_BYTES = b" \t\r\n"
#: What follows the first byte of a character in UTF-8.
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
#: No JSON has control characters but blanks.
_NEVER_IN_COMPACT = re.compile(rb"[\x00-\x1f]")
_NEVER_IN_LINES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\n[\[\]{}]")
#: The beginning of states before version 1, which no client of today reads.
_MAGIC = b"tfstate"
#: The members that states of all versions have, and what OpenTofu encrypts.
_STATE_MEMBERS = frozenset(
    {
        *("version", "terraform_version", "serial", "lineage", "outputs", "resources", "check_results"),
        *("modules", "remote", "backend"),
        *("meta", "encrypted_data", "encryption_version"),
    }
)
#: Those that tell a state from other JSON.
_TELLING = ("version", "terraform_version", "serial", "lineage", "encryption_version")


@dataclass(frozen=True)
class Document:
    """What a state says about itself; None for what it does not say, or what was not read."""

    lineage: str | None
    serial: int | None
    terraform_version: str | None
    #: Instances of managed resources, and of data sources.
    resources: int | None = None
    data_resources: int | None = None
    outputs: int | None = None
    is_encrypted: bool = False
    #: 1 to 4; None where it is encrypted.
    version: int | None = None

    @property
    def is_bare(self) -> bool:
        """It does not tell where it stands in its history."""
        return None in (self.lineage, self.serial)


@dataclass(frozen=True)
class UnreadableState:
    """Why bytes are no state that a client would take."""

    reason: str
    #: They are certainly something else, and no damaged state.
    is_other: bool = False
    #: They may be one: it was too large to tell.
    is_unjudged: bool = False


class _Broken(Exception):
    """The text cannot be read on, and why."""


def may_begin_state(head: bytes | bytearray) -> bool:
    """Whether a state can begin with these bytes, even one that no client reads any more or that another tool wrote."""
    text = bytes(head).lstrip()
    for mark in _BYTE_ORDER_MARKS:
        if text.startswith(mark):
            text = text.removeprefix(mark).lstrip(b" \t\r\n\0")
    return text.startswith(b"{") or _MAGIC.startswith(text[: len(_MAGIC)])


def may_end_state(head: bytes, tail: bytes) -> bool:
    """Whether a state that begins with these bytes can end with those, as clients write it.

    In an indented state, only its end begins a line with a bracket; in another one there is no line break. One that
    differs need not be damaged: whoever needs to know has to read all of it.
    """
    begin, text = head.lstrip(_BLANK_BYTES), tail.rstrip(_BLANK_BYTES)
    try:
        text.lstrip(_CONTINUATION_BYTES).decode()
    except UnicodeDecodeError:
        return False
    if begin[1:2] not in (b"\n", b"\r"):
        return text.endswith(b"}") and not _NEVER_IN_COMPACT.search(text)
    return text.endswith(b"\n}") and not _NEVER_IN_LINES.search(text[:-1])


class Reading:
    """A state that comes in piece by piece: no more of it is kept than its largest resource.

    `visit` is shown each resource of the current version, and shall keep no value of it.
    """

    def __init__(self, visit: Callable[[Mapping[str, Any]], object] = lambda _resource: None) -> None:
        self._visit = visit
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text, self._at, self._before = "", 0, 0
        self._is_whole, self._head, self._last = False, b"", b""
        self._members: dict[str, Any] = {}
        #: The telling members, whatever the case of their names: Go takes them in any.
        self._telling: dict[str, Any] = {}
        self._counts = {"managed": 0, "data": 0}
        self._problem: str | None = None
        self._is_unjudged = False
        #: It has members that no state has; something follows its end.
        self._has_others = self._is_followed = False
        #: The lists of resources and modules that hold something else.
        self._odd: set[str] = set()
        #: Where serials lie in the text, from its first character.
        self.serials: list[tuple[int, int]] = []
        self._steps: Generator[None, None, None] | None = self._document()

    def feed(self, piece: bytes) -> None:
        if len(self._head) < BEGINNING:
            self._head = (self._head + piece).lstrip()[:BEGINNING]
        self._last = piece[-64:].strip()[-1:] or self._last
        if self._steps:
            self._before += self._at
            self._text, self._at = self._text[self._at :] + self._decode(piece, self._is_whole), 0
            self._advance()

    def end(self) -> Document | UnreadableState:
        """After the last piece."""
        self._is_whole = True
        self.feed(b"")
        return self._found()

    def so_far(self) -> Document | UnreadableState | None:
        """Before the last piece."""
        version = self._members.get("version")
        is_told = {"lineage", "serial"} <= self._members.keys() and (
            "modules" in self._members if version in OLD else version is not None
        )
        found = self._found() if self._problem or is_told or self._is_encrypted else None
        if isinstance(found, Document):
            return replace(found, resources=None, data_resources=None, outputs=None)
        return found

    def _advance(self) -> None:
        try:
            if self._steps:
                next(self._steps)
        except StopIteration:
            self._steps = None
        except RecursionError:
            self._problem, self._steps = "it is nested deeper than any state", None
        except _Broken as broken:
            self._problem, self._steps = str(broken), None

    @property
    def _is_encrypted(self) -> bool:
        members = self._members
        if not members.get("encrypted_data"):
            return False
        is_begun = not self._is_whole and {"meta", "lineage", "serial"} <= members.keys()
        return is_begun or bool(_text(members.get("encryption_version")))

    @property
    def _is_other(self) -> bool:
        """Whether JSON is certainly something else, as far as it was read.

        A lineage tells a state, and so do two of version, serial and client. With a version alone it is one if it has
        nothing that no state has.
        """
        telling = self._telling
        marks = ("version" in telling) + ("terraform_version" in telling) + (_number(telling.get("serial")) is not None)
        is_sealed = _text(telling.get("encryption_version")) is not None or self._members.get("encrypted_data")
        if "lineage" in telling or marks > 1 or (is_sealed and "meta" in self._members):
            return False
        return self._has_others or _number(telling.get("version")) is None

    def _found(self) -> Document | UnreadableState:
        members = self._members
        if self._problem:
            is_other = not may_begin_state(self._head) or (self._is_followed and self._has_others and self._is_other)
            return UnreadableState(self._problem, is_other, self._is_unjudged)
        if self._is_encrypted:
            return Document(_text(members.get("lineage")), _number(members.get("serial")), None, is_encrypted=True)
        reason = self._reason()
        if reason:
            return UnreadableState(reason, self._is_other)
        version = members["version"]
        lineage, serial = _text(members.get("lineage")), _number(members.get("serial"))
        written_by = _text(members.get("terraform_version"))
        counts = self._counts
        return Document(
            lineage, serial, written_by, counts["managed"], counts["data"], members.get("outputs", 0), version=version
        )

    def _reason(self) -> str | None:
        """Why no client takes the JSON for a state."""
        members = self._members
        version = _number(members.get("version"))
        if version is None:
            lacks = "its version is no whole number" if "version" in members else "it has no version"
            return f"it is JSON, but no state: {lacks}"
        if not 1 <= version <= CURRENT:
            newer = f": {NEWER}" if version > CURRENT else ""
            return f"it has version {version}, and states of today have {CURRENT}{newer}"
        if ("modules" if version in OLD else "resources") in self._odd:
            return "it is JSON, but no state: its resources are none"
        if version in OLD and not self._has_modules:
            return "it is JSON, but no state: it has no modules"
        if version == CURRENT and (_number(members.get("serial")) is None or _text(members.get("lineage")) is None):
            return "it is JSON, but no state: it has no lineage or no serial"
        return None

    @property
    def _has_modules(self) -> bool:
        """Before version 4. An empty list of other JSON is none."""
        return "modules" in self._members and (self._members["modules"] > 0 or not self._is_other)

    # The grammar, as a generator that yields where it needs more text.

    def _document(self) -> Generator[None, None, None]:
        if not (yield from self._takes("{")):
            raise _Broken("it is not JSON" if self._last else "it is empty")
        if (yield from self._takes("}")):
            yield from self._nothing_else()
            return
        while True:
            name = yield from self._value()
            if not isinstance(name, str) or not (yield from self._takes(":")):
                raise _Broken("it is not JSON")
            yield from self._member(name)
            if not (yield from self._takes(",")):
                break
        if not (yield from self._takes("}")):
            raise self._cut_off()
        yield from self._nothing_else()

    def _member(self, name: str) -> Generator[None, None, None]:
        folded = name.casefold()
        self._has_others = self._has_others or folded not in _STATE_MEMBERS
        if name == "encrypted_data" and (yield from self._takes('"')):
            self._members[name] = True
            yield from self._rest_of_text()
            return
        if name in ("resources", "modules") and (yield from self._takes("[")):
            self._members[name] = 0
            yield from self._resources(name)
            return
        yield from self._blanks()
        start = self._before + self._at
        value = yield from self._value()
        if folded == "serial":  # Go takes the name of a member in any case
            self.serials.append((start, self._before + self._at))
        if name == "outputs":
            value = len(value) if isinstance(value, dict) else 0
        if folded in _TELLING:
            self._telling[folded] = value
        if name in _TELLING or name == "outputs":
            self._members[name] = value
        if name == "meta":
            self._members[name] = True

    def _resources(self, name: str) -> Generator[None, None, None]:
        if (yield from self._takes("]")):
            return
        while True:
            self._count(name, (yield from self._value()))
            if not (yield from self._takes(",")):
                break
        if not (yield from self._takes("]")):
            raise self._cut_off()

    def _count(self, name: str, value: Any) -> None:
        if not isinstance(value, dict) or (name == "modules" and not _is_module(value)):
            self._odd.add(name)
            return
        self._members[name] += 1
        if name == "resources":
            self._counts["data" if value.get("mode") == "data" else "managed"] += len(_list(value.get("instances")))
            self._visit(value)
            return
        held = value.get("resources")
        for address in held if isinstance(held, dict) else ():  # before version 4, by address, in modules
            self._counts["data" if address.startswith("data.") else "managed"] += 1

    def _value(self) -> Generator[None, None, Any]:
        yield from self._blanks()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if self._is_whole or self._text[end : end + 1] not in _NUMBER_GOES_ON:
                    self._at = end
                    return value
            except ValueError:
                if self._is_whole:
                    raise self._cut_off() from None
            enough = 2 * (len(self._text) - self._at)  # so that what is long is not tried too often
            if enough > LARGEST_VALUE:
                self._is_unjudged = True
                raise _Broken(f"it is too large to judge: it holds a value of more than {LARGEST_VALUE // 1048576} MiB")
            while len(self._text) - self._at < enough and not self._is_whole:
                yield

    def _rest_of_text(self) -> Generator[None, None, None]:
        """Passes over a text of any length: none of it is kept."""
        while True:
            found = _END_OF_TEXT.search(self._text, self._at)
            if found and found[0] == '"':
                self._at = found.end()
                return
            if found and found.end() < len(self._text):
                self._at = found.end() + 1  # what follows a backslash
                continue
            self._at = found.start() if found else len(self._text)
            if self._is_whole:
                raise self._cut_off()
            yield

    def _takes(self, character: str) -> Generator[None, None, bool]:
        yield from self._blanks()
        found = self._text.startswith(character, self._at)
        self._at += found
        return found

    def _blanks(self) -> Generator[None, None, None]:
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text) or self._is_whole:
                return
            yield

    def _nothing_else(self) -> Generator[None, None, None]:
        yield from self._blanks()
        if self._at < len(self._text):
            self._is_followed = True
            raise _Broken("it is not JSON: something follows its end")

    def _cut_off(self) -> _Broken:
        """What is left of a state that was cut short seldom ends as a state does."""
        return _Broken("it is not JSON" if self._last == b"}" else CUT_OFF)


#: What follows a number that is not all there.
_NUMBER_GOES_ON = ("", ".", "e", "E")


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and the like, which Go does not take


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=str)


def _is_module(value: Mapping[str, Any]) -> bool:
    """Whether it is a module of a state before version 4, whose path may be missing."""
    return isinstance(value.get("path"), list) or any(
        isinstance(value.get(name), dict) for name in ("resources", "outputs")
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

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
#: So much of a state lies in memory at once, at most: one resource, or one value of the top level.
LARGEST_VALUE = 32 * 1024 * 1024
CUT_OFF = "it is cut off, or not JSON"
_BLANKS = re.compile(r"[ \t\r\n]*")


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
    #: They do not even begin as one.
    is_foreign: bool = False
    #: They may be one: it was too large to tell.
    is_unjudged: bool = False
    #: They are JSON of something else.
    is_other: bool = False


class _Broken(Exception):
    """The text cannot be read on, and why."""


class Reading:
    """A state that comes in piece by piece: no more of it is kept than its largest resource.

    `visit` is shown each resource of the current version, and shall keep no value of it.
    """

    def __init__(self, visit: Callable[[Mapping[str, Any]], object] = lambda _resource: None) -> None:
        self._visit = visit
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text, self._at, self._before = "", 0, 0
        self._is_whole, self._last = False, b""
        self._members: dict[str, Any] = {}
        self._counts = {"managed": 0, "data": 0}
        self._problem: str | None = None
        self._is_foreign = self._is_unjudged = False
        #: Where serials lie in the text, from its first character.
        self.serials: list[tuple[int, int]] = []
        self._steps: Generator[None, None, None] | None = self._document()

    def feed(self, piece: bytes) -> None:
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
        is_told = {"lineage", "serial"} <= self._members.keys() and "version" in self._members
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
        return "encrypted_data" in self._members

    def _found(self) -> Document | UnreadableState:
        members = self._members
        version = members.get("version")
        if self._problem:
            return UnreadableState(self._problem, self._is_foreign, self._is_unjudged)
        if self._is_encrypted and self._is_whole and self._last != b"}":
            return UnreadableState(CUT_OFF)
        if self._is_encrypted:
            return Document(_text(members.get("lineage")), _number(members.get("serial")), None, is_encrypted=True)
        if _number(version) is None or not 1 <= int(str(version)) <= CURRENT:
            return UnreadableState(
                "it is JSON, but no state: it has no version"
                if version is None
                else f"it has version {version!r}, and states of today have {CURRENT}: a newer client wrote it",
                is_other=version is None and "lineage" not in members,
            )
        lineage, serial = _text(members.get("lineage")), _number(members.get("serial"))
        if version == CURRENT and (serial is None or lineage is None):
            return UnreadableState("it is JSON, but no state: it has no lineage or no serial")
        written_by = _text(members.get("terraform_version"))
        counts = self._counts
        return Document(
            lineage, serial, written_by, counts["managed"], counts["data"], members.get("outputs", 0), version=version
        )

    # The grammar, as a generator that yields where it needs more text.

    def _document(self) -> Generator[None, None, None]:
        if not (yield from self._takes("{")):
            self._is_foreign = bool(self._last)
            raise _Broken("it is not JSON" if self._last else "it is empty")
        if (yield from self._takes("}")):
            return
        while True:
            name = yield from self._value()
            if not isinstance(name, str) or not (yield from self._takes(":")):
                raise _Broken("it is not JSON")
            yield from self._member(name)
            if self._is_encrypted:  # all that it says has come, and what is left is one long string
                return
            if not (yield from self._takes(",")):
                break
        if not (yield from self._takes("}")):
            raise self._cut_off()
        yield from self._nothing_else()

    def _member(self, name: str) -> Generator[None, None, None]:
        if name == "encrypted_data":
            self._members[name] = True
            return
        if name in ("resources", "modules") and (yield from self._takes("[")):
            yield from self._resources(name)
            return
        yield from self._blanks()
        start = self._before + self._at
        value = yield from self._value()
        if name.casefold() == "serial":  # Go takes the name of a member in any case
            self.serials.append((start, self._before + self._at))
        if name == "outputs":
            value = len(value) if isinstance(value, dict) else 0
        if name in ("version", "terraform_version", "serial", "lineage", "outputs"):
            self._members[name] = value

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
        if not isinstance(value, dict):
            raise _Broken("it is JSON, but no state: its resources are none")
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
            raise _Broken("it is not JSON: something follows its end")

    def _cut_off(self) -> _Broken:
        """What is left of a state that was cut short seldom ends as a state does."""
        return _Broken("it is not JSON" if self._last == b"}" else CUT_OFF)


#: What follows a number that is not all there.
_NUMBER_GOES_ON = ("", ".", "e", "E")


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and the like, which Go does not take


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=str)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

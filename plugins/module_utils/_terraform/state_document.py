# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state as bytes: what it says about itself and which resources it holds, never a value of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import Invalid
from .state_parser import CURRENT, Document, Reading, UnreadableState

__all__ = [
    "Document",
    "UnreadableState",
    "addresses",
    "addresses_of",
    "document_of",
    "head_of",
    "is_state",
    "with_serial",
]


def document_of(body: bytes) -> Document | UnreadableState:
    reading = Reading()
    reading.feed(body)
    return reading.end()


def head_of(head: bytes) -> Document | UnreadableState | None:
    """What the first bytes of a longer state tell; None if lineage and serial do not lie there."""
    reading = Reading()
    reading.feed(head)
    return reading.so_far()


def is_state(head: bytes) -> bool:
    """Whether these bytes are a state, or the first ones of a longer one, and not a lock record or anything else."""
    return any(isinstance(said, Document) and not said.is_bare for said in (document_of(head), head_of(head)))


def addresses(body: bytes) -> frozenset[str]:
    """The address of every instance, as `terraform state list` prints it. Raises Invalid."""
    found: set[str] = set()
    reading = Reading(lambda resource: found.update(addresses_of(resource)))
    reading.feed(body)
    document = reading.end()
    if isinstance(document, UnreadableState):
        raise Invalid(document.reason)
    if document.version != CURRENT:
        raise Invalid(
            "the state is encrypted by OpenTofu: only OpenTofu can tell what it holds"
            if document.is_encrypted
            else f"the state has version {document.version}: let a current client write it once"
        )
    return frozenset(found)


def with_serial(body: bytes, serial: int) -> bytes:
    """The same bytes with another serial. Raises Invalid where it would not be exactly that."""
    reading = Reading()
    reading.feed(body)
    document = reading.end()
    if isinstance(document, UnreadableState):
        raise Invalid(document.reason)
    if document.is_encrypted:
        raise Invalid("the state is encrypted by OpenTofu, with its serial inside: only OpenTofu can change it")
    if len(reading.serials) != 1:
        raise Invalid(f"the state names its serial {len(reading.serials)} times: it is not clear which one counts")
    (start, end) = reading.serials[0]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Invalid("the state is not all UTF-8") from None
    changed = f"{text[:start]}{serial}{text[end:]}".encode()
    if text[start:end] != str(document.serial) or _serial_of(changed) != serial:
        raise Invalid(f"the serial of the state is no plain number: {text[start:end]}")
    return changed


def _serial_of(body: bytes) -> int | None:
    document = document_of(body)
    return None if isinstance(document, UnreadableState) else document.serial


def addresses_of(resource: Mapping[str, Any]) -> Iterator[str]:
    """Those of one resource of a state."""
    data = "data." if resource.get("mode") == "data" else ""
    module = f"{resource['module']}." if resource.get("module") else ""
    for instance in resource.get("instances") or ():
        yield f"{module}{data}{resource.get('type')}.{resource.get('name')}{_index(instance.get('index_key'))}"


def _index(key: object) -> str:
    """Source: StringKey.String of internal/addrs."""
    if key is None:
        return ""
    if not isinstance(key, str):
        return f"[{key}]"
    escaped = "".join(_ESCAPES.get(character) or _printed(character) for character in key)
    return f'["{escaped.replace("${", "$${").replace("%{", "%%{")}"]'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"

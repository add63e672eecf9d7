# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the bodies of a backup are what its manifest says: SHA-256, MD5 and size of each, read to its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from .manifest import Entry


@dataclass(frozen=True)
class Measured:
    """What was read of a body."""

    sha256: str
    md5: str
    size: int

    def fits(self, entry: Entry) -> bool:
        return (self.sha256, self.md5, self.size) == (entry.sha256, entry.md5, entry.size)


class Measure:
    """Takes a body piece by piece."""

    def __init__(self) -> None:
        self._sha256, self._md5, self._size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0

    def take(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._md5.update(piece)
        self._size += len(piece)

    @property
    def result(self) -> Measured:
        return Measured(self._sha256.hexdigest(), self._md5.hexdigest(), self._size)


class BodyReader(Protocol):
    """Where the bodies are."""

    def measured(self, sha256: str) -> Measured | None: ...


class ParallelClient(Protocol):
    """As much of AWS as runs work side by side."""

    def together(self, works: Sequence[Callable[[], Any]]) -> list[Any]: ...


def damaged(aws: ParallelClient, storage: BodyReader, entries: Iterable[Entry]) -> list[Entry]:
    """Those of the entries whose body is missing, or is not what they say; each body is read once."""
    having = [entry for entry in entries if entry.sha256]
    names = sorted({entry.sha256 for entry in having if entry.sha256})
    found = aws.together([partial(storage.measured, name) for name in names]) if names else []
    bodies = dict(zip(names, found, strict=True))
    return [entry for entry in having if not (body := bodies[str(entry.sha256)]) or not body.fits(entry)]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verifies the bodies of a backup against its manifest: SHA-256, MD5 and size, each body read whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from .manifest import Entry


@dataclass(frozen=True)
class Measured:
    """The hashes and size of a body."""

    sha256: str
    md5: str
    size: int

    def matches(self, entry: Entry) -> bool:
        return (self.sha256, self.md5, self.size) == (entry.sha256, entry.md5, entry.size)


class Measure:
    """Computes hashes and size of a body, piece by piece."""

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
    """Reads bodies by name."""

    def measure(self, sha256: str) -> Measured | None: ...


class ParallelClient(Protocol):
    """Runs work in parallel."""

    def together(self, works: Sequence[Callable[[], Any]]) -> list[Any]: ...


def damaged(aws: ParallelClient, storage: BodyReader, entries: Iterable[Entry]) -> list[Entry]:
    """The entries whose body is missing or does not match. Each body is read once."""
    with_body = [entry for entry in entries if entry.sha256]
    names = sorted({entry.sha256 for entry in with_body if entry.sha256})
    found = aws.together([partial(storage.measure, name) for name in names]) if names else []
    bodies = dict(zip(names, found, strict=True))
    return [entry for entry in with_body if not (body := bodies[str(entry.sha256)]) or not body.matches(entry)]

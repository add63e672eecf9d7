# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the lock files in a backup, which are not restored, by their content as well as their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TypeAlias

from .._core.model import TfstateError
from .._locks.stores import LONGEST_RECORD, record_in
from .._terraform.protocol import LockInfo, Wedged
from .._terraform.scope import SUFFIX, Scope
from .manifest import Entry

#: The versions of each key, oldest first.
Histories: TypeAlias = Mapping[str, tuple[Entry, ...]]


class BodyOpener(Protocol):
    """Opens bodies by name."""

    @property
    def open_body(self) -> Callable[[str], AbstractContextManager[BinaryIO]]: ...


@dataclass(frozen=True)
class Division:
    """The objects to restore, the lock files to leave out, and the states that cannot be restored beside another."""

    wanted: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    lock_files: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    #: States whose key is that of the lock file of another state, which is restored or exists.
    conflicting: tuple[str, ...] = ()


def divide(bodies: BodyOpener, scope: Scope, histories: Histories, there: Collection[str]) -> Division:
    """`there`: the current objects of the destination. Only objects with the name of a lock file are read."""
    wanted = {key: each for key, each in histories.items() if not key.endswith(SUFFIX) and scope.takes(key)}
    lock_files, conflicting = {}, []
    for key, history in histories.items():
        path = key.removesuffix(SUFFIX)
        if path == key or not (scope.takes(path) or scope.takes(key)):
            continue
        records = _records(bodies, history)
        is_state = any(isinstance(each, Wedged) and each.is_state for each in records)
        are_locks = all(isinstance(each, LockInfo) for each in records)
        is_beside = path in wanted or path in there
        if scope.takes(key) and not is_beside and (is_state or (path not in histories and not are_locks)):
            wanted[key] = history
            continue
        lock_files[key] = history
        if is_state:
            conflicting.append(key)
    return Division(dict(sorted(wanted.items())), lock_files, tuple(conflicting))


def _records(bodies: BodyOpener, history: Sequence[Entry]) -> list[LockInfo | Wedged]:
    """Reads the newest body and the largest one, because a lock file has a version for each run of a client.

    A body longer than any lock record is none. Neither is a body that cannot be read: verifying it reports why.
    """
    with_body = [entry for entry in history if entry.sha256]
    chosen = {str(entry.sha256) for entry in (*with_body[-1:], *sorted(with_body, key=lambda each: each.size)[-1:])}
    return [_record(bodies, sha256) for sha256 in sorted(chosen)]


def _record(bodies: BodyOpener, sha256: str) -> LockInfo | Wedged:
    try:
        with bodies.open_body(sha256) as body:
            return record_in(body.read(LONGEST_RECORD))
    except TfstateError as error:
        return Wedged(str(error))

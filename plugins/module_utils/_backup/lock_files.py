# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which objects of a backup are lock files, and so are not restored: what they hold tells, not their names alone."""

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
    """Where the bodies of a backup are."""

    @property
    def opened(self) -> Callable[[str], AbstractContextManager[BinaryIO]]: ...


@dataclass(frozen=True)
class Division:
    """What is restored, what is a lock file and stays behind, and the states that cannot be restored beside another."""

    wanted: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    lock_files: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    #: They bear the name of the lock file of a state that is restored, or is there.
    in_the_way: tuple[str, ...] = ()


def divided(bodies: BodyOpener, scope: Scope, histories: Histories, there: Collection[str]) -> Division:
    """`there`: the objects where the backup goes. Only what is named as a lock file is, and needs, to be read."""
    wanted = {key: each for key, each in histories.items() if not key.endswith(SUFFIX) and scope.takes(key)}
    lock_files, in_the_way = {}, []
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
            in_the_way.append(key)
    return Division(dict(sorted(wanted.items())), lock_files, tuple(in_the_way))


def _records(bodies: BodyOpener, history: Sequence[Entry]) -> list[LockInfo | Wedged]:
    """Of the newest body and the largest one, as a lock file has a version for each run of a client.

    None longer than a lock record can be is one. What cannot be read is not one either: reading it again tells why.
    """
    having = [entry for entry in history if entry.sha256]
    chosen = {str(entry.sha256) for entry in (*having[-1:], *sorted(having, key=lambda each: each.size)[-1:])}
    return [_record(bodies, sha256) for sha256 in sorted(chosen)]


def _record(bodies: BodyOpener, sha256: str) -> LockInfo | Wedged:
    try:
        with bodies.opened(sha256) as body:
            return record_in(body.read(LONGEST_RECORD))
    except TfstateError as error:
        return Wedged(str(error))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is at work in a backend, looked at for a while: runs that do not end, and clients that know only one store.

Clients that lock in both stores have the file whenever they have the item, but for an instant: they take it first, and
release it first. So a lock that stays in one store alone is that of a client that does not know the other one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from functools import partial
from typing import TypeAlias, TypeVar

from .._aws.protocols import BackendClient
from .._core.model import CallFailed, Failure
from .._locks.holders import sentence
from .._locks.locking import read_locks
from .._locks.stores import FileStore, Lock, Place, place_in
from .._migration.moved_states import MovedStates, is_moved_lock
from .._state import listing
from .._state.listing import Objects, TableItem
from .._terraform.scope import Scope

#: Between a client's two stores, at the most.
JITTER_S = 3
#: From look to look; in a long watch there are so many looks, and no more.
PERIOD_S, MOST_LOOKS = 2, 240

#: By the path of their state.
Locks: TypeAlias = dict[str, tuple[Lock, ...]]

T = TypeVar("T")


class _Kind(Enum):
    """What the locks of a state are."""

    MOVED = "left by a move"
    OWN = "left by a run of ours that was killed"
    OTHERS = "held by somebody else"


@dataclass(frozen=True)
class WatchResult:
    """What was seen: sentences about the locks of others, and what lay there at first."""

    found: Objects
    items: tuple[TableItem, ...]
    #: Held from the first look to the last one.
    held: tuple[str, ...] = ()
    #: In one store alone.
    in_one_store: tuple[str, ...] = ()
    #: The states whose locks are ours, from a run that was killed.
    ours: tuple[str, ...] = ()
    moved_states: MovedStates = field(default_factory=MovedStates)


@dataclass(frozen=True)
class ClientWatch:
    """`store`: where a lock alone means a client that must not be about. `is_ours`: whether we took a lock.

    Into what is `denied` nobody can look.
    """

    aws: BackendClient
    scope: Scope
    store: str
    is_ours: Callable[[Lock, Place], bool]
    denied: frozenset[str] = frozenset()

    def run(self, observe_s: int) -> WatchResult:
        """Raises CallFailed where the stores cannot be read."""
        found, items = self._objects(), self._items()
        first = self._locks({*found.lock_files, *_locked(items)})
        kinds = {path: self._classify(path, locks) for path, locks in first.items()}
        moved = MovedStates(self.denied, {path: first[path] for path, kind in kinds.items() if _Kind.MOVED in kind})
        others = {path: first[path] for path, kind in kinds.items() if _Kind.OTHERS in kind}
        own = sorted(path for path, kind in kinds.items() if _Kind.OWN in kind)
        in_one_store = self._in_one_store(others) | self._appearing(observe_s, moved)
        held = {path: locks for path, locks in self._locks(others).items() if _same(locks, others[path])}
        return WatchResult(found, tuple(items), _describe(held), _describe(in_one_store), tuple(own), moved)

    def _classify(self, path: str, locks: tuple[Lock, ...]) -> set[_Kind]:
        """Whose locks a state has. Ours and those of others may be on the same state."""
        if all(is_moved_lock(lock, self.scope.bucket.name) for lock in locks):
            return {_Kind.MOVED}
        own = self._ours(path, locks)
        return {kind for kind, has in ((_Kind.OWN, own), (_Kind.OTHERS, len(own) < len(locks))) if has}

    def _appearing(self, observe_s: int, moved: MovedStates) -> Locks:
        """Locks in one store alone that somebody takes in the time of observation."""
        appeared: Locks = {}
        looks = min(math.ceil(observe_s / PERIOD_S), MOST_LOOKS)
        for _unused in range(looks):
            self.aws.rest(observe_s / looks)
            appeared |= self._in_one_store(self._locks({*self._locked_now()} - {*moved.locked}))
        return appeared

    def _objects(self) -> Objects:
        return _known(listing.objects(self.aws, self.scope))

    def _items(self) -> list[TableItem]:
        return _known(listing.items(self.aws, self.scope, self.scope.table)) if self.scope.table else []

    def _locked_now(self) -> Iterable[str]:
        """The states that are locked in the store that matters."""
        return self._objects().lock_files if self.store == FileStore.NAME else _locked(self._items())

    def _locks(self, paths: Iterable[str]) -> Locks:
        denied = MovedStates(self.denied)
        wanted = sorted(path for path in paths if path not in denied)
        works = [partial(read_locks, self.aws, place_in(self.scope, path)) for path in wanted]
        found = self.aws.together(works) if works else []
        return {path: locks for path, locks in zip(wanted, found, strict=True) if locks}

    def _in_one_store(self, seen: Locks) -> Locks:
        """Of these locks, those that stay in one store."""
        suspects = {path: locks for path, locks in seen.items() if self._is_alone(path, locks)}
        if suspects:
            self.aws.rest(JITTER_S)
        return {path: locks for path, locks in self._locks(suspects).items() if locks == suspects[path]}

    def _is_alone(self, path: str, locks: tuple[Lock, ...]) -> bool:
        return {lock.store for lock in locks} == {self.store} and not self._ours(path, locks)

    def _ours(self, path: str, locks: tuple[Lock, ...]) -> list[Lock]:
        return [lock for lock in locks if self.is_ours(lock, place_in(self.scope, path))]


def _known(answer: T | Failure) -> T:
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer


def _locked(items: Iterable[TableItem]) -> set[str]:
    return {item.path for item in items if not item.is_digest}


def _same(locks: tuple[Lock, ...], before: tuple[Lock, ...]) -> bool:
    return bool({lock.id for lock in locks} & {lock.id for lock in before})


def _describe(found: Mapping[str, tuple[Lock, ...]]) -> tuple[str, ...]:
    now = datetime.now(timezone.utc)
    return tuple(sentence(path, locks, now) for path, locks in sorted(found.items()))

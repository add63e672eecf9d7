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

    def run(self, soak_s: int) -> WatchResult:
        """Raises CallFailed where the stores cannot be read."""
        found, items = self._objects(), self._items()
        first = self._locks({*found.lock_files, *_locked(items)})
        moved_states = MovedStates(self.denied, {path: locks for path, locks in first.items() if self._are_left(locks)})
        here = {path: locks for path, locks in first.items() if path not in moved_states}
        theirs = {path: locks for path, locks in here.items() if len(self._ours(path, locks)) < len(locks)}
        alone = self._alone(theirs)
        looks = min(math.ceil(soak_s / PERIOD_S), MOST_LOOKS)
        for _unused in range(looks):
            self.aws.rest(soak_s / looks)
            alone |= self._alone(self._locks({*self._seen()} - {*moved_states.locked}))
        held = {path: locks for path, locks in self._locks(theirs).items() if _same(locks, theirs[path])}
        mine = [path for path, locks in here.items() if self._ours(path, locks)]
        return WatchResult(found, tuple(items), _told(held), _told(alone), tuple(sorted(mine)), moved_states)

    def _objects(self) -> Objects:
        return _known(listing.objects(self.aws, self.scope))

    def _items(self) -> list[TableItem]:
        return _known(listing.items(self.aws, self.scope, self.scope.table)) if self.scope.table else []

    def _seen(self) -> Iterable[str]:
        """The states that are locked in the store that matters."""
        return self._objects().lock_files if self.store == FileStore.NAME else _locked(self._items())

    def _locks(self, paths: Iterable[str]) -> Locks:
        denied = MovedStates(self.denied)
        wanted = sorted(path for path in paths if path not in denied)
        works = [partial(read_locks, self.aws, place_in(self.scope, path)) for path in wanted]
        found = self.aws.together(works) if works else []
        return {path: locks for path, locks in zip(wanted, found, strict=True) if locks}

    def _alone(self, seen: Locks) -> Locks:
        """Of these locks, those that stay in one store."""
        suspects = {path: locks for path, locks in seen.items() if self._is_alone(path, locks)}
        if suspects:
            self.aws.rest(JITTER_S)
        return {path: locks for path, locks in self._locks(suspects).items() if locks == suspects[path]}

    def _is_alone(self, path: str, locks: tuple[Lock, ...]) -> bool:
        return {lock.store for lock in locks} == {self.store} and not self._ours(path, locks)

    def _are_left(self, locks: Iterable[Lock]) -> bool:
        return all(is_moved_lock(lock, self.scope.bucket.name) for lock in locks)

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


def _told(found: Mapping[str, tuple[Lock, ...]]) -> tuple[str, ...]:
    now = datetime.now(timezone.utc)
    return tuple(sentence(path, locks, now) for path, locks in sorted(found.items()))

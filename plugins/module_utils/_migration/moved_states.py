# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States that have moved away. Nobody can write them: the move keeps their locks, or a policy denies them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .._aws.errors import UNSUPPORTED
from .._aws.protocols import PolicyClient
from .._core.model import CallFailed, Target
from .._locks.stores import FileStore, Lock, TableStore, lock_of_item
from .._state.listing import TableItem
from .._terraform.protocol import LockInfo, is_of_moved_state
from .deny_policy import EVERYTHING, denied_states


@dataclass(frozen=True)
class MovedStates:
    """By path: `denied` by the policy of the bucket, or `locked` only by locks that a move has kept."""

    denied: frozenset[str] = frozenset()
    locked: Mapping[str, tuple[Lock, ...]] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        return path in self.locked or self.is_denied(path)

    def is_denied(self, path: str) -> bool:
        return bool(self.denied & {path, EVERYTHING})

    def unprotected_in(self, store: str) -> list[str]:
        """The states that are not protected from clients that lock in this store alone."""
        return sorted(path for path, locks in self.locked.items() if all(lock.store != store for lock in locks))

    def removable_locks(self, bucket: str, items: Iterable[TableItem]) -> list[Lock]:
        """The locks in the table that can go, as a lock file of the same id or the policy protects the state."""
        found = [_in_both(locks) for locks in self.locked.values()]
        found += [lock_of_item(item.path, {"Info": item.attribute}) for item in items if self._is_removable(item)]
        return [lock for lock in found if lock and is_moved_lock(lock, bucket)]

    def _is_removable(self, item: TableItem) -> bool:
        return self.is_denied(item.path) and item.attribute is not None


def denied_by_policy(aws: PolicyClient, bucket: Target) -> frozenset[str]:
    """The states that the policy of the bucket denies. Stores other than AWS may have no policies."""
    try:
        return frozenset(denied_states(aws, bucket))
    except CallFailed as refused:
        if refused.failure.code not in UNSUPPORTED:
            raise
        return frozenset()


def is_moved_lock(lock: Lock, bucket: str) -> bool:
    """Whether a move from this bucket has kept it."""
    record = lock.record
    return isinstance(record, LockInfo) and is_of_moved_state(record.operation, record.info, bucket, lock.path)


def _in_both(locks: Iterable[Lock]) -> Lock | None:
    found = {lock.store: lock for lock in locks}
    file, item = found.get(FileStore.NAME), found.get(TableStore.NAME)
    return item if file and item and file.id == item.id else None

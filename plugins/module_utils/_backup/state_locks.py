# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The locks that keep clients away from the states of a bucket during a restore or teardown.

A lock id depends on the operation and the state only, so that the next run recognises the locks of a killed run and
takes them over. The lock record differs from run to run: a run releases only locks with its own record.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from .._aws.protocols import BackendClient
from .._core.model import Target, TfstateError
from .._locks.locking import AlreadyLocked, check_held, claim, claim_in, read_locks, release, take, take_over
from .._locks.maintenance import our_lock
from .._locks.stores import FileStore, Lock, Place, TableStore, place_in
from .._state.listing import item_of
from .._terraform.protocol import (
    LockInfo,
    as_finished,
    as_unfinished,
    is_frozen_by,
    is_unfinished,
    lock_id,
    marshal,
    parsed,
    uuid_of,
)
from .._terraform.scope import SUFFIX, Scope
from .inventory import id_of
from .manifest import Listed, RawItem


@dataclass(frozen=True)
class StateLocks:
    """`work` is the operation; every run of the same operation on the same bucket uses the same lock ids.

    With `frozen`, the record of a freeze, all locks are those of that freeze. They stay when the run ends, and their
    record says which states a run that was cut short has begun with.
    """

    aws: BackendClient
    bucket: Target
    table: str | None
    work: str
    info: str
    encryption: Mapping[str, str] = field(default_factory=dict)
    run: str = field(default_factory=lambda: os.urandom(4).hex())
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    frozen: LockInfo | None = None
    #: The locks of this run, by the path of the state.
    _held: dict[str, tuple[Lock, ...]] = field(default_factory=dict, compare=False)
    #: By path and ETag: the lock files of another run that this run took over, which made them noncurrent.
    _replaced: set[tuple[str, str]] = field(default_factory=set, compare=False)
    #: The states whose locks were not taken over from another run.
    _new: set[str] = field(default_factory=set, compare=False)

    def place(self, path: str) -> Place:
        return place_in(self.scope, path)

    @property
    def scope(self) -> Scope:
        return Scope(self.bucket, self.table, encryption=self.encryption)

    def id_of(self, path: str) -> str:
        if self.frozen:
            return self.frozen.id
        hashed = hashlib.sha256(f"{self.work} s3://{self.bucket.name}/{path}".encode())
        return uuid_of(hashed.digest()[:16])

    def take(self, path: str, breaks: bool = False) -> None:
        """`breaks`: locks of others are released first."""
        if self.frozen:
            return self._take_frozen(path, self.frozen)
        if breaks:
            self._break(path)
        claimed = claim(self.aws, self.place(path), self._record(path))
        self._held[path] = claimed.locks
        self._replaced.update((path, str(lock.condition)) for lock in claimed.replaced)
        if not claimed.taken_over:
            self._new.add(path)

    def _take_frozen(self, path: str, frozen: LockInfo) -> None:
        """Takes what is missing of the locks of the freeze, too."""
        place, record = self.place(path), as_unfinished(replace(frozen, path=lock_id(self.bucket.name, path)))
        there = read_locks(self.aws, place)
        theirs = [lock for lock in there if lock.id != frozen.id or not is_frozen_by(lock.record)]
        if theirs:
            raise AlreadyLocked(theirs[0])
        locks = take(self.aws, place, record, there)
        kept = [lock if lock.text == marshal(record) else take_over(self.aws, place, lock, record) for lock in locks]
        self._held[path] = tuple(kept)
        if not any(is_unfinished(lock.record) for lock in there):
            self._new.add(path)
        return None

    def take_item(self, path: str, breaks: bool = False) -> None:
        """Takes the lock in the table only, because nobody can write lock files into the bucket any more."""
        if breaks:
            self._break(path)
        if self.table:
            self._held[path] = (claim_in(self.aws, TableStore(self.place(path)), self.place(path), self._record(path)),)

    def _record(self, path: str) -> LockInfo:
        return our_lock(self.place(path), self.work, f"{self.info}; run {self.run}", self.started, self.id_of(path))

    def check(self, path: str) -> None:
        """Raises TfstateError unless this run still holds the locks of a state."""
        check_held(self.aws, self.place(path), self._held.get(path, ()))

    def holds(self, path: str) -> bool:
        return bool(self._held.get(path))

    def is_new(self, path: str) -> bool:
        """Whether this run took the lock, and did not take it over from another run."""
        return path in self._new

    def _break(self, path: str) -> None:
        place = self.place(path)
        theirs = [lock for lock in read_locks(self.aws, place) if lock.id != self.id_of(path)]
        problems = release(self.aws, place, theirs).problems
        if problems:
            raise TfstateError("; ".join(problems))

    def release(self, path: str) -> tuple[str, ...]:
        """Releases the locks of this run; returns a sentence for each lock that was not released."""
        if self.frozen:
            return self._finish_frozen(path, self.frozen)
        return release(self.aws, self.place(path), self._held.pop(path, ())).problems

    def _finish_frozen(self, path: str, frozen: LockInfo) -> tuple[str, ...]:
        """The locks stay, as those of the freeze."""
        place, record = self.place(path), as_finished(replace(frozen, path=lock_id(self.bucket.name, path)))
        problems = []
        for lock in self._held.pop(path, ()):
            try:
                take_over(self.aws, place, lock, record)
            except TfstateError as error:
                problems.append(str(error))
        return tuple(problems)

    def was_left_in_file(self, path: str) -> bool:
        """Whether a run of the same work that was cut short left the lock file."""
        lock = FileStore(self.place(path)).read_lock(self.aws)
        is_ours = lock is not None and lock.id == self.id_of(path)
        return is_ours and (not self.frozen or is_unfinished(lock and lock.record))

    def was_left_in_item(self, raw: RawItem) -> bool:
        """The same of an item of the table."""
        return self.has_item(raw) and (not self.frozen or is_unfinished(parsed(item_of(raw)[1].info)))

    def release_item(self, path: str) -> None:
        """Releases the lock in the table of a bucket that no longer exists."""
        place = self.place(path)
        lock = TableStore(place).read_lock(self.aws)
        problems = release(self.aws, place, [lock]).problems if lock and lock.id == self.id_of(path) else ()
        if problems:
            raise TfstateError("; ".join(problems))

    def has_file(self, path: str) -> bool:
        """Whether the lock file of a state is ours."""
        lock = FileStore(self.place(path)).read_lock(self.aws)
        return lock is not None and lock.id == self.id_of(path)

    def is_replaced(self, listed: Listed) -> bool:
        """Whether a version is the lock file of another run that this one took over."""
        path = listed.key.removesuffix(SUFFIX)
        return path != listed.key and (path, f'"{listed.etag}"') in self._replaced

    def has_item(self, raw: RawItem) -> bool:
        """Whether an item of the table is a lock of ours."""
        bucket, item = item_of(raw)
        is_here = bucket == self.bucket.name and not item.is_digest
        return is_here and id_of(parsed(item.info)) == self.id_of(item.path)


def is_lock_file(listed: Listed, paths: Collection[str]) -> bool:
    """Whether it is the current lock file of one of these states."""
    path = listed.key.removesuffix(SUFFIX)
    return listed.is_latest and not listed.is_delete_marker and path != listed.key and path in paths

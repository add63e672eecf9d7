# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a backup: every version in order, and the digest, under the locks of each state.

All states are locked before the first one is read, so that no client finds a state absent and unlocked before it is
restored, and creates everything again. If a run is interrupted or fails after it wrote anything, the locks stay: a
client must neither take an older version for the current one nor an absent state for a new one. Nothing is overwritten:
existing versions must be the first ones of the backup, otherwise the restore is refused. Each version is written on top
of the one that this run wrote or saw before it, under a lock that still has the record of this run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any, TypeAlias

from .._aws.errors import BROKEN, MAYBE_UNSEEN
from .._core.model import CallFailed, TfstateError
from .._engine.guard import Refused
from .._locks.holders import sentence
from .._locks.lease import Lease
from .._locks.locking import read_locks
from .._repair.digest_item import DigestItem, digest_of, put_item
from .._state.listing import item_of
from .._terraform.protocol import LockInfo, digest_id, lock_id
from .._terraform.scope import SUFFIX, Scope
from .._terraform.state_name import missing_keys
from .bodies import damaged
from .inventory import items, name_of, versions
from .lock_files import Division, divide
from .manifest import Entry, Listed, Manifest, RawItem, some
from .progress import Progress, prefix
from .restore_target import Destination, digest_in
from .state_locks import StateLocks, is_lock_file
from .storage import LARGEST

#: The contents of the destination: versions by key, and items by id.
ByKey: TypeAlias = Mapping[str, Sequence[Listed]]
Present: TypeAlias = Mapping[str | None, RawItem]

WORK = "tf_backend_restore"
RESTORE, FINISH, NOTHING = "restore", "finish", "none"
#: The operations that write a version.
WRITES = ("put_object", "delete_object")
#: Messages name at most this many problems.
NAMED = 5


@dataclass
class ObjectRestore:
    """One object to restore. `digest` is its digest item in the destination."""

    path: str
    wanted: tuple[Entry, ...]
    digest: RawItem | None
    progress: Progress
    #: Only the digest or the release of our lock is left to do.
    is_unfinished: bool = False
    #: Locked by an earlier run of this restore.
    is_locked: bool = False
    #: Some of its versions may have been written.
    is_begun: bool = False
    #: Why the restore of it failed.
    problem: str | None = None

    @property
    def action(self) -> str:
        if self.progress.count < len(self.wanted):
            return RESTORE
        return FINISH if self.is_unfinished else NOTHING

    @property
    def is_rolled_back(self) -> bool:
        """Only older versions exist, and not because of us: somebody deleted the newest versions or a marker."""
        return self.is_begun and not self.is_locked

    @property
    def left(self) -> tuple[Entry, ...]:
        return self.wanted[self.progress.count :]

    def to_result(self) -> dict[str, Any]:
        return {
            "key": self.path,
            "action": self.action,
            "versions": len(self.wanted),
            "written": len(self.left),
            "bytes": sum(entry.size for entry in self.left),
        }


@dataclass
class Restore:
    to: Destination
    manifest: Manifest
    #: Shell patterns; none means all.
    keys: tuple[str, ...]
    #: The record of the freeze under which the run works.
    frozen: LockInfo | None = None
    objects: list[ObjectRestore] = field(default_factory=list)
    #: Digests of other buckets in the backup, which are not restored: those buckets may have changed since.
    foreign: int = 0
    #: Lock files and locks of the time of the backup.
    left_out: int = 0
    #: Everything that is not restored: objects by `key`, items of the table by `item`.
    left_behind: list[dict[str, Any]] = field(default_factory=list)
    is_verified: bool = False

    @cached_property
    def state_locks(self) -> StateLocks:
        info = f"being restored from {self.to.storage.url}"
        locks = StateLocks(self.to.aws, self.to.bucket, self.to.table, WORK, info, self.to.encryption)
        return replace(locks, frozen=self.frozen)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.to.aws, self.state_locks.scope, WORK, self.state_locks.info)

    @property
    def _due(self) -> list[ObjectRestore]:
        return [row for row in self.objects if row.action != NOTHING]

    def _each(self, work: Callable[[ObjectRestore], Any], rows: Sequence[ObjectRestore]) -> list[Any]:
        return self.to.aws.together([partial(work, row) for row in rows]) if rows else []

    # Plan.

    def plan(self) -> None:
        """Finds out what to restore. Raises Refused if that is not possible. It only reads."""
        self.lease.check()
        scope = Scope(self.to.bucket, self.to.table, self.keys)
        present = {name_of(raw): raw for raw in (items(self.to.aws, self.to.table) if self.to.table else [])}
        listed = _by_key(versions(self.to.aws, self.to.bucket))
        there = [key for key, each in listed.items() if not each[-1].is_delete_marker]
        division = divide(self.to.storage, scope, self.manifest.histories(), there)
        self._leave_out(division)
        self._warn_of_skipped(scope)
        wanted = division.wanted
        digests = self._digests(scope)
        self._check_keys(scope, {*self.manifest.histories(), *digests})
        stateless = [name_of(raw) for path, raw in digests.items() if path not in wanted]
        self.left_behind += [{"item": name, "versions": 1} for name in stateless]
        plans = [
            partial(self._plan, key, history, digests.get(key), listed, present) for key, history in wanted.items()
        ]
        self.objects = self.to.aws.together(plans) if plans else []
        refused = [row.path for row in self.objects if row.progress.is_diverged]
        if refused:
            raise Refused(
                f"{self.to.bucket.name} holds other versions of {some(refused)} than the backup: nothing is "
                "overwritten; restore into another bucket, or name other keys"
            )
        rolled_back = [row.path for row in self.objects if row.is_rolled_back]
        if rolled_back:
            raise Refused(
                f"{self.to.bucket.name} holds only the older versions of {some(rolled_back)}, and no lock of a restore "
                "that was cut short: somebody went back to them, and nothing is written on top; save the backend "
                "again, restore into another bucket, or name other keys"
            )
        large = [row.path for row in self.objects if any(each.size > LARGEST for each in row.left)]
        if large:
            raise Refused(f"{some(large)} has more than the {LARGEST} bytes that AWS takes at once: name other keys")
        self._check_locks(listed, present)

    def verify(self) -> None:
        """Verifies every body before the first version is written."""
        if self.is_verified:
            return
        self._check_bodies([entry for row in self.objects for entry in row.wanted])
        self.is_verified = True

    def check_backup(self) -> None:
        """Raises Refused if the backup cannot be restored, whatever is in the bucket."""
        scope = Scope(self.to.bucket, self.to.table, self.keys)
        histories = self.manifest.histories()
        self._check_keys(scope, {*histories, *self._digests(scope)})
        self._check_bodies([entry for key, history in histories.items() if scope.takes(key) for entry in history])

    def _check_keys(self, scope: Scope, there: Collection[str]) -> None:
        missing = missing_keys(scope, there)
        if missing:
            raise Refused(f"in the backup in {self.to.storage.url}, {'; '.join(missing)}")

    def _check_bodies(self, entries: Sequence[Entry]) -> None:
        lost = [
            f"version {entry.version_id} of {entry.key}" for entry in damaged(self.to.aws, self.to.storage, entries)
        ]
        if lost:
            raise Refused(f"the backup in {self.to.storage.url} is damaged: {some(lost)}; nothing was restored")

    def _leave_out(self, division: Division) -> None:
        self.left_out += sum(len(history) for history in division.lock_files.values())
        self.left_behind += [{"key": key, "versions": len(each)} for key, each in division.lock_files.items()]
        if division.conflicting:
            self.to.aws.warnings.append(
                f"{some(division.conflicting)} in the backup holds a state under the name of the lock file of another "
                "state, which is restored or there, and was left out: restore it alone, with keys, into another bucket"
            )

    def _warn_of_skipped(self, scope: Scope) -> None:
        skipped = [str(each) for each in self.manifest.skipped if scope.takes(each.key)]
        if skipped:
            self.to.aws.warnings.append(
                f"the backup is not complete: archived versions were skipped when it was made, and are not restored: "
                f"{some(skipped)}"
            )

    def _digests(self, scope: Scope) -> dict[str, RawItem]:
        """The digest items of the bucket in the backup, by the path of their state."""
        found: dict[str, RawItem] = {}
        for raw in self.manifest.items:
            bucket, item = item_of(raw)
            is_digest = item.is_digest and bool(raw.get("Digest"))
            if not self.to.table or not is_digest or bucket != self.manifest.bucket:
                self.left_behind.append({"item": name_of(raw), "versions": 1})
            if not self.to.table:
                continue
            if not item.is_digest or not raw.get("Digest"):
                self.left_out += 1
            elif bucket != self.manifest.bucket:
                self.foreign += 1
            elif scope.takes(item.path):
                found[item.path] = raw
        return found

    def _plan(
        self, path: str, wanted: tuple[Entry, ...], saved: RawItem | None, listed: ByKey, present: Present
    ) -> ObjectRestore:
        progress = self.to.progress_of(listed.get(path, []), wanted)
        md5 = digest_in(wanted)
        digest = self.to.digest_item(saved, path, md5) if saved and md5 else None
        lacks_digest = digest is not None and _digest_text(present.get(digest_id(self.to.bucket.name, path))) != md5
        is_ours_to_write = not (progress.is_diverged or progress.is_ahead)
        item = present.get(lock_id(self.to.bucket.name, path))
        has_item = item is not None and self.state_locks.was_left_in_item(item)
        has_file = bool(_held_file(path, listed)) and self.state_locks.was_left_in_file(path)
        is_locked, is_begun = has_item or has_file, 0 < progress.count < len(wanted)
        row = ObjectRestore(
            path, wanted, digest, progress, (lacks_digest and is_ours_to_write) or is_locked, is_locked, is_begun
        )
        if progress.lacks_older:
            self.to.aws.warnings.append(
                f"{path} has the newest versions of the backup, and lacks older ones, which cannot be put before them"
            )
        if saved and _digest_text(saved) != md5 and row.action != NOTHING:
            instead = "that of the version is written" if md5 else "none is written"
            self.to.aws.warnings.append(
                f"the digest of {path} in the backup does not fit its newest version: {instead} instead"
            )
        return row

    def _check_locks(self, listed: ByKey, present: Present) -> None:
        """Raises Refused if somebody else holds a lock of a state to restore."""
        held = [row.path for row in self._due if self._is_held(row.path, listed, present)]
        if held:
            places = [self.state_locks.place(path) for path in held[:NAMED]]
            now = datetime.now(timezone.utc)
            locks = {place.path: read_locks(self.to.aws, place) for place in places}
            who = "; ".join(sentence(path, each, now) for path, each in locks.items() if each)
            more = f"; and {len(held) - NAMED} more" if held[NAMED:] else ""
            if not who:
                raise Refused(f"the locks of {some(held)} have just been released: run again")
            raise Refused(f"{who}{more}: wait until it is released")

    def _is_held(self, path: str, listed: ByKey, present: Present) -> bool:
        item = present.get(lock_id(self.to.bucket.name, path))
        by_item = item is not None and not item_of(item)[1].is_digest and not self.state_locks.has_item(item)
        return by_item or (bool(_held_file(path, listed)) and not self.state_locks.has_file(path))

    # Carry out.

    def carry_out(self) -> None:
        """Restores every object, even if others fail. Raises TfstateError if any failed."""
        due = self._due
        if not due:
            return
        with self.lease.held():
            try:
                self._each(self._lock, due)
                self.verify()
            except TfstateError:
                self._release_new_locks(due)
                raise
            self._each(self._try, due)
            failed = [row for row in due if row.problem]
            if failed and not any(row.is_begun for row in due) and len(failed) == len(due):
                self._release_new_locks(due)
        if failed:
            raise TfstateError(self._describe(failed))

    def _describe(self, failed: Sequence[ObjectRestore]) -> str:
        problems = "; ".join(dict.fromkeys(str(row.problem) for row in failed[:NAMED]))
        more = f"; and {len(failed) - NAMED} more" if failed[NAMED:] else ""
        held = [row.path for row in failed if self.state_locks.holds(row.path)]
        stay = (
            f". Until a run completes them, {some(held)} stay locked, so that no client finds them absent"
            if held
            else ""
        )
        return f"{problems}{more}{stay}"

    def _lock(self, row: ObjectRestore) -> None:
        self.state_locks.take(row.path)

    def _release_new_locks(self, rows: Sequence[ObjectRestore]) -> None:
        """After a run that wrote nothing. Locks of an earlier run stay, because that run may have written versions."""
        new = [row for row in rows if self.state_locks.is_new(row.path)]
        for problems in self._each(lambda row: self.state_locks.release(row.path), new):
            self.to.aws.warnings.extend(problems)

    def _try(self, row: ObjectRestore) -> None:
        try:
            self._restore(row)
        except TfstateError as error:
            row.problem = str(error)

    def _restore(self, row: ObjectRestore) -> None:
        there = self.to.versions(row.path)
        now = self.to.progress_of(there, row.wanted)
        if now.is_diverged or now.count < row.progress.count:
            raise Refused(f"somebody wrote {row.path}, or went back in it, meanwhile: nothing is overwritten")
        row.is_begun = row.is_begun or now.count > 0
        newest = there[-1] if there else None
        for count in range(now.count, len(row.wanted)):
            self.state_locks.check(row.path)
            newest = self._advance(row, count, newest)
        if not now.is_ahead:
            self._finish(row)
        problems = self.state_locks.release(row.path)
        if problems:
            raise TfstateError("; ".join(problems))

    def _advance(self, row: ObjectRestore, count: int, newest: Listed | None) -> Listed:
        """Unless AWS definitely refused the write, the version may have been written."""
        was_begun, row.is_begun = row.is_begun, True
        try:
            return self.to.advance(row.wanted, count, newest)
        except CallFailed as error:
            is_refusal = error.failure.call.operation in WRITES and error.failure.code not in BROKEN
            row.is_begun = was_begun or not is_refusal
            raise

    def _finish(self, row: ObjectRestore) -> None:
        self.state_locks.check(row.path)
        if self.to.progress(row.path, row.wanted) != prefix(len(row.wanted)):
            other = f"{row.path} reads back other than it was written: somebody else writes there"
            raise TfstateError(other + MAYBE_UNSEEN)
        if row.digest:
            place = self.to.place(row.path)
            current = digest_of(self.to.aws, place)
            if current.text != _digest_text(row.digest):
                put_item(self.to.aws, place, current, row.digest)
        self.state_locks.check(row.path)


def _by_key(listed: Iterable[Listed]) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for each in listed:
        found.setdefault(each.key, []).append(each)
    return found


def _held_file(path: str, listed: ByKey) -> list[Listed]:
    return [each for each in listed.get(f"{path}{SUFFIX}", []) if is_lock_file(each, (path,))]


def _digest_text(raw: RawItem | None) -> str | None:
    """The digest in an item, as clients read it."""
    return DigestItem(raw is not None, raw.get("Digest") if raw else None).text

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup brought back: every version in order, under the lock of its state until the last one and its digest are in.

All states are locked before the first one is read, so that no client finds one that is still to come absent and
unlocked, and creates everything again. The locks stay when a run is cut short or fails once anything was written, so
that no client takes an older version for the current one, nor an absent state for a new one. What is there is never
overwritten: it is the beginning of what has to be there, or the whole is refused. Each version is written on top of the
one that this run wrote or saw before it, under a lock that still has the record of this run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any, TypeAlias

from .._aws.errors import BROKEN, MAYBE_UNSEEN
from .._core.model import CallFailed, TfstateError
from .._engine.guard import Refused
from .._locks.holders import sentence
from .._locks.lease import Lease
from .._locks.locking import look
from .._repair.digest_item import DigestItem, digest_of, put_item
from .._state.listing import item_of
from .._terraform.protocol import digest_id, lock_id
from .._terraform.scope import SUFFIX, Scope
from .bodies import damaged
from .inventory import items, name_of, versions
from .lock_files import Division, divided
from .manifest import Entry, Listed, Manifest, Progress, RawItem, some
from .restore_target import Destination, digest_in
from .state_locks import StateLocks, is_lock_file
from .storage import LARGEST

#: What the destination holds, by key and by the id of an item.
ByKey: TypeAlias = Mapping[str, Sequence[Listed]]
Present: TypeAlias = Mapping[str | None, RawItem]

WORK = "tf_backend_restore"
RESTORE, FINISH, NOTHING = "restore", "finish", "none"
#: What a version is written with.
WRITES = ("put_object", "delete_object")
#: So many problems are told one by one.
TOLD = 5


@dataclass
class Row:
    """An object and its history. `digest` is its item as it has to be where it goes."""

    path: str
    wanted: tuple[Entry, ...]
    digest: RawItem | None
    done: Progress | None
    #: Nothing is left of it but our lock, or its digest.
    is_unfinished: bool = False
    #: A lock of ours, from a run before this one, is on it.
    is_locked: bool = False
    #: A part of it may be there.
    is_begun: bool = False
    #: Why it could not be restored.
    problem: str | None = None

    @property
    def action(self) -> str:
        if self.done is None or self.done.count < len(self.wanted):
            return RESTORE
        return FINISH if self.is_unfinished else NOTHING

    @property
    def is_rolled_back(self) -> bool:
        """Only a part is there, and it is no work of ours: somebody has deleted the newest versions, or a marker."""
        return self.is_begun and not self.is_locked

    @property
    def left(self) -> tuple[Entry, ...]:
        return self.wanted[self.done.count if self.done else 0 :]

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
    rows: list[Row] = field(default_factory=list)
    #: Digests of other buckets, which may have gone on since: they stay behind.
    foreign: int = 0
    #: Lock files and locks that were held when the backup was made.
    left_out: int = 0
    #: All of these by name: objects by `key`, and items of the table by `item`.
    left_behind: list[dict[str, Any]] = field(default_factory=list)
    is_verified: bool = False

    @cached_property
    def state_locks(self) -> StateLocks:
        info = f"being restored from {self.to.storage.url}"
        return StateLocks(self.to.aws, self.to.bucket, self.to.table, WORK, info, self.to.encryption)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.to.aws, self.state_locks.scope, WORK, self.state_locks.info)

    @property
    def _due(self) -> list[Row]:
        return [row for row in self.rows if row.action != NOTHING]

    def _each(self, work: Callable[[Row], Any], rows: Sequence[Row]) -> list[Any]:
        return self.to.aws.together([partial(work, row) for row in rows]) if rows else []

    # What is to be done.

    def look(self) -> None:
        """Finds out, and refuses what cannot be done. It only reads."""
        self.lease.check()
        scope = Scope(self.to.bucket, self.to.table, self.keys)
        present = {name_of(raw): raw for raw in (items(self.to.aws, self.to.table) if self.to.table else [])}
        listed = _by_key(versions(self.to.aws, self.to.bucket))
        there = [key for key, each in listed.items() if not each[-1].is_delete_marker]
        division = divided(self.to.storage, scope, self.manifest.histories(), there)
        self._leave_out(division)
        wanted = division.wanted
        digests = self._digests(scope)
        stateless = [name_of(raw) for path, raw in digests.items() if path not in wanted]
        self.left_behind += [{"item": name, "versions": 1} for name in stateless]
        seen = [partial(self._row, key, history, digests.get(key), listed, present) for key, history in wanted.items()]
        self.rows = self.to.aws.together(seen) if seen else []
        refused = [row.path for row in self.rows if row.done is None]
        if refused:
            raise Refused(
                f"{self.to.bucket.name} holds other versions of {some(refused)} than the backup: nothing is "
                "overwritten; restore into another bucket, or name other keys"
            )
        rolled_back = [row.path for row in self.rows if row.is_rolled_back]
        if rolled_back:
            raise Refused(
                f"{self.to.bucket.name} holds only the older versions of {some(rolled_back)}, and no lock of a restore "
                "that was cut short: somebody went back to them, and nothing is written on top; save the backend "
                "again, restore into another bucket, or name other keys"
            )
        large = [row.path for row in self.rows if any(each.size > LARGEST for each in row.left)]
        if large:
            raise Refused(f"{some(large)} has more than the {LARGEST} bytes that AWS takes at once: name other keys")
        self._check_locks(listed, present)

    def verify(self) -> None:
        """Every body, whole, before the first version is written."""
        if self.is_verified:
            return
        entries = [entry for row in self.rows for entry in row.wanted]
        lost = [
            f"version {entry.version_id} of {entry.key}" for entry in damaged(self.to.aws, self.to.storage, entries)
        ]
        if lost:
            raise Refused(f"the backup in {self.to.storage.url} is damaged: {some(lost)}; nothing was restored")
        self.is_verified = True

    def _leave_out(self, division: Division) -> None:
        self.left_out += sum(len(history) for history in division.lock_files.values())
        self.left_behind += [{"key": key, "versions": len(each)} for key, each in division.lock_files.items()]
        if division.in_the_way:
            self.to.aws.warnings.append(
                f"{some(division.in_the_way)} in the backup holds a state under the name of the lock file of another "
                "state, which is restored or there, and was left out: restore it alone, with keys, into another bucket"
            )

    def _digests(self, scope: Scope) -> dict[str, RawItem]:
        """Those of the backup's own bucket, by the path of their state. What has no `Digest` is none."""
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

    def _row(self, path: str, wanted: tuple[Entry, ...], saved: RawItem | None, listed: ByKey, present: Present) -> Row:
        done = self.to.progress_of(listed.get(path, []), wanted)
        md5 = digest_in(wanted)
        digest = self.to.named(saved, path, md5) if saved and md5 else None
        lacks_digest = digest is not None and _text(present.get(digest_id(self.to.bucket.name, path))) != md5
        is_ours_to_write = done is not None and not done.is_surpassed
        item = present.get(lock_id(self.to.bucket.name, path))
        has_item = item is not None and self.state_locks.has_item(item)
        has_file = bool(_held_file(path, listed)) and self.state_locks.has_file(path)
        is_locked, is_begun = has_item or has_file, done is not None and 0 < done.count < len(wanted)
        row = Row(path, wanted, digest, done, (lacks_digest and is_ours_to_write) or is_locked, is_locked, is_begun)
        if saved and _text(saved) != md5 and row.action != NOTHING:
            instead = "that of the version is written" if md5 else "none is written"
            self.to.aws.warnings.append(
                f"the digest of {path} in the backup does not fit its newest version: {instead} instead"
            )
        return row

    def _check_locks(self, listed: ByKey, present: Present) -> None:
        """Raises Refused if somebody else holds one."""
        held = [row.path for row in self._due if self._is_held(row.path, listed, present)]
        if held:
            places = [self.state_locks.place(path) for path in held[:TOLD]]
            now = datetime.now(timezone.utc)
            locks = {place.path: look(self.to.aws, place) for place in places}
            who = "; ".join(sentence(path, each, now) for path, each in locks.items() if each)
            more = f"; and {len(held) - TOLD} more" if held[TOLD:] else ""
            if not who:
                raise Refused(f"the locks of {some(held)} have just been released: run again")
            raise Refused(f"{who}{more}: wait until it is released")

    def _is_held(self, path: str, listed: ByKey, present: Present) -> bool:
        item = present.get(lock_id(self.to.bucket.name, path))
        by_item = item is not None and not item_of(item)[1].is_digest and not self.state_locks.has_item(item)
        return by_item or (bool(_held_file(path, listed)) and not self.state_locks.has_file(path))

    # What is done.

    def carry_out(self) -> None:
        """Restores what is due, each state whatever becomes of the others. Raises TfstateError if one could not be."""
        due = self._due
        if not due:
            return
        with self.lease.held():
            try:
                self._each(self._lock, due)
                self.verify()
            except TfstateError:
                self._give_back(due)
                raise
            self._each(self._carry, due)
            failed = [row for row in due if row.problem]
            if failed and not any(row.is_begun for row in due) and len(failed) == len(due):
                self._give_back(due)
        if failed:
            raise TfstateError(self._told_of(failed))

    def _told_of(self, failed: Sequence[Row]) -> str:
        problems = "; ".join(dict.fromkeys(str(row.problem) for row in failed[:TOLD]))
        more = f"; and {len(failed) - TOLD} more" if failed[TOLD:] else ""
        held = [row.path for row in failed if self.state_locks.holds(row.path)]
        stay = (
            f". Until a run completes them, {some(held)} stay locked, so that no client finds them absent"
            if held
            else ""
        )
        return f"{problems}{more}{stay}"

    def _lock(self, row: Row) -> None:
        self.state_locks.take(row.path)

    def _give_back(self, rows: Sequence[Row]) -> None:
        """Nothing was written. What a run before this one had locked, it may have begun: that stays locked."""
        made = [row for row in rows if self.state_locks.is_made(row.path)]
        for problems in self._each(lambda row: self.state_locks.release(row.path), made):
            self.to.aws.warnings.extend(problems)

    def _carry(self, row: Row) -> None:
        try:
            self._restore(row)
        except TfstateError as error:
            row.problem = str(error)

    def _restore(self, row: Row) -> None:
        there = self.to.versions(row.path)
        now = self.to.progress_of(there, row.wanted)
        if now is None or (row.done and now.count < row.done.count):
            raise Refused(f"somebody wrote {row.path}, or went back in it, meanwhile: nothing is overwritten")
        row.is_begun = row.is_begun or now.count > 0
        newest = there[-1] if there else None
        for count in range(now.count, len(row.wanted)):
            self.state_locks.check(row.path)
            newest = self._advance(row, count, newest)
        if not now.is_surpassed:
            self._finish(row)
        problems = self.state_locks.release(row.path)
        if problems:
            raise TfstateError("; ".join(problems))

    def _advance(self, row: Row, count: int, newest: Listed | None) -> Listed:
        """Unless AWS says for sure that it has written nothing, the state has begun to be there."""
        was_begun, row.is_begun = row.is_begun, True
        try:
            return self.to.advance(row.wanted, count, newest)
        except CallFailed as refused:
            is_refusal = refused.failure.call.operation in WRITES and refused.failure.code not in BROKEN
            row.is_begun = was_begun or not is_refusal
            raise

    def _finish(self, row: Row) -> None:
        self.state_locks.check(row.path)
        if self.to.progress(row.path, row.wanted) != Progress(len(row.wanted)):
            other = f"{row.path} reads back other than it was written: somebody else writes there"
            raise TfstateError(other + MAYBE_UNSEEN)
        if row.digest:
            place = self.to.place(row.path)
            seen = digest_of(self.to.aws, place)
            if seen.text != _text(row.digest):
                put_item(self.to.aws, place, seen, row.digest)
        self.state_locks.check(row.path)


def _by_key(listed: Iterable[Listed]) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for each in listed:
        found.setdefault(each.key, []).append(each)
    return found


def _held_file(path: str, listed: ByKey) -> list[Listed]:
    return [each for each in listed.get(f"{path}{SUFFIX}", []) if is_lock_file(each, (path,))]


def _text(raw: RawItem | None) -> str | None:
    """The digest in an item, as clients read it."""
    return DigestItem(raw is not None, raw.get("Digest") if raw else None).text

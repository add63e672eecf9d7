# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend taken away: saved whole before, and resumable at any point.

The locks of all states are held from before the backup. They are released if it fails before the policy lets nobody
write; from then on they stay, so that no client ever finds an empty state. What goes is exactly what the backup has, by
version: history first, then what is current, the lock files, the bucket, and last the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from .._aws.errors import BROKEN
from .._backup.backup import Backup, BackupResult
from .._backup.inventory import about, items, of_bucket, versions, versions_of_lease
from .._backup.manifest import Identity, Listed, some
from .._backup.state_locks import is_lock_file
from .._backup.storage import Storage
from .._backup.write_block import has_write_block, write_block
from .._bucket import BUCKET
from .._core.model import Call, CallFailed, Resource, Target, TfstateError
from .._engine.guard import Refused, held
from .._engine.reconcile import reconcile
from .._repair.digest_item import digest_of, remove_digest
from .._state.listing import Item
from .._table import TABLE
from .checks import absent
from .plan import TeardownPlan

#: DeleteObjects takes no more.
BATCH = 1000
#: How long AWS may take to heed a policy everywhere.
HEEDED_S = 5


@dataclass
class Teardown:
    found: TeardownPlan
    allow: frozenset[str]
    #: None only where there is nothing to lose.
    storage: Storage | None
    saved: BackupResult | None = None
    #: What was done, as a run that fails has to tell.
    done: list[str] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.aws, self.bucket, self.state_locks = self.found.aws, self.found.bucket, self.found.state_locks
        self.locked |= self.found.locked

    @property
    def _backup(self) -> Backup | None:
        if self.storage is None or self.found.impact.is_empty:
            return None
        return Backup(
            self.aws,
            self.bucket,
            self.found.table_name,
            self.storage,
            self.found.has_bucket,
            self._is_ours,
            self.state_locks.has_item,
            keeps_items=self.found.is_begun or not self.found.has_bucket,
        )

    def check(self) -> None:
        """Raises TfstateError where nothing could be saved, or nobody kept from writing. It only reads."""
        if self._backup:
            self._backup.check()
            self._backup.check_sizes(self.found.versions)
        if self.found.has_bucket and self.found.paths and not self.found.is_begun:
            write_block(self.aws, self.bucket)

    def plan(self) -> BackupResult | None:
        """What would be saved. It only reads."""
        return self._backup.plan() if self._backup else None

    def carry_out(self) -> None:
        if self.found.has_bucket:
            with self._lease():
                self._save_under_lock()
            self._empty()
            self._end(BUCKET, self.bucket, self.allow - {"delete_state"})
        else:
            self._save()
        if self.found.table and self.found.has_table:
            self._end_table(self.found.table)

    @contextmanager
    def _lease(self) -> Iterator[None]:
        """Until nobody can write any more, which includes the lease. What is left then can be done by several runs."""
        if self.found.is_begun:
            yield
            return
        with self.found.lease.held():
            if has_write_block(self.aws, self.bucket):
                raise TfstateError(f"another run has begun to empty {self.bucket.name} meanwhile: run again")
            yield

    def _save(self) -> None:
        self.saved = self._backup.carry_out() if self._backup else None

    # Before the first deletion.

    def _save_under_lock(self) -> None:
        paths = self.found.paths | self.found.locked
        if self.found.is_begun:
            self._lock(paths - self.found.locked_items)
            return self._save()
        try:
            self._lock(paths)
            self._save()
            self._lock_what_came()
            close = write_block(self.aws, self.bucket) if self.locked else None
        except BaseException:
            self.aws.warnings += self._unlock()
            raise
        return self._close(close) if close else None

    def _lock(self, paths: Collection[str]) -> None:
        """Once the bucket is closed nobody can write lock files, but who locks in the table alone could go on there."""
        self.locked |= {*paths}
        take = self.state_locks.take_item if self.found.is_begun else self.state_locks.take
        takes = [partial(take, path, "break_lock" in self.allow) for path in sorted(paths)]
        if takes:
            self.aws.together(takes)

    def _lock_what_came(self) -> None:
        """Saving takes long: somebody may have made a state meanwhile, or hold the lock of one that is to come."""
        now = self.found.seen()
        if now.theirs and "break_lock" not in self.allow:
            holders = [now.theirs[path] for path in sorted(now.theirs)]
            raise Refused(f"{held(holders)}; nothing was deleted")
        self._lock((now.paths - self.locked).union(now.theirs))

    def _close(self, close: Call) -> None:
        """Without a definite answer the policy may be in place, and then its locks have to stay."""
        try:
            self.aws.write(close)
        except CallFailed as refused:
            if refused.failure.code not in BROKEN:
                self.aws.warnings += self._unlock()
            raise
        self.done.append("the policy denies writing")

    def _unlock(self) -> list[str]:
        releases = [partial(self.state_locks.release, path) for path in sorted(self.locked)]
        return [problem for problems in (self.aws.together(releases) if releases else []) for problem in problems]

    # From here on there is no way back but the backup.

    def _empty(self) -> None:
        saved = self.saved.manifest.identities if self.saved else frozenset()
        self._delete([each for each in self._left(saved) if not each.is_latest])
        self._check_locks()
        self._delete(self._left(saved))
        self._left(frozenset())
        mine = [each for each in self._versions() if self._is_ours(each)]
        if mine:
            self.aws.rest(HEEDED_S)
        self._delete([*mine, *versions_of_lease(self.aws, self.bucket)])

    def _is_ours(self, listed: Listed) -> bool:
        """Whether a version is a lock file of this run, or of the run whose lock this one took over."""
        return is_lock_file(listed, self.locked) or self.state_locks.is_replaced(listed)

    def _versions(self) -> list[Listed]:
        return versions(self.aws, self.bucket)

    def _left(self, saved: frozenset[Identity]) -> list[Listed]:
        """What there is but our locks. Raises TfstateError if there is more than was saved."""
        left = [each for each in self._versions() if not self._is_ours(each)]
        new = [str(each) for each in left if each.identity not in saved]
        if new:
            raise TfstateError(
                f"somebody wrote {some(new)} into {self.bucket.name} meanwhile, and it is not deleted: stop whoever "
                "writes there without a lock, and run again, which saves that too"
            )
        return left

    def _check_locks(self) -> None:
        """Who can force our locks away may be at work by now."""
        now = self.found.seen()
        lost = {*now.theirs}.union([] if self.found.is_begun else self.locked - now.locked)
        lost = lost.union(self.locked - now.locked_items if self.found.table_name else [])
        if lost:
            raise TfstateError(
                f"somebody took our locks away, or holds one: {some(sorted(lost))}; see who is at work, and run again"
            )
        checks = [partial(self.state_locks.check, path) for path in sorted(self.locked) if self.state_locks.holds(path)]
        if checks:
            self.aws.together(checks)

    def _delete(self, going: Sequence[Listed]) -> None:
        rest = iter(going)
        while batch := [*islice(rest, BATCH)]:
            self.aws.renew()
            what = {"Objects": [{"Key": each.key, "VersionId": each.version_id} for each in batch], "Quiet": True}
            self.aws.write(Call("s3", "delete_objects", {**self.bucket.bucket, "Delete": what}))
            self.done.append(f"{len(batch)} versions")

    def _end(self, resource: Resource, target: Target, allow: frozenset[str]) -> None:
        self.aws.renew()
        reconcile(self.aws, resource, target, absent(target, [*allow]), check_mode=False)
        self.done.append(f"{resource.kind} {target.name}")

    def _end_table(self, table: Target) -> None:
        raw = items(self.aws, table.name)
        own = about(raw, self.bucket.name)
        known = self.saved.manifest.items if self.saved else ()
        going = [item for item in (own if self.found.keeps_table else raw) if not self.state_locks.has_item(item)]
        if any(item not in known for item in going):
            raise TfstateError(f"somebody changed table {table.name} meanwhile: run again, which saves that too")
        if self.found.keeps_table:
            self._forget(of_bucket(own, self.bucket.name))
        else:
            self._end(TABLE, table, self.allow | {"delete_state", "break_lock"})

    def _forget(self, own: Sequence[Item]) -> None:
        """What a table that serves others holds about this bucket."""
        for item in own:
            place = self.state_locks.place(item.path)
            if item.is_digest:
                remove_digest(self.aws, place, digest_of(self.aws, place))
            else:
                self.state_locks.release_item(item.path)
            self.done.append(f"an item of {place.table}")

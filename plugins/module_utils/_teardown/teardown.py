# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tears down a backend: backs it up, then deletes it. A run can be interrupted at any point and run again.

All states are locked before the backup. The locks are released if the run fails before the bucket policy denies writes;
from then on they stay, so that no client ever finds an empty state. Exactly the versions in the backup are deleted:
noncurrent versions first, then current ones, the lock files, the bucket, and the table last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from .._aws.errors import BROKEN
from .._backup.archived import Archived, request_restores
from .._backup.backup import Backup, BackupResult
from .._backup.inventory import items, of_bucket, raw_items_of, versions, versions_of_lease
from .._backup.manifest import Identity, Listed, some
from .._backup.state_locks import is_lock_file
from .._backup.storage import Storage
from .._backup.write_block import has_write_block, write_block
from .._bucket import BUCKET
from .._core.model import Call, CallFailed, Resource, Target, TfstateError
from .._core.refusals import held
from .._engine.guard import Refused
from .._engine.reconcile import reconcile
from .._repair.digest_item import digest_of, remove_digest
from .._state.listing import TableItem
from .._table import TABLE
from .checks import absent
from .plan import TeardownPlan

#: Permits to delete archived versions, which the backup then lacks.
DELETE_ARCHIVED = "delete_archived"
#: The maximum number of versions in one DeleteObjects.
BATCH = 1000
#: How long a policy can take to be enforced everywhere.
POLICY_DELAY_S = 5


@dataclass
class Teardown:
    plan: TeardownPlan
    allow: frozenset[str]
    #: None only if there is nothing to lose.
    storage: Storage | None
    saved: BackupResult | None = None
    #: What was done, which a failing run returns.
    done: list[str] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)
    #: The archived versions whose restore this run requests.
    requested: set[Identity] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.aws, self.bucket, self.state_locks = self.plan.aws, self.plan.bucket, self.plan.state_locks
        self.locked |= self.plan.locked

    @property
    def deletes_archived(self) -> bool:
        return DELETE_ARCHIVED in self.allow

    @property
    def _backup(self) -> Backup | None:
        if self.storage is None or self.plan.impact.is_empty:
            return None
        return Backup(
            self.aws,
            self.bucket,
            self.plan.table_name,
            self.storage,
            self.plan.has_bucket,
            self._is_ours,
            self.state_locks.has_item,
            keeps_items=self.plan.is_begun or not self.plan.has_bucket,
            skips_archived=self.deletes_archived,
            how_to_skip=f"allow: [{DELETE_ARCHIVED}] to delete them without a backup",
            requested=self.requested,
        )

    def plan_restores(self) -> list[Archived]:
        """The archived versions to request the restore of, so that they can be saved."""
        return self._backup.plan_restores() if self._backup else []

    def request_restores(self, archived: Sequence[Archived]) -> None:
        request_restores(self.aws, self.bucket, archived)

    def check(self) -> None:
        """Raises TfstateError if the backup or the write block would fail. It only reads."""
        if self._backup:
            self._backup.check_archived(self.plan.versions)
            self._backup.check_sizes(self.plan.versions)
        if self.plan.has_bucket and self.plan.paths and not self.plan.is_begun:
            write_block(self.aws, self.bucket)

    def plan_backup(self) -> BackupResult | None:
        """The result of the backup. It only reads."""
        return self._backup.plan() if self._backup else None

    def carry_out(self) -> None:
        if self.plan.has_bucket:
            with self._lease():
                self._save_under_lock()
            self._empty()
            self._delete_resource(BUCKET, self.bucket, self.allow - {"delete_state"})
        else:
            self._save()
        if self.plan.table and self.plan.has_table:
            self._delete_table(self.plan.table)

    @contextmanager
    def _lease(self) -> Iterator[None]:
        """Held until all writes are denied, also those of the lease. After that, several runs can work at once."""
        if self.plan.is_begun:
            yield
            return
        with self.plan.lease.held():
            if has_write_block(self.aws, self.bucket):
                raise TfstateError(f"another run has begun to empty {self.bucket.name} meanwhile: run again")
            yield

    def _save(self) -> None:
        self.saved = self._backup.carry_out() if self._backup else None

    # Before the first deletion.

    def _save_under_lock(self) -> None:
        paths = self.plan.paths | self.plan.locked
        if self.plan.is_begun:
            self._lock(paths - self.plan.locked_items)
            return self._save()
        try:
            self._lock(paths)
            self._save()
            self._lock_new_states()
            call = write_block(self.aws, self.bucket) if self.locked else None
        except BaseException:
            self.aws.warnings += self._unlock()
            raise
        return self._put_write_block(call) if call else None

    def _lock(self, paths: Collection[str]) -> None:
        """With the write block nobody can write lock files, but clients that lock in the table only could go on."""
        self.locked |= {*paths}
        take = self.state_locks.take_item if self.plan.is_begun else self.state_locks.take
        takes = [partial(take, path, "break_lock" in self.allow) for path in sorted(paths)]
        if takes:
            self.aws.together(takes)

    def _lock_new_states(self) -> None:
        """During the backup, somebody may have created a state or locked a path without one."""
        now = self.plan.refreshed()
        if now.theirs and "break_lock" not in self.allow:
            holders = [now.theirs[path] for path in sorted(now.theirs)]
            raise Refused(f"{held(holders)}; nothing was deleted")
        self._lock((now.paths - self.locked).union(now.theirs))

    def _put_write_block(self, call: Call) -> None:
        """Without a definite refusal the policy may be in place, and then the locks must stay."""
        try:
            self.aws.write(call)
        except CallFailed as error:
            if error.failure.code not in BROKEN:
                self.aws.warnings += self._unlock()
            raise
        self.done.append("the policy denies writing")

    def _unlock(self) -> list[str]:
        releases = [partial(self.state_locks.release, path) for path in sorted(self.locked)]
        return [problem for problems in (self.aws.together(releases) if releases else []) for problem in problems]

    # After this, only a restore brings the backend back.

    def _empty(self) -> None:
        saved = self.saved.manifest.identities if self.saved else frozenset()
        if self.saved and self.deletes_archived:
            saved |= {each.identity for each in self.saved.manifest.skipped}
        self._delete_versions([each for each in self._remaining(saved) if not each.is_latest])
        self._check_locks()
        self._delete_versions(self._remaining(saved))
        self._remaining(frozenset())
        mine = [each for each in self._versions() if self._is_ours(each)]
        if mine:
            self.aws.rest(POLICY_DELAY_S)
        self._delete_versions([*mine, *versions_of_lease(self.aws, self.bucket)])

    def _is_ours(self, listed: Listed) -> bool:
        """Whether a version is a lock file of this run, or one that this run took over."""
        return is_lock_file(listed, self.locked) or self.state_locks.is_replaced(listed)

    def _versions(self) -> list[Listed]:
        return versions(self.aws, self.bucket)

    def _remaining(self, saved: frozenset[Identity]) -> list[Listed]:
        """All versions except our locks. Raises TfstateError if any of them is not in the backup."""
        left = [each for each in self._versions() if not self._is_ours(each)]
        new = [str(each) for each in left if each.identity not in saved]
        if new:
            raise TfstateError(
                f"somebody wrote {some(new)} into {self.bucket.name} meanwhile, and it is not deleted: stop whoever "
                "writes there without a lock, and run again, which saves that too"
            )
        return left

    def _check_locks(self) -> None:
        """Raises TfstateError if somebody forced our locks away: they may be at work."""
        now = self.plan.refreshed()
        lost = {*now.theirs}.union([] if self.plan.is_begun else self.locked - now.locked)
        lost = lost.union(self.locked - now.locked_items if self.plan.table_name else [])
        if lost:
            raise TfstateError(
                f"somebody took our locks away, or holds one: {some(sorted(lost))}; see who is at work, and run again"
            )
        checks = [partial(self.state_locks.check, path) for path in sorted(self.locked) if self.state_locks.holds(path)]
        if checks:
            self.aws.together(checks)

    def _delete_versions(self, listed: Sequence[Listed]) -> None:
        rest = iter(listed)
        while batch := [*islice(rest, BATCH)]:
            self.aws.renew()
            what = {"Objects": [{"Key": each.key, "VersionId": each.version_id} for each in batch], "Quiet": True}
            self.aws.write(Call("s3", "delete_objects", {**self.bucket.bucket, "Delete": what}))
            self.done.append(f"{len(batch)} versions")

    def _delete_resource(self, resource: Resource, target: Target, allow: frozenset[str]) -> None:
        self.aws.renew()
        reconcile(self.aws, resource, target, absent(target, [*allow]), check_mode=False)
        self.done.append(f"{resource.kind} {target.name}")

    def _delete_table(self, table: Target) -> None:
        raw = items(self.aws, table.name)
        own = raw_items_of(raw, self.bucket.name)
        known = self.saved.manifest.items if self.saved else ()
        going = [item for item in (own if self.plan.keeps_table else raw) if not self.state_locks.has_item(item)]
        if any(item not in known for item in going):
            raise TfstateError(f"somebody changed table {table.name} meanwhile: run again, which saves that too")
        if self.plan.keeps_table:
            self._delete_items(of_bucket(own, self.bucket.name))
        else:
            self._delete_resource(TABLE, table, self.allow | {"delete_state", "break_lock"})

    def _delete_items(self, own: Sequence[TableItem]) -> None:
        """Deletes the items of this bucket from a table that serves others."""
        for item in own:
            place = self.state_locks.place(item.path)
            if item.is_digest:
                remove_digest(self.aws, place, digest_of(self.aws, place))
            else:
                self.state_locks.release_item(item.path)
            self.done.append(f"an item of {place.table}")

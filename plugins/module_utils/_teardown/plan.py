# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a teardown: what the backend contains, and who holds locks in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .._aws.protocols import BackendClient
from .._backup.inventory import id_of, items, locate, of_bucket, raw_items_of, versions
from .._backup.manifest import Listed, RawItem
from .._backup.state_locks import StateLocks, is_lock_file
from .._backup.write_block import has_write_block, is_narrowed
from .._bucket import BUCKET
from .._core.model import Target, TfstateError
from .._core.printable import shortened
from .._engine.guard import Refused
from .._locks.lease import Lease
from .._state.inspection import ObservedLock, locks
from .._state.listing import item_of
from .._table import TABLE
from .._terraform.protocol import LockInfo, Wedged, lock_name
from .impact import Impact, impact_of, misnamed_states, objects_in

WORK = "tf_backend_teardown"


@dataclass(frozen=True)
class TeardownPlan:
    aws: BackendClient
    bucket: Target
    has_bucket: bool
    #: The table of the task, whether it exists or not.
    table: Target | None
    has_table: bool
    #: The table serves other buckets: only the items of this bucket are deleted.
    keeps_table: bool
    #: Parameters of uploads of lock files.
    encryption: Mapping[str, str]
    #: An earlier run has begun to delete.
    is_begun: bool = False
    #: The states whose lock files are those of an earlier teardown.
    locked: frozenset[str] = frozenset()
    #: The states that somebody else has locked, and a description of who.
    theirs: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[Listed] = ()
    items: Sequence[RawItem] = ()

    @property
    def table_name(self) -> str | None:
        return self.table.name if self.table and self.has_table else None

    @cached_property
    def state_locks(self) -> StateLocks:
        """For inspection. A run takes and releases locks with the object of its first plan."""
        info = f"s3://{self.bucket.name} is being torn down"
        return StateLocks(self.aws, self.bucket, self.table_name, WORK, info, self.encryption)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.aws, self.state_locks.scope, WORK, self.state_locks.info)

    @cached_property
    def impact(self) -> Impact:
        """What would be lost: everything except our own locks."""
        found = [each for each in self.versions if not is_lock_file(each, self.locked)]
        return impact_of(
            self.aws, self.bucket, found, [each for each in self.items if not self.state_locks.has_item(each)]
        )

    @property
    def is_due(self) -> bool:
        """Whether there is anything left to delete."""
        return self.has_bucket or (self.has_table and (not self.keeps_table or bool(self.own_items)))

    @property
    def own_items(self) -> Sequence[RawItem]:
        return raw_items_of(self.items, self.bucket.name)

    @property
    def paths(self) -> frozenset[str]:
        """The paths to lock: every state, and whatever else somebody has locked."""
        return frozenset({*self.theirs, *objects_in(self.versions).states, *self._misnamed})

    @cached_property
    def _misnamed(self) -> frozenset[str]:
        return frozenset(misnamed_states(self.aws, self.bucket, self.versions))

    @property
    def locked_items(self) -> frozenset[str]:
        """The states whose locks in the table are ours."""
        return frozenset(item_of(each)[1].path for each in self.items if self.state_locks.has_item(each))

    def refreshed(self) -> TeardownPlan:
        """The same plan with the current contents. Raises TfstateError if they cannot be read."""
        found = versions(self.aws, self.bucket) if self.has_bucket else []
        now = replace(self, versions=found, items=items(self.aws, self.table_name) if self.table_name else [])
        locked, theirs = _holders(now)
        return replace(now, locked=locked, theirs=theirs)

    @property
    def others(self) -> list[str]:
        """The other buckets that the table serves."""
        named = {str(each.get("LockID", {}).get("S", "?")).partition("/")[0] for each in self.items}
        return sorted(named - {self.bucket.name})


def plan_teardown(
    aws: BackendClient, bucket: Target, table: Target | None, keeps_table: bool, encryption: Mapping[str, str]
) -> TeardownPlan:
    """Raises TfstateError if something cannot be read or contradicts the options."""
    bucket, has_bucket = locate(aws, BUCKET, bucket)
    has_table = False
    if table:
        table, has_table = locate(aws, TABLE, table)
    is_begun = has_bucket and has_write_block(aws, bucket)
    if is_begun and is_narrowed(aws, bucket):
        raise Refused(
            f"somebody has begun to end the teardown of {bucket.name}, and clients can lock its states again: complete "
            "that with tf_backend_teardown and state: cancelled first"
        )
    plan = TeardownPlan(aws, bucket, has_bucket, table, has_table, keeps_table, encryption, is_begun)
    if has_bucket:
        plan.lease.check()
    return plan.refreshed()


def _holders(plan: TeardownPlan) -> tuple[frozenset[str], dict[str, str]]:
    """The states with a lock file of ours, and those that somebody else has locked, with a description of who."""
    objects, state_locks = objects_in(plan.versions), plan.state_locks
    ours: set[str] = set()
    theirs: dict[str, str] = {}
    for lock in locks(plan.aws, state_locks.scope, objects, of_bucket(plan.items, plan.bucket.name), objects.now):
        if lock.failure:
            raise TfstateError(f"who holds the lock of {lock.path} cannot be known: {lock.failure}")
        if isinstance(lock.info, Wedged) and lock.info.is_state:
            continue
        if id_of(lock.info) != state_locks.id_of(lock.path):
            theirs[lock.path] = f"{lock.path} ({_who(lock)})"
        elif lock.store == "file":
            ours.add(lock.path)
    return frozenset(ours), theirs


def _who(lock: ObservedLock) -> str:
    record = lock.info
    if isinstance(record, LockInfo):
        info = f", {shortened(record.info)}" if record.info else ""
        who = f"{shortened(record.operation)} by {shortened(record.who)} since {record.since_in_words}{info}"
        return f"{who}; {lock.store}, lock id {lock_name(record.id)}"
    return f"a record that no client can read, {lock.store}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend that is to go, as it was found: what it holds, and whose locks are held in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .._aws.protocols import BackendClient
from .._backup.inventory import about, id_of, items, locate, of_bucket, versions
from .._backup.manifest import Listed, RawItem
from .._backup.state_locks import StateLocks, is_lock_file
from .._backup.write_block import has_write_block
from .._bucket import BUCKET
from .._core.model import Target, TfstateError
from .._core.printable import shortened
from .._locks.lease import Lease
from .._state.inspection import Lock, locks
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
    #: As it was named, whether it exists or not.
    table: Target | None
    has_table: bool
    #: The table serves other buckets: only what is about this one goes.
    keeps_table: bool
    #: What uploads of lock files say of theirs.
    encryption: Mapping[str, str]
    #: A run before this one has begun to delete.
    is_begun: bool = False
    #: The states whose lock files are ours, from a run before this one.
    locked: frozenset[str] = frozenset()
    #: The states that somebody else has locked, and who it is.
    theirs: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[Listed] = ()
    items: Sequence[RawItem] = ()

    @property
    def table_name(self) -> str | None:
        return self.table.name if self.table and self.has_table else None

    @cached_property
    def state_locks(self) -> StateLocks:
        """For looking at locks. The run takes and releases those of the first look."""
        info = f"s3://{self.bucket.name} is being torn down"
        return StateLocks(self.aws, self.bucket, self.table_name, WORK, info, self.encryption)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.aws, self.state_locks.scope, WORK, self.state_locks.info)

    @cached_property
    def impact(self) -> Impact:
        """What would be lost: all but our own locks."""
        found = [each for each in self.versions if not is_lock_file(each, self.locked)]
        return impact_of(
            self.aws, self.bucket, found, [each for each in self.items if not self.state_locks.has_item(each)]
        )

    @property
    def is_due(self) -> bool:
        """Whether there is anything left to take away."""
        return self.has_bucket or (self.has_table and (not self.keeps_table or bool(self.own_items)))

    @property
    def own_items(self) -> Sequence[RawItem]:
        return about(self.items, self.bucket.name)

    @property
    def paths(self) -> frozenset[str]:
        """What clients have to be kept from: every state, and whatever else somebody has locked."""
        return frozenset({*self.theirs, *objects_in(self.versions).states, *self._misnamed})

    @cached_property
    def _misnamed(self) -> frozenset[str]:
        return frozenset(misnamed_states(self.aws, self.bucket, self.versions))

    @property
    def locked_items(self) -> frozenset[str]:
        """The states whose locks in the table are ours."""
        return frozenset(item_of(each)[1].path for each in self.items if self.state_locks.has_item(each))

    def seen(self) -> TeardownPlan:
        """As it is now. Raises TfstateError where that cannot be known."""
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
    """Raises TfstateError where something cannot be read, or is not what it was said to be."""
    bucket, has_bucket = locate(aws, BUCKET, bucket)
    has_table = False
    if table:
        table, has_table = locate(aws, TABLE, table)
    is_begun = has_bucket and has_write_block(aws, bucket)
    found = TeardownPlan(aws, bucket, has_bucket, table, has_table, keeps_table, encryption, is_begun)
    if has_bucket:
        found.lease.check()
    return found.seen()


def _holders(found: TeardownPlan) -> tuple[frozenset[str], dict[str, str]]:
    """The states with a lock file of ours, and those with any lock of somebody else's, with a word about who it is."""
    seen, state_locks = objects_in(found.versions), found.state_locks
    ours: set[str] = set()
    theirs: dict[str, str] = {}
    for lock in locks(found.aws, state_locks.scope, seen, of_bucket(found.items, found.bucket.name), seen.now):
        if lock.failure:
            raise TfstateError(f"who holds the lock of {lock.path} cannot be known: {lock.failure}")
        if isinstance(lock.info, Wedged) and lock.info.is_state:
            continue
        if id_of(lock.info) != state_locks.id_of(lock.path):
            theirs[lock.path] = f"{lock.path} ({_who(lock)})"
        elif lock.store == "file":
            ours.add(lock.path)
    return frozenset(ours), theirs


def _who(lock: Lock) -> str:
    record = lock.info
    if isinstance(record, LockInfo):
        info = f", {shortened(record.info)}" if record.info else ""
        who = f"{shortened(record.operation)} by {shortened(record.who)} since {record.since_in_words}{info}"
        return f"{who}; {lock.store}, lock id {lock_name(record.id)}"
    return f"a record that no client can read, {lock.store}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states of a backend and their locks, also where its bucket or its table is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .._aws.protocols import BackendClient
from .._backup.inventory import locate
from .._bucket import BUCKET
from .._core.model import EXISTENCE, CallFailed, Failure, Invalid, Target
from .._engine.guard import Refused
from .._engine.location import check_caller
from .._engine.observer import Observer
from .._locks.stores import FileStore, Lock, Place, lock_of_item
from .._migration.moved_states import denied_by_policy, is_moved_lock
from .._state import inspection, listing
from .._state.listing import Objects, TableItem
from .._table import TABLE
from .._table.existence import KEY
from .._terraform.protocol import LockInfo, as_finished, is_frozen_by, lock_name
from .._terraform.scope import Scope


@dataclass(frozen=True)
class Backend:
    """A backend and which of its two stores of locks exist."""

    aws: BackendClient
    scope: Scope
    has_bucket: bool
    has_table: bool
    #: A sentence for each store in which nothing can be locked.
    missing: tuple[str, ...] = ()

    @property
    def whole(self) -> Backend:
        """With all states, not only those of `keys`."""
        return replace(self, scope=replace(self.scope, keys=()))

    def place(self, path: str) -> Place:
        bucket, table = self.scope.bucket, self.scope.table if self.has_table else None
        return Place(bucket.name, path, table, bucket.owner, self.scope.encryption, self.has_bucket)


@dataclass(frozen=True)
class Survey:
    """`states`: all that could be seen, by their path, less those that have `moved`. `locks`: by the path."""

    states: frozenset[str]
    locks: Mapping[str, tuple[Lock, ...]]
    moved: frozenset[str]

    def frozen(self, lock_id: str | None = None) -> dict[str, tuple[Lock, ...]]:
        """The locks of freezes, or of the one with this id, by the path of the state."""
        found = {
            path: tuple(lock for lock in locks if is_frozen_by(lock.record) and lock_id in (None, lock.id))
            for path, locks in self.locks.items()
        }
        return {path: locks for path, locks in found.items() if locks}


def backend_of(aws: BackendClient, scope: Scope) -> Backend:
    """Raises TfstateError if the bucket is elsewhere, or if it is unknown whether bucket and table exist."""
    bucket, has_bucket = locate(aws, BUCKET, scope.bucket)
    missing = [] if has_bucket else [f"bucket {bucket.name} does not exist, so no lock file can be held"]
    has_table = False
    if scope.table:
        check_caller(aws, scope.bucket)
        why = _why_not(aws, replace(scope.bucket, name=scope.table, owner=None))
        has_table = not why
        if why:
            missing.append(f"{why}, so no lock can be held there, and no client gets one there either")
    scope = replace(scope, bucket=replace(bucket, owner=scope.bucket.owner))
    return Backend(aws, scope, has_bucket, has_table, tuple(missing))


def _why_not(aws: BackendClient, table: Target) -> str:
    """Why nobody can lock in the table; empty if everybody can."""
    observer = Observer(aws, TABLE, table, {})
    observer.identify()
    exists = observer.observe((TABLE.existence,), observer.answer)[EXISTENCE]
    if exists is None:
        return f"table {table.name} does not exist"
    if exists["key"] == KEY:
        return ""
    shown = ", ".join(f"{name} ({kind})" for name, kind in exists["key"].items())
    return f"table {table.name} has the key {shown}, not LockID (S HASH)"


def survey(backend: Backend) -> Survey:
    """What is there now. Raises TfstateError if something cannot be read. It only reads."""
    aws, scope = backend.aws, backend.scope
    objects = _known(listing.objects(aws, scope)) if backend.has_bucket else None
    items = _known(listing.items(aws, scope, str(scope.table))) if backend.has_table else []
    denied = denied_by_policy(aws, scope.bucket) if backend.has_bucket else frozenset()
    locks = _locks(backend, objects, items)
    seen = {*locks, *(item.path for item in items), *(_states(backend, objects, items) if objects else ())}
    moved = {
        path
        for path in seen
        if {path, "*"} & denied or any(is_moved_lock(lock, scope.bucket.name) for lock in locks.get(path, ()))
    }
    return Survey(frozenset(seen - moved), locks, frozenset(moved))


def record_of_freeze(aws: BackendClient, scope: Scope, lock_id: str) -> LockInfo:
    """The record of the freeze with this id. Raises Refused if there is none."""
    found = survey(backend_of(aws, scope))
    records = [lock.record for locks in found.frozen(lock_id).values() for lock in locks]
    for record in records:
        if isinstance(record, LockInfo):
            return as_finished(record)
    others = sorted({lock_name(lock.id) for locks in found.frozen().values() for lock in locks})
    held = f"; it is frozen under {' and '.join(others)}" if others else "; nothing is frozen there"
    raise Refused(
        f"no freeze of {scope.bucket.name} has the lock_id {lock_id}{held}: correct lock_id, or freeze it first"
    )


def _states(backend: Backend, found: Objects, items: list[TableItem]) -> Iterable[str]:
    """The paths of states, also of those that were deleted and can be brought back."""
    aws, scope = backend.aws, backend.scope
    looks = inspection.inspect_states(aws, scope, found, wants_counts=False) if found.states else {}
    others = inspection.other_objects(scope, found, looks, items)
    deleted = listing.versions(aws, scope, 1, states=found.states, others=others)
    if isinstance(deleted, Failure):
        aws.warnings.append(f"states that were deleted cannot be seen, and are not held: {deleted}")
        deleted = listing.Versions()
    if deleted.stopped_at:
        aws.warnings.append(f"there are too many versions to list: name keys from {deleted.stopped_at} on")
    gone = [path for path, kept in deleted.newest.items() if kept[0].is_delete_marker and path not in found.states]
    return {*found.states, *gone} - {*others}


def _locks(backend: Backend, found: Objects | None, items: list[TableItem]) -> dict[str, tuple[Lock, ...]]:
    aws = backend.aws
    paths = sorted(found.lock_files) if found else []
    reads = [partial(FileStore(backend.place(path)).read_lock, aws) for path in paths]
    in_files = aws.together(reads) if reads else []
    in_table = [
        lock_of_item(item.path, {"Info": item.attribute} if item.attribute else {"LockID": {}})
        for item in items
        if not item.is_digest
    ]
    locks: dict[str, tuple[Lock, ...]] = {}
    for lock in (*in_files, *in_table):
        if lock:
            locks[lock.path] = (*locks.get(lock.path, ()), lock)
    return locks


def _known(answer: Any) -> Any:
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer


def check_any_store(backend: Backend) -> None:
    """Raises Invalid if there is nothing in which a lock could be held."""
    if not backend.has_bucket and not backend.has_table:
        raise Invalid(
            f"nothing can be frozen: {'; '.join(backend.missing)}; clients get no lock without them, and with "
            "-lock=false nothing stops them: stop all pipelines"
        )

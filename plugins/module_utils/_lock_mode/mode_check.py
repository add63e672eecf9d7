# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a backend may be made one of a lock mode, although its clients lock in the mode that this does not exclude.

Clients of `dynamodb` and of `lockfile` do not exclude each other. What they leave behind is looked for before the first
write: digests and locks in the table, lock files in the bucket, and the tag that records the mode `lockfile`. A run
with `both` does not remove that tag, as the clients of before may be as they were: a step of the playbook does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._aws.errors import NO_SUCH_TABLE
from .._aws.protocols import BackendClient
from .._bucket import tags
from .._core.model import Call, CallFailed, Change, Failure, TfstateError, Unknown, Value, Values, facet_of
from .._core.printable import shortened
from .._core.tags import LOCK_MODE, OF_BOTH, OF_FILES
from .._engine.guard import Refused
from .._locks.stores import FileStore, Lock, TableStore, lock_of_item, place_in
from .._migration.moved_states import is_moved_lock
from .._state.listing import TableItem, item_of
from .._terraform.protocol import IS_STATE, is_frozen_by, lock_file
from .._terraform.scope import LEASE, SUFFIX, Scope
from .client_watch import JITTER_S
from .requirements import BOTH, DYNAMODB, LOCKFILE

#: The word of `allow` that permits the change.
CHANGE_LOCK_MODE = "change_lock_mode"
OTHER = {DYNAMODB: LOCKFILE, LOCKFILE: DYNAMODB}
#: The value of the tag.
_OF_MODE = {LOCKFILE: OF_FILES}


@dataclass(frozen=True)
class ModeCheck:
    """`recorded`: the tags of the bucket; None if nobody has read them, as they are unmanaged."""

    aws: BackendClient
    scope: Scope
    wanted: str
    exists: bool
    recorded: Values | None

    def check(self) -> None:
        """Raises Refused if clients may lock in the other mode, or if nobody can see it."""
        try:
            seen = next(self._seen(), None)
        except TfstateError as blind:
            if self._is_empty():  # a new backend needs no further permission
                return
            raise Refused(
                f"bucket {self.scope.bucket.name}: lock_mode is {self.wanted}, and whether clients lock in mode "
                f"{OTHER[self.wanted]} cannot be seen: {blind}. {self._blind_advice()}"
            ) from blind
        if seen:
            raise Refused(
                f"bucket {self.scope.bucket.name}: lock_mode is {self.wanted}, but {seen}: clients of the lock modes "
                f"{OTHER[self.wanted]} and {self.wanted} do not exclude each other. {self._way()}; or if no client "
                f"uses {self.scope.bucket.name}: allow: [{CHANGE_LOCK_MODE}]"
            )

    def _way(self) -> str:
        """The steps between the two modes, the last of which is this one."""
        return (
            "Set lock_mode to both, take the steps of playbooks/lock_mode.yml (docs/lock-modes.md) up to "
            f"lock_mode={self.wanted}, and set lock_mode to {self.wanted} then"
        )

    def _blind_advice(self) -> str:
        table = (
            f"leave the name of the table out if no client locks in {self.scope.table}, " if self.scope.table else ""
        )
        return f"Allow the read, {table}or if no client uses {self.scope.bucket.name}: allow: [{CHANGE_LOCK_MODE}]"

    def _seen(self) -> Iterator[str]:
        if self.wanted == LOCKFILE:
            is_recorded = (self.recorded or {}).get(LOCK_MODE) == OF_FILES
            yield from () if is_recorded or not self.scope.table else self._in_table(self.scope.table)
            return
        if self.exists and (recorded := self._recorded_mode()) in (OF_FILES, OF_BOTH):
            yield f"its tag {LOCK_MODE} says {recorded}"
        yield from self._lock_files() if self.exists else ()

    def _recorded_mode(self) -> str | None:
        """What the tag says. It is looked at although tags are unmanaged: a step of the playbook writes it."""
        recorded = self.recorded
        if recorded is None:
            value = _read_tags(self.aws, self.scope)
            if isinstance(value, Unknown) and not value.failure.is_unsupported:
                raise CallFailed(value.failure)
            recorded = {} if isinstance(value, Unknown) else value
        return recorded.get(LOCK_MODE)

    def _in_table(self, table: str) -> Iterator[str]:
        """What clients left in the table, without states that moved, freezes, and locks that are lock files, too."""
        found = list(self._items(table))
        locks = {each.path: lock_of_item(each.path, {"Info": each.attribute}) for each in found if not each.is_digest}
        moved = {path for path, lock in locks.items() if lock and is_moved_lock(lock, self.scope.bucket.name)}
        for item in found:
            lock = None if item.is_digest else locks[item.path]
            if item.path in moved or (lock and is_frozen_by(lock.record)):
                continue
            file = FileStore(place_in(self.scope, item.path)).read_lock(self.aws) if self.exists else None
            if file and (not item.is_digest or is_moved_lock(file, self.scope.bucket.name)):
                continue
            kind = "digest" if item.is_digest else "lock"
            yield f"the table {table} holds a {kind} of {shortened(item.path)}"

    def _items(self, table: str) -> Iterator[TableItem]:
        asked = {
            "TableName": table,
            "ConsistentRead": True,
            "ProjectionExpression": "LockID, Info, Digest",
            "FilterExpression": "begins_with(LockID, :bucket)",
            "ExpressionAttributeValues": {":bucket": {"S": f"{self.scope.bucket.name}/"}},
        }
        for page in self.aws.pages(Call("dynamodb", "scan", asked)):
            if isinstance(page, Failure):
                if page.code in NO_SUCH_TABLE or (page.is_unsupported and not self.aws.is_aws("dynamodb")):
                    return
                raise CallFailed(page)
            read = (item_of(each) for each in page.get("Items", []))
            yield from (item for bucket, item in read if bucket == self.scope.bucket.name)

    def _lock_files(self) -> Iterator[str]:
        """Locks that clients hold in lock files alone; those of mode `both` hold the item of the table, too."""
        suspects = [path for path in self._locked() if self._is_alone(path)]
        if suspects:  # a client of both takes the file first, and releases it last
            self.aws.rest(JITTER_S)
        for path in suspects:
            if self._is_alone(path):
                yield f"the lock file {shortened(lock_file(path))} is held, and no lock in the table"

    def _locked(self) -> Iterator[str]:
        for page in self.aws.pages(Call("s3", "list_objects_v2", dict(self.scope.bucket.bucket))):
            if isinstance(page, Failure):
                raise CallFailed(page)
            names = (each["Key"] for each in page.get("Contents", []) if each["Key"].endswith(SUFFIX))
            yield from (name.removesuffix(SUFFIX) for name in names if name != LEASE + SUFFIX)

    def _is_alone(self, path: str) -> bool:
        place = place_in(self.scope, path)
        file = FileStore(place).read_lock(self.aws)
        if file is None or file.record == IS_STATE or self._is_no_client(file):
            return False
        try:
            return not (self.scope.table and TableStore(place).read_lock(self.aws))
        except CallFailed as refused:
            if refused.failure.code in NO_SUCH_TABLE:
                return True
            raise

    def _is_no_client(self, lock: Lock) -> bool:
        """A state that has moved away, or a freeze, which holds what is there to be held in every lock mode."""
        return is_moved_lock(lock, self.scope.bucket.name) or is_frozen_by(lock.record)

    def _is_empty(self) -> bool:
        if not self.exists:
            return True
        (answer,) = self.aws.read([Call("s3", "list_objects_v2", {**self.scope.bucket.bucket, "MaxKeys": 1})])
        return not isinstance(answer, Failure) and not answer.get("Contents")


def tags_of(aws: BackendClient, scope: Scope) -> Values | None:
    """The tags of the bucket. None if they cannot be read."""
    value = _read_tags(aws, scope)
    if isinstance(value, Unknown):
        if not value.failure.is_unsupported:
            aws.warnings.append(_unrecorded(scope, value.failure))
        return None
    return dict(value)


def _read_tags(aws: BackendClient, scope: Scope) -> Value:
    (answer,) = aws.read([tags.read(scope.bucket)])
    return facet_of(tags).value(answer, scope.bucket)


def record_mode(scope: Scope, wanted: str, before: Values | None) -> Change | None:
    """The record of a run with this lock mode. Nobody has seen that clients in lock files alone are gone since."""
    is_still_of_files = wanted == BOTH and LOCK_MODE in (before or {})
    return _record_change(scope, OF_BOTH if is_still_of_files else _OF_MODE.get(wanted), before)


def record_step(scope: Scope, target: str, before: Values | None) -> Change | None:
    """The record of a step, which has seen that no client is left that the lock mode does not exclude."""
    return _record_change(scope, _OF_MODE.get(target), before)


def _record_change(scope: Scope, mode: str | None, before: Values | None) -> Change | None:
    """What makes the tag of the bucket say `mode`. None if it does, or cannot."""
    if before is None or before.get(LOCK_MODE) == mode:
        return None
    after = {name: value for name, value in {**before, LOCK_MODE: mode}.items() if value is not None}
    return Change(tags.NAME, before, after, tags.calls(scope.bucket, before, after))


def record(aws: BackendClient, scope: Scope, change: Change | None) -> tuple[Change, ...]:
    """Writes the tag. Without it the next check looks at the table again, so a refusal is a warning only."""
    if change is None:
        return ()
    try:
        for call in change.calls:
            aws.write(call)
    except TfstateError as error:
        aws.warnings.append(_unrecorded(scope, error))
        return ()
    return (change,)


def _unrecorded(scope: Scope, why: object) -> str:
    return f"{scope.bucket.name}: whether its clients lock by file alone is not recorded in the tag {LOCK_MODE}: {why}"

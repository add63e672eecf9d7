# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks of a state in both stores, taken as clients take them, and released only if they are unchanged.

The file comes first, then the table, as in clients that take both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeAlias

from .._aws.errors import MAYBE_UNSEEN, NO_SUCH_OBJECT
from .._aws.protocols import LockClient
from .._core.model import CallFailed, TfstateError
from .._terraform.protocol import LockInfo, Wedged, lock_file, lock_name, marshal
from .holders import sentence
from .stores import FileStore, Lock, Place, Store, stores

#: Error codes: the condition does not hold, or the object or item is gone.
UNMET = {"ConditionalCheckFailedException", "PreconditionFailed", "412", *NO_SUCH_OBJECT}
#: Error codes of stores without conditional deletes.
UNCONDITIONAL = {"NotImplemented", "XNotImplemented", "UnsupportedArgument", "501"}
#: Waits for a lock that somebody else holds and returns True, or returns False to give up.
RetryPolicy: TypeAlias = Callable[[int], bool]
#: A client deletes its lock file unconditionally, and its SDK repeats that if the reply is lost, which deletes the next
#: lock. After how many seconds a lock that is to stay is checked again.
REPEAT_S = 5
#: How often a lock is tried that was released between the refused write and the read of its holder.
TRIES = 3


class AlreadyLocked(TfstateError):
    """Somebody else holds the lock."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(sentence(lock.path, (lock,), datetime.now(timezone.utc)))
        self.lock = lock


class ChangedHands(TfstateError):
    """Somebody else took the lock between read and release; it was not touched."""

    def __init__(self, seen: Lock, now: Lock) -> None:
        super().__init__(
            f"the lock {lock_name(seen.id)} of {seen.path} ({seen.store}) changed hands and was left alone: "
            f"{sentence(now.path, (now,), datetime.now(timezone.utc))}"
        )


@dataclass(frozen=True)
class Released:
    done: tuple[Lock, ...]
    #: A sentence for each lock that was not released.
    problems: tuple[str, ...]


def read_locks(aws: LockClient, place: Place) -> tuple[Lock, ...]:
    """The locks that are held. Raises CallFailed if they cannot be read."""
    return tuple(lock for lock in [store.read_lock(aws) for store in stores(place)] if lock)


def take(aws: LockClient, place: Place, info: LockInfo, have: Sequence[Lock] = ()) -> tuple[Lock, ...]:
    """Takes all locks except those that we have, or none. Raises AlreadyLocked, or the error.

    A lock with the same id counts as ours, even if another run took it: `claim` takes it over.
    """
    missing = [store for store in stores(place) if store.NAME not in {lock.store for lock in have}]
    tried: list[Store] = []
    try:
        for store in missing:
            tried.append(store)
            take_in(aws, store, info)
        return _ours(read_locks(aws, place), place, info.id)
    except BaseException as cause:
        kept = _release_taken(aws, tried, marshal(info))
        if kept and isinstance(cause, TfstateError):
            raise TfstateError(f"{cause}; and the lock {info.id} may still be held: {'; '.join(kept)}") from cause
        raise


def no_wait(_attempt: int) -> bool:
    return False


def take_in_time(aws: LockClient, place: Place, info: LockInfo, retry_policy: RetryPolicy) -> tuple[Lock, ...]:
    """As `take`, repeated while somebody else holds the lock and `retry_policy` waits."""
    attempt = 0
    while True:
        try:
            return take(aws, place, info)
        except AlreadyLocked:
            if not retry_policy(attempt):
                raise
            attempt += 1


@dataclass(frozen=True)
class ClaimedLocks:
    """The locks of a state, all with the record of this run."""

    made: tuple[Lock, ...]
    #: Taken by an earlier run with the same id.
    taken_over: tuple[Lock, ...]
    #: The same locks as the earlier run left them.
    replaced: tuple[Lock, ...] = ()

    @property
    def locks(self) -> tuple[Lock, ...]:
        return (*self.made, *self.taken_over)


def claim(
    aws: LockClient,
    place: Place,
    info: LockInfo,
    retry_policy: RetryPolicy = no_wait,
    may_take_over: Callable[[Lock], bool] = lambda _lock: True,
) -> ClaimedLocks:
    """As `take_in_time`. Locks of another run with the same id are taken over, so that it cannot release them.

    Raises AlreadyLocked if one may not be taken over.
    """
    locks = take_in_time(aws, place, info, retry_policy)
    made = tuple(lock for lock in locks if lock.text == marshal(info))
    try:
        others = tuple(lock for lock in locks if lock not in made)
        for other in others:
            if not may_take_over(other):
                raise AlreadyLocked(other)
        return ClaimedLocks(made, tuple(take_over(aws, place, lock, info) for lock in others), others)
    except BaseException:
        aws.warnings.extend(release(aws, place, made).problems)
        raise


def claim_in(aws: LockClient, store: Store, place: Place, info: LockInfo) -> Lock:
    """In one store alone."""
    take_in(aws, store, info)
    lock = store.read_lock(aws)
    if lock is None or lock.id != info.id:
        raise TfstateError(f"the lock {info.id} of {place.path} was released by somebody else as soon as it was taken")
    return lock if lock.text == marshal(info) else take_over(aws, place, lock, info)


def check_held(aws: LockClient, place: Place, locks: Sequence[Lock]) -> None:
    """Raises TfstateError unless each of these locks is still there, with the same record."""
    now = {lock.store: lock for lock in read_locks(aws, place)}
    for lock in locks:
        other = now.get(lock.store)
        if other is None:
            gone = f"the lock {lock_name(lock.id)} of {lock.path} ({lock.store}) was released by somebody else"
            raise TfstateError(f"{gone}: nothing more is written there{MAYBE_UNSEEN}")
        if other.text != lock.text:
            raise ChangedHands(lock, other)


def take_over(aws: LockClient, place: Place, lock: Lock, info: LockInfo) -> Lock:
    """Replaces the record of a lock with our id by our record, so that the earlier run cannot release it."""
    store = next(store for store in stores(place) if lock.store == store.NAME)
    try:
        aws.write(store.take_over(lock, marshal(info)))
    except CallFailed as refused:
        if refused.failure.code in UNCONDITIONAL:
            return lock
        if refused.failure.code not in UNMET:
            raise
    now = store.read_lock(aws)
    if now and now.text == marshal(info):
        return now
    if now:
        raise ChangedHands(lock, now)
    raise TfstateError(f"the lock {lock_name(lock.id)} of {lock.path} ({lock.store}) has just been released: run again")


def release(aws: LockClient, place: Place, locks: Sequence[Lock]) -> Released:
    """Releases each of these locks if it is unchanged, even if another one fails."""
    done, problems = [], []
    for lock in locks:
        try:
            _release(aws, next(store for store in stores(place) if lock.store == store.NAME), lock)
            done.append(lock)
        except ChangedHands as error:
            problems.append(str(error))
        except TfstateError as error:
            problems.append(f"{error}; the lock {lock_name(lock.id)} of {lock.path} may still be held ({lock.store})")
    return Released(tuple(done), tuple(problems))


def planned_locks(place: Place, info: LockInfo) -> tuple[Lock, ...]:
    """The locks that `take` would take."""
    text = marshal(info)
    return tuple(Lock(store.NAME, place.path, info, text, None, info.since) for store in stores(place))


@contextmanager
def held(
    aws: LockClient, place: Place, info: LockInfo, retry_policy: RetryPolicy = no_wait
) -> Iterator[tuple[Lock, ...]]:
    """Holds all locks of a state. Raises at the end if somebody else holds one of them."""
    locks = claim(aws, place, info, retry_policy).locks
    try:
        yield locks
    except BaseException:
        aws.warnings.extend(release(aws, place, locks).problems)
        raise
    problems = release(aws, place, locks).problems
    if problems:
        raise TfstateError("; ".join(problems))


def take_in(aws: LockClient, store: Store, info: LockInfo) -> None:
    """Takes the lock in one store, unless it has our id already. Raises AlreadyLocked."""
    for _unused in range(TRIES):
        try:
            aws.write(store.take(marshal(info)))
            return
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            failure = refused.failure
        holder = store.read_lock(aws)
        if holder and holder.id == info.id:  # ours: the reply to our write was lost
            return
        if holder:
            raise AlreadyLocked(holder)
    raise CallFailed(failure)


def _ours(locks: tuple[Lock, ...], place: Place, ours: str) -> tuple[Lock, ...]:
    """Checks that the locks are ours: somebody may have removed them, and theirs must not be released as ours."""
    for lock in locks:
        if lock.id != ours:
            raise AlreadyLocked(lock)
    if len(locks) < len(stores(place)):
        released = f"the lock {ours} of {place.path} was released by somebody else as soon as it was taken"
        raise TfstateError(released + MAYBE_UNSEEN)
    return locks


def _release_taken(aws: LockClient, stores: Sequence[Store], ours: str) -> list[str]:
    """Releases what we took, even without a reply, but not earlier locks with our id. Returns the problems."""
    problems = []
    for store in stores:
        try:
            lock = store.read_lock(aws)
            if lock and lock.text == ours:
                _release(aws, store, lock)
        except TfstateError as error:
            problems.append(str(error))
    return problems


def _release(aws: LockClient, store: Store, lock: Lock) -> None:
    if isinstance(lock.record, Wedged) and lock.record.is_state:
        raise TfstateError(f"{lock_file(lock.path)} is a state and not a lock file, so it was not deleted")
    try:
        aws.write(store.release(lock))
        return
    except CallFailed as refused:
        code = refused.failure.code
        if code not in UNMET | (UNCONDITIONAL if isinstance(store, FileStore) else set()):
            raise
    now = store.read_lock(aws)
    if now is None:  # released by its holder, or by us and the reply was lost
        return
    if code in UNMET or now != lock or not isinstance(store, FileStore):
        raise ChangedHands(lock, now)
    aws.write(store.release_unconditionally())
    aws.warnings.append(
        f"the store of {lock.path} knows no conditional delete ({code}): its lock file was read once more and then "
        "deleted; if somebody took the lock in between, theirs was deleted"
    )

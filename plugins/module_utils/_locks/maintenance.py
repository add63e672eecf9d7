# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exclusive work on one state, under a lock of ours."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial

from .._aws.protocols import LockClient
from .._core.model import TfstateError
from .._terraform.protocol import LockInfo, is_frozen_by, lock_id, lock_name, rfc3339nano, uuid_of
from .holders import sentence
from .locking import AlreadyLocked, check_held, claim, read_locks, release
from .process import held_here, is_running, this_process
from .stores import Lock, Place, stores

#: The version in our locks, in place of that of a client.
CLIENT = "cornerstone.tfstate"


def our_lock(place: Place, operation: str, info: str, now: datetime, id: str = "") -> LockInfo:
    """The record of a lock of ours."""
    who = f"{user()}@{socket.gethostname()}"
    return LockInfo(id, operation, info, who, CLIENT, rfc3339nano(now), lock_id(place.bucket, place.path))


def with_id(info: LockInfo) -> LockInfo:
    return info if info.id else replace(info, id=uuid_of(os.urandom(16)))


def operation_lock(place: Place, operation: str, now: datetime) -> LockInfo:
    """A record whose id is derived from operation and state, so that the next run recognises the lock as its own."""
    name = f"{CLIENT} {operation} {lock_id(place.bucket, place.path)}"
    return our_lock(place, operation, "", now, uuid_of(hashlib.sha256(name.encode()).digest()[:16]))


def check_exclusive(aws: LockClient, place: Place, held_id: str | None) -> tuple[Lock, ...]:
    """The locks with the id `held_id`; without it, none. Raises TfstateError if clients are not excluded."""
    locks = read_locks(aws, place)
    if any(lock.id != held_id for lock in locks):
        raise _locked(place, locks)
    if held_id and len(locks) < len(stores(place)):
        missing = sorted({store.NAME for store in stores(place)} - {lock.store for lock in locks})
        raise TfstateError(f"{place.path} is not locked under {held_id} in its {' and '.join(missing)}")
    return locks


def leftover_locks(aws: LockClient, place: Place, operation: str) -> tuple[Lock, ...]:
    """Locks of a run of the same operation that was killed on this machine."""
    own_id = operation_lock(place, operation, datetime.now(timezone.utc)).id
    return tuple(lock for lock in read_locks(aws, place) if lock.id == own_id and _is_leftover(lock))


def check_free(aws: LockClient, place: Place, operation: str, held_id: str | None) -> None:
    """Raises TfstateError if a state is locked, except by `leftover_locks` or with the id `held_id`."""
    if held_id:
        check_exclusive(aws, place, held_id)
        return
    own_id, locks = operation_lock(place, operation, datetime.now(timezone.utc)).id, read_locks(aws, place)
    theirs = tuple(lock for lock in locks if lock.id != own_id or not _is_leftover(lock))
    if theirs:
        raise _locked(place, theirs)


@dataclass
class Exclusion:
    """All clients are excluded. With `keeps_lock` the lock stays if the work fails, and the next run completes it."""

    #: Raises TfstateError if the lock is gone: somebody may have removed it.
    check: Callable[[], object]
    keeps_lock: bool = False


@contextmanager
def exclusive(aws: LockClient, place: Place, operation: str, held_id: str | None) -> Iterator[Exclusion]:
    """Excludes all clients: by a lock of our own, or by the lock with the id `held_id`.

    The id of our lock is derived from operation and state, and its info names this process. If this process is killed,
    the next run of the same operation on this machine takes the lock over.
    """
    check_free(aws, place, operation, held_id)
    if held_id:
        yield Exclusion(partial(check_exclusive, aws, place, held_id))
        return
    info = replace(operation_lock(place, operation, datetime.now(timezone.utc)), info=this_process())
    try:
        locks = claim(aws, place, info, may_take_over=_is_leftover).locks
    except AlreadyLocked as error:
        raise _locked(place, (error.lock,)) from None
    exclusion = Exclusion(partial(check_held, aws, place, locks))
    held_here.add(info.id)
    try:
        yield exclusion
    except BaseException:
        if not exclusion.keeps_lock:
            aws.warnings.extend(release(aws, place, locks).problems)
        raise
    finally:
        held_here.discard(info.id)
    problems = release(aws, place, locks).problems
    if problems:
        raise TfstateError("; ".join(problems))


def _is_leftover(lock: Lock) -> bool:
    return is_running(lock) is False


def _locked(place: Place, locks: tuple[Lock, ...]) -> TfstateError:
    text = sentence(place.path, locks, datetime.now(timezone.utc))
    frozen = [lock for lock in locks if is_frozen_by(lock.record)]
    if frozen:
        return TfstateError(f"{text}; it is frozen: to work under that freeze set lock_id: {lock_name(frozen[0].id)}")
    return TfstateError(
        f"{text}; wait until it is released, or release it with tf_state_lock once its holder is gone for sure"
    )


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have no name
        return str(os.getuid())

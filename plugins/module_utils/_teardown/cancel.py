# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends a teardown that was begun, and never leaves a state that may have been deleted without a lock.

Before the write block nothing was deleted: the locks of the teardown are released. After it, they become those of a
freeze, under which the backup is restored: first the write block is reduced to everything but lock files, then each
lock is exchanged and missing ones are taken, and last the write block is removed. A run that was killed is completed by
the next one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial

from .._backup.state_locks import StateLocks
from .._backup.write_block import SID, has_write_block
from .._core.model import Call, CallFailed, Failure, TfstateError
from .._freeze.freeze import alone, frozen_sentences
from .._freeze.survey import Backend, Survey, survey
from .._locks.lease import Lease
from .._locks.locking import AlreadyLocked, release, take, take_over
from .._locks.maintenance import our_lock
from .._locks.stores import Lock, stores
from .._migration.deny_policy import arn_of, policy_of, statements_in
from .._policy.document import policy_text
from .._state.listing import versions_of
from .._terraform.protocol import FREEZE, LockInfo, lock_id, uuid_of
from .plan import WORK
from .teardown import POLICY_DELAY_S

REASON = "a teardown was cancelled: restore the backup"


@dataclass
class Cancellation:
    backend: Backend
    #: The states in the backup, of which the bucket may hold nothing any more.
    saved: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws, self.scope = self.backend.aws, self.backend.scope
        self.is_begun = self.backend.has_bucket and has_write_block(self.aws, self.scope.bucket)
        self.found = survey(self.backend)
        if self.backend.has_bucket:
            self.lease.check()

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.aws, self.scope, WORK, f"the teardown of s3://{self.scope.bucket.name} is cancelled")

    @cached_property
    def id(self) -> str:
        """That of the freeze, in every run."""
        hashed = hashlib.sha256(f"{WORK} cancelled s3://{self.scope.bucket.name}".encode())
        return uuid_of(hashed.digest()[:16])

    @property
    def is_freezing(self) -> bool:
        """Whether states may have been deleted, so that their locks have to stay."""
        return self.is_begun or not self.backend.has_bucket or self._is_any_deleted

    @cached_property
    def _is_any_deleted(self) -> bool:
        """Whether the write block was removed by somebody after a state was deleted."""
        paths = [path for path, locks in self._ours(self.found).items() if locks]
        found = [versions_of(self.aws, self.scope, path, 1) for path in paths]
        for each in found:
            if isinstance(each, Failure):
                raise CallFailed(each)
        return not all(found)

    @property
    def is_due(self) -> bool:
        return self.is_begun or any(self._ours(self.found).values())

    def _ours(self, found: Survey) -> dict[str, list[Lock]]:
        """The locks of the teardown, by path."""
        ids = StateLocks(self.aws, self.scope.bucket, self.scope.table, WORK, "")
        return {path: [lock for lock in locks if lock.id == ids.id_of(path)] for path, locks in found.locks.items()}

    @property
    def paths(self) -> list[str]:
        """The states to freeze."""
        return sorted({*self.found.states, *self.saved} - self.found.moved)

    def carry_out(self) -> None:
        if not self.is_due:
            return
        if not self.is_freezing:
            with self.lease.held():
                self._release()
            return
        if not self.is_begun:
            with alone(self.backend, self.lease):
                self._freeze()
            return
        self._put_policy(narrowed=True)
        self.aws.rest(POLICY_DELAY_S)
        with self.lease.held():
            self._freeze()
            self._put_policy(narrowed=False)
        self.done.append("the policy permits writing again")

    def _release(self) -> None:
        problems = [
            problem
            for path, locks in self._ours(self.found).items()
            for problem in release(self.aws, self.backend.place(path), locks).problems
        ]
        if problems:
            raise TfstateError("; ".join(problems))
        self.done.append("the locks were released")

    def _freeze(self) -> None:
        ours = self._ours(self.found)
        record = our_lock(self.backend.place(""), FREEZE, REASON, datetime.now(timezone.utc), self.id)
        works = [partial(self._freeze_one, path, ours.get(path, []), record) for path in self.paths]
        if works:
            self.aws.together(works)
        self.done.append(f"{len(works)} states are frozen")

    def _freeze_one(self, path: str, ours: list[Lock], record: LockInfo) -> None:
        place, info = self.backend.place(path), replace(record, path=lock_id(self.scope.bucket.name, path))
        held = [lock for lock in self.found.locks.get(path, ()) if lock not in ours]
        theirs = [lock for lock in held if lock.id != self.id]
        held += [take_over(self.aws, place, lock, info) for lock in ours]
        if theirs:
            raise AlreadyLocked(theirs[0])
        if len(held) < len(stores(place)):
            take(self.aws, place, info, held)

    def _put_policy(self, narrowed: bool) -> None:
        """Lets lock files be written, or removes the statement. All other statements are kept."""
        bucket = self.scope.bucket
        policy = policy_of(self.aws, bucket)
        document = json.loads(policy) if policy else {}
        kept = [each for each in statements_in(policy) if each.get("Sid") != SID]
        ours = [each for each in statements_in(policy) if each.get("Sid") == SID]
        if narrowed and ours:
            lock_files = f"{arn_of(self.aws, bucket)}/*.tflock"
            rest = {name: value for name, value in ours[0].items() if name != "Resource"}
            kept.append({**rest, "NotResource": lock_files})
        if not kept:
            self.aws.write(Call("s3", "delete_bucket_policy", bucket.bucket))
            return
        text = policy_text({**document, "Statement": kept})
        self.aws.write(Call("s3", "put_bucket_policy", {**bucket.bucket, "Policy": text}))

    @property
    def sentence(self) -> str:
        """What is so once it is carried out, and what is left to do."""
        name = self.scope.bucket.name
        if not self.is_due:
            if not self.backend.has_bucket:
                return (
                    f"bucket {name} is deleted already, and no lock of a teardown is left: there is nothing to cancel. "
                    "To have the backend back, rebuild it from its backup"
                )
            frozen = "".join(f"; {each}" for each in frozen_sentences(self.found))
            return f"no teardown of {name} was begun: there is nothing to cancel{frozen}"
        if not self.is_freezing:
            return f"the teardown of {name} is cancelled: nothing was deleted, and its locks are released"
        left = (
            "restore the backup with this lock_id, verify, and thaw"
            if self.backend.has_bucket
            else "the bucket is deleted already: rebuild it from its backup with this lock_id, verify, and thaw"
        )
        return (
            f"the teardown of {name} is cancelled. States may have been deleted, so {len(self.paths)} states stay "
            f"frozen under the lock_id {self.id}. Left to do: {left}"
        )

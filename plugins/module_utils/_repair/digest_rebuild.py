# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests for all states without one, for example after a table was lost. Existing digests are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from .._aws.protocols import BackendClient
from .._core.model import CallFailed, Failure, TfstateError
from .._locks.holders import sentence
from .._locks.lease import Lease
from .._locks.locking import AlreadyLocked, check_held, held, read_locks, release, take
from .._locks.maintenance import operation_lock
from .._locks.stores import Lock, Place, place_in
from .._state import listing
from .._state.errors import NotAState
from .._terraform.protocol import LockInfo, lock_id
from .._terraform.scope import Scope
from .._terraform.state_name import missing_keys
from .digest_check import Digest, check_digests
from .digest_repair import StateDigest

OPERATION = "digest rebuild"
#: The statuses of states that get a digest.
OPEN = ("missing", "malformed")
#: What to do about other digests that stop clients, or may.
ADVICE = {
    "mismatch": "its digest does not match: repair it with key",
    "deleted": "the state was deleted: undelete it with tf_state_version; its digest is kept for that",
    "orphan": "there is a digest and no state: restore the state from a backup, or put a copy of it back",
    "unknown": "its digest cannot be checked",
}


@dataclass
class RebuildRow:
    """A state of the bucket, or a digest without one."""

    path: str
    status: str
    is_due: bool = False
    digest: str | None = None
    problem: str | None = None
    #: An object that is not a state, or an empty one, found in a whole bucket: it is left alone.
    is_other: bool = False
    is_done: bool = False

    def to_result(self) -> dict[str, Any]:
        action = "write" if self.is_due and not self.problem else "none"
        return {
            "path": self.path,
            "status": self.status,
            "action": action,
            "digest": self.digest,
            "problem": self.problem,
        }


@dataclass
class DigestRebuild:
    """One task: all states of a bucket."""

    aws: BackendClient
    scope: Scope
    allow: frozenset[str]
    #: The record of the freeze under which the run works.
    frozen: LockInfo | None = None
    rows: list[RebuildRow] = field(default_factory=list)
    #: The states that somebody has locked.
    locked: frozenset[str] = frozenset()
    #: The states that a killed run left locked.
    ours: list[str] = field(default_factory=list)

    @cached_property
    def _lease(self) -> Lease:
        return Lease(self.aws, self.scope, "tf_state_digest", "digests of all states")

    def plan(self) -> None:
        """Plans the digests to write. It only reads."""
        self._lease.check()
        found = _known(listing.objects(self.aws, self.scope))
        items = _known(listing.items(self.aws, self.scope, str(self.scope.table)))
        known = {each.path: each for each in check_digests(self.aws, self.scope, items, {})}
        self.rows = [_row(path, known.get(path), path in found.states) for path in sorted({*found.states, *known})]
        self.aws.warnings += missing_keys(self.scope, {row.path for row in self.rows})
        self.locked = frozenset({*found.lock_files, *(item.path for item in items if not item.is_digest)})
        self._together(self._evaluate, [row for row in self.rows if row.is_due])
        self.ours = [path for path in sorted(self.locked) if self._is_ours(path)]

    def carry_out(self) -> None:
        """Writes the digests, each under the locks of its state, even if others fail."""
        due = [row for row in self.rows if row.is_due and not row.problem]
        left = [RebuildRow(path, "locked") for path in self.ours if path not in {row.path for row in due}]
        if due or left:
            with self._lease.held():
                self._together(self._write, [*due, *left])

    def _together(self, work: Any, rows: list[RebuildRow]) -> None:
        if rows:
            self.aws.together([partial(work, row) for row in rows])

    def _evaluate(self, row: RebuildRow) -> None:
        place = place_in(self.scope, row.path)
        try:
            row.digest = self._state(place).plan("present").wanted
            ours = {self._claim_id(place), self.frozen.id if self.frozen else None}
            theirs = [lock for lock in read_locks(self.aws, place) if lock.id not in ours]
            if theirs:
                row.problem = _locked(place, theirs)
        except TfstateError as error:
            row.problem, row.is_other = str(error), isinstance(error, NotAState) and row.path not in self.locked

    def _write(self, row: RebuildRow) -> None:
        place = place_in(self.scope, row.path)
        try:
            with self._held(place) as locks:
                row.is_done = row.is_due and self._is_written(row, place, locks)
        except AlreadyLocked as error:
            row.problem = _locked(place, [error.lock])
        except TfstateError as error:
            row.problem = str(error)

    @contextmanager
    def _held(self, place: Place) -> Iterator[Sequence[Lock]]:
        """Under a freeze, all of its locks, of which those that are missing are taken; they stay."""
        if not self.frozen:
            with held(self.aws, place, operation_lock(place, OPERATION, datetime.now(timezone.utc))) as locks:
                yield locks
            return
        there = read_locks(self.aws, place)
        leftover = [lock for lock in there if lock.id == self._claim_id(place)]
        theirs = [lock for lock in there if lock.id != self.frozen.id and lock not in leftover]
        if theirs:
            raise AlreadyLocked(theirs[0])
        problems = release(self.aws, place, leftover).problems
        if problems:
            raise TfstateError("; ".join(problems))
        record = replace(self.frozen, path=lock_id(place.bucket, place.path))
        yield take(self.aws, place, record, [lock for lock in there if lock not in leftover])

    def _is_written(self, row: RebuildRow, place: Place, locks: Sequence[Lock]) -> bool:
        """False if a client has written the digest meanwhile."""
        state = self._state(place)
        plan = state.plan("present")
        row.digest = plan.wanted
        if not plan.is_done and plan.status not in OPEN:
            raise TfstateError(f"somebody else changed the digest of {place.path} meanwhile: run again")
        check_held(self.aws, place, locks)
        state.write(plan)
        return not plan.is_done

    def _state(self, place: Place) -> StateDigest:
        return StateDigest(self.aws, self.scope, place, self.allow, waits_for_digest=False)

    def _is_ours(self, path: str) -> bool:
        place = place_in(self.scope, path)
        return any(lock.id == self._claim_id(place) for lock in read_locks(self.aws, place))

    @staticmethod
    def _claim_id(place: Place) -> str:
        return operation_lock(place, OPERATION, datetime.now(timezone.utc)).id


def _row(path: str, digest: Digest | None, is_there: bool) -> RebuildRow:
    status = digest.status if digest else "missing"
    advice = ADVICE.get(status)
    why = f": {digest.failure}" if digest and digest.failure else ""
    fits = digest.digest if digest and status == "match" else None
    return RebuildRow(path, status, is_there and status in OPEN, fits, f"{path}: {advice}{why}" if advice else None)


def _locked(place: Place, locks: Iterable[Lock]) -> str:
    return sentence(place.path, list(locks), datetime.now(timezone.utc))


def _known(answer: Any) -> Any:
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return answer

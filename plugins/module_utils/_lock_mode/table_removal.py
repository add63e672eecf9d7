# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removal of a lock table: what prevents it, and the items of moved states, which are removed first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._core.model import Call, CallFailed, Failure, TfstateError
from .._locks.locking import release
from .._locks.stores import Lock, place_in
from .._state.listing import TableItem, item_of
from .._terraform.protocol import digest_id, lock_id
from .digest_removal import remove_as_seen
from .requirements import several
from .transition import Transition, TransitionOutcome


@dataclass(frozen=True)
class TableRemoval:
    """After a transition that was inspected."""

    transition: Transition

    def kept(self) -> Iterator[str]:
        """Items of any bucket that must not be removed with the table."""
        yield from several(sorted(self._kept()))

    def _kept(self) -> Iterator[str]:
        bucket = self.transition.scope.bucket.name
        removable = {lock_id(bucket, lock.path) for lock in self._removable_locks}
        removable |= {digest_id(bucket, path) for path in self.transition.moved_digests}
        asked = {"TableName": self.transition.scope.table, "ConsistentRead": True}
        asked["ProjectionExpression"] = "LockID, Info, Digest"
        for page in () if self.transition.missing_table else self.transition.aws.pages(Call("dynamodb", "scan", asked)):
            if isinstance(page, Failure):
                raise CallFailed(page)
            for raw in page.get("Items", []):
                name = str(raw.get("LockID", {}).get("S"))
                if name not in removable:
                    yield f"{name} is still in the table {self.transition.scope.table}: {self._cure(*item_of(raw))}"

    def _cure(self, bucket: str, item: TableItem) -> str:
        if not item.is_digest:
            return "release that lock with tf_state_lock, once its holder is gone for sure"
        if bucket != self.transition.scope.bucket.name:
            return f"take the step to lockfile in {bucket}, too"
        return (
            "it is the digest of a state that is gone: undelete that with tf_state_version, without a table, or take "
            "the step back, forget it with tf_state_digest, and take the step again"
        )

    @property
    def _removable_locks(self) -> list[Lock]:
        watch = self.transition.watch
        return watch.moved_states.removable_locks(self.transition.scope.bucket.name, watch.items)

    def planned(self) -> TransitionOutcome:
        return TransitionOutcome(removed=sorted(self.transition.moved_digests), released=len(self._removable_locks))

    def carry_out(self) -> TransitionOutcome:
        """Nobody can write those states meanwhile: the locks and the policy that protect them stay."""
        transition, outcome = self.transition, self.transition.outcome
        for lock in self._removable_locks:
            if problems := release(transition.aws, place_in(transition.scope, lock.path), [lock]).problems:
                raise TfstateError("; ".join(problems))
            outcome.released += 1
        for path, item in sorted(transition.moved_digests.items()):
            remove_as_seen(transition.aws, place_in(transition.scope, path), item)
            outcome.removed.append(path)
        return outcome

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of the lock mode changes in AWS: the digest policy, and the digests.

Towards lock files the digest policy comes first, so that no client reads an outdated digest or writes one that will be
outdated. On the way back all digests are removed before the policy is: they do not match the states of today.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from .._aws.client import Aws
from .._aws.errors import NO_SUCH_OBJECT, NO_SUCH_TABLE
from .._core.model import Call, CallFailed, Failure, TfstateError
from .._core.printable import printable
from .._locks.lease import Lease
from .._locks.stores import FileStore, TableStore
from .._migration.deny_policy import is_denied
from .._migration.moved_states import denied_by_policy
from .._repair.digest_check import SETTLE_S, Digest, check_digests
from .._repair.digest_item import DigestItem
from .._state.inspection import fingerprint, inspect_states, other_objects
from .._state.listing import MARK, Object, Objects, TableItem, items
from .._terraform.scope import LEASE, Scope
from .client_watch import ClientWatch, WatchResult
from .digest_policy import DigestPolicy, read_digest_policy, set_digest_policy
from .digest_removal import DigestRemoval, DigestRemovalResult, digest_items, is_ours
from .requirements import DYNAMODB, LOCKFILE, several

#: How often digests are listed that were written before the digest policy was in effect everywhere.
ROUNDS = 3
#: The option by which a move takes the lock in the table, too.
WITH_TABLE = ", with source_table"


@dataclass
class TransitionOutcome:
    """What was done; in check mode, what would be done."""

    removed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changes_policy: bool = False
    #: Locks of a run that was killed, or in a table that is removed.
    released: int = 0
    #: Its deletion protection is removed first.
    removes_table: bool = False

    @property
    def is_changed(self) -> bool:
        return bool(self.removed or self.changes_policy or self.released or self.removes_table)

    def take(self, swept: Iterable[DigestRemovalResult]) -> None:
        for each in swept:
            self.removed += [each.path] if each.is_removed else []
            self.problems += [each.problem] if each.problem else []


@dataclass
class Transition:
    """One task: `inspect` first, then `carry_out`."""

    aws: Aws
    scope: Scope
    target: str
    lock_timeout_s: int
    without_policy: bool
    outcome: TransitionOutcome = field(default_factory=TransitionOutcome)
    #: Why the table was not found. It may have been removed once lock files alone are used.
    missing_table: Failure | None = None
    watch: WatchResult = field(default_factory=lambda: WatchResult(Objects(datetime.now(timezone.utc)), ()))
    #: The digests of states that have moved away.
    moved_digests: dict[str, DigestItem] = field(default_factory=dict)
    #: All states have moved away, and the policy denies everything in the bucket to everybody.
    _is_closed: bool = False
    _policy: DigestPolicy | None = None
    _known: list[Digest] = field(default_factory=list)
    _items: dict[str, DigestItem] = field(default_factory=dict)
    _due: list[str] = field(default_factory=list)

    @cached_property
    def _lease(self) -> Lease:
        return Lease(self.aws, self.scope, "tf_lock_mode", f"step to {self.target}")

    def exclusive(self) -> AbstractContextManager[None]:
        """Holds the lease, unless the policy denies everything in the bucket, and with it the lease."""
        return nullcontext() if self._is_closed else self._lease.held()

    # Inspection.

    def inspect(self, observe_s: int) -> None:
        """Raises TfstateError if something cannot be read."""
        denied = denied_by_policy(self.aws, self.scope.bucket)
        self._is_closed = is_denied(LEASE, {*denied})
        if not self._is_closed:
            self._lease.check()
        arn = self._table_arn()
        self._policy = self._read_policy(arn) if arn else None
        store = TableStore.NAME if self._is_forward else FileStore.NAME
        self.watch = ClientWatch(self.aws, self.scope, store, is_ours, denied).run(observe_s)
        if arn is None:
            return
        self._known = [] if self.has_digest_policy else self._check_digests(self.watch.items)
        found, moved_states = digest_items(self.aws, self.scope), self.watch.moved_states
        self._items = self._here(found)
        self.moved_digests = {path: item for path, item in found.items() if path in moved_states}
        self._due = self._with_state(self._items) if self.has_digest_policy or self._is_forward else self._stale()

    @property
    def _is_forward(self) -> bool:
        return self.target == LOCKFILE

    @property
    def has_digest_policy(self) -> bool:
        return self._policy is not None and self.scope.bucket.name in self._policy.buckets

    @property
    def buckets_in_policy(self) -> set[str]:
        """The buckets whose digests the policy denies. They share the table."""
        return self._policy.buckets if self._policy else set()

    @property
    def _changes_policy(self) -> bool:
        return self._policy is not None and self.has_digest_policy != self._is_forward

    def _table_arn(self) -> str | None:
        (answer,) = self.aws.read([Call("dynamodb", "describe_table", {"TableName": self.scope.table})])
        if not isinstance(answer, Failure):
            if "TableArn" not in answer["Table"]:
                raise TfstateError(
                    f"describe_table on {self.scope.table}: the answer has no TableArn, which a policy needs"
                )
            return str(answer["Table"]["TableArn"])
        if answer.code not in NO_SUCH_TABLE or not self._is_forward:
            raise CallFailed(answer)
        self.missing_table, self.scope = answer, replace(self.scope, table=None)
        return None

    def _read_policy(self, arn: str) -> DigestPolicy | None:
        """None if it is not wanted. On the way back it must be read, or it would stay for ever."""
        is_unwanted = self.without_policy and self._is_forward
        try:
            found = read_digest_policy(self.aws, arn)
        except CallFailed:
            if not is_unwanted:
                raise
            return None
        return None if found and is_unwanted and self.scope.bucket.name not in found.buckets else found

    def _here(self, found: dict[str, DigestItem]) -> dict[str, DigestItem]:
        """Without those of moved states, which nobody can write: their digests still match."""
        return {path: item for path, item in found.items() if path not in self.watch.moved_states}

    def _check_digests(self, read: Iterable[TableItem]) -> list[Digest]:
        here = [item for item in read if item.path not in self.watch.moved_states]
        return check_digests(self.aws, self.scope, here, {})

    def _with_state(self, found: dict[str, DigestItem]) -> list[str]:
        """Digests of states that exist. Without its digest, clients would take a lost state for an empty one."""
        unlisted = [path for path in found if path not in self.watch.found.states]
        works = [partial(fingerprint, self.aws, self.scope, path) for path in unlisted]
        answers = self.aws.together(works) if works else []
        gone = {path for path, answer in zip(unlisted, answers, strict=True) if _is_gone(answer)}
        gone |= {path for path, each in self.watch.found.states.items() if not each.size}
        return [path for path in found if path not in gone]

    def _stale(self) -> list[str]:
        return [each.path for each in self._known if each.status == "mismatch" and each.matches_version]

    # Reasons against it.

    def reasons(self) -> Iterator[str]:
        yield from several(
            f"{each}: wait until it is released, or make sure that its holder is gone" for each in self.watch.held
        )
        other = "the table alone" if self._is_forward else "a lock file alone"
        yield from several(f"a client that locks in {other} is at work: {each}" for each in self.watch.in_one_store)
        yield from several(filter(None, map(self._digest_problem, self._known)))
        yield from several(self._unprotected_states())
        if self._is_forward and self._policy:
            yield from several(
                f"the lock of {path} would be taken for the digest of {path.removesuffix(MARK)}: move it to another "
                f"key, or go without a digest policy (allow: [without_digest_policy])"
                for path in sorted(self._named_like_digests())
            )

    def _digest_problem(self, each: Digest) -> str | None:
        if each.status == "unknown" or each.failure:
            return f"the digest of {each.path} cannot be checked{f': {each.failure}' if each.failure else ''}"
        if each.status == "mismatch" and (self._is_forward or not each.matches_version):
            return (
                f"the digest of {each.path} does not match, and stops clients already: repair it with tf_state_digest"
            )
        if each.status in ("deleted", "orphan") and self._is_forward:
            return (
                f"{each.path} has a digest and no state, which keeps clients from starting over: undelete the state "
                "with tf_state_version, or forget it with tf_state_digest"
            )
        return None

    def _unprotected_states(self) -> Iterator[str]:
        """Moved states that are not protected from clients of the new mode."""
        where = {
            LOCKFILE: (FileStore.NAME, "no lock file", ""),
            DYNAMODB: (TableStore.NAME, "not in the table", WITH_TABLE),
        }
        store, lacks, how = where.get(self.target, (None, "", ""))
        for path in self.watch.moved_states.unprotected_in(store) if store else ():
            yield f"{path} has moved away, and the lock that protects it is {lacks}: run its move again{how}"

    def _named_like_digests(self) -> set[str]:
        found = self.watch.found
        held = {item.path for item in self.watch.items if not item.is_digest}
        named = {path: each for path, each in found.states.items() if path.endswith(MARK)}
        return {path for path in {*found.lock_files, *held} if path.endswith(MARK)} | self._states_among(named)

    def _states_among(self, named: dict[str, Object]) -> set[str]:
        """Those of these objects that are states, or may be: a checksum beside a file has the name of a digest, too."""
        found = replace(self.watch.found, states=named)
        seen = inspect_states(self.aws, self.scope, found, wants_counts=False) if named else {}
        return {*named} - {*other_objects(self.scope, found, seen, self.watch.items)}

    def cautions(self) -> list[str]:
        if not self._is_forward or self._policy or self.missing_table:
            return []
        return [
            "there is no digest policy: a client that still locks both ways goes on to write digests, and stops with "
            "an error once a client of lock files alone has written the same state, until this is run again"
        ]

    # Changes.

    def planned(self) -> TransitionOutcome:
        return TransitionOutcome(
            removed=list(self._due), changes_policy=self._changes_policy, released=len(self.watch.ours)
        )

    def carry_out(self) -> TransitionOutcome:
        if self.planned().is_changed:
            with self.exclusive():
                self._go_forward() if self._is_forward else self._go_back()
        return self.outcome

    def _go_forward(self) -> None:
        self._change_policy()
        found, left = self._items, {*self._due, *self.watch.ours}
        for attempt in range(ROUNDS):
            if not left or self.outcome.problems:
                return
            self._remove_digests(found, left, takes_all=True)
            self.aws.pause(attempt)  # until the policy is in effect everywhere
            found = self._here(digest_items(self.aws, self.scope)) if self._policy else {}
            left = set(self._with_state(found))
        late = "was written despite the digest policy: run again"
        self.outcome.problems += [f"the digest of {path} {late}" for path in left]

    def _go_back(self) -> None:
        self._remove_digests(self._items, {*self._due, *self.watch.ours}, takes_all=self.has_digest_policy)
        if self.outcome.problems or not self._changes_policy:
            return
        self._change_policy()
        self.aws.rest(SETTLE_S)  # until the policy is gone everywhere: a client may read a digest and fail to write it
        read = items(self.aws, self.scope, str(self.scope.table))
        if isinstance(read, Failure):
            raise CallFailed(read)
        found = self._check_digests(read)
        wrong = {each.path for each in found if each.status == "mismatch"}
        self._remove_digests(digest_items(self.aws, self.scope), wrong, takes_all=False)
        late = [each.path for each in found if each.status in ("unknown", "in_progress")]
        self.outcome.problems += several(f"the digest of {path} cannot be checked yet: run again" for path in late)

    def _change_policy(self) -> None:
        if not self._policy or not self._changes_policy:
            return

        def on_write() -> None:
            self.outcome.changes_policy = True

        set_digest_policy(self.aws, self._policy.arn, self.scope.bucket.name, self._is_forward, on_write)

    def _remove_digests(self, found: dict[str, DigestItem], paths: Iterable[str], takes_all: bool) -> None:
        self.outcome.released = len(self.watch.ours)
        until = time.monotonic() + self.lock_timeout_s

        def retry_policy(attempt: int) -> bool:
            is_left = time.monotonic() < until
            if is_left:
                self.aws.pause(attempt)
            return is_left

        self.outcome.take(DigestRemoval(self.aws, self.scope, takes_all, retry_policy).carry_out(found, paths))

    # Results.

    def policy_state(self, outcome: TransitionOutcome) -> str | None:
        """None where there can be none."""
        if self._policy is None:
            return None
        return "active" if self.has_digest_policy != outcome.changes_policy else "inactive"

    def diff(self, outcome: TransitionOutcome) -> dict[str, Any]:
        states = ("active" if self.has_digest_policy else "inactive", self.policy_state(outcome))
        policy = [f"digest policy: {state}\n" for state in states]
        listed = "".join(f"digest of {printable(path)}\n" for path in sorted(outcome.removed))
        return {"before": policy[0] + listed, "after": policy[1]}


def _is_gone(answer: Any) -> bool:
    if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
        raise CallFailed(answer)
    return isinstance(answer, Failure) or answer["md5"] is None

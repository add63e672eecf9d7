# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a step from lock mode to lock mode changes in AWS: a fence before the digests, and the digests.

On the way to lock files the fence comes first, so that no client reads a digest that is out of date, nor writes one
that will be. On the way back none is left when it goes: those of before the fence say nothing of the states of today.
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
from .._core.model import Call, CallFailed, Failure
from .._core.printable import printable
from .._locks.lease import Lease
from .._locks.stores import File
from .._locks.stores import Item as TableItem
from .._migration.deny_policy import is_behind
from .._migration.moved_states import denied_by_policy
from .._repair.digest_check import SETTLE_S, Digest, digests
from .._repair.digest_item import DigestItem
from .._state.inspection import GONE, fingerprint
from .._state.listing import MARK, Item, Objects, items
from .._terraform.scope import LEASE, Scope
from .client_watch import Watch, Watched
from .digest_policy import Fence, fence_of, put_fence
from .digest_removal import Sweep, Swept, digest_items, is_ours
from .requirements import DYNAMODB, LOCKFILE, several

#: Of a table.
NOT_FOUND = {"ResourceNotFoundException", "TableNotFoundException"}
#: Looks for digests that were written while the fence was not yet up everywhere.
ROUNDS = 3
#: How a move takes the lock in the table, too.
WITH_TABLE = ", with source_table"


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    removed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    moves_fence: bool = False
    #: Locks of a run that was killed, or in a table that is to go.
    released: int = 0
    #: Its protection, too, which goes first.
    removes_table: bool = False

    @property
    def is_changed(self) -> bool:
        return bool(self.removed or self.moves_fence or self.released or self.removes_table)

    def take(self, swept: Iterable[Swept]) -> None:
        for each in swept:
            self.removed += [each.path] if each.is_removed else []
            self.problems += [each.problem] if each.problem else []


@dataclass
class Crossing:
    """One task: looks first, changes then. Until it has looked it knows of nothing."""

    aws: Aws
    scope: Scope
    target: str
    lock_timeout_s: int
    goes_unfenced: bool
    outcome: Outcome = field(default_factory=Outcome)
    #: That there is no table, as is right once lock files alone are used and it was removed.
    gone: Failure | None = None
    watched: Watched = field(default_factory=lambda: Watched(Objects(datetime.now(timezone.utc)), ()))
    #: The digests of states that have moved away.
    left: dict[str, DigestItem] = field(default_factory=dict)
    #: All states have moved away, and the policy denies everything to everybody.
    _is_closed: bool = False
    _fence: Fence | None = None
    _known: list[Digest] = field(default_factory=list)
    _items: dict[str, DigestItem] = field(default_factory=dict)
    _due: list[str] = field(default_factory=list)

    @cached_property
    def _lease(self) -> Lease:
        return Lease(self.aws, self.scope, "tf_lock_mode", f"step to {self.target}")

    def alone(self) -> AbstractContextManager[None]:
        """No other run works on all states inside; nobody can where the policy denies everything, the lease too."""
        return nullcontext() if self._is_closed else self._lease.held()

    # What there is.

    def look(self, soak_s: int) -> None:
        """Raises TfstateError where something cannot be known."""
        denied = denied_by_policy(self.aws, self.scope.bucket)
        self._is_closed = is_behind(LEASE, {*denied})
        if not self._is_closed:
            self._lease.check()
        arn = self._table_arn()
        self._fence = self._found_fence(arn) if arn else None
        store = TableItem.NAME if self._is_forward else File.NAME
        self.watched = Watch(self.aws, self.scope, store, is_ours, denied).run(soak_s)
        if arn is None:
            return
        self._known = [] if self.is_fenced else self._judged(self.watched.items)
        found, departed = digest_items(self.aws, self.scope), self.watched.departed
        self._items = self._here(found)
        self.left = {path: item for path, item in found.items() if path in departed}
        self._due = self._standing(self._items) if self.is_fenced or self._is_forward else self._stale()

    @property
    def _is_forward(self) -> bool:
        return self.target == LOCKFILE

    @property
    def is_fenced(self) -> bool:
        return self._fence is not None and self.scope.bucket.name in self._fence.buckets

    @property
    def fenced_buckets(self) -> set[str]:
        """All that share the table, as far as they have taken the step."""
        return self._fence.buckets if self._fence else set()

    @property
    def _moves_fence(self) -> bool:
        return self._fence is not None and self.is_fenced != self._is_forward

    def _table_arn(self) -> str | None:
        (answer,) = self.aws.read([Call("dynamodb", "describe_table", {"TableName": self.scope.table})])
        if not isinstance(answer, Failure):
            return str(answer["Table"]["TableArn"])
        if answer.code not in NOT_FOUND or not self._is_forward:
            raise CallFailed(answer)
        self.gone, self.scope = answer, replace(self.scope, table=None)
        return None

    def _found_fence(self, arn: str) -> Fence | None:
        """Whoever comes back has to know, or it would stay up for ever."""
        is_unwanted = self.goes_unfenced and self._is_forward
        try:
            found = fence_of(self.aws, arn)
        except CallFailed:
            if not is_unwanted:
                raise
            return None
        return None if found and is_unwanted and self.scope.bucket.name not in found.buckets else found

    def _here(self, found: dict[str, DigestItem]) -> dict[str, DigestItem]:
        """But for states that nobody can write any more: their digests still fit."""
        return {path: item for path, item in found.items() if path not in self.watched.departed}

    def _judged(self, read: Iterable[Item]) -> list[Digest]:
        here = [item for item in read if item.path not in self.watched.departed]
        return digests(self.aws, self.scope, here, {})

    def _standing(self, found: dict[str, DigestItem]) -> list[str]:
        """Digests whose states exist: any other is all that keeps clients from starting over."""
        unlisted = [path for path in found if path not in self.watched.found.states]
        works = [partial(fingerprint, self.aws, self.scope, path) for path in unlisted]
        answers = self.aws.together(works) if works else []
        gone = {path for path, answer in zip(unlisted, answers, strict=True) if _is_gone(answer)}
        gone |= {path for path, each in self.watched.found.states.items() if not each.size}
        return [path for path in found if path not in gone]

    def _stale(self) -> list[str]:
        return [each.path for each in self._known if each.status == "mismatch" and each.matches_version]

    # What is against it.

    def reasons(self) -> Iterator[str]:
        yield from several(f"{each}: wait for it, or see to it that its holder is gone" for each in self.watched.held)
        other = "the table alone" if self._is_forward else "a lock file alone"
        yield from several(f"a client that knows {other} is at work: {each}" for each in self.watched.alone)
        yield from several(filter(None, map(self._against, self._known)))
        yield from several(self._walked_through())
        if self._is_forward and self._fence:
            yield from several(
                f"the lock of {path} would be taken for the digest of {path.removesuffix(MARK)}: move it to another "
                f"key, or go without a digest policy (allow: [without_digest_policy])"
                for path in sorted(self._named_like_digests())
            )

    def _against(self, each: Digest) -> str | None:
        if each.status == "unknown" or each.failure:
            return f"the digest of {each.path} cannot be judged{f': {each.failure}' if each.failure else ''}"
        if each.status == "mismatch" and (self._is_forward or not each.matches_version):
            return f"the digest of {each.path} does not fit, and stops clients already: mend it with tf_state_digest"
        if each.status in ("deleted", "orphan") and self._is_forward:
            return (
                f"{each.path} has a digest and no state, which keeps clients from starting over: undelete the state "
                "with tf_state_version, or forget it with tf_state_digest"
            )
        return None

    def _walked_through(self) -> Iterator[str]:
        """Fences of moved states that clients of the mode do not see."""
        where = {LOCKFILE: (File.NAME, "no lock file", ""), DYNAMODB: (TableItem.NAME, "not in the table", WITH_TABLE)}
        store, lacks, how = where.get(self.target, (None, "", ""))
        for path in self.watched.departed.open_to(store) if store else ():
            yield f"{path} has moved away, and the lock that keeps clients from it is {lacks}: run its move again{how}"

    def _named_like_digests(self) -> set[str]:
        found = self.watched.found
        held = {item.path for item in self.watched.items if not item.is_digest}
        return {path for path in {*found.states, *found.lock_files, *held} if path.endswith(MARK)}

    def cautions(self) -> list[str]:
        if not self._is_forward or self._fence or self.gone:
            return []
        return [
            "there is no digest policy: whoever still locks both ways goes on to write them, and stops with "
            "an error once a client of lock files alone has written the same state, until this is run again"
        ]

    # What is done.

    def foreseen(self) -> Outcome:
        return Outcome(removed=list(self._due), moves_fence=self._moves_fence, released=len(self.watched.ours))

    def carry_out(self) -> Outcome:
        if self.foreseen().is_changed:
            with self.alone():
                self._go() if self._is_forward else self._come_back()
        return self.outcome

    def _go(self) -> None:
        self._move_fence()
        found, left = self._items, {*self._due, *self.watched.ours}
        for attempt in range(ROUNDS):
            if not left or self.outcome.problems:
                return
            self._sweep(found, left, takes_all=True)
            self.aws.pause(attempt)  # for the fence to be up everywhere
            found = self._here(digest_items(self.aws, self.scope)) if self._fence else {}
            left = set(self._standing(found))
        late = "was written despite the digest policy: run again"
        self.outcome.problems += [f"the digest of {path} {late}" for path in left]

    def _come_back(self) -> None:
        self._sweep(self._items, {*self._due, *self.watched.ours}, takes_all=self.is_fenced)
        if self.outcome.problems or not self._moves_fence:
            return
        self._move_fence()
        self.aws.rest(SETTLE_S)  # until the fence is gone everywhere, a client may read a digest and not write the next
        read = items(self.aws, self.scope, str(self.scope.table))
        if isinstance(read, Failure):
            raise CallFailed(read)
        found = self._judged(read)
        wrong = {each.path for each in found if each.status == "mismatch"}
        self._sweep(digest_items(self.aws, self.scope), wrong, takes_all=False)
        late = [each.path for each in found if each.status in ("unknown", "in_progress")]
        self.outcome.problems += several(f"the digest of {path} cannot be judged yet: run again" for path in late)

    def _move_fence(self) -> None:
        if not self._fence or not self._moves_fence:
            return

        def on_write() -> None:
            self.outcome.moves_fence = True

        put_fence(self.aws, self._fence.arn, self.scope.bucket.name, self._is_forward, on_write)

    def _sweep(self, found: dict[str, DigestItem], paths: Iterable[str], takes_all: bool) -> None:
        self.outcome.released = len(self.watched.ours)
        until = time.monotonic() + self.lock_timeout_s

        def retry_policy(attempt: int) -> bool:
            is_left = time.monotonic() < until
            if is_left:
                self.aws.pause(attempt)
            return is_left

        self.outcome.take(Sweep(self.aws, self.scope, takes_all, retry_policy).carry_out(found, paths))

    # What is told.

    def shown_fence(self, outcome: Outcome) -> str | None:
        """None where there can be none."""
        if self._fence is None:
            return None
        return "active" if self.is_fenced != outcome.moves_fence else "inactive"

    def diff(self, outcome: Outcome) -> dict[str, Any]:
        states = ("active" if self.is_fenced else "inactive", self.shown_fence(outcome))
        policy = [f"digest policy: {state}\n" for state in states]
        listed = "".join(f"digest of {printable(path)}\n" for path in sorted(outcome.removed))
        return {"before": policy[0] + listed, "after": policy[1]}


def _is_gone(answer: Any) -> bool:
    if isinstance(answer, Failure) and answer.code not in GONE:
        raise CallFailed(answer)
    return isinstance(answer, Failure) or answer["md5"] is None

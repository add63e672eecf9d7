# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The move of one state: the same bytes, under the locks of both endpoints, never over another state.

A run may be killed after every step. The id of the locks is derived from source and destination, so that the next run
recognises them as its own. The state is written before its digest, as clients do. The mark comes last: all before it is
done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from .._aws.errors import BROKEN, MAYBE_UNSEEN
from .._core.model import CallFailed, TfstateError
from .._engine.guard import Refused
from .._locks.locking import ClaimedLocks, RetryPolicy, check_held, claim, read_locks, release, take, take_over
from .._locks.stores import Lock
from .._policy.document import MOVED
from .._state.errors import NotAState
from .._state.kind import Kind, kind_of
from .._terraform.protocol import LockInfo, lock_id, uuid_of
from .._terraform.state_document import Document, UnreadableState, document_of
from .stored_state import MOST_TAGS, TAG, StoredState, digest_of, mark_of

#: What is left to do for a state.
MOVE, FINISH, NOTHING = "move", "finish", "none"
UNREADABLE_ADVICE = "; restore a version of it (tf_state_version), or leave it out (keys)"
#: Two reads of a state that is being written may be inconsistent: how often they are repeated.
LOOKS = 3


class Source(Protocol):
    """The source of a state."""

    @property
    def url(self) -> str: ...
    def body(self) -> bytes | None: ...
    def digest(self) -> str | None: ...
    def mark(self) -> str | None: ...
    def tags(self) -> Mapping[str, str]: ...
    @property
    def is_set_aside(self) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """Both endpoints as they were read: bodies, digests in the tables, and marks."""

    body: bytes | None
    there: bytes | None
    digest: str | None
    digest_there: str | None
    mark: str | None
    mark_there: str | None = None
    #: A local state has no mark: whether its project was updated.
    is_set_aside: bool = False
    #: The source has the maximum number of tags, without the mark.
    lacks_room_for_mark: bool = False

    @property
    def is_consistent(self) -> bool:
        """Whether the source matches its own digest."""
        return self.body is None or self.digest in (None, digest_of(self.body))


@dataclass(frozen=True)
class Verdict:
    """What is left to do for a state."""

    action: str
    document: Document
    size: int
    digest: str
    #: Whether the source's table has its digest. It has one if clients lock there.
    is_in_table: bool = False


def take_snapshot(source: Source, target: StoredState) -> Snapshot:
    tags = source.tags()  # first: if the mark is there, so is the copy, even while another run is at work
    mark = tags.get(TAG)
    body, there, digest, digest_there = source.body(), target.body(), source.digest(), target.digest()
    mark_there = target.mark() if there else None
    lacks_room = mark is None and len(tags) >= MOST_TAGS
    return Snapshot(body, there, digest, digest_there, mark, mark_there, source.is_set_aside, lacks_room)


@dataclass(frozen=True)
class _Case:
    """What was found of a state that can be read, and what the cases below ask about it."""

    seen: Snapshot
    document: Document
    source: str
    target: StoredState

    @property
    def digest(self) -> str:
        return digest_of(self.seen.body or b"")

    @property
    def url(self) -> str:
        return self.target.url

    @property
    def is_continued(self) -> bool:
        """Whether the project of a local state has followed it, and works on it at the destination."""
        there = self.seen.there
        return self.seen.is_set_aside and there is not None and _is_continued(there, self.document)

    @property
    def is_complete(self) -> bool:
        """Whether a local state is whole at the destination and set aside."""
        is_whole = self.seen.there is not None and bool(self.seen.digest_there or not self.target.place.table)
        return self.seen.is_set_aside and is_whole


#: The first case that applies decides. An action says what is left to do, a function why the state cannot be moved.
_CASES: tuple[tuple[Callable[[_Case], object], str | Callable[[_Case], str]], ...] = (
    (lambda case: case.seen.mark and case.seen.there is None, lambda case: _gone(case.source, case.url)),
    (lambda case: case.seen.mark, NOTHING),
    (
        lambda case: not case.seen.is_consistent,
        lambda case: (
            f"{case.source} does not match the digest in its lock table: run again if a client is writing it at this "
            "moment, else repair the digest first with tf_state_digest"
        ),
    ),
    (
        lambda case: case.seen.mark_there,
        lambda case: f"{case.url} was itself moved to {case.seen.mark_there}: remove its tag {TAG} to use it again",
    ),
    (lambda case: case.is_continued, NOTHING),
    (
        lambda case: case.seen.there not in (None, case.seen.body),
        lambda case: (
            f"{case.url} holds {_describe(case.seen.there)} and {case.source} {_describe(case.seen.body)}: nothing is "
            "overwritten"
        ),
    ),
    (
        lambda case: case.seen.digest_there not in (None, case.digest),
        lambda case: (
            f"the lock table has the digest of another state for {case.url}: restore that state, or repair this"
        ),
    ),
    (
        lambda case: case.seen.lacks_room_for_mark,
        lambda case: (
            f"{case.source} has {MOST_TAGS} tags, the most that S3 takes, and a state that has moved is marked with "
            f"one more ({TAG}): remove one of its tags, also from state_tags if OpenTofu writes them, then run again"
        ),
    ),
    (lambda case: case.is_complete, NOTHING),
    (lambda case: case.seen.there is None, MOVE),
    (lambda case: True, FINISH),
)


def evaluate(seen: Snapshot, source: str, target: StoredState) -> Verdict:
    """What is left to do. Raises Refused if a state could be lost."""
    _check_mark(seen.mark, source, target)
    document = _readable(seen.body, source)
    case = _Case(seen, document, source, target)
    decision = next(decision for applies, decision in _CASES if applies(case))
    if not isinstance(decision, str):
        raise Refused(decision(case))
    return Verdict(decision, document, len(seen.body or b""), case.digest, is_in_table=seen.digest is not None)


def _readable(body: bytes | None, source: str) -> Document:
    if body is None:
        raise Refused(f"{source} holds no state")
    document = document_of(body)
    if isinstance(document, UnreadableState):
        reason = f"{source} cannot be moved, as no client takes it for a state: {document.reason}"
        if kind_of(document, is_known=False) is Kind.OTHER:
            raise NotAState(reason)
        raise Refused(f"{reason}{UNREADABLE_ADVICE}")
    return document


def _check_mark(mark: str | None, source: str, target: StoredState) -> None:
    if mark not in (None, mark_of(target)):
        raise Refused(f"{source} was moved to {mark} before: move it from there")


def _gone(source: str, target_url: str) -> str:
    return f"{source} was moved to {target_url} before, and does not exist there any more: restore it there"


def _is_continued(body: bytes, document: Document) -> bool:
    """Whether a client has written a later version of this state."""
    there = document_of(body)
    is_same = isinstance(there, Document) and there.lineage is not None and there.lineage == document.lineage
    return isinstance(there, Document) and is_same and (there.serial or 0) > (document.serial or 0)


def _describe(body: bytes | None) -> str:
    document = document_of(body or b"")
    if isinstance(document, UnreadableState):
        return "an object that is not a state"
    return f"lineage {document.lineage}, serial {document.serial}"


@dataclass(frozen=True)
class Move:
    """The move of one state. `info` is the lock record without id and path. The lock of the source can stay."""

    source: Source
    target: StoredState
    info: LockInfo
    keeps_lock: bool = False
    #: The endpoint URLs of source and destination, if they differ: both may have buckets of the same name.
    endpoints: tuple[str, ...] = ()

    @property
    def lock_name(self) -> str:
        """The id of all locks of this move, in every run."""
        way = " -> ".join([*self.endpoints, self.source.url, self.target.url])
        return uuid_of(hashlib.sha256(way.encode()).digest()[:16])

    def plan(self) -> Verdict:
        """What `carry_out` would do."""
        verdict = evaluate(self._settled_snapshot(), self.source.url, self.target)
        return verdict if verdict.action != NOTHING or self._is_settled() else replace(verdict, action=FINISH)

    def is_known(self) -> bool:
        """Whether something says that the source is a state, whatever it holds."""
        source = self.source
        return not isinstance(source, StoredState) or source.is_in_use()

    def confirm(self) -> bool:
        """Confirms that a state moved here whose source is denied to everybody: its mark can be read nevertheless.

        Returns whether the destination is unlocked: several runs that were refused at once may have left it locked.
        """
        mark = self.source.mark()
        _check_mark(mark, self.source.url, self.target)
        if mark is None:
            raise Refused(
                f"{self.source.url} did not move, and yet the policy denies it as if it had: "
                f"remove the statement {MOVED} from the policy, then run again"
            )
        if self.target.body() is None:
            raise Refused(_gone(self.source.url, self.target.url))
        return not self._ours(read_locks(self.target.aws, self.target.place))

    def _settled_snapshot(self) -> Snapshot:
        """Both endpoints, but not between the two writes of a client, of the state and of its digest."""
        for _unused in range(LOOKS):
            now = take_snapshot(self.source, self.target)
            if now.is_consistent or not isinstance(self.source, StoredState):
                break
            locks = read_locks(self.source.aws, self.source.place)
            if len(self._ours(locks)) < len(locks):
                return replace(
                    now, digest=digest_of(now.body or b"")
                )  # another client holds the lock, which the move waits for
        return now

    def _is_settled(self) -> bool:
        """Whether the locks are those of a finished move."""
        return all(
            len(self._ours(read_locks(side.aws, side.place))) == (side.stores if self._stays(side) else 0)
            for side in self._stored_endpoints()
        )

    def _ours(self, locks: Sequence[Lock]) -> list[Lock]:
        return [lock for lock in locks if lock.id == self.lock_name]

    def _stored_endpoints(self) -> list[StoredState]:
        """The endpoints that are locked in AWS, in the order of locking; local states are locked before."""
        stored = [side for side in (self.source, self.target) if isinstance(side, StoredState)]
        return sorted(stored, key=lambda side: side.url)

    def _stays(self, side: StoredState) -> bool:
        return self.keeps_lock and side is self.source

    def carry_out(self, retry_policy: RetryPolicy) -> Verdict:
        """Moves the state. `retry_policy` waits for a lock, and says when to give up."""
        begun: list[Verdict] = []
        held: dict[str, ClaimedLocks] = {}
        with ExitStack() as locks:
            for side in self._stored_endpoints():
                locks.enter_context(self._held(side, held, begun, retry_policy))
            now = take_snapshot(self.source, self.target)
            begun.append(evaluate(now, self.source.url, self.target))
            if begun[0].action == NOTHING:  # only the locks were left, and they are right now
                return replace(begun[0], action=FINISH)
            self._write(now, begun, held[self.target.url].locks)
        return begun[0]

    def settle(self) -> None:
        """For a state that has moved: releases the locks that earlier runs left at the destination."""
        self.confirm()
        self._release_leftover()

    def release_idle(self) -> None:
        """Releases the locks of an interrupted run at the destination, if the state has moved elsewhere meanwhile.

        No run of this move can continue then, so none would release them.
        """
        if self.source.mark() not in (None, mark_of(self.target)):
            self._release_leftover(lambda: self._protects_nothing({}))

    def _release_leftover(self, may_release: Callable[[], bool] = lambda: True) -> None:
        """`may_release` is called only if there are such locks."""
        target = self.target
        locks = self._ours(read_locks(target.aws, target.place))
        if not locks or not may_release():
            return
        taken = [take_over(target.aws, target.place, lock, self._info(target)) for lock in locks]
        problems = _released(target, taken)
        if problems:
            raise TfstateError("; ".join(problems))
        left = f"the lock {self.lock_name} of {target.url}, left by an earlier run, was released"
        target.aws.warnings.append(left)

    def hold(self, digest: str) -> None:
        """Takes the lock of the source again if it is gone. Raises TfstateError if the state was written since."""
        if not (self.keeps_lock and isinstance(self.source, StoredState)):
            return
        source = self.source
        locks = read_locks(source.aws, source.place)
        if len(self._ours(locks)) == source.stores:
            return
        take(source.aws, source.lock_place(), self._info(source), locks)
        if digest_of(source.body() or b"") != digest:
            raise TfstateError(
                f"{source.url} was written after it had moved to {self.target.url}, as its lock was removed. "
                "It is locked again: compare both, and write what is missing at the destination"
            )

    def _info(self, side: StoredState) -> LockInfo:
        return replace(self.info, id=self.lock_name, path=lock_id(side.place.bucket, side.place.path))

    def _write(self, now: Snapshot, begun: list[Verdict], locks: Sequence[Lock]) -> None:
        body = now.body or b""
        digest = digest_of(body)
        if now.there is None:
            self._create(body, begun, locks)
        if now.digest_there is None and self.target.place.table:
            self.target.create_digest(digest)
        if self.target.body() != body or (self.target.place.table and self.target.digest() != digest):
            other = f"{self.target.url} differs from what was written: another client writes there"
            raise TfstateError(other + MAYBE_UNSEEN)
        if isinstance(self.source, StoredState):
            self.source.put_mark(mark_of(self.target))

    def _create(self, body: bytes, begun: list[Verdict], locks: Sequence[Lock]) -> None:
        """Writes the copy. If AWS refuses it and there is none, the move has not begun: nothing needs protection.

        Another run of the same move may have taken over the locks of the destination, and released them, before this
        run had those of the source. If the other run has written the copy, both runs continue.
        """
        try:
            check_held(self.target.aws, self.target.place, locks)
        except TfstateError:
            there = self.target.body()
            if there == body:
                return
            if there is None and not self._ours(read_locks(self.target.aws, self.target.place)):
                begun.clear()
            raise
        try:
            self.target.create(body)
        except CallFailed as refused:
            with suppress(TfstateError):  # what cannot be read may exist
                if refused.failure.code not in BROKEN and self.target.body() is None:
                    begun.clear()
            raise

    @contextmanager
    def _held(
        self, side: StoredState, held: dict[str, ClaimedLocks], begun: list[Verdict], retry_policy: RetryPolicy
    ) -> Iterator[None]:
        """Holds the locks of one endpoint. Those of the source stay once there may be a copy, even if the move fails.

        The locks of an earlier run may protect its copy: a failure releases only the locks of this run, and those that
        protect nothing.
        """
        place = self.source.lock_place() if isinstance(self.source, StoredState) and side is self.source else side.place
        claimed = claim(side.aws, place, self._info(side), retry_policy)
        held[side.url] = claimed
        try:
            yield
        except BaseException:
            mine = self._released_by_failure(side, claimed, held, begun)
            side.aws.warnings.extend(_released(side, mine))
            if len(mine) < len(claimed.locks):
                side.aws.warnings.append(self._kept_lock_warning(side))
            raise
        problems = () if self._stays(side) else _released(side, claimed.locks)
        if problems:
            raise TfstateError("; ".join(problems))

    def _released_by_failure(
        self, side: StoredState, claimed: ClaimedLocks, held: Mapping[str, ClaimedLocks], begun: list[Verdict]
    ) -> Sequence[Lock]:
        if begun and side is self.source:
            return ()
        is_idle = claimed.taken_over and not begun and side is self.target and self._protects_nothing(held)
        return claimed.locks if is_idle else claimed.made

    def _protects_nothing(self, held: Mapping[str, ClaimedLocks]) -> bool:
        """Whether no run of this move can have written a copy: it would have locked the source before.

        A run that locks the source later checks the locks of the destination again before it writes.
        """
        source = self.source
        if not isinstance(source, StoredState):
            return False
        ours = [lock.text for lock in held[source.url].made] if source.url in held else []
        with suppress(TfstateError):  # what cannot be read may exist
            others = [lock for lock in self._ours(read_locks(source.aws, source.place)) if lock.text not in ours]
            return not others and self.target.body() is None and self.target.digest() is None
        return False

    def _kept_lock_warning(self, side: StoredState) -> str:
        table = f", table: {side.place.table}" if side.place.table else ""
        return (
            f"the lock {self.lock_name} of {side.url} stays, as there may be a copy: run again. Only if this move is "
            f"given up, and {self.target.url} holds no copy of the state, release it with tf_state_lock: "
            f"bucket: {side.place.bucket}, key: {side.place.path}{table}, lock_id: {self.lock_name}, state: released"
        )


def _released(side: StoredState, locks: Sequence[Lock]) -> Sequence[str]:
    return release(side.aws, side.place, locks).problems

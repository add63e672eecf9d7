# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state on its way: the same bytes, under the locks of both sides, never over another one.

Every step can be the last one of a killed run. The locks bear an id that follows from source and destination, so that
the next run knows them for its own; the state comes before its digest, as clients write them; the mark comes last, and
says that all before it is done.
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
from .._terraform.protocol import LockInfo, lock_id, uuid_of
from .._terraform.state_document import Document, Unreadable, document_of
from .stored_state import MOST_TAGS, TAG, StoredState, digest_of, mark_of

#: What is left to do about a state.
MOVE, FINISH, NOTHING = "move", "finish", "none"
#: What two requests show of a state that is being written may be half old and half new: so often it is read again.
LOOKS = 3


class Source(Protocol):
    """Where a state comes from."""

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
    """Both sides as they are: bodies, digests of the tables, and the mark of the source."""

    body: bytes | None
    there: bytes | None
    digest: str | None
    digest_there: str | None
    mark: str | None
    mark_there: str | None = None
    #: Of a local state, which bears no mark: whether its project has followed it.
    is_set_aside: bool = False
    #: The source has as many tags as S3 takes, and none of them is the mark.
    lacks_room_for_mark: bool = False

    @property
    def is_consistent(self) -> bool:
        """Whether the source is what its own digest says."""
        return self.body is None or self.digest in (None, digest_of(self.body))


@dataclass(frozen=True)
class Verdict:
    """What is left to do about a state, and which one it is."""

    action: str
    document: Document
    size: int
    digest: str
    #: Whether the source's table has its digest, as it has of every state whose clients lock there.
    is_in_table: bool = False


def seen(source: Source, target: StoredState) -> Snapshot:
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
            f"{case.source} is not what the digest in its lock table says: run again if a client is writing it at this "
            "moment, else repair that first with tf_state_digest"
        ),
    ),
    (
        lambda case: case.seen.mark_there,
        lambda case: (
            f"{case.url} was itself moved to {case.seen.mark_there}: remove its tag {TAG} if it shall be used again"
        ),
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
    """What is left to do. Raises Refused where there could be something to lose."""
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
    if isinstance(document, Unreadable):
        kind = NotAState if document.is_foreign or document.is_other else Refused
        raise kind(f"{source} is no state that could be moved: {document.reason}")
    return document


def _check_mark(mark: str | None, source: str, target: StoredState) -> None:
    if mark not in (None, mark_of(target)):
        raise Refused(f"{source} was moved to {mark} before: move it on from there")


def _gone(source: str, target_url: str) -> str:
    return f"{source} was moved to {target_url} before, and is not there any more: restore it there"


def _is_continued(body: bytes, document: Document) -> bool:
    """Whether a client went on with this state, or may begin to."""
    there = document_of(body)
    is_same = isinstance(there, Document) and there.lineage is not None and there.lineage == document.lineage
    return isinstance(there, Document) and is_same and (there.serial or 0) > (document.serial or 0)


def _describe(body: bytes | None) -> str:
    document = document_of(body or b"")
    if isinstance(document, Unreadable):
        return "what is no state"
    return f"lineage {document.lineage}, serial {document.serial}"


@dataclass(frozen=True)
class Move:
    """A state on its way. `info` is what its locks say, but for id and path. The source's lock can stay, as a fence."""

    source: Source
    target: StoredState
    info: LockInfo
    keeps_lock: bool = False
    #: Of source and destination, where they differ: at each of them, buckets may have the same names.
    endpoints: tuple[str, ...] = ()

    @property
    def lock_name(self) -> str:
        """The id that all locks of this move bear, whoever carries it out."""
        way = " -> ".join([*self.endpoints, self.source.url, self.target.url])
        return uuid_of(hashlib.sha256(way.encode()).digest()[:16])

    def plan(self) -> Verdict:
        """What carrying it out would do."""
        verdict = evaluate(self._settled_snapshot(), self.source.url, self.target)
        return verdict if verdict.action != NOTHING or self._is_settled() else replace(verdict, action=FINISH)

    def confirm(self) -> bool:
        """That it moved here before, if its source is denied to everybody. Its mark can be read all the same.

        Returns whether it is settled: several runs that were refused at once may have left the destination locked.
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
        """Both sides, but not as they are between a client's writing the state and its digest."""
        for _unused in range(LOOKS):
            now = seen(self.source, self.target)
            if now.is_consistent or not isinstance(self.source, StoredState):
                break
            locks = read_locks(self.source.aws, self.source.place)
            if len(self._ours(locks)) < len(locks):
                return replace(now, digest=digest_of(now.body or b""))  # somebody is at work: the locks will tell
        return now

    def _is_settled(self) -> bool:
        """Whether our locks are as a finished move leaves them."""
        return all(
            len(self._ours(read_locks(side.aws, side.place))) == (side.stores if self._stays(side) else 0)
            for side in self._sides()
        )

    def _ours(self, locks: Sequence[Lock]) -> list[Lock]:
        return [lock for lock in locks if lock.id == self.lock_name]

    def _sides(self) -> list[StoredState]:
        """Those that are locked in AWS, in the order in which every move locks them; local states are locked before."""
        stored = [side for side in (self.source, self.target) if isinstance(side, StoredState)]
        return sorted(stored, key=lambda side: side.url)

    def _stays(self, side: StoredState) -> bool:
        return self.keeps_lock and side is self.source

    def carry_out(self, retry_policy: RetryPolicy) -> Verdict:
        """Moves the state. `patience` waits once more for a lock, or says that it was long enough."""
        begun: list[Verdict] = []
        held: dict[str, ClaimedLocks] = {}
        with ExitStack() as locks:
            for side in self._sides():
                locks.enter_context(self._held(side, held, begun, retry_policy))
            now = seen(self.source, self.target)
            begun.append(evaluate(now, self.source.url, self.target))
            if begun[0].action == NOTHING:  # all but the locks, which come right by taking and releasing them
                return replace(begun[0], action=FINISH)
            self._write(now, begun, held[self.target.url].locks)
        return begun[0]

    def settle(self) -> None:
        """Of a state that has moved for certain: releases what runs of this move left locked at the destination."""
        self.confirm()
        self._release_left()

    def release_idle(self) -> None:
        """What a run that was cut short locked at the destination, if the state has moved elsewhere meanwhile.

        No run of this move gets any further then, and so none would release it.
        """
        if self.source.mark() not in (None, mark_of(self.target)):
            self._release_left(lambda: self._protects_nothing({}))

    def _release_left(self, may_go: Callable[[], bool] = lambda: True) -> None:
        """`may_go` is asked once it is known which locks would be released."""
        target = self.target
        locks = self._ours(read_locks(target.aws, target.place))
        if not locks or not may_go():
            return
        taken = [take_over(target.aws, target.place, lock, self._info(target)) for lock in locks]
        problems = _released(target, taken)
        if problems:
            raise TfstateError("; ".join(problems))
        left = f"the lock {self.lock_name} of {target.url}, which a run before this one had left, was released"
        target.aws.warnings.append(left)

    def hold(self, digest: str) -> None:
        """Takes the lock that stays at the source again if it is gone. Raises TfstateError if the state was written."""
        if not (self.keeps_lock and isinstance(self.source, StoredState)):
            return
        source = self.source
        locks = read_locks(source.aws, source.place)
        if len(self._ours(locks)) == source.stores:
            return
        take(source.aws, source.lock_place(), self._info(source), locks)
        if digest_of(source.body() or b"") != digest:
            raise TfstateError(
                f"{source.url} was written after it had moved to {self.target.url}, as somebody had removed its lock. "
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
            other = f"{self.target.url} reads back other than it was written: somebody else writes there"
            raise TfstateError(other + MAYBE_UNSEEN)
        if isinstance(self.source, StoredState):
            self.source.put_mark(mark_of(self.target))

    def _create(self, body: bytes, begun: list[Verdict], locks: Sequence[Lock]) -> None:
        """What AWS refused has not begun, if there is no copy while nobody else can write one: nothing to fence.

        Another run of the same move may have taken over the locks of the destination, and released them, before this
        one had those of the source. If it has made the copy, both runs go on.
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
            with suppress(TfstateError):  # what cannot be looked at may be there
                if refused.failure.code not in BROKEN and self.target.body() is None:
                    begun.clear()
            raise

    @contextmanager
    def _held(
        self, side: StoredState, held: dict[str, ClaimedLocks], begun: list[Verdict], retry_policy: RetryPolicy
    ) -> Iterator[None]:
        """The locks of one side. That of the source stays once there may be a copy, however the rest of it ends.

        What an earlier run left locked may be all that fences its copy: a failure releases only what this run locked,
        and what fences nothing.
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
        """Whether no run of this move can have copied anything: it would have locked the source before.

        A run that has locked only the destination, and locks the source later, looks at the destination's locks again
        before it copies.
        """
        source = self.source
        if not isinstance(source, StoredState):
            return False
        ours = [lock.text for lock in held[source.url].made] if source.url in held else []
        with suppress(TfstateError):  # what cannot be looked at may be there
            others = [lock for lock in self._ours(read_locks(source.aws, source.place)) if lock.text not in ours]
            return not others and self.target.body() is None and self.target.digest() is None
        return False

    def _kept_lock_warning(self, side: StoredState) -> str:
        table = f", table: {side.place.table}" if side.place.table else ""
        return (
            f"the lock {self.lock_name} of {side.url} stays, as it may fence a copy: run again. Only if this move is "
            f"given up, and {self.target.url} holds no copy of the state, release it with tf_state_lock: "
            f"bucket: {side.place.bucket}, key: {side.place.path}{table}, lock_id: {self.lock_name}, state: released"
        )


def _released(side: StoredState, locks: Sequence[Lock]) -> Sequence[str]:
    return release(side.aws, side.place, locks).problems

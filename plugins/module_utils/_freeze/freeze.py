# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holds the locks of all states of a backend under one id while people repair it, and releases just those.

The locks are those that clients take, so that they are kept out and are shown who froze the backend, and why. All of
them have the same record but for the path. A run that fails releases what it took. A run that was killed leaves a part
of the locks: the next run by the same user, for the same reason, goes on under their id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from .._backup.manifest import some
from .._backup.write_block import check_no_write_block
from .._core.model import Invalid, TfstateError
from .._engine.guard import Refused
from .._locks.holders import sentence
from .._locks.lease import Lease
from .._locks.locking import REPEAT_S, AlreadyLocked, release, take
from .._locks.maintenance import our_lock, with_id
from .._locks.stores import Lock, stores
from .._terraform import protocol
from .._terraform.protocol import (
    FREEZE,
    HASH,
    UNFINISHED,
    LockInfo,
    as_finished,
    is_frozen_by,
    is_named,
    is_unfinished,
    lock_id,
    lock_name,
    marshal,
)
from .._terraform.state_name import missing_keys
from .survey import Backend, Survey, survey

#: Messages name at most so many locks.
NAMED = 5
#: How often a wait for locks looks again, in seconds.
LOOK_S = 5
#: How often new states are looked for once all known ones are held.
ROUNDS = 3


@dataclass
class Freeze:
    """One task. `wanted_id`: the id that it names, if any."""

    backend: Backend
    reason: str
    wanted_id: str | None = None
    #: Whether states that do not exist may be named and held.
    may_be_new: bool = False
    timeout_s: float = 0
    now: Callable[[], float] = time.monotonic
    #: The locks that this run took.
    taken: list[Lock] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws, self.scope = self.backend.aws, self.backend.scope
        if self.backend.has_bucket:
            check_no_write_block(self.aws, self.scope.bucket)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.aws, self.scope, FREEZE, self.reason or f"s3://{self.scope.bucket.name}")

    def plan(self, waits: bool = False) -> FreezePlan:
        """What to hold. Raises Refused if somebody else holds a lock, in time or, if it `waits`, at last."""
        if self.backend.has_bucket:
            self.lease.check()
        until = self.now() + self.timeout_s
        while True:
            plan = self._planned(survey(self.backend))
            if not plan.theirs:
                return plan
            if not waits or self.now() >= until:
                raise Refused(self._describe(plan))
            self.aws.renew()
            self.aws.rest(LOOK_S)

    def _planned(self, found: Survey) -> FreezePlan:
        record = self._record(found)
        named = self._named(found)
        paths = sorted({*found.states, *named})
        ours = {path: locks for path, locks in found.frozen(record.id).items() if path in paths}
        theirs = {
            path: tuple(lock for lock in found.locks[path] if lock not in ours.get(path, ()))
            for path in paths
            if path in found.locks
        }
        return FreezePlan(
            self.backend, record, ours, {p: each for p, each in theirs.items() if each}, paths, found.moved
        )

    def _named(self, found: Survey) -> list[str]:
        """The states that the task names and that do not exist. Raises Refused unless they may be new."""
        new = self.scope.unmatched({*found.states, *found.moved})
        if new and not self.may_be_new:
            missing = "; ".join(missing_keys(self.scope, survey(self.backend.whole).states))
            raise Refused(f"{missing}; allow: [new_state] holds the locks of states that do not exist yet")
        return new

    def _record(self, found: Survey) -> LockInfo:
        """That of the freeze that this run goes on with, or a new one. Raises Refused if several are meant."""
        ours = our_lock(self.backend.place(""), FREEZE, self.reason, datetime.now(timezone.utc), self.wanted_id or "")
        known = {lock.id: lock.record for locks in found.frozen().values() for lock in locks}
        records = [as_finished(record) for record in known.values() if isinstance(record, LockInfo)]
        if self.wanted_id:
            same = next((record for record in records if record.id == self.wanted_id), ours)
            self._check_whose(found, same, ours)
            return same
        mine = [record for record in records if (record.who, record.info) == (ours.who, ours.info)]
        if len(mine) > 1:
            ids = ", ".join(sorted(lock_name(record.id) for record in mine))
            raise Refused(f"you froze parts of {self.scope.bucket.name} under several ids: name one as lock_id: {ids}")
        return mine[0] if mine else ours

    def _check_whose(self, found: Survey, frozen: LockInfo, ours: LockInfo) -> None:
        """Two people under one id would each let clients in while the other one still repairs something."""
        if frozen.who == ours.who:
            return
        held = freeze_sentence([lock for locks in found.frozen(frozen.id).values() for lock in locks])
        whose = f"{lock_name(frozen.id)} is the id of a freeze of somebody else"
        if self.reason and self.reason != frozen.info:
            raise Refused(f"{whose}: {held}: choose another lock_id, or give that reason to go on with that freeze")
        told = f"{whose}, which this run completes: {held}. A thaw ends it for everybody: agree on who thaws it"
        if told not in self.aws.warnings:
            self.aws.warnings.append(told)

    def carry_out(self) -> tuple[FreezePlan, FreezePlan]:
        """Takes all locks or none: the plan, and what is held then. Raises TfstateError if somebody else holds one."""
        before = self.plan(waits=True)
        if before.is_done:
            return before, before
        self.wanted_id = with_id(before.record).id
        plan = replace(before, record=with_id(replace(before.record, id=self.wanted_id)))
        with alone(self.backend, self.lease):
            try:
                return before, self._held(plan)
            except BaseException:
                self._release_taken()
                raise

    def _held(self, plan: FreezePlan) -> FreezePlan:
        """Until a look finds nothing more to hold: states are created meanwhile, and clients repeat a release."""
        until = self.now() + self.timeout_s
        for _unused in range(ROUNDS):
            self._take(plan, until)
            self.aws.renew()
            self.aws.rest(REPEAT_S)
            plan = replace(self._planned(survey(self.backend)), record=plan.record)
            if plan.theirs:
                raise Refused(self._describe(plan))
            if plan.is_done:
                return plan
        raise TfstateError(f"somebody goes on creating states in {self.scope.bucket.name}: stop all pipelines first")

    def _take(self, plan: FreezePlan, until: float) -> None:
        works = [partial(self._take_one, plan, path, until) for path in plan.missing]
        if works:
            self.aws.together(works)

    def _take_one(self, plan: FreezePlan, path: str, until: float) -> None:
        place, have = self.backend.place(path), plan.ours.get(path, ())
        while True:
            try:
                locks = take(self.aws, place, plan.record_of(path), have)
                break
            except AlreadyLocked as error:
                if self.now() >= until:
                    raise Refused(f"{_explained((error.lock,))}; nothing was frozen by this run") from None
                self.aws.renew()
                self.aws.rest(LOOK_S)
        new = [lock for lock in locks if lock not in have]
        ours = [lock for lock in new if lock.text == marshal(plan.record_of(path))]
        self.taken.extend(ours)
        if len(ours) < len(new):  # without a bucket no lease keeps runs apart, and a run that fails releases its locks
            raise Refused(f"another run freezes {path} under {lock_name(plan.record.id)}: run again once it has ended")

    def _release_taken(self) -> None:
        for lock in self.taken:
            self.aws.warnings.extend(release(self.aws, self.backend.place(lock.path), [lock]).problems)

    def _describe(self, plan: FreezePlan) -> str:
        found = [_explained(locks) for locks in plan.theirs.values()]
        more = f"; and {len(found) - NAMED} more" if found[NAMED:] else ""
        kept = f"; {len(plan.ours)} states stay frozen under {lock_name(plan.record.id)}" if plan.ours else ""
        return (
            f"{'; '.join(found[:NAMED])}{more}. Nothing was frozen by this run{kept}: wait with lock_timeout, or see "
            "to it that the holder is gone"
        )


@dataclass(frozen=True)
class FreezePlan:
    """`record`: that of all locks, but for the path. `ours`, `theirs`: the locks that are held, by the path."""

    backend: Backend
    record: LockInfo
    ours: Mapping[str, tuple[Lock, ...]]
    theirs: Mapping[str, tuple[Lock, ...]]
    paths: Sequence[str]
    moved: frozenset[str]

    @property
    def missing(self) -> list[str]:
        """The states whose locks are not all held."""
        return [path for path in self.paths if len(self.ours.get(path, ())) < len(stores(self.backend.place(path)))]

    @property
    def is_done(self) -> bool:
        return not self.missing

    @property
    def sentence(self) -> str:
        return _freeze_sentence(self.record, len(self.paths)) if self.paths else "there is no state to freeze"

    def record_of(self, path: str) -> LockInfo:
        return replace(self.record, path=lock_id(self.backend.scope.bucket.name, path))


@dataclass
class Thaw:
    """Releases the locks of a freeze, and no others."""

    backend: Backend
    #: The id, or the begin of its hash.
    name: str | None
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws, self.scope = self.backend.aws, self.backend.scope
        self.found = survey(self.backend)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self.aws, self.scope, "thaw", f"s3://{self.scope.bucket.name}")

    @cached_property
    def locks(self) -> tuple[Lock, ...]:
        """The locks to release. Raises Refused if another freeze, or no freeze, is meant."""
        frozen = self.found.frozen()
        all_locks = [lock for locks in self.found.locks.values() for lock in locks]
        named = tuple(lock for lock in all_locks if self.name and is_named(lock.id, self.name.strip('"')))
        others = [lock for lock in named if not is_frozen_by(lock.record)]
        if others:
            raise Refused(f"{_explained(others[:1])}; that is no freeze: tf_state_lock releases it")
        freezes = _by_freeze(named)
        if len(freezes) > 1:
            raise Refused(
                f"{lock_name(named[0].id)} is the id of {len(freezes)} freezes: "
                f"{'; '.join(map(freeze_sentence, freezes))}: name the states of one as keys"
            )
        if self.scope.keys and not named and any(is_named(each, self.name or "") for each in self._ids_anywhere):
            missing = missing_keys(self.scope, self._everything.states)
            if missing:
                raise Refused("; ".join(missing))
        unfinished = sorted({lock.path for lock in named if is_unfinished(lock.record)})
        if unfinished:
            raise Refused(
                f"{some(unfinished)}: a restore under this freeze was cut short, and a client must not find a part of "
                "the versions: run the restore again with this lock_id, then thaw"
            )
        if frozen and not named:
            held = frozen_sentences(self.found)
            which = f"and not under the lock_id {self.name}" if self.name else "name the freeze"
            ids = " or ".join(dict.fromkeys(lock_name(lock.id) for locks in frozen.values() for lock in locks))
            raise Refused(f"{'; '.join(held)}: {which}; lock_id: {ids} releases it")
        return named

    @cached_property
    def _everything(self) -> Survey:
        return survey(self.backend.whole) if self.scope.keys else self.found

    @property
    def _ids_anywhere(self) -> set[str]:
        return {lock.id for locks in self._everything.frozen().values() for lock in locks}

    def sentence(self) -> str:
        """What is so once the locks are released, also of states that `keys` leaves out."""
        left = frozen_sentences(self._everything, self.locks)
        where = f"no state of {self.scope.bucket.name}"
        count = len({lock.path for lock in self.locks})
        thawed = f"{count} {'state is' if count == 1 else 'states are'} thawed"
        if left:
            return f"{thawed}; {'; '.join(left)}"
        if self.locks:
            return f"{thawed}, and {where} is frozen any more"
        return f"{where} is frozen" + (f", and no lock has the id {self.name}" if self.name else "")

    def check(self) -> None:
        """Raises TfstateError if a run is at work on the states, which may rely on the freeze. It only reads."""
        if self.backend.has_bucket and self.locks:
            self.lease.check()

    def carry_out(self) -> None:
        if not self.locks:
            return
        with alone(self.backend, self.lease):
            works = [partial(release, self.aws, self.backend.place(lock.path), [lock]) for lock in self.locks]
            self.problems += [problem for each in self.aws.together(works) for problem in each.problems]


def alone(backend: Backend, lease: Lease) -> AbstractContextManager[Any]:
    """While no other run works on the states. Without a bucket there is nothing that could hold the lease."""
    return lease.held() if backend.has_bucket else nullcontext()


def check_options(state: str, lock_id: str | None, reason: str, allow: Sequence[str] | None, lock_timeout: int) -> None:
    """Raises Invalid on options that do not go together."""
    if state == "frozen" and (lock_id or "").startswith(HASH):
        raise Invalid(f"lock_id begins with {HASH}, which names a lock by the hash of its id: give the id itself")
    if reason.endswith(UNFINISHED):
        raise Invalid(f"reason ends with {UNFINISHED.strip()!r}, which marks a restore that was cut short: reword it")
    if state == "thawed" and (reason or allow or lock_timeout):
        raise Invalid("reason, allow and lock_timeout go with state: frozen")
    if lock_timeout < 0:
        raise Invalid(f"lock_timeout must be 0 or more seconds, not {lock_timeout}")


def _explained(locks: Sequence[Lock]) -> str:
    """Who holds a state, and what to do about another freeze."""
    text = sentence(locks[0].path, locks, datetime.now(timezone.utc))
    frozen = next((lock for lock in locks if is_frozen_by(lock.record)), None)
    return f"{text}; to work under that freeze give its lock_id: {lock_name(frozen.id)}" if frozen else text


def frozen_sentences(found: Survey, without: Sequence[Lock] = ()) -> list[str]:
    """A sentence for each freeze: how many states it holds, who froze them, since when and why."""
    gone = {(lock.path, lock.id) for lock in without}
    held = [lock for locks in found.frozen().values() for lock in locks if (lock.path, lock.id) not in gone]
    return [freeze_sentence(locks) for locks in _by_freeze(held)]


def _by_freeze(held: Iterable[Lock]) -> list[list[Lock]]:
    """The locks of each freeze. People who did not know of each other may have taken one id."""
    freezes: dict[tuple[str, str, str], list[Lock]] = {}
    for lock in held:
        record = as_finished(lock.record) if isinstance(lock.record, LockInfo) else None
        freezes.setdefault((lock.id, record.who if record else "", record.info if record else ""), []).append(lock)
    return [locks for _unused, locks in sorted(freezes.items(), key=lambda each: each[0])]


def freeze_sentence(locks: Sequence[Lock]) -> str:
    """`locks`: of one freeze."""
    record = locks[0].record
    return _freeze_sentence(record, len({lock.path for lock in locks})) if isinstance(record, LockInfo) else ""


def _freeze_sentence(record: LockInfo, count: int) -> str:
    about = {"who": record.who, "created": record.created_if_known, "reason": as_finished(record).info, "states": count}
    return protocol.freeze_sentence(about) + (f" (lock id {lock_name(record.id)})" if record.id else "")

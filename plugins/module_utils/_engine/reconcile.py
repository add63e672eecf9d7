# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop: observe, desire, plan, refuse, apply, settle. The only place that knows check mode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from .._aws.errors import ALREADY_THERE, UNSUPPORTED, is_definite
from .._aws.protocols import ResourceClient
from .._core.model import (
    EXISTENCE,
    CallFailed,
    Caution,
    Change,
    Facet,
    Failure,
    Invalid,
    Leave,
    Params,
    Refuse,
    Resource,
    Target,
    TfstateError,
    Value,
    Values,
    Verdict,
    desire,
    plan,
)
from .._core.printable import shortened
from .guard import Refused, other_manager, refusals
from .observer import Observer, leave_alone

#: Rounds of reading after which a change that may be lost is written once more: some twenty seconds.
LOST_AFTER = 8

T = TypeVar("T")
#: Looks at what is there before the first write, and raises TfstateError if nothing may be changed.
Check: TypeAlias = Callable[[Target, Values], None]

#: Rounds of reading after which another store than AWS has not kept a change: some thirty seconds if what it had
#: before is still there, else some eight.
OLD_AFTER, OTHER_AFTER = 10, 5
#: How often a change whose write failed is looked for, in about eight seconds.
LOOKS = 6


@dataclass(frozen=True)
class Outcome:
    """What a run did, or in check mode would do."""

    target: Target
    changes: tuple[Change, ...]
    before: Values
    after: Values
    warnings: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        return self.after.get(EXISTENCE) is not None


class Interrupted(TfstateError):
    """A failure after some changes were carried out."""

    def __init__(self, cause: TfstateError, done: tuple[Change, ...]) -> None:
        super().__init__(str(cause))
        self.done = done

    @property
    def has_written(self) -> bool:
        """Without calls, a change is part of another one."""
        return any(change.calls for change in self.done)


class _Overtaken(Exception):
    """The resource to create already exists: somebody else's, or ours with its response lost. It has to be read."""

    def __init__(self, creation: Change) -> None:
        super().__init__()
        self.creation = creation


@dataclass
class _Run(Observer):
    """The run of one resource: what is known about it, and what was written to it."""

    facets: tuple[Facet, ...] = ()
    written: list[Change] = field(default_factory=list)
    done: list[Change] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    #: The facets before the first write.
    started: Values = field(default_factory=dict)
    #: The creation that failed because the resource already exists; it may have been ours.
    tried: tuple[Change, ...] = ()

    def refuse(
        self,
        changes: Sequence[Change],
        observed: Values,
        is_creation: bool = False,
        instead: Sequence[Change] = (),
    ) -> None:
        against = refusals(self.resource, self.target, changes, observed, self.params, is_creation, instead)
        if against:
            message = ". ".join(f"{self.resource.kind} {self.target.name}: {each}" for each in against)
            raise Refused(message, against)

    def instead(self, wanted: Values, observed: Values) -> list[Change]:
        """Each facet whose baseline differs from what is desired, from the baseline to that."""
        unasked = desire(self.facets, self.target, {}, observed)
        return [Change(name, unasked[name], wanted[name]) for name in wanted if unasked[name] != wanted[name]]

    def look_around(self, changes: Sequence[Change]) -> list[Change]:
        """The changes without those that another tool makes."""
        kept = []
        for change in changes:
            verdict = self._verdict(change)
            if isinstance(verdict, Leave) and not self._is_safe(verdict, changes):
                verdict = Refuse(verdict.reason)
            if isinstance(verdict, Refuse):
                raise Refused(f"{self.resource.kind} {self.target.name}: {change.facet}: {verdict.reason}")
            if isinstance(verdict, Leave):
                self.aws.warnings.append(f"{change.facet} of {self.target.name} is left alone: {verdict.reason}")
            else:
                kept.append(change)
            if isinstance(verdict, Caution):
                self.aws.warnings.append(f"{self.resource.kind} {self.target.name}: {verdict.reason}")
        return kept

    def _is_safe(self, left: Leave, changes: Sequence[Change]) -> bool:
        if left.needs is None:
            return True
        facet, flag = left.needs
        after = {**self.started, **{change.facet: change.after for change in changes}}
        return bool((after.get(facet) or {}).get(flag))

    def _facet(self, change: Change) -> Facet:
        return next(each for each in self.facets if each.name == change.facet)

    def _verdict(self, change: Change) -> Verdict | None:
        """The first that a probe gives; a caution only if no other one has more to say."""
        facet = self._facet(change)
        if not change.calls or change.facet == EXISTENCE:
            return None
        probes = tuple(facet.probes(self.target, change.before, change.after))
        answers = self.aws.read([probe.call for probe in probes]) if probes else []
        caution: Caution | None = None
        for probe, answer in zip(probes, answers, strict=True):
            verdict = probe.verdict(answer)
            if isinstance(verdict, Refuse) and isinstance(answer, Failure):
                return Refuse(verdict.reason + leave_alone(facet, self.params))
            if isinstance(verdict, Caution):
                caution = verdict
            elif verdict:
                return verdict
        return caution

    def apply(self, change: Change) -> None:
        creates = change.facet == EXISTENCE and change.before is None
        for call in change.calls:
            try:
                self.aws.write(call, self.newly_created)
            except TfstateError as failed:
                code = failed.failure.code if isinstance(failed, CallFailed) else ""
                self.newly_created = self.newly_created or (creates and code in ALREADY_THERE)
                # The response may be lost, and the retry refused.
                is_refused = isinstance(failed, CallFailed) and is_definite(failed.failure)
                if not self._came_true(change, failed, looks=1 if is_refused else LOOKS):
                    raise self._with_a_way(change, failed) from None
                if creates and not self.aws.late():
                    raise _Overtaken(change) from failed
            self.newly_created = self.newly_created or creates
        if change.calls:
            self.written.append(change)
        if change.facet not in [each.facet for each in self.done]:
            self.done.append(change)

    def _with_a_way(self, change: Change, failed: TfstateError) -> TfstateError:
        """With how to leave out a facet that the store does not have."""
        if not isinstance(failed, CallFailed) or failed.failure.code not in UNSUPPORTED:
            return failed
        advice = failed.failure.advice + leave_alone(self._facet(change), self.params)
        return CallFailed(replace(failed.failure, advice=advice))

    def _came_true(self, change: Change, error: TfstateError, looks: int) -> bool:
        """Reads for some seconds, as a write whose response was lost may become visible late, too."""
        facet = self._facet(change)
        for attempt in range(looks):
            if attempt:
                self.aws.pause(attempt - 1)
            try:
                observed = self.observe([facet])
            except TfstateError as blind:
                if isinstance(error, CallFailed) and not _is_the_same(error, blind):
                    raise TfstateError(f"{error}. Whether it is done could not be seen: {blind}") from error
                return False
            if observed == desire([facet], self.target, self.params, observed):
                return True
        return False

    def settle(self, facets: tuple[Facet, ...]) -> Values:
        """Re-reads until nothing is left to plan, twice in a row.

        A change that is left and was written is a stale read: AWS gets time. One that was never written, because a
        creation was to carry it or because there is more of it, is written once it was seen twice. One that AWS may
        have lost is written once more.
        """
        attempt = quiet = same = 0
        last: Sequence[Change] = ()
        while True:
            observed = self.observe(facets)
            wanted = desire(facets, self.target, self.params, observed)
            left = plan(facets, self.target, observed, wanted)
            busy = self.busy()
            unwritten = [change for change in left if change not in self.written]
            self.refuse(unwritten, observed)
            lost = [change for change in left if attempt >= LOST_AFTER and self._may_be_lost(change)]
            self.repeated |= {change.facet for change in lost}
            due = [*unwritten, *lost] if attempt and not busy else []
            for change in due:
                self.apply(change)
            quiet = 0 if left or busy else quiet + 1
            if quiet == 2:
                return observed
            same, last = same + 1 if left == last else 0, left
            if not (busy or due) and self._is_dropped(left, same):
                self._warn_of_dropped(left)
                return observed
            if self.aws.late():
                self._unsettled(left, busy)
                return wanted
            self.aws.pause(attempt)
            attempt = 0 if quiet else 1 if due else attempt + 1

    def _is_dropped(self, left: Sequence[Change], rounds: int) -> bool:
        """Whether another store than AWS has taken a change, and keeps something else after so many rounds.

        What it reads back is neither old nor new: then nothing is on its way. What is as it was may be a stale read.
        """
        service = self.resource.existence.read(self.target).service
        if not left or self.params["state"] == "absent" or self.aws.is_aws(service):
            return False
        if any(change.facet == EXISTENCE for change in left):
            return False
        is_old = any(change.before == self.started.get(change.facet) for change in left)
        return rounds >= (OLD_AFTER if is_old else OTHER_AFTER)

    def _warn_of_dropped(self, left: Sequence[Change]) -> None:
        for change in left:
            kept, wanted = differing(change.before, change.after)
            self.aws.warnings.append(
                f"{self.resource.kind} {self.target.name}: the store accepted the change of {change.facet} but "
                f"did not keep it: it has {kept} instead of {wanted}{leave_alone(self._facet(change), self.params)}"
            )

    def _may_be_lost(self, change: Change) -> bool:
        return change in self.written and self._facet(change).may_be_lost and change.facet not in self.repeated

    def _unsettled(self, left: Sequence[Change], busy: str | None) -> None:
        if busy:
            raise self.late_for(busy)
        if any(change.facet == EXISTENCE and change.before is None for change in left):
            raise TfstateError(
                f"{self.resource.kind} {self.target.name}: AWS took the creation, but shows nothing past wait_timeout; "
                "run again later"
            )
        stale = ", ".join(change.facet for change in left) or "settings"
        if self.params["state"] == "absent" and left and stale != EXISTENCE:
            still = f"{stale} still there past wait_timeout; run again to go on with the deletion"
            raise TfstateError(f"{self.resource.kind} {self.target.name}: {still}")
        self.aws.warnings.append(
            f"AWS took the changes of {self.target.name} but reads back the old {stale}; run again later to confirm"
        )


def differing(kept: Value, wanted: Value) -> tuple[str, str]:
    """Two values as text, without what they have in common."""
    while isinstance(kept, Mapping) and isinstance(wanted, Mapping):
        names = [name for name in {**kept, **wanted} if kept.get(name) != wanted.get(name)]
        if len(names) != 1 or not (names[0] in kept and names[0] in wanted):
            kept, wanted = ({name: each[name] for name in names if name in each} for each in (kept, wanted))
            break
        kept, wanted = kept[names[0]], wanted[names[0]]
    return shortened(json.dumps(kept, default=str)), shortened(json.dumps(wanted, default=str))


def _is_the_same(error: CallFailed, other: TfstateError) -> bool:
    return isinstance(other, CallFailed) and other.failure.code == error.failure.code


def reconcile(
    aws: ResourceClient,
    resource: Resource,
    target: Target,
    params: Params,
    check_mode: bool,
    check: Check | None = None,
) -> Outcome:
    """Makes the resource what `params` say, or in check mode plans it."""
    going = params["state"] == "absent"
    managed = resource.teardown if going else resource.facets
    facets = tuple(facet for facet in managed if facet.is_managed(params))
    target = replace(
        target, partition=aws.partition(), http_endpoint=aws.http_endpoint() if resource.kind == "bucket" else ""
    )
    target = replace(target, arn=resource.arn(target))
    _valid(problem for facet in facets for problem in (() if going else facet.problems(params, target)))
    _valid(resource.existence.problems(params, target))
    tried: tuple[Change, ...] = ()
    while True:
        run = _Run(aws=aws, resource=resource, target=target, params=params, facets=facets, tried=tried)
        run.newly_created = bool(tried)
        try:
            return _converge(run, check_mode, going, check)
        except _Overtaken as overtaken:
            tried = (overtaken.creation,)


def _converge(run: _Run, check_mode: bool, going: bool, check: Check | None) -> Outcome:
    resource, facets, params, aws = run.resource, run.facets, run.params, run.aws
    run.identify()
    run.wait_for_rest()
    before = run.observe(facets, run.answer)
    if before[EXISTENCE] is None and not going:
        for facet in facets:
            run.name_keys(facet.requested_keys(params), must_exist=True)
    fresh = before[EXISTENCE] is None or (resource.unfinished(before) and run.is_empty())
    run.target = replace(run.target, fresh=fresh)
    run.started = before
    wanted = desire(facets, run.target, params, before)
    changes = run.look_around(plan(facets, run.target, before, wanted))
    inputs = run.with_refusal_inputs(before) if changes else before
    run.refuse(
        changes,
        inputs,
        is_creation=fresh and not going,
        instead=() if fresh or going else run.instead(wanted, before),
    )
    if check and not going:
        check(run.target, before)
    deletion_warning = (
        resource.deletion_warning(run.target) if changes and going and resource.deletion_warning else None
    )
    aws.warnings.extend([deletion_warning] if deletion_warning else [])
    aws.warnings += () if going else resource.cautions(run.target, inputs, changes)
    aws.warnings += () if going else _disputes(run, inputs, changes)
    after = {**before, **{change.facet: change.after for change in changes}}
    if changes and not check_mode:
        after |= _carry_out(run, changes, going)
    planned = {change.facet for change in changes}
    found = [change for change in run.done if change.facet not in planned]
    return Outcome(run.target, (*run.tried, *changes, *found), before, after, tuple(aws.warnings))


def _disputes(run: _Run, observed: Values, changes: Sequence[Change]) -> Iterator[str]:
    """That another tool, whose management is shared by the word of `allow`, may set changes back."""
    found = other_manager(run.resource, run.target, observed, run.params)
    changed = [change.facet for change in changes]
    if found and found.disputed(changed):
        yield f"{run.resource.kind} {run.target.name}: {found.message(changed)}"


def _carry_out(run: _Run, changes: Sequence[Change], going: bool) -> Values:
    """Applies the changes. Returns the last values read of the changed facets."""
    settled: Values = {}
    try:
        for change in changes:
            run.apply(change)
            if going and change.calls:  # each step must have come true before the next one destroys more
                settled |= run.settle(tuple(facet for facet in run.facets if facet.name == change.facet))
        if not going:
            changed = [change.facet for change in changes]
            settled |= run.settle(tuple(facet for facet in run.facets if EXISTENCE in changed or facet.name in changed))
    except TfstateError as cause:
        raise Interrupted(cause, (*run.tried, *run.done)) from cause
    return settled


def _valid(problems: Iterable[str]) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        raise Invalid("; ".join(found))


def write_files(
    wanted: Mapping[str, str],
    check_mode: bool,
    read: Callable[[str], str | None],
    check: Callable[[str], None],
    write: Callable[[str, str], None],
) -> tuple[Change, ...]:
    """Makes files hold these texts: the same loop as for AWS, without late reads.

    `check` raises TfstateError where a file cannot be written, before the first one is, and in check mode too.
    """
    present = {path: read(path) for path in wanted}
    changes = tuple(Change(path, present[path], text) for path, text in wanted.items() if present[path] != text)
    for change in changes:
        check(change.facet)
    done: list[Change] = []
    for change in () if check_mode else changes:
        try:
            write(change.facet, change.after)
        except TfstateError as cause:
            raise Interrupted(cause, tuple(done)) from cause
        done.append(change)
    return changes


def unless_checking(check_mode: bool, planned: T, carry_out: Callable[[], T]) -> T:
    """The result of `carry_out`, or in check mode `planned`: for work that changes no facet."""
    return planned if check_mode else carry_out()


def when_checking(check_mode: bool, outcome: T, inspect: Callable[[], T]) -> T:
    """The result of `inspect` in check mode, else `outcome`: for what only a plan is asked."""
    return inspect() if check_mode else outcome

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop: observe, desire, plan, refuse, apply, settle. The only place that knows check mode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ._core import (
    EXISTENCE,
    Answer,
    Call,
    CallFailed,
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
    Unknown,
    Values,
    desire,
    plan,
)
from ._guard import Refused, refusals

IDENTITY = Call("sts", "get_caller_identity")


class World(Protocol):
    """What the loop needs of AWS. Kept this small so that anything that can be read and written fits."""

    warnings: list[str]

    def partition(self) -> str: ...
    @abstractmethod
    def read(self, calls: Sequence[Call], young: bool = False) -> list[Answer]: ...
    def write(self, call: Call, young: bool = False) -> None: ...
    def key_arn(self, name: str, must_exist: bool) -> str: ...
    def late(self) -> bool: ...
    def pause(self, attempt: int) -> None: ...


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


@dataclass
class _Run:
    """One resource on its way: what is known about it, and what was written to it."""

    world: World
    resource: Resource
    target: Target
    params: Params
    facets: tuple[Facet, ...]
    young: bool = False
    #: What reading the existence answered last.
    answer: Answer | None = None
    written: list[Change] = field(default_factory=list)
    done: list[Change] = field(default_factory=list)

    def identify(self) -> None:
        """Whether the resource exists, beside whose credentials these are, if that matters."""
        existence = self.resource.existence.read(self.target)
        if self.target.owner:
            identity, self.answer = self.world.read([IDENTITY, existence])
            self._check_account(identity)
        else:
            (self.answer,) = self.world.read([existence])
            if isinstance(self.answer, Failure):  # STS says more of bad credentials, and what the ARN will be
                (identity,) = self.world.read([IDENTITY])
                self._know(identity)

    def _check_account(self, identity: Answer) -> None:
        if isinstance(identity, Failure):
            raise CallFailed(identity)
        if identity["Account"] != self.target.owner:
            account = identity["Account"]
            raise Invalid(f"account_id is {self.target.owner}, but these credentials belong to account {account}")
        self._know(identity)

    def _know(self, identity: Answer) -> None:
        if not isinstance(identity, Failure):
            known = replace(self.target, account_id=identity["Account"], partition=identity["Arn"].split(":")[1])
            self.target = replace(known, arn=self.resource.arn(known))

    def observe(self, facets: Iterable[Facet], existence: Answer | None = None) -> Values:
        """What these facets are now. A resource that is missing has what AWS would give it today."""
        facets = tuple(facets)
        known = self.resource.existence.read(self.target)
        self.answer = self.world.read([known], self.young)[0] if existence is None else existence
        exists = self.resource.existence.value(self.answer, self.target)
        _known([(self.resource.existence, exists)])
        if exists is None or isinstance(self.answer, Failure):
            return {facet.name: facet.new for facet in facets}
        self.target = self.resource.locate(self.target, self.answer)
        calls = {facet.name: facet.read(self.target) for facet in facets}
        others = _unique(call for call in calls.values() if call != known)
        answers = [(known, self.answer), *zip(others, self.world.read(others, self.young), strict=True)]
        found = [(facet, next(answer for call, answer in answers if call == calls[facet.name])) for facet in facets]
        self._name_keys(found)
        values = [(facet, facet.value(answer, self.target)) for facet, answer in found]
        _known(values)
        return {facet.name: value for facet, value in values}

    def _name_keys(self, found: Iterable[tuple[Facet, Answer]]) -> None:
        """Resolves every KMS key that is named, asked for or seen, once."""
        for facet, answer in found:
            seen = () if isinstance(answer, Failure) else facet.seen_keys(answer)
            self.name_keys(seen, must_exist=False)
            self.name_keys(facet.asked_keys(self.params), must_exist=True)

    def name_keys(self, names: Iterable[str], must_exist: bool) -> None:
        unresolved = [name for name in names if ":key/" not in self.target.keys.get(name, "")]
        arns = {name: self.world.key_arn(name, must_exist) for name in unresolved}
        self.target = replace(self.target, keys={**self.target.keys, **arns})

    def is_empty(self) -> bool:
        contents = self.resource.contents
        return contents is not None and self.observe([contents], self.answer)[contents.name] == contents.absent

    def refuse(self, changes: Sequence[Change], observed: Values) -> None:
        against = refusals(self.resource, self.target, changes, observed, self.params)
        if against:
            raise Refused(". ".join(f"{self.resource.kind} {self.target.name}: {each}" for each in against))

    def look_around(self, changes: Sequence[Change]) -> list[Change]:
        """The changes less those that are somebody else's to make."""
        kept = []
        for change in changes:
            verdict = self._verdict(change)
            if isinstance(verdict, Refuse):
                raise Refused(f"{self.resource.kind} {self.target.name}: {change.facet}: {verdict.reason}")
            if isinstance(verdict, Leave):
                self.world.warnings.append(f"{change.facet} of {self.target.name} is left alone: {verdict.reason}")
            else:
                kept.append(change)
        return kept

    def _verdict(self, change: Change) -> Refuse | Leave | None:
        facet = next(each for each in self.facets if each.name == change.facet)
        if not change.calls or change.facet == EXISTENCE:
            return None
        probes = tuple(facet.probes(self.target, change.before, change.after))
        answers = self.world.read([probe.call for probe in probes]) if probes else []
        verdicts = (probe.verdict(answer) for probe, answer in zip(probes, answers, strict=True))
        return next((verdict for verdict in verdicts if verdict), None)

    def apply(self, change: Change) -> None:
        for call in change.calls:
            try:
                self.world.write(call, self.young)
            except CallFailed:
                if not self._came_true(change):  # the reply may be lost, and its repetition refused
                    raise
            self.young = self.young or (change.facet == EXISTENCE and change.before is None)
        if change.calls:
            self.written.append(change)
        if change.facet not in [each.facet for each in self.done]:
            self.done.append(change)

    def _came_true(self, change: Change) -> bool:
        facet = next(each for each in self.facets if each.name == change.facet)
        try:
            return bool(self.observe([facet])[facet.name] == change.after)
        except TfstateError:
            return False

    def settle(self, facets: tuple[Facet, ...]) -> Values:
        """Re-reads until nothing is left to plan, twice in a row.

        A change that is left and was written is a stale read: AWS gets time. One that was never written, because a
        creation was to carry it or because there is more of it, is written once it was seen twice.
        """
        attempt = quiet = 0
        while True:
            observed = self.observe(facets)
            wanted = desire(facets, self.target, self.params, observed)
            left = plan(facets, self.target, observed, wanted)
            busy = self.resource.busy(self.answer) if isinstance(self.answer, Mapping) else None
            unwritten = [change for change in left if change not in self.written]
            self.refuse(unwritten, observed)
            for change in unwritten if attempt and not busy else ():
                self.apply(change)
            quiet = 0 if left or busy else quiet + 1
            if quiet == 2:
                return observed
            if self.world.late():
                self._unsettled(left, busy)
                return wanted
            self.world.pause(attempt)
            attempt = 0 if quiet else attempt + 1

    def _unsettled(self, left: Sequence[Change], busy: str | None) -> None:
        if busy:
            raise TfstateError(f"{self.resource.kind} {self.target.name}: {busy}, past wait_timeout; run again later")
        stale = ", ".join(change.facet for change in left) or "settings"
        self.world.warnings.append(
            f"AWS took the changes of {self.target.name} but reads back the old {stale}; run again later to confirm"
        )


def reconcile(world: World, resource: Resource, target: Target, params: Params, check_mode: bool) -> Outcome:
    """Makes the resource what `params` say, or in check mode finds out what that would take."""
    going = params["state"] == "absent"
    managed = resource.teardown if going else resource.facets
    facets = tuple(facet for facet in managed if facet.is_managed(params))
    target = replace(target, partition=world.partition())
    target = replace(target, arn=resource.arn(target))
    _valid(problem for facet in facets for problem in (() if going else facet.problems(params, target)))
    _valid(resource.existence.problems(params, target))
    run = _Run(world, resource, target, params, facets)
    run.identify()
    witnesses = tuple(facet for facet in (resource.witnesses if going else ()) if facet.is_managed(params))
    before = run.observe((*facets, *witnesses), run.answer)
    if before[EXISTENCE] is None and not going:
        for facet in facets:
            run.name_keys(facet.asked_keys(params), must_exist=True)
    fresh = before[EXISTENCE] is None or (resource.unfinished(before) and run.is_empty())
    run.target = replace(run.target, fresh=fresh)
    wanted = desire(facets, run.target, params, before)
    changes = run.look_around(plan(facets, run.target, before, wanted))
    run.refuse(changes, before)
    after = {**before, **{change.facet: change.after for change in changes}}
    if changes and not check_mode:
        _carry_out(run, changes, going)
        changes = [*changes, *(change for change in run.done if change.facet not in {each.facet for each in changes})]
    return Outcome(run.target, tuple(changes), before, after, tuple(world.warnings))


def _carry_out(run: _Run, changes: Sequence[Change], going: bool) -> None:
    try:
        for change in changes:
            run.apply(change)
            if going:  # each step must have come true before the next one destroys more
                run.settle(tuple(facet for facet in run.facets if facet.name == change.facet))
        if not going:
            changed = [change.facet for change in changes]
            run.settle(tuple(facet for facet in run.facets if EXISTENCE in changed or facet.name in changed))
    except TfstateError as cause:
        raise Interrupted(cause, tuple(run.done)) from cause


def _valid(problems: Iterable[str]) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        raise Invalid("; ".join(found))


def _known(values: Iterable[tuple[Facet, object]]) -> None:
    """A facet that cannot be read fails the run before its first write: unknown is never absent."""
    unknown = [(facet, value.failure) for facet, value in values if isinstance(value, Unknown)]
    if unknown:
        ways = [
            f"{failure}" + ("" if facet.name == EXISTENCE else f", or leave it alone with unmanaged: [{facet.name}]")
            for facet, failure in unknown
        ]
        raise Invalid(". ".join(ways))


def _unique(calls: Iterable[Call]) -> list[Call]:
    found: list[Call] = []
    for call in calls:
        if call not in found:
            found.append(call)
    return found


def write_files(
    wanted: Mapping[str, str],
    check_mode: bool,
    read: Callable[[str], str | None],
    write: Callable[[str, str], None],
) -> tuple[Change, ...]:
    """Makes files hold these texts; the same loop as for AWS, where nothing is read late and nothing lingers."""
    present = {path: read(path) for path in wanted}
    changes = tuple(Change(path, present[path], text) for path, text in wanted.items() if present[path] != text)
    done: list[Change] = []
    for change in () if check_mode else changes:
        try:
            write(change.facet, change.after)
        except TfstateError as cause:
            raise Interrupted(cause, tuple(done)) from cause
        done.append(change)
    return changes

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observation: what a resource is now, which account owns it, and whether AWS is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .._aws.protocols import ResourceClient
from .._core.model import (
    EXISTENCE,
    IDENTITY,
    Answer,
    Call,
    CallFailed,
    Facet,
    Failure,
    Invalid,
    Params,
    Resource,
    Target,
    TfstateError,
    Unknown,
    Value,
    Values,
    of_arn,
)


@dataclass
class Observer:
    """One resource under observation. Each read completes what is known of the target."""

    aws: ResourceClient
    resource: Resource
    target: Target
    params: Params
    #: It was created a moment ago: what AWS does not show yet, it will.
    newly_created: bool = False
    #: What reading the existence answered last.
    answer: Answer | None = None
    #: What distinguished it from another of its name when it was first read.
    identity: str | None = None
    #: What reading each facet answered last, by its name.
    answers: dict[str, Answer] = field(default_factory=dict)

    def identify(self) -> None:
        """Whether the resource exists, and if not, the account of the credentials, which would own it.

        An existing resource tells its account: a bucket by its answer to the expected owner, a table by its ARN.
        """
        (self.answer,) = self.aws.read([self.resource.existence.read(self.target)], self.newly_created)
        if self.resource.kind == "bucket" and not isinstance(
            self.answer, Failure
        ):  # the call has said whose it must be
            self.target = replace(self.target, account_id=self.aws.owner())
        if isinstance(self.answer, Failure):  # STS says more of bad credentials, and what the ARN will be
            identity = caller(self.aws, self.target)
            self.meet(identity)
            self._check_caller(identity, self.answer)

    def meet(self, identity: Answer | None) -> None:
        """Notes the account of the credentials, as far as it is known."""
        if identity is not None and not isinstance(identity, Failure):
            known = replace(self.target, account_id=identity["Account"], partition=identity["Arn"].split(":")[1])
            self.target = replace(known, arn=self.resource.arn(known))

    def _check_caller(self, identity: Answer | None, existence: Failure) -> None:
        """Raises Invalid if the resource would be created in another account than account_id."""
        against = not_theirs(self.target, identity)
        if against and existence.code in self.resource.existence.not_found:
            raise Invalid(against)
        if against:
            raise Invalid(f"{existence}. {against}")

    def _check_arn(self) -> None:
        """Raises Invalid if the resource is in another account than account_id."""
        found, owner = of_arn(self.target.arn), self.target.owner
        if found and owner and found != owner:
            what = f"{self.resource.kind} {self.target.name} is of account {found}, as these credentials are"
            raise Invalid(f"account_id is {owner}, but {what}: correct account_id, profile or keys")

    def observe(self, facets: Iterable[Facet], existence: Answer | None = None) -> Values:
        """What these facets are now. A resource that is missing has what AWS would give it today."""
        facets = tuple(facets)
        exists = self._find(existence)
        _known([(self.resource.existence, exists)], self.params)
        self._recognise()
        values = self._read(facets, exists)
        _known(((facet, values[facet.name]) for facet in facets), self.params)
        return values

    def inspect(self, facets: Iterable[Facet]) -> Values:
        """As `observe`, with the existence; a facet that cannot be read is `Unknown`."""
        exists = self._find(self.answer)
        return {EXISTENCE: exists, **self._read(tuple(facets), exists)}

    def _find(self, existence: Answer | None) -> Value:
        known = self.resource.existence.read(self.target)
        self.answer = self.aws.read([known], self.newly_created)[0] if existence is None else existence
        return self.resource.existence.value(self.answer, self.target)

    def _read(self, facets: tuple[Facet, ...], exists: Value) -> Values:
        if exists is None or self.answer is None:
            return {facet.name: facet.new for facet in facets}
        if not isinstance(self.answer, Failure):
            self.target = self.resource.locate(self.target, self.answer)
            self._check_arn()
        if isinstance(exists, Unknown) and not self.target.arn:  # without it there is nothing to ask about
            return {facet.name: exists for facet in facets}
        known = self.resource.existence.read(self.target)
        calls = {facet.name: facet.read(self.target) for facet in facets}
        others = _unique(call for call in calls.values() if call != known)
        answers = [(known, self.answer), *zip(others, self.aws.read(others, self.newly_created), strict=True)]
        found = [(facet, next(answer for call, answer in answers if call == calls[facet.name])) for facet in facets]
        self._name_keys(found)
        self.answers = {facet.name: answer for facet, answer in found}
        return {facet.name: facet.value(answer, self.target) for facet, answer in found}

    def _recognise(self) -> None:
        """Fails if it is no longer the resource that was read first, which the plan is about."""
        gone = isinstance(self.answer, Failure)
        now = self.resource.identity(self.answer) if isinstance(self.answer, Mapping) else None
        if self.identity and now != self.identity and not (gone and self.params.get("state") == "absent"):
            what = "deleted" if gone else "replaced by another of its name"
            raise TfstateError(
                f"{self.resource.kind} {self.target.name} was {what} by somebody else during the run; run again"
            )
        self.identity = self.identity or now

    def _name_keys(self, found: Iterable[tuple[Facet, Answer]]) -> None:
        """Resolves every KMS key, requested or observed, once."""
        for facet, answer in found:
            seen = () if isinstance(answer, Failure) else facet.observed_keys(answer)
            self.name_keys(seen, must_exist=False)
            self.name_keys(facet.requested_keys(self.params), must_exist=True)

    def name_keys(self, names: Iterable[str], must_exist: bool) -> None:
        unresolved = [name for name in names if ":key/" not in self.target.keys.get(name, "")]
        arns = {name: self.aws.key_arn(name, must_exist) for name in unresolved}
        self.target = replace(self.target, keys={**self.target.keys, **arns})

    def is_empty(self) -> bool:
        contents = self.resource.contents
        return contents is not None and self.observe([contents], self.answer)[contents.name] == contents.absent

    def with_refusal_inputs(self, observed: Values) -> Values:
        """`observed`, completed by what else a refusal depends on. If that is unmanaged, it may stay unknown."""
        if observed[EXISTENCE] is None:
            return observed
        missing = [facet for facet in self.resource.refusal_inputs if facet.name not in observed]
        answers = self.aws.read([facet.read(self.target) for facet in missing]) if missing else []
        found = [(facet, facet.value(answer, self.target)) for facet, answer in zip(missing, answers, strict=True)]
        absent = {facet.name: facet.absent for facet, value in found if is_unsupported(value)}
        found = [(facet, value) for facet, value in found if facet.name not in absent]
        _known(((facet, value) for facet, value in found if facet.is_managed(self.params)), self.params)
        return {**observed, **absent, **{facet.name: value for facet, value in found if not isinstance(value, Unknown)}}

    def busy(self) -> str | None:
        return self.resource.busy(self.answer) if isinstance(self.answer, Mapping) else None

    def late_for(self, busy: str) -> TfstateError:
        return TfstateError(f"{self.resource.kind} {self.target.name}: {busy}, past wait_timeout; run again later")

    def wait_for_rest(self) -> None:
        """A resource that AWS is changing can be neither read nor changed."""
        attempt = 0
        while busy := self.busy():
            if self.aws.late():
                raise self.late_for(busy)
            self.aws.pause(attempt)
            attempt += 1
            (self.answer,) = self.aws.read([self.resource.existence.read(self.target)])


def caller(aws: ResourceClient, target: Target) -> Answer | None:
    """The account of the credentials. None if STS does not answer and account_id is set."""
    try:
        (identity,) = aws.read([IDENTITY])
    except CallFailed:
        raise
    except TfstateError:
        if target.owner:
            return None
        raise
    return identity


def not_theirs(target: Target, identity: Answer | None) -> str | None:
    """Why these credentials are not those of the owner; None if they are, or if it is not known."""
    if target.owner is None or identity is None or isinstance(identity, Failure):
        return None
    if identity["Account"] == target.owner:
        return None
    found = f"account_id is {target.owner}, but these credentials belong to account {identity['Account']}"
    return f"{found}: correct account_id, profile or keys"


def leave_alone(facet: Facet, params: Params) -> str:
    """How to leave out a facet that cannot be read or written, if the module has an option for it."""
    has_a_way = facet.options and facet.name != EXISTENCE and "unmanaged" in params
    return f", or leave it alone with unmanaged: [{facet.name}]" if has_a_way else ""


def is_unsupported(value: object) -> bool:
    """Whether a facet is unknown because the store does not have it."""
    return isinstance(value, Unknown) and value.failure.is_unsupported


def _known(values: Iterable[tuple[Facet, object]], params: Params) -> None:
    """A facet that cannot be read fails the run before its first write: unknown is never absent."""
    ways = [f"{value.failure}{leave_alone(facet, params)}" for facet, value in values if isinstance(value, Unknown)]
    if ways:
        raise Invalid(". ".join(ways))


def _unique(calls: Iterable[Call]) -> list[Call]:
    found: list[Call] = []
    for call in calls:
        if call not in found:
            found.append(call)
    return found

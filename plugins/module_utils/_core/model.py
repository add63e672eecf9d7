# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The vocabulary: values that describe a resource, and the pure steps between observing it and writing to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from .provider import ProviderArguments

#: What a facet looks like once normalised: JSON-like, compared with `!=` and nothing else.
Value = Any
Params = Mapping[str, Any]
Response = Mapping[str, Any]
Values = dict[str, Value]

EXISTENCE = "existence"

#: The parameters that say what a call is about.
SUBJECTS = ("Bucket", "TableName", "ResourceArn", "KeyId", "RoleArn", "path", "AccountId")


class TfstateError(Exception):
    """A failure that one sentence tells the user how to fix; never a bug of ours."""


class Invalid(TfstateError):
    """The options are wrong, wherever they are applied."""


@dataclass(frozen=True)
class Call:
    """One AWS request: a botocore service and method name, and its parameters."""

    service: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    #: Read to the last page, as one answer.
    paged: bool = False
    #: The IAM action, if it is neither named as the operation nor known to `_aws/errors`.
    action: str = field(default="", compare=False, repr=False)
    #: What to send if AWS rejects this call from us, or for this resource.
    instead: tuple[Call, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        subject = next((self.params[name] for name in SUBJECTS if name in self.params), None)
        subject = f"{subject}/{self.params['Key']}" if subject and isinstance(self.params.get("Key"), str) else subject
        return f"{self.operation} on {subject}" if subject else self.operation


#: The account of the credentials.
IDENTITY = Call("sts", "get_caller_identity")


#: Codes of services that do not have an operation.
NOT_IMPLEMENTED = {"NotImplemented", "XNotImplemented", "501"}


@dataclass(frozen=True)
class Failure:
    """A call that AWS answered with an error, and what to do about it."""

    call: Call
    code: str
    message: str
    advice: str
    #: The call was sent before: that attempt may have been carried out, and this is the answer to a repetition.
    is_repeated: bool = field(default=False, compare=False)

    @property
    def is_unsupported(self) -> bool:
        """Whether the service does not have the operation at all."""
        return self.code in NOT_IMPLEMENTED

    def __str__(self) -> str:
        answer = f" (AWS: {self.message})" if self.message else ""
        return f"{self.call}: {self.code}; {self.advice}{answer}"


@dataclass(frozen=True)
class Refusal:
    """Why a plan is not carried out. Without `word`, nothing permits it."""

    reason: str
    word: str | None = None
    #: What else could be done.
    advice: str = field(default="", compare=False)

    def __str__(self) -> str:
        reason = f"{self.reason}. {self.advice}" if self.advice else self.reason
        return f"{reason}; if that is what you want: allow: [{self.word}]" if self.word else reason


class FindingKind(NamedTuple):
    """What all findings of one id have in common."""

    severity: str
    title: str
    why: str
    #: Ids of AWS Security Hub (S3.n, DynamoDB.n), of the CIS AWS Foundations Benchmark, and of Checkov.
    controls: tuple[str, ...] = ()
    #: The name of the page in docs/runbooks that says more.
    runbook: str = ""


class IamActions(NamedTuple):
    """The permissions that a facet needs."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    #: To delete the resource.
    delete: tuple[str, ...] = ()


class CallFailed(TfstateError):
    """A call that had to succeed did not."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True)
class Unknown:
    """A facet that could not be read. It is neither present nor absent."""

    failure: Failure


Answer: TypeAlias = "Response | Failure"


@dataclass(frozen=True)
class Target:
    """The one resource that a task is about, as far as it is known."""

    name: str
    region: str
    partition: str = "aws"
    #: The account of the credentials, once it was asked for.
    account_id: str | None = None
    #: The account that the operator says must own the resource.
    owner: str | None = None
    arn: str = ""
    #: No change can lose anything: the resource does not exist, or its creation was interrupted before use.
    fresh: bool = False
    #: Where requests go by plain HTTP; empty if they go by TLS.
    http_endpoint: str = ""
    #: Every name by which a KMS key was used -> its ARN.
    keys: Mapping[str, str] = field(default_factory=dict)

    def key_arn(self, name: str) -> str:
        return self.keys.get(name, name)

    @property
    def account(self) -> str | None:
        """The account that owns the resource, as far as an ARN or the operator says."""
        return self.owner or of_arn(self.arn)

    @property
    def bucket(self) -> dict[str, str]:
        """The parameters of every S3 call but CreateBucket: the bucket, and the account that must own it."""
        return {"Bucket": self.name, **({"ExpectedBucketOwner": self.owner} if self.owner else {})}


def of_arn(arn: str) -> str | None:
    """The account in an ARN; those of buckets have none."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 and parts[4] else None


@dataclass(frozen=True)
class Change:
    """A facet going from `before` to `after` by `calls`. Without calls, the creation of the resource carries it."""

    facet: str
    before: Value
    after: Value
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class CreationProtection:
    """A protection of the baseline that AWS does not give to what it creates."""

    what: str
    #: What `allow` needs for a creation without it.
    word: str
    is_given: Callable[[Value, Target], bool]


@dataclass(frozen=True)
class Probe:
    """A read before a change: `verdict` turns the answer into a `Refuse`, a `Leave`, a `Caution`, or None."""

    call: Call
    verdict: Callable[[Answer], Verdict | None]


@dataclass(frozen=True)
class Refuse:
    """A change that AWS would reject, or that would harm: it is not carried out."""

    reason: str


@dataclass(frozen=True)
class Leave:
    """A change that another tool makes, or that must wait for a person: it is dropped, with a warning."""

    reason: str
    #: A facet and a flag of it that makes this safe: if the flag is not on in the end, the change is refused instead.
    needs: tuple[str, str] | None = None


@dataclass(frozen=True)
class Caution:
    """A change that is carried out, with a warning."""

    reason: str


Verdict: TypeAlias = Refuse | Leave | Caution

#: Called for each write as it happens.
WriteCallback: TypeAlias = Callable[[Call], None]


def no_op(_call: Call) -> None:
    """Ignores it."""


def _nothing(*_unused: Any) -> tuple[Any, ...]:
    return ()


def _no_params(_after: Value) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Facet:
    """One independently readable and writable setting. Built from a module of its own by `facet_of`."""

    name: str
    options: Mapping[str, Mapping[str, Any]]
    #: Managed only if one of its options is given: it has no baseline.
    opt_in: bool
    absent: Value
    #: The value of a resource that AWS creates today, where that is more than `absent`.
    new: Value
    not_found: frozenset[str]
    read: Callable[[Target], Call]
    normalise: Callable[[Response, Target], Value]
    desired: Callable[[Params, Value, Target], Value]
    calls: Callable[[Target, Value, Value], tuple[Call, ...]]
    #: What the facet contributes to the call that creates the resource; None if that call cannot carry it.
    creation: Callable[[Value], Mapping[str, Any]] | None
    #: Where AWS denies the creation with it, the creation may go without it, and it is written afterwards.
    optional_at_creation: bool
    #: AWS is known to lose a write of it: it is written once more.
    may_be_lost: bool
    problems: Callable[[Params, Target], Iterable[str]]
    probes: Callable[[Target, Value, Value], Iterable[Probe]]
    requested_keys: Callable[[Params], Iterable[str]]
    observed_keys: Callable[[Response], Iterable[str]]
    #: Reasons not to carry out a change of the facet.
    refusals: Callable[[Change, Target], Iterable[Refusal]]
    creation_protection: CreationProtection | None
    #: The finding of an audit where the facet differs from what it should be; its id is `<resource>.<facet>`.
    finding: FindingKind | None
    #: The detail of that finding, where it is more than the values that differ.
    difference: Callable[[Value, Value], str] | None
    iam_actions: IamActions
    #: AWS's answer as `provider_arguments` takes it, if `normalise` leaves out what the provider distinguishes.
    returned: Callable[[Response], Value] | None
    #: The facet as arguments of the Terraform provider.
    provider_arguments: Callable[[Value], Iterable[ProviderArguments]]
    #: Arguments of the bucket's or table's own Terraform resource that are ignored if the facet is unmanaged.
    provider_ignores: tuple[str, ...]
    #: What an estimate of costs has to know of the facet, by name; of None, a facet that was not read, too.
    cost: Callable[[Value], Mapping[str, Any]] | None

    def is_managed(self, params: Params) -> bool:
        left_alone = self.name in (params.get("unmanaged") or ())
        unasked = self.opt_in and all(params.get(option) is None for option in self.options)
        return not (left_alone or unasked)

    def value(self, answer: Answer, target: Target) -> Value:
        """Present, absent or unknown: three answers, never two."""
        if not isinstance(answer, Failure):
            return self.normalise(answer, target)
        return self.absent if answer.code in self.not_found else Unknown(answer)

    def provider_value(self, answer: Answer, target: Target) -> Value:
        """What `provider_arguments` takes; None if AWS has no configuration of it."""
        if isinstance(answer, Failure):
            return None
        return self.returned(answer) if self.returned else self.normalise(answer, target)


def facet_of(module: ModuleType) -> Facet:
    """The facet that a module defines; see docs/architecture.md for the names that it may define."""
    return Facet(
        name=module.NAME,
        options=module.OPTIONS,
        opt_in=getattr(module, "OPT_IN", False),
        absent=module.ABSENT,
        new=getattr(module, "NEW", module.ABSENT),
        not_found=frozenset(module.NOT_FOUND),
        read=module.read,
        normalise=module.normalise,
        desired=module.desired,
        calls=module.calls,
        creation=getattr(module, "creation", None),
        optional_at_creation=getattr(module, "OPTIONAL_AT_CREATION", False),
        may_be_lost=getattr(module, "MAY_BE_LOST", False),
        problems=getattr(module, "problems", _nothing),
        probes=getattr(module, "probes", _nothing),
        requested_keys=getattr(module, "requested_keys", _nothing),
        observed_keys=getattr(module, "observed_keys", _nothing),
        refusals=getattr(module, "refusals", _nothing),
        creation_protection=getattr(module, "CREATION_PROTECTION", None),
        finding=getattr(module, "FINDING", None),
        difference=getattr(module, "difference", None),
        iam_actions=getattr(module, "IAM_ACTIONS", IamActions()),
        returned=getattr(module, "returned", None),
        provider_arguments=getattr(module, "provider_arguments", _nothing),
        provider_ignores=getattr(module, "PROVIDER_IGNORES", ()),
        cost=getattr(module, "cost", None),
    )


def _never(_observed: Values) -> bool:
    return False


def _by_name(_response: Response) -> None:
    """The name identifies it."""


@dataclass(frozen=True)
class Resource:
    """A kind of thing in AWS: its facets in the order of application, the first being its existence."""

    kind: str
    facets: tuple[Facet, ...]
    #: What a deletion removes, in this order.
    teardown: tuple[Facet, ...]
    #: The ARN that the resource has, or will have.
    arn: Callable[[Target], str]
    #: The target, completed once the existence was read.
    locate: Callable[[Target, Response], Target]
    #: None if AWS is done; else what it is still doing. Raises Invalid where waiting does not help.
    busy: Callable[[Response], str | None]
    #: What distinguishes the resource from another of its name.
    identity: Callable[[Response], str | None] = _by_name
    #: What a user should know before changes of what was observed, though it is no reason to refuse them.
    cautions: Callable[[Target, Values, Sequence[Change]], Iterable[str]] = _nothing
    #: Whether the observed facets show a creation that was interrupted, provided that the resource is empty.
    unfinished: Callable[[Values], bool] = _never
    contents: Facet | None = None
    #: Read before a deletion because a refusal may rest on them.
    refusal_inputs: tuple[Facet, ...] = ()
    #: A warning for a deletion.
    deletion_warning: Callable[[Target], str | None] | None = None

    @property
    def existence(self) -> Facet:
        return self.facets[0]


def desire(facets: Iterable[Facet], target: Target, params: Params, observed: Values) -> Values:
    """What each facet shall be. Desiring twice equals desiring once."""
    if params.get("state") == "absent":
        return {facet.name: facet.absent for facet in facets}
    return {facet.name: facet.desired(params, observed[facet.name], target) for facet in facets}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two parameter trees as one; `more` wins where both name a leaf."""
    out = dict(base)
    for name, value in more.items():
        both = isinstance(value, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = merged(out[name], value) if both else value
    return out


def plan(facets: tuple[Facet, ...], target: Target, observed: Values, wanted: Values) -> tuple[Change, ...]:
    """The changes from `observed` to `wanted`, in order. What a creation can carry is part of the call that creates."""
    is_creation = observed.get(EXISTENCE, True) is None and wanted.get(EXISTENCE) is not None
    changes: list[Change] = []
    for facet in facets:
        before, after = observed[facet.name], wanted[facet.name]
        if before != after:
            is_carried = is_creation and facet.creation is not None
            calls = () if is_carried else facet.calls(target, before, after)
            changes.append(Change(facet.name, before, after, calls))
    return _folded_into_creation(changes, facets, wanted) if is_creation else tuple(changes)


def _folded_into_creation(changes: list[Change], facets: tuple[Facet, ...], wanted: Values) -> tuple[Change, ...]:
    """The changes, with all that the creating call can carry in it, and in `instead` only what it must carry."""
    creation, *others = changes
    create, *further_calls = creation.calls
    everything = _creation_params(facets, wanted)
    required = _creation_params((facet for facet in facets if not facet.optional_at_creation), wanted)
    bare = () if required == everything else (replace(create, params=merged(create.params, required)),)
    whole = replace(create, params=merged(create.params, everything), instead=bare)
    return (replace(creation, calls=(whole, *further_calls)), *others)


def _creation_params(facets: Iterable[Facet], wanted: Values) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for facet in facets:
        if facet.creation is not None:
            params = merged(params, facet.creation(wanted[facet.name]))
    return params

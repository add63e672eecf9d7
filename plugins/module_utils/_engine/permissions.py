# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether IAM would permit planned writes, which its policy simulator tells without making them.

It evaluates the policies of a user or role, its permissions boundary, and service control policies. Not those of
buckets, tables, keys, sessions and VPC endpoints, nor resource control policies: an answer of "allowed" is no promise.
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._aws.errors import DENIED, companions, iam_action
from .._aws.protocols import ReadWriteClient, ResourceClient
from .._core.model import EXISTENCE, IDENTITY, Answer, Call, Change, Failure, Resource, Target, TfstateError, Values
from .._core.printable import shortened
from .guard import Refused
from .reconcile import Outcome

#: The decisions of IAM. Everything else is unknown.
ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicitDeny", "implicitDeny"
OPT_OUT = "if IAM knows better than its simulator: check_permissions: false"
_CALLER = re.compile(r"arn:([\w-]+):(iam|sts)::(\d{12}):(root|user|assumed-role|role|federated-user)(?:/(.+))?")
#: The table has none.
NO_TABLE_POLICY = {"PolicyNotFoundException", "ResourceNotFoundException"}


@dataclass
class Permissions:
    """What IAM says of planned writes: a sentence for each kind of answer that is no permission."""

    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class _Unknown(Exception):
    """Why IAM does not tell."""


def with_permissions(aws: ResourceClient, resource: Resource, outcome: Outcome) -> Outcome:
    """A plan with what IAM does not tell of its writes. Raises Refused on what IAM would not permit."""
    permissions = check_writes(aws, resource, outcome.target, outcome.before, outcome.changes)
    aws.warnings.extend(permissions.unknown)
    if permissions.refused:
        raise Refused(f"{resource.kind} {outcome.target.name}: {'; '.join(permissions.refused)}")
    return replace(outcome, warnings=(*outcome.warnings, *permissions.unknown))


def check_writes(
    aws: ReadWriteClient, resource: Resource, target: Target, before: Values, changes: Sequence[Change]
) -> Permissions:
    """Asks IAM for the actions of the changes that make requests, on the resource, as the caller."""
    found = Permissions()
    ways = [way for change in changes for call in change.calls if (way := _ways(call))]
    if not ways:
        return found
    if any(call.params.get("SSESpecification", {}).get("KMSMasterKeyId") for each in changes for call in each.calls):
        found.unknown.append(
            f"Whether the KMS key of {resource.kind} {target.name} may be used for it is unknown: the policy of the "
            "key decides, which IAM does not simulate"
        )
    actions = sorted({action for way in ways for alternative in way for action in alternative})
    try:
        principal, source = _principal(aws, target)
        decisions = _decisions(aws, source, principal, target, actions)
        doubts = {
            action: _doubt(aws, resource, target, before, decision)
            for action, decision in decisions.items()
            if decision.kind != ALLOWED
        }
        _judge(found, ways, doubts, decisions, (principal, target.arn))
    except _Unknown as reason:
        found.unknown.append(
            f"Whether these credentials may do {', '.join(actions)} on {target.arn} is unknown: {reason}"
        )
    return found


def _ways(call: Call) -> tuple[frozenset[str], ...]:
    """The sets of actions that each suffice for a call; keys have policies of their own."""
    further = (action for action in companions(call) if not action.startswith("kms:"))
    ways = [frozenset((iam_action(call), *further))]
    if call.instead:
        rest = {"create_bucket": ("s3:PutBucketTagging",), "create_table": ("dynamodb:TagResource",)}
        ways.append(frozenset((*map(iam_action, call.instead), *rest.get(call.operation, ()))))
    return tuple(ways)


def _principal(aws: ReadWriteClient, target: Target) -> tuple[str, str]:
    """The ARN of the caller, and that of the user or role whose policies it has."""
    (answer,) = _read(aws, IDENTITY)
    if isinstance(answer, Failure):
        raise _Unknown(_of(answer))
    arn = str(answer.get("Arn") or "")
    found = _CALLER.fullmatch(arn)
    if not found:
        raise _Unknown(f"{shortened(arn) or 'the caller'} is not a user or role of IAM")
    partition, service, account, kind, name = found.groups()
    if target.owner and target.owner != account:
        raise _Unknown(
            f"{target.name} is of the account {target.owner}, whose policies decide, too, and {arn} is of {account}"
        )
    if kind == "root":
        raise _Unknown(f"{arn} is the root user, which IAM does not simulate")
    if kind == "federated-user" or not name:
        raise _Unknown(f"{arn} is a federated user, which IAM does not simulate")
    if kind == "assumed-role":
        return arn, _role(aws, partition, account, name.partition("/")[0])
    if service != "iam":
        raise _Unknown(f"{arn} is not a user or role of IAM")
    return arn, arn


def _role(aws: ReadWriteClient, partition: str, account: str, name: str) -> str:
    """The ARN of a role, whose path no session says. Without permission to look, the path is taken for empty.

    Of an account, no two roles have one name: of another path, IAM does not know it.
    """
    (answer,) = _read(aws, Call("iam", "get_role", {"RoleName": name}))
    if isinstance(answer, Failure):
        if answer.code in DENIED:
            return f"arn:{partition}:iam::{account}:role/{name}"
        raise _Unknown(_of(answer))
    arn = (answer.get("Role") or {}).get("Arn")
    if not arn:
        raise _Unknown("IAM did not answer with the role")
    return str(arn)


@dataclass(frozen=True)
class _Decision:
    """What IAM decided on an action."""

    kind: str
    #: Keys of conditions whose values nobody gave.
    missing: tuple[str, ...] = ()
    #: What denies it, besides policies of the principal.
    above: str = ""

    @property
    def reason(self) -> str:
        by = self.above or ("a policy" if self.kind == EXPLICIT else "")
        return f"{by} denies it ({self.kind})" if by else f"no policy allows it ({self.kind})"


def _decisions(
    aws: ReadWriteClient, source: str, principal: str, target: Target, actions: Sequence[str]
) -> dict[str, _Decision]:
    account = principal.split(":")[4]
    context = {
        "aws:PrincipalAccount": ("string", account),
        "aws:PrincipalArn": ("string", source),
        "aws:RequestedRegion": ("string", target.region),
        "aws:ResourceAccount": ("string", account),
        "aws:SecureTransport": ("boolean", "false" if target.http_endpoint else "true"),
    }
    asked = {
        "PolicySourceArn": source,
        "ActionNames": list(actions),
        "ResourceArns": [target.arn],
        "ContextEntries": [
            {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": [value]}
            for name, (kind, value) in context.items()
        ],
    }
    (answer,) = _read(aws, Call("iam", "simulate_principal_policy", asked, paged=True))
    if isinstance(answer, Failure):
        if answer.code == "NoSuchEntity":
            raise _Unknown(
                f"IAM does not know {source}: if the role has a path, these credentials need iam:GetRole to see it"
            )
        raise _Unknown(_of(answer))
    found = {str(each.get("EvalActionName")): _decision(each, target.arn) for each in _results(answer)}
    unanswered = [action for action in actions if action not in found]
    if unanswered:
        raise _Unknown(f"IAM did not answer for {', '.join(unanswered)}")
    return {action: found[action] for action in actions}


def _results(answer: Answer) -> list[Mapping[str, Any]]:
    results = answer.get("EvaluationResults") if isinstance(answer, Mapping) else None
    return [each for each in results or () if isinstance(each, Mapping)]


def _decision(result: Mapping[str, Any], arn: str) -> _Decision:
    """The decision on the resource. That on the action is about all resources that were asked for."""
    specific = [each for each in result.get("ResourceSpecificResults") or () if each.get("EvalResourceName") == arn]
    parts: list[Mapping[str, Any]] = [result, *specific]
    kind = next((str(each["EvalResourceDecision"]) for each in specific if each.get("EvalResourceDecision")), None)
    missing = sorted({str(key) for part in parts for key in part.get("MissingContextValues") or ()})
    by_organization = any(
        (part.get("OrganizationsDecisionDetail") or {}).get("AllowedByOrganizations") is False for part in parts
    )
    by_boundary = any(
        (part.get("PermissionsBoundaryDecisionDetail") or {}).get("AllowedByPermissionsBoundary") is False
        for part in parts
    )
    above = "a service control policy" if by_organization else "the permissions boundary" if by_boundary else ""
    return _Decision(kind or str(result.get("EvalDecision")), tuple(missing), above)


def _judge(
    found: Permissions,
    ways: Sequence[tuple[frozenset[str], ...]],
    doubts: Mapping[str, str | None],
    decisions: Mapping[str, _Decision],
    about: tuple[str, str],
) -> None:
    """Tells what stands against the calls: a refusal only if all alternatives of one are denied for certain."""
    refused: dict[str, set[str]] = defaultdict(set)
    unknown: dict[str, set[str]] = defaultdict(set)
    for way in ways:
        denied = [alternative & doubts.keys() for alternative in way]
        if not all(denied):
            continue
        possible = next((each for each in denied if all(doubts[action] for action in each)), None)
        for action in denied[0] if possible is None else possible:
            if doubt := doubts[action]:
                unknown[doubt].add(action)
            else:
                refused[decisions[action].reason].add(action)
    principal, arn = about
    for reason, actions in refused.items():
        named = ", ".join(sorted(actions))
        found.refused.append(f"{principal} may not do {named} on {arn}: {reason}. Permit it, or {OPT_OUT}")
    for reason, actions in unknown.items():
        found.unknown.append(f"Whether {principal} may do {', '.join(sorted(actions))} on {arn} is unknown: {reason}")


def _doubt(aws: ReadWriteClient, resource: Resource, target: Target, before: Values, decision: _Decision) -> str | None:
    """Why a denial may be none: what IAM was not told decides."""
    if decision.kind not in (EXPLICIT, IMPLICIT):
        return f"IAM answers {shortened(decision.kind)}"
    if decision.missing:
        return f"it depends on {', '.join(decision.missing)}, which only a request has"
    if decision.kind == EXPLICIT or decision.above or before.get(EXISTENCE) is None:
        return None
    if _has_own_policy(aws, resource, target, before):
        return f"no policy of its own allows it, but that of the {resource.kind} may"
    return None


def _has_own_policy(aws: ReadWriteClient, resource: Resource, target: Target, before: Values) -> bool:
    """Whether the resource has, or may have, a policy that allows something."""
    if resource.kind == "bucket":
        policy = before.get("policy")
        return policy is None or any(each.get("Effect") == "Allow" for each in policy["statements"])
    (answer,) = _read(aws, Call("dynamodb", "get_resource_policy", {"ResourceArn": target.arn}))
    return not (isinstance(answer, Failure) and answer.code in NO_TABLE_POLICY)


def _read(aws: ReadWriteClient, call: Call) -> list[Answer]:
    """The answer to a question, or why there is none: whatever goes wrong here says nothing about the backend."""
    try:
        return aws.read([call])
    except TfstateError as error:
        raise _Unknown(shortened(error)) from error


def _of(failure: Failure) -> str:
    return f"{failure.call}: {failure.code}; {failure.advice}"

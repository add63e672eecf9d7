# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The accounts of an AWS organization, with their organizational units and tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._aws.client import Aws
from .._core.model import IDENTITY, Call, Failure, Invalid, Target, TfstateError
from .._core.printable import printable
from .._core.suggestions import suggestion_for
from .._engine.observer import not_theirs

#: Far more than AWS lets an organization have. Source:
#: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
MOST_UNITS, DEEPEST = 5000, 10
#: The one state of an account in which it can be worked in.
ACTIVE = "ACTIVE"
WHO_MAY = "the management account and delegated administrators may read it"
#: What a name of AWS may have that a template, or a path of units, would read.
UNSAFE = re.compile(r"[^\w +=.:@-]")


@dataclass(frozen=True)
class OrganizationAccount:
    """An account as Organizations knows it."""

    id: str
    name: str
    state: str
    #: Its organizational units, from the top, joined by slashes; empty at the root.
    ou: str
    tags: Mapping[str, str] = field(default_factory=dict)


def read_organization(aws: Aws, tags: Sequence[str] = (), units: Sequence[str] = ()) -> tuple[OrganizationAccount, ...]:
    """The accounts in these units, or all, with these tags. Raises TfstateError unless all of them are known."""
    if aws.connection.account_id:
        (identity,) = aws.read([IDENTITY])
        if isinstance(identity, Failure):
            raise TfstateError(str(identity))
        if other := not_theirs(Target("", aws.connection.region, owner=aws.connection.account_id), identity):
            raise Invalid(other)
    listed, roots = _answers(
        aws, [Call("organizations", "list_accounts", paged=True), Call("organizations", "list_roots", paged=True)]
    )
    places, known_units = _places(aws, [root["Id"] for root in roots["Roots"]])
    unknown = [unit for unit in units if unit not in known_units]
    if unknown:
        near = suggestion_for(unknown, known_units)
        raise Invalid(f"the organization has no unit {', '.join(map(printable, unknown))}{near}")
    if {each["Id"] for each in listed["Accounts"]} != {*places}:
        raise TfstateError("accounts were created, moved or closed while the organization was read: run again")
    accounts = [_account(each, places[each["Id"]]) for each in listed["Accounts"]]
    wanted = [each for each in accounts if not units or any(f"{each.ou}/".startswith(f"{unit}/") for unit in units)]
    return tuple(_with_tags(aws, wanted, tags))


def _places(aws: Aws, roots: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """The path of units of each account, by its id, and all paths."""
    level, known = [(root, "") for root in roots], {""}
    places: dict[str, str] = {}
    for _depth in range(DEEPEST):
        if not level:
            return places, known
        parents = [{"ParentId": parent} for parent, _path in level]
        calls = [Call("organizations", "list_accounts_for_parent", parent, paged=True) for parent in parents]
        calls += [Call("organizations", "list_organizational_units_for_parent", each, paged=True) for each in parents]
        answers = _answers(aws, calls)
        below = []
        for (_parent, path), accounts, units in zip(level, answers[: len(level)], answers[len(level) :], strict=True):
            places.update({each["Id"]: path for each in accounts["Accounts"]})
            below += [
                (each["Id"], f"{path}/{_safe(each['Name'])}".lstrip("/")) for each in units["OrganizationalUnits"]
            ]
        level = below
        known.update(path for _id, path in level)
        if len(known) > MOST_UNITS:
            break
    raise TfstateError(f"the organization has more than {MOST_UNITS} units, or more than {DEEPEST} levels of them")


def _account(listed: Mapping[str, Any], ou: str) -> OrganizationAccount:
    # AWS retired Status in September 2026. Source: the API reference of ListAccounts.
    state = listed.get("State") or listed.get("Status")
    if not state:
        raise TfstateError(
            f"the state of account {listed['Id']} is not known: update botocore, which is too old for it"
        )
    return OrganizationAccount(listed["Id"], str(listed.get("Name", "")), str(state), ou)


def _with_tags(
    aws: Aws, accounts: Sequence[OrganizationAccount], wanted: Sequence[str]
) -> Iterable[OrganizationAccount]:
    """A request for each account that is active, and none if no tag is wanted."""
    active = [each for each in accounts if each.state == ACTIVE and wanted]
    calls = [Call("organizations", "list_tags_for_resource", {"ResourceId": each.id}, paged=True) for each in active]
    answers = _answers(aws, calls)
    tags = {
        account.id: {_safe(tag["Key"]): _safe(tag["Value"]) for tag in answer.get("Tags", ()) if tag["Key"] in wanted}
        for account, answer in zip(active, answers, strict=True)
    }
    for each in accounts:
        yield OrganizationAccount(each.id, each.name, each.state, each.ou, tags.get(each.id, {}))


def _safe(name: str) -> str:
    return UNSAFE.sub("_", name)


def _answers(aws: Aws, calls: Sequence[Call]) -> list[Any]:
    answers = aws.read(calls) if calls else []
    for answer in answers:
        if isinstance(answer, Failure):
            raise TfstateError(f"the organization cannot be read: {answer}; {WHO_MAY}")
    return answers

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory file of a fleet, and its syntax errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import REGIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import suggestion_for

from .places import Problem

ACCOUNT_PLACEHOLDERS = ("account", "account_id", "partition")
HOST_PLACEHOLDERS = (*ACCOUNT_PLACEHOLDERS, "region")
#: What only AWS Organizations knows of an account: its path of organizational units, and its tags.
OF_ORGANIZATION = ("ou", "tags")
ACCOUNT_KEYS = (
    *("name", "id", "role", "external_id", "profile", "regions", "exclude_regions", "groups", "variables"),
    *OF_ORGANIZATION,
)

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ACCOUNT_ID = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
HOST_PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)?")
GROUP = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: Groups that have a meaning of their own.
RESERVED_GROUPS = re.compile(r"(all|ungrouped|fleet_.*)")
#: What an organizational unit or a tag must not have: Ansible, and then Jinja, would read it.
TEMPLATE = re.compile(r"[{}]")
VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)

CONNECTION, REGION_NAME, ACCOUNT = "ansible_connection", "terraform_backend_region", "terraform_backend_account_id"
BUCKET_NAME, TABLE_NAME = "terraform_backend_bucket_name", "terraform_backend_table_name"
ROLE_TO_ASSUME, EXTERNAL_ID = "terraform_backend_assume_role_arn", "terraform_backend_assume_role_external_id"
PROFILE = "terraform_backend_profile"
RESERVED = (CONNECTION, REGION_NAME, ACCOUNT, BUCKET_NAME, TABLE_NAME, ROLE_TO_ASSUME, EXTERNAL_ID, PROFILE)


@dataclass(frozen=True)
class Fleet:
    """The options of an inventory file."""

    accounts: Sequence[Any]
    bucket_name: str
    regions: Sequence[str] = ()
    exclude_regions: Sequence[str] = ()
    table_name: str | None = None
    assume_role: str | None = None
    host_prefix: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    compose: Mapping[str, Any] = field(default_factory=dict)
    #: The regions that there are; None if the fleet is in another store than AWS, with regions of its own.
    known_regions: Collection[str] | None = REGIONS


def malformed(fleet: Fleet) -> Iterator[Problem]:
    """Values with a wrong type or form."""
    if not isinstance(fleet.accounts, list | tuple):
        yield Problem(f"accounts is {kind_of(fleet.accounts)}: write a list", "accounts")
        return
    for place, entry in enumerate(fleet.accounts):
        for problem in _malformed_account(f"entry {place + 1} of accounts", entry, fleet.known_regions):
            yield problem.below("accounts", place)
    yield from _malformed_pattern("bucket_name", fleet.bucket_name, HOST_PLACEHOLDERS, "bucket_name")
    yield from _malformed_pattern("table_name", fleet.table_name, HOST_PLACEHOLDERS, "table_name")
    yield from _malformed_pattern("assume_role", fleet.assume_role, ACCOUNT_PLACEHOLDERS, "assume_role")
    if not HOST_PREFIX.fullmatch(fleet.host_prefix or ""):
        yield Problem(
            f"host_prefix is {fleet.host_prefix!r}; use letters, digits, '_', '-' and '.', a letter or digit first",
            "host_prefix",
        )
    for option in ("regions", "exclude_regions"):
        yield from _malformed_regions(option, getattr(fleet, option), fleet.known_regions, option)
    yield from _malformed_variables("variables", fleet.variables, "variables")
    yield from _malformed_variables("compose", fleet.compose, "compose")


def _malformed_variables(where: str, variables: Mapping[str, Any], *place: str) -> Iterator[Problem]:
    for name in variables:
        if not VARIABLE.fullmatch(str(name)):
            yield Problem(f"{where}: {name!r} is not a valid variable name", *place, name)
        if name in RESERVED:
            yield Problem(f"{where}: {name} is set for each host already; put exceptions into host_vars", *place, name)


def _malformed_account(place: str, entry: Any, known_regions: Collection[str] | None) -> Iterator[Problem]:
    if not isinstance(entry, Mapping):
        yield Problem(f"{place} is {kind_of(entry)}: write a dictionary with name and id")
        return
    name = entry.get("name")
    where = f"{place}, {name}"
    for key in entry:
        if key not in ACCOUNT_KEYS:
            near = suggestion_for([str(key)], ACCOUNT_KEYS)
            yield Problem(f"{where}: {key} not known{near}; known are {', '.join(ACCOUNT_KEYS)}", key)
    if not isinstance(name, str) or not ACCOUNT_NAME.fullmatch(name):
        yield Problem(
            f"{place}: name is {name!r}; use letters, digits, '_' and '-', in quotes if it is a number", "name"
        )
    if not ACCOUNT_ID.fullmatch(str(entry.get("id"))):
        yield Problem(f"{where}: id is {entry.get('id')!r}; an AWS account has 12 digits (quote it in YAML)", "id")
    for key in ("regions", "exclude_regions"):
        yield from _malformed_regions(f"{where}: {key}", entry.get(key), known_regions, key)
    for key in ("role", "external_id", "profile", "ou"):
        if not isinstance(entry.get(key), str | None):
            yield Problem(f"{where}: {key} is not a string but {kind_of(entry[key])}; write a string", key)
    yield from _malformed_pattern(f"{where}: role", entry.get("role"), ACCOUNT_PLACEHOLDERS, "role")
    yield from _malformed_labels(where, entry)


def _malformed_labels(where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Groups and variables of an account, and what Organizations knows of it."""
    for key in ("variables", "tags"):
        if not isinstance(entry.get(key), Mapping | None):
            yield Problem(f"{where}: {key} is {kind_of(entry[key])}; write a dictionary", key)
    if isinstance(entry.get("variables"), Mapping):
        yield from _malformed_variables(f"{where}: variables", entry["variables"], "variables")
    yield from _malformed_groups(where, entry.get("groups"))
    yield from _malformed_tags(where, entry.get("tags"))
    for key in ("external_id", "profile", "ou"):
        if TEMPLATE.search(str(entry.get(key))):
            yield Problem(f"{where}: {key} has a brace, which templates have: leave it out", key)


def _malformed_groups(where: str, groups: Any) -> Iterator[Problem]:
    if not isinstance(groups, list | tuple | None):
        yield Problem(f"{where}: groups is {groups!r}; write a list", "groups")
        return
    for group in groups or ():
        if not isinstance(group, str) or not GROUP.fullmatch(group):
            yield Problem(f"{where}: the group {group!r} is not a valid name; use letters, digits and '_'", "groups")
        elif RESERVED_GROUPS.fullmatch(group):
            yield Problem(f"{where}: the group {group} has a meaning of its own; use another name", "groups")


def _malformed_tags(where: str, tags: Any) -> Iterator[Problem]:
    for tag, value in tags.items() if isinstance(tags, Mapping) else ():
        if not isinstance(tag, str) or not isinstance(value, str):
            yield Problem(f"{where}: the tag {tag!r} is not a string; quote its name and its value", "tags", tag)
        elif TEMPLATE.search(tag + value):
            yield Problem(f"{where}: tags has a brace, which templates have: leave it out", "tags", tag)


def kind_of(value: Any) -> str:
    """The type of a value of YAML, whose class Ansible may have made."""
    kinds: tuple[tuple[str, Any], ...] = (("str", str), ("dict", Mapping), ("list", (list, tuple)))
    return next((name for name, kind in kinds if isinstance(value, kind)), type(value).__name__)


def _malformed_regions(where: str, regions: Any, known: Collection[str] | None, *place: str) -> Iterator[Problem]:
    if not isinstance(regions, list | tuple | None):
        yield Problem(f"{where} is {regions!r}; write a list", *place)
        return
    names = list(map(str, regions or ()))
    for region, count in Counter(names).items():
        at = (*place, names.index(region))
        if not REGION.fullmatch(region):
            near = suggestion_for([region], REGIONS) if known is not None else ""
            yield Problem(f"{where}: {region!r} is no AWS region, such as eu-west-1{near}", *at)
        elif known is not None and region not in known:
            near = suggestion_for([region], known)
            yield Problem(f"{where}: {region} is no AWS region{near}; if it is new, update botocore", *at)
        if count > 1:
            yield Problem(f"{where}: {region} is there {count} times", *at)


def _malformed_pattern(where: str, pattern: Any, placeholders: Sequence[str], *place: str) -> Iterator[Problem]:
    if not isinstance(pattern, str):
        return
    for name in re.findall(r"{([^{}]*)}", pattern):
        if name not in placeholders:
            known = ", ".join(f"{{{each}}}" for each in placeholders)
            near = suggestion_for([name], placeholders)
            yield Problem(f"{where}: {pattern!r} has {{{name}}}{near}; known are {known}", *place)
    if re.search(r"[{}]", re.sub(r"{[^{}]*}", "", pattern)):
        yield Problem(f"{where}: {pattern!r} has a brace too many", *place)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts of a fleet, one for each account and region, with their groups and variables; or the problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Resource, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import partition_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from .inventory_file import (
    ACCOUNT,
    BUCKET_NAME,
    CONNECTION,
    EXTERNAL_ID,
    PROFILE,
    REGION_NAME,
    ROLE_TO_ASSUME,
    TABLE_NAME,
    Fleet,
    malformed,
)
from .places import Problem, refuse

#: The states of a region in which it can be used. Source: https://docs.aws.amazon.com/accounts/latest/reference/API_Region.html
ENABLED = {"ENABLED", "ENABLED_BY_DEFAULT"}

ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]+", re.ASCII)


@dataclass(frozen=True)
class Account:
    """An account, its regions, and the credentials for it."""

    name: str
    id: str
    regions: tuple[str, ...]
    role_arn: str | None = None
    external_id: str | None = None
    profile: str | None = None
    #: Groups that its entry names, and those of its organizational units and tags.
    further_groups: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    ou: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"account {self.name} ({self.id})"

    @property
    def home_region(self) -> str:
        return partition_of(self.regions[0]).home

    @property
    def group(self) -> str:
        return f"account_{_group_name(self.name)}"


@dataclass(frozen=True)
class Host:
    """One backend of the fleet."""

    account: Account
    region: str
    variables: Mapping[str, Any]
    prefix: str = ""

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.account.name}.{self.region}"

    @property
    def groups(self) -> tuple[str, ...]:
        return _group_name(self.region), self.account.group, *self.account.further_groups

    @property
    def facts(self) -> dict[str, Any]:
        """What expressions of the inventory file know, beside the variables."""
        account = self.account
        return {
            "account": account.name,
            "account_id": account.id,
            "partition": partition_of(self.region).name,
            "region": self.region,
            "ou": account.ou or "",
            "tags": dict(account.tags),
        }


def accounts_of(fleet: Fleet) -> tuple[Account, ...]:
    """The accounts, each with its regions. Raises Invalid."""
    if not fleet.accounts:
        refuse([Problem("accounts is empty: name at least one account", "accounts")])
    refuse(malformed(fleet))
    accounts = tuple(_account(fleet, entry) for entry in fleet.accounts)
    refuse(_account_problems(fleet, accounts))
    accounts = tuple(replace(each, role_arn=_role_arn(fleet, entry, each)) for entry, each in _pairs(fleet, accounts))
    refuse(
        Problem(problem, "assume_role") if entry.get("role") is None else Problem(problem, "accounts", place, "role")
        for place, (entry, account) in enumerate(_pairs(fleet, accounts))
        for problem in _role_problems(account)
    )
    return accounts


def enabled(accounts: Iterable[Account], states: Mapping[str, Mapping[str, str]]) -> tuple[Account, ...]:
    """The accounts with only the enabled regions; `states`: account id -> region -> state. Raises Invalid."""
    accounts = tuple(accounts)
    refuse(
        f"{account}: AWS knows no region {region} there"
        for account in accounts
        for region in account.regions
        if region not in states[account.id]
    )
    left = tuple(
        replace(account, regions=tuple(each for each in account.regions if states[account.id][each] in ENABLED))
        for account in accounts
    )
    refuse(f"{account}: none of its regions is enabled" for account in left if not account.regions)
    return left


def hosts_of(fleet: Fleet, accounts: Iterable[Account]) -> tuple[Host, ...]:
    """A host for each account and region. Raises Invalid."""
    hosts = tuple(_host(fleet, account, region) for account in accounts for region in account.regions)
    refuse(problem for host in hosts for problem in _name_problems(host))
    refuse(_shared_buckets(hosts))
    return hosts


def _account(fleet: Fleet, entry: Mapping[str, Any]) -> Account:
    own = entry.get("regions")
    excluded = {*fleet.exclude_regions, *(entry.get("exclude_regions") or ())}
    regions = fleet.regions if own is None else own
    return Account(
        name=entry["name"],
        id=str(entry["id"]),
        regions=tuple(each for each in regions if each not in excluded),
        external_id=entry.get("external_id") or None,
        profile=entry.get("profile") or None,
        further_groups=tuple(dict.fromkeys([*(entry.get("groups") or ()), *_groups_of_organization(entry)])),
        variables=entry.get("variables") or {},
        ou=entry.get("ou") or None,
        tags=entry.get("tags") or {},
    )


def _groups_of_organization(entry: Mapping[str, Any]) -> Iterator[str]:
    """`ou: Workloads/Prod` -> `ou_workloads`, `ou_workloads_prod`; `tags: {team: data}` -> `tag_team_data`."""
    units = [each for each in (entry.get("ou") or "").split("/") if each]
    for count in range(1, len(units) + 1):
        yield _safe_group("ou", *units[:count])
    for tag, value in (entry.get("tags") or {}).items():
        yield _safe_group("tag", tag, value)


def _safe_group(*words: str) -> str:
    return "_".join(re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") for word in words if word)


def _account_problems(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[Problem]:
    """Duplicate accounts, and problems of their regions and groups."""
    for what in ("id", "group"):
        values = [getattr(account, what) for account in accounts]
        for value, count in Counter(values).items():
            if count > 1:
                names = ", ".join(account.name for account in accounts if getattr(account, what) == value)
                last = len(values) - 1 - values[::-1].index(value)
                yield Problem(f"the accounts {names} share the {what} {value}", "accounts", last)
    yield from _exclusion_problems(fleet, accounts)
    for place, account in enumerate(accounts):
        partitions = sorted({partition_of(region).name for region in account.regions})
        at = ("accounts", place, "regions")
        if not account.regions:
            yield Problem(f"{account}: no region is left; name some in regions, or leave the account out", *at)
        if len(partitions) > 1:
            lie = f"its regions lie in {' and '.join(partitions)}"
            yield Problem(f"{account}: {lie}; an account lies in one partition", *at)
    yield from _group_problems(fleet, accounts)


def _group_problems(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[Problem]:
    """A group that would stand for two things: `group_vars` for one would be those of the other."""
    meanings: dict[str, str] = {}
    for account in accounts:
        meanings[account.group] = f"the account {account.name}"
        meanings.update({_group_name(region): f"the region {region}" for region in account.regions})
    for place, (entry, account) in enumerate(_pairs(fleet, accounts)):
        units = [each for each in (account.ou or "").split("/") if each]
        own = {f"the organizational unit {'/'.join(units[:n])}": units[:n] for n in range(1, len(units) + 1)}
        found = [(_safe_group("ou", *names), meaning, "ou") for meaning, names in own.items()]
        found += [(_safe_group("tag", *tag), f"the tag {'='.join(tag)}", "tags") for tag in account.tags.items()]
        found += [(group, f"the group {group} in groups", "groups") for group in entry.get("groups") or ()]
        for group, meaning, key in found:
            other = meanings.setdefault(group, meaning)
            if other != meaning:
                yield Problem(
                    f"{account}: {meaning} has the group {group}, which is that of {other}", "accounts", place, key
                )


def _exclusion_problems(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[Problem]:
    """An exclusion that excludes nothing is probably mistyped."""
    everywhere = set(fleet.regions)
    for place, (entry, account) in enumerate(_pairs(fleet, accounts)):
        wanted = set(fleet.regions if entry.get("regions") is None else entry["regions"])
        everywhere |= wanted
        for region in entry.get("exclude_regions") or ():
            if region not in wanted:
                at = ("accounts", place, "exclude_regions")
                yield Problem(f"{account}: exclude_regions names {region}, which is not among its regions", *at)
    for region in fleet.exclude_regions:
        if region not in everywhere:
            yield Problem(f"exclude_regions names {region}, which no account has", "exclude_regions")


def _pairs(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[tuple[Mapping[str, Any], Account]]:
    return zip(fleet.accounts, accounts, strict=True)


def _role_arn(fleet: Fleet, entry: Mapping[str, Any], account: Account) -> str | None:
    """The role's ARN, from its ARN or its name. An empty name means no role, as for the account of the credentials."""
    own = entry.get("role")
    pattern = fleet.assume_role if own is None else own
    if not pattern:
        return None
    role = _expand(pattern, account, account.regions[0])
    if role.startswith("arn:"):
        return role
    return f"arn:{partition_of(account.regions[0]).name}:iam::{account.id}:role/{role.removeprefix('/')}"


def _role_problems(account: Account) -> Iterator[str]:
    if account.role_arn is None:
        return
    arn = ROLE_ARN.fullmatch(account.role_arn)
    if arn is None:
        yield f"{account}: {account.role_arn!r} is no ARN of a role; give the role's name or its ARN"
    elif arn[1] != account.id:
        yield f"{account}: the role {account.role_arn} lies in another account"


def _host(fleet: Fleet, account: Account, region: str) -> Host:
    variables = {
        CONNECTION: "local",
        REGION_NAME: region,
        ACCOUNT: account.id,
        BUCKET_NAME: _expand(fleet.bucket_name, account, region),
        TABLE_NAME: _expand(fleet.table_name, account, region) if fleet.table_name else None,
        ROLE_TO_ASSUME: account.role_arn,
        EXTERNAL_ID: account.external_id,
        PROFILE: account.profile,
    }
    given = {name: value for name, value in variables.items() if value is not None}
    return Host(account, region, given, fleet.host_prefix or "")


def _expand(pattern: str, account: Account, region: str) -> str:
    partition = partition_of(region).name
    return pattern.format(account=account.name, account_id=account.id, partition=partition, region=region)


def _name_problems(host: Host) -> Iterator[Problem]:
    kinds: tuple[tuple[str, str, Resource], ...] = (
        (BUCKET_NAME, "bucket_name", BUCKET),
        (TABLE_NAME, "table_name", TABLE),
    )
    for variable, option, resource in kinds:
        if variable in host.variables:
            target = Target(host.variables[variable], host.region)
            for problem in resource.existence.problems({}, target):
                yield Problem(f"{host.name}: {problem}", option)


def _shared_buckets(hosts: tuple[Host, ...]) -> Iterator[Problem]:
    """Bucket names are unique in a partition, across accounts and regions."""
    owners: dict[tuple[str, str], str] = {}
    for host in hosts:
        bucket = host.variables[BUCKET_NAME]
        owner = owners.setdefault((partition_of(host.region).name, bucket), host.name)
        if owner != host.name:
            shared = f"{host.name}: the bucket {bucket} is that of {owner}"
            yield Problem(f"{shared}; put {{account_id}} and {{region}} into it", "bucket_name")


def _group_name(name: str) -> str:
    """Group names must not contain a hyphen."""
    return name.replace("-", "_")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts of a fleet, one for each account and region, with their groups and variables; or the problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, Resource, Target
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

#: The states of a region in which it can be used. Source: https://docs.aws.amazon.com/accounts/latest/reference/API_Region.html
ENABLED = {"ENABLED", "ENABLED_BY_DEFAULT"}
MAX_PROBLEMS = 10

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

    @property
    def name(self) -> str:
        return f"{self.account.name}.{self.region}"

    @property
    def groups(self) -> tuple[str, str]:
        return _group_name(self.region), self.account.group


def accounts_of(fleet: Fleet) -> tuple[Account, ...]:
    """The accounts, each with its regions. Raises Invalid."""
    if not fleet.accounts:
        raise Invalid("accounts is empty: name at least one account")
    refuse(malformed(fleet))
    accounts = tuple(_account(fleet, entry) for entry in fleet.accounts)
    refuse(_account_problems(fleet, accounts))
    accounts = tuple(replace(each, role_arn=_role_arn(fleet, entry, each)) for entry, each in _pairs(fleet, accounts))
    refuse(problem for account in accounts for problem in _role_problems(account))
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


def refuse(problems: Iterable[str]) -> None:
    """Raises Invalid if there is a problem."""
    listed = list(problems)
    if listed:
        more = [f"and {len(listed) - MAX_PROBLEMS} more"] if len(listed) > MAX_PROBLEMS else []
        raise Invalid("; ".join(listed[:MAX_PROBLEMS] + more))


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
    )


def _account_problems(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[str]:
    """Duplicate accounts, and problems of their regions."""
    for what in ("id", "group"):
        for value, count in Counter(getattr(account, what) for account in accounts).items():
            if count > 1:
                names = ", ".join(account.name for account in accounts if getattr(account, what) == value)
                yield f"the accounts {names} share the {what} {value}"
    yield from _exclusion_problems(fleet, accounts)
    for account in accounts:
        partitions = sorted({partition_of(region).name for region in account.regions})
        if not account.regions:
            yield f"{account}: no region is left; name some in regions, or leave the account out"
        if len(partitions) > 1:
            yield f"{account}: its regions lie in {' and '.join(partitions)}; an account lies in one partition"


def _exclusion_problems(fleet: Fleet, accounts: tuple[Account, ...]) -> Iterator[str]:
    """An exclusion that excludes nothing is probably mistyped."""
    everywhere = set(fleet.regions)
    for entry, account in _pairs(fleet, accounts):
        wanted = set(fleet.regions if entry.get("regions") is None else entry["regions"])
        everywhere |= wanted
        for region in entry.get("exclude_regions") or ():
            if region not in wanted:
                yield f"{account}: exclude_regions names {region}, which is not among its regions"
    for region in fleet.exclude_regions:
        if region not in everywhere:
            yield f"exclude_regions names {region}, which no account has"


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
    return Host(account, region, {name: value for name, value in variables.items() if value is not None})


def _expand(pattern: str, account: Account, region: str) -> str:
    partition = partition_of(region).name
    return pattern.format(account=account.name, account_id=account.id, partition=partition, region=region)


def _name_problems(host: Host) -> Iterator[str]:
    kinds: tuple[tuple[str, Resource], ...] = ((BUCKET_NAME, BUCKET), (TABLE_NAME, TABLE))
    for variable, resource in kinds:
        if variable in host.variables:
            target = Target(host.variables[variable], host.region)
            for problem in resource.existence.problems({}, target):
                yield f"{host.name}: {problem}"


def _shared_buckets(hosts: tuple[Host, ...]) -> Iterator[str]:
    """Bucket names are unique in a partition, across accounts and regions."""
    owners: dict[tuple[str, str], str] = {}
    for host in hosts:
        bucket = host.variables[BUCKET_NAME]
        owner = owners.setdefault((partition_of(host.region).name, bucket), host.name)
        if owner != host.name:
            yield f"{host.name}: the bucket {bucket} is that of {owner}; put {{account_id}} and {{region}} into it"


def _group_name(name: str) -> str:
    """Group names must not contain a hyphen."""
    return name.replace("-", "_")

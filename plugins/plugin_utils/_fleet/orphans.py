# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets and tables that are named like those of the inventory, and that no host of it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    IDENTITY,
    Answer,
    Call,
    Failure,
    Target,
    TfstateError,
    Unknown,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import REGIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

#: What names may have in place of the account and the region of their host.
ACCOUNT, REGION = "\0account\0", "\0region\0"
#: Tables that are looked for in one account; more is no fleet with a pattern.
MOST_TABLES = 2000
ADVICE = (
    "They may be in use, by another inventory or as Terraform manages them since a hand-over: ask their owners first. "
    "To look at one, add its account and region to an inventory and audit it. A name alone is no reason to delete it"
)

#: The answers to these calls in a region of an account. Raises TfstateError.
Read = Callable[[str, Sequence[Call]], Sequence[Answer]]


@dataclass(frozen=True)
class Backend:
    """What a host of the inventory names. Without a region in the inventory, the environment or a profile has it."""

    host: str
    region: str | None
    bucket: str
    table: str | None
    account: str | None = None


@dataclass(frozen=True)
class Orphan:
    """A bucket or a table that no host names."""

    kind: str
    name: str
    region: str | None
    account_id: str

    def to_result(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "region": self.region, "account_id": self.account_id}


@dataclass
class Found:
    """What an account has, and what of it could not be read."""

    account_id: str | None = None
    orphans: list[Orphan] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def patterns(names: Iterable[tuple[str, str | None, str | None]]) -> tuple[str, ...]:
    """The distinct patterns of names; `names`: name, region and account of each host."""
    found = {}
    for name, region, account in names:
        pattern = name.replace(region, REGION) if region else name
        found[pattern.replace(account, ACCOUNT) if account else pattern] = True
    return tuple(found)


def orphans_of(backends: Sequence[Backend], reached: Iterable[Backend], read: Read) -> Found:
    """What one account has that is named like a backend and that none names; `reached`: hosts that enter the account.

    The hosts of all accounts say which names there are: buckets are unique over accounts, and a pattern that one
    account has no more may be that of another.
    """
    regions = list(dict.fromkeys(each.region for each in reached if each.region))
    found = Found()
    try:
        (identity,) = read(regions[0], [IDENTITY])
        if isinstance(identity, Failure):
            raise TfstateError(str(identity))
        found.account_id = account = str(identity["Account"])
        declared = {each.account for each in reached if each.account} - {account}
        if declared:
            raise TfstateError(f"the credentials are of account {account}, not of {', '.join(sorted(declared))}")
        found.orphans += _buckets(backends, account, regions[0], read)
    except TfstateError as problem:
        found.unknown.append(str(problem))
    if found.account_id:
        _add_tables(found, backends, regions, read)
    return found


def _buckets(backends: Sequence[Backend], account: str, region: str, read: Read) -> list[Orphan]:
    """One listing, by what all names begin with."""
    wanted = [
        pattern.replace(ACCOUNT, account)
        for pattern in patterns((each.bucket, each.region, each.account) for each in backends)
    ]
    begin = _common_begin([each.partition(REGION)[0] for each in wanted])
    limits: dict[str, Any] = {"Prefix": begin, "MaxBuckets": 1000} if begin else {"MaxBuckets": 1000}
    (answer,) = read(region, [Call("s3", "list_buckets", limits, paged=True)])
    if isinstance(answer, Failure):
        raise TfstateError(str(answer))
    known = {each.bucket for each in backends}
    alike = re.compile("|".join(re.escape(each).replace(re.escape(REGION), _ANY_REGION) for each in wanted))
    return [
        Orphan("bucket", name, each.get("BucketRegion"), account)
        for each in answer["Buckets"]
        if (name := each["Name"]) not in known and alike.fullmatch(name)
    ]


def _common_begin(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((at for at, each in enumerate(first) if last[at : at + 1] != each), len(first))]


_ANY_REGION = f"(?:{'|'.join(REGIONS)})"


def _add_tables(found: Found, backends: Sequence[Backend], regions: Iterable[str], read: Read) -> None:
    """In the regions of the hosts, and those of buckets that were found."""
    account = str(found.account_id)
    named: dict[str | None, set[str]] = {}
    for each in backends:
        if each.table and each.account in (account, None):
            named.setdefault(each.region, set()).add(each.table)
    wanted = patterns((each.table, each.region, each.account) for each in backends if each.table)
    places = dict.fromkeys([*regions, *(each.region for each in found.orphans if each.region)])
    for region in places:
        names = {each.replace(ACCOUNT, account).replace(REGION, region) for each in wanted}
        missing = sorted(names - named.get(region, set()) - named.get(None, set()))
        if len(missing) > MOST_TABLES:
            found.unknown.append(f"{region}: more than {MOST_TABLES} names of tables, which have no pattern")
        elif missing:
            _add_tables_of(found, region, missing, read)


def _add_tables_of(found: Found, region: str, names: Sequence[str], read: Read) -> None:
    targets = [Target(name, region) for name in names]
    try:
        answers = read(region, [TABLE.existence.read(target) for target in targets])
    except TfstateError as problem:
        found.unknown.append(f"{region}: {problem}")
        return
    unknown = []
    for target, answer in zip(targets, answers, strict=True):
        value = TABLE.existence.value(answer, target)
        if isinstance(value, Unknown):
            unknown.append(str(answer))
        elif value is not None:
            found.orphans.append(Orphan("table", target.name, region, str(found.account_id)))
    found.unknown += [f"{region}: {each}" for each in dict.fromkeys(unknown)]


def text_of(orphans: Sequence[Mapping[str, Any]], unknown: Sequence[Mapping[str, Any]], looked: int) -> str:
    """For people."""
    lines = [
        f"{each['kind']} {each['name']} in {each['region'] or 'a region that S3 does not say'}, account "
        f"{each['account_id']}: no host names it"
        for each in orphans
    ]
    lines += [f"{each['account']}: unknown: {each['reason']}" for each in unknown]
    counted = f"{len(orphans)} that no host names, in {looked} account{'s' if looked != 1 else ''}"
    if orphans:
        lines.append(ADVICE)
    return "\n".join([*lines, f"{counted}; {len(unknown)} unknown" if unknown else counted])

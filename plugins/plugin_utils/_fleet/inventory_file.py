# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory file of a fleet, and its syntax errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import suggestion_for

ACCOUNT_PLACEHOLDERS = ("account", "account_id", "partition")
HOST_PLACEHOLDERS = (*ACCOUNT_PLACEHOLDERS, "region")
ACCOUNT_KEYS = ("name", "id", "role", "external_id", "profile", "regions", "exclude_regions")

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ACCOUNT_ID = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
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
    variables: Mapping[str, Any] = field(default_factory=dict)


def malformed(fleet: Fleet) -> Iterator[str]:
    """Values with a wrong type or form."""
    if not isinstance(fleet.accounts, list | tuple):
        yield f"accounts is {type(fleet.accounts).__name__}: write a list"
        return
    for place, entry in enumerate(fleet.accounts, start=1):
        yield from _malformed_account(f"entry {place} of accounts", entry)
    yield from _malformed_pattern("bucket_name", fleet.bucket_name, HOST_PLACEHOLDERS)
    yield from _malformed_pattern("table_name", fleet.table_name, HOST_PLACEHOLDERS)
    yield from _malformed_pattern("assume_role", fleet.assume_role, ACCOUNT_PLACEHOLDERS)
    for option in ("regions", "exclude_regions"):
        yield from _malformed_regions(option, getattr(fleet, option))
    for name in fleet.variables:
        if not VARIABLE.fullmatch(str(name)):
            yield f"variables: {name!r} is no name of a variable"
        if name in RESERVED:
            yield f"variables: {name} is set for each host already; put exceptions into host_vars"


def _malformed_account(place: str, entry: Any) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield f"{place} is {entry!r}: write a dictionary with name and id"
        return
    name = entry.get("name")
    where = f"{place}, {name}"
    unknown = [str(key) for key in entry if key not in ACCOUNT_KEYS]
    if unknown:
        near = suggestion_for(unknown, ACCOUNT_KEYS)
        yield f"{where}: {', '.join(unknown)} not known{near}; known are {', '.join(ACCOUNT_KEYS)}"
    if not isinstance(name, str) or not ACCOUNT_NAME.fullmatch(name):
        yield f"{place}: name is {name!r}; use letters, digits, '_' and '-', in quotes if it is a number"
    if not ACCOUNT_ID.fullmatch(str(entry.get("id"))):
        yield f"{where}: id is {entry.get('id')!r}; an AWS account has 12 digits (quote it in YAML)"
    for key in ("regions", "exclude_regions"):
        yield from _malformed_regions(f"{where}: {key}", entry.get(key))
    for key in ("role", "external_id", "profile"):
        if not isinstance(entry.get(key), str | None):
            yield f"{where}: {key} is no string but {type(entry[key]).__name__}; write a string"
    yield from _malformed_pattern(f"{where}: role", entry.get("role"), ACCOUNT_PLACEHOLDERS)


def _malformed_regions(where: str, regions: Any) -> Iterator[str]:
    if not isinstance(regions, list | tuple | None):
        yield f"{where} is {regions!r}; write a list"
        return
    for region, count in Counter(map(str, regions or ())).items():
        if not REGION.fullmatch(region):
            yield f"{where}: {region!r} is no AWS region, such as eu-west-1"
        if count > 1:
            yield f"{where}: {region} is there {count} times"


def _malformed_pattern(where: str, pattern: Any, placeholders: Sequence[str]) -> Iterator[str]:
    if not isinstance(pattern, str):
        return
    for name in re.findall(r"{([^{}]*)}", pattern):
        if name not in placeholders:
            known = ", ".join(f"{{{each}}}" for each in placeholders)
            yield f"{where}: {pattern!r} has {{{name}}}; known are {known}"
    if re.search(r"[{}]", re.sub(r"{[^{}]*}", "", pattern)):
        yield f"{where}: {pattern!r} has a brace too many"

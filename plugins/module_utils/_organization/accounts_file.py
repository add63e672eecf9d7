# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file of accounts that the fleet inventory reads: what Organizations knows goes in, what somebody wrote stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._core.model import Invalid
from .organization import OrganizationAccount

try:
    import yaml
except ImportError:
    YAML_MISSING = True
else:
    YAML_MISSING = False

HEADER = """\
# Accounts of the AWS organization, for a fleet inventory of cornerstone.tfstate. Review each change.
# playbooks/accounts.yml writes ou and tags, adds accounts, and removes those that the organization does not have or
# that are not active. It keeps the other keys of an account, but no comments.
---
"""
VAULT = "!vault"


class _Vaulted(str):
    """An encrypted text, as the file has it."""


class _Quoted(str):
    """An id: readers of YAML 1.2 would take 012345678901 without quotes for a number, and lose the zero."""


def merged(
    known: Sequence[Mapping[str, Any]], accounts: Iterable[OrganizationAccount]
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The entries of the file, and the names of those that were added and removed."""
    found = {account.id: account for account in accounts}
    kept = [_entry(entry["name"], found[entry["id"]], entry) for entry in known if entry["id"] in found]
    removed = [str(entry["name"]) for entry in known if entry["id"] not in found]
    new = sorted(found.keys() - {entry["id"] for entry in known}, key=lambda each: (found[each].name, each))
    # Not the name of one that is removed: files in host_vars and group_vars would be for another account.
    names = {_group(entry["name"]) for entry in known}
    added = []
    for each in new:
        name = _name(found[each], names)
        names.add(_group(name))
        added.append(_entry(name, found[each], {}))
    return [*kept, *added], [entry["name"] for entry in added], removed


def _entry(name: str, account: OrganizationAccount, entry: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in entry.items() if key not in ("name", "id", "ou", "tags")}
    own: dict[str, Any] = {"ou": account.ou, "tags": dict(sorted(account.tags.items()))}
    return {"name": name, "id": _Quoted(account.id), **{key: value for key, value in own.items() if value}, **rest}


def _name(account: OrganizationAccount, taken: Iterable[str]) -> str:
    """What hosts are called: the name of the account as far as a host may have it, with its id if another has that."""
    name = re.sub(r"[^a-z0-9]+", "-", account.name.lower()).strip("-") or "account"
    return f"{name}-{account.id}" if _group(name) in taken or name == "account" else name


def _group(name: str) -> str:
    return name.replace("-", "_")


def accounts_text(entries: Sequence[Mapping[str, Any]]) -> str:
    text: str = yaml.dump({"accounts": list(entries)}, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110)
    return HEADER + text


def parse_accounts(text: str, path: str) -> list[dict[str, Any]]:
    """The entries of a file that is there. Raises Invalid."""
    try:
        found = yaml.load(text, _loader())
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{where}: it is not valid YAML; correct it, or name another file") from None
    entries = found.get("accounts") if isinstance(found, dict) else None
    if not isinstance(entries, list) or set(found) != {"accounts"}:
        raise Invalid(f"{path} is not a file of accounts, which has one key, accounts, with a list: name another file")
    problems = [*_problems(entries)]
    if problems:
        raise Invalid(f"{path}: {'; '.join(problems)}; correct it first")
    return [{**entry, "id": str(entry["id"])} for entry in entries]


def _problems(entries: Sequence[Any]) -> Iterator[str]:
    ids = set()
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            yield f"entry {place} of accounts has no name"
        elif not re.fullmatch(r"[0-9]{12}", str(entry.get("id"))):
            yield f"entry {place} of accounts, {entry['name']}: id is not 12 digits in quotes"
        elif str(entry["id"]) in ids:
            yield f"entry {place} of accounts, {entry['name']}: its id is there twice"
        else:
            ids.add(str(entry["id"]))


def _loader() -> Any:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Takes what is encrypted as it is."""

    Loader.add_constructor(VAULT, lambda loader, node: _Vaulted(loader.construct_scalar(node)))
    return Loader


def _dumper() -> Any:
    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Writes each entry by itself, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_representer(_Vaulted, lambda dumper, text: dumper.represent_scalar(VAULT, str(text), style="|"))
    Dumper.add_representer(
        _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="'")
    )
    return Dumper

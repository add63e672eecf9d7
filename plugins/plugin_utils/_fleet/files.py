# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several files of fleets in one inventory, and the files of variables beside them: no two may set one thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import partition_of

from .hosts import Host
from .inventory_file import BUCKET_NAME, CONNECTION, REGION_NAME, RESERVED
from .places import refuse

#: The variable of all hosts that says which files of the inventory failed.
INVENTORY_PROBLEMS = "__terraform_backend_inventory_problems"


@dataclass
class FleetFiles:
    """What the files that were read before have made."""

    #: Host -> the file that made it.
    hosts: dict[str, str] = field(default_factory=dict)
    #: Partition and bucket -> the host that has it, and its file.
    buckets: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    #: Group -> the file that it stands for.
    groups: dict[str, str] = field(default_factory=dict)
    #: Group of an account -> its id, and the file that named it first.
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)

    def refuse_known(
        self, path: str, hosts: Iterable[Host], others: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Raises Invalid on hosts, buckets and groups of another file: Ansible would merge them without a word.

        `hosts` have what `host_vars` set. `others`: the variables of the hosts that are there already, by name.
        """
        refuse([*self._known_hosts(path, hosts, others or {}), *self._known_groups(path, hosts)])

    def _known_hosts(self, path: str, hosts: Iterable[Host], others: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        own: dict[tuple[str, str], str] = {}
        foreign = {name: each for name, each in others.items() if name not in self.hosts}
        buckets = {str(each[BUCKET_NAME]): name for name, each in foreign.items() if BUCKET_NAME in each}
        for host in hosts:
            bucket = host.variables[BUCKET_NAME]
            owner = self.hosts.get(host.name, path)
            other, file = self.buckets.get(_bucket(host), (host.name, path))
            twin = own.setdefault(_bucket(host), host.name)
            mixed = sorted({*RESERVED} & {*foreign.get(host.name, {})})
            if owner != path:
                yield f"the host {host.name} is also in {owner}: give its account another name in one file"
            elif mixed:
                yield f"the host {host.name} is also in another inventory file, which sets {', '.join(mixed)}"
            elif file != path:
                yield f"{host.name}: the bucket {bucket} is that of {other} in {file}"
            elif twin != host.name:
                yield f"{host.name}: the bucket {bucket} is that of {twin}, as host_vars say"
            elif buckets.get(bucket, host.name) != host.name:
                yield f"{host.name}: the bucket {bucket} is that of {buckets[bucket]} in another inventory file"

    def _known_groups(self, path: str, hosts: Iterable[Host]) -> Iterator[str]:
        for group in own_groups(path, hosts):
            if self.groups.get(group, path) != path:
                yield f"its group {group} is that of {self.groups[group]}: give one of the files another name"

    def accounts_alike(self, path: str, hosts: Iterable[Host]) -> Iterator[tuple[str, str, str, str]]:
        """Groups of accounts that another file has for another account: the group, both ids, and that file."""
        for group, id_ in dict.fromkeys((host.account.group, host.account.id) for host in hosts):
            other, file = self.accounts.get(group, (id_, path))
            if file != path and other != id_:
                yield group, id_, other, file

    def add(self, path: str, hosts: Iterable[Host]) -> None:
        self.groups.update(dict.fromkeys(own_groups(path, hosts), path))
        for host in hosts:
            self.hosts[host.name] = path
            if self.accounts.get(host.account.group, ("", path))[1] == path:
                self.accounts[host.account.group] = (host.account.id, path)
            self.buckets[_bucket(host)] = (host.name, path)


#: What the files of an inventory have made; its group `all` stands for the inventory.
_FILES: list[tuple[ReferenceType[Any], FleetFiles]] = []


def files_of(group_all: Any) -> FleetFiles:
    """What the files of this inventory have made. Groups of several inventories are equal, but not the same."""
    _FILES[:] = [(reference, files) for reference, files in _FILES if reference() is not None]
    for reference, files in _FILES:
        if reference() is group_all:
            return files
    _FILES.append((ref(group_all), FleetFiles()))
    return _FILES[-1][1]


def group_of_file(path: str) -> str:
    """`acme-eu.fleet.yml` -> `fleet_acme_eu`."""
    return f"fleet_{re.sub('[^A-Za-z0-9_]', '_', Path(path).name.partition('.fleet.')[0])}"


def group_of_account(path: str, host: Host) -> str:
    """The group for the variables of an account: other files may have an account of that name, too."""
    return f"{group_of_file(path)}_{host.account.group}"


def groups_of(path: str, host: Host) -> tuple[str, ...]:
    """All groups of a host."""
    own = [group_of_account(path, host)] if host.account.variables else []
    return "all", *host.groups, group_of_file(path), *own


def own_groups(path: str, hosts: Iterable[Host]) -> set[str]:
    """The groups that no other file may have."""
    return {group_of_file(path), *(group_of_account(path, host) for host in hosts if host.account.variables)}


def refuse_overridden(
    groups: Iterable[tuple[Host, Iterable[str]]], group_vars: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raises Invalid on variables of groups that hosts have with another value: Ansible would ignore the group's.

    `groups`: each host with its groups.
    """
    wrong: dict[str, set[str]] = {}
    for host, names_of_groups in groups:
        for group in names_of_groups:
            found = group_vars.get(group, {})
            names = {name for name, value in host.variables.items() if name in found and str(found[name]) != str(value)}
            wrong.setdefault(group, set()).update(names - {CONNECTION})
    refuse(
        f"group_vars of {group} set {', '.join(sorted(names))}, which this file sets for each host: set it in this "
        "file, or in host_vars for one backend"
        for group, names in wrong.items()
        if names
    )


def inventory_problem(variables: Mapping[str, Any]) -> str | None:
    """Why no host of the inventory may be worked on: some may be missing, or have other settings."""
    found = variables.get(INVENTORY_PROBLEMS)
    return f"The inventory is not complete: {'; '.join(map(str, found))}. Correct it, and run again" if found else None


def _bucket(host: Host) -> tuple[str, str]:
    return partition_of(str(host.variables[REGION_NAME])).name, str(host.variables[BUCKET_NAME])

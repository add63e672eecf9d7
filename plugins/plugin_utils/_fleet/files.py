# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several files of fleets in one inventory, and the files of variables beside them: no two may set one thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import partition_of

from .hosts import Host, refuse
from .inventory_file import BUCKET_NAME, CONNECTION

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

    def refuse_known(self, path: str, hosts: Iterable[Host]) -> None:
        """Raises Invalid on hosts, buckets and groups of another file: Ansible would merge them without a word."""
        problems = []
        for host in hosts:
            owner = self.hosts.get(host.name, path)
            other, file = self.buckets.get(_bucket(host), (host.name, path))
            if owner != path:
                problems.append(f"the host {host.name} is also in {owner}: give its account another name in one file")
            elif file != path:
                problems.append(f"{host.name}: the bucket {host.variables[BUCKET_NAME]} is that of {other} in {file}")
        group = group_of_file(path)
        if self.groups.get(group, path) != path:
            problems.append(f"its group {group} is that of {self.groups[group]}: give one of the files another name")
        refuse(problems)

    def add(self, path: str, hosts: Iterable[Host]) -> None:
        self.groups[group_of_file(path)] = path
        for host in hosts:
            self.hosts[host.name] = path
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


def groups_of(path: str, host: Host) -> tuple[str, ...]:
    """All groups of a host."""
    return "all", *host.groups, group_of_file(path)


def refuse_overridden(path: str, hosts: Iterable[Host], group_vars: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Invalid on variables of groups that hosts have with another value: Ansible would ignore the group's."""
    wrong: dict[str, set[str]] = {}
    for host in hosts:
        for group in groups_of(path, host):
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
    return partition_of(host.region).name, host.variables[BUCKET_NAME]

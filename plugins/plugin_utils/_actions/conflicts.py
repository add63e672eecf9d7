# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts of an inventory that share a bucket, but not its locks: their clients would not keep each other out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from .variable_names import PREFIX


@dataclass(frozen=True)
class Locking:
    """How clients of a host's backend lock, as far as its variables say."""

    host: str
    lock_mode: str
    table: str | None
    region: str | None
    endpoint: str | None

    def agrees(self, other: Locking) -> bool:
        """Whether clients of the two keep each other out and share their digests, or use different stores."""
        modes = {self.lock_mode, other.lock_mode}
        tables = {(each.table, each.region) for each in (self, other) if each.lock_mode != "lockfile"}
        return self.endpoint != other.endpoint or (modes != {"dynamodb", "lockfile"} and len(tables) < 2)

    def __str__(self) -> str:
        table = f" in the table {self.table}" if self.lock_mode != "lockfile" else ""
        return f"lock_mode {self.lock_mode}{table}"


def conflicts(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> dict[str, str]:
    """For each of the hosts that shares its bucket, but not its locks, with another one: a sentence."""
    by_bucket = defaultdict(list)
    for host in hosts:
        if bucket := _value(hostvars[host], "bucket_name"):
            by_bucket[bucket].append(host)
    found: dict[str, str] = {}
    for bucket, sharing in by_bucket.items():
        lockings = [_locking(host, hostvars[host]) for host in sharing[1:] and sharing]
        for one, other in combinations(lockings, 2):
            if not one.agrees(other):
                found.setdefault(one.host, _sentence(bucket, one, other))
                found.setdefault(other.host, _sentence(bucket, other, one))
    return found


def _locking(host: str, variables: Mapping[str, Any]) -> Locking:
    names = ("lock_mode", "table_name", "region", "endpoint_url")
    lock_mode, table, region, endpoint = (_value(variables, name) for name in names)
    return Locking(host, lock_mode or "both", table, region, endpoint)


def _value(variables: Mapping[str, Any], name: str) -> str | None:
    """None where it is not set, or is made of what this host alone knows."""
    with suppress(Exception):
        return str(variables.get(PREFIX + name) or "") or None
    return None


def _sentence(bucket: str, one: Locking, other: Locking) -> str:
    return (
        f"{PREFIX}bucket_name {bucket} is also that of the host {other.host}, and clients of the two would not keep "
        f"each other out: {one} here, {other} there. Give both the same {PREFIX}table_name and {PREFIX}lock_mode, or "
        "each another bucket"
    )

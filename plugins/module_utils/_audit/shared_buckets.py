# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about hosts of an inventory that share a bucket, and lock in different ways. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._core.commands import edit
from .findings import Finding, finding_of

BackendSummary = Mapping[str, Any]


def shared_buckets(backends: Sequence[BackendSummary]) -> Iterator[tuple[str, Finding]]:
    """For each host that shares its bucket, but not its way to lock: its name, and the finding."""
    sharing: dict[tuple[Any, ...], list[BackendSummary]] = defaultdict(list)
    for each in backends:
        if each["bucket"]["name"]:
            sharing[each["bucket"]["name"], each["account_id"], each.get("endpoint_url")].append(each)
    for hosts in sharing.values():
        for one in hosts:
            others = [other for other in hosts if _locking(other) != _locking(one)]
            if others:
                yield str(one["name"]), _finding(one, others)


def _finding(one: BackendSummary, others: Sequence[BackendSummary]) -> Finding:
    opposed = next((other for other in others if not _exclude_each_other(one, other)), None)
    other = opposed or others[0]
    detail = f"It is {_described(one)} here, and {_described(other)} for the host {other['name']}."
    note = "give all hosts of this bucket one lock_mode and table_name, by the steps of docs/lock-modes.md"
    severity = None if opposed else "medium"
    return finding_of("lock.modes_differ", str(one["bucket"]["name"]), detail, edit("hosts.yml", note), severity)


def _locking(backend: BackendSummary) -> tuple[Any, ...]:
    return backend["lock_mode"], *_tables(backend)


def _tables(backend: BackendSummary) -> set[tuple[Any, Any]]:
    """The table that its clients lock in; none if they lock by file alone."""
    table = (backend.get("table") or {}).get("name")
    return set() if backend["lock_mode"] == "lockfile" or not table else {(table, backend["region"])}


def _exclude_each_other(one: BackendSummary, other: BackendSummary) -> bool:
    by_file = all(each["lock_mode"] != "dynamodb" for each in (one, other))
    return by_file or bool(_tables(one) & _tables(other))


def _described(backend: BackendSummary) -> str:
    tables = [name for name, _region in _tables(backend)]
    return f"{backend['lock_mode']}{f' with the table {tables[0]}' if tables else ''}"

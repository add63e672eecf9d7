# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts of an inventory share a bucket, but not its locks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.conflicts import conflicts

PREFIX = "terraform_backend_"
ONE = {"bucket_name": "acme-state", "table_name": "locks", "region": "eu-west-1"}


def found(*hosts: Mapping[str, Any]) -> dict[str, str]:
    prefixed = [{PREFIX + name: value for name, value in values.items()} for values in hosts]
    named = {f"host-{number}": values for number, values in enumerate(prefixed)}
    return conflicts(named, named)


CONFLICTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "two tables": (ONE, {**ONE, "table_name": "other"}),
    "two regions": (ONE, {**ONE, "region": "eu-central-1"}),
    "two tables and old clients": ({**ONE, "lock_mode": "dynamodb"}, {**ONE, "table_name": "other"}),
    "table alone and files alone": ({**ONE, "lock_mode": "dynamodb"}, {**ONE, "lock_mode": "lockfile"}),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_hosts_that_would_lock_apart_are_named(case: str) -> None:
    one, other = CONFLICTS[case]
    said = found(one, other, {**ONE, "bucket_name": "another"})
    assert list(said) == ["host-0", "host-1"]
    assert said["host-0"].startswith("terraform_backend_bucket_name acme-state is also that of the host host-1")
    assert "the host host-0" in said["host-1"]


AGREEMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the same": (ONE, ONE),
    "two keys": ({**ONE, "state_key": "a"}, {**ONE, "state_key": "b"}),
    "two buckets": (ONE, {**ONE, "bucket_name": "another", "table_name": "other"}),
    "two stores": ({**ONE, "endpoint_url": "http://a"}, {**ONE, "endpoint_url": "http://b", "table_name": "other"}),
    "files alone": ({**ONE, "lock_mode": "lockfile"}, {**ONE, "lock_mode": "lockfile", "table_name": "other"}),
    "on the way to files": (ONE, {**ONE, "lock_mode": "lockfile"}),
    "old and new clients": ({**ONE, "lock_mode": "dynamodb"}, ONE),
    "no backends": ({}, {"region": "eu-west-1"}),
    "blank": ({**ONE, "bucket_name": ""}, {**ONE, "bucket_name": None}),
}


@pytest.mark.parametrize("case", AGREEMENTS)
def test_others_are_left_alone(case: str) -> None:
    assert found(*AGREEMENTS[case]) == {}


def test_each_of_many_is_told_of_one() -> None:
    hosts = [{**ONE, "table_name": f"locks-{number % 3}"} for number in range(9)]
    assert len(found(*hosts)) == 9


class Unknown(dict[str, Any]):
    """Variables that a host alone can tell, such as those made of its facts."""

    def get(self, _name: str, _default: Any = None) -> Any:
        raise ValueError("undefined")


def test_what_cannot_be_known_here_is_no_conflict() -> None:
    known = {f"{PREFIX}{name}": value for name, value in ONE.items()}
    assert conflicts({"known": known, "unknown": Unknown()}, ["known", "unknown"]) == {}


def test_only_the_hosts_of_the_run_are_compared() -> None:
    variables = {name: {f"{PREFIX}bucket_name": "acme", f"{PREFIX}table_name": name} for name in ("a", "b", "c")}
    assert set(conflicts(variables, ["a", "c"])) == {"a", "c"}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How often a fleet asks STS: each role is assumed once, and nobody asks twice who he is."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path

import pytest

from tests.fleet.test_bad_days import REGIONS, fleet, project
from tests.playbooks.conftest import emulator, unique
from tests.playbooks.project import Project
from tests.support.relay import Relay

__all__ = ["emulator", "project", "unique"]

ACCOUNTS = 2
HOSTS = ACCOUNTS * len(REGIONS)
EXECUTIONS = ("in the worker", "as a module")


def run(project: Project, relay: Relay) -> Counter[str]:
    """What a run over the fleet asks, by operation."""
    relay.calls.clear()
    summary = project.play("cornerstone.tfstate.bootstrap").summary
    assert f"{HOSTS} backends: {HOSTS} ok, 0 failed" in summary
    return Counter(relay.operations)


def cached(project: Project) -> list[Path]:
    return sorted((project.home / ".aws" / "cli" / "cache").glob("*.json"))


@pytest.mark.parametrize("is_fast", [True, pytest.param(False, marks=pytest.mark.thorough)], ids=EXECUTIONS)
def test_each_role_is_assumed_once_and_nobody_asks_twice_who_he_is(
    project: Project, relay: Relay, unique: str, is_fast: bool
) -> None:
    fleet(project, ACCOUNTS, unique, cornerstone_tfstate_in_process=is_fast)
    asked = run(project, relay)
    assert asked["AssumeRole"] == ACCOUNTS
    assert asked["GetCallerIdentity"] == HOSTS * (1 if is_fast else 2)  # bucket and table are a process each
    assert len(cached(project)) == ACCOUNTS
    assert {stat.S_IMODE(path.stat().st_mode) for path in cached(project)} == {0o600}


def test_the_next_run_assumes_none(project: Project, relay: Relay, unique: str) -> None:
    fleet(project, ACCOUNTS, unique)
    assert [run(project, relay)["AssumeRole"] for _unused in range(2)] == [ACCOUNTS, 0]


def test_credentials_are_not_kept_where_that_is_not_wanted(project: Project, relay: Relay, unique: str) -> None:
    fleet(project, ACCOUNTS, unique, terraform_backend_cache_credentials=False)
    assert run(project, relay)["AssumeRole"] >= HOSTS
    assert cached(project) == []

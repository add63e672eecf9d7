# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets and tables to test on: behind the shim that gives them AWS's own defaults, and bare."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from botocore.retries.standard import ExponentialBackoff

from tests.integration.module_runs import Fork, Playbook, RunTasks
from tests.integration.moves import World, project_in
from tests.integration.scenarios import scale
from tests.integration.subject import Subject
from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

ROOT = Path(__file__).parents[2]
RunWithVariables = Callable[[Mapping[str, Any]], RunTasks]


@pytest.fixture(scope="session", autouse=True)
def no_wait() -> Iterator[None]:
    """Emulators are at rest at once: waiting for them, ours and botocore's, takes milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Aws, "pause", lambda self, attempt: time.sleep(0.002))
        patch.setattr(Aws, "rest", lambda self, seconds: time.sleep(0.002))
        patch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.002)
        yield


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    home = tmp_path_factory.mktemp("launcher")
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.integration.launcher", str(home)],
            cwd=ROOT,
            env=without_aws(os.environ, home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        yield process


#: Whether a task runs in-process, and whether Ansible itself is started for it.
WAYS = {
    "in the worker": (True, False),
    "as a module": (False, False),
    "in the worker of a playbook": (True, True),
    "as a module of a playbook": (False, True),
}


@pytest.fixture(params=[pytest.param(way, marks=[pytest.mark.thorough] * WAYS[way][1]) for way in WAYS])
def run_with(request: pytest.FixtureRequest, launcher: subprocess.Popen[str], tmp_path: Path) -> RunWithVariables:
    """Each way to run a module in turn, with the variables of the play."""
    is_fast, by_ansible = WAYS[request.param]

    def opened(variables: Mapping[str, Any]) -> RunTasks:
        if by_ansible:
            return Playbook(tmp_path, {**variables, "cornerstone_tfstate_in_process": is_fast})
        return Fork(launcher, is_fast, tmp_path, variables)

    return opened


@pytest.fixture
def run_tasks(run_with: RunWithVariables) -> RunTasks:
    return run_with({})


@pytest.fixture
def bucket(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    return behind_the_shim("bucket", emulator, aws_like)


@pytest.fixture
def table(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    return behind_the_shim("table", emulator, aws_like)


@pytest.fixture(params=["bucket", "table"])
def subject(request: pytest.FixtureRequest, emulator: RunningEmulator, aws_like: Relay) -> Subject:
    """Each kind of resource in turn."""
    return behind_the_shim(request.param, emulator, aws_like)


@pytest.fixture
def bare_bucket(emulator: RunningEmulator, relay: Relay) -> Subject:
    return bare("bucket", emulator, relay)


@pytest.fixture
def bare_table(emulator: RunningEmulator, relay: Relay) -> Subject:
    return bare("table", emulator, relay)


@pytest.fixture(params=["bucket", "table"])
def bare_subject(request: pytest.FixtureRequest, emulator: RunningEmulator, relay: Relay) -> Subject:
    return bare(request.param, emulator, relay)


@pytest.fixture
def world(emulator: RunningEmulator, relay: Relay) -> World:
    """Two backends between which states move."""
    return World(relay, emulator)


@pytest.fixture
def on_ministack(ministack: RunningEmulator) -> Iterator[World]:
    with Relay(ministack.url) as relay:
        yield World(relay, ministack)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with local states of two workspaces."""
    return project_in(tmp_path)


def behind_the_shim(kind: str, emulator: RunningEmulator, relay: Relay) -> Subject:
    scale(relay)
    return Subject(kind, f"tf-{kind}-{uuid4().hex[:16]}", relay, emulator)


def bare(kind: str, emulator: RunningEmulator, relay: Relay) -> Subject:
    forgets = kind == "bucket" and emulator.lacks("newer_noncurrent_versions_are_kept")
    asked = {"newer_noncurrent_versions": 0, "allow": ["shorten_retention"]} if forgets else {}
    return replace(behind_the_shim(kind, emulator, relay), asked=asked)

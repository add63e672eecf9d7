# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs whose processes can be killed, and what they work on."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.crash.backend import Backend
from tests.integration.conftest import launcher, no_wait
from tests.integration.module_runs import Fork, RunTasks
from tests.integration.scenarios import scale
from tests.integration.subject import Subject
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

__all__ = ["launcher", "no_wait"]


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: which calls are made is proven elsewhere, on both."""
    return ministack


@pytest.fixture(params=["in the worker", pytest.param("as a module", marks=pytest.mark.thorough)])
def run_tasks(request: pytest.FixtureRequest, launcher: subprocess.Popen[str], tmp_path: Path) -> RunTasks:
    return Fork(launcher, request.param == "in the worker", tmp_path)


@pytest.fixture
def calm_bucket(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    return Subject("bucket", f"tf-bucket-{uuid4().hex[:16]}", aws_like, emulator)


@pytest.fixture
def calm_table(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    scale(aws_like)
    return Subject("table", f"tf-table-{uuid4().hex[:16]}", aws_like, emulator)


@pytest.fixture
def bucket(calm_bucket: Subject, run_tasks: RunTasks) -> Subject:
    return replace(calm_bucket, run_tasks=run_tasks)


@pytest.fixture
def table(calm_table: Subject, run_tasks: RunTasks) -> Subject:
    return replace(calm_table, run_tasks=run_tasks)


@pytest.fixture
def backend(emulator: RunningEmulator, aws_like: Relay, launcher: subprocess.Popen[str], tmp_path: Path) -> Backend:
    return Backend(f"tf-{uuid4().hex[:16]}", aws_like, emulator, partial(Fork, launcher, True, tmp_path), tmp_path)

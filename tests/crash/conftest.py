# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Doors whose processes can be killed, and what stands behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.crash.backend import Backend
from tests.integration.conftest import impatient
from tests.integration.doors import Door, Result, Task
from tests.integration.scenarios import scale
from tests.integration.subject import Subject
from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

__all__ = ["impatient"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    home = tmp_path_factory.mktemp("launcher")
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher", str(home)],
            cwd=ROOT,
            env=without_aws(os.environ, home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        yield process


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: which calls are made is proven elsewhere, on both."""
    return ministack


@pytest.fixture(params=["in the worker", pytest.param("as a module", marks=pytest.mark.thorough)])
def door(request: pytest.FixtureRequest, launcher: subprocess.Popen[str]) -> Door:
    return door_of(launcher, is_fast=request.param == "in the worker")


def door_of(launcher: subprocess.Popen[str], is_fast: bool) -> Door:
    def through(tasks: Sequence[Task]) -> list[Result]:
        return [carried_out(task) for task in tasks]

    def carried_out(task: Task) -> Result:
        assert launcher.stdin and launcher.stdout
        modes = {"check_mode": task.check_mode, "diff": task.diff}
        asked = {"module": task.module, "params": dict(task.params), "is_fast": is_fast, **modes}
        print(json.dumps(asked), file=launcher.stdin, flush=True)
        line = launcher.stdout.readline()
        assert line, "the launcher itself has died"
        result: Result = json.loads(line)
        return result

    return through


@pytest.fixture
def calm_bucket(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    return Subject("bucket", f"tf-bucket-{uuid4().hex[:16]}", aws_like, emulator)


@pytest.fixture
def calm_table(emulator: RunningEmulator, aws_like: Relay) -> Subject:
    scale(aws_like)
    return Subject("table", f"tf-table-{uuid4().hex[:16]}", aws_like, emulator)


@pytest.fixture
def bucket(calm_bucket: Subject, door: Door) -> Subject:
    return replace(calm_bucket, door=door)


@pytest.fixture
def table(calm_table: Subject, door: Door) -> Subject:
    return replace(calm_table, door=door)


@pytest.fixture
def backend(emulator: RunningEmulator, aws_like: Relay, launcher: subprocess.Popen[str], tmp_path: Path) -> Backend:
    return Backend(f"tf-{uuid4().hex[:16]}", aws_like, emulator, door_of(launcher, is_fast=True), tmp_path)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores by ansible-playbook, two at once or killed with SIGKILL and started again at once, of long histories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import World
from tests.integration.module_runs import Playbook
from tests.integration.moves import Place, md5, state
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

RESTORE = "tf_backend_restore"
WAYS = {"in the worker": True, "as a module": False}
#: States and versions, as they were where states were lost.
STATES, VERSIONS = 6, 60
KEYS = [f"app/{number}/terraform.tfstate" for number in range(STATES)]

pytestmark = [pytest.mark.thorough, pytest.mark.parametrize("is_fast", WAYS.values(), ids=WAYS)]


@pytest.fixture(scope="module")
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    return ministack


@pytest.fixture
def world(emulator: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    """An empty backend, and the backup of another one."""
    with Relay(emulator.url) as relay:
        origin = World(relay, Place(emulator, "eu-west-1"), tmp_path)
        for serial in range(1, VERSIONS + 1):
            for key in KEYS:
                origin.place.put(state(serial), key)
        origin.done("tf_backend_backup")
        yield origin.at(Place(emulator, "us-east-1"))


@dataclass
class Run:
    """A restore by ansible-playbook."""

    world: World
    is_fast: bool
    home: Path
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        book = Playbook(self.home, {"cornerstone_tfstate_in_process": self.is_fast})
        task = self.world.task(RESTORE, endpoint_url=self.world.place.emulator.url)
        (self.home / "tasks.json").write_text(json.dumps([book._play([task])]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        self.process = subprocess.Popen(
            [program, "-i", "localhost,", "-c", "local", "tasks.json"],
            env=book._environment(),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> dict[str, Any]:
        printed, _nothing = self.process.communicate(timeout=300)
        start = printed.find("{\n")
        assert start >= 0, printed
        (play,) = json.loads(printed[start:])["plays"]
        found: dict[str, Any] = play["tasks"][0]["hosts"]["localhost"]
        return found


@contextmanager
def watched(world: World) -> Iterator[None]:
    """No state that is still to come is found unlocked once the first version of any is there."""
    stop, found = threading.Event(), list[str]()

    def watch() -> None:
        while not stop.wait(0.05):
            if not count(world):
                continue
            for key in KEYS:
                is_locked = world.has_lock_file(key) or world.has_lock_item(key)  # before the look at its versions
                if not is_locked and count(world, key) < VERSIONS:
                    found.append(f"{key} is unlocked with {count(world, key)} versions")

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()
    assert found == []


def count(world: World, key: str = "app/") -> int:
    listed = world.place.s3.list_object_versions(Bucket=world.place.bucket, Prefix=key)
    return len([each for each in listed.get("Versions", []) if each["Key"] in KEYS])


def is_whole(world: World) -> None:
    """Every version once, in order, with its digest, and no lock left."""
    wanted = [state(serial) for serial in range(1, VERSIONS + 1)]
    for key, bodies in world.histories().items():
        assert [json.loads(body or b"{}").get("serial") for body in bodies] == [*range(1, VERSIONS + 1)], key
        assert bodies == wanted, key
    assert {key for key in world.histories() if key in KEYS} == {*KEYS}
    assert [world.place.digest(key) for key in KEYS] == [md5(wanted[-1])] * STATES
    assert [key for key in KEYS if world.has_lock_file(key) or world.has_lock_item(key)] == []


def restored(world: World, is_fast: bool, home: Path) -> list[str]:
    """Runs it again until it is done; what the refusals before that said."""
    refusals: list[str] = []
    for attempt in range(60):
        result = Run(world, is_fast, home / f"again-{attempt}").result()
        if not result.get("failed"):
            return refusals
        refusals.append(result["msg"])
        time.sleep(1)
    raise AssertionError(refusals)


def names_who_is_at_work(message: str) -> bool:
    return "tf_backend_restore by " in message and " since " in message and "process " in message


def test_two_restores_within_a_tenth_of_a_second_lose_nothing(world: World, is_fast: bool, tmp_path: Path):
    with watched(world):
        first = Run(world, is_fast, tmp_path / "first")
        time.sleep(0.05)
        second = Run(world, is_fast, tmp_path / "second")
        results = [first.result(), second.result()]
        refused = [result["msg"] for result in results if result.get("failed")]
        assert len(refused) <= 1
        assert [each for each in refused if not names_who_is_at_work(each)] == []
    is_whole(world)
    restored(world, is_fast, tmp_path)
    is_whole(world)


@pytest.mark.parametrize("after", [1, 200])
def test_a_restore_whose_playbook_is_killed_is_completed_by_the_next_one(
    world: World, is_fast: bool, tmp_path: Path, after: int
):
    """`after`: so many versions. What of the killed run is still at work, the next one names, or it waits for none."""
    with watched(world):
        killed = Run(world, is_fast, tmp_path / "killed")
        until = time.monotonic() + 120
        while count(world) < after and time.monotonic() < until:
            time.sleep(0.02)
        assert killed.process.poll() is None, killed.result()
        os.kill(killed.process.pid, signal.SIGKILL)
        refusals = restored(world, is_fast, tmp_path)
    assert [each for each in refusals if not names_who_is_at_work(each)] == []
    is_whole(world)

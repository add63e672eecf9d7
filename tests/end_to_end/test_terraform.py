# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the backends are for: the real terraform keeps its state there, one at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.filter.state_key import state_key

from tests.end_to_end.conftest import PROJECT, Backend
from tests.end_to_end.terraform import Race, Run, Workspace

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

CROWD = 10


def succeeded(run: Run) -> None:
    assert run.code == 0, run.output


def test_the_state_lies_in_the_backend_encrypted_and_versioned(
    backend: Backend, workspace: Workspace, tmp_path: Path, terraform: str
) -> None:
    key = state_key(PROJECT, backend.lock_mode)
    succeeded(workspace.init(backend.tfbackend))
    succeeded(workspace.apply())
    succeeded(workspace.plan())
    assert workspace.plan(content="two").code == 2
    succeeded(workspace.apply(content="two"))
    state = backend.s3.get_object(Bucket=backend.bucket, Key=key)
    assert state["ServerSideEncryption"] == "AES256"
    assert [each["type"] for each in json.loads(state["Body"].read())["resources"]] == ["terraform_data"]
    versions = backend.s3.list_object_versions(Bucket=backend.bucket, Prefix=key)["Versions"]
    assert len([each for each in versions if each["Key"] == key]) == 2
    assert backend.lock_infos(key) == []
    # The rendered backend.tf is complete: whoever has it has the same state.
    colleague = Workspace.make(tmp_path / "colleague", terraform, (backend.files / "backend.tf").read_text())
    succeeded(colleague.init())
    succeeded(colleague.plan(content="two"))


def test_of_a_crowd_on_one_key_one_applies_and_the_others_name_its_lock(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    key = state_key(PROJECT, "crowd")
    succeeded(workspace.init(backend.tfbackend, f"-backend-config=key={key}"))
    crowd = [workspace.copy(f"colleague-{number}") for number in range(CROWD)]
    with Race(crowd, release=tmp_path / "release") as race:
        losers = [race.next() for _unused in crowd[1:]]
        locks = backend.lock_infos(key)
        race.release.touch()
        winner = race.next()
    succeeded(winner)
    (lock_id,) = {json.loads(lock)["ID"] for lock in locks}
    assert len(locks) == (2 if backend.lock_mode == "both" else 1)
    assert [each.output for each in losers if each.code != 1 or not says(each, lock_id)] == []
    assert backend.lock_infos(key) == []


def says(loser: Run, lock_id: str) -> bool:
    return "Error acquiring the state lock" in loser.output and lock_id in loser.output


def test_keys_of_different_instances_are_applied_at_the_same_time(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    instances = []
    for instance in ("blue", "green", "red"):
        instances.append(workspace.copy(instance))
        succeeded(instances[-1].init(backend.tfbackend, f"-backend-config=key={state_key(PROJECT, instance)}"))
    with Race(instances, release=tmp_path / "release") as race:
        assert becomes_true(lambda: all(each.is_applying for each in instances))
        race.release.touch()
        for _unused in instances:
            succeeded(race.next())


def becomes_true(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    deadline = time.monotonic() + timeout_s
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return true

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local states are set aside and removed so that no client, and no kill, makes two of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.local_states import MOVED_NOTICE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_document import (
    UnreadableState,
    document_of,
)

from tests.integration.moves import DEV, World, client_in, state
from tests.support.relay import then

FILE, ASIDE = "terraform.tfstate", "terraform.tfstate.moved"


def folders(project: Path) -> list[Path]:
    return [project, project / "terraform.tfstate.d" / "dev"]


def back_in_use(project: Path) -> None:
    """As after a kill between the code and the states."""
    for folder in folders(project):
        (folder / ASIDE).rename(folder / FILE)


def left(project: Path) -> list[str]:
    return sorted(str(path.relative_to(project)) for path in project.rglob("*tfstate*") if path.is_file())


def test_who_opened_a_state_before_it_moved_finds_none_afterwards(world: World, project: Path):
    with (project / FILE).open("rb") as waiting:
        world.moved(project=str(project))
        found = waiting.read()
    assert found == MOVED_NOTICE and isinstance(document_of(found), UnreadableState)
    assert (project / ASIDE).read_bytes() == state()


def test_the_file_that_is_set_aside_is_as_private_as_it_was(world: World, project: Path):
    (project / FILE).chmod(0o600)
    world.moved(project=str(project))
    assert (project / ASIDE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rest", [b"", state()[len(MOVED_NOTICE) :]], ids=["whole", "not cut to its length"])
def test_what_a_kill_leaves_in_the_place_of_a_state_goes_with_the_next_run(world: World, project: Path, rest: bytes):
    world.moved(project=str(project))
    (project / FILE).write_bytes(MOVED_NOTICE + rest)
    result = world.moved(project=str(project))
    assert [row["action"] for row in result["states"]] == ["none", "none"]
    assert not (project / FILE).exists() and (project / ASIDE).read_bytes() == state()


def test_a_state_that_is_applied_before_it_is_locked_is_not_set_aside(world: World, project: Path):
    world.moved(project=str(project))
    back_in_use(project)
    world.moved(project=str(project), check_mode=True)
    applies = then(lambda _call: (project / FILE).write_bytes(state(5)))
    world.relay.on("*", nth=len(world.relay.calls), reply=applies)
    result = world.move(project=str(project))
    assert result["failed"] and "nothing is overwritten" in result["msg"]
    assert (project / FILE).read_bytes() == state(5) and not (project / ASIDE).exists()


def test_a_state_that_is_only_set_aside_is_a_change(world: World, project: Path):
    world.moved(project=str(project))
    back_in_use(project)
    assert world.moved(project=str(project), check_mode=True)["changed"]
    assert world.moved(project=str(project))["changed"]
    assert not world.moved(project=str(project))["changed"]


def test_what_was_set_aside_is_removed_only_as_it_moved(world: World, project: Path, tmp_path: Path):
    client = client_in(tmp_path, f"echo more >> {project / ASIDE}")
    result = world.move(project=str(project), client=client, init=True, verify_plan=True, remove_local=True)
    assert result["failed"] and f"{ASIDE} differs from the state that was moved" in result["msg"]
    assert (project / ASIDE).exists()


def test_every_backup_goes_and_before_its_state(world: World, project: Path, tmp_path: Path):
    params: dict[str, Any] = {"project": str(project), "client": client_in(tmp_path), "init": True, "verify_plan": True}
    (project / "terraform.tfstate.1700000000.backup").write_bytes(state(2))
    result = world.moved(**params, remove_local=True)
    names = ["terraform.tfstate.1700000000.backup", "terraform.tfstate.backup", ASIDE, ASIDE]
    assert [Path(path).name for path in result["project"]["removed"]] == names
    assert left(project) == []
    assert json.loads(world.new.bodies(DEV)[0] or b"")["serial"] == 7


def test_files_that_a_later_run_removes_are_foreseen(world: World, project: Path, tmp_path: Path):
    params: dict[str, Any] = {"project": str(project), "client": client_in(tmp_path), "init": True, "verify_plan": True}
    world.moved(**params)
    foreseen = world.moved(**params, remove_local=True, check_mode=True, diff=True)
    assert left(project) != []
    done = world.moved(**params, remove_local=True, diff=True)
    assert foreseen["project"]["removed"] == done["project"]["removed"] != []
    assert foreseen["diff"] == done["diff"] and str(project / ASIDE) in done["diff"]["before"]
    assert left(project) == []

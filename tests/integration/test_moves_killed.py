# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves of many states, and of states with their project, are killed at any point, and the next run completes them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY, STRIDES, WRITES, World, client_in, killed_after, project_in, state

pytestmark = pytest.mark.slow

#: What Python tells its audit hooks of when it is about to change a file or to start a program.
CHANGES = {"os.rename", "os.remove", "os.chmod", "subprocess.Popen"}


def killed_before(k: int, task: Task, folder: Path) -> bool:
    """Whether the task, in a process of its own, died right before it changed something in the folder a k-th time."""
    child = os.fork()
    if child == 0:
        left = k

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (event in CHANGES or writes) and str(folder) in str(arguments):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        _aws_session._last = None  # whose connections are those of the parent
        sys.addaudithook(count)
        through_core([task])
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


@pytest.mark.parametrize("stride", WRITES)
def test_local_states_and_their_code_survive_a_kill_before_any_change_of_a_file(
    on_ministack: World, tmp_path: Path, stride: int
):
    world = on_ministack
    k, died = 1 - stride, True
    while died:
        k += stride
        project = project_in(tmp_path / str(k))
        params = {"project": str(project), "key": f"k{k}/{KEY}", "client": client_in(tmp_path / str(k))}
        params |= {"init": True, "verify_plan": True, "remove_local": True}
        died = killed_before(k, world.task(**params), project)
        kept = [path.read_bytes() for path in project.rglob("terraform.tfstate*") if path.is_file()]
        for path, body in ((f"k{k}/{KEY}", state()), (f"env:/dev/k{k}/{KEY}", state(7))):
            assert (k, body in [*kept, *world.new.bodies(path)]) == (k, True)
        world.moved(**params)
        assert (k, world.new.bodies(f"k{k}/{KEY}")) == (k, [state()])
        assert (k, world.new.bodies(f"env:/dev/k{k}/{KEY}")) == (k, [state(7)])
        assert (k, [path for path in project.rglob("*tfstate*") if path.is_file()]) == (k, [])
        assert f'"k{k}/{KEY}"' in (project / "backend.tf").read_text()
    assert k > 12


@pytest.mark.parametrize("stride", WRITES)
def test_a_project_that_follows_from_a_bucket_survives_a_kill_before_any_change_of_a_file(
    on_ministack: World, tmp_path: Path, stride: int
):
    world = on_ministack
    k, died = 1 - stride, True
    while died:
        k += stride
        key = f"k{k}/{KEY}"
        world.old.put(state(), key)
        world.old.put(state(7), f"env:/dev/{key}")
        project = tmp_path / str(k)
        project.mkdir()
        (project / "main.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
        source = {"source_bucket": world.old.bucket, "source_table": world.old.table, "source_region": "us-east-1"}
        known = [{"paths": "main.tf", "backend": {"bucket": world.old.bucket}}]
        params = {"project": str(project), "key": key, "client": client_in(project), "init": True, "verify_plan": True}
        params["code_known"] = known
        died = killed_before(k, world.task(**params, **source), project)
        world.moved(**params, **source)
        assert (k, world.new.bodies(key), world.new.bodies(f"env:/dev/{key}")) == (k, [state()], [state(7)])
        assert f'"{key}"' in (project / "main.tf").read_text()
        said = [line.split()[:2] for line in (project / "said").read_text().splitlines()]
        assert (k, sorted(said[-2:])) == (k, [["default", "plan"], ["dev", "plan"]])
        shutil.rmtree(project)
    assert k > 4


@pytest.mark.parametrize("kind", ["a whole bucket", pytest.param("workspaces", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("stride", STRIDES)
def test_many_states_that_move_side_by_side_survive_a_kill_after_any_call(on_ministack: World, kind: str, stride: int):
    """Locks in tables, and digests, are proven with one state."""
    world = on_ministack
    k, died = 1 - stride, True
    while died:
        k += stride
        folder = f"k{k}"
        key = f"{folder}/{KEY}"
        paths = [key, f"env:/dev/{key}" if kind == "workspaces" else f"{folder}/b.tfstate"]
        for number, path in enumerate(paths):
            world.old.put(state(number), path, digest=False)
        before = [world.old.versions(path) for path in paths]
        wanted = {"key": key} if kind == "workspaces" else {"key": None, "keys": [f"{folder}/*"]}
        wanted |= {"table": None, "source_table": "none"}
        died = killed_after(world, k, world.task(**wanted))
        for path in paths:
            if world.new.bodies(path) and not world.old.mark(path):
                assert (k, path, len(world.old.locks(path))) == (k, path, 1)
        world.moved(**wanted)
        for number, path in enumerate(paths):
            found = world.new.bodies(path), world.new.locks(path), len(world.old.locks(path))
            assert (k, *found) == (k, [state(number)], [], 1)
        assert (k, [world.old.versions(path) for path in paths]) == (k, before)
        for path in paths:  # so that a whole bucket stays small
            world.old.s3.delete_object(Bucket=world.old.bucket, Key=path)
    assert k > 25

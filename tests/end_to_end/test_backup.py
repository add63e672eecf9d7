# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real terraform before, during and after its backend was saved, taken away and brought back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.terraform import Run, Workspace
from tests.integration.backups import World
from tests.integration.moves import Place, md5
from tests.playbooks.project import BOOTSTRAP, ROOT, Project
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, error

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

KEY, REGION = "shop/terraform.tfstate", "eu-west-1"
GOING = ("-e", "terraform_backend_teardown_allow=delete_state,disable_deletion_protection")
LOCK_MODES = ("both", "lockfile", "dynamodb")


class Made(Place):
    """A backend that the playbook makes."""

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = (self.emulator.client(name, region=self.region) for name in ("s3", "dynamodb"))


@pytest.fixture(params=LOCK_MODES)
def lock_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(ministack: RunningEmulator, tmp_path: Path, lock_mode: str, world: World) -> Project:
    project = Project(tmp_path, world.relay.url)
    project.inventory(
        {"here": {}},
        terraform_backend_region=REGION,
        terraform_backend_lock_mode=lock_mode,
        terraform_backend_bucket_name=world.place.bucket,
        terraform_backend_table_name=world.place.table,
        terraform_backend_state_key=KEY,
        terraform_backend_config_directory=str(tmp_path / "files"),
    )
    played(project, BOOTSTRAP)
    return project


@pytest.fixture
def world(ministack: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    with Relay(ministack.url) as relay:
        yield World(relay, Made(ministack, REGION), tmp_path)


def played(project: Project, *arguments: str) -> None:
    run = project.play(*arguments)
    assert run.code == 0, run.output


def succeeded(run: Run) -> None:
    assert run.code == 0, run.output


@pytest.fixture
def applied(project: Project, workspace: Workspace) -> Workspace:
    """Two workspaces with some past."""
    succeeded(workspace.init(f"-backend-config={project.home}/files/here.s3.tfbackend"))
    for name in ("default", "dev"):
        if name != "default":
            succeeded(workspace.run("workspace", "new", name))
        succeeded(workspace.apply(content=name))
        succeeded(workspace.apply())
    return workspace


def digests(world: World) -> dict[str, str]:
    return {item["LockID"]["S"]: item["Digest"]["S"] for item in world.items() if "Digest" in item}


def test_a_backend_goes_and_comes_back_and_terraform_finds_nothing_to_do(
    world: World, project: Project, applied: Workspace, lock_mode: str
) -> None:
    before, known = world.histories(), digests(world)
    assert len(before[KEY]) > 1 and len(before[f"env:/dev/{KEY}"]) > 1
    played(project, "cornerstone.tfstate.backup", "-e", "terraform_backend_backup=saved")
    where = (
        "-e",
        "terraform_backend_backup=saved",
        "-e",
        f"terraform_backend_teardown_confirm_name={world.place.bucket}",
    )
    teardown = str(ROOT / "playbooks" / "teardown.yml")
    refused = project.play(teardown, *where, *GOING, "-e", f"terraform_backend_teardown_code={applied.folder}")
    assert refused.code == 2 and "code still names this backend" in refused.output
    # Half of it, and then a colleague comes.
    world.relay.on("DeleteObjects", reply=error("AccessDenied", 403), nth=2)
    assert project.play(teardown, *where, *GOING).code == 2
    late = applied.apply(content="late")
    assert late.code == 1 and "Error acquiring the state lock" in late.output, late.output
    assert "tf_backend_teardown" in late.output
    assert world.current(KEY) == before[KEY][-1]
    played(project, teardown, *where, *GOING)
    assert not world.exists and not world.has_table
    played(project, BOOTSTRAP)
    played(project, "cornerstone.tfstate.restore_backup", "-e", "terraform_backend_backup=saved")
    assert world.histories() == before and digests(world) == known
    assert known == ({} if lock_mode == "lockfile" else newest(world, before))
    for name in ("dev", "default"):
        succeeded(applied.run("workspace", "select", name))
        succeeded(applied.plan())
        succeeded(applied.apply(content=f"{name} goes on"))
    again = project.play("cornerstone.tfstate.restore_backup", "-e", "terraform_backend_backup=saved")
    assert again.recap["here"]["changed"] == 0, again.output
    serials = [json.loads(body)["serial"] for body in world.histories()[KEY] if body]
    assert serials == sorted(serials) and len({*serials}) == len(serials)


def newest(world: World, histories: dict[str, Any]) -> dict[str, str]:
    return {f"{world.place.bucket}/{key}-md5": md5(bodies[-1]) for key, bodies in histories.items()}

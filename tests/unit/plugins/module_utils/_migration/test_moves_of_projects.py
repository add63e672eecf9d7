# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A project follows its own states, whole, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.moves import KEY, World, client_in, refused, state

FOREIGN = 'backend "s3" {\n    bucket = "somebody-elses"\n    key    = "completely/different.tfstate"\n  }'
EMPTY = 'backend "s3" {}'


def code(folder: Path, block: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(f"terraform {{\n  {block}\n}}\n")
    return folder


def initialised(folder: Path, backend: str, config: dict[str, Any]) -> None:
    (folder / ".terraform").mkdir()
    told = {"version": 3, "backend": {"type": backend, "config": config, "hash": 1}}
    (folder / ".terraform" / "terraform.tfstate").write_text(json.dumps(told))


def from_bucket(world: World, folder: Path, **params: Any) -> dict[str, Any]:
    source = {"source_bucket": world.old.bucket, "source_table": world.old.table, "source_region": world.old.region}
    return {"project": str(folder), **source, **params}


@pytest.mark.parametrize(
    ("backend", "arguments"), [("http", {"address": "https://x"}), ("local", {"path": "real/app.tfstate"})]
)
@pytest.mark.parametrize("knows", ["code", "checkout"])
def test_a_local_state_of_a_project_that_has_another_one_stays(
    world: World, project: Path, backend: str, arguments: dict[str, str], knows: str
):
    if knows == "code":
        ((name, value),) = arguments.items()
        code(project, f'backend "{backend}" {{\n    {name} = "{value}"\n  }}')
    else:
        initialised(project, backend, {**arguments, "workspace_dir": None})
    refused(world, f"the backend {backend}, whose states", project=str(project))


def test_a_project_with_a_plain_local_backend_is_taken_along(world: World, project: Path):
    code(project, 'backend "local" {\n  }')
    initialised(project, "local", {"path": None, "workspace_dir": None})
    assert world.moved(project=str(project))["project"]["edits"] == ["main.tf"]


def test_code_that_names_another_state_does_not_come_along(world: World, tmp_path: Path, project: Path):
    world.old.put(state())
    clone = code(tmp_path / "clone", FOREIGN)
    reason = "main.tf names s3://somebody-elses/completely/different.tfstate, which is not what moves here"
    refused(world, reason, **from_bucket(world, clone))
    refused(world, reason, project=str(code(project, FOREIGN)))


def test_a_file_of_arguments_that_names_another_state_does_not_come_along(world: World, tmp_path: Path):
    world.old.put(state())
    clone = code(tmp_path / "clone", EMPTY)
    (clone / "x.tfbackend").write_text('bucket = "somebody-elses"\n')
    refused(world, "main.tf names s3://somebody-elses/?, which", **from_bucket(world, clone, tfbackend="x.tfbackend"))


@pytest.mark.parametrize("knows", ["code", "checkout"])
def test_a_lock_table_that_the_project_knows_is_not_forgotten(world: World, tmp_path: Path, knows: str):
    world.old.put(state())
    config = {"bucket": world.old.bucket, "key": KEY, "dynamodb_table": world.old.table}
    said = "".join(f'    {name} = "{value}"\n' for name, value in config.items())
    clone = code(tmp_path / "clone", f'backend "s3" {{\n{said}  }}' if knows == "code" else EMPTY)
    if knows == "checkout":
        initialised(clone, "s3", config)
    reason = f"the lock table {world.old.table}: give it as source_table"
    refused(world, reason, **from_bucket(world, clone, source_table=None))
    assert world.moved(**from_bucket(world, clone))["changed"]


def test_who_names_no_lock_table_of_the_source_is_warned(world: World):
    world.old.put(state(), digest=False)
    warned = "source_table is not given"
    assert any(warned in text for text in world.moved(source_table=None, check_mode=True)["warnings"])
    assert not any(warned in text for text in world.moved(source_table="none")["warnings"])


def test_who_names_a_table_that_knows_nothing_of_the_states_is_warned(world: World):
    world.old.put(state())
    world.old.put(state(), f"env:/dev/{KEY}", digest=False)
    for check_mode in (True, False):
        (warning,) = world.moved(check_mode=check_mode)["warnings"]
        assert f"has no digest of s3://{world.old.bucket}/env:/dev/{KEY}: clients" in warning
    assert world.moved()["warnings"] == []


def test_a_checkout_is_initialised_anew_whatever_differs(world: World, tmp_path: Path):
    world.old.put(state())
    clone = code(tmp_path / "clone", EMPTY)
    config = {"bucket": world.new.bucket, "key": KEY, "region": world.new.region, "dynamodb_table": world.new.table}
    initialised(clone, "s3", {**config, "use_lockfile": True, "encrypt": True, "kms_key_id": None, "profile": "old"})
    params = from_bucket(world, clone, client=client_in(tmp_path), init=True, verify_plan=True)
    assert world.moved(**params)["project"]["init"]
    said = (tmp_path / "said").read_text().splitlines()
    assert [line.split()[0] for line in said] == ["init", "default"]


def test_what_the_code_no_longer_says_is_told_by_name(world: World, tmp_path: Path):
    world.old.put(state())
    clone = code(tmp_path / "clone", 'backend "s3" {\n    profile = "a-profile"\n    acl = "private"\n  }')
    known = [{"paths": "*.tf", "backend": {"bucket": world.old.bucket}}]
    refused(world, "main.tf (it names no bucket", **from_bucket(world, clone))
    (warning,) = world.moved(**from_bucket(world, clone, code_known=known))["warnings"]
    assert "had acl, profile, which the new one does not have" in warning and "a-profile" not in warning


def test_local_states_stay_where_their_code_would_not_follow(world: World, project: Path):
    (project / "two.tf").write_text('terraform {\n  backend "local" {\n  }\n}\n' * 2)
    refused(world, "stay where they are, as its code would not follow", project=str(project))
    result = world.move(project=str(project))
    assert result["project"]["block"].startswith('backend "s3" {\n') and result["project"]["edits"] == []
    assert "there are 2 backend or cloud blocks" in result["warnings"][-1]
    assert (project / "terraform.tfstate").read_bytes() == state()
    assert world.new.bodies() == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_code_that_is_not_simple_and_shall_be_proven_is_a_failure_until_it_says_the_destination(
    world: World, tmp_path: Path, check_mode: bool
):
    world.old.put(state())
    clone = code(tmp_path / "clone", EMPTY)
    (clone / "terragrunt.hcl").touch()
    params = from_bucket(world, clone, client=client_in(tmp_path), init=True, verify_plan=True)
    result = world.move(check_mode=check_mode, **params)
    assert result["failed"] and result["changed"] and result["progress"]["moved"] == 1
    assert "can be neither initialised nor proven: terragrunt.hcl is there" in result["msg"]
    assert not (tmp_path / "said").exists()
    (clone / "main.tf").write_text(f"terraform {{\n{result['project']['block']}}}\n")
    result = world.moved(check_mode=check_mode, **params)
    assert (result["project"]["init"], result["project"]["verified"]) == (True, not check_mode)


def test_nothing_moves_if_the_plan_would_be_one_of_the_old_backend(world: World, tmp_path: Path):
    world.old.put(state())
    clone = code(tmp_path / "clone", EMPTY)
    initialised(clone, "s3", {"bucket": world.old.bucket, "key": KEY, "region": world.old.region})
    params = from_bucket(world, clone, client=client_in(tmp_path), tfbackend="p.tfbackend", verify_plan=True)
    refused(world, "is not initialised to the destination, so no plan can prove it: set init: true", **params)

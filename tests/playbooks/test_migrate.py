# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook that moves states: from bucket to bucket, with the code beside it, in-process and as a subprocess."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_state_move import MODULE
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

from tests.playbooks.project import ROOT, Project, given
from tests.support.emulators import RunningEmulator

WAYS = {"by name": "cornerstone.tfstate.migrate", "by file": str(ROOT / "playbooks" / "migrate.yml")}
KEY = "network/terraform.tfstate"
STATE = json.dumps({"version": 4, "serial": 4, "lineage": "2d29fd45", "outputs": {}, "resources": []}).encode()


def test_every_option_of_the_module_can_be_given() -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks" / "migrate.yml").read_text())
    (task,) = [each["block"][0] for each in play["tasks"] if "block" in each]
    by_role = {
        *role_variables.SHARED,
        *role_variables.CLIENTS,
        "bucket",
        "table",
        "encryption",
        "kms_key_id",
        "lock_mode",
    }
    assert {*task["cornerstone.tfstate.tf_state_move"], *by_role} == {*MODULE.spec}


@pytest.fixture
def s3(project: Project, emulator: RunningEmulator, unique: str) -> Any:
    """Two backends of lock files, and a state in the old one."""
    s3 = emulator.client("s3", region="eu-west-1")
    for name in ("old", "new"):
        where = {"LocationConstraint": "eu-west-1"}
        s3.create_bucket(Bucket=f"{name}-{unique}", CreateBucketConfiguration=where)
    s3.put_object(Bucket=f"old-{unique}", Key=KEY, Body=STATE)
    project.inventory(
        {"new": {"terraform_backend_bucket_name": f"new-{unique}"}}, terraform_backend_lock_mode="lockfile"
    )
    return s3


def moving(unique: str, **variables: Any) -> tuple[str, str]:
    return given("migrate", **{"key": KEY, "source_bucket": f"old-{unique}", "source_table": "none", **variables})


@pytest.mark.parametrize(("way", "is_fast"), [("by name", True), ("by file", False)])
def test_a_state_moves_and_the_code_in_a_relative_folder_follows(
    project: Project, s3: Any, unique: str, way: str, is_fast: bool
) -> None:
    project.write("shop/main.tf", f'terraform {{\n  backend "s3" {{\n    bucket = "old-{unique}"\n  }}\n}}\n')
    asked = moving(unique, project="shop", cornerstone_tfstate_in_process=is_fast)
    if is_fast:
        planned = project.play(WAYS[way], "--check", *asked)
        assert planned.recap["new"]["changed"] == 1, planned.output
    run = project.play(WAYS[way], *asked)
    assert run.code == 0 and run.recap["new"]["changed"] == 1, run.output
    assert s3.get_object(Bucket=f"new-{unique}", Key=KEY)["Body"].read() == STATE
    assert f'"new-{unique}"' in (project.home / "shop" / "main.tf").read_text()
    assert (f"moved: s3://old-{unique}/{KEY}\n" in run.output) is is_fast
    assert '"moved": 1' in run.output and "Show the backend block to paste" in run.output


def test_the_same_states_are_not_moved_into_several_backends(project: Project, s3: Any, unique: str) -> None:
    hosts = {name: {"terraform_backend_bucket_name": f"new-{unique}", "mine": f"{name}/*"} for name in ("a", "b", "c")}
    project.inventory(hosts, terraform_backend_lock_mode="lockfile")
    said = "The same states would be moved into the backends of several hosts: a, b, c. Choose one of them with -l"
    project.write("shop/main.tf", "")
    for asked in (moving(unique), moving(unique, project="shop", keys=["{{ mine }}"], key=None)):
        run = project.play(WAYS["by name"], *asked)
        assert run.code == 2 and run.output.count(said) >= 1 and "fatal: [a]" in run.output, run.output
    for asked in (("-l", "b", *moving(unique)), moving(unique, keys=["{{ mine }}"], key=None)):
        run = project.play(WAYS["by name"], "--check", *asked)
        assert said not in run.output and "skipping: [b]" in run.output, run.output


def test_the_block_to_paste_is_shown_also_when_nothing_can_move(project: Project, s3: Any, unique: str) -> None:
    for name in ("one.tf", "two.tf"):
        project.write(f"shop/{name}", 'terraform {\n  backend "local" {\n  }\n}\n')
    project.write("shop/terraform.tfstate", STATE.decode())
    run = project.play(WAYS["by name"], "-e", json.dumps({"key": KEY, "project": "shop"}))
    assert run.code == 2, run.output
    said = "Set terraform_backend_migrate_key, terraform_backend_migrate_project instead of key, project."
    assert " ".join(run.output.split()).count(said) == 1, run.output
    assert 'backend \\"s3\\" {' in run.output and f"new-{unique}" in run.output

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks that take a step from lock mode to lock mode, and that make anew what was lost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.playbooks.project import ROOT, Project, given
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

REGION, KEY = "eu-west-1", "app/one.tfstate"
STATE = json.dumps({"version": 4, "serial": 1, "lineage": "2d29fd45", "terraform_version": "1.11.4", "resources": []})


@pytest.fixture
def names(project: Project, unique: str) -> dict[str, str]:
    """Of a backend that was bootstrapped, of mode both, with a state in it."""
    names = {"bucket": f"step-{unique}", "table": f"step-{unique}"}
    inventory(project, names, "both")
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code == 0, run.output
    return names


def inventory(project: Project, names: dict[str, str], lock_mode: str) -> None:
    known = {f"terraform_backend_{kind}_name": name for kind, name in names.items()}
    project.inventory({"here": {**known, "terraform_backend_lock_mode": lock_mode}})


def put_state(emulator: RunningEmulator, names: dict[str, str]) -> None:
    emulator.client("s3", region=REGION).put_object(Bucket=names["bucket"], Key=KEY, Body=STATE.encode())


def digests(emulator: RunningEmulator, names: dict[str, str]) -> list[Any]:
    found = emulator.client("dynamodb", region=REGION).scan(TableName=names["table"], ConsistentRead=True)["Items"]
    return [each["LockID"]["S"] for each in found]


BUCKET_IS_THERE = given("rebuild", backup="none")
WAYS = {"by name": "cornerstone.tfstate.{}", "by file": str(ROOT / "playbooks" / "{}.yml")}
#: A playbook that is found either way does the same.
FOUND = ["by name", pytest.param("by file", marks=pytest.mark.thorough)]


@pytest.mark.parametrize("way", FOUND)
def test_a_lost_table_is_made_anew_with_the_digests_of_its_states(
    project: Project, emulator: RunningEmulator, names: dict[str, str], way: str
) -> None:
    put_state(emulator, names)
    dynamodb = emulator.client("dynamodb", region=REGION)
    dynamodb.update_table(TableName=names["table"], DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=names["table"])
    run = project.play(WAYS[way].format("rebuild"), *BUCKET_IS_THERE)
    assert run.code == 0, run.output
    assert "not a variable" not in run.output
    assert digests(emulator, names) == [f"{names['bucket']}/{KEY}-md5"]
    again = project.play(WAYS[way].format("rebuild"), "-e", "backup=none")  # the name of before
    assert (again.code, again.recap["here"]["changed"]) == (0, 0), again.output


def test_a_lost_bucket_is_filled_from_the_backup_of_its_host_by_default(
    project: Project, emulator: RunningEmulator, names: dict[str, str]
) -> None:
    put_state(emulator, names)
    saved = project.play("cornerstone.tfstate.backup")
    assert (saved.code, saved.output.count(f"saved: s3://{names['bucket']}/{KEY}\n")) == (0, 1), saved.output
    s3 = emulator.client("s3", region=REGION)
    listed = s3.list_object_versions(Bucket=names["bucket"])["Versions"]
    for each in listed:
        s3.delete_object(Bucket=names["bucket"], Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=names["bucket"])
    run = project.play("cornerstone.tfstate.rebuild")
    assert run.code == 0, run.output
    assert re.findall(r"^restored: (.*)$", run.output, re.MULTILINE) == [f"s3://{names['bucket']}/{KEY}"]
    assert s3.get_object(Bucket=names["bucket"], Key=KEY)["Body"].read() == STATE.encode()
    (project.home / "terraform-backends" / "backups" / "here" / "backup.json").unlink()
    inventory(project, {**names, "bucket": f"{names['bucket']}-x"}, "both")
    without = project.play("cornerstone.tfstate.rebuild")
    assert without.code == 2 and "holds no backup.json" in without.output, without.output
    assert f"{names['bucket']}-x" not in [each["Name"] for each in s3.list_buckets()["Buckets"]], (
        "clients would fill it"
    )


def test_where_files_lock_there_are_no_digests_to_make(project: Project, relay: Relay, unique: str) -> None:
    inventory(project, {"bucket": f"files-{unique}"}, "lockfile")
    run = project.play("cornerstone.tfstate.rebuild", *BUCKET_IS_THERE)
    assert (run.code, run.recap["here"]["failed"]) == (0, 0), run.output
    assert "Scan" not in relay.operations


@pytest.mark.parametrize("way", FOUND)
def test_a_step_is_taken_for_the_backends_of_an_inventory(
    project: Project, emulator: RunningEmulator, names: dict[str, str], way: str, tmp_path: Path
) -> None:
    put_state(emulator, names)
    assert project.play("cornerstone.tfstate.rebuild", *BUCKET_IS_THERE).code == 0
    playbook = WAYS[way].format("lock_mode")
    (project.home / "code").mkdir()
    files = project.home / "backends" / "here"
    (project.home / "code" / "backend.tf").write_text((files / "backend.tf").read_text())
    asked = given("lock_mode", lock_mode="lockfile", code="code", observe_seconds=0)
    unchecked = project.play(playbook, *given("lock_mode", lock_mode="lockfile", observe_seconds=0))
    assert unchecked.code == 2 and "was not checked: name its directories" in unchecked.output, unchecked.output
    foretold = project.play(playbook, *asked, "--check")
    assert (foretold.code, len(digests(emulator, names))) == (0, 1), foretold.output
    run = project.play(playbook, *asked)
    assert (run.code, digests(emulator, names)) == (0, []), run.output
    assert "code may drop dynamodb_table" in run.output
    inventory(project, names, "lockfile")
    straight_back = project.play(playbook, *given("lock_mode", lock_mode="dynamodb", code="code", observe_seconds=0))
    assert straight_back.code == 2 and "switch to both first" in straight_back.output, straight_back.output

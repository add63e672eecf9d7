# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook that releases a lock: it shows the holder first, and asks nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.playbooks.project import ROOT, Project, given
from tests.support.emulators import RunningEmulator

WAYS = {"by name": "cornerstone.tfstate.unlock", "by file": str(ROOT / "playbooks" / "unlock.yml")}
KEY = "network/terraform.tfstate"


@pytest.fixture
def s3(project: Project, emulator: RunningEmulator, unique: str) -> Any:
    """Two backends of lock files alone, whose table nobody made, both with a lock on one key."""
    s3 = emulator.client("s3", region="eu-west-1")
    hosts = {}
    for host in ("prod", "test"):
        name = f"{host}-{unique}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        since, path = "2026-01-02T03:04:05Z", f"{name}/{KEY}"
        info = LockInfo(host, "OperationTypeApply", "", "ann@runner-7", "1.11.4", since, path)
        s3.put_object(Bucket=name, Key=f"{KEY}.tflock", Body=marshal(info).encode())
        other = replace(info, id=f"{host}-qa", path=f"{name}/env:/qa/{KEY}")
        s3.put_object(Bucket=name, Key=f"env:/qa/{KEY}.tflock", Body=marshal(other).encode())
        hosts[host] = {"terraform_backend_bucket_name": name}
    project.inventory(
        hosts,
        terraform_backend_lock_mode="lockfile",
        terraform_backend_table_name="nobody-made-it",
        **dict.fromkeys(("key", "lock_id", "older_than", "workspace"), "of another role"),
    )
    return s3


def locks(s3: Any, unique: str) -> list[str]:
    listed = {host: s3.list_objects_v2(Bucket=f"{host}-{unique}").get("Contents", []) for host in ("prod", "test")}
    return [f"{host}:{each['Key']}" for host, found in listed.items() for each in found]


@pytest.mark.parametrize("way", [pytest.param("by name", marks=pytest.mark.thorough), "by file"])
def test_the_holder_is_shown_and_the_lock_released_by_its_id(project: Project, s3: Any, unique: str, way: str) -> None:
    before = locks(s3, unique)
    run = project.play(WAYS[way], "-l", "prod", *given("unlock", key=KEY))
    assert run.code == 0, run.output
    assert f"{KEY} is locked by ann@runner-7 since 2026-01-02T03:04:05Z" in run.output
    assert "release it with -e terraform_backend_unlock_lock_id=prod" in run.output
    assert locks(s3, unique) == before
    run = project.play(WAYS[way], "-l", "prod", *given("unlock", key=KEY, lock_id="nobody"))
    assert run.code == 2, run.output
    assert locks(s3, unique) == before
    run = project.play(WAYS[way], "-l", "prod", "-e", f"key={KEY}", "-e", "lock_id=prod")  # the names of before
    assert run.code == 0, run.output
    shown, released = run.output.index("is locked by ann@runner-7"), run.output.index("Unlock | Release")
    assert shown < released
    assert [each for each in before if each not in locks(s3, unique)] == [f"prod:{KEY}.tflock"]


def test_a_key_is_pasted_as_the_client_shows_it_and_a_wrong_one_fails(project: Project, s3: Any, unique: str) -> None:
    before = locks(s3, unique)
    run = project.play(WAYS["by file"], "-l", "prod", *given("unlock", key=KEY.upper(), lock_id="prod"))
    assert run.code == 2, run.output
    assert f"perhaps this is meant: -e terraform_backend_unlock_key={KEY}" in run.output
    assert locks(s3, unique) == before
    run = project.play(WAYS["by file"], "-l", "prod", *given("unlock", key=f"prod-{unique}/{KEY}", lock_id="prod"))
    assert run.code == 0, run.output
    assert f"so it is taken for {KEY}" in " ".join(run.output.split())
    assert [each for each in before if each not in locks(s3, unique)] == [f"prod:{KEY}.tflock"]


def test_a_workspace_is_unlocked_by_age_and_check_mode_only_says_so(project: Project, s3: Any, unique: str) -> None:
    asked = ("-l", "test", *given("unlock", key=KEY, workspace="qa", older_than="0"))
    before = locks(s3, unique)
    planned = project.play(WAYS["by name"], "--check", *asked)
    assert planned.recap["test"]["changed"] == 1, planned.output
    assert locks(s3, unique) == before
    run = project.play(WAYS["by name"], *asked)
    assert run.recap["test"]["changed"] == 1, run.output
    assert [each for each in before if each not in locks(s3, unique)] == [f"test:env:/qa/{KEY}.tflock"]


def test_a_backend_that_cannot_be_read_fails_and_says_why(project: Project, s3: Any) -> None:
    run = project.play(WAYS["by name"], "-l", "test", "-e", "terraform_backend_bucket_name=nobody-made-it")
    assert run.code == 2, run.output
    assert "does not exist: check its name" in run.output

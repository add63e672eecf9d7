# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nothing that somebody wrote into AWS moves the cursor of the terminal or reorders what is read there."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.playbooks.conftest import emulator, project, unique
from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator

__all__ = ["emulator", "project", "unique"]

#: Control sequences of eight bits, which JSON does not escape, and text from right to left.
HOSTILE = "x" * 60_000 + "\x9b2J\x9d0;owned\x9c\x7f\u202eevil\u2066\u200b"


def test_a_failed_task_shows_no_control_characters(project: Project, emulator: RunningEmulator, unique: str) -> None:
    s3 = emulator.client("s3", region="eu-west-1")
    name, key = f"acme-{unique}", "terraform.tfstate"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    info = LockInfo(f"1{HOSTILE[-20:]}", HOSTILE, HOSTILE, HOSTILE, HOSTILE, "2026-01-02T03:04:05Z", f"{name}/{key}")
    s3.put_object(Bucket=name, Key=f"{key}.tflock", Body=marshal(info).encode())
    project.inventory({"eu": {"terraform_backend_bucket_name": name}}, terraform_backend_lock_mode="lockfile")
    task = {"cornerstone.tfstate.tf_state_lock": {"key": key, "state": "released", "lock_id": "2"}, "name": "Release"}
    project.write("site.yml", [{"hosts": "states", "gather_facts": False, "tasks": [task]}])
    run = project.play("site.yml")
    assert run.code == 2, run.output
    assert "was left alone" in run.output
    assert not {each for each in HOSTILE if not each.isprintable()} & {*run.output}, run.output
    assert len(run.output) < 20_000

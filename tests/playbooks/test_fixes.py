# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands of an audit, pasted in the folder that the audit was run in: they reach the backend that was audited."""

from __future__ import annotations

import json
import shlex
from hashlib import md5
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.playbooks.project import LOCAL, Project
from tests.playbooks.test_audit import AUDIT
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

US = "us-east-1"


def body(serial: int) -> bytes:
    about = {"version": 4, "terraform_version": "1.9.8", "serial": serial, "lineage": "a", "outputs": {}}
    return json.dumps({**about, "resources": []}).encode()


def backend(emulator: RunningEmulator, bucket: str, table: str) -> None:
    """A digest of an older version, a deleted state, a broken one, and half of the locks of one that has moved."""
    s3, dynamodb = emulator.client("s3", region=US), emulator.client("dynamodb", region=US)
    for path, versions in {
        "digest": [body(1), body(2)],
        "deleted": [body(1), None],
        "broken": [body(1), b"{"],
        "moved": [body(1)],
    }.items():
        for version in versions:
            where = {"Bucket": bucket, "Key": f"{path}.tfstate"}
            s3.delete_object(**where) if version is None else s3.put_object(**where, Body=version)
        digest = md5(b"{" if path == "broken" else body(1), usedforsecurity=False).hexdigest()
        item = {"LockID": {"S": f"{bucket}/{path}.tfstate-md5"}, "Digest": {"S": digest}}
        dynamodb.put_item(TableName=table, Item=item)
    to = "moved to s3://elsewhere/moved.tfstate"
    info = LockInfo(
        "m-1", "tf_state_move", to, "ann@laptop", "1.11.4", "2026-01-02T03:04:05Z", f"{bucket}/moved.tfstate"
    )
    s3.put_object(Bucket=bucket, Key="moved.tfstate.tflock", Body=marshal(info).encode())


def findings(project: Project) -> dict[str, dict[str, Any]]:
    told = json.loads((project.home / "terraform-backends" / "audit" / "audit.json").read_text())
    return {each["id"]: each for row in told["backends"] for each in row["findings"]}


def test_what_is_pasted_reaches_the_backend_that_was_audited(
    project: Project, emulator: RunningEmulator, relay: Relay, unique: str
) -> None:
    """The same host is another backend in the inventory that Ansible takes without -i."""
    for folder, name in (("inventory", "other"), ("mine", "mine")):
        host = {
            "terraform_backend_bucket_name": f"{name}-{unique}",
            "terraform_backend_table_name": f"{name}-{unique}",
            "terraform_backend_region": US,
        }
        common = {**project.connection("terraform_backend_"), **LOCAL, **host}
        project.write(f"{folder}/hosts.yml", {"all": {"hosts": {US: common}}})
        made = project.play("cornerstone.tfstate.bootstrap", "-i", folder)
        assert made.code == 0, made.output
    backend(emulator, f"mine-{unique}", f"mine-{unique}")
    project.play(AUDIT, "-i", "mine")
    found = findings(project)
    fixes = {id: each["fix"] for id, each in found.items() if each["severity"] != "info"}
    assert {shlex.split(fix)[1].rpartition(".")[2] for fix in fixes.values()} == {
        *("repair_digest", "restore_version", "lock")
    }, fixes
    relay.calls.clear()
    for id, fix in fixes.items():
        program, *words = shlex.split(fix, comments=True)
        assert words[1:5] == ["-i", "mine", "-l", US], fix
        run = project.run(program, *words)
        assert run.code == 0, (id, run.output)
    assert not [call for call in relay.calls if f"other-{unique}" in str(call)]
    project.play(AUDIT, "-i", str(project.home / "mine"))
    assert not [id for id, each in findings(project).items() if each["severity"] != "info"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands of an audit, pasted in the folder that the audit was run in: they reach the backend that was audited."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.playbooks.project import LOCAL, ROOT, Project, Run
from tests.playbooks.test_audit import AUDIT
from tests.support.ansible_programs import programs
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

US = "us-east-1"
#: It names another region than the bucket's.
CODE = """terraform {{
  backend "s3" {{
    bucket         = "{name}"
    key            = "digest.tfstate"
    region         = "eu-west-1"
    dynamodb_table = "{name}"
    use_lockfile   = true
  }}
}}
"""
AWS_CLI = ROOT / "tests" / "support" / "aws_cli.py"


def body(serial: int) -> bytes:
    about = {"version": 4, "terraform_version": "1.9.8", "serial": serial, "lineage": "a", "outputs": {}}
    return json.dumps({**about, "resources": []}).encode()


def backend(emulator: RunningEmulator, bucket: str, table: str) -> None:
    """A fault for each form of a command."""
    s3, dynamodb = emulator.client("s3", region=US), emulator.client("dynamodb", region=US)
    for path, versions in {
        "digest": [body(1), body(2)],
        "deleted": [body(1), None],
        "broken": [body(1), b"{"],
        "moved": [body(1)],
        "held": [body(1)],
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
    stale = replace(info, id="h-1", operation="OperationTypeApply", info="", path=f"{bucket}/held.tfstate")
    item = {"LockID": {"S": stale.path}, "Info": {"S": marshal(stale)}}
    dynamodb.put_item(TableName=table, Item=item)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "managed-by", "Value": "terraform"}]})
    off = {"PointInTimeRecoveryEnabled": False}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=off)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    rules.append({"ID": "old", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 30}})
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def findings(project: Project) -> dict[str, dict[str, Any]]:
    told = json.loads((project.home / "terraform-backends" / "audit" / "audit.json").read_text())
    return {each["id"]: each for row in told["backends"] for each in row["findings"]}


def shell(project: Project, lines: list[str]) -> Run:
    """What a person sees who pastes them into a terminal in the folder of the project."""
    programs_of_others = project.home / "bin"
    programs_of_others.mkdir()
    (programs_of_others / "aws").symlink_to(AWS_CLI)
    folders = (programs(), programs_of_others, Path(sys.executable).parent, os.environ["PATH"])
    environment = project.clean_environment() | {"PATH": os.pathsep.join(map(str, folders)), "EDITOR": "echo edited"}
    text = "\n".join(f"{line}\necho code $?" for line in lines)
    done = subprocess.run(
        ["/bin/sh"], input=text, cwd=project.home, env=environment, capture_output=True, text=True, check=False
    )
    return Run(done.returncode, done.stdout + done.stderr)


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
    made = project.play("cornerstone.tfstate.bootstrap", "-i", "mine")
    assert made.code == 0, made.output
    backend(emulator, f"mine-{unique}", f"mine-{unique}")
    project.write("code/main.tf", CODE.format(name=f"mine-{unique}"))
    audited = ("-i", "mine", "-e", '{"terraform_backend_audit_code": ["code"]}')
    project.play(AUDIT, *audited)
    found = findings(project)
    fixes = [*dict.fromkeys(each["fix"] for each in found.values())]
    forms = {shlex.split(fix)[1].rpartition(".")[2] for fix in fixes if fix.startswith("ansible-playbook")}
    assert forms == {"repair_digest", "restore_version", "lock", "unlock", "bootstrap"}, fixes
    assert {fix.split()[0] for fix in fixes} == {"ansible-playbook", "aws", "terraform", "${EDITOR:-vi}", "#"}
    assert any("--tags table" in fix for fix in fixes)
    decided = [fix.partition("If that is what you want: ")[2] for fix in fixes if fix.startswith("#")]
    assert all(each.startswith("ansible-playbook") for each in decided), fixes
    relay.calls.clear()
    lines = [*(fix for fix in fixes if not fix.startswith("terraform")), *decided]
    pasted = shell(project, lines)
    codes = re.findall(r"^code (\d+)$", pasted.output, re.MULTILINE)
    assert {*codes} == {"0"} and len(codes) == len(lines), pasted.output
    assert f"edited {project.home}/code/main.tf" in pasted.output
    assert not [call for call in relay.calls if f"other-{unique}" in str(call)]
    project.play(AUDIT, "-i", str(project.home / "mine"))
    left = [id for id, each in findings(project).items() if each["severity"] != "info"]
    assert left == ["bucket.shared_management"], "whether two tools manage a bucket is for people to decide"

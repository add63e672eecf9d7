# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each runbook mends what it is about: the harm is done, its symptom seen, and its commands run as they stand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import RUNBOOKS, code_blocks
from tests.docs.stage import Stage
from tests.end_to_end.terraform import CONFIGURATION, Run, apply
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

BUCKET, TABLE, KEY = "usest1-terraform-state-ezra", "terraform-locks-us-east-1", "network/terraform.tfstate"
LOCK = {"LockID": {"S": f"{BUCKET}/{KEY}"}}
DIGEST = {"LockID": {"S": f"{BUCKET}/{KEY}-md5"}}
INIT = (
    "terraform -chdir=network init -input=false -backend-config=../backends/us-east-1/us-east-1.s3.tfbackend "
    f"-backend-config=key={KEY}"
)
RUN_LIMIT_S = 300


@dataclass
class Incident:
    """A backend with one applied state, in an emulator of its own, and whoever reads the runbook."""

    stage: Stage
    emulator: RunningEmulator
    #: What the runbook asks its reader to put in.
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = (self.emulator.client(each, region="us-east-1") for each in ("s3", "dynamodb"))

    def set_up(self) -> None:
        self.stage.set_up()
        demo, mine = (self.stage.checkout / "inventories" / name for name in ("demo", "mine"))
        shutil.copytree(demo, mine)
        settings = mine / "group_vars" / "all.yml"
        settings.write_text(settings.read_text().replace("/.state/backends/", "/backends/"))
        self.stage.write("network/main.tf", CONFIGURATION)
        self.stage.write("network/backend.tf", 'terraform {\n  backend "s3" {}\n}\n')
        self.stage.run(["ansible-playbook", "bootstrap.yml", "-i", "inventories/mine", "-l", "us-east-1"])
        self.shell(INIT)
        self.terraform(*apply())

    def shell(self, text: str) -> str:
        """What a reader types, from top to bottom in one shell, until a command fails."""
        run = self._run(["sh", "-euc", text])
        assert run.code == 0, run.output
        return run.output

    def terraform(self, *arguments: str, code: int = 0) -> str:
        run = self._run(["terraform", "-chdir=network", *arguments])
        assert run.code == code, run.output
        return run.output

    def _run(self, command: list[str]) -> Run:
        ours = {"CHECKPOINT_DISABLE": "true", "TF_IN_AUTOMATION": "true", "TF_CLI_ARGS": "-no-color"}
        done = subprocess.run(
            command,
            cwd=self.stage.checkout,
            env=self.stage.environment() | ours | {"TF_CLI_CONFIG_FILE": os.devnull} | self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def keep_a_copy(self) -> None:
        copy = self.stage.folder / "copy.tfstate"
        copy.write_text(self.terraform("state", "pull"))
        self.variables["COPY"] = str(copy)

    @property
    def version_id(self) -> str:
        return str(self.s3.head_object(Bucket=BUCKET, Key=KEY)["VersionId"])

    @property
    def digest(self) -> Any:
        return self.dynamodb.get_item(TableName=TABLE, Key=DIGEST, ConsistentRead=True).get("Item")


def kill_an_apply(incident: Incident) -> None:
    holder = {"ID": "008fc466-9743-e5aa-475a-7589773aa3fd", "Operation": "OperationTypeApply", "Info": ""}
    holder |= {
        "Who": "ci@runner-7",
        "Version": "1.11.4",
        "Created": "2026-01-02T03:04:05.6Z",
        "Path": f"{BUCKET}/{KEY}",
    }
    text = json.dumps(holder, separators=(",", ":"))
    incident.s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=text.encode())
    incident.dynamodb.put_item(TableName=TABLE, Item={**LOCK, "Info": {"S": text}})
    incident.variables["LOCK_ID"] = f"sha256:{hashlib.sha256(holder['ID'].encode()).hexdigest()[:12]}"


def break_the_digest(incident: Incident) -> None:
    incident.dynamodb.put_item(TableName=TABLE, Item={**DIGEST, "Digest": {"S": "0" * 32}})


def delete_the_state(incident: Incident) -> None:
    incident.s3.delete_object(Bucket=BUCKET, Key=KEY)


def overwrite_the_state(incident: Incident) -> None:
    incident.variables["VERSION_ID"] = incident.version_id
    incident.terraform("state", "rm", "terraform_data.this")


def lose_the_table(incident: Incident) -> None:
    incident.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    incident.dynamodb.delete_table(TableName=TABLE)


def lose_the_bucket(incident: Incident) -> None:
    incident.keep_a_copy()
    listed = incident.s3.list_object_versions(Bucket=BUCKET)
    for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        incident.s3.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
    incident.s3.delete_bucket(Bucket=BUCKET)


def lose_the_bucket_that_was_saved(incident: Incident) -> None:
    incident.shell("ansible-playbook playbooks/backup.yml -i inventories/mine -l us-east-1")
    lose_the_bucket(incident)


HARMS: dict[str, tuple[Callable[[Incident], None], int]] = {
    "stuck-lock": (kill_an_apply, 1),
    "digest-mismatch": (break_the_digest, 1),
    "deleted-state": (delete_the_state, 1),
    "overwritten-state": (overwrite_the_state, 2),
    "lost-table": (lose_the_table, 1),
    "lost-bucket": (lose_the_bucket, 1),
    "lost-bucket-with-backup": (lose_the_bucket_that_was_saved, 1),
    "region-down": (Incident.keep_a_copy, 0),
}


@pytest.fixture
def incident(terraform: str, ministack: RunningEmulator, tmp_path: Path) -> Iterator[Incident]:
    # The emulator cuts idle connections, sometimes under Terraform's next request; the relay keeps them.
    with Relay(ministack.url) as relay:
        incident = Incident(Stage(replace(ministack, url=relay.url), tmp_path), ministack)
        incident.set_up()
        yield incident
    ministack.reset()  # every runbook uses the same names


def test_every_runbook_has_its_harm() -> None:
    assert {page.stem for page in RUNBOOKS} == set(HARMS)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_repairs_what_it_is_about(page: Path, incident: Incident) -> None:
    harm, code = HARMS[page.stem]
    state = incident.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    harm(incident)
    said = incident.terraform("plan", "-input=false", "-detailed-exitcode", code=code)
    for symptom in (each.text for each in code_blocks(page) if each.language == "text"):
        assert " ".join(symptom.split()) in " ".join(said.replace("│", "").split()), said
    commands = [each for each in code_blocks(page) if each.language == "sh"]
    assert not [each for each in commands if each.excuse]
    incident.shell("".join(each.text for each in commands))
    incident.terraform("plan", "-input=false", "-detailed-exitcode")
    incident.terraform(*apply(content="two"))
    now = json.loads(incident.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    assert [each["name"] for each in now["resources"]] == ["this"]
    assert incident.digest is not None
    if page.stem != "region-down":  # Terraform gives what is pushed another lineage
        assert now["lineage"] == json.loads(state)["lineage"]
        assert now["serial"] > json.loads(state)["serial"]

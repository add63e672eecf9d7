# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where examples are played: a copy of the checkout, an emulator for AWS, and the little that examples presuppose."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.docs.pages import ROOT, Example
from tests.support.ansible_commands import run_ansible
from tests.support.ansible_programs import programs
from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator

RUN_LIMIT_S = 120
#: What is typed here in place of what a page says.
SUBSTITUTES = {
    # The demo's own target starts an emulator that outlives the tests.
    r"^make bootstrap$": "ansible-playbook bootstrap.yml -i inventories/demo",
    r"^make start$": "true",
}

STATE = {
    "version": 4,
    "terraform_version": "1.11.4",
    "lineage": "2d29fd45-64c5-43d3-9c37-3ff2e1a4e7d2",
    "outputs": {},
    "serial": 1,
    "resources": [],
}

STEPPING = """terraform {
  backend "s3" {
    bucket         = "stepping-terraform-state"
    key            = "network/terraform.tfstate"
    region         = "eu-west-1"
    use_lockfile   = true
    dynamodb_table = "stepping-terraform-locks"
  }
}
"""

LEGACY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "AuditorsRead",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::000000000000:role/auditor"},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::legacy-terraform-state/*",
        }
    ],
}


@dataclass
class Stage:
    emulator: RunningEmulator
    folder: Path
    #: For all tasks that stand alone, such as what stands for the internet.
    module_defaults: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "ansible_collections" / "cornerstone" / "tfstate"

    def set_up(self) -> None:
        copy_checkout(self.checkout)
        # Pages name the commands of the checkout's own environment.
        (self.checkout / ".venv").symlink_to(sys.prefix)
        (self.checkout / "inventory.localhost").write_text("localhost ansible_connection=local\n")

    def prepare(self, examples: Iterable[Example]) -> None:
        """Make what examples name and do not make themselves: keys, and what is to be adopted."""
        everything = "".join(example.text for example in examples)
        regions = set(re.findall(r"\b(?:af|ap|eu|us)-[a-z]+-\d\b", everything))
        for region in regions:
            self._make_keys(region, set(re.findall(r"alias/(?!aws/)[\w-]+", everything)))
        if "legacy-terraform-" in everything:
            self._make_legacy("legacy-terraform-state", "legacy-terraform-locks", "eu-west-1")
        if "old-terraform-" in everything:
            self._make_states_to_move("old-terraform-state", "old-terraform-locks", "af-south-1", "billing")
        if "retired-terraform-" in everything:
            self._make_retired("retired-terraform-state", "retired-terraform-locks", "eu-west-1")
        if "stepping-terraform-" in everything:
            self._make_pair("stepping-terraform-state", "stepping-terraform-locks", "eu-west-1")
            self.write("stepping/code/backend.tf", STEPPING)
        if "harmed-terraform-" in everything:
            self._make_harmed("harmed-terraform-state", "harmed-terraform-locks", "eu-west-1")
        if "storage.tfstate" in everything:
            self.write("storage.tfstate", json.dumps(STATE))

    def _make_keys(self, region: str, aliases: Iterable[str]) -> None:
        kms = self.emulator.client("kms", region=region)
        for alias in aliases:
            kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def _make_legacy(self, bucket: str, table: str, region: str) -> None:
        """A bucket from before all this: with a state and a policy, without versioning; and a bare table."""
        s3 = self._make_pair(bucket, table, region)
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(LEGACY_POLICY))
        s3.put_object(Bucket=bucket, Key="terraform.tfstate", Body=b"{}")

    def _make_retired(self, bucket: str, table: str, region: str) -> None:
        """Versions of a state, the last of which the table knows."""
        s3 = self._make_pair(bucket, table, region)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        key = "network/terraform.tfstate"
        for serial in (1, 2):
            body = json.dumps({**STATE, "serial": serial}).encode()
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        item = {"LockID": {"S": f"{bucket}/{key}-md5"}, "Digest": {"S": digest}}
        self.emulator.client("dynamodb", region=region).put_item(TableName=table, Item=item)

    def _make_harmed(self, bucket: str, table: str, region: str) -> None:
        """A state with two versions and a digest of neither; and another workspace's, which was left alone."""
        s3 = self._make_pair(bucket, table, region)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        key = "network/terraform.tfstate"
        for path, serials in ((key, (1, 2)), (f"env:/qa/{key}", (1,))):
            for serial in serials:
                state = {**STATE, "serial": serial}
                s3.put_object(Bucket=bucket, Key=path, Body=json.dumps(state).encode())
        item = {"LockID": {"S": f"{bucket}/{key}-md5"}, "Digest": {"S": "0" * 32}}
        self.emulator.client("dynamodb", region=region).put_item(TableName=table, Item=item)

    def _make_pair(self, bucket: str, table: str, region: str) -> Any:
        """A bucket and a bare table."""
        s3 = self.emulator.client("s3", region=region)
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        self.emulator.client("dynamodb", region=region).create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        )
        return s3

    def _make_states_to_move(self, bucket: str, table: str, region: str, project: str) -> None:
        """A state in a bucket, and one in the folder of a project."""
        s3 = self._make_pair(bucket, table, region)
        s3.put_object(Bucket=bucket, Key="network/terraform.tfstate", Body=json.dumps(STATE).encode())
        self.write(f"{project}/terraform.tfstate", json.dumps(STATE))

    def typed(self, text: str) -> str:
        for pattern, replacement in SUBSTITUTES.items():
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        return text

    def shell(self, text: str) -> str:
        """Run what a reader would paste into a shell, and fail as soon as one line does.

        Nothing stands in for AWS where a page is about the demo's own files: it has to say all that the demo needs.
        """
        own = {name for name in self.environment() if name.startswith("AWS_")} if ".state/backends" in text else set()
        return self.run(["sh", "-euc", self.typed(text)], own)

    def write(self, name: str, text: str) -> None:
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.typed(text))

    def play(self, examples: list[Example]) -> str:
        """Run playbooks and tasks, all in one run: each bears the name of its place on the page."""
        plays: list[object] = []
        for example in examples:
            plays += as_plays(self.typed(example.text), str(example), self.module_defaults)
        self.write("playing.yml", yaml.safe_dump(plays, sort_keys=False))
        return self.run(["ansible-playbook", "playing.yml", "-i", "inventory.localhost"])

    def list_inventory(self, example: Example) -> str:
        """Let an inventory plugin make hosts of each of its examples."""
        said = ""
        for number, text in enumerate(example.text.split("\n---\n")):
            name = f"example-{number}.{example.page.stem}.yml"
            (self.checkout / name).write_text(text)
            listed = self.run(["ansible-inventory", "-i", name, "--list"])
            assert '"hosts"' in listed, f"{example}: example {number} makes no hosts\n{listed}"
            said += listed
        return said

    def run(self, command: list[str], left_out: Collection[str] = ()) -> str:
        given = {name: value for name, value in self.environment().items() if name not in left_out}
        code, said = run_ansible(command, self.checkout, given, RUN_LIMIT_S) or self._started(command, given)
        assert code == 0, f"{' '.join(command)}\n{said}"
        assert "no hosts matched" not in said, said
        return said

    def _started(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return without_aws(os.environ, home) | {
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TFSTATE_EMULATOR_PORT": str(urlsplit(self.emulator.url).port),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "EDITOR": "true",
            "PATH": os.pathsep.join([str(programs()), str(Path(sys.executable).parent), os.environ["PATH"]]),
        }


def copy_checkout(to: Path) -> None:
    """What git knows, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def as_plays(text: str, name: str, module_defaults: Mapping[str, Any]) -> list[object]:
    """A playbook as it stands; tasks in a play around them."""
    parsed = yaml.safe_load(text)
    assert isinstance(parsed, list) and parsed, f"{name} is neither a playbook nor tasks; is it a file? Then name it."
    if any("hosts" in each or "ansible.builtin.import_playbook" in each for each in parsed):
        return parsed
    play = {"name": name, "hosts": "localhost", "gather_facts": False, "module_defaults": module_defaults}
    return [{**play, "tasks": parsed}]

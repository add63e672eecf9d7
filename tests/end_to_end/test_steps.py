# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet of the real terraform goes from the table to lock files and back, and never stops to apply."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.terraform import Run, Workspace
from tests.end_to_end.test_terraform import becomes_true
from tests.integration.module_runs import Result, Task, through_core
from tests.integration.test_lock_mode import AsIam, digest_policy
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

REGION, KEY = "us-east-1", "network/terraform.tfstate"
CLIENTS = 3
REFUSED = "Error acquiring the state lock"
LIMIT_S = 300

#: Each apply replaces its resource, and writes down when it begins and ends to be the only one.
CONFIGURATION = """variable "log" {}
variable "client" {}

resource "terraform_data" "this" {
  triggers_replace = timestamp()

  provisioner "local-exec" {
    command = "echo begin ${var.client} >> ${var.log}; sleep 0.1; echo end ${var.client} >> ${var.log}"
  }
}
"""
ENDPOINT = """
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    use_path_style              = true
    endpoints = {{ s3 = "{url}", dynamodb = "{url}", iam = "{url}", sts = "{url}" }}
"""


@dataclass
class Client(threading.Thread):
    """A colleague who applies again and again, and takes over whatever lock mode the code says by then."""

    workspace: Workspace
    fleet: Fleet
    name_: str
    wanted: str
    mode: str = ""
    applied: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.fleet.is_over and not self.fleet.failures:
            if self.mode != self.wanted:
                self._take_over(self.wanted)
            variables = {"client": self.name_, "log": str(self.fleet.log)}
            self.applied += self._check(self.workspace.apply(**variables))

    def _take_over(self, mode: str) -> None:
        (self.workspace.folder / "backend.tf").write_text(self.fleet.block(mode))
        self._check(self.workspace.init("-reconfigure"))
        self.mode = mode

    def _check(self, run: Run) -> bool:
        """It may find a lock, and nothing else may stop it."""
        if run.code and REFUSED not in run.output:
            self.fleet.failures.append(f"{self.name_} ({self.mode} -> {self.wanted}): {run.output}")
        return run.code == 0


@dataclass
class Fleet:
    home: Path
    relay: Relay
    emulator: RunningEmulator
    terraform: str
    bucket: str
    table: str
    clients: list[Client] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    is_over: bool = False

    def __post_init__(self) -> None:
        s3, dynamodb = (self.emulator.client(each, region=REGION) for each in ("s3", "dynamodb"))
        s3.create_bucket(Bucket=self.bucket)
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dynamodb = dynamodb
        for number in range(CLIENTS):
            workspace = Workspace.make(self.home / f"client-{number}", self.terraform, "")
            (workspace.folder / "main.tf").write_text(CONFIGURATION)
            self.clients.append(Client(workspace, self, str(number), "dynamodb"))

    @property
    def log(self) -> Path:
        return self.home / "log"

    def block(self, mode: str) -> str:
        says = {"bucket": self.bucket, "key": KEY, "region": REGION}
        says |= {"dynamodb_table": self.table} if mode != "lockfile" else {}
        lines = "".join(f'    {name} = "{value}"\n' for name, value in says.items())
        in_file = "    use_lockfile = true\n" if mode != "dynamodb" else ""
        return f'terraform {{\n  backend "s3" {{\n{lines}{in_file}{ENDPOINT.format(url=self.relay.url)}  }}\n}}\n'

    def goes_on(self, applies: int) -> None:
        """Until so many more have got through."""
        until = sum(client.applied for client in self.clients) + applies
        self._wait(lambda: sum(client.applied for client in self.clients) >= until)

    def turns(self, mode: str, applies: int) -> None:
        """To a mode, one client after another, while the others go on."""
        for client in self.clients:
            client.wanted = mode
            self._wait(lambda client=client: client.mode == mode)
        self.goes_on(applies)

    def _wait(self, happens: Any) -> None:
        assert becomes_true(lambda: bool(self.failures) or happens(), LIMIT_S)
        assert not self.failures, self.failures[0]

    def step(self, lock_mode: str) -> Result:
        """As an operator takes it: again as long as a lock is in the way, and nothing else may be."""
        connection = {"endpoint_url": self.relay.url, "region": REGION, "access_key": "test", "secret_key": "test"}
        asked = {
            "bucket": self.bucket,
            "table": self.table,
            "code": [str(self.home)],
            "observe_seconds": 2,
            "lock_timeout": 30,
        }
        until = time.monotonic() + LIMIT_S
        while True:
            (result,) = through_core([Task("tf_lock_mode", {**connection, **asked, "lock_mode": lock_mode})])
            if not result.get("failed"):
                return result
            assert not self.failures, self.failures[0]
            is_busy = " is locked by " in result["msg"] or "meanwhile: run again" in result["msg"]
            assert is_busy and len(result["missing"]) <= 1, result
            assert time.monotonic() < until, result

    @property
    def digests(self) -> list[str]:
        found = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return [each["LockID"]["S"] for each in found if "Digest" in each]

    def were_alone(self) -> bool:
        """Whether whoever began has ended before another one began."""
        lines = (self.log.read_text() if self.log.exists() else "").split("\n")[:-1]
        pairs = list(zip(lines[::2], lines[1::2], strict=False))
        return all(first.replace("begin", "end") == second and first != second for first, second in pairs)


@pytest.fixture
def fleet(
    terraform: str, ministack: RunningEmulator, tmp_path: Path, bucket_name: str, table_name: str
) -> Iterator[Fleet]:
    with Relay(ministack.url) as relay:
        relay.use(AsIam(ministack))
        fleet = Fleet(tmp_path, relay, ministack, terraform, bucket_name, table_name)
        for client in fleet.clients:
            client.start()
        yield fleet
        fleet.is_over = True
        for client in fleet.clients:
            client.join()


@pytest.mark.parametrize("applies", [2, pytest.param(25, marks=pytest.mark.thorough)])
def test_a_fleet_goes_to_lock_files_and_back_and_nobody_is_ever_stopped_but_by_a_lock(
    fleet: Fleet, applies: int
) -> None:
    fleet.goes_on(applies)
    assert fleet.step("both")["changed"] is True, "that this store supports lock files is recorded"
    assert fleet.step("both")["changed"] is False
    fleet.turns("both", applies)
    there = fleet.step("lockfile")
    assert (there["from"], there["digest_policy"], there["layers"]) == ("both", "active", 2 * CLIENTS)
    fleet.goes_on(applies)
    assert fleet.digests == [], "clients of both write none behind the digest policy"
    fleet.turns("lockfile", applies)
    fleet.turns("both", applies)
    back = fleet.step("both")
    assert (back["from"], back["digest_policy"]) == ("lockfile", "inactive")
    fleet.goes_on(applies)
    assert fleet.digests and digest_policy(fleet.emulator, REGION, fleet.table) == []
    assert fleet.step("dynamodb")["changed"] is False
    fleet.turns("dynamodb", applies)
    assert fleet.were_alone()


def test_who_does_not_wait_for_a_step_is_found_out(fleet: Fleet) -> None:
    """The judge sees two at work: clients of the table alone and of files alone do not keep each other out."""
    fleet.goes_on(1)
    for client in fleet.clients[:2]:
        client.wanted = "lockfile"
    assert becomes_true(lambda: not fleet.were_alone() or bool(fleet.failures), LIMIT_S)

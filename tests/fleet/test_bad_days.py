# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet on a bad day: accounts whose credentials expired, a control plane that throttles, Ctrl-C, no botocore."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, local
from typing import Any

import pytest
import yaml

from tests.playbooks.conftest import emulator, unique
from tests.playbooks.project import Project
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, error

__all__ = ["emulator", "unique"]

pytestmark = pytest.mark.slow

REGIONS = ["af-south-1", "eu-west-1", "us-east-1"]
FILES = ("backend-config.json", "backend.tf", "{host}.s3.tfbackend")


@pytest.fixture
def project(tmp_path: Path, relay: Relay) -> Project:
    return Project(tmp_path, relay.url, {"ANSIBLE_FORKS": "10"})


def fleet(project: Project, accounts: int, unique: str, **variables: Any) -> list[str]:
    """The hosts of an inventory of so many accounts in three regions, a role to assume in each."""
    connection = project.connection("terraform_backend_")
    del connection["terraform_backend_region"]
    numbers = [f"{number:012}" for number in range(1, accounts + 1)]
    inventory = {
        "plugin": "cornerstone.tfstate.fleet",
        "accounts": [{"name": f"a{number[-2:]}", "id": number} for number in numbers],
        "regions": REGIONS,
        "bucket_name": f"acme-{unique}-{{account_id}}-{{region}}",
        "table_name": f"locks-{unique}",
        "assume_role": "admin",
        "variables": {name: text for name, text in connection.items() if name != "terraform_backend_region"}
        | variables,
    }
    project.write("inventory/acme.fleet.yml", yaml.safe_dump(inventory))
    return [f"a{number[-2:]}.{region}" for number in numbers for region in REGIONS]


@pytest.fixture
def expired(relay: Relay) -> Iterator[set[str]]:
    """The numbers of accounts where nobody may assume a role any more."""
    accounts: set[str] = set()
    refuse = error("ExpiredToken", 403, "The security token included in the request is expired")

    def behaviour(call: Call, proceed: Proceed) -> Answer:
        account = re.search(r"iam%3A%3A(\d{12})", call.body.decode()) if call.name == "AssumeRole" else None
        return refuse(call, proceed) if account and account[1] in accounts else proceed()

    relay.use(behaviour)
    return accounts


@pytest.mark.parametrize(
    ("is_fast", "accounts", "theirs"),
    [
        pytest.param(True, 4, {"000000000002", "000000000003"}, id="in the worker"),
        pytest.param(False, 3, {"000000000003"}, id="as a module", marks=pytest.mark.thorough),
    ],
)
def test_accounts_whose_credentials_expired_fail_at_once_and_alone(
    project, relay, unique, expired, is_fast, accounts, theirs
):
    hosts = fleet(project, accounts, unique, cornerstone_tfstate_in_process=is_fast)
    expired |= theirs
    lost = [host for host in hosts if any(host.startswith(f"a{number[-2:]}.") for number in theirs)]
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code != 0, run.output
    told = run.reasons
    assert sorted(told) == sorted(lost), run.output
    for host, reason in told.items():
        account = f"0000000000{host[1:3]}"
        assert "ExpiredToken" in reason and f"arn:aws:iam::{account}:role/admin" in reason
    assert f"{len(hosts)} backends: {len(hosts) - len(lost)} ok, {len(lost)} failed" in run.summary
    # Nobody tried again, and nothing else was tried: there is one refusal for each of the two services asked at first.
    refused = [call.name for call in relay.calls if call.status == 403]
    assert set(refused) == {"AssumeRole"} and len(refused) <= 2 * len(lost)
    assert not [
        call for call in relay.calls if call.name != "AssumeRole" and any(number in call.resource for number in theirs)
    ]
    assert "Traceback" not in run.output


class Throttled:
    """A control plane of DynamoDB that lets so many calls through in a second, for each account and region."""

    def __init__(self, rate: int) -> None:
        self._rate, self._lock = rate, Lock()
        self._passed: dict[str, list[float]] = defaultdict(list)
        self.refused: list[float] = []

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.service != "dynamodb":
            return proceed()
        with self._lock:
            now, place = time.monotonic(), f"{call.operation.access_key} {call.region}"
            recent = [moment for moment in self._passed[place] if now - moment < 1]
            if len(recent) >= self._rate:
                self.refused.append(now)
                return error("ThrottlingException", 400, "Rate exceeded")(call, proceed)
            self._passed[place] = [*recent, now]
        return proceed()


def test_a_control_plane_that_throttles_slows_a_fleet_down_and_fails_nobody(project, relay, unique):
    throttled = Throttled(rate=12)
    relay.use(throttled)
    variables = {"terraform_backend_table_name": f"locks-{unique}-{{{{ inventory_hostname }}}}"}
    hosts = {f"b{number:02}": {"terraform_backend_bucket_name": f"acme-{unique}-{number:02}"} for number in range(10)}
    project.inventory(hosts, **variables)
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code == 0, run.output
    assert throttled.refused
    assert "10 backends: 10 ok, 0 failed, 10 changed" in run.summary


def test_ctrl_c_leaves_no_half_written_file_and_the_next_run_goes_on(project, relay, unique):
    hosts = fleet(project, 4, unique)
    written = project.home / "backends"
    running = subprocess.Popen(
        [Path(sys.executable).with_name("ansible-playbook"), "cornerstone.tfstate.bootstrap"],
        cwd=project.home,
        env=project.clean_environment() | project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 60
    while not list(written.glob("*/backend.tf")):
        assert time.monotonic() < end and running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said, _unused = running.communicate(timeout=60)
    assert running.returncode != 0
    assert "Traceback" not in said, said
    for file in written.rglob("*"):
        if file.is_file():
            assert file.name in {name.format(host=file.parent.name) for name in FILES}, file
            assert file.read_text().endswith("}\n")
            assert file.suffix != ".json" or json.loads(file.read_text())["name"] == file.parent.name

    again = project.play("cornerstone.tfstate.bootstrap")
    assert again.code == 0, again.output
    assert len(list(written.glob("*/*"))) == 3 * len(hosts)


def test_without_botocore_every_host_is_told_what_is_missing(project, relay, unique):
    hosts = fleet(project, 1, unique)
    project.write("without/botocore/__init__.py", "raise ImportError(\"No module named 'botocore'\")\n")
    run = project.play("cornerstone.tfstate.bootstrap", PYTHONPATH=str(project.home / "without"))
    assert run.code != 0
    told = run.reasons
    assert sorted(told) == sorted(hosts)
    assert all("botocore" in reason and "required Python library" in reason for reason in told.values()), told
    assert "Traceback" not in run.output and "Unexpected Exception" not in run.output
    assert relay.calls == []


class Connections:
    """How many were opened: the relay serves each by a thread of its own."""

    def __init__(self) -> None:
        self._here = local()
        self.opened = 0

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if not hasattr(self._here, "known"):
            self._here.known = True
            self.opened += 1
        return proceed()


def test_fifty_forks_open_no_more_connections_for_a_backend_than_one_does(project, relay, unique):
    hosts = fleet(project, 3, unique)
    project.environment["ANSIBLE_FORKS"] = "50"
    assert f"{len(hosts)} changed" in project.play("cornerstone.tfstate.bootstrap").summary
    connections = Connections()
    relay.use(connections)
    relay.calls.clear()
    again = project.play("cornerstone.tfstate.bootstrap")
    assert f"{len(hosts)} ok, 0 failed, 0 changed" in again.summary
    assert relay.writes == []
    assert connections.opened <= 6 * len(hosts)  # one more than elsewhere: who has been assumed is checked

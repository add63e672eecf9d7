# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The demo as `make bootstrap` runs it, in a copy of its inventory and against an emulator of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.playbooks.project import BOOTSTRAP, ROOT, Project, Run
from tests.support.aws_defaults import aws_defaults
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

REGIONS = {"af-south-1", "ap-southeast-2", "eu-central-1", "eu-west-1", "us-east-1"}
SOMEBODYS = {
    "AWS_PROFILE": "nosuch",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "AQoDYXdzEJr1K",
    "AWS_REGION": "ca-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


class Demo(Project):
    def bootstrap(self, *arguments: str, **environment: str) -> Run:
        inventory = str(self.home / "inventories" / "demo")
        return self.run("ansible-playbook", BOOTSTRAP, "-i", inventory, *arguments, cwd=ROOT, **environment)

    @property
    def files(self) -> set[str]:
        return {str(file.relative_to(self.home)) for file in (self.home / ".state").rglob("*") if file.is_file()}


@pytest.fixture
def demo(tmp_path: Path, relay: Relay, emulator: RunningEmulator) -> Demo:
    """The names of the demo are its own, so its emulator is emptied instead."""
    emulator.reset()
    shutil.copytree(ROOT / "inventories" / "demo", tmp_path / "inventories" / "demo")
    return Demo(tmp_path, relay.url, {"TFSTATE_EMULATOR_PORT": relay.url.rpartition(":")[2]})


def test_a_second_run_changes_and_writes_nothing(demo: Demo, relay: Relay) -> None:
    first = demo.bootstrap()
    assert (first.code, set(first.recap)) == (0, REGIONS), first.output
    assert {call.region for call in relay.writes} == REGIONS
    relay.calls.clear()
    second = demo.bootstrap()
    assert (second.code, relay.writes) == (0, []), second.output
    assert {host: counts["changed"] for host, counts in second.recap.items()} == dict.fromkeys(REGIONS, 0)
    assert "5 backends: 5 ok, 0 failed, 0 changed\n" in second.summary


def test_check_mode_does_nothing_in_an_empty_account(demo: Demo, relay: Relay) -> None:
    run = demo.bootstrap("--check")
    assert (run.code, relay.writes, demo.files) == (0, [], set()), run.output
    assert "5 backends: 5 ok, 0 failed, 5 would change\n" in run.summary


def test_check_mode_shows_in_an_empty_account_what_the_run_does(
    demo: Demo, relay: Relay, emulator: RunningEmulator
) -> None:
    relay.use(*aws_defaults(emulator))
    foretold = demo.bootstrap("-l", "us-east-1", "--check", "--diff")
    done = demo.bootstrap("-l", "us-east-1", "--diff")
    assert foretold.output.replace("  would change", "  ok").replace("would change", "changed") == done.output


def test_a_limit_leaves_the_other_regions_alone(demo: Demo, relay: Relay) -> None:
    run = demo.bootstrap("-l", "us-east-1")
    assert (run.code, set(run.recap)) == (0, {"us-east-1"}), run.output
    assert {call.region for call in relay.calls} == {"us-east-1"}
    assert demo.files == {
        f".state/backends/us-east-1/{name}" for name in ("backend-config.json", "backend.tf", "us-east-1.s3.tfbackend")
    }


def test_credentials_of_the_shell_are_not_used(demo: Demo, relay: Relay) -> None:
    run = demo.bootstrap("-l", "us-east-1", **SOMEBODYS)
    assert run.code == 0, run.output
    assert {call.operation.access_key for call in relay.calls} == {"test"}
    assert not [call for call in relay.calls if "x-amz-security-token" in call.request.headers]
    assert {call.region for call in relay.calls} == {"us-east-1"}


@pytest.mark.parametrize("name", ["demo", "example"])
def test_no_group_bears_the_name_of_a_host(project: Project, name: str) -> None:
    listed = resolved(project, name)
    assert not set(listed) & set(listed["_meta"]["hostvars"])


def test_no_variable_of_the_example_points_at_an_emulator(project: Project) -> None:
    backends = resolved(project, "example")["_meta"]["hostvars"]
    assert set(backends) == {"af-south-1", "us-east-1"}
    assert not [word for word in ("127.0.0.1", "localhost", "endpoint", "EMULATOR") if word in json.dumps(backends)]
    assert not {name for each in backends.values() for name in each if name.endswith("_key")}


def resolved(project: Project, name: str) -> dict[str, dict[str, dict[str, object]]]:
    run = project.run("ansible-inventory", "-i", str(ROOT / "inventories" / name), "--list")
    assert run.code == 0, run.output
    listed: dict[str, dict[str, dict[str, object]]] = json.loads(run.output)
    return listed

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet in slices, as AWX runs it: runs side by side do together what one run over all does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator

pytest.importorskip("ansible_runner")
pytestmark = pytest.mark.slow

RUNNER = Path(sys.executable).with_name("ansible-runner")
ACCOUNTS = {"net": "010101010101", "data": "020202020202", "web": "030303030303"}
REGIONS = ["eu-west-1", "us-east-1"]
HOSTS = sorted(f"{account}.{region}" for account in ACCOUNTS for region in REGIONS)
#: Each of them works in every account.
SLICES = 2

#: Once a run, on its first host: they are about all hosts of the run.
OF_THE_RUN = (
    "Inventory | Find backends that share a bucket but not its locks",
    "Summary | Print one line for each backend",
)

#: What is seen of a host: for each of its tasks, the result.
Seen = dict[tuple[str, str], Any]


@dataclass
class Fleet:
    """Six backends in three accounts, and the folder that ansible-runner works in."""

    folder: Path
    emulator: RunningEmulator

    @property
    def files(self) -> Path:
        return self.folder / "backends"

    def set_up(self) -> None:
        inventory = {
            "plugin": "cornerstone.tfstate.fleet",
            "accounts": [{"name": name, "id": number} for name, number in ACCOUNTS.items()],
            "regions": REGIONS,
            "bucket_name": "acme-{account_id}-{region}",
            "table_name": "terraform-locks",
            "assume_role": "admin",
            "variables": {
                "terraform_backend_endpoint_url": self.emulator.url,
                "terraform_backend_access_key": "test",
                "terraform_backend_secret_key": "test",
                "terraform_backend_config_directory": f"{self.files}/{{{{ inventory_hostname }}}}",
            },
        }
        playbook = [{"name": "Converge", "ansible.builtin.import_playbook": "cornerstone.tfstate.bootstrap"}]
        for name, content in {"inventory/acme.fleet.yml": inventory, "project/site.yml": playbook}.items():
            (self.folder / name).parent.mkdir(parents=True)
            (self.folder / name).write_text(yaml.safe_dump(content))

    def forget(self) -> None:
        """Nothing is left of earlier runs: neither resources, nor files, nor credentials of roles."""
        self.emulator.reset()
        for place in (self.files, self.folder / "home"):
            shutil.rmtree(place, ignore_errors=True)
        (self.folder / "home").mkdir()

    def run(self, **limits: list[str]) -> Seen:
        """The results of runs side by side, each by its name over its hosts."""
        running = [self._start(name, hosts) for name, hosts in limits.items()]
        for process in running:
            said, _unused = process.communicate(timeout=180)
            assert process.returncode == 0, said
        return {place: result for name in limits for place, result in self._results(name)}

    def _start(self, name: str, hosts: list[str]) -> subprocess.Popen[str]:
        command = [RUNNER, "run", self.folder, "-p", "site.yml", "--ident", name, "--limit", ",".join(hosts)]
        return subprocess.Popen(
            command, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _results(self, name: str) -> list[tuple[tuple[str, str], Any]]:
        files = (self.folder / "artifacts" / name / "job_events").glob("*.json")
        events = [json.loads(file.read_text()) for file in files]
        return [
            ((event["event_data"]["host"], event["event_data"]["task"]), event["event_data"]["res"])
            for event in events
            if event["event"] in ("runner_on_ok", "runner_on_failed", "runner_on_skipped", "runner_on_unreachable")
            and event["event_data"]["task"] not in OF_THE_RUN
        ]

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        path = os.pathsep.join([str(RUNNER.parent), os.environ["PATH"]])
        return without_aws(os.environ, home) | {"PATH": path, "ANSIBLE_FORKS": "3"}

    def written(self) -> dict[str, str]:
        return {str(file.relative_to(self.files)): file.read_text() for file in self.files.rglob("*") if file.is_file()}


@pytest.fixture
def fleet(ministack: RunningEmulator, tmp_path: Path) -> Fleet:
    made = Fleet(tmp_path, ministack)
    made.set_up()
    return made


def test_slices_side_by_side_are_one_whole_run(fleet):
    fleet.forget()
    whole, files = fleet.run(whole=HOSTS), fleet.written()
    assert {host for (host, _task), result in whole.items() if result.get("changed")} == set(HOSTS)
    assert len(files) == 3 * len(HOSTS)

    fleet.forget()
    slices = {f"slice-{number}": HOSTS[number::SLICES] for number in range(SLICES)}  # as AWX deals hosts out
    assert fleet.run(**slices) == whole
    assert fleet.written() == files

    again = fleet.run(again=HOSTS)
    assert [place for place, result in again.items() if result.get("changed")] == []

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Somebody's project: a directory with an inventory and playbooks, where Ansible is run as people run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import variables_of

from tests.support.ansible_commands import run_ansible
from tests.support.clean_environment import without_aws

ROOT = Path(__file__).parents[2]
BOOTSTRAP = str(ROOT / "bootstrap.yml")
RUN_LIMIT_S = 120

_RECAP = re.compile(r"^(\S+) +: (ok=.*)$", re.MULTILINE)
_SUMMARY = re.compile(r"^\n((?:BACKEND .*\n(?:.+\n)+)?)\n?(\d+ backends?: .*\n)", re.MULTILINE)
_FAILURE = re.compile(r"^fatal: \[(\S+)\]: FAILED! => (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a command said, and its exit code."""

    code: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Ansible's own counts by host."""
        return {
            host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in _RECAP.findall(self.output)
        }

    @property
    def summaries(self) -> list[str]:
        """Our tables, each as it was printed; there should be one."""
        return ["".join(parts) for parts in _SUMMARY.findall(self.output)]

    @property
    def reasons(self) -> dict[str, str]:
        """Why each host failed, as its last task that did says, by the names of the hosts."""
        return {
            host: json.loads(result)["msg"] for host, result in sorted(_FAILURE.findall(self.output), key=itemgetter(0))
        }

    @property
    def summary(self) -> str:
        (summary,) = self.summaries
        return summary


@dataclass
class Project:
    home: Path
    endpoint_url: str
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, content: Any) -> str:
        """YAML by way of JSON, unless it is text already."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return str(file)

    def inventory(self, hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> None:
        """Hosts of the group `states`, on the emulator; a variable that is None is left out."""
        common = {**self.connection("terraform_backend_"), **LOCAL, **variables}
        given = {name: value for name, value in common.items() if value is not None}
        self.write("inventory/hosts.yml", {"states": {"hosts": hosts, "vars": given}})

    def connection(self, prefix: str = "") -> dict[str, str]:
        options = {"endpoint_url": self.endpoint_url, "access_key": "test", "secret_key": "test", "region": "eu-west-1"}
        return {prefix + name: value for name, value in options.items()}

    def play(self, *arguments: str, **environment: str) -> Run:
        """ansible-playbook, in the project's folder and with its inventory unless the arguments name another."""
        return self.run("ansible-playbook", *arguments, **environment)

    def run(self, program: str, *arguments: str, cwd: Path | None = None, **environment: str) -> Run:
        folder = cwd or self.home
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        # As the shell that changed to the folder would set it.
        given = self.clean_environment() | {"PWD": str(folder)} | self.environment | environment
        if forked := run_ansible(command, folder, given, RUN_LIMIT_S):
            return Run(*forked)
        run = subprocess.run(
            command,
            cwd=folder,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
        return Run(run.returncode, run.stdout)

    def clean_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return without_aws(inherited, self.home) | {
            # Before every other place where an older copy of the collection may lie.
            "ANSIBLE_COLLECTIONS_PATH": sysconfig.get_path("purelib"),
            "ANSIBLE_INVENTORY": "inventory",
            "ANSIBLE_NOCOLOR": "true",
        }


def given(playbook: str, **options: Any) -> tuple[str, str]:
    """Options of the module behind a playbook, as extra variables; a name of another kind stays."""
    names = variables_of(playbook)
    return "-e", json.dumps({names.get(name, name): value for name, value in options.items()})


#: Nothing is logged in to.
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}

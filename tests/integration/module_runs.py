# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ways to run a module: each takes tasks and gives their results, so cases fit them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import resource_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_audit as _backend_audit
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_backup as _backend_backup
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_config as _backend_config
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_handover as _handover_files
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_info as _backend_info
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_restore as _backend_restore
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_teardown as _backend_teardown
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_lock_mode as _lock_mode
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_state_digest as _state_digest
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_state_lock as _state_lock
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_state_move as _state_move
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_state_version as _state_version

from tests.support.clean_environment import without_aws

Result = dict[str, Any]
COLLECTION = "cornerstone.tfstate"
ENTRIES = {
    "tf_state_bucket": resource_module(BUCKET),
    "tf_lock_table": resource_module(TABLE),
    "tf_backend_audit": _backend_audit.MODULE,
    "tf_backend_info": _backend_info.MODULE,
    "tf_backend_backup": _backend_backup.MODULE,
    "tf_backend_restore": _backend_restore.MODULE,
    "tf_backend_teardown": _backend_teardown.MODULE,
    "tf_backend_config": _backend_config.MODULE,
    "tf_state_lock": _state_lock.MODULE,
    "tf_backend_handover": _handover_files.MODULE,
    "tf_state_digest": _state_digest.MODULE,
    "tf_state_version": _state_version.MODULE,
    "tf_state_move": _state_move.MODULE,
    "tf_lock_mode": _lock_mode.MODULE,
}


@dataclass(frozen=True)
class Task:
    """A task of a playbook: a module of ours by its short name (of others by the whole one), and its arguments."""

    module: str
    params: Mapping[str, Any] = field(default_factory=dict)
    check_mode: bool = False
    diff: bool = True


RunTasks = Callable[[Sequence[Task]], list[Result]]


def through_core(tasks: Sequence[Task]) -> list[Result]:
    """In this process, past the real argument spec: what every other way must give, too."""
    return [_carried_out(task) for task in tasks]


def _carried_out(task: Task) -> Result:
    entry = ENTRIES[task.module]
    try:
        arguments = entry.without_blanks(task.params)
    except Invalid as problem:
        return {"failed": True, "msg": str(problem), "changed": False}
    validated = ArgumentSpecValidator(entry.spec, **entry.rules).validate(arguments)
    if validated.error_messages:
        return {"failed": True, "msg": validated.errors.msg, "changed": False}
    return printable_result(entry.run(validated.validated_parameters, task.check_mode, task.diff))


@dataclass(frozen=True)
class Fork:
    """Each task in a fork of a process that has Ansible loaded: see `tests.integration.launcher`."""

    launcher: subprocess.Popen[str]
    is_fast: bool
    home: Path
    variables: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        return [plain(self._carried_out(task)) for task in tasks]

    def _carried_out(self, task: Task) -> Result:
        assert self.launcher.stdin and self.launcher.stdout
        where = {"home": str(self.home), "variables": dict(self.variables), "is_fast": self.is_fast}
        asked = {**vars(task), "params": dict(task.params), **where}
        print(json.dumps(asked), file=self.launcher.stdin, flush=True)
        line = self.launcher.stdout.readline()
        assert line, "the launcher itself has died"
        result: Result = json.loads(line)
        return result


class Playbook:
    """All tasks in one play on localhost, by ansible-playbook."""

    def __init__(self, home: Path, variables: Mapping[str, Any] | None = None) -> None:
        self.home = home
        self.variables = dict(variables or {})

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        book = self.home / "tasks.json"
        book.write_text(json.dumps([self._play(tasks)]))
        program = Path(sys.executable).with_name("ansible-playbook")
        run = subprocess.run(
            [str(program), "-i", "localhost,", "-c", "local", str(book)],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        start = run.stdout.find("{\n")
        assert start >= 0, run.stdout + run.stderr
        (play,) = json.loads(run.stdout[start:])["plays"]
        return [plain(task["hosts"]["localhost"]) for task in play["tasks"]]

    def _play(self, tasks: Sequence[Task]) -> dict[str, Any]:
        written = [
            {
                "name": str(place),
                task.module if "." in task.module else f"{COLLECTION}.{task.module}": dict(task.params),
                "check_mode": task.check_mode,
                "diff": task.diff,
                "ignore_errors": True,
            }
            for place, task in enumerate(tasks)
        ]
        return {"hosts": "localhost", "gather_facts": False, "vars": self.variables, "tasks": written}

    def _environment(self) -> dict[str, str]:
        return without_aws(os.environ, self.home) | {
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "ANSIBLE_LOCAL_TEMP": str(self.home / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.home / "remote"),
        }


ADDED_BY_ANSIBLE = ("action", "invocation", "exception", "stdout", "stdout_lines", "deprecations")


def plain(result: Result) -> Result:
    """A result as the module gave it."""
    kept = {name: value for name, value in result.items() if name not in ADDED_BY_ANSIBLE}
    return {name: value for name, value in kept.items() if not name.startswith("_ansible")}

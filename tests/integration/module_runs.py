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
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleEntry

from tests.support.clean_environment import without_aws

Result = dict[str, Any]
COLLECTION = "cornerstone.tfstate"
MODULES = Path(__file__).parents[2] / "plugins" / "modules"
#: Of every module that has work of its own; those without are action plugins.
ENTRIES: dict[str, ModuleEntry] = {
    path.stem: module.MODULE
    for path in sorted(MODULES.glob("tf_*.py"))
    if hasattr(module := import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{path.stem}"), "MODULE")
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

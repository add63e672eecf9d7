# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks of ours in this process: their own tasks, templated by Ansible and carried out by the action plugins.

    plays = Plays({"prod": {...}}, home)
    plays.run("unlock", "prod", {"terraform_backend_unlock_key": "a.tfstate"})

What ansible-playbook does besides is left out: it forks, shows what happens, and runs tasks of others. So a fake AWS of
this process is reached, and a playbook takes milliseconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.connection.local import Connection
from ansible.template import Templar
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import in_process

from tests.support.pasting import trust_as_template as trusted

ROOT = Path(__file__).parents[2]
COLLECTION = "cornerstone.tfstate."
OMIT = "__omit_place_holder__"
#: The tags of the role's task, which choose what it does.
PARTS = ("bucket", "table", "files")
ROLE_TASK: dict[str, dict[str, Any]] = {f"{COLLECTION}tf_backend": {}}
#: Of a task, that are no module.
KEYWORDS = {"name", "register", "when", "vars", "tags", "check_mode", "changed_when", "failed_when", "run_once"}
KEYWORDS |= {"ignore_errors", "strategy"}
#: What stands only in short names of before, which no command prints, and needs a lookup plugin.
SHORT = "query('cornerstone.tfstate.extra_variables')"
#: What is about many hosts: a report or a summary.
LEFT_OUT = {"tf_backend_report", "tf_backend_summary"}

Result = dict[str, Any]


@dataclass
class Plays:
    """An inventory, and the folder in which its playbooks are run."""

    hosts: dict[str, dict[str, Any]]
    home: Path
    inventory: str = "inventory"
    _books: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(
        self,
        playbook: str,
        host: str,
        extra: Mapping[str, Any] | None = None,
        check: bool = False,
        tags: Sequence[str] = ("all",),
    ) -> list[Result]:
        """The results of its tasks, up to the first that fails."""
        results: list[Result] = []
        facts: dict[str, Any] = {}
        for play in self._plays(playbook):
            for task in play.get("tasks", ()):
                known = {**play.get("vars", {}), **task.get("vars", {}), **facts, "ansible_run_tags": [*tags]}
                for module, args in self._module_of(task):
                    found = self.task(module, args, host, {**known, **(extra or {})}, task, check)
                    if found is None:
                        continue
                    facts |= {task["register"]: found} if "register" in task else {}
                    results.append({**found, "failed": False} if "failed_when" in task else found)
                    if results[-1].get("failed"):
                        return results
        return results

    def task(
        self,
        module: str,
        args: Mapping[str, Any],
        host: str,
        known: Mapping[str, Any],
        about: Mapping[str, Any] | None = None,
        check: bool = False,
    ) -> Result | None:
        """One task; None if its condition does not hold."""
        loader, context, about = DataLoader(), PlayContext(), about or {}
        variables = {
            **self.hosts[host],
            **known,
            "inventory_hostname": host,
            "ansible_inventory_sources": [str(self.home / self.inventory)],
            "ansible_play_hosts_all": [host],
            "hostvars": self.hosts,
            "groups": {"all": [*self.hosts]},
            "ansible_python_interpreter": sys.executable,
            "ansible_connection": "local",
            "omit": OMIT,
            "ansible_skip_tags": [],
        }
        templar = Templar(loader=loader, variables=variables)
        conditions = about.get("when", [])
        for condition in [conditions] if isinstance(conditions, str) else conditions:
            if not templar.template(trusted("{{ (" + condition + ") | bool }}")):
                return None
        task = Task()
        task.action = f"{COLLECTION}{module}"
        task.args = {name: value for name, value in templar.template(dict(args)).items() if value != OMIT}
        if task.action in ROLE_TASK:
            task._role, task.tags = SimpleNamespace(get_name=lambda: "terraform_backend"), [*PARTS]
        task.check_mode, task.diff = check or about.get("check_mode", False), True
        action = import_module(f"ansible_collections.{COLLECTION}plugins.action.{module}").ActionModule(
            task=task,
            connection=Connection(context, None),
            play_context=context,
            loader=loader,
            templar=templar,
            shared_loader_obj=None,
        )
        before = Path.cwd()
        os.chdir(self.home)
        try:
            result: Result = action.run(None, variables)
        finally:
            os.chdir(before)
        return result

    def _plays(self, playbook: str) -> list[dict[str, Any]]:
        if playbook not in self._books:
            path = ROOT / "playbooks" / f"{playbook}.yml"
            loader, plays = DataLoader(), []
            for play in loader.load(trusted(path.read_text().replace(SHORT, "[]")), str(path)):
                book = str(play.get("ansible.builtin.import_playbook", ""))
                if book:
                    given = play.get("vars", {})
                    plays += [
                        {**each, "vars": {**each.get("vars", {}), **given}} for each in self._plays(Path(book).stem)
                    ]
                    continue
                for name in play.get("vars_files", ()):
                    file = path.parent / "vars" / str(name)
                    more = loader.load(trusted(file.read_text()), str(file))
                    play = {**play, "vars": {**play.get("vars", {}), **more}}
                plays.append(play)
            self._books[playbook] = plays
        return self._books[playbook]

    def _module_of(self, task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        (module,) = {*task} - KEYWORDS
        if module == "ansible.builtin.import_role":
            module, task = next(iter(ROLE_TASK)), ROLE_TASK
        short = module.removeprefix(COLLECTION)
        if short != module and short not in LEFT_OUT:
            yield short, task[module] or {}


@contextmanager
def inline() -> Iterator[None]:
    """While it lasts, no action plugin forks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_process, "in_child_process", lambda work, *_unused: work(lambda _call: None))
        yield

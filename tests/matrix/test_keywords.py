# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's keywords on a task of ours do what they do on a task of community.aws, which is a plain module.

One playbook has each task twice, and tells at its end what was registered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.test_smoke import EXECUTIONS
from tests.playbooks.conftest import emulator, project, unique
from tests.playbooks.project import Project

__all__ = ["emulator", "project", "unique"]

MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("cornerstone.tfstate.tf_lock_table", {}),
    "theirs": ("community.aws.dynamodb_table", {"hash_key_name": "LockID", "billing_mode": "PAY_PER_REQUEST"}),
}
CREDENTIALS = ("access_key", "secret_key")
#: Keywords of a task that makes a table of its own.
MAKING: dict[str, dict[str, Any]] = {
    "none": {},
    "check_mode": {"check_mode": True},
    "diff": {"diff": True},
    "when": {"when": "1 > 2"},
    "changed_when": {"changed_when": False},
    "failed_when": {"failed_when": "{{ result is changed }}", "ignore_errors": True},
    "no_log": {"no_log": True},
    "throttle": {"throttle": 1},
    "run_once": {"run_once": True},
    "timeout": {"timeout": 60},
    "until": {"until": "{{ result is changed }}", "retries": 2, "delay": 0},
    "async": {"async": 60, "poll": 1},
    "delegate_to": {"delegate_to": "elsewhere"},
    **({"become": {"become": True, "become_method": "ansible.builtin.su"}} if os.geteuid() == 0 else {}),
    "notify": {"notify": "Notice"},
    "vars": {"vars": {"prefix": "{{ 'from-' ~ 'vars' }}"}},
    "environment": {"environment": {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}},
    "module_defaults": {"module_defaults": {name: {"region": "eu-west-1"} for name, _more in MODULES.values()}},
    "loop": {"loop": ["one", "two", "one"]},
    "loop with a failure": {"loop": ["one", "no/name"], "ignore_errors": True},
    "loop_control": {"loop": ["one"], "loop_control": {"loop_var": "item", "index_var": "number", "label": "x"}},
}
#: What these keywords take the place of.
LEFT_OUT = {"environment": CREDENTIALS, "module_defaults": ("region",)}
#: Keywords of a task that fails.
FAILING: dict[str, dict[str, Any]] = {
    "ignore_errors": {"ignore_errors": True},
    "failed_when": {"failed_when": False},
    "until": {"until": "{{ result is success }}", "retries": 1, "delay": 0, "ignore_errors": True},
    "no_log": {"no_log": True, "ignore_errors": True},
    "async": {"async": 60, "poll": 1, "ignore_errors": True},
    "check_mode": {"check_mode": True, "ignore_errors": True},
}
#: Where ours tells more: the other module has no diff, and validates no name in check mode.
ONLY_OURS = {
    "making diff": {"changed": True, "failed": False, "diff": True},
    "failing check_mode": {"changed": False, "failed": True},
}
#: What a registered result says of its task, whatever the module is.
SAID = (
    "changed",
    "failed",
    "skipped",
    "skip_reason",
    "attempts",
    "finished",
    "started",
    "censored",
    "failed_when_result",
)


def tasks_of(who: str, connection: Mapping[str, str], unique: str) -> list[dict[str, Any]]:
    module, own = MODULES[who]
    tasks: list[dict[str, Any]] = []
    for kind, cases in (("making", MAKING), ("failing", FAILING)):
        for case, keywords in cases.items():
            name = f"{who}-{len(tasks)}-{unique}"
            name = f"{name}{{{{ item }}}}" if "loop" in keywords else name if kind == "making" else f"{name}/none"
            given = {option: value for option, value in connection.items() if option not in LEFT_OUT.get(case, ())}
            tasks.append(
                {
                    "name": f"{who} {kind} {case}",
                    module: {"name": name, **own, **given},
                    "register": "result",
                    **keywords,
                    **{name: f"{value} {who}" for name, value in keywords.items() if name == "notify"},
                }
            )
            with_result = f"{{{{ {who} | default({{}}) | combine({{'{kind} {case}': result}}) }}}}"
            tasks.append({"ansible.builtin.set_fact": {who: with_result}})
    return [*tasks, {"ansible.builtin.meta": "flush_handlers"}]


def said(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: result[name] for name in SAID if name in result}
    if "results" in result:
        found["results"] = [said(each) for each in result["results"]]
    if "diff" in result:
        found["diff"] = True
    return found


@pytest.mark.parametrize("run_tasks", EXECUTIONS.values(), ids=EXECUTIONS)
def test_keywords_do_what_they_do_with_other_modules(project: Project, unique: str, run_tasks: str) -> None:
    project.inventory({"here": {}, "elsewhere": {}}, cornerstone_tfstate_in_process=run_tasks)
    registered = "{{ {'ours': ours, 'theirs': theirs, 'noticed': [noticed_ours, noticed_theirs]} | to_json }}"
    play = {
        "hosts": "here",
        "gather_facts": False,
        "tasks": [
            *(task for who in MODULES for task in tasks_of(who, project.connection(), unique)),
            {"ansible.builtin.copy": {"content": registered, "dest": f"{project.home}/registered"}},
        ],
        "handlers": [
            {"name": f"Notice {who}", "ansible.builtin.set_fact": {f"noticed_{who}": True}} for who in MODULES
        ],
    }
    project.write("site.yml", [play])
    run = project.play("site.yml", ANSIBLE_ASYNC_DIR=str(project.home / "jobs"))
    assert run.code == 0, run.output
    found = json.loads(Path(project.home, "registered").read_text())
    ours, theirs = ({case: said(each) for case, each in found[who].items()} for who in MODULES)
    assert ours == {**theirs, **ONLY_OURS}
    assert theirs["making diff"]["changed"] and not theirs["failing check_mode"]["failed"]
    assert found["noticed"] == [True, True]


#: Keywords of a play in which one host of three fails.
OF_PLAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "strategy": {"strategy": "free"},
    "serial": {"serial": 1},
    "any_errors_fatal": {"any_errors_fatal": True},
    "max_fail_percentage": {"max_fail_percentage": 10},
    "serial and max_fail_percentage": {"serial": 2, "max_fail_percentage": 0},
    "order": {"order": "reverse_inventory", "serial": 1, "any_errors_fatal": True},
}


@pytest.mark.parametrize("case", OF_PLAYS)
def test_keywords_of_plays_end_them_as_with_other_modules(project: Project, unique: str, case: str) -> None:
    project.inventory({"one": {}, "two": {}, "three": {}})
    name = "{{ inventory_hostname }}-" + unique + "{{ '/none' if inventory_hostname == 'two' else '' }}"
    ended = []
    for who, (module, own) in MODULES.items():
        tasks = [
            {module: {"name": f"{who}-{name}", **own, **project.connection()}},
            {"ansible.builtin.debug": {"msg": "after it"}},
        ]
        project.write("site.yml", [{"hosts": "states", "gather_facts": False, "tasks": tasks, **OF_PLAYS[case]}])
        run = project.play("site.yml")
        ended.append((run.code, run.recap))
    assert ended[0] == ended[1]
    assert ended[0][0] == 2 and ended[0][1]["two"]["failed"] == 1

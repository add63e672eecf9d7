# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a task runs in-process: where nothing could tell the worker from a module process, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible_collections.cornerstone.tfstate.plugins.action import tf_lock_table
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import in_process as _in_process

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 every text may be a template
    trust_as_template = str

OTHER_PYTHON = "/usr/bin/python3.0"
ARGUMENTS = {"name": "locks", "region": "eu-west-1"}
FAST = {"failed": False, "by": "the worker"}
SLOW = {"failed": False, "by": "a module process"}


def entered(
    monkeypatch: pytest.MonkeyPatch,
    *,
    task: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
    become: bool = False,
    connection: str = "local",
    arguments: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result of a task, and what the core or the module was called with."""
    given: dict[str, Any] = {}

    def carried_out(self: Any, entry: Any, module: str, arguments: dict[str, Any], wrote: Any) -> _in_process.Execution:
        given.update(arguments)
        return _in_process.Execution(dict(FAST), dict(FAST))

    def executed(self: Any, module_name: str, module_args: dict[str, Any], **more: Any) -> dict[str, Any]:
        given.update(module_args)
        return dict(SLOW)

    monkeypatch.setattr(_in_process, "in_child_process", lambda work, *_unused: work(lambda _call: None))
    monkeypatch.setattr(_in_process.InProcessAction, "_execute_in_process", carried_out)
    monkeypatch.setattr(tf_lock_table.ActionModule, "_execute_module", executed)
    loader, context = DataLoader(), PlayContext()
    context.become = become
    wanted = Task.load({"action": "cornerstone.tfstate.tf_lock_table", **(task or {})}, loader=loader)
    wanted.args = arguments or ARGUMENTS
    known = {
        name: trust_as_template(value) if isinstance(value, str) else value for name, value in (variables or {}).items()
    }
    action = tf_lock_table.ActionModule(
        task=wanted,
        connection=connection_loader.get(connection, context),
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader, variables=known),
        shared_loader_obj=None,
    )
    result = action.run(None, known)
    return {name: result[name] for name in FAST}, given


@pytest.mark.parametrize(
    ("died", "version", "msg"),
    [
        ({"msg": "MODULE FAILURE", "rc": 1}, "3.9", "Python 3.10 or newer is needed; /usr/bin/python3.0 is 3.9: "),
        ({"exception": "cannot import name 'TypeAlias'"}, "3.6\r\n", "Python 3.10 or newer is needed"),
        ({"msg": "MODULE FAILURE", "rc": 1}, "3.10", "MODULE FAILURE"),
        ({"exception": "no space left"}, "3.14", _in_process.DIED),
        ({"exception": "no such file"}, "", _in_process.DIED),
        ({"msg": "refused", "invocation": {}}, "3.9", "refused"),
    ],
)
def test_a_module_process_that_dies_has_a_reason(
    died: dict[str, Any], version: str, msg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_self: Any, command: str, **_more: Any) -> dict[str, Any]:
        assert command.startswith(f"{OTHER_PYTHON} -c ")
        return {"stdout": version, "rc": 0 if version else 127}

    monkeypatch.setattr(tf_lock_table.ActionModule, "_low_level_execute_command", asked)
    action = tf_lock_table.ActionModule.__new__(tf_lock_table.ActionModule)
    action._used_interpreter = f"#!{OTHER_PYTHON}"
    result = action._with_reason({"failed": True, "changed": False, **died})
    assert result["failed"] and result["msg"].startswith(msg)


INTERPRETER = "ansible_python_interpreter"
INTERPRETER_PYTHON = "INTERPRETER_PYTHON"
SWITCH = "cornerstone_tfstate_in_process"
DEPRECATED_SWITCH = "cornerstone_tfstate_fast_door"
WORKER: dict[str, dict[str, Any]] = {
    "nothing said": {},
    "this interpreter": {"variables": {INTERPRETER: sys.executable}},
    "this interpreter, by a template": {
        "variables": {INTERPRETER: "{{ ansible_playbook_python }}", "ansible_playbook_python": sys.executable}
    },
    "credentials in the environment": {
        "task": {"environment": {"AWS_PROFILE": "b", "HTTPS_PROXY": "http://127.0.0.1"}}
    },
    "switched on": {"variables": {SWITCH: "yes"}},
    "a deadline": {"task": {"timeout": 60}},
}
PROCESS: dict[str, dict[str, Any]] = {
    "another user": {"become": True},
    "another host": {"task": {"delegate_to": "elsewhere"}},
    "another connection": {"connection": "ssh"},
    "another interpreter": {"variables": {INTERPRETER: OTHER_PYTHON}},
    "another interpreter, by a template": {"variables": {INTERPRETER: "{{ python }}", "python": OTHER_PYTHON}},
    "a later answer": {"task": {"async": 60}},
    "what others read in the environment": {"task": {"environment": {"PATH": "/bin", "AWS_PROFILE": "b"}}},
    "other service models": {"task": {"environment": {"AWS_DATA_PATH": "/tmp"}}},
    "switched off": {"variables": {SWITCH: "no"}},
    "switched off, by its name in 0.1.0": {"variables": {DEPRECATED_SWITCH: "no"}},
    "switched off, by a template": {"variables": {SWITCH: "{{ fast }}", "fast": False}},
}


@pytest.mark.parametrize("case", WORKER)
def test_this_is_done_in_the_worker(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    assert entered(monkeypatch, **WORKER[case])[0] == FAST


@pytest.mark.parametrize("case", PROCESS)
def test_this_is_done_by_a_module_process(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    assert entered(monkeypatch, **PROCESS[case])[0] == SLOW


def test_the_interpreter_of_the_configuration_is_that_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def configured(text: str) -> None:
        monkeypatch.setattr(
            _in_process.C.config, "get_config_value", lambda name, **_more: {INTERPRETER_PYTHON: text}[name]
        )

    for looked_for in ("auto", "auto_silent", "auto_legacy"):
        configured(looked_for)
        assert entered(monkeypatch)[0] == FAST
    configured(OTHER_PYTHON)
    assert entered(monkeypatch)[0] == SLOW
    assert entered(monkeypatch, variables={INTERPRETER: sys.executable})[0] == FAST
    configured(sys.executable)
    assert entered(monkeypatch)[0] == FAST


def test_a_link_to_this_python_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert entered(monkeypatch, variables={INTERPRETER: str(link)})[0] == SLOW


def test_without_botocore_a_module_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_in_process, "BOTOCORE_MISSING", ImportError("botocore"))
    assert entered(monkeypatch)[0] == SLOW


def test_on_macos_it_must_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert entered(monkeypatch)[0] == SLOW
    assert entered(monkeypatch, variables={SWITCH: True})[0] == FAST


@pytest.mark.parametrize(
    ("task", "asked", "given"),
    [
        ({}, None, None),
        ({"timeout": 60}, None, 40),
        ({"timeout": 60}, 20, 20),
        ({"timeout": 60}, "100", 40),
        ({"timeout": 1}, None, 1),
        ({"async": 60}, None, 40),
        ({"timeout": 600}, None, 300),
        ({"timeout": 60}, "soon", "soon"),
    ],
)
def test_the_work_ends_before_its_task(
    monkeypatch: pytest.MonkeyPatch, task: dict[str, Any], asked: Any, given: Any
) -> None:
    arguments = ARGUMENTS if asked is None else {**ARGUMENTS, "wait_timeout": asked}
    assert entered(monkeypatch, task=task, arguments=arguments)[1].get("wait_timeout") == given


@pytest.mark.parametrize("case", [{"task": {"delegate_to": "localhost"}}, {"connection": "ssh"}])
def test_paths_of_another_machine_are_its_own(monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    arguments = {**ARGUMENTS, "directory": "backends/x"}
    given = entered(monkeypatch, arguments=arguments, variables={"playbook_dir": "/srv"}, **case)[1]
    assert given["directory"] == ("backends/x" if "connection" in case else "/srv/backends/x")

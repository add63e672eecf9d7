# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process without threads that carries out tasks, each in a fork of its own that may be killed.

    python -m tests.integration.launcher HOME     a task a line in, a result a line out, as JSON

What happens here happens in a worker of `ansible-playbook`, by the same action plugins and from the same modules. But
starting Ansible for every case would take hours, and for every single call that a run could die at, days.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible.module_utils import basic
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.connection.local import Connection
from ansible.template import Templar
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import run_module
from botocore.retries.standard import ExponentialBackoff

from tests.integration.module_runs import COLLECTION, ENTRIES
from tests.support.botocore_handlers import register_fast
from tests.support.clean_environment import clean_environment

Result = dict[str, Any]


def carried_out(asked: Mapping[str, Any]) -> Result:
    """By the action plugin, as a worker of Ansible runs it."""
    name, variables = asked["module"], asked["variables"]
    loader, context, task = DataLoader(), PlayContext(), Task()
    task.action, task.args = f"{COLLECTION}.{name}", asked["params"]
    task.check_mode, task.diff = asked["check_mode"], asked["diff"]
    known = {
        "inventory_hostname": "localhost",
        **variables,
        "cornerstone_tfstate_in_process": asked["is_fast"],
        "ansible_python_interpreter": sys.executable,
    }
    action = import_module(f"ansible_collections.{COLLECTION}.plugins.action.{name}").ActionModule(
        task=task,
        connection=Connection(context, None),
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader, variables=known),
        shared_loader_obj=None,
    )
    action._execute_module = partial(as_module, task)
    result: Result = action.run(None, known)
    return result


def as_module(task: Task, module_name: str, module_args: Mapping[str, Any], **_of_ansible: Any) -> Result:
    """The module's process, from the arguments that Ansible hands it to the JSON that it prints."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(writer, 1)
        given = {**module_args, "_ansible_check_mode": task.check_mode, "_ansible_diff": task.diff}
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
        basic._ANSIBLE_PROFILE = "legacy"  # which ansible-core from 2.19 on asks for
        if internal := sys.modules.get("ansible.module_utils._internal"):
            internal.is_controller = False  # or warnings would go to the screen
        try:
            run_module(ENTRIES[module_name.rpartition(".")[2]])
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        said = told.read()
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return {"failed": True, "msg": f"the module died ({signal.Signals(-code).name})"}
    result: Result = json.loads(said)
    if "warnings" in result:  # as callbacks show them, whatever ansible-core wraps them in
        result["warnings"] = [each if isinstance(each, str) else each["event"]["msg"] for each in result["warnings"]]
    return result


def main() -> None:
    # Emulators are at rest at once: waiting for them, ours and botocore's, takes milliseconds.
    Aws.pause = lambda self, attempt: time.sleep(0.002)  # type: ignore[method-assign]
    Aws.rest = lambda self, seconds: time.sleep(0.002)  # type: ignore[method-assign]
    ExponentialBackoff.delay_amount = lambda self, context: 0.002
    register_fast()
    with clean_environment(Path(sys.argv[1])), os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what Ansible displays is no answer
        for line in sys.stdin:
            asked = json.loads(line)
            os.chdir(asked["home"])
            print(json.dumps(carried_out(asked), default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()

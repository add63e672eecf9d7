# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In-process: a module's code in the worker that Ansible forks anyway, where that is the same as the module."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import BOTOCORE_MISSING, warm
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import OPTIONS, in_variables
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleEntry, result_of, shown
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import LOCK_FILE_SUFFIX

from .._fleet.files import inventory_problem
from .._report.terminal import show
from .child_process import TRACEBACK, environment_set, in_child_process
from .module_defaults import written
from .paths import absolute_paths
from .role_variables import NAMES
from .variable_names import PLAYBOOK, ExtraVariables, check_extra_variables, deprecation

INTERPRETER = "ansible_python_interpreter"
#: Switches in-process runs off, or on where they are off: forking after system libraries were used is unsafe on macOS.
SWITCH = "cornerstone_tfstate_in_process"
#: The name of the same variable in 0.1.0.
DEPRECATED_SWITCH = "cornerstone_tfstate_fast_door"
PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
#: The option by which a module limits itself. Of the time of its task, a third is left for starting and ending it.
WAIT = "wait_timeout"
#: Of a host that cannot be reached.
IS_NO_MACHINE = (
    "If the host is a backend and not a machine to log in to, set ansible_connection: local for it in the inventory"
)

#: That modules run on.
OLDEST_PYTHON = (3, 10)
PRINT_VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])'
DIED = f"the module process ended without a result; {TRACEBACK} shows more"

warm()  # in the parent, before it forks: every worker inherits the parsed service models


@dataclass(frozen=True)
class Execution:
    """The result of a module: as it is, for what is made from it, and as everybody may see it."""

    whole: dict[str, Any]
    shown: dict[str, Any]


class InProcessAction(ActionBase):  # type: ignore[misc]
    """An action that carries out modules of ours, each in-process or as a subprocess."""

    #: Whether AWS is called: it may hang, or take the process along. Files are written as fast as a process is forked.
    needs_botocore = True
    #: The operation whose writes are shown as progress, and the word for it.
    progress = ("", "")
    _shown_place: str | None = None
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.task_vars = dict(task_vars or {})
        if self._is_local() and self.task_vars.get(INTERPRETER) is None:
            self.task_vars[INTERPRETER] = configured_interpreter() or sys.executable
        self._environment: dict[str, str] = {}
        self._compute_environment_string(self._environment)
        extra = self._extra_variables()
        problems = [*extra.refused, *filter(None, [inventory_problem(self.task_vars)])]
        if problems:
            return {**result, "failed": True, "changed": False, "msg": "; ".join(problems)}
        self._runs_in_process = self._can_run_in_process()
        if self._runs_in_process and self.needs_botocore:
            outcome = in_child_process(self.work, self._warn_interrupted, self.on_write, self._on_notice)
        else:
            outcome = self.work()
        outcome = self._in_variables(outcome)
        if extra.warnings:
            outcome["warnings"] = [*extra.warnings, *(outcome.get("warnings") or ())]
        return {**result, **printable_result(outcome)}

    def _extra_variables(self) -> ExtraVariables:
        """What is wrong with them. Those that were given by the names of before become options of the task."""
        play = getattr(getattr(self._task, "_parent", None), "_play", None)
        of_play = getattr(play, "vars", None) or {}
        extra = check_extra_variables(self.task_vars, self._loader, NAMES, self._templar.template, of_play)
        if extra.short:
            options = written(self._task)
            self._task.args.update({name: value for name, value in extra.short.items() if name in options})
            Display().deprecated(
                deprecation(self.task_vars[PLAYBOOK], extra.short),
                version="1.0.0",
                collection_name="cornerstone.tfstate",
            )
        return extra

    def _in_variables(self, outcome: dict[str, Any]) -> dict[str, Any]:
        """The result, whose message and warnings name options by the variables of the playbook."""
        playbook = self.task_vars.get(PLAYBOOK)
        if playbook not in OPTIONS:
            return outcome
        named: dict[str, Any] = {"msg": in_variables(playbook, str(outcome["msg"]))} if "msg" in outcome else {}
        if outcome.get("warnings"):
            named["warnings"] = [in_variables(playbook, str(each)) for each in outcome["warnings"]]
        return {**outcome, **named}

    @property
    def module(self) -> str:
        """The short name of the module that the action stands for."""
        return type(self).__module__.rpartition(".")[2]

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        """The result of the task, by way of `run_entry`; `on_write` is called for each write of an in-process run."""
        raise NotImplementedError

    def on_write(self, written: str) -> None:
        """Shows each object once the work on it has come so far: whoever waits for a big bucket sees it go on."""
        operation, _on, place = written.partition(" on ")
        shown_operation, word = self.progress
        if operation == shown_operation and place != self._shown_place and not place.endswith(LOCK_FILE_SUFFIX):
            self._shown_place = place
            Display().display(f"{word}: s3://{printable(place)}", stderr=True)

    def _on_notice(self, notice: str) -> None:
        """Shows what the work waits for."""
        Display().display(f"[{self.task_vars.get('inventory_hostname')}]: {printable(notice)}", stderr=True)

    def run_entry(
        self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback
    ) -> dict[str, Any]:
        """The result of a module, as everybody may see it."""
        return self.execute(entry, module, arguments, on_write).shown

    def execute(self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback) -> Execution:
        """The result of a module. A process of its own tells no more than everybody may see.

        A module process is told of blanks and dates no more than the worker is.
        """
        try:
            arguments = entry.without_blanks(arguments)
        except Invalid as problem:
            refused = {"failed": True, "msg": str(problem), "changed": False}
            return Execution(refused, refused)
        arguments = {**arguments, **self._timeout_below_task(entry, arguments)}
        if self._runs_in_process:
            with self.environment():
                return self._execute_in_process(entry, module, arguments, on_write)
        if self._task.async_val and (too_old := self._old_python(self._given_interpreter())):
            refused = {"failed": True, "msg": too_old, "changed": False}
            return Execution(refused, refused)
        in_a_process = {"task_vars": self.task_vars, "wrap_async": self._task.async_val}
        try:
            result: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, **in_a_process)
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(f"{error} {IS_NO_MACHINE}") from None
        result = self._with_reason(result)
        return Execution(result, result)

    def _with_reason(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result of a module process. One that dies gives no reason; with an old Python it dies of its imports."""
        if not result.get("failed") or "invocation" in result:
            return result
        problem = self._old_python((self._used_interpreter or "").removeprefix("#!"))
        if problem:
            return {"failed": True, "msg": problem, "changed": False}
        return {**result, "msg": result.get("msg") or DIED}

    def _old_python(self, interpreter: str) -> str | None:
        """What is wrong with the Python of the host, if it is too old."""
        if not interpreter.startswith("/"):  # not known, or looked for by Ansible
            return None
        answer = self._low_level_execute_command(f"{interpreter} -c {shlex.quote(PRINT_VERSION)}")
        found = re.search(r"^(\d+)\.(\d+)\r?$", answer.get("stdout") or "", re.MULTILINE)
        if not found or (version := (int(found[1]), int(found[2]))) >= OLDEST_PYTHON:
            return None
        return (
            f"Python {_dotted(OLDEST_PYTHON)} or newer is needed; {interpreter} is {_dotted(version)}: "
            f"set {INTERPRETER} to a newer one"
        )

    def _given_interpreter(self) -> str:
        return str(self._templar.template(self.task_vars.get(INTERPRETER))) if not self._task.delegate_to else ""

    def _timeout_below_task(self, entry: ModuleEntry, arguments: dict[str, Any]) -> dict[str, Any]:
        """A deadline below that of the task, which would kill the work before it could tell why it takes so long."""
        limit_s = self._task.async_val or self._task.timeout
        timeout = str(arguments.get(WAIT, entry.spec.get(WAIT, {}).get("default")))
        return {WAIT: min(int(timeout), max(1, limit_s * 2 // 3))} if limit_s and timeout.isdecimal() else {}

    def environment(self) -> AbstractContextManager[None]:
        """The environment that the task asks for."""
        return environment_set(self._environment)

    def absolute_paths(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with the paths of this machine absolute; another machine's are its own."""
        return absolute_paths(arguments, self.task_vars) if self._connection.transport == "local" else arguments

    def _is_local(self) -> bool:
        return self._connection.transport == "local" and not self._task.delegate_to

    def _can_run_in_process(self) -> bool:
        """Whether nothing about this task could tell the worker from a module process."""
        if DEPRECATED_SWITCH in self.task_vars:
            Display().deprecated(
                f"{DEPRECATED_SWITCH} is called {SWITCH} now.", version="1.0.0", collection_name="cornerstone.tfstate"
            )
        switch = self.task_vars.get(SWITCH, self.task_vars.get(DEPRECATED_SWITCH, sys.platform != "darwin"))
        wanted = self._templar.template(switch)
        interpreter = str(self._templar.template(self.task_vars.get(INTERPRETER)))
        return (
            boolean(wanted, strict=False)
            and self._is_local()
            and not self._play_context.become
            and not self._task.async_val
            and _normalised(interpreter) == _normalised(sys.executable)
            and all(_is_harmless(name) for name in self._environment)
            and not (self.needs_botocore and BOTOCORE_MISSING)
        )

    def _execute_in_process(
        self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback
    ) -> Execution:
        """What AnsibleModule does around a module's core: validation before it, removal of secrets after it."""
        validated = ArgumentSpecValidator(entry.spec, **entry.rules).validate(arguments)
        params = validated.validated_parameters
        if validated.error_messages:
            result: dict[str, Any] = {"failed": True, "msg": _validation_message(module, validated.errors[0])}
        else:
            result = result_of(entry, params, bool(self._task.check_mode), bool(self._task.diff), on_write)
        if not result.get("warnings"):
            result.pop("warnings", None)
        return Execution(result, shown(entry, params, result, validated._no_log_values))

    def _warn_interrupted(self, written: list[str]) -> None:
        """Ansible's own message says only that the time is up."""
        done = ", ".join(written) or "nothing"
        text = f"{self._task.action} was cut short; until then it wrote: {done}. Run it again to finish."
        Display().warning(printable(text))


class ModuleAction(InProcessAction):
    """Base of the action plugins that bear the names of our modules."""

    MODULE: ModuleEntry
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        if "backup" in result and not result.get("failed") and (text := self.line(result)):
            show(text)
        return result

    def line(self, result: Mapping[str, Any]) -> str:
        """What people are told about a result with a backup, if anything."""
        return ""

    @property
    def needs_botocore(self) -> bool:  # type: ignore[override]
        return self.MODULE.needs_botocore

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        try:  # before paths are looked at: a blank one would be the folder that one is in
            arguments = self.MODULE.without_blanks(self.arguments())
        except Invalid as problem:
            return {"failed": True, "msg": str(problem), "changed": False}
        return self.run_entry(self.MODULE, self._task.action, self.absolute_paths(arguments), on_write)

    def arguments(self) -> dict[str, Any]:
        """What the task says, before validation."""
        return dict(self._task.args)


def _validation_message(module: str, error: Any) -> str:
    """The words of AnsibleModule."""
    if isinstance(error, UnsupportedError):
        return f"Unsupported parameters for ({module}) module: {error.msg}"
    return str(error.msg)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def configured_interpreter() -> str | None:
    """The Python that Ansible's configuration names for all hosts, if it does not say to look for one."""
    named = str(C.config.get_config_value("INTERPRETER_PYTHON") or "auto")
    return None if named.startswith("auto") else named


def _normalised(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links are kept: a venv's Python and its base are not the same


def _is_harmless(name: str) -> bool:
    """Whether only botocore reads the variable, and reads it anew for each session."""
    return (name.startswith("AWS_") and name != "AWS_DATA_PATH") or name.lower() in PROXIES

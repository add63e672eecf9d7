# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In-process: a module's code in the worker that Ansible forks anyway, where that is the same as the module."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import BOTOCORE_MISSING, warm
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleEntry, result_of, shown

from .child_process import applied, in_child_process

INTERPRETER = "ansible_python_interpreter"
#: Switches in-process runs off, or on where they are off: forking after system libraries were used is unsafe on macOS.
SWITCH = "cornerstone_tfstate_in_process"
#: The name of the same variable in 0.1.0.
DEPRECATED_SWITCH = "cornerstone_tfstate_fast_door"
PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
#: The options of modules that name something on the disk of this machine.
PATHS = ("directory", "project", "code", "backup")
#: The option by which a module limits itself. Of the time of its task, a third is left for starting and ending it.
WAIT = "wait_timeout"

warm()  # in the parent, before it forks: every worker inherits the parsed service models


@dataclass(frozen=True)
class Answer:
    """The result of a module: as it is, for what is made from it, and as everybody may see it."""

    whole: dict[str, Any]
    shown: dict[str, Any]


class InProcessAction(ActionBase):  # type: ignore[misc]
    """An action that carries out modules of ours, each in-process or as a subprocess."""

    #: Whether AWS is called: it may hang, or take the process along. Files are written as fast as a process is forked.
    NEEDS_BOTOCORE = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.known = dict(task_vars or {})
        if self._is_local() and self.known.get(INTERPRETER) is None:
            self.known[INTERPRETER] = sys.executable
        self._environment: dict[str, str] = {}
        self._compute_environment_string(self._environment)
        self._fast = self._is_fast()
        is_apart = self._fast and self.NEEDS_BOTOCORE
        done = in_child_process(self.work, self._cut_short, self.on_write) if is_apart else self.work()
        return {**result, **printable_result(done)}

    @property
    def module(self) -> str:
        """The short name of the module that the action stands for."""
        return type(self).__module__.rpartition(".")[2]

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        """The result of the task, by way of `enter`; `wrote` is told of each write of a run in-process."""
        raise NotImplementedError

    def on_write(self, written: str) -> None:
        """Of each write, as it happens in-process."""

    def enter(
        self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback
    ) -> dict[str, Any]:
        """The result of a module, as everybody may see it."""
        return self.answer(entry, module, arguments, on_write).shown

    def answer(self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback) -> Answer:
        """The result of a module. A process of its own tells no more than everybody may see.

        A module process is told of blanks and dates no more than the worker is.
        """
        try:
            arguments = entry.without_blanks(arguments)
        except Invalid as problem:
            refused = {"failed": True, "msg": str(problem), "changed": False}
            return Answer(refused, refused)
        arguments = {**arguments, **self._in_time(entry, arguments)}
        if self._fast:
            with self.environment():
                return self._carried_out(entry, module, arguments, on_write)
        in_a_process = {"task_vars": self.known, "wrap_async": self._task.async_val}
        result: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, **in_a_process)
        return Answer(result, result)

    def _in_time(self, entry: ModuleEntry, arguments: dict[str, Any]) -> dict[str, Any]:
        """A deadline below that of the task, which would kill the work before it could tell why it takes so long."""
        limit_s = self._task.async_val or self._task.timeout
        asked = str(arguments.get(WAIT, entry.spec.get(WAIT, {}).get("default")))
        return {WAIT: min(int(asked), max(1, limit_s * 2 // 3))} if limit_s and asked.isdecimal() else {}

    def environment(self) -> AbstractContextManager[None]:
        """The environment that the task asks for."""
        return applied(self._environment)

    def from_here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Relative paths are those of the shell, as for any command, and not where a module happens to run."""
        if not self._is_local():
            return arguments
        return {**arguments, **{name: _from_here(arguments[name]) for name in PATHS if arguments.get(name)}}

    def _is_local(self) -> bool:
        return self._connection.transport == "local" and not self._task.delegate_to

    def _is_fast(self) -> bool:
        """Whether nothing about this task could tell the worker from a module process."""
        switch = self.known.get(SWITCH, self.known.get(DEPRECATED_SWITCH, sys.platform != "darwin"))
        wanted = self._templar.template(switch)
        interpreter = str(self._templar.template(self.known.get(INTERPRETER)))
        return (
            boolean(wanted, strict=False)
            and self._is_local()
            and not self._play_context.become
            and not self._task.async_val
            and _absolute(interpreter) == _absolute(sys.executable)
            and all(_is_harmless(name) for name in self._environment)
            and not (self.NEEDS_BOTOCORE and BOTOCORE_MISSING)
        )

    def _carried_out(
        self, entry: ModuleEntry, module: str, arguments: dict[str, Any], on_write: WriteCallback
    ) -> Answer:
        """What AnsibleModule does around a module's core: validation before it, removal of secrets after it."""
        validator = ArgumentSpecValidator(
            entry.spec, mutually_exclusive=entry.mutually_exclusive, required_together=entry.required_together
        )
        validated = validator.validate(arguments)
        params = validated.validated_parameters
        if validated.error_messages:
            result: dict[str, Any] = {"failed": True, "msg": _told(module, validated.errors[0])}
        else:
            result = result_of(entry, params, bool(self._task.check_mode), bool(self._task.diff), on_write)
        if not result.get("warnings"):
            result.pop("warnings", None)
        return Answer(result, shown(entry, params, result, validated._no_log_values))

    def _cut_short(self, written: list[str]) -> None:
        """Ansible's own message says only that the time is up."""
        done = ", ".join(written) or "nothing"
        told = f"{self._task.action} was cut short; until then it wrote: {done}. Run it again to finish."
        Display().warning(printable(told))


class ModuleAction(InProcessAction):
    """Base of the action plugins that bear the names of our modules."""

    MODULE: ModuleEntry
    _supports_async = True

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        try:  # before paths are looked at: a blank one would be the folder that one is in
            arguments = self.MODULE.without_blanks(self.arguments())
        except Invalid as problem:
            return {"failed": True, "msg": str(problem), "changed": False}
        return self.enter(self.MODULE, self._task.action, self.from_here(arguments), on_write)

    def arguments(self) -> dict[str, Any]:
        """What the task says, before validation."""
        return dict(self._task.args)


def _told(module: str, error: Any) -> str:
    """The words of AnsibleModule."""
    if isinstance(error, UnsupportedError):
        return f"Unsupported parameters for ({module}) module: {error.msg}"
    return str(error.msg)


def _from_here(value: Any) -> Any:
    """`value`: a path, or several, as a list or with commas between them; a URL is none."""
    if isinstance(value, list):
        return [_from_here(each) for each in value]
    if not isinstance(value, str) or "://" in value:
        return value
    with suppress(RuntimeError):  # a user whom this machine does not know: whoever reads the path says so
        return ",".join(str(Path(each.strip()).expanduser().absolute()) for each in value.split(","))
    return value


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links are kept: a venv's Python and its base are not the same


def _is_harmless(name: str) -> bool:
    """Whether only botocore reads the variable, and reads it anew for each session."""
    return (name.startswith("AWS_") and name != "AWS_DATA_PATH") or name.lower() in PROXIES

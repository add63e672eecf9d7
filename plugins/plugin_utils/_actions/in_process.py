# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door: a module's core in the worker that Ansible forks anyway, where that is the same as the module."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import BOTOCORE_MISSING, warm
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, Wrote, unheard
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import Edge, result_of, shown

INTERPRETER = "ansible_python_interpreter"
#: Switches the fast door off, or on where it is off: forking after system libraries were used is unsafe on macOS.
SWITCH = "cornerstone_tfstate_fast_door"
PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
#: The options of modules that name something on the disk of this machine.
PATHS = ("directory", "project", "code", "backup")
#: The option by which a module limits itself. Of the time of its task, a third is left for starting and ending it.
WAIT = "wait_timeout"
#: Python runs no handler of a signal that came just before it began to wait, so it never waits for longer.
NOTICE_S = 0.5
#: What a pipe holds at the most.
PIPE = 65536

warm()  # in the parent, before it forks: every worker inherits the parsed service models


@dataclass(frozen=True)
class Answer:
    """The result of a module: as it is, for what is made from it, and as everybody may see it."""

    whole: dict[str, Any]
    shown: dict[str, Any]


class Doors(ActionBase):  # type: ignore[misc]
    """An action that carries out modules of ours, each through the fast door or as a module process."""

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
        done = apart(self.work, self._cut_short, self.heard) if is_apart else self.work()
        return {**result, **printable_result(done)}

    @property
    def module(self) -> str:
        """The short name of the module that the action stands for."""
        return type(self).__module__.rpartition(".")[2]

    def work(self, wrote: Wrote = unheard) -> dict[str, Any]:
        """The result of the task, by way of `enter`; `wrote` is told of each write that the fast door lets through."""
        raise NotImplementedError

    def heard(self, written: str) -> None:
        """Of each write, as it happens in the process of the fast door."""

    def enter(self, edge: Edge, module: str, arguments: dict[str, Any], wrote: Wrote) -> dict[str, Any]:
        """The result of a module, as everybody may see it."""
        return self.answer(edge, module, arguments, wrote).shown

    def answer(self, edge: Edge, module: str, arguments: dict[str, Any], wrote: Wrote) -> Answer:
        """The result of a module. A process of its own tells no more than everybody may see.

        A module process is told of blanks and dates no more than the worker is.
        """
        try:
            arguments = edge.without_blanks(arguments)
        except Invalid as problem:
            refused = {"failed": True, "msg": str(problem), "changed": False}
            return Answer(refused, refused)
        arguments = {**arguments, **self._in_time(edge, arguments)}
        if self._fast:
            with self.environment():
                return self._carried_out(edge, module, arguments, wrote)
        in_a_process = {"task_vars": self.known, "wrap_async": self._task.async_val}
        result: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, **in_a_process)
        return Answer(result, result)

    def _in_time(self, edge: Edge, arguments: dict[str, Any]) -> dict[str, Any]:
        """A deadline below that of the task, which would kill the work before it could tell why it takes so long."""
        limit_s = self._task.async_val or self._task.timeout
        asked = str(arguments.get(WAIT, edge.spec.get(WAIT, {}).get("default")))
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
        wanted = self._templar.template(self.known.get(SWITCH, sys.platform != "darwin"))
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

    def _carried_out(self, edge: Edge, module: str, arguments: dict[str, Any], wrote: Wrote) -> Answer:
        """What AnsibleModule does around a module's core: validation before it, removal of secrets after it."""
        validator = ArgumentSpecValidator(
            edge.spec, mutually_exclusive=edge.mutually_exclusive, required_together=edge.required_together
        )
        validated = validator.validate(arguments)
        params = validated.validated_parameters
        if validated.error_messages:
            result: dict[str, Any] = {"failed": True, "msg": _told(module, validated.errors[0])}
        else:
            result = result_of(edge, params, bool(self._task.check_mode), bool(self._task.diff), wrote)
        if not result.get("warnings"):
            result.pop("warnings", None)
        return Answer(result, shown(edge, params, result, validated._no_log_values))

    def _cut_short(self, written: list[str]) -> None:
        """Ansible's own message says only that the time is up."""
        done = ", ".join(written) or "nothing"
        told = f"{self._task.action} was cut short; until then it wrote: {done}. Run it again to finish."
        Display().warning(printable(told))


class Door(Doors):
    """Base of the action plugins that bear the names of our modules."""

    EDGE: Edge
    _supports_async = True

    def work(self, wrote: Wrote = unheard) -> dict[str, Any]:
        try:  # before paths are looked at: a blank one would be the folder that one is in
            arguments = self.EDGE.without_blanks(self.arguments())
        except Invalid as problem:
            return {"failed": True, "msg": str(problem), "changed": False}
        return self.enter(self.EDGE, self._task.action, self.from_here(arguments), wrote)

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


@contextmanager
def applied(environment: Mapping[str, str]) -> Iterator[None]:
    """The task's environment, gone again afterwards: the items of a loop share a worker."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update({name: str(value) for name, value in environment.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def apart(
    work: Callable[[Wrote], dict[str, Any]],
    cut_short: Callable[[list[str]], None],
    heard: Callable[[str], None] = lambda _written: None,
) -> dict[str, Any]:
    """The result of `work` in a process of its own, which may die or be stopped without taking the worker along.

    Once Ansible itself is gone, nobody hears the result, and somebody may run it again: both processes end.
    """
    reader, writer = os.pipe()
    ansible = os.getppid()
    gc.freeze()  # as `warm` says
    child = os.fork()
    if child == 0:
        os.close(reader)
        _tell_all(work, writer)
    os.close(writer)
    written: list[str] = []
    result: dict[str, Any] | None = None
    try:
        for line in _lines(reader, ansible, child):
            message = json.loads(line)
            if isinstance(message, dict):
                result = message
            else:
                written.append(message)
                heard(message)
    except BaseException:  # a timeout of the task, or the user
        os.kill(child, signal.SIGTERM)  # after the file that it may be writing
        cut_short(written)
        raise
    finally:
        os.close(reader)
        _pid, status = os.waitpid(child, 0)
    if result is None:
        return {"failed": True, "changed": bool(written), "msg": _died(status, written)}
    return result


def _lines(told: int, parent: int, child: int) -> Iterator[bytearray]:
    """What the child tells, until it ends. If the parent of this process is gone, both end."""
    begun = bytearray()
    while True:
        while not wait([told], NOTICE_S):
            if os.getppid() != parent:
                os.kill(child, signal.SIGTERM)
                os._exit(1)
        piece = os.read(told, PIPE)
        if not piece:
            return
        begun += piece
        if b"\n" in piece:
            *lines, begun = begun.split(b"\n")
            yield from lines


def _tell_all(work: Callable[[Wrote], dict[str, Any]], writer: int) -> NoReturn:
    """In the child: a line for each write as it happens, and one for the result."""
    status = 1
    try:
        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):  # the worker's handlers are about the worker
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as tell:
            try:
                result = work(lambda call: print(json.dumps(str(call)), file=tell))
            except Exception as bug:  # what a module process would end with, as a result that Ansible shows
                said = f"{type(bug).__name__}: {bug}; this is a bug, please report it with the output of -vvv"
                result = {"failed": True, "msg": said, "exception": traceback.format_exc()}
            print(json.dumps(result), file=tell)
        status = 0
    finally:
        os._exit(status)


def _died(status: int, written: list[str]) -> str:
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    done = ", ".join(written) or "nothing"
    return f"the process that did the work died ({how}); until then it wrote: {done}. Run it again to finish."

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work in a child process of the worker, which may die or be stopped without taking the worker along."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, NoReturn

from ansible.release import __version__
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.deadline import listeners
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, WriteCallback

#: Python runs no handler of a signal that came just before it began to wait, so it never waits for longer.
NOTICE_S = 0.5
#: What a pipe holds at the most.
PIPE = 65536
#: What makes Ansible show the traceback of a result. From 2.19 on, -vvv no longer does.
TRACEBACK = (
    "ANSIBLE_DISPLAY_TRACEBACK=always" if tuple(map(int, __version__.split(".")[:2])) >= (2, 19) else "the option -vvv"
)


@contextmanager
def environment_set(environment: Mapping[str, str]) -> Iterator[None]:
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


def in_child_process(
    work: Callable[[WriteCallback], dict[str, Any]],
    on_interruption: Callable[[list[str]], None],
    on_write: Callable[[str], None] = lambda _written: None,
    on_notice: Callable[[str], None] = lambda _notice: None,
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
        _write_messages(work, writer)
    os.close(writer)
    written: list[str] = []
    result: dict[str, Any] | None = None
    try:
        for line in _lines(reader, ansible, child):
            message = json.loads(line)
            if isinstance(message, dict):
                result = message
            elif isinstance(message, list):
                on_notice(*message)
            else:
                written.append(message)
                on_write(message)
    except BaseException:  # a timeout of the task, or the user
        os.kill(child, signal.SIGTERM)  # after the file that it may be writing
        on_interruption(written)
        raise
    finally:
        os.close(reader)
        _pid, status = os.waitpid(child, 0)
    if result is None:
        return {"failed": True, "changed": bool(written), "msg": _exit_message(status, written)}
    return result


def _lines(pipe: int, parent: int, child: int) -> Iterator[bytearray]:
    """What the child tells, until it ends. If the parent of this process is gone, both end."""
    incomplete = bytearray()
    while True:
        while not wait([pipe], NOTICE_S):
            if os.getppid() != parent:
                os.kill(child, signal.SIGTERM)
                os._exit(1)
        piece = os.read(pipe, PIPE)
        if not piece:
            return
        incomplete += piece
        if b"\n" in piece:
            *lines, incomplete = incomplete.split(b"\n")
            yield from lines


def _write_messages(work: Callable[[WriteCallback], dict[str, Any]], writer: int) -> NoReturn:
    """In the child: a line for each write as it happens, and one for the result."""
    status = 1
    try:
        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):  # the worker's handlers are about the worker
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as stream:
            try:
                lock = threading.Lock()

                def on_write(call: Call) -> None:
                    with lock:
                        print(json.dumps(str(call)), file=stream)

                def on_notice(notice: str) -> None:
                    with lock:
                        print(json.dumps([notice]), file=stream)

                listeners.append(on_notice)
                result = work(on_write)
            except Exception as bug:  # what a module process would end with, as a result that Ansible shows
                what = f"{type(bug).__name__}: {bug}"
                msg = f"{what}; this is a bug, please report it with the traceback that {TRACEBACK} shows"
                result = {"failed": True, "msg": msg, "exception": traceback.format_exc()}
            print(json.dumps(result), file=stream)
        status = 0
    finally:
        os._exit(status)


def _exit_message(status: int, written: list[str]) -> str:
    code = os.waitstatus_to_exitcode(status)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    done = ", ".join(written) or "nothing"
    return f"the process that did the work died ({how}); until then it wrote: {done}. Run it again to finish."

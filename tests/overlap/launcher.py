# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process without threads that starts runs, each with the three processes that a task of ansible-playbook has.

    python -m tests.overlap.launcher HOME     a run a line in; a line out when its main process has ended, as JSON

The main process starts the worker, and the worker, by the action plugin, the child that does the work. Any of them may
be killed. A run that names a `program` is that program instead. What a killed main process leaves behind is adopted
here, so that it is seen to end.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks import lease
from botocore.retries.standard import ExponentialBackoff

from tests.integration.launcher import carried_out
from tests.integration.module_runs import COLLECTION
from tests.support.botocore_handlers import register_fast
from tests.support.clean_environment import clean_environment

PR_SET_CHILD_SUBREAPER = 36
PAUSE_S = 0.01
ACTIONS = Path(__file__).parents[2] / "plugins" / "action"
#: A lease of whoever is on another machine expires sooner here.
LEASES = {"LEASE_S": 6, "RENEW_S": 1.5, "TRUSTED_S": 4, "LOOK_S": 0.2}


def start(asked: dict[str, Any]) -> int:
    """The main process of a run, in a group of its own."""
    main = os.fork()
    if main:
        return main
    status = 1
    try:
        os.setpgid(0, 0)
        if "program" in asked:
            with Path(asked["answer"]).open("wb") as answer, Path(asked["answer"] + ".log").open("wb") as log:
                os.dup2(answer.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.chdir(asked["home"])
            os.execve(asked["program"][0], asked["program"], asked["environment"])
        _as_main(asked)
        status = 0
    finally:
        os._exit(status)


def _as_main(asked: dict[str, Any]) -> None:
    """Waits for the worker and tells what it said, as ansible-playbook shows a result."""
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reader)
        _as_worker(asked, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        said = told.read()
    _pid, status = os.waitpid(worker, 0)
    if not said:
        how = os.waitstatus_to_exitcode(status)
        said = json.dumps({"failed": True, "msg": f"a worker was found in a dead state ({how})", "is_dead": True})
    new = Path(asked["answer"] + ".new")
    new.write_text(said)
    new.rename(asked["answer"])


def _as_worker(asked: dict[str, Any], writer: int) -> None:
    try:
        os.chdir(asked["home"])
        if asked.get("machine"):
            lease._machine = lambda: hashlib.sha256(asked["machine"].encode()).hexdigest()[:12]
        result = carried_out(asked)
        with suppress(BrokenPipeError), os.fdopen(writer, "w", encoding="utf-8") as tell:
            tell.write(json.dumps(result, default=str))
    finally:
        os._exit(0)


def _is_alive(group: int, who: str, is_program: bool) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return is_program and _has_descendants(who)


def _has_descendants(who: str) -> bool:
    """Workers of ansible-playbook leave its group; they keep its environment."""
    mark = f"OVERLAP_RUN={who}\0".encode()
    for each in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in each.read_bytes() + b"\0":
                return True
    return False


def main() -> None:
    # Emulators are at rest at once: waiting for them, ours and botocore's, takes milliseconds.
    Aws.pause = lambda self, attempt: time.sleep(PAUSE_S)  # type: ignore[method-assign]
    Aws.rest = lambda self, seconds: time.sleep(PAUSE_S)  # type: ignore[method-assign]
    ExponentialBackoff.delay_amount = lambda self, context: PAUSE_S
    for name, seconds in LEASES.items():
        setattr(lease, name, seconds)
    register_fast()
    for plugin in ACTIONS.glob("tf_*.py"):  # as Ansible does before it forks
        import_module(f"ansible_collections.{COLLECTION}.plugins.action.{plugin.stem}")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with clean_environment(Path(sys.argv[1])), os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what Ansible displays is no answer
        _serve(answers)


def _serve(answers: Any) -> None:
    runs: dict[int, str] = {}
    groups: dict[int, str] = {}
    programs: set[int] = set()
    pending, is_open = b"", True
    while is_open or groups:
        if select.select([0], [], [], 0.01)[0] and is_open:
            piece = os.read(0, 65536)
            is_open = bool(piece)
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                asked = json.loads(line)
                pid = start(asked)
                runs[pid] = groups[pid] = asked["who"]
                programs |= {pid} if "program" in asked else set()
        _reap(runs, answers)
        over = [each for each in groups if each not in runs]
        for group in [each for each in over if not _is_alive(each, groups[each], each in programs)]:
            print(json.dumps({"who": groups.pop(group), "event": "gone"}), file=answers, flush=True)
        if not is_open:
            for group in groups:
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)


def _reap(runs: dict[int, str], answers: Any) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in runs:
                code = os.waitstatus_to_exitcode(status)
                print(json.dumps({"who": runs.pop(pid), "event": "ended", "code": code}), file=answers, flush=True)


if __name__ == "__main__":
    main()

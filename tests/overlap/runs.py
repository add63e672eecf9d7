# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs that are started side by side, killed, and started again until they succeed or are refused for good."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.module_runs import Playbook, Task, plain
from tests.support.clean_environment import without_aws

ROOT = Path(__file__).parents[2]
LIMIT_S = 120
#: Operations on one state, which write little.
SMALL = ("version", "digest", "unlock")
#: A process that is stopped goes on after so long, when its lease has expired: see `tests.overlap.launcher`.
STOP_S = 9.0
#: How a task is carried out: in the worker of Ansible, as a module process, and either by the real ansible-playbook.
WAYS = {"worker": True, "module": False, "playbook": True, "module of a playbook": False}


class Launcher:
    """Starts runs, and knows when their main process has ended and when the last of their processes is gone."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._events: dict[tuple[str, str], threading.Event] = {}
        #: When the last process of a run was gone.
        self.gone: dict[str, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, request: dict[str, Any]) -> None:
        with self._lock:
            for event in ("ended", "gone"):
                self._events[request["who"], event] = threading.Event()
            assert self.process.stdin
            print(json.dumps(request), file=self.process.stdin, flush=True)

    def wait(self, who: str, event: str, limit_s: float = LIMIT_S) -> bool:
        return self._events[who, event].wait(limit_s)

    def is_gone(self, who: str) -> bool:
        return self._events[who, "gone"].is_set()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            told = json.loads(line)
            if told["event"] == "gone":
                self.gone[told["who"]] = time.monotonic()
            self._events[told["who"], told["event"]].set()


@contextmanager
def launched(home: Path) -> Iterator[Launcher]:
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.overlap.launcher", str(home)],
            cwd=ROOT,
            env=without_aws(os.environ, home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield Launcher(process)
        finally:
            assert process.stdin
            process.stdin.close()  # it ends by that, and with it whoever reads what it says
            process.wait(60)


@dataclass(frozen=True)
class Operation:
    """Tasks that follow each other, as an operator starts them; `name` is what they do."""

    name: str
    tasks: tuple[Task, ...]
    is_deadly: bool = True


@dataclass
class Attempt:
    """One start of an operation; its access key is `who`."""

    who: str
    operation: str
    way: str
    start: float
    end: float = 0.0
    result: dict[str, Any] = field(default_factory=dict)
    kill: str | None = None

    @property
    def is_failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def is_cut_short(self) -> bool:
        return bool(self.result.get("is_dead")) or "died" in str(self.result.get("msg", ""))


@dataclass
class Operator:
    """Starts an operation, and again if it is killed or fails."""

    operation: Operation
    name: str
    launcher: Launcher
    configure: Callable[..., None]
    home: Path
    random: random.Random
    way: str
    kills: int
    delay_s: float
    #: Empty: all at the same one.
    machine: str = ""
    is_stopping: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    done: int = 0

    @property
    def is_done(self) -> bool:
        return self.done == len(self.operation.tasks)

    def run(self, until: float, most: int = 12) -> None:
        """Until all tasks have succeeded, or time or attempts are over."""
        time.sleep(self.delay_s)
        self.delay_s = 0
        for _unused in range(most):
            if self.is_done or (self.attempts and time.monotonic() > until):
                return
            attempt = self._attempt()
            if not attempt.is_failed:
                self.done += 1
            elif not attempt.is_cut_short:
                time.sleep(self.random.uniform(0.02, 0.15))

    def _attempt(self) -> Attempt:
        number = len(self.attempts) + 1
        attempt = Attempt(f"run-{self.name}.{number}", self.operation.name, self.way, time.monotonic())
        self.attempts.append(attempt)
        if self.kills > 0:
            attempt.kill = self._plan_kill(attempt.who)
        answer = self.home / f"{attempt.who}.json"
        self.launcher.start(self._request(attempt, answer))
        self.launcher.wait(attempt.who, "ended")
        attempt.result = self._result(answer)
        attempt.end = time.monotonic()
        self.kills -= attempt.is_cut_short or "SIGSTOP" in (attempt.kill or "")
        return attempt

    def _plan_kill(self, who: str) -> str:
        targets = self.random.choice([["main"], ["worker"], ["child"], ["main", "worker"], ["main", "worker", "child"]])
        numbers = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, *([signal.SIGSTOP] if self.machine else [])]
        number = signal.SIGSTOP if self.is_stopping else self.random.choice(numbers)
        targets = ["child"] if number == signal.SIGSTOP else targets
        counts_writes = self.random.random() < 0.6
        most = 7 if self.operation.name in SMALL else 24
        after = self.random.randint(1, most) if counts_writes else int(self.random.triangular(1, 120, 20))
        kill = {
            "who": who,
            "after": after,
            "targets": targets,
            "signal": int(number),
            "root": self.launcher.process.pid,
            "counts_writes": counts_writes,
            "stop_s": STOP_S,
        }
        self.configure(kills=[kill])
        return f"{' and '.join(targets)} by {number.name} after {'write' if counts_writes else 'call'} {after}"

    def _request(self, attempt: Attempt, answer: Path) -> dict[str, Any]:
        task = self.operation.tasks[self.done]
        params = {**task.params, "access_key": attempt.who, "secret_key": "no-secret-at-all"}
        if "source_bucket" in params:
            params |= {"source_access_key": attempt.who, "source_secret_key": "no-secret-at-all"}
        named = {"who": attempt.who, "answer": str(answer), "home": str(self.home)}
        is_fast = WAYS[self.way]
        if "playbook" in self.way:
            home = self.home / attempt.who
            home.mkdir()
            book = Playbook(home, {"cornerstone_tfstate_in_process": is_fast})
            (home / "tasks.json").write_text(json.dumps([book._play([Task(task.module, params)])]))
            program = str(Path(sys.executable).with_name("ansible-playbook"))
            environment = book._environment() | {"OVERLAP_RUN": attempt.who}
            command = [program, "-i", "localhost,", "-c", "local", "tasks.json"]
            return {**named, "home": str(home), "program": command, "environment": environment}
        named["machine"] = self.machine
        modes = {"check_mode": False, "diff": False, "variables": {}, "is_fast": is_fast}
        return {**named, "module": task.module, "params": params, **modes}

    def _result(self, answer: Path) -> dict[str, Any]:
        text = answer.read_text() if answer.exists() else ""
        if "playbook" in self.way:
            text = text[text.find("{\n") :] if "{\n" in text else ""
        try:
            told: dict[str, Any] = json.loads(text)
        except ValueError:
            return {"failed": True, "msg": "the main process died", "is_dead": True}
        if "playbook" not in self.way:
            return plain(told)
        (task,) = told["plays"][0]["tasks"]
        return plain(task["hosts"]["localhost"])


def post(url: str, **told: Any) -> None:
    request = urllib.request.Request(f"{url}/_overlap", data=json.dumps(told).encode(), method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
        pass

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a command costs: wall time, CPU and memory of all its processes, and how busy the machine was otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.2


@dataclass(frozen=True)
class Cost:
    """`memory_mb`: the largest sum of the proportional set sizes. `others`: cores that strangers kept busy."""

    code: int
    wall_s: float
    cpu_s: float
    memory_mb: float
    others: float


def measured(
    command: list[str], environment: dict[str, str], folder: Path, log: Path, limit_s: float, ours: int
) -> Cost:
    """Run a command to its end, or to the limit. `ours` is a process that works for it and is no stranger."""
    with log.open("ab") as output:
        start, strangers = time.monotonic(), _busy_s() - _cpu_s(ours) - _own_cpu_s()
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    timer = threading.Timer(limit_s, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        with _Memory(process.pid) as memory:
            _unused, status, usage = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.monotonic() - start, usage.ru_utime + usage.ru_stime
    strangers = _busy_s() - _cpu_s(ours) - _own_cpu_s() - cpu - strangers
    return Cost(process.returncode, wall, cpu, memory.peak_kb / 1024, max(0.0, strangers / wall))


class _Memory:
    """Watches a process and its descendants while the block lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self.peak_kb = 0

    def __enter__(self) -> _Memory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.peak_kb = max(self.peak_kb, sum(_proportional_kb(pid) for pid in _family(self._pid)))


def _family(pid: int) -> Iterator[int]:
    children = defaultdict(list)
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                children[int(_stat(int(path.name))[1])].append(int(path.name))
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        waiting += children[each]
        yield each


def _proportional_kb(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third one on: the second is a name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _own_cpu_s() -> float:
    own = os.times()
    return own.user + own.system


def _busy_s() -> float:
    user, nice, system, _unused, _unused, interrupts, soft_interrupts, *_unused = (
        Path("/proc/stat").read_text().split()[1:]
    )
    return sum(map(int, (user, nice, system, interrupts, soft_interrupts))) / TICKS_A_SECOND

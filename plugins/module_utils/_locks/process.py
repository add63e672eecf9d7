# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that holds a lock or a lease, as its record names it, and whether it is still running."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from .._terraform.protocol import LockInfo
from .stores import Lock

_PROCESS = re.compile("process ([0-9]+), started ([0-9]+), on ([0-9a-f]{12})")

#: The lock ids that this process holds. Other locks with its process id were left by a run that ended.
held_here: set[str] = set()


def this_process() -> str:
    return f"process {os.getpid()}, started {_started_at(os.getpid())}, on {_machine()}"


def is_running(lock: Lock) -> bool | None:
    """Whether the process that holds a lock is running; None: it may be on another machine."""
    matched = _PROCESS.search(lock.record.info) if isinstance(lock.record, LockInfo) else None
    if not matched or not _machine() or matched[3] != _machine():
        return None
    pid, started_at = int(matched[1]), int(matched[2])
    if not started_at or _started_at(pid) != started_at:
        return None if not started_at else False
    return pid != os.getpid() or lock.id in held_here


def _machine() -> str:
    """An id of the machine and its process namespace; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        return hashlib.sha256(f"{boot} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:12]
    except OSError:
        return ""


def _started_at(pid: int) -> int:
    """In ticks since boot, which distinguishes processes of the same id; 0: no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])  # dead, and only waiting for its parent to notice

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether anything lasts of what a task wrote, for a run that failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._core.model import Call, WriteCallback

DELETIONS = {"delete_object", "delete_item"}


@dataclass
class WriteTracker:
    """Hears of every write, and knows what of it lasts: not the locks that were taken and released again."""

    on_write: WriteCallback
    _is_more: bool = False
    _locks: set[str] = field(default_factory=set)

    def __call__(self, call: Call) -> None:
        self.on_write(call)
        lock = _lock(call)
        if lock and call.operation not in DELETIONS:
            self._locks.add(lock)
        elif lock in self._locks:
            self._locks.discard(lock)
        else:
            self._is_more = True

    def __bool__(self) -> bool:
        return self._is_more or bool(self._locks)


def releases_lock(call: Call) -> bool:
    """Whether a write takes away a lock, and nothing else."""
    return call.operation in DELETIONS and bool(_lock(call))


def _lock(call: Call) -> str:
    """Its lock file or its item; empty for a write of anything else."""
    key = call.params.get("Key") or call.params.get("Item", {})
    name = key if isinstance(key, str) else str(key.get("LockID", {}).get("S", ""))
    is_lock = name.endswith(".tflock") if isinstance(key, str) else not name.endswith("-md5")
    return f"{call.service} {name}" if is_lock and name else ""

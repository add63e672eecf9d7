# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a failed run changed anything permanently."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._core.model import Call, WriteCallback

DELETIONS = {"delete_object", "delete_item"}


@dataclass
class WriteTracker:
    """Tracks writes. True if any of them is permanent, which excludes locks that were released again."""

    on_write: WriteCallback
    _has_changed: bool = False
    _locks: set[str] = field(default_factory=set)

    def __call__(self, call: Call) -> None:
        self.on_write(call)
        lock = _lock(call)
        if lock and call.operation not in DELETIONS:
            self._locks.add(lock)
        elif lock in self._locks:
            self._locks.discard(lock)
        else:
            self._has_changed = True

    def __bool__(self) -> bool:
        return self._has_changed or bool(self._locks)


def releases_lock(call: Call) -> bool:
    """Whether a write only deletes a lock."""
    return call.operation in DELETIONS and bool(_lock(call))


def _lock(call: Call) -> str:
    """The name of its lock file or item; empty for any other write."""
    key = call.params.get("Key") or call.params.get("Item", {})
    name = key if isinstance(key, str) else str(key.get("LockID", {}).get("S", ""))
    is_lock = name.endswith(".tflock") if isinstance(key, str) else not name.endswith("-md5")
    return f"{call.service} {name}" if is_lock and name else ""

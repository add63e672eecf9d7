# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patience with whoever holds the lock of a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class LockTimeout:
    """Waits for the locks of one state: `limit_s` from when the first one was met, whatever took its time before."""

    limit_s: float
    #: Rests, the longer the more often it was tried.
    rest: Callable[[int], None]
    now: Callable[[], float] = time.monotonic
    _until: float | None = None

    def __call__(self, attempt: int) -> bool:
        now = self.now()
        if self._until is None:
            self._until = now + self.limit_s
        is_left = now < self._until
        if is_left:
            self.rest(attempt)
        return is_left

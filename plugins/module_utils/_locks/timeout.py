# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timeout of waiting for the lock of a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class LockTimeout:
    """Waits for the locks of one state, `limit_s` seconds from the first one that was held by somebody else."""

    limit_s: float
    #: Waits, longer with each attempt.
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

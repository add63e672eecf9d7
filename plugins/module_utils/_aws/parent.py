# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parent process. Once it is gone, the result reaches nobody, and another run may have started."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from .._core.model import Call, TfstateError
from .write_tracker import releases_lock


@dataclass(frozen=True)
class Parent:
    """Before a write: raises TfstateError if the parent process is gone. Locks can still be released."""

    pid: int = field(default_factory=os.getppid)

    def __call__(self, call: Call) -> None:
        if os.getppid() != self.pid and not releases_lock(call):
            raise TfstateError("the process that started this one is gone, so nothing more is written: run again")

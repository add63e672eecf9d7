# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that sent a call, found by its end of the connection, whichever process that was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.relay import Call


def kill_caller(call: Call) -> None:
    """As the out-of-memory killer does, or a power cut: nothing of the process runs on."""
    os.kill(process_behind(*call.request.ports), signal.SIGKILL)


def process_behind(port: int, ours: int) -> int:
    """The process that connected from this port of 127.0.0.1 to ours."""
    if sys.platform != "linux":
        command = ["lsof", "-nPFp", f"-iTCP:{port}", "-sTCP:ESTABLISHED"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return next(pid for pid in map(int, re.findall(r"^p(\d+)$", found, re.MULTILINE)) if pid != os.getpid())
    socket = f"socket:[{_inode(port, ours)}]"
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # processes come and go
            if str(handle.readlink()) == socket:
                return int(handle.parts[2])
    raise ProcessLookupError(f"nobody is connected from port {port}")


def _inode(port: int, ours: int) -> str:
    ends = [f"0100007F:{port:04X}", f"0100007F:{ours:04X}"]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return fields[9]
    raise ProcessLookupError(f"nobody is connected from port {port}")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's commands for what calls them by name, such as a shell: a folder for PATH, whose programs ask us to fork.

    environment["PATH"] = f"{programs()}{os.pathsep}{environment['PATH']}"

A program says what it was given and waits for the exit code. What is not forked (see ansible_commands.py) it becomes
itself. Ansible writes to where the program would write, so pipes and redirections work as usual.
"""

from __future__ import annotations

import atexit
import json
import socketserver
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

from tests.support.ansible_commands import IS_KNOWN, PROGRAMS, run_ansible

RUN_LIMIT_S = 300
_PROGRAM = """#!{python} -IS
import json, os, socket, sys
command = [{real!r}, *sys.argv[1:]]
asked = {{"command": command, "cwd": os.getcwd(), "environment": dict(os.environ)}}
asked["outputs"] = [f"/proc/{{os.getpid()}}/fd/{{number}}" for number in (1, 2)]
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    connection.sendall(json.dumps(asked).encode() + b"\\n")
    code = connection.makefile().readline()
if code:
    sys.exit(int(code))
os.execv(command[0], command)
"""


class _Answer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        given = (asked["command"], Path(asked["cwd"]), asked["environment"], RUN_LIMIT_S)
        try:
            ended = run_ansible(*given, outputs=tuple(asked["outputs"]))
        except subprocess.TimeoutExpired:
            ended = (124, "")
        if ended:
            self.wfile.write(b"%d\n" % ended[0])


@cache
def programs() -> Path:
    """A folder that lasts as long as this process; empty where commands are not forked, so that PATH goes on."""
    home = tempfile.TemporaryDirectory(prefix="programs-", ignore_cleanup_errors=True)
    atexit.register(home.cleanup)
    folder = Path(home.name)
    if IS_KNOWN and sys.platform == "linux":
        address = str(folder / "socket")
        server = socketserver.ThreadingUnixStreamServer(address, _Answer)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="programs", daemon=True).start()
        for name in PROGRAMS:
            real = str(Path(sys.executable).with_name(name))
            (folder / name).write_text(_PROGRAM.format(python=sys.executable, real=real, address=address))
            (folder / name).chmod(0o755)
    return folder

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's commands without the second that loading Ansible takes: forked from a process that has loaded it.

A setting is read when Ansible is loaded, so each set of settings has a launcher of its own, from the second command on:
the first one is started as usual, and so is whatever names an ansible.cfg, or runs at the same time as another.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from ansible.release import __version__

LAUNCHER = Path(__file__).with_name("ansible_launcher.py")
PROGRAMS = {"ansible", "ansible-inventory", "ansible-playbook"}
#: What begins so in the environment may have been read by the time that a launcher forks.
SETTINGS = ("ANSIBLE_", "PYTHON", "LC_", "LANG", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "PATH")

#: What is read by each command, as it depends on the home and the working directory.
OF_EACH = {"ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME", "ANSIBLE_INVENTORY", "ANSIBLE_FORKS"}
CONFIGURATION = "ansible.cfg"
#: The launcher depends on how ansible-core reads its settings. Another one is tested as it starts.
IS_KNOWN = __version__.startswith("2.19.")

Settings = tuple[tuple[str, str], ...]


class _Launcher:
    """Ends with this process, whose end closes its standard input, however it ends."""

    def __init__(self, settings: Settings) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="ansible-", ignore_cleanup_errors=True)
        environment = dict(settings)
        if text := environment.pop(CONFIGURATION):
            (Path(self.home.name) / CONFIGURATION).write_text(text)
        self.lock = Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(LAUNCHER)],
            cwd=self.home.name,
            env={**environment, "HOME": self.home.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self._end)

    def _end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(
        self,
        command: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        timeout: float,
        outputs: tuple[str, str] | None,
    ) -> tuple[int, str]:
        output = Path(self.home.name) / "output"
        output.write_text("")
        asked = {"command": list(command), "cwd": str(cwd), "environment": dict(environment)}
        asked["outputs"] = outputs or (str(output), str(output))
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(command, timeout, output.read_bytes())
        code = self._process.stdout.readline()
        assert code, "the launcher itself has died"
        return int(code), output.read_text()


_seen: set[Settings] = set()
_launchers: dict[Settings, _Launcher] = {}


def run_ansible(
    command: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    outputs: tuple[str, str] | None = None,
) -> tuple[int, str] | None:
    """The exit code and all that was said; None if a process has to be started for it.

    With `outputs`, what is said goes to these files, as standard output and standard error, instead.
    """
    if not IS_KNOWN or Path(command[0]).name not in PROGRAMS or _names_configuration(environment):
        return None
    settings = _settings(cwd, environment)
    if settings not in _seen:
        _seen.add(settings)
        return None
    if settings not in _launchers:
        _launchers[settings] = _Launcher(settings)
    launcher = _launchers[settings]
    if not launcher.lock.acquire(blocking=False):
        return None
    try:
        return launcher.run(command, cwd, environment, timeout, outputs)
    except subprocess.TimeoutExpired:
        del _launchers[settings]
        raise
    finally:
        launcher.lock.release()


def _names_configuration(environment: Mapping[str, str]) -> bool:
    return "ANSIBLE_CONFIG" in environment or (Path(environment.get("HOME", "/")) / ".ansible.cfg").exists()


def _settings(cwd: Path, environment: Mapping[str, str]) -> Settings:
    file = cwd / CONFIGURATION
    given = {name: value for name, value in environment.items() if name.startswith(SETTINGS) and name not in OF_EACH}
    return tuple(sorted({**given, CONFIGURATION: file.read_text() if file.exists() else ""}.items()))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process without threads that has loaded Ansible, and forks for each of its commands. See ansible_commands.py.

    python ansible_launcher.py      a command a line in, its exit code a line out, as JSON

Loaded are Ansible and libraries of others, nothing of the collection: each command loads it by Ansible's own loader.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(sys.executable).parent)  # as for a command; not the folder of this file

from ansible import constants as C  # noqa: E402
from ansible.config.manager import find_ini_config_file  # noqa: E402

MODULES = {"ansible-playbook": "playbook", "ansible-inventory": "inventory", "ansible": "adhoc"}
MAINS = {name: import_module(f"ansible.cli.{module}").main for name, module in MODULES.items()}
LIBRARIES = ("boto3", "botocore.session", "botocore.handlers", "cryptography.fernet", "jinja2.nativetypes")
PLUGINS = ("strategy.linear", "callback.default", "connection.local", "action.normal", "shell.sh", "cache.memory")


def main() -> None:
    for name in (*LIBRARIES, "ansible.executor.process.worker", *(f"ansible.plugins.{each}" for each in PLUGINS)):
        import_module(name)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            child = os.fork()
            if child == 0:
                answers.close()
                _command(json.loads(line))
            _pid, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _command(asked: dict[str, Any]) -> None:
    """As the program of this name would begin and end."""
    code = 1
    atexit._clear()  # what the launcher has to tidy up
    try:
        for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), *([(asked["output"], _WRITE)] * 2))):
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = asked["command"]
        _read_settings()
        MAINS[Path(sys.argv[0]).name]()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _read_settings() -> None:
    """Once more, for those that depend on the home and the working directory."""
    C.config._config_file = find_ini_config_file([])
    if C.config._config_file:
        C.config._parse_config_file()
    for setting in C.config.get_configuration_definitions():
        C.set_constant(setting, C.config.get_config_value(setting, variables=vars(C)))


if __name__ == "__main__":
    main()

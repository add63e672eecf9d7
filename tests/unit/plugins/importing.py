# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Imports what is named and tells what went wrong: a JSON object on one line.

What Ansible imports first is imported in a fork of its own; what it imports, module_utils and plugin_utils, all in one.

python importing.py remote NAME ...         where AnsiballZ runs: of Ansible only ansible.module_utils, no libraries
python importing.py controller NAME ...     where Ansible runs, without botocore
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

OF_AWS = {"boto3", "botocore"}
#: What `import ansible` imports.
OF_ANSIBLE = ("ansible", "ansible.release", "ansible._vendor", "ansible.module_utils")


class Refusal(MetaPathFinder):
    def __init__(self, is_remote: bool) -> None:
        self.is_remote = is_remote

    def find_spec(self, fullname: str, *_: Any) -> None:
        top = fullname.partition(".")[0]
        if top in OF_AWS or (self.is_remote and not self._is_remote(fullname, top)):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)

    def _is_remote(self, name: str, top: str) -> bool:
        if top == "ansible":
            return name in OF_ANSIBLE or name.startswith("ansible.module_utils.")
        return top in ("ansible_collections", *sys.stdlib_module_names)


def problems_of(names: list[str]) -> str:
    """What imports raise, warn of or print; empty if nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for number in (1, 2):
            os.dup2(writer, number)
        for name in names:
            try:
                import_module(name)
            except BaseException as error:
                print(f"{name}: {type(error).__name__}: {error}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def main() -> None:
    where, *names = sys.argv[1:]
    sys.meta_path.insert(0, Refusal(where == "remote"))
    loaded = ("ansible.module_utils.basic",) if where == "remote" else ("ansible.plugins.action", "ansible.template")
    for name in loaded:
        import_module(name)
    warnings.simplefilter("error")
    utils = [name for name in names if "_utils." in name]
    groups = [*([name] for name in names if name not in utils), utils]
    print(json.dumps({group[0]: said for group in groups if (said := problems_of(group))}))


if __name__ == "__main__":
    main()

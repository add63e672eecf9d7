# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory of a run, in words that name it again on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: All sources: those of `-i`, or else of ANSIBLE_INVENTORY or ansible.cfg. Ansible has made the paths absolute.
SOURCES = "ansible_inventory_sources"


def inventory_sources(task_vars: Mapping[str, Any]) -> list[str]:
    """The sources, each as the value of an option `-i` in the current folder."""
    sources = task_vars.get(SOURCES) or ()
    return [_short(str(each)) for each in ([sources] if isinstance(sources, str) else sources)]


def _short(source: str) -> str:
    """A path below the current folder without that folder. With a comma it is a list of hosts."""
    path, folder = Path(source), Path.cwd()
    if "," in source or not path.is_relative_to(folder):
        return source
    relative = str(path.relative_to(folder))
    return source if relative.startswith("-") else relative

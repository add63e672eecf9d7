# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Relative paths among the options of a task: what they are relative to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable

#: The options of modules that name something on the disk of this machine.
PATHS = ("directory", "project", "code", "backup", "path", "record", "prices_file", "snapshot", "before", "src")
COLLECTION = Path(__file__).resolve().parents[3]


def absolute_paths(arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with absolute paths: a relative one is relative to the playbook, as for Ansible's modules."""
    folder = _folder(task_vars)
    paths = {name: _absolute_path(arguments[name], folder) for name in PATHS if arguments.get(name)}
    if "directory" in paths:
        paths["directory"] = _where_0_1_0_wrote(arguments["directory"], paths["directory"])
    return {**arguments, **paths}


def _folder(task_vars: Mapping[str, Any]) -> Path:
    """The folder of the playbook; for a playbook of this collection, the current one.

    Not that of the inventory: Ansible reads each file below a folder of inventories as an inventory.
    """
    current = Path.cwd()
    playbook = Path(task_vars.get("playbook_dir") or current)
    return current if playbook.resolve() in (COLLECTION, COLLECTION / "playbooks") else playbook


def _absolute_path(value: Any, folder: Path) -> Any:
    """`value`: a path, or several, as a list or with commas between them; a URL is none."""
    if isinstance(value, list):
        return [_absolute_path(each, folder) for each in value]
    if not isinstance(value, str) or "://" in value:
        return value
    with suppress(RuntimeError):  # a user whom this machine does not know: whoever reads the path says so
        return ",".join(str((folder / Path(each.strip()).expanduser()).absolute()) for each in value.split(","))
    return value


def _where_0_1_0_wrote(given: str, wanted: str) -> str:
    """The directory of 0.1.0, which was relative to the current folder, as long as only that one is there."""
    before = str(_absolute_path(given, Path.cwd()))
    if before == wanted or Path(wanted).exists() or not Path(before).exists():
        return wanted
    Display().deprecated(
        f"{printable(given)} is relative to the playbook now: {printable(wanted)}. As only {printable(before)} exists, "
        "it is used. Move it, or give an absolute path.",
        version="1.0.0",
        collection_name="cornerstone.tfstate",
    )
    return before

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A line about a backup or a teardown for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable


def backup_line(host: str, result: Mapping[str, Any], check_mode: bool) -> str:
    """What the backup of a backend holds, and where it is stored."""
    backup, new = result["backup"], result["backup"]["new"]
    held = f"{_count(backup['versions'], 'version')}, {_count(backup['bytes'], 'byte')}"
    added = f"{new['versions']} new, {_count(new['bytes'], 'byte')}"
    return printable(f"{host}: backup{' would be' if check_mode else ''} in {backup['url']}: {held}; {added}")


def teardown_line(host: str, result: Mapping[str, Any], check_mode: bool) -> str:
    """What was deleted, and where its backup is stored."""
    destroyed, backup = result["destroys"], result["backup"]
    if not destroyed:
        return printable(f"{host}: nothing to delete")
    counts = destroyed["counts"]
    names = " and ".join(f"{kind} {destroyed[kind]}" for kind in ("bucket", "table") if destroyed.get(kind))
    held = f"{_count(counts['versions'], 'version')}, {_count(counts['bytes'], 'byte')}"
    stored = f"; backup{' would be' if check_mode else ''} in {backup['url']}" if backup else ""
    return printable(f"{host}: {'would delete' if check_mode else 'deleted'} {names}: {held}{stored}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

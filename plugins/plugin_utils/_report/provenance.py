# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which version of the collection made a report, and by which command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

COLLECTION = Path(__file__).parents[3]
#: `--extra-vars` and `--args`, alone or with the value, also shortened and after other options of a letter.
WITH_SECRETS = re.compile(r"(?P<option>--(?:ex|ar)[a-z-]*|-[vCDbkKJo]*[ea])(?P<value>=?.*)", re.DOTALL)


def version() -> str:
    """Of the installed collection, or of the checkout."""
    try:
        manifest = json.loads((COLLECTION / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except OSError:
        pass
    try:
        return f"{yaml.safe_load((COLLECTION / 'galaxy.yml').read_text(encoding='utf-8'))['version']} (checkout)"
    except OSError:
        return "unknown"


def command(arguments: Sequence[str] | None = None) -> str:
    """The command of this run, without the values of variables, which may be secrets; empty if it is not Ansible's."""
    program, *rest = arguments or sys.argv
    name = Path(program).name
    return shlex.join([name, *_without_values(rest)]) if name.startswith("ansible") else ""


def _without_values(arguments: Sequence[str]) -> Iterator[str]:
    is_value = False
    for each in arguments:
        found = WITH_SECRETS.fullmatch(each)
        if is_value:
            yield _hidden(each)
            is_value = False
        elif found and found["value"]:
            yield found["option"]
            yield _hidden(found["value"].removeprefix("="))
        else:
            yield each
            is_value = bool(found)


def _hidden(value: str) -> str:
    """A file keeps its name."""
    return value if value.startswith("@") else "..."

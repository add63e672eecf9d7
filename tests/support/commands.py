# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that findings print, read as a shell and Ansible would read them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import ROLE_SPEC

from tests.integration.module_runs import ENTRIES

COLLECTION = "cornerstone.tfstate"
#: What playbooks/unlock.yml takes.
UNLOCK_SPEC = {
    **{name: {"type": "str", "required": name == "key"} for name in ("key", "workspace", "lock_id", "older_than")},
    "key_is_url_encoded": {"type": "bool"},
}
#: What playbooks/restore_backup.yml takes.
RESTORE_SPEC = {"backup": {"type": "str"}, "keys": {"type": "list", "elements": "str", "no_log": False}}
SPECS: dict[str, dict[str, Any]] = {
    "bootstrap": ROLE_SPEC,
    "unlock": UNLOCK_SPEC,
    "restore_backup": RESTORE_SPEC,
    "audit": {},
}


@dataclass(frozen=True)
class Command:
    """A module or a playbook of ours, and what it is given; `program` alone is somebody else's."""

    program: str
    name: str = ""
    given: Any = None

    @property
    def problems(self) -> list[str]:
        """What our own arguments are not."""
        if not self.name:
            return []
        spec = ENTRIES[self.name].spec if self.program == "ansible" else SPECS[self.name]
        return list(ArgumentSpecValidator(spec).validate(self.given).error_messages)


def command_of(fix: str) -> Command:
    words = shlex.split(fix.replace("${EDITOR:-vi}", "vi"), comments=True) or [""]
    if words[0] == "ansible":
        where, module, is_json = words[1:3] == ["localhost", "-m"], words[3], words[4] == "-a"
        assert where and is_json and len(words) == 6, fix
        return Command("ansible", module.removeprefix(f"{COLLECTION}."), json.loads(words[5]))
    if words[0] == "ansible-playbook":
        variables = json.loads(words[words.index("-e") + 1]) if "-e" in words else {}
        assert words[2] == "-l", fix
        return Command("ansible-playbook", words[1].removeprefix(f"{COLLECTION}."), variables)
    return Command(words[0])

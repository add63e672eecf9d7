# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that findings print, read as a shell and Ansible would read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import OPTIONS, variables_of
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
    "rebuild": RESTORE_SPEC,
    "audit": {},
    **{
        playbook: {name: entry.spec.get(name, {"type": "str"}) for name in OPTIONS[playbook]}
        for playbook, entry in (
            ("info", ENTRIES["tf_backend_info"]),
            ("lock", ENTRIES["tf_state_lock"]),
            ("repair_digest", ENTRIES["tf_state_digest"]),
            ("restore_version", ENTRIES["tf_state_version"]),
            ("thaw", ENTRIES["tf_backend_freeze"]),
        )
    },
}


def options_of(playbook: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a command gives a playbook of ours, by the options that it sets; a name of before is none."""
    options = {variable: option for option, variable in variables_of(playbook).items()}
    assert playbook in ("bootstrap", "audit") or {*given} <= {*options}, given
    return {options.get(name, name): value for name, value in given.items()}


@dataclass(frozen=True)
class Command:
    """A playbook of ours, and what it is given; `program` alone is somebody else's."""

    program: str
    name: str = ""
    given: Any = None
    #: The sources of the inventory, and the host.
    inventory: tuple[str, ...] = ()
    host: str = ""
    #: All words, of the command that follows the proof of the account.
    words: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What our own arguments are not."""
        if not self.name:
            return []
        return list(ArgumentSpecValidator(SPECS[self.name]).validate(self.given).error_messages)


def command_of(fix: str) -> Command:
    words = shlex.split(fix.replace("${EDITOR:-vi}", "vi"), comments=True) or [""]
    if "&&" in words:
        proof, words = words[: words.index("&&")], words[words.index("&&") + 1 :]
        assert proof[:3] == ["aws", "sts", "get-caller-identity"] and proof[-4:-1] == ["|", "grep", "-x"], fix
    assert words[0] != "ansible", fix
    if words[0] != "ansible-playbook":
        return Command(words[0], words=tuple(words))
    variables = json.loads(words[words.index("-e") + 1]) if "-e" in words else {}
    sources = [words[place + 1] for place, word in enumerate(words) if word == "-i"]
    host, name = words[words.index("-l") + 1], words[1].removeprefix(f"{COLLECTION}.")
    return Command("ansible-playbook", name, options_of(name, variables), tuple(sources), host, tuple(words))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of variables that nothing reads: of the role, and on the command line of the collection's playbooks.

Ansible ignores them. A protection whose variable is misspelt would be missing without a word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.utils.vars import load_extra_vars
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import nearest, suggestion

PREFIX = "terraform_backend_"
#: Variables with this prefix are the users' own.
CUSTOM = f"{PREFIX}custom_"
#: What the playbooks take, besides the variables of the role, and what they set.
OF_PLAYBOOKS = frozenset(
    PREFIX + name
    for name in (
        *("hosts", "serial", "failure", "extra_variables"),
        *("backup", "backup_region", "backup_account_id"),
        *("audit_directory", "audit_gather", "audit_stale_lock_minutes", "audit_runs_per_month"),
        *("audit_severities", "audit_disabled", "audit_waivers", "audit_fail_on", "audit_prices_file"),
        *("prices_file", "prices_regions", "prices_url"),
        *("audit_code", "audit_code_known", "audit_code_backend_files", "audit_code_exclude", "audit_code_gitignore"),
        *("handover_directory", "handover_mode", "handover_production_bucket", "handover_production_table"),
        *("handover_key", "handover_provider_version", "handover_allow"),
    )
)
#: The play variable of a playbook that names the further extra variables that it takes.
EXTRA_VARIABLES = f"{PREFIX}extra_variables"
#: What all playbooks of the collection together take by names without the prefix.
SHORT_NAMES = frozenset(
    (
        *("allow", "backup", "client", "client_timeout", "code", "code_backend_files", "code_exclude"),
        *("code_gitignore", "code_known", "confirm_name", "gather", "init", "keep_table"),
        *("key", "key_is_url_encoded", "keys", "lock_id", "lock_mode", "lock_timeout"),
        *("observe_seconds", "older_than", "plan_arguments", "probe", "project"),
        *("remove_local", "remove_table", "restore_archived", "skip_archived"),
        *("source_access_key", "source_account_id", "source_assume_role_arn"),
        *("source_assume_role_external_id", "source_assume_role_session_name"),
        *("source_bucket", "source_endpoint_url", "source_key", "source_profile", "source_protection"),
        *("source_region", "source_secret_key", "source_session_token", "source_table"),
        *("source_workspace_key_prefix", "tfbackend", "verify_plan", "version_id", "wait_timeout", "workspace"),
    )
)
#: Extra variables of Ansible itself, of AWX and Automation Platform, and the switches of this collection.
OF_TOOLS = ("ansible_", "awx_", "tower_", "cornerstone_tfstate_", PREFIX)


def unknown_variables(variables: Mapping[str, Any], of_role: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A sentence for each variable that has the role's prefix and is none of its variables.

    `of_role` has the role's variables, and other names of the option that each one sets. What a task registered is no
    mistake.
    """
    known = {*of_role, *OF_PLAYBOOKS}
    for name in sorted(variables):
        is_ours = name.startswith(PREFIX) and not name.startswith(CUSTOM)
        if is_ours and name not in known and not _is_registered(variables[name]):
            yield f"{printable(name)} is not a variable of the role{suggestion(_meant(name, of_role))}"


def _is_registered(value: Any) -> bool:
    """Whether it is the result of a task."""
    return isinstance(value, Mapping) and "changed" in value


def unknown_message(problems: Collection[str]) -> str:
    return f"{'; '.join(problems)}. Correct it, or give variables of your own the prefix {CUSTOM}"


def _meant(name: str, of_role: Mapping[str, Collection[str]]) -> list[str]:
    """The variables that may be meant: of the bucket or the table, by another name of the option, or misspelt."""
    rest = name.removeprefix(PREFIX)
    parts = [each for each in (f"{PREFIX}bucket_{rest}", f"{PREFIX}table_{rest}", f"{name}_name") if each in of_role]
    aliases = [each for each, others in of_role.items() if rest in others]
    ours = {each.removeprefix(PREFIX): each for each in (*of_role, *OF_PLAYBOOKS)}
    return parts or aliases or [ours[each] for each in nearest(rest, ours, 0.6)]


@dataclass(frozen=True)
class ExtraVariables:
    """What is wrong with the extra variables of a run: refused as a mistake, or told."""

    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_extra_variables(known: Mapping[str, Any], loader: Any, of_role: Collection[str]) -> ExtraVariables:
    """What is wrong with the extra variables (`-e`), in playbooks that say which they take.

    One that a variable of the host refers to has its purpose there. One that is like a variable of any playbook is a
    mistake in all of them.
    """
    found, of_all = ExtraVariables(), {*of_role, *OF_PLAYBOOKS}
    taken = known.get(EXTRA_VARIABLES)
    if not isinstance(taken, (list, tuple)):
        return found
    for name in sorted(load_extra_vars(loader)):
        if name in taken or name.startswith(OF_TOOLS) or _is_referred_to(name, known):
            continue
        text = f"the extra variable {printable(name)} is not a variable of this playbook"
        near = [name] if PREFIX + name in of_all else nearest(name, {*taken, *SHORT_NAMES})
        if near:
            meant = [each if each in taken else PREFIX + each for each in near]
            found.refused.append(text + suggestion(each for each in meant if each in {*taken, *of_all}))
        else:
            found.warnings.append(f"{text}, and no variable of the host refers to it")
    return found


def _is_referred_to(name: str, known: Mapping[str, Any]) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(_refers(value, word) for each, value in known.items() if each not in (name, "vars"))


def _refers(value: Any, word: re.Pattern[str]) -> bool:
    """Whether a value as it was written has a template with the word."""
    if isinstance(value, str):
        return ("{{" in value or "{%" in value) and word.search(value) is not None
    if isinstance(value, dict):
        return any(_refers(each, word) for each in value.values())
    return isinstance(value, (list, tuple)) and any(_refers(each, word) for each in value)

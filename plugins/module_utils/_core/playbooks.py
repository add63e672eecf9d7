# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the playbooks: terraform_backend_<playbook>_<option>. Pure."""

from __future__ import annotations

import re

PREFIX = "terraform_backend_"
_CODE = ("code", "code_known", "code_backend_files", "code_exclude", "code_gitignore")
_STATE = ("key", "key_is_url_encoded", "workspace")
#: The options of the module behind each playbook that it takes a variable for.
OPTIONS: dict[str, tuple[str, ...]] = {
    "accounts": ("path", "units", "tag_names", "region", "profile", "assume_role_arn", "endpoint_url"),
    "adopt": ("path", "record", "leave_to_maker", "allow", *_CODE),
    "audit": (
        *("directory", "gather", "check_states", "stale_lock_minutes", "audit_timeout", "runs_per_month"),
        *("prices_file", "severities", "disabled", "waivers", "fail_on", *_CODE),
    ),
    "backup": ("backup", "restore_archived", "skip_archived"),
    "cancel_teardown": ("backup",),
    "freeze": ("keys", "lock_id", "reason", "lock_timeout", "allow"),
    "handover": ("directory", "mode", "production_bucket", "production_table", "key", "provider_version", "allow"),
    "info": ("gather", "keys", "max_versions"),
    "lock": (*_STATE, "lock_id", "operation", "allow"),
    "lock_mode": (*_CODE, "lock_mode", "observe_seconds", "probe", "remove_table", "allow", "lock_timeout"),
    "migrate": (
        *("client", "client_timeout", "code_known", "init", "key", "keys", "lock_timeout", "plan_arguments"),
        *("project", "remove_local", "source_access_key", "source_account_id", "source_assume_role_arn"),
        *("source_assume_role_external_id", "source_assume_role_session_name", "source_bucket", "source_endpoint_url"),
        *("source_key", "source_profile", "source_protection", "source_region", "source_secret_key"),
        *("source_session_token", "source_table", "source_workspace_key_prefix", "tfbackend", "verify_plan"),
        "wait_timeout",
    ),
    "prices": ("path", "regions", "url"),
    "rebuild": ("backup", "keys", "lock_id"),
    "repair_digest": (*_STATE, "lock_id", "allow"),
    "restore_backup": ("backup", "keys", "lock_id"),
    "restore_version": (*_STATE, "version_id", "src", "with_version_id", "lock_id", "allow"),
    "teardown": (*_CODE, "allow", "backup", "confirm_name", "keep_table", "restore_archived"),
    "thaw": ("keys", "lock_id"),
    "unadopt": ("record", "allow"),
    "unlock": (*_STATE, "lock_id", "older_than", "allow"),
    "verify": ("snapshot", "before", "backup", "expected", "keys"),
}
#: Options that never had a variable by their own name: the others of these playbooks had one before.
_NO_SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "accounts": OPTIONS["accounts"],
    "adopt": OPTIONS["adopt"],
    "audit": OPTIONS["audit"],
    "cancel_teardown": OPTIONS["cancel_teardown"],
    "freeze": OPTIONS["freeze"],
    "handover": OPTIONS["handover"],
    "info": ("max_versions",),
    "lock": ("operation", "allow"),
    "prices": OPTIONS["prices"],
    "rebuild": ("lock_id",),
    "repair_digest": ("lock_id",),
    "restore_backup": ("lock_id",),
    "restore_version": ("src", "with_version_id", "lock_id"),
    "thaw": OPTIONS["thaw"],
    "unadopt": OPTIONS["unadopt"],
    "unlock": ("allow",),
    "verify": OPTIONS["verify"],
}
SHORT_NAMES = {name: {*options} - {*_NO_SHORT_NAMES.get(name, ())} for name, options in OPTIONS.items()}
#: The names that differ from the option's: terraform_backend_backup is the location of the backups of all hosts, and
#: terraform_backend_lock_mode is the lock mode that the backend has.
_NAMES = {("audit", "audit_timeout"): "timeout", ("lock_mode", "lock_mode"): "target", ("prices", "path"): "file"}
_LOCATION = "location"


def variable_of(playbook: str, option: str) -> str:
    """The variable by which a playbook takes an option of its module."""
    name = _LOCATION if option == "backup" else _NAMES.get((playbook, option), option)
    return f"{PREFIX}{playbook}_{name}"


def variables_of(playbook: str) -> dict[str, str]:
    """The variables of a playbook by the options that they set."""
    return {option: variable_of(playbook, option) for option in OPTIONS.get(playbook, ())}


#: Where a message says what to set: `option: [words]`, `option: true`, and a value after lock_id and source_protection.
_GIVEN = re.compile(
    r"(?<![\w./-])(?:-e )?(\w+)(?:: \[([^\]\[]*)\]|: (true|false)\b|=(?=\S)|(?<=lock_id|tection): (?=[\w{]))"
)
#: A name that can be nothing but an option, and words where a message says what to do about an option.
_NAMED = re.compile(r"(?<![\w./-])([a-z]+(?:_[a-z]+)+)(?![\w/=-]|\.\w)")
_ADVISED = re.compile(
    r"\b([Cc]orrect|[Ss]et|name|arguments:|repair it with) (\w+)( or (workspace))?(?! of\b)(?![\w./=-])"
)
#: What a message is about, as in "key is missing" and "key must be text".
_ABOUT = re.compile(r"(?:^|(?<=; )(?=\w+ must be text))(\w+)(?= is | must be text\b)")
#: What comes before options that name a state.
_MEANT = "perhaps this is meant: "
_OF_STATE = re.compile(r"(?:, |\b)(key|key_is_url_encoded|workspace): (?=\S)")
#: A word of which messages speak in general.
_GENERAL = "lock_mode"


def in_variables(playbook: str, message: str) -> str:
    """A message of the module behind a playbook, which names options by the variables of the playbook."""
    names = variables_of(playbook)

    def given(found: re.Match[str]) -> str:
        words = ",".join(word.strip() for word in (found[2] or "").split(","))
        return f"-e {names[found[1]]}={found[3] or words}" if found[1] in names else found[0]

    def advised(found: re.Match[str]) -> str:
        if found[2] not in names:
            return found[0]
        other = f" or {names.get(found[4], found[4])}" if found[4] else ""
        return f"{found[1]} {names[found[2]]}{other}"

    def of_state(found: re.Match[str]) -> str:
        return f"{' ' if found[0][0] == ',' else ''}-e {names[found[1]]}=" if found[1] in names else found[0]

    before, meant, after = message.partition(_MEANT)
    message = before + meant + _OF_STATE.sub(of_state, after)
    message = _ADVISED.sub(advised, _GIVEN.sub(given, message))
    others = {**names, _GENERAL: _GENERAL}
    for pattern in (_ABOUT, _NAMED):
        message = pattern.sub(lambda found: others.get(found[1], found[1]), message)
    return message

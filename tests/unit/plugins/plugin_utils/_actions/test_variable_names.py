# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A variable that nothing reads is refused or told, before anything is done without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import (
    OPTIONS,
    SHORT_NAMES,
    in_variables,
    variable_of,
    variables_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import variable_names
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import NAMES, read_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.variable_names import (
    CUSTOM,
    EXTRA_VARIABLES,
    OF_PLAYBOOKS,
    PLAYBOOK,
    PREFIX,
    ExtraVariables,
    check_extra_variables,
)
from jinja2 import Environment, meta

MODULES = "cornerstone.tfstate.tf_"
OF_ONE = {name for playbook in OPTIONS for name in variables_of(playbook).values()}
PLAYBOOKS = sorted((Path(__file__).parents[5] / "playbooks").glob("*.yml"))
#: What Ansible itself gives.
OF_ANSIBLE = {"hostvars", "inventory_dir", "inventory_hostname", "lookup", "omit", "query"}


class Templar:
    def template(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("kms_key_id", "terraform_backend_bucket_kms_key_id or terraform_backend_table_kms_key_id"),
        ("bucket", "terraform_backend_bucket_name"),
        ("table", "terraform_backend_table_name"),
        ("lockmode", "terraform_backend_lock_mode"),
        ("bucket_requre_tls", "terraform_backend_bucket_require_tls"),
        ("aws_region", "terraform_backend_region"),
        ("host", "terraform_backend_hosts"),
        ("audit_gater", "terraform_backend_audit_gather"),
        ("allowed_organization_ids", "terraform_backend_bucket_allowed_organization_ids"),
        ("object_lock", "terraform_backend_bucket_object_lock"),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_nearest_right_name(mistyped: str, meant: str) -> None:
    with pytest.raises(Invalid) as raised:
        read_variables({PREFIX + mistyped: "x", "inventory_hostname": "eu"}, Templar())
    assert str(raised.value) == (
        f"{PREFIX}{mistyped} is not a variable of the role (did you mean {meant}?). Correct it, or give variables of "
        f"your own the prefix {CUSTOM}"
    )


def test_all_of_them_are_told_at_once() -> None:
    with pytest.raises(Invalid, match=r"terraform_backend_qqq is not.*; terraform_backend_zzz is not"):
        read_variables({"terraform_backend_zzz": 1, "terraform_backend_qqq": 1}, Templar())


def test_variables_of_the_role_of_the_playbooks_and_of_the_user_are_no_mistakes() -> None:
    registered = {"changed": False, "failed": False, "msg": "ok"}
    own = {
        "terraform_backend_migration": registered,
        f"{CUSTOM}cost_center": "1",
        "terraform_backend": {},
        "my_terraform_backend_x": 1,
        "__terraform_backend": {},
    }
    assert read_variables({**dict.fromkeys(OF_PLAYBOOKS, ""), **own}, Templar()) == {}
    assert read_variables({**dict.fromkeys(NAMES), "inventory_hostname": "eu"}, Templar()) == {
        "terraform_backend_name": "eu",
        "terraform_backend_config_directory": "backends/eu",
    }


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        inner = [*value.values()]
        conditions = [f"{{{{ {each} }}}}" for each in _listed(value.get("when"))]
        return [*conditions, *(text for each in inner for text in texts(each))]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def names_in(play: dict[str, Any]) -> set[str]:
    """The variables that templates of a play read, but those of Ansible and those that a task registers."""
    registered = {each["register"] for each in _tasks(play) if "register" in each}
    environment = Environment(autoescape=True)
    environment.tests.update(dict.fromkeys(("truthy", "skipped"), bool))
    environment.filters.update(dict.fromkeys(("difference", "cornerstone.tfstate.lock_conflicts"), bool))
    found = {
        name
        for text in texts({key: value for key, value in play.items() if key != "vars"})
        for name in meta.find_undeclared_variables(environment.parse(text))
    }
    return {name for name in found - registered - OF_ANSIBLE if not name.startswith(("ansible_", "__"))}


def _tasks(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(each for inner in value.values() for each in _tasks(inner))]
    return [each for inner in value for each in _tasks(inner)] if isinstance(value, list) else []


def test_each_playbook_takes_what_is_in_the_table_by_names_of_one_form() -> None:
    found = {}
    for path in PLAYBOOKS:
        plays = [each for each in yaml.safe_load(path.read_text()) if "hosts" in each]
        ours = {each["vars"][PLAYBOOK] for each in plays if PLAYBOOK in each.get("vars", {})}
        assert ours == ({path.stem} & {*OPTIONS}), path.name
        names = {name for play in plays for name in names_in(play)}
        assert {name for name in names if name.startswith(PREFIX)} <= {*NAMES, *OF_PLAYBOOKS}, path.name
        short = {name for name in names if not name.startswith(PREFIX)}
        assert short <= SHORT_NAMES.get(path.stem, set()), path.name
        found[path.stem] = {name for name in names if name.startswith(PREFIX)} - {*NAMES} & OF_ONE
    assert {name: each for name, each in found.items() if each} == {
        name: {*variables_of(name).values()} for name in OPTIONS
    }


def test_no_variable_is_of_two_playbooks_or_of_the_role() -> None:
    names = [name for playbook in OPTIONS for name in variables_of(playbook).values()]
    shared = {f"{PREFIX}{name}" for name in ("hosts", "serial", "backup", "backup_region", "backup_account_id")}
    assert sorted({*names}) == sorted(names)
    assert not {*names} & {*NAMES, *shared}


def test_an_option_of_a_playbook_is_one_of_its_module_and_its_task_sets_it() -> None:
    for path in PLAYBOOKS:
        for task in _tasks(yaml.safe_load(path.read_text())):
            for module, arguments in task.items():
                for option, value in (arguments or {}).items() if module.startswith(MODULES) else ():
                    named = re.findall(rf"{PREFIX}{path.stem}_\w+", str(value))
                    ours = [name for name in named if name in OF_ONE]
                    if ours and option != "state":
                        assert ours == [variable_of(path.stem, option)] * len(ours), (path.name, option)


def checked(patch: pytest.MonkeyPatch, extra: dict[str, Any], **known: Any) -> ExtraVariables:
    patch.setattr(variable_names, "load_extra_vars", lambda _loader: extra)
    return check_extra_variables({PLAYBOOK: "teardown", **known, **extra}, None, NAMES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "bakup",
            "the extra variable bakup is not a variable of this playbook (did you mean "
            "terraform_backend_teardown_location?)",
        ),
        (
            "keep_tabel",
            "the extra variable keep_tabel is not a variable of this playbook (did you mean "
            "terraform_backend_teardown_keep_table?)",
        ),
        ("keys", "the extra variable keys is not a variable of this playbook"),
        ("lock_i", "the extra variable lock_i is not a variable of this playbook"),
        (
            "teardown_allow",
            "the extra variable teardown_allow is not a variable of this playbook (did you mean "
            "terraform_backend_teardown_allow?)",
        ),
        (
            "lock_mod",
            "the extra variable lock_mod is not a variable of this playbook "
            "(did you mean terraform_backend_lock_mode?)",
        ),
        (
            "region",
            "the extra variable region is not a variable of this playbook (did you mean terraform_backend_region?)",
        ),
    ],
)
def test_an_extra_variable_that_is_a_mistake_is_refused(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(monkeypatch, {name: "x"}) == ExtraVariables([said], [])


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_misspelt_variable_of_any_playbook_is_refused_in_all_of_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {PLAYBOOK: path.stem} if path.stem in OPTIONS else {PLAYBOOK: None, EXTRA_VARIABLES: []}
    for name in ("lock_mod", "confirm_nam", "obseve_seconds", "lock_mode"):
        found = checked(monkeypatch, {name: "x"}, **known)
        assert (len(found.refused), found.warnings) == (name not in SHORT_NAMES.get(path.stem, ()), []), name


@pytest.mark.parametrize("playbook", sorted(filter(SHORT_NAMES.get, SHORT_NAMES)))
def test_the_name_of_before_is_taken_as_an_extra_variable_only(playbook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for option, variable in variables_of(playbook).items():
        this: dict[str, Any] = {PLAYBOOK: playbook}
        misspelt = checked(monkeypatch, {}, **this, **{f"{variable}x": "y"}).refused
        assert len(misspelt) == 1 and f"(did you mean {variable}?)" in misspelt[0], misspelt
        if option not in SHORT_NAMES[playbook]:
            assert f"(did you mean {variable}?)" in checked(monkeypatch, {option: "x"}, **this).refused[0]
            continue
        assert checked(monkeypatch, {option: "x"}, **this) == ExtraVariables(short={option: "x"})
        assert checked(monkeypatch, {}, **this, **{option: "x"}) == ExtraVariables()
        for blank in ("", None):
            assert checked(monkeypatch, {option: blank}, **this) == ExtraVariables()
            assert checked(monkeypatch, {option: "x", variable: blank}, **this).short == {option: "x"}
        assert checked(monkeypatch, {option: "x", variable: "x"}, **this).refused == []
        assert checked(monkeypatch, {option: "x"}, **this, **{variable: "y"}).refused == [
            f"{option} and {variable} differ: they are names of one variable, so set {variable} only"
        ]


def test_what_a_play_or_another_playbook_is_given_by_mistake_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variable_names, "load_extra_vars", lambda _loader: {"terraform_backend_unlock_key": "x"})
    found = check_extra_variables({PLAYBOOK: "lock", "key": "x"}, None, NAMES, of_play={PLAYBOOK, "key"})
    assert found.refused == ["the variable key of the play has no effect: set terraform_backend_lock_key"]
    assert found.warnings == [
        "the extra variable terraform_backend_unlock_key is of another playbook, and has no effect in lock"
    ]


@pytest.mark.parametrize(
    ("playbook", "message", "expected"),
    [
        (
            "teardown",
            "permits it: allow: [delete_state, x]",
            "permits it: -e terraform_backend_teardown_allow=delete_state,x",
        ),
        ("unlock", "release it with lock_id: a-1", "release it with -e terraform_backend_unlock_lock_id=a-1"),
        (
            "lock",
            "correct key or workspace; perhaps this is meant: key: a/b, workspace: qa or key: c; set to",
            "correct terraform_backend_lock_key or terraform_backend_lock_workspace; perhaps this is meant: "
            "-e terraform_backend_lock_key=a/b -e terraform_backend_lock_workspace=qa or "
            "-e terraform_backend_lock_key=c; set to",
        ),
        ("lock", "missing required arguments: key", "missing required arguments: terraform_backend_lock_key"),
        ("migrate", "key is missing: give it", "terraform_backend_migrate_key is missing: give it"),
        (
            "unlock",
            "key must be text, and is a list: give a text; workspace must be text",
            "terraform_backend_unlock_key must be text, and is a list: give a text; terraform_backend_unlock_workspace "
            "must be text",
        ),
        ("migrate", "set init: true", "set -e terraform_backend_migrate_init=true"),
        ("lock_mode", "say in code_known what it is", "say in terraform_backend_lock_mode_code_known what it is"),
        ("lock_mode", "lock_mode is both: playbooks/lock_mode.yml", "lock_mode is both: playbooks/lock_mode.yml"),
        ("migrate", "with tf_state_lock: key: a, lock_id: b", "with tf_state_lock: key: a, lock_id: b"),
        ("unlock", "app/key_is_url_encoded.tfstate, no key of ours", "app/key_is_url_encoded.tfstate, no key of ours"),
    ],
)
def test_a_message_names_the_variables_of_the_playbook(playbook: str, message: str, expected: str) -> None:
    assert in_variables(playbook, message) == expected


def test_any_other_that_nothing_refers_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(monkeypatch, {"stage": "prod"})
    assert (found.refused, len(found.warnings)) == ([], 1)
    assert "stage is not a variable of this playbook" in found.warnings[0]


@pytest.mark.parametrize("name", ["stage", "keys", "awx_job_id", "ansible_user", f"{CUSTOM}x"])
def test_what_the_playbook_or_a_variable_or_a_tool_uses_is_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"terraform_backend_bucket_name": "{{ stage }}-state", "a": {"b": ["{{ keys | first }}"]}}
    assert checked(monkeypatch, {name: "x"}, **own) == ExtraVariables()


def test_other_playbooks_take_what_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variable_names, "load_extra_vars", lambda _loader: {"bakup": 1})
    assert check_extra_variables({}, None, NAMES) == ExtraVariables()

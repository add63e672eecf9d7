# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A variable that nothing reads is refused or told, before anything is done without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import variable_names
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import NAMES, read_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.variable_names import (
    CUSTOM,
    EXTRA_VARIABLES,
    OF_PLAYBOOKS,
    PREFIX,
    SHORT_NAMES,
    ExtraVariables,
    check_extra_variables,
)
from jinja2 import Environment, meta

PLAYBOOKS = sorted((Path(__file__).parents[5] / "playbooks").glob("*.yml"))
#: What Ansible itself gives.
OF_ANSIBLE = {"hostvars", "inventory_hostname", "omit"}


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


def test_each_playbook_says_what_it_takes() -> None:
    short = set()
    for path in PLAYBOOKS:
        plays = [each for each in yaml.safe_load(path.read_text()) if "hosts" in each]
        (taken,) = {tuple(each["vars"][EXTRA_VARIABLES]) for each in plays if EXTRA_VARIABLES in each.get("vars", {})}
        names = {name for play in plays for name in names_in(play)}
        assert sorted(name for name in names if not name.startswith(PREFIX)) == list(taken), path.name
        assert {name for name in names if name.startswith(PREFIX)} <= {*NAMES, *OF_PLAYBOOKS}, path.name
        short |= {*taken}
    assert short == SHORT_NAMES


def checked(patch: pytest.MonkeyPatch, extra: dict[str, Any], **known: Any) -> ExtraVariables:
    patch.setattr(variable_names, "load_extra_vars", lambda _loader: extra)
    return check_extra_variables({EXTRA_VARIABLES: ["backup", "keep_table"], **known, **extra}, None, NAMES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bakup", "the extra variable bakup is not a variable of this playbook (did you mean backup?)"),
        ("keep_tabel", "the extra variable keep_tabel is not a variable of this playbook (did you mean keep_table?)"),
        ("keys", "the extra variable keys is not a variable of this playbook"),
        ("confirm_nam", "the extra variable confirm_nam is not a variable of this playbook"),
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
    plays = yaml.safe_load(path.read_text())
    taken = next(each["vars"] for each in plays if "vars" in each)[EXTRA_VARIABLES]
    for name in ("lock_mod", "confirm_nam", "obseve_seconds", "lock_mode"):
        found = checked(monkeypatch, {name: "x"}, **{EXTRA_VARIABLES: taken})
        assert (len(found.refused), found.warnings) == (name not in taken, []), name


def test_any_other_that_nothing_refers_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(monkeypatch, {"stage": "prod"})
    assert (found.refused, len(found.warnings)) == ([], 1)
    assert "stage is not a variable of this playbook" in found.warnings[0]


@pytest.mark.parametrize("name", ["backup", "stage", "keys", "awx_job_id", "ansible_user", f"{CUSTOM}x"])
def test_what_the_playbook_or_a_variable_or_a_tool_uses_is_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"terraform_backend_bucket_name": "{{ stage }}-state", "a": {"b": ["{{ keys | first }}"]}}
    assert checked(monkeypatch, {name: "x"}, **own) == ExtraVariables()


def test_other_playbooks_take_what_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variable_names, "load_extra_vars", lambda _loader: {"bakup": 1})
    assert check_extra_variables({}, None, NAMES) == ExtraVariables()

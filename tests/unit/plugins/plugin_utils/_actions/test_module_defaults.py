# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of a group's defaults, a module's defaults, the role's variables and a task's own options wins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import (
    ModuleDefaults,
    canonical,
    over,
)

from tests.integration.module_runs import ENTRIES
from tests.playbooks.project import ROOT

GROUP = "group/cornerstone.tfstate.tfstate"
BACKEND, BUCKET, TABLE, CONFIG, AUDIT = (
    f"cornerstone.tfstate.{name}"
    for name in ("tf_backend", "tf_state_bucket", "tf_lock_table", "tf_backend_config", "tf_backend_audit")
)
RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())
MEMBERS = RUNTIME["action_groups"]["tfstate"]
GROUPS = {f"cornerstone.tfstate.{name}": ["cornerstone.tfstate.tfstate"] for name in MEMBERS}


def defaults(
    *layers: dict[str, Any], args: dict[str, Any] | None = None, text: dict[str, Any] | None = None
) -> ModuleDefaults:
    task = SimpleNamespace(
        module_defaults=list(layers),
        args=args or {},
        get_ds=lambda: text,
        collections=None,
        _parent=SimpleNamespace(_play=SimpleNamespace(_action_groups=GROUPS)),
    )
    return ModuleDefaults(task, SimpleNamespace(template=lambda value: value))


def variables(**given: Any) -> dict[str, Any]:
    return {f"terraform_backend_{name}": value for name, value in given.items()}


#: The defaults, the role's variables, and what the role then works with.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "of the group": ({GROUP: {"profile": "prod"}}, {}, {"profile": "prod"}),
    "the account of the group": ({GROUP: {"account_id": "1" * 12}}, {}, {"account_id": "1" * 12}),
    "by another name of the option": ({GROUP: {"aws_profile": "prod"}}, {}, {"profile": "prod"}),
    "of tf_backend": ({BACKEND: {"profile": "prod"}}, {}, {"profile": "prod"}),
    "of tf_backend over the group": (
        {BACKEND: {"profile": "prod"}, GROUP: {"profile": "dev", "region": "eu-west-1"}},
        {},
        {"profile": "prod", "region": "eu-west-1"},
    ),
    "of both modules": ({BUCKET: {"profile": "prod"}, TABLE: {"profile": "prod"}}, {}, {"profile": "prod"}),
    "of a module over tf_backend": (
        {BACKEND: {"wait_timeout": 1}, BUCKET: {"wait_timeout": 2}},
        {},
        {"wait_timeout": 2},
    ),
    "options of the bucket and the table": (
        {BUCKET: {"tags": {"a": "b"}, "name": "states"}, TABLE: {"tags": {"c": "d"}}, CONFIG: {"client": "opentofu"}},
        {},
        {"bucket_tags": {"a": "b"}, "bucket_name": "states", "table_tags": {"c": "d"}, "client": "opentofu"},
    ),
    "of the group for bucket and table": (
        {GROUP: {"tags": {"a": "b"}}},
        {},
        {"bucket_tags": {"a": "b"}, "table_tags": {"a": "b"}},
    ),
    "the role's variable over all": (
        {GROUP: {"profile": "dev"}, BACKEND: {"profile": "dev"}, BUCKET: {"profile": "x"}, TABLE: {"profile": "y"}},
        {"profile": "prod"},
        {"profile": "prod"},
    ),
    "a blank variable is not set": ({GROUP: {"profile": "prod"}}, {"profile": ""}, {"profile": "prod"}),
    "keys of the role and no profile of the group": (
        {GROUP: {"profile": "dev", "region": "eu-west-1"}},
        {"access_key": "AKIA", "secret_key": "s"},
        {"access_key": "AKIA", "secret_key": "s", "region": "eu-west-1"},
    ),
    "a profile of the role and no keys of the group": (
        {GROUP: {"access_key": "AKIA", "secret_key": "s", "session_token": "t"}},
        {"profile": "prod"},
        {"profile": "prod"},
    ),
    "a module that has no part in this": ({"cornerstone.tfstate.tf_backend_info": {"profile": "x"}}, {}, {}),
    "a group of others": ({"group/amazon.aws.aws": {"profile": "x"}}, {}, {}),
    "what the role never does": ({BUCKET: {"state": "absent", "confirm_name": "x"}}, {}, {}),
}


@pytest.mark.parametrize(("given", "of_role", "expected"), CASES.values(), ids=CASES)
def test_the_role_takes_module_defaults(
    given: dict[str, Any], of_role: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert role_variables.with_defaults(variables(**of_role), defaults(given)) == variables(**expected)


@pytest.mark.parametrize("option", [name for name in role_variables.SHARED if name != "wait_timeout"])
def test_a_bucket_in_one_account_and_its_table_in_another_are_refused(option: str) -> None:
    with pytest.raises(Invalid) as raised:
        role_variables.with_defaults({}, defaults({BUCKET: {option: "a"}, TABLE: {option: "b"}}))
    assert f"terraform_backend_{option}" in str(raised.value)
    with pytest.raises(Invalid):
        role_variables.with_defaults({}, defaults({BUCKET: {option: "a"}}))
    lockfile = variables(lock_mode="lockfile")
    assert role_variables.with_defaults(lockfile, defaults({BUCKET: {option: "a"}})) == {
        **lockfile,
        **variables(**{option: "a"}),
    }


def test_the_task_s_own_module_beats_what_the_role_executes() -> None:
    spec = ENTRIES["tf_backend_audit"].spec
    given = {GROUP: {"profile": "dev"}, BACKEND: {"profile": "x"}, AUDIT: {"profile": "prod", "gather": ["usage"]}}
    merged = role_variables.with_defaults(variables(), defaults(given), "tf_backend_audit", spec)
    assert merged == variables(profile="prod")
    of_role = variables(profile="role")
    assert role_variables.with_defaults(of_role, defaults(given), "tf_backend_audit", spec) == of_role


def test_later_defaults_beat_earlier_ones() -> None:
    assert role_variables.with_defaults(
        {}, defaults({GROUP: {"profile": "a"}}, {GROUP: {"profile": "b"}})
    ) == variables(profile="b")


EXPLICIT: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    "inherited": ({"profile": "prod"}, {AUDIT: {}}, {}),
    "written": ({"profile": "dev"}, {AUDIT: {"profile": "dev"}}, {"profile": "dev"}),
    "written, and the same": ({"profile": "prod"}, {AUDIT: {"profile": "{{ p }}"}}, {"profile": "prod"}),
    "written as text": ({"profile": "prod"}, {AUDIT: "profile=prod"}, {"profile": "prod"}),
    "written as args": ({"profile": "prod"}, {AUDIT: None, "args": {"profile": "prod"}}, {"profile": "prod"}),
    "written as an action": ({"profile": "prod"}, {"action": f"{AUDIT} profile=prod"}, {"profile": "prod"}),
    "by another name": ({"profile": "prod", "aws_region": "r"}, {AUDIT: {"aws_region": "r"}}, {"region": "r"}),
    "a task without a text": ({"profile": "prod", "region": "r"}, None, {"region": "r"}),
}


@pytest.mark.parametrize(("args", "text", "expected"), EXPLICIT.values(), ids=EXPLICIT)
def test_what_a_task_says_itself_is_told_from_what_it_inherits(
    args: dict[str, Any], text: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    found = defaults({GROUP: {"profile": "prod"}}, args=args, text=text)
    assert found.explicit("tf_backend_audit", ENTRIES["tf_backend_audit"].spec) == expected


def test_an_option_that_nobody_has_is_refused() -> None:
    with pytest.raises(Invalid, match="bogus"):
        role_variables.with_defaults({}, defaults({BUCKET: {"bogus": 1}}))
    for unknown in ({BACKEND: {"acount_id": "1"}}, {GROUP: {"acount_id": "1"}}):
        with pytest.raises(Invalid, match="acount_id"):
            role_variables.check_options(["acount_id"], defaults(unknown))
    role_variables.check_options(["tags", "profile"], defaults({GROUP: {"tags": {}, "profile": "p"}}))
    with pytest.raises(Invalid, match="tags"):
        role_variables.check_options(["tags"], defaults({GROUP: {"profile": "p"}}))


def test_every_module_with_a_connection_is_in_the_group() -> None:
    with_connection = {name for name, entry in ENTRIES.items() if "profile" in entry.spec}
    assert {*MEMBERS} == {*with_connection, "tf_backend"}


def test_credentials_are_one_choice() -> None:
    assert over({"profile": "a", "region": "r"}, {"session_token": "t"}) == {"region": "r", "session_token": "t"}
    assert over({"profile": "a", "access_key": "b"}, {"profile": " ", "access_key": "\t"})["profile"] == "a"
    assert over({"profile": "a"}, {"profile": None, "region": ""}) == {"profile": "a", "region": ""}
    assert canonical({"aws_profile": "a", "profile": "b"}, role_variables.TASK_SPEC) == {"profile": "a"}


@pytest.mark.parametrize("module", sorted({*MEMBERS} & {*ENTRIES}))
@pytest.mark.parametrize("option", role_variables.SHARED)
def test_every_module_of_the_group_takes_what_the_group_may_say(module: str, option: str) -> None:
    """Ansible gives the defaults of a group to each of its modules, which refuses what it does not know."""
    bucket, its = ENTRIES["tf_state_bucket"].spec[option], ENTRIES[module].spec[option]
    assert {*its.get("aliases", ())} == {*bucket.get("aliases", ())}
    assert its.get("type", "str") == bucket.get("type", "str")


def test_every_module_of_the_group_is_known_here() -> None:
    assert {*MEMBERS} - {*ENTRIES} <= {"tf_backend"}

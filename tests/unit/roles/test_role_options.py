# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's defaults, argument specs and variables against the options of the modules."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import (
    ENTRIES,
    ROLE_SPEC,
    variables,
)

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "terraform_backend"
#: The last two are those of the whole backend.
NOT_OF_THE_ROLE = {"state", "confirm_name", "lock_mode", "table", "key"}
WHOLE_BACKEND = {*CONNECTION_SPEC, "account_id", "check_permissions", "wait_timeout"}


@cache
def loaded(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text())


def described() -> dict[str, Any]:
    options: dict[str, Any] = loaded("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def test_the_files_are_what_the_modules_document() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "role_options.py"), "--check"]
    checked = subprocess.run(script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("resource", [BUCKET, TABLE], ids=lambda resource: resource.kind)
def test_every_option_of_a_module_has_its_role_variable(resource: Any) -> None:
    spec_of_module = ENTRIES[resource.kind].spec
    options = spec_of_module.keys() - NOT_OF_THE_ROLE
    assert variables(resource.kind).keys() == options
    for option, variable in variables(resource.kind).items():
        assert variable == (
            f"terraform_backend_{option}" if option in WHOLE_BACKEND else f"terraform_backend_{resource.kind}_{option}"
        )
        spec, told = described()[variable], spec_of_module[option]
        choices, kind = told.get("choices", []), told.get("type", "str")
        if spec["type"] == "raw":  # Ansible itself would take no blank for it
            words = {"list": f"A list of {told.get('elements')}", "dict": "A dictionary"}.get(kind, f"Type {kind}")
            assert spec["description"][-2].startswith(words)
            assert all(f"V({choice})" in spec["description"][-2] for choice in choices)
        else:
            assert spec["type"] == kind
            assert set(spec.get("choices", [])) == set(choices)


@pytest.mark.parametrize("variable", described())
def test_ansible_takes_a_blank_variable_as_the_task_does(variable: str) -> None:
    spec = described()[variable]
    for blank in ("", " ", None):
        assert not ArgumentSpecValidator({variable: spec}).validate({variable: blank}).error_messages, blank


@pytest.mark.parametrize("variable", described())
def test_ansible_leaves_what_is_wrong_or_missing_to_the_task(variable: str) -> None:
    """Under `roles`, Ansible would print the specs of all variables, 20 KB, for any of them."""
    spec = described()[variable]
    for given in ({}, *({variable: wrong} for wrong in ("wrong", 12, 1.5, True, ["wrong"], {"wrong": 1}))):
        assert not ArgumentSpecValidator({variable: spec}).validate(given).error_messages, given


def test_the_task_reads_what_is_described_and_nothing_else() -> None:
    assert ROLE_SPEC.keys() == described().keys()


def test_defaults_are_described_with_the_same_default() -> None:
    for variable, value in loaded("defaults/main.yml").items():
        assert described()[variable]["default"] == value

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's defaults, argument specs and task arguments against the options of the modules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._module import CONNECTION_SPEC, argument_spec
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "terraform_backend"
NOT_OF_THE_ROLE = {"state", "confirm_name"}
WHOLE_BACKEND = {*CONNECTION_SPEC, "account_id", "wait_timeout"}


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
    (task,) = loaded(f"tasks/{resource.kind}.yml")
    arguments = next(value for key, value in task.items() if key.startswith("cornerstone.tfstate."))
    options = argument_spec(resource).keys() - NOT_OF_THE_ROLE
    assert arguments.keys() == options
    for option in options:
        variable = (
            f"terraform_backend_{option}" if option in WHOLE_BACKEND else f"terraform_backend_{resource.kind}_{option}"
        )
        assert re.search(rf"\b{variable}\b", arguments[option])
        spec = described()[variable]
        assert spec["type"] == argument_spec(resource)[option].get("type", "str")
        assert set(spec.get("choices", [])) == set(argument_spec(resource)[option].get("choices", []))


def test_defaults_are_described_with_the_same_default() -> None:
    for variable, value in loaded("defaults/main.yml").items():
        assert described()[variable]["default"] == value


def test_every_variable_that_a_task_reads_is_described() -> None:
    text = "".join(path.read_text() for path in (ROLE / "tasks").glob("*.yml"))
    assert set(re.findall(r"\bterraform_backend_[a-z_]+", text)) <= described().keys()

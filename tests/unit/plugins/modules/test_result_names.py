# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Results bear no name by which Ansible means something else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

MODULES = sorted((Path(__file__).parents[4] / "plugins" / "modules").glob("tf_*.py"))
#: With one of these, Ansible takes a task for skipped, a host for unreachable, or a text for what a command printed.
OF_ANSIBLE = {"skipped", "unreachable", "ignored", "rescued", "rc", "stdout", "stderr", "results", "invocation"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_result_has_a_name_of_ansible(module: Path) -> None:
    texts = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "RETURN"
    }
    assert not OF_ANSIBLE & {*yaml.safe_load(texts["RETURN"])}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One tag selects all that this collection does in a playbook of somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TAGS = ["terraform_backend"]


@pytest.mark.parametrize("playbook", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_every_play_has_the_tag(playbook: Path) -> None:
    plays = [each for each in yaml.safe_load(playbook.read_text()) if "hosts" in each]
    assert plays and all(each["tags"] == TAGS for each in plays)


def test_every_task_of_the_role_has_the_tag() -> None:
    tasks = yaml.safe_load((ROOT / "roles/terraform_backend/tasks/main.yml").read_text())
    assert tasks and all(each["tags"] == TAGS for each in tasks)

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


#: As one of the tags of a task, a part that is skipped would skip all of it.
PARTS = [
    f"{{{{ 'terraform_backend' if '{part}' in ansible_skip_tags else '{part}' }}}}"
    for part in ("bucket", "table", "files")
]


@pytest.mark.parametrize("tasks", ["main", "preflight"])
def test_every_task_of_the_role_has_the_tags(tasks: str) -> None:
    found = yaml.safe_load((ROOT / f"roles/terraform_backend/tasks/{tasks}.yml").read_text())
    assert found and all(each["tags"] == TAGS + PARTS for each in found)


@pytest.mark.parametrize("playbook", ["bootstrap", "preflight"])
def test_what_is_around_the_role_runs_with_each_part(playbook: str) -> None:
    plays = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text())
    tasks = [task for play in plays for task in play["tasks"] if "ansible.builtin.import_role" not in task]
    assert len(tasks) == 3 and all(each["tags"] == PARTS for each in tasks)

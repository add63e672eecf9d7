# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What playbooks write by default lies outside the folder they are run from, which may be a checkout that is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCATIONS = ("directory", "backup", "__snapshot")
BY_HOST = "__terraform_backend_location"
OF_BACKUPS: dict[str, str] = yaml.safe_load((ROOT / "playbooks" / "vars" / "backup.yml").read_text())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


def locations(playbook: Path) -> list[str]:
    """The arguments of tasks that say where a module writes or reads files."""
    tasks = [task for play in yaml.safe_load(playbook.read_text()) for task in play.get("tasks", [])]
    arguments = [given for task in tasks for given in task.values() if isinstance(given, dict)]
    found = [given[name] for given in arguments for name in LOCATIONS if name in given]
    return [text.replace(BY_HOST, OF_BACKUPS[BY_HOST]) for text in found if not text.endswith("default(omit) }}")]


@pytest.mark.parametrize("playbook", [path for path in PLAYBOOKS if locations(path)], ids=lambda path: path.stem)
def test_the_default_lies_in_the_home_folder(playbook: Path) -> None:
    for location in locations(playbook):
        assert re.findall(r"default\('([^']*)'", location), location
        assert all(each.startswith("~/terraform-backends/") for each in re.findall(r"default\('([^']*)'", location))


def test_locations_are_found() -> None:
    assert [path.stem for path in PLAYBOOKS if locations(path)] == [
        *("audit", "backup", "handover", "rebuild", "restore_backup", "teardown", "verify"),
    ]

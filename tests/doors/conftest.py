# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both doors by which a playbook enters a module's core."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.playbooks.conftest import emulator, unique
from tests.playbooks.project import Project
from tests.support.relay import Relay

__all__ = ["emulator", "unique"]

#: The variable that switches the fast door, by what is behind it.
DOORS = {"in the worker": "true", "as a module": "false"}


@pytest.fixture(params=DOORS)
def project(request: pytest.FixtureRequest, tmp_path: Path, relay: Relay) -> Project:
    project = Project(tmp_path, relay.url)
    project.inventory({"localhost": {}}, cornerstone_tfstate_fast_door=DOORS[request.param])
    return project

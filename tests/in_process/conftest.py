# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook's module in-process and as a subprocess."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.playbooks.conftest import emulator, unique
from tests.playbooks.project import Project
from tests.support.relay import Relay

__all__ = ["emulator", "unique"]

#: The variable that chooses between in-process and subprocess.
EXECUTIONS = {"in the worker": "true", "as a module": "false"}


@pytest.fixture(params=EXECUTIONS)
def project(request: pytest.FixtureRequest, tmp_path: Path, relay: Relay) -> Project:
    project = Project(tmp_path, relay.url)
    project.inventory({"localhost": {}}, cornerstone_tfstate_in_process=EXECUTIONS[request.param])
    return project

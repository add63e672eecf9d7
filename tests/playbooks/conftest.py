# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A project of somebody's, with an emulator behind a relay of its own."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: which calls are made is proven elsewhere, on both."""
    return ministack


@pytest.fixture
def project(tmp_path: Path, relay: Relay) -> Project:
    return Project(tmp_path, relay.url)


@pytest.fixture
def unique() -> str:
    """A part of names: the emulator outlives the test."""
    return uuid4().hex[:12]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fixtures of integration tests, over the fake: a test that asks for them runs without an emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.moves import World, project_in
from tests.support.relay import Relay
from tests.unit.plugins.module_utils.fake_backend import FakeBackend


@pytest.fixture
def emulator() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    with pytest.MonkeyPatch.context() as patch:
        fake.use_for(patch)
        yield fake


@pytest.fixture
def relay(emulator: FakeBackend) -> Relay:
    return emulator.relay


@pytest.fixture
def world(emulator: FakeBackend) -> World:
    """Two backends between which states move."""
    return World(emulator.relay, emulator)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with local states of two workspaces."""
    return project_in(tmp_path)

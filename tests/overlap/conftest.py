# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The emulator that writes everything down, and the launcher of runs, once for all rounds of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import terraform
from tests.overlap.bench import Bench, bench

__all__ = ["terraform"]


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("overlap")) as made:
        yield made

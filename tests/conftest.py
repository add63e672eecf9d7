# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for every test: a clean environment always; emulators and relays for those that ask."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from tests.support.aws_defaults import aws_defaults
from tests.support.botocore_handlers import register_fast
from tests.support.clean_environment import clean_environment, without_aws
from tests.support.emulators import MINISTACK, MOTO, RunningEmulator, running
from tests.support.relay import Relay

ROOT = Path(__file__).parents[1]

# How long an example takes depends on the machine, not on the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
register_fast()

EMULATORS = {"emulator", "ministack", "moto"}
#: Where the emulators themselves are tested, both of them are.
BOTH_EMULATORS = ROOT / "tests" / "unit" / "support"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an emulator, and as a repetition what runs once more on moto."""
    for item in items:
        if EMULATORS & set(getattr(item, "fixturenames", ())):
            item.add_marker("emulator")
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if parameters.get("emulator") == "moto" and BOTH_EMULATORS not in item.path.parents:
            item.add_marker("thorough")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What has been imported stays: the garbage collector need not look at it again and again.

    At other things it looks less often than usual, which would take a fifth of the time of unit tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """pytest collects five times at its end, for what no test has left behind."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_ambient_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with clean_environment(tmp_path_factory.mktemp("no-aws")):
        yield


@pytest.fixture
def subprocess_environment(tmp_path: Path) -> dict[str, str]:
    """For `subprocess.run(env=...)`: nothing of AWS, and a home of its own."""
    return without_aws(os.environ, tmp_path)


@pytest.fixture(scope="session")
def ministack() -> Iterator[RunningEmulator]:
    with running(MINISTACK) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def moto() -> Iterator[RunningEmulator]:
    with running(MOTO) as emulator:
        yield emulator


@pytest.fixture(params=["ministack", "moto"])
def emulator(request: pytest.FixtureRequest) -> RunningEmulator:
    """Each emulator in turn. One process serves a whole session, so names are unique instead of reset."""
    running_emulator: RunningEmulator = request.getfixturevalue(request.param)
    return running_emulator


@pytest.fixture
def relay(emulator: RunningEmulator) -> Iterator[Relay]:
    """A relay in front of the bare emulator."""
    with Relay(emulator.url) as relay:
        yield relay


@pytest.fixture
def aws_like(emulator: RunningEmulator) -> Iterator[Relay]:
    """A relay that gives new resources AWS's own defaults."""
    with Relay(emulator.url) as relay:
        relay.use(*aws_defaults(emulator))
        yield relay


@pytest.fixture
def bucket_name() -> str:
    return f"tf-state-{uuid4().hex[:16]}"


@pytest.fixture
def table_name() -> str:
    return f"tf-locks-{uuid4().hex[:16]}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The life of a table that is really CREATING, UPDATING and DELETING, through every door."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import behind_the_shim
from tests.integration.doors import Playbook, through_core
from tests.integration.subject import changed
from tests.integration.test_lives import DOORS
from tests.support import dynalite
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

#: What dynalite has never heard of.
UNMANAGED = {"unmanaged": ["deletion_protection", "recovery"]}
LIFE: tuple[tuple[dict[str, Any], list[str], list[str]], ...] = (
    ({"tags": {"Stage": "test"}}, ["existence", "tags"], ["CREATING", "ACTIVE"]),
    (
        {"tags": {"Stage": "prod"}, "read_capacity": 3, "write_capacity": 3},
        ["billing", "tags"],
        ["ACTIVE", "UPDATING", "ACTIVE"],
    ),
    ({"state": "absent"}, ["existence"], ["ACTIVE", "DELETING"]),
)
TABLES_TAKE_MS = 600


@pytest.fixture(scope="session")
def tables_url() -> Iterator[str]:
    with dynalite.running(TABLES_TAKE_MS) as url:
        yield url


@pytest.mark.aws("4.1", "4.3", "4.5")
@pytest.mark.parametrize("door", ["core", *DOORS])
def test_a_table_is_created_modified_and_deleted(
    ministack: RunningEmulator, tables_url: str, door: str, tmp_path: Path
) -> None:
    enter = through_core if door == "core" else Playbook(tmp_path, DOORS[door])
    with Relay(ministack.url) as relay:
        tables = dynalite.DynaliteTables(tables_url)
        relay.use(tables)
        table = behind_the_shim("table", ministack, relay)
        for asked, facets, statuses in LIFE:
            tables.statuses.clear()
            start = len(relay.calls)
            first, again = enter([table.as_task(**asked, **UNMANAGED)] * 2)
            assert not first.get("failed"), first["msg"]
            assert changed(first) == facets
            assert first["warnings"] == [] if "warnings" in first else True
            assert (again["changes"], again["changed"]) == ([], False)
            assert [status for status, _unused in groupby(tables.statuses)] == statuses
            refused = [call for call in relay.calls[start:] if call.is_write and call.status != 200]
            assert not [call for call in refused if call.name not in ("UpdateTable", "TagResource")]


def test_without_npm_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        dynalite.NpmError, match="node is not on PATH: tables that are really CREATING come from dynalite"
    ):
        dynalite.install()

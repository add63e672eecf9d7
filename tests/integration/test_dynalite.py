# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The life of a table that is really CREATING, UPDATING and DELETING, in-process and as a subprocess."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from tests.integration.conftest import behind_the_shim
from tests.integration.module_runs import RunTasks
from tests.integration.subject import changed
from tests.support import dynalite
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

#: What dynalite has never heard of.
UNMANAGED = {
    "unmanaged": ["deletion_protection", "recovery"],
    "allow": ["disable_deletion_protection", "disable_recovery"],
}
LIFE: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"tags": {"Stage": "test"}}, ["existence", "tags"]),
    ({"tags": {"Stage": "prod"}, "read_capacity": 3, "write_capacity": 3}, ["billing", "tags"]),
    ({"state": "absent"}, ["existence"]),
)
STATUSES = ["CREATING", "ACTIVE", "UPDATING", "ACTIVE", "DELETING"]
TABLES_TAKE_MS = 600


@pytest.fixture(scope="session")
def tables_url() -> Iterator[str]:
    with dynalite.running(TABLES_TAKE_MS) as url:
        yield url


@pytest.mark.aws("4.1", "4.3", "4.5")
def test_a_table_is_created_modified_and_deleted(
    ministack: RunningEmulator, tables_url: str, run_tasks: RunTasks
) -> None:
    with Relay(ministack.url) as relay:
        tables = dynalite.DynaliteTables(tables_url)
        relay.use(tables)
        table = behind_the_shim("table", ministack, relay)
        results = run_tasks([table.as_task(**asked, **UNMANAGED) for asked, _unused in LIFE for _unused in range(2)])
    for (_unused, facets), first, again in zip(LIFE, results[::2], results[1::2], strict=True):
        assert not first.get("failed"), first["msg"]
        assert changed(first) == facets
        assert not first.get("warnings")
        assert (again["changes"], again["changed"]) == ([], False)
    assert [status for status, _unused in groupby(tables.statuses)] == STATUSES


def test_without_npm_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        dynalite.NpmError, match="node is not on PATH: tables that are really CREATING come from dynalite"
    ):
        dynalite.install()

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of a whole bucket are written where there are none, and nothing that is there is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Result, Task, through_core
from tests.integration.test_lock_mode import ONE, QA, SECRET, TWO, Backend, digest, state
from tests.support.emulators import RunningEmulator
from tests.support.relay import Call, Relay, lose_reply, then


@pytest.fixture
def backend(relay: Relay, emulator: RunningEmulator, bucket_name: str, table_name: str, tmp_path: Path) -> Backend:
    """Three states, and nothing in the table."""
    backend = Backend(relay, emulator, bucket_name, table_name, tmp_path)
    for name in backend.items:
        backend.dynamodb.delete_item(TableName=table_name, Key={"LockID": {"S": f"{bucket_name}/{name}"}})
    return backend


def as_task(backend: Backend, check_mode: bool = False, **params: Any) -> Task:
    given = backend.as_task("both").params
    names = ("endpoint_url", "region", "access_key", "secret_key", "bucket", "table", "wait_timeout")
    asked = {name: given[name] for name in names} | params
    return Task("tf_state_digest", {name: value for name, value in asked.items() if value is not None}, check_mode)


def task(backend: Backend, check_mode: bool = False, **params: Any) -> Result:
    before = backend.all
    (result,) = through_core([as_task(backend, check_mode, **params)])
    assert not check_mode or backend.all == before
    assert SECRET not in json.dumps(result)
    return result


def done(backend: Backend, **params: Any) -> Result:
    """Check mode foretells it; done twice it writes nothing; no lock is left."""
    foretold = task(backend, check_mode=True, **params)
    result = task(backend, **params)
    assert not result.get("failed"), result["msg"]
    assert foretold == result
    after, writes = backend.all, len(backend.relay.writes)
    again = task(backend, **params)
    assert (again["changed"], backend.all, len(backend.relay.writes)) == (False, after, writes)
    assert not [each for each in backend.objects if each.endswith(".tflock")]
    return result


def row(result: Result, path: str) -> dict[str, Any]:
    return next(each for each in result["states"] if each["path"] == path)


def test_every_state_gets_its_digest(backend: Backend) -> None:
    result = done(backend)
    assert result["changed"] and backend.digests == {path: digest(state()) for path in (ONE, TWO, QA)}
    assert row(result, ONE) == {
        "path": ONE,
        "status": "missing",
        "action": "write",
        "digest": digest(state()),
        "problem": None,
    }
    assert result["progress"] == {"states": 3, "written": 3, "unchanged": 0, "failed": 0, "foreign": 0}
    assert set(backend.items) == {f"{path}-md5" for path in (ONE, TWO, QA)}


def test_what_a_client_writes_meanwhile_stays(backend: Backend) -> None:
    """Between our look and our lock."""

    def meanwhile(call: Call) -> None:
        if call.params["Key"] == f"{ONE}.tflock":
            backend.write(ONE, state(2))

    backend.relay.on("PutObject", reply=then(meanwhile), times=9)
    assert not task(backend).get("failed")
    assert backend.digests[ONE] == digest(state(2))


@pytest.mark.parametrize("operation", ["PutObject", "PutItem", "DeleteItem", "DeleteObject"])
def test_a_reply_that_is_lost_on_the_way_is_made_out(backend: Backend, operation: str) -> None:
    rule = backend.relay.on(operation, reply=lose_reply, times=2)
    assert not task(backend).get("failed") and rule.fired == 2
    assert backend.digests == {path: digest(state()) for path in (ONE, TWO, QA)}
    assert not [each for each in backend.objects if each.endswith(".tflock")]


def test_digests_are_rebuilt_through_either_execution_by_the_role_s_variables(
    backend: Backend, run_with: RunWithVariables
) -> None:
    params = as_task(backend).params
    role = {
        f"terraform_backend_{name}": params[name] for name in ("endpoint_url", "region", "access_key", "secret_key")
    }
    role |= {"terraform_backend_bucket_name": backend.bucket, "terraform_backend_table_name": backend.table}
    bare = Task("tf_state_digest")
    results = run_with(role)([Task(bare.module, check_mode=True), bare, bare])
    assert [(each["changed"], each["progress"]["written"]) for each in results] == [(True, 3), (True, 3), (False, 0)]
    assert SECRET not in json.dumps(results)

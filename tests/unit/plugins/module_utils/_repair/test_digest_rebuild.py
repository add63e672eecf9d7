# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests for all states that have none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import lock_file
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE

from tests.integration.test_digest_rebuild import backend, done, row, task
from tests.integration.test_lock_mode import ONE, QA, TWO, Backend, digest, state
from tests.support.relay import Call, Proceed, error

__all__ = ["backend"]


def test_states_are_chosen_by_their_keys(backend: Backend) -> None:
    assert done(backend, keys=["app/one*"])["progress"]["written"] == 2
    assert set(backend.digests) == {ONE, QA}


def test_a_key_that_no_state_has_is_warned_of(backend: Backend) -> None:
    result = done(backend, keys=[ONE, f"{backend.bucket}/{TWO}", "none*"])
    said = f"there is no state '{backend.bucket}/{TWO}': correct keys; perhaps this is meant: '{TWO}'"
    assert result["warnings"] == [said]


def test_what_clients_ignore_is_written_over(backend: Backend) -> None:
    backend.item(f"{ONE}-md5", Digest={"S": "none of your business"})
    backend.item(f"{TWO}-md5")
    result = done(backend)
    assert [row(result, path)["status"] for path in (ONE, TWO, QA)] == ["malformed", "malformed", "missing"]
    assert backend.digests == {path: digest(state()) for path in (ONE, TWO, QA)}


def test_a_digest_that_is_there_is_never_touched_and_named_where_it_is_wrong(backend: Backend) -> None:
    backend.item(f"{ONE}-md5", Digest={"S": "0" * 32})
    backend.item("gone.tfstate-md5", Digest={"S": "1" * 32})
    backend.write(QA, state())
    backend.write("deleted.tfstate", state())
    backend.s3.delete_object(Bucket=backend.bucket, Key="deleted.tfstate")
    before = backend.digests
    for check_mode in (True, False):
        result = task(backend, check_mode)
        assert (result["failed"], result["changed"]) == (True, True)
        statuses = {each["path"]: each["status"] for each in result["states"]}
        wrong = {ONE: "mismatch", "gone.tfstate": "orphan", "deleted.tfstate": "deleted"}
        assert statuses == {**wrong, TWO: "missing", QA: "match"}
        assert all(path in result["msg"] for path in wrong)
    assert backend.digests == {**before, TWO: digest(state())}


@pytest.mark.parametrize("body", [b"", b"# Read me", b'{"version": 3, "sources": []}'])
def test_what_is_no_state_is_left_alone_with_a_warning(backend: Backend, body: bytes) -> None:
    backend.s3.put_object(Bucket=backend.bucket, Key="README.md", Body=body)
    result = done(backend)
    assert "left alone: the state README.md cannot be read by a client" in result["warnings"][0]
    assert "README.md" not in backend.digests and result["progress"]["foreign"] == 1


def test_a_damaged_state_is_named_and_the_others_are_done(backend: Backend) -> None:
    backend.s3.put_object(Bucket=backend.bucket, Key="README.md", Body=state()[:-40])
    result = task(backend)
    assert result["failed"] and "the state README.md cannot be read by a client (it is cut off" in result["msg"]
    assert set(backend.digests) == {ONE, TWO, QA} and result["progress"]["foreign"] == 0


def test_a_state_that_does_not_agree_with_its_history_is_named(backend: Backend) -> None:
    for serial in (9, 2):
        backend.write(ONE, state(serial), digest_too=False)
    result = task(backend)
    assert result["failed"] and "does not agree with its history" in row(result, ONE)["problem"]
    assert set(backend.digests) == {TWO, QA}
    assert done(backend, allow=["accept_state"])["progress"]["written"] == 1


def test_a_state_that_is_locked_is_named_and_the_others_are_done(backend: Backend) -> None:
    backend.lock(ONE, "file")
    for check_mode in (True, False):
        result = task(backend, check_mode)
        assert result["failed"] and f"{ONE} is locked by ann@runner-7" in result["msg"]
    assert set(backend.digests) == {TWO, QA}
    backend.unlock(ONE)
    assert done(backend)["progress"]["written"] == 1


def test_a_lock_that_a_killed_run_has_left_is_released_by_the_next(backend: Backend) -> None:
    def cut(call: Call, proceed: Proceed) -> Any:
        return error("AccessDenied", 403)(call, proceed)

    for operation in ("DeleteObject", "DeleteItem"):
        backend.relay.on(operation, reply=cut, times=math.inf)
    result = task(backend)
    assert result["failed"] and backend.digests
    backend.relay._rules.clear()
    left = [each for each in backend.objects if each.endswith(".tflock") and each != lock_file(LEASE)]
    assert len(left) == 3
    assert done(backend)["changed"]


WRONG = {"absent": {"state": "absent"}, "workspace": {"workspace": "qa"}}


@pytest.mark.parametrize("asked", WRONG.values(), ids=list(WRONG))
def test_what_is_about_one_state_needs_its_key(backend: Backend, asked: dict[str, Any]) -> None:
    result = task(backend, **asked)
    assert result["failed"] and "key is missing" in result["msg"]

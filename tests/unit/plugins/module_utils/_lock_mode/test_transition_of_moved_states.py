# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend from which states have moved changes its lock mode as any other."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.integration.module_runs import through_core
from tests.integration.test_lock_mode import ONE, QA, WORD, Backend, backend, digest, info, state
from tests.integration.test_lock_mode_of_moved_states import (
    FILES,
    PROTECTIONS,
    locks,
    move,
)
from tests.support.relay import error

__all__ = ["backend"]


@pytest.mark.parametrize(("protection", "more", "here"), PROTECTIONS.values(), ids=list(PROTECTIONS))
def test_states_that_have_moved_are_not_waited_for_there_and_back(
    backend: Backend, protection: str, more: dict[str, Any], here: set[str]
) -> None:
    move(backend, protection, **more)
    before, kept = locks(backend), {path: each for path, each in backend.digests.items() if path not in here}
    for target in ("both", "lockfile", "lockfile", "both", "dynamodb"):
        foretold = backend.task(target, check_mode=True)
        result = backend.task(target)
        assert not result.get("failed"), result["msg"]
        assert foretold == result and backend.has_digest_policy is (target == "lockfile")
        assert locks(backend) == before
        assert (set(result["digests"]), backend.digests) == (
            (here, kept) if result["changed"] and target == "lockfile" else (set(), backend.digests)
        )
    assert backend.digests == kept


@pytest.mark.parametrize("store", ["file", "table"])
def test_a_fence_that_clients_of_the_next_mode_do_not_see_is_in_the_way(backend: Backend, store: str) -> None:
    move(backend, "lock", source_table=backend.table)
    for path in (ONE, QA):
        name = {"LockID": {"S": f"{backend.bucket}/{path}"}}
        if store == "file":
            backend.dynamodb.delete_item(TableName=backend.table, Key=name)
        else:
            backend.s3.delete_object(Bucket=backend.bucket, Key=f"{path}.tflock")
    target = "dynamodb" if store == "file" else "lockfile"
    told = backend.missing(target)
    assert len(told) == 2 and f"{ONE} has moved away" in told[0] and "run its move again" in told[0]
    move(backend, "lock")
    assert not backend.task(target).get("failed")


def test_what_is_on_its_way_into_the_bucket_has_not_moved_away(backend: Backend) -> None:
    told = f"moved, or on its way, from s3://there/{ONE} to s3://{backend.bucket}/{ONE}"
    record = {"ID": "x", "Operation": "tf_state_move", "Info": told, "Created": info().created}
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{ONE}.tflock", Body=json.dumps(record).encode())
    assert f"{ONE} is locked" in backend.missing("both")[0]


def test_a_table_that_may_not_go_is_not_emptied(backend: Backend) -> None:
    move(backend, "lock")
    backend.dynamodb.update_table(TableName=backend.table, DeletionProtectionEnabled=True)
    backend.task("lockfile")
    backend.use("one", "lockfile")
    before = backend.all
    for check_mode in (True, False):
        result = backend.task("lockfile", check_mode, remove_table=True)
        assert (result["failed"], result["changed"]) == (True, False)
        assert "allow: [disable_deletion_protection]" in result["msg"]
    assert backend.all == before


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_table_that_could_not_be_emptied_is_told_and_the_next_run_completes_it(backend: Backend, nth: int) -> None:
    move(backend, "lock")
    backend.task("lockfile")
    backend.use("one", "lockfile")
    rule = backend.relay.on("DeleteItem", nth=nth, reply=error("AccessDeniedException"), times=math.inf)
    result = backend.task("lockfile", remove_table=True, **WORD)
    assert (result["failed"], result["changed"], len(result["digests"])) == (True, nth > 1, max(0, nth - 3))
    assert "needs dynamodb:DeleteItem" in result["msg"]
    assert locks(backend)[0] == FILES
    rule.times = 0
    (again,) = through_core([backend.as_task("lockfile", remove_table=True, **WORD)])
    assert again["table_removed"], again


def test_a_lock_of_another_move_keeps_the_table(backend: Backend) -> None:
    """Its lock file is of another one: nobody knows which of them holds."""
    move(backend, "lock")
    backend.task("lockfile")
    backend.use("one", "lockfile")
    away = f"moved, or on its way, from s3://{backend.bucket}/{ONE} to s3://elsewhere/{ONE}"
    record = {"ID": "y", "Operation": "tf_state_move", "Info": away, "Created": info().created}
    backend.item(ONE, Info={"S": json.dumps(record)})
    (told,) = backend.missing("lockfile", remove_table=True, **WORD)
    assert f"{ONE} is still in the table" in told and "release that lock with tf_state_lock" in told


def test_a_digest_of_a_state_that_is_gone_keeps_the_table_and_what_mends_it_is_said(backend: Backend) -> None:
    backend.step("lockfile")
    backend.use("one", "lockfile")
    backend.item(f"{ONE}-md5", Digest={"S": digest(state())})
    backend.item("not/of-a-state-md5", Digest={"S": digest(state())})
    other = {"LockID": {"S": "elsewhere/app.tfstate-md5"}, "Digest": {"S": "0" * 32}}
    backend.dynamodb.put_item(TableName=backend.table, Item=other)
    backend.s3.delete_object(Bucket=backend.bucket, Key=ONE)
    told = backend.missing("lockfile", remove_table=True, **WORD)
    assert len(told) == 3 and all("undelete that with tf_state_version" in each for each in told[1:])
    assert "take the step to lockfile in elsewhere, too" in told[0]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A teardown that is cancelled after each of its writes: no state is ever absent and unlocked, and a restore works."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.backups import World
from tests.integration.moves import DEV, KEY, state
from tests.integration.scenarios import Outage, Watch
from tests.support.http_relay import Answer
from tests.support.relay import Proceed, error
from tests.unit.plugins.module_utils.fake_versions import world_in

TEARDOWN, RESTORE, FREEZE, VERIFY = (
    "tf_backend_teardown",
    "tf_backend_restore",
    "tf_backend_freeze",
    "tf_backend_verify",
)
CANCEL: dict[str, Any] = {"state": "cancelled", "allow": None, "confirm_name": None}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return filled(world_in(tmp_path, monkeypatch))


def filled(world: World) -> World:
    world.place.put(state(1))
    world.place.put(state(2))
    world.place.put(state(7), DEV)
    return world


def open_states(world: World) -> str | None:
    """The states that a client would find absent and could lock, in both stores or in either."""
    if not world.exists or world.is_closed:
        return None
    absent = [key for key in (KEY, DEV) if world.current(key) is None]
    is_free = [key for key in absent if not (world.has_lock_file(key) or world.has_lock_item(key))]
    return f"{is_free} are absent and free" if is_free else None


def cancelled(world: World, kills_at: int | None = None) -> dict[str, Any]:
    watch = Watch(lambda: open_states(world))
    world.relay.use_first(watch)
    if kills_at is not None:
        world.relay.use_first(Outage(kills_at))
        world.run(TEARDOWN, **CANCEL)
        world.relay.drop_first()
    result = world.done(TEARDOWN, **CANCEL)
    world.relay.drop_first()
    assert watch.seen == []
    return result


@pytest.mark.parametrize("kills_at", [None, 2, 5])
def test_at_any_moment_one_command_ends_it_and_the_backup_comes_back(world: World, kills_at: int | None):
    endings = set()
    for writes in range(60):
        world.relay.use_first(Outage(writes))
        torn_down = world.run(TEARDOWN)
        world.relay.drop_first()
        told = cancelled(world, kills_at)
        endings.add((told["lock_id"] is None, world.exists))
        assert not world.exists or not world.is_closed
        again = world.done(TEARDOWN, **CANCEL)
        assert not again["changed"] and "nothing to cancel" in again["msg"]
        bring_back(world, again)
        assert (world.current(), world.current(DEV)) == (state(2), state(7))
        assert not [key for key in (KEY, DEV) if world.has_lock_file(key) or world.has_lock_item(key)]
        if (world.backup / "backup.json").exists():
            assert "are as they were" in world.done(VERIFY)["msg"]
        if not torn_down.get("failed"):
            break
    assert endings >= {(True, True), (False, True)} and writes > 9


def bring_back(world: World, _told: dict[str, Any]) -> None:
    if not world.exists:
        where = {"CreateBucketConfiguration": {"LocationConstraint": world.place.region}}
        world.place.s3.create_bucket(Bucket=world.place.bucket, **where)
        on = {"Status": "Enabled"}
        world.place.s3.put_bucket_versioning(Bucket=world.place.bucket, VersioningConfiguration=on)
    if not world.has_table:
        world.place.dynamodb.create_table(
            TableName=world.place.table,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    frozen = world.done("tf_backend_info", backup=None, gather=["locks"])["backend"]["frozen"]
    assert len(frozen) <= 1
    lock_id = frozen[0]["lock_id"] if frozen else None
    if (world.backup / "backup.json").exists():
        world.done(RESTORE, lock_id=lock_id)
    if lock_id:
        world.done(FREEZE, state="thawed", lock_id=lock_id, backup=None)


def torn_down_until(world: World, is_reached: Callable[[], bool]) -> None:
    """Kills a teardown after more and more of its writes."""
    for writes in range(60):
        world.relay.use_first(Outage(writes))
        world.run(TEARDOWN)
        world.relay.drop_first()
        if is_reached():
            return
    pytest.fail("the teardown never came so far")


def test_without_its_write_block_states_that_were_deleted_stay_locked(world: World):
    """Somebody, or another tool, wrote the policy of the bucket meanwhile."""
    world.relay.on("DeleteBucket", reply=error("AccessDenied", 403), times=math.inf)
    denied: list[int] = []

    def deny_third(call: Any, proceed: Proceed) -> Answer:
        denied.extend([1] if call.name == "DeleteObjects" else [])
        return error("AccessDenied", 403)(call, proceed) if len(denied) > 2 else proceed()

    world.relay.use_first(deny_third)
    world.run(TEARDOWN)
    world.relay.drop_first()
    assert world.current() is None and world.has_lock_file()
    world.place.s3.delete_bucket_policy(Bucket=world.place.bucket)
    told = cancelled(world)
    assert told["lock_id"] and "stay frozen" in told["msg"] and world.has_lock_file() and world.has_lock_item()
    world.unchanged(TEARDOWN, **CANCEL)
    world.done(RESTORE, lock_id=told["lock_id"])
    assert world.current() == state(2)


def test_a_teardown_does_not_go_on_once_its_end_has_begun(world: World):
    """Clients can write lock files again, and would lock states that are then deleted."""
    torn_down_until(world, lambda: world.is_closed)
    world.relay.use_first(Outage(1))
    world.run(TEARDOWN, **CANCEL)
    world.relay.drop_first()
    world.refused(TEARDOWN, "begun to end the teardown", "state: cancelled")
    assert cancelled(world)["lock_id"] and not world.is_closed


def test_a_lock_of_somebody_else_in_one_store_is_never_taken_for_that_of_the_freeze(world: World):
    torn_down_until(world, lambda: world.is_closed)
    client = LockInfo("theirs", "OperationTypeApply", "", "ci@runner", "1.11.4", "2026-11-30T10:00:00Z", f"b/{KEY}")
    item = {"LockID": {"S": f"{world.place.bucket}/{KEY}"}, "Info": {"S": marshal(client)}}
    world.place.dynamodb.put_item(TableName=world.place.table, Item=item)
    result = world.run(TEARDOWN, **CANCEL)
    assert result["failed"] and "ci@runner" in result["msg"] and world.is_closed
    world.place.dynamodb.delete_item(TableName=world.place.table, Key={"LockID": item["LockID"]})
    assert cancelled(world)["lock_id"] and world.has_lock_file() and world.has_lock_item()


def test_what_is_no_teardown_is_left_alone(world: World):
    world.unchanged(TEARDOWN, **CANCEL)
    world.done(FREEZE, lock_id="mine", backup=None)
    world.unchanged(TEARDOWN, **CANCEL)
    assert "frozen by" in world.done(TEARDOWN, **CANCEL)["msg"] and world.has_lock_file()


def test_other_statements_of_the_policy_stay(world: World):
    policy = '{"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": '
    policy += f'"s3:PutObjectAcl", "Resource": "arn:aws:s3:::{world.place.bucket}/*"}}]}}'
    world.place.s3.put_bucket_policy(Bucket=world.place.bucket, Policy=policy)
    for writes in range(30):
        world.relay.use_first(Outage(writes))
        world.run(TEARDOWN)
        world.relay.drop_first()
        if world.is_closed:
            break
    world.refused(RESTORE, "is being torn down", "state: cancelled")
    told = cancelled(world)
    kept = world.place.s3.get_bucket_policy(Bucket=world.place.bucket)["Policy"]
    assert "Theirs" in kept and not world.is_closed and told["lock_id"]


def test_an_empty_backend_is_not_deleted_unconfirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    empty = world_in(tmp_path, monkeypatch)
    params: dict[str, Any] = {"allow": None, "backup": None}
    empty.refused(TEARDOWN, f"needs confirm_name: {empty.place.bucket}", confirm_name=None, **params)
    empty.done(TEARDOWN, **params)
    empty.unchanged(TEARDOWN, confirm_name=None, **params)

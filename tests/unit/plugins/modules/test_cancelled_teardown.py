# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A teardown that is cancelled after each of its writes: no state is ever absent and unlocked, and a restore works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import World
from tests.integration.moves import DEV, KEY, state
from tests.integration.scenarios import Outage, Watch
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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tf_backend_freeze over a backend in memory: all locks or none, under one id, and only those are released."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks import maintenance
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    lock_file,
    marshal,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE

from tests.integration.backups import World, wanted
from tests.integration.module_runs import through_core
from tests.integration.moves import DEV, KEY, md5, state
from tests.integration.scenarios import Outage
from tests.support.http_relay import Answer
from tests.support.relay import Proceed, error, then
from tests.unit.plugins.module_utils.fake_versions import world_in

MODULE = "tf_backend_freeze"
ONLY_DIGEST = "gone/terraform.tfstate"
ALL = [KEY, DEV, ONLY_DIGEST]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A state, a deleted one, a digest without a state, and a file that is none."""
    world = world_in(tmp_path, monkeypatch)
    world.fill()
    item = {"LockID": {"S": f"{world.place.bucket}/{ONLY_DIGEST}-md5"}, "Digest": {"S": "0" * 32}}
    world.place.dynamodb.put_item(TableName=world.place.table, Item=item)
    return world


def run(world: World, **params: Any) -> dict[str, Any]:
    return world.run(MODULE, backup=None, **params)


def frozen(world: World, **params: Any) -> dict[str, Any]:
    return world.done(MODULE, backup=None, **params)


def refused(world: World, *reasons: str, **params: Any) -> None:
    before = held(world)
    world.refused(MODULE, *reasons, backup=None, **params)
    assert held(world) == before


def locked_by_client(world: World, key: str, id: str = "theirs") -> None:
    world.place.s3.put_object(Bucket=world.place.bucket, Key=f"{key}.tflock", Body=marshal(client(key, id)).encode())


def client(key: str, id: str) -> LockInfo:
    return LockInfo(id, "OperationTypeApply", "", "ci@runner", "1.11.4", "2026-11-30T10:00:00Z", f"b/{key}")


def held(world: World) -> dict[tuple[str, str], str]:
    """The id of each lock, by store and path; but for the lease of a run."""
    found: dict[tuple[str, str], str] = {}
    if world.exists:
        for each in world.place.s3.list_objects_v2(Bucket=world.place.bucket).get("Contents", []):
            if each["Key"].endswith(".tflock") and each["Key"] != lock_file(LEASE):
                body = world.place.s3.get_object(Bucket=world.place.bucket, Key=each["Key"])["Body"].read()
                found["file", each["Key"].removesuffix(".tflock")] = json.loads(body)["ID"]
    for item in world.items():
        if "Info" in item:
            path = item["LockID"]["S"].removeprefix(f"{world.place.bucket}/")
            found["table", path] = json.loads(item["Info"]["S"])["ID"]
    return found


def everywhere(id: str, paths: list[str] = ALL, stores: tuple[str, ...] = ("file", "table")) -> dict[Any, str]:
    return {(store, path): id for store in stores for path in paths}


def test_all_states_are_held_under_one_id_and_released_together(world: World):
    would = frozen(world, check_mode=True, reason="OPS-42")
    assert would["changed"] and would["lock_id"] is None and held(world) == {}
    result = frozen(world, reason="OPS-42")
    assert result["states"] == would["states"] == sorted(ALL) and held(world) == everywhere(result["lock_id"])
    record = json.loads(world.place.s3.get_object(Bucket=world.place.bucket, Key=f"{KEY}.tflock")["Body"].read())
    assert (record["Operation"], record["Info"]) == ("freeze", "OPS-42") and "@" in record["Who"]
    assert "3 states are frozen by " in result["msg"] and "because 'OPS-42'" in result["msg"]
    assert "cannot be seen" in result["msg"]
    again = frozen(world, reason="OPS-42")
    assert (again["changed"], again["lock_id"]) == (False, result["lock_id"])
    refused(world, "frozen by", "name the freeze", f"lock_id: {result['lock_id']}", state="thawed")
    refused(world, "not under the lock_id another", state="thawed", lock_id="another")
    assert frozen(world, state="thawed", lock_id=result["lock_id"], check_mode=True)["changed"]
    assert held(world) == everywhere(result["lock_id"])
    assert frozen(world, state="thawed", lock_id=result["lock_id"])["changed"] and held(world) == {}
    again = frozen(world, state="thawed", lock_id=result["lock_id"])
    assert not again["changed"] and f"no lock has the id {result['lock_id']}" in again["msg"]


def test_a_freeze_of_somebody_else_is_never_joined_for_another_reason(world: World, monkeypatch: pytest.MonkeyPatch):
    """Two people who take the same id would each let clients in while the other one still repairs something."""
    with monkeypatch.context() as hers:
        hers.setattr(maintenance, "user", lambda: "ann")
        frozen(world, lock_id="repair-1", reason="OPS-42", keys=[KEY])
    said = ("ann@", "because 'OPS-42'", "repair-1 is the id of a freeze of somebody else", "choose another lock_id")
    refused(world, *said, lock_id="repair-1", reason="OPS-43")
    for params in ({"reason": "OPS-42"}, {}):
        told = frozen(world, lock_id="repair-1", **params)
        assert "a freeze of somebody else" in told["warnings"][0] and "ann@" in told["warnings"][0]
    assert held(world) == everywhere("repair-1")


def test_a_thaw_never_ends_the_freeze_of_somebody_else_with_the_same_id(world: World, monkeypatch: pytest.MonkeyPatch):
    frozen(world, lock_id="repair-1", keys=[ONLY_DIGEST])
    monkeypatch.setattr(maintenance, "user", lambda: "ann")
    frozen(world, lock_id="repair-1", keys=[KEY])
    thaw: dict[str, Any] = {"state": "thawed", "lock_id": "repair-1"}
    refused(world, "repair-1 is the id of 2 freezes", "by ann@", "name the states of one as keys", **thaw)
    frozen(world, keys=[KEY], **thaw)
    assert held(world) == everywhere("repair-1", [ONLY_DIGEST])
    frozen(world, **thaw)
    assert held(world) == {}


def test_a_thaw_of_some_states_says_what_is_still_frozen(world: World):
    frozen(world, lock_id="mine")
    some: dict[str, Any] = {"state": "thawed", "lock_id": "mine", "keys": [ONLY_DIGEST]}
    would, one = frozen(world, check_mode=True, **some), frozen(world, **some)
    assert would["msg"] == one["msg"] and one["msg"].startswith("1 state is thawed; 2 states are frozen by ")
    assert held(world) == everywhere("mine", [KEY, DEV])
    again = frozen(world, **some)
    assert not again["changed"] and again["msg"].startswith("0 states are thawed; 2 states are frozen by ")
    some["keys"] = [KEY.replace("form", "from")]
    refused(world, f"there is no state '{some['keys'][0]}'", f"perhaps this is meant: '{KEY}'", **some)
    assert "2 states are thawed, and no state of" in frozen(world, state="thawed", lock_id="mine")["msg"]


def test_it_is_told_who_froze_what(world: World):
    frozen(world, reason="OPS-42", lock_id="mine")
    told = world.done("tf_backend_info", backup=None, gather=["locks"])["backend"]["frozen"]
    assert [(each["lock_id"], each["reason"], each["states"]) for each in told] == [("mine", "OPS-42", 3)]
    params: dict[str, Any] = {"key": KEY, "state": "released", "older_than": "0", "backup": None}
    world.refused("tf_state_lock", "frozen on purpose", "lock_id: mine", **params)


def test_a_lock_of_somebody_else_leaves_nothing_frozen(world: World):
    locked_by_client(world, DEV)
    refused(world, f"{DEV} is locked by ci@runner since 2026-11-30T10:00:00Z", "lock_timeout")
    frozen(world, keys=[ONLY_DIGEST], lock_id="mine")
    assert held(world) == {**everywhere("mine", [ONLY_DIGEST]), ("file", DEV): "theirs"}
    refused(world, "freeze", "lock_id: mine", lock_id="another", keys=[ONLY_DIGEST])
    refused(world, "that is no freeze", state="thawed", lock_id="theirs")


def test_a_lock_that_is_taken_while_others_are_is_never_taken_over(world: World):
    def overtaken(call: Any, proceed: Proceed) -> Answer:
        if call.name == "PutObject" and call.call.params["Key"] == f"{KEY}.tflock":
            locked_by_client(world, KEY)
        return proceed()

    world.relay.use(overtaken)
    result = run(world)
    assert result["failed"] and "ci@runner" in result["msg"] and not result["changed"]
    assert held(world) == {("file", KEY): "theirs"}


def test_it_waits_until_a_lock_is_released(world: World, monkeypatch: pytest.MonkeyPatch):
    locked_by_client(world, KEY)

    def release_it(_aws: Aws, _seconds: float) -> None:
        if held(world).get(("file", KEY)) == "theirs":
            world.place.s3.delete_object(Bucket=world.place.bucket, Key=f"{KEY}.tflock")

    monkeypatch.setattr(Aws, "rest", release_it)
    result = frozen(world, lock_timeout=60)
    assert held(world) == everywhere(result["lock_id"])


def test_a_state_that_is_created_meanwhile_is_held_as_well(world: World):
    new = "new/terraform.tfstate"
    world.relay.on("PutItem", reply=then(lambda _call: world.place.put(state(1), new)))
    result = frozen(world)
    assert held(world) == everywhere(result["lock_id"], [*ALL, new])


def test_what_remains_of_a_backend_without_its_table_or_its_bucket_is_held(world: World):
    without_table = frozen(world, table="no-such-table")
    assert held(world) == everywhere(without_table["lock_id"], [KEY, DEV], ("file",))
    assert "table no-such-table does not exist" in without_table["not_held"][0]
    frozen(world, table="no-such-table", state="thawed", lock_id=without_table["lock_id"])
    bucket = world.place.emulator.buckets.pop(world.place.bucket)
    without_bucket = frozen(world)
    assert held(world) == everywhere(without_bucket["lock_id"], [KEY, ONLY_DIGEST], ("table",))
    assert "does not exist, so no lock file can be held" in without_bucket["warnings"][0]
    refused(world, "nothing can be frozen", "stop all pipelines", table="no-such-table")
    world.place.emulator.buckets[world.place.bucket] = bucket
    again = frozen(world)
    assert again["lock_id"] == without_bucket["lock_id"] and held(world) == everywhere(again["lock_id"])


@pytest.mark.parametrize("operation", ["Scan", "ListObjectsV2", "DescribeTable", "GetBucketPolicy"])
def test_what_cannot_be_read_is_unknown_and_nothing_is_frozen(world: World, operation: str):
    world.relay.on(operation, reply=error("AccessDenied", 403), times=math.inf)
    refused(world, "AccessDenied")


def test_states_that_moved_are_left_as_they_are(world: World):
    lock = LockInfo("moved", "tf_state_move", "moved to s3://other/x", "me", "c", "2026-11-30T10:00:00Z", f"b/{DEV}")
    world.place.s3.put_object(Bucket=world.place.bucket, Key=f"{DEV}.tflock", Body=marshal(lock).encode())
    result = frozen(world)
    assert result["moved"] == [DEV]
    assert held(world) == {**everywhere(result["lock_id"], [KEY, ONLY_DIGEST]), ("file", DEV): "moved"}


def test_a_key_that_does_not_exist_is_held_only_if_that_is_meant(world: World):
    refused(world, f"there is no state '{KEY}x'", "allow: [new_state]", keys=[f"{KEY}x"])
    refused(world, f"correct keys; perhaps this is meant: '{KEY}'", keys=[KEY.replace("form", "from")])
    result = frozen(world, keys=[f"{KEY}x"], allow=["new_state"])
    assert held(world) == everywhere(result["lock_id"], [f"{KEY}x"])
    assert not frozen(world, keys=[f"{KEY}x"], allow=["new_state"])["changed"]
    frozen(world, state="thawed", lock_id=result["lock_id"])
    assert held(world) == {}


@pytest.mark.parametrize("state", ["frozen", "thawed"])
def test_killed_after_any_write_the_next_run_completes_it(world: World, state: str):
    """And a thaw releases all that a freeze left behind."""
    params: dict[str, Any] = {"state": state, "lock_id": "mine"}
    for writes in range(40):
        if state == "thawed":
            frozen(world, lock_id="mine")
        world.relay.use_first(Outage(writes))
        killed = run(world, **params)
        world.relay.drop_first()
        frozen(world, **params)
        assert held(world) == (everywhere("mine") if state == "frozen" else {})
        frozen(world, state="thawed", lock_id="mine")
        assert held(world) == {}
        if not killed.get("failed"):
            break
    assert writes > 5 and not killed.get("failed")


def test_a_reason_that_reads_as_a_restore_cut_short_is_refused(world: World):
    """Such a freeze could neither be thawed nor be continued."""
    refused(world, "reason ends with", "reword it", reason="OPS-42 (not restored completely yet)")


def test_a_thaw_of_a_mistyped_key_is_refused(world: World):
    frozen(world, lock_id="mine")
    refused(world, "correct keys", state="thawed", lock_id="mine", keys=["ap/terraform.tfstate"])


def test_without_a_bucket_a_run_leaves_alone_what_another_one_takes_under_the_same_id(world: World):
    """There is no lease that keeps them apart. The other one may fail, and then releases its lock."""
    world.place.emulator.buckets.pop(world.place.bucket)
    params: dict[str, Any] = {"lock_id": "mine", "keys": [KEY], "backup": None}
    inner: list[dict[str, Any]] = []

    def overtaken(call: Any, proceed: Proceed) -> Answer:
        if call.name == "PutItem" and not inner:
            inner.append({})
            inner[0] = through_core([world.task(MODULE, **params)])[0]
        return proceed()

    world.relay.use(overtaken)
    result = world.run(MODULE, **params)
    assert result["failed"] and f"another run freezes {KEY}" in result["msg"] and not inner[0].get("failed")
    assert held(world) == everywhere("mine", [KEY], ("table",))


RESTORE, DIGEST, BACKUP = "tf_backend_restore", "tf_state_digest", "tf_backend_backup"


@pytest.fixture
def lost(world: World) -> World:
    """A backend whose bucket was lost, frozen by what is left of it, and made again empty."""
    world.done(BACKUP)
    frozen(world, reason="OPS-42", lock_id="mine", keys=["*"])
    world.place.emulator.buckets.pop(world.place.bucket)
    world.place.s3.create_bucket(
        Bucket=world.place.bucket, CreateBucketConfiguration={"LocationConstraint": world.place.region}
    )
    world.place.s3.put_bucket_versioning(Bucket=world.place.bucket, VersioningConfiguration={"Status": "Enabled"})
    return world


def test_a_restore_under_a_freeze_takes_what_is_missing_and_keeps_all(lost: World):
    lost.refused(RESTORE, "freeze", "lock id mine")
    lost.refused(RESTORE, "no freeze of", "lock_id wrong", "frozen under mine", lock_id="wrong")
    assert lost.done(RESTORE, lock_id="mine", check_mode=True)["changed"]
    assert lost.done(RESTORE, lock_id="mine")["changed"]
    assert {key: bodies for key, bodies in lost.histories().items() if not key.startswith("cornerstone")} == wanted(
        lost
    )
    restored = {key: lock for key, lock in held(lost).items() if key[0] == "file"}
    assert {*restored} >= {("file", KEY), ("file", DEV)} and {*held(lost).values()} == {"mine"}
    lost.unchanged(RESTORE, lock_id="mine")
    frozen(lost, state="thawed", lock_id="mine")
    assert held(lost) == {}


def test_a_restore_under_a_freeze_goes_on_where_it_was_killed(lost: World):
    """Until then it is not thawed, as a client would find a part of the versions."""
    refusals = 0
    for writes in range(60):
        lost.relay.use_first(Outage(writes))
        killed = lost.run(RESTORE, lock_id="mine")
        lost.relay.drop_first()
        if not killed.get("failed"):
            break
        assert {*held(lost).values()} == {"mine"}
        thaw = run(lost, state="thawed", lock_id="mine", check_mode=True)
        refusals += "was cut short" in thaw.get("msg", "")
        lost.done(RESTORE, lock_id="mine")
        assert not [key for key, bodies in wanted(lost).items() if lost.histories()[key] != bodies]
        again = frozen(lost, reason="OPS-42", lock_id="mine")
        assert again["lock_id"] == "mine"
        for key in [KEY, DEV, "README.md"]:
            for version, _body in lost.place.versions(key):
                lost.place.s3.delete_object(Bucket=lost.place.bucket, Key=key, VersionId=version)
    assert refusals > 3 and writes > 8


def test_who_went_back_to_an_older_version_is_left_in_peace_under_a_freeze(world: World):
    world.done(BACKUP)
    newest, _older = world.place.versions()
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=newest[0])
    frozen(world, lock_id="mine")
    world.refused(RESTORE, f"holds only the older versions of {KEY}", lock_id="mine")


def test_digests_are_rebuilt_under_a_freeze_that_a_lost_table_cannot_hold(world: World):
    world.place.emulator.tables[world.place.table].items.clear()
    frozen(world, table="no-such-table", lock_id="mine", keys=["app/*"])
    params: dict[str, Any] = {"lock_id": "mine", "keys": ["app/*"], "backup": None}
    assert "freeze" in world.run(DIGEST, **{**params, "lock_id": None})["msg"]
    assert world.done(DIGEST, **params)["changed"]
    assert world.place.digest() == md5(state(2))
    assert held(world) == {**everywhere("mine", [KEY]), ("file", DEV): "mine"}
    world.unchanged(DIGEST, **params)


def test_one_state_is_repaired_under_a_freeze(world: World):
    """And the refusal without its id names it."""
    frozen(world, lock_id="mine")
    params: dict[str, Any] = {"key": DEV, "state": "undeleted", "backup": None}
    world.refused("tf_state_version", "it is frozen", "set lock_id: mine", **params)
    assert world.done("tf_state_version", lock_id="mine", **params)["changed"]
    assert held(world) == everywhere("mine")


def test_a_lock_id_that_is_nowhere_fails_and_where_it_is_held_is_named(world: World):
    """As with a wrong key or workspace."""
    release: dict[str, Any] = {"key": KEY, "state": "released", "backup": None}
    world.refused("tf_state_lock", f"{KEY} is not locked", f"no state of {world.place.bucket}", lock_id="1", **release)
    locked_by_client(world, DEV)
    world.refused("tf_state_lock", f"held elsewhere: key: {KEY}, workspace: dev", lock_id="theirs", **release)
    locked_by_client(world, KEY, "another")
    world.refused("tf_state_lock", "was left alone", "held elsewhere", lock_id="theirs", **release)
    world.refused("tf_state_lock", "ask ci@runner", "does OperationTypeApply still run?", "lock_id: another", **release)
    assert world.done("tf_state_lock", lock_id="another", **release)["changed"]
    world.refused("tf_state_lock", "nothing was released", lock_id="another", **release)
    world.unchanged("tf_state_lock", **release)
    world.relay.on("ListObjectsV2", reply=error("AccessDenied", 403), times=math.inf)
    world.refused("tf_state_lock", "is unknown: list_objects_v2", lock_id="another", **release)

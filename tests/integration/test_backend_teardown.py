# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend goes only if everything speaks for it and all of it is saved; no client ever finds an empty state."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import World, fresh
from tests.integration.module_runs import RunTasks, through_core
from tests.integration.moves import KEY, STRIDES, Place, killed_after, state
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, error, then

MODULE, RESTORE = "tf_backend_teardown", "tf_backend_restore"


@pytest.fixture
def world(emulator: RunningEmulator, relay: Relay, tmp_path: Path) -> World:
    return World(relay, Place(emulator, "eu-west-1"), tmp_path)


@pytest.fixture
def on_ministack(ministack: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    with Relay(ministack.url) as relay:
        yield World(relay, Place(ministack, "eu-west-1"), tmp_path)


def gone(world: World) -> None:
    assert not world.exists and not world.has_table


def test_a_backend_goes_once_all_of_it_was_saved(world: World):
    world.fill()
    everything, items = world.everything(), world.items()
    foreseen = world.done(MODULE, check_mode=True, diff=True)
    assert world.writes == [] and not world.backup.exists()
    done = world.done(MODULE, diff=True)
    assert foreseen == done
    assert done["destroys"] == {
        "bucket": world.place.bucket,
        "table": world.place.table,
        "states": [
            {"key": KEY, "size": len(state(2)), "versions": 2, "lineage": json.loads(state())["lineage"], "serial": 2}
        ],
        "objects": [{"key": "README.md", "size": 7, "versions": 1}],
        "counts": {
            "states": 1,
            "objects": 1,
            "versions": 5,
            "delete_markers": 2,
            "bytes": 3 * len(state(1)) + 9,
            "locks": 0,
            "digests": 1,
        },
    }
    gone(world)
    assert world.saved() == everything
    assert json.loads((world.backup / "backup.json").read_text())["items"] == items
    world.unchanged(MODULE)


def test_object_lock_cannot_be_overruled(on_ministack: World):
    world = on_ministack
    world.place.put(state(1))
    lock: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    retention = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    put = world.place.s3.put_object_lock_configuration
    put(Bucket=world.place.bucket, ObjectLockConfiguration={**lock, **retention})
    world.refused(MODULE, "object lock keeps every version for its time (GOVERNANCE)")
    put(Bucket=world.place.bucket, ObjectLockConfiguration=lock)
    ((version, _body),) = world.place.versions()
    free = error("NoSuchObjectLockConfiguration", 404)
    retention = world.relay.on("GetObjectRetention", reply=kept(RETENTION), times=math.inf)
    hold = world.relay.on("GetObjectLegalHold", reply=free, times=math.inf)
    world.refused(MODULE, f"object lock keeps version {version} of {KEY} until 2999-01-01 00:00 UTC")
    retention.reply, hold.reply = free, kept("<LegalHold><Status>ON</Status></LegalHold>")
    world.refused(MODULE, f"object lock keeps version {version} of {KEY} as long as its legal hold lasts")
    for denied, other, action in (
        (hold, retention, "s3:GetObjectLegalHold"),
        (retention, hold, "s3:GetObjectRetention"),
    ):
        denied.reply, other.reply = error("AccessDenied", 403), free
        world.refused(MODULE, "whether object lock keeps 1 versions cannot be known", f"needs {action}")
    retention.reply = kept(RETENTION.replace("2999", "1999"))
    hold.reply = kept("<LegalHold><Status>OFF</Status></LegalHold>")
    world.done(MODULE)
    gone(world)


RETENTION = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate></Retention>"


def kept(said: str) -> Any:
    return lambda _call, _proceed: Answer(200, {"content-type": "application/xml"}, Body((said.encode(),)))


# A table that serves others.


# What goes wrong.


def half_refused(call: Call, proceed: Proceed) -> Answer:
    """200, as AWS says even if it did not delete all."""
    text = (
        "<Error><Key>{}</Key><VersionId>1</VersionId><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    )
    errors = "".join(text.format(f"kept-{number}") for number in range(7))
    body = f'<?xml version="1.0"?><DeleteResult>{errors}</DeleteResult>'
    return Answer(200, {"content-type": "application/xml"}, Body((body.encode(),)))


def test_batch_errors_are_errors_and_the_locks_stay(world: World):
    world.fill()
    world.relay.on("DeleteObjects", reply=half_refused, nth=2)
    result = world.run(MODULE)
    assert result["failed"] and result["changed"]
    assert result["done"] == ["the policy denies writing", "4 versions"]
    assert "AccessDenied; needs s3:DeleteObjectVersion" in result["msg"]
    assert "kept-0: Access Denied; " in result["msg"] and "kept-4: Access Denied; and 2 more" in result["msg"]
    assert world.has_lock_file() and world.has_lock_item() and world.is_closed
    assert world.current() == state(2)
    world.done(MODULE)
    gone(world)


def test_who_takes_our_lock_away_stops_it(on_ministack: World):
    world = on_ministack
    world.fill()

    def force(_call: object) -> None:
        world.place.s3.delete_object(Bucket=world.place.bucket, Key=f"{KEY}.tflock")

    world.relay.on("DeleteObjects", reply=then(force))
    result = world.run(MODULE)
    assert result["failed"] and world.current() == state(2)
    world.done(MODULE)
    gone(world)


# Cut short.


def clients_are_safe(world: World, before: dict[str, Any]) -> None:
    """Every byte is somewhere; and as soon as any of it is gone, no client can lock, nor see an older state."""
    now, saved = world.everything(), world.saved()
    for key, bodies in before.items():
        there = [*now.get(key, []), *saved.get(key, [])]
        assert [body for body in bodies if body not in there] == []
    assert world.current() in (state(2), None)
    if any(len(now.get(key, [])) < len(bodies) for key, bodies in before.items()) and world.exists:
        assert world.is_closed and (world.has_lock_file() or not world.histories())
        assert world.has_lock_item()


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_a_teardown_that_is_killed_after_any_call_is_completed_by_the_next_one(on_ministack: World, stride: int):
    k, died = 1 - stride, True
    while died:
        k += stride
        world = fresh(on_ministack, k)
        before = world.everything()
        died = killed_after(world, k, world.task(MODULE))
        clients_are_safe(world, before)
        world.done(MODULE)
        gone(world)
        saved = {key: bodies for key, bodies in world.saved().items() if key in before}
        assert (k, saved[KEY], saved["README.md"]) == (k, before[KEY], before["README.md"])
    world.unchanged(MODULE)
    assert k > 40


def test_each_execution_tears_down_alike(on_ministack: World, run_tasks: RunTasks):
    world = on_ministack
    world.fill()
    (foreseen,) = through_core([world.task(MODULE, check_mode=True)])
    (done,) = run_tasks([world.task(MODULE)])
    assert done == foreseen
    gone(world)


@pytest.mark.parametrize(
    "are_states", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=["markers", "states"]
)
def test_thousands_of_versions_go_a_thousand_at_a_time(on_ministack: World, are_states: bool):
    world, key = on_ministack, "many/terraform.tfstate"
    put = partial(world.place.s3.put_object, Bucket=world.place.bucket, Key=key)
    if are_states:
        for serial in range(2000):
            put(Body=b"%d" % (serial % 7))
    else:
        for start in range(0, 2000, 1000):  # of what is not there, a request makes a thousand markers
            markers = [{"Key": f"{start + number}"} for number in range(1000)]
            world.place.s3.delete_objects(Bucket=world.place.bucket, Delete={"Objects": markers})
    world.place.put(state(1))
    done = world.done(MODULE)
    counts = done["destroys"]["counts"]
    assert (counts["versions"], counts["delete_markers"]) == ((2001, 0) if are_states else (1, 2000))
    assert done["backup"]["versions"] + done["backup"]["delete_markers"] == 2001
    gone(world)
    deleted = [call.body.count(b"<Key>") for call in world.relay.calls if call.name == "DeleteObjects"]
    locks, lease = len([name for name in world.writes if name == "PutItem"]), 2  # and one for each renewal
    assert max(deleted) == 1000 and sum(deleted) >= 2001 + locks + lease

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup comes back with every version in its place, and until it has, its states are locked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backups import World, is_as_saved, saved, wanted
from tests.integration.module_runs import RunTasks, through_core
from tests.integration.moves import DEV, KEY, STRIDES, Place, killed_after, md5, state
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, then

MODULE, BACKUP = "tf_backend_restore", "tf_backend_backup"


@pytest.fixture
def world(emulator: RunningEmulator, relay: Relay, tmp_path: Path) -> World:
    """Whose backup is of another backend."""
    return saved(World(relay, Place(emulator, "eu-west-1"), tmp_path))


@pytest.fixture
def on_ministack(ministack: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    with Relay(ministack.url) as relay:
        yield saved(World(relay, Place(ministack, "eu-west-1"), tmp_path))


def test_every_version_comes_back_in_order_and_with_its_digest(world: World):
    foreseen = world.done(MODULE, check_mode=True, diff=True)
    assert world.writes == []
    done = world.done(MODULE, diff=True)
    assert foreseen == done and done["warnings"] == []
    assert done["objects"][1] == {"key": KEY, "action": "restore", "versions": 2, "written": 2, "bytes": 572}
    assert done["progress"] == {
        "objects": 3,
        "restored": 3,
        "finished": 0,
        "unchanged": 0,
        "versions": 5,
        "bytes": 3 * len(state(1)) + 7,
        "other_digests": 0,
        "left_out": 2,
    }
    is_as_saved(world)
    head = world.place.s3.head_object(Bucket=world.place.bucket, Key="README.md")
    assert (head["ContentType"], head["Metadata"]) == ("text/markdown", {"by": "hand"})
    tags = world.place.s3.get_object_tagging(Bucket=world.place.bucket, Key="README.md")["TagSet"]
    assert tags == [{"Key": "team", "Value": "a b"}]
    world.unchanged(MODULE)


def test_uploads_say_how_they_are_encrypted(on_ministack: World):
    world = on_ministack
    key = world.place.emulator.client("kms", region="us-east-1").create_key()["KeyMetadata"]
    world.done(MODULE, encryption="aws:kms", kms_key_id=key["KeyId"])
    found = world.place.s3.head_object(Bucket=world.place.bucket, Key=KEY)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key["Arn"])


# Cut short.


def clients_are_safe(world: World) -> None:
    """As soon as any version is there, whoever finds a state that is not the newest one, or none, finds it locked."""
    histories = world.histories()
    for key, newest in ((KEY, state(2)), (DEV, None)):
        is_whole = len(histories.get(key, [])) == 2 and world.current(key) == newest
        if histories and not is_whole:
            assert world.has_lock_file(key) and world.has_lock_item(key)


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_a_restore_that_is_killed_after_any_call_is_completed_by_the_next_one(on_ministack: World, stride: int):
    k, died = 1 - stride, True
    while died:
        k += stride
        world = on_ministack.at(Place(on_ministack.place.emulator, "us-east-1"))
        died = killed_after(world, k, world.task(MODULE, keys=["app/*"]))
        clients_are_safe(world)
        world.done(MODULE, keys=["app/*"])
        assert (k, world.histories()) == (
            k,
            {key: bodies for key, bodies in wanted(world).items() if key in (KEY, DEV)},
        )
        assert (k, world.place.digest(), world.place.locks(), world.place.locks(DEV)) == (k, md5(state(2)), [], [])
    world.unchanged(MODULE, keys=["app/*"])
    assert k > 40


def test_a_restore_that_comes_too_late_gives_its_lock_back(on_ministack: World):
    world = on_ministack
    world.relay.on("PutItem", reply=then(lambda _call: world.place.put(state(9), DEV, digest=False)))
    result = world.run(MODULE, keys=["env:/dev/*"])
    assert result["failed"] and "nothing is overwritten" in result["msg"]
    assert not world.has_lock_file(DEV) and not world.has_lock_item(DEV)


def test_each_execution_restores_alike(on_ministack: World, run_tasks: RunTasks):
    world = on_ministack
    (foreseen,) = through_core([world.task(MODULE, check_mode=True)])
    (done,) = run_tasks([world.task(MODULE)])
    assert {"warnings": [], **done} == foreseen
    is_as_saved(world)

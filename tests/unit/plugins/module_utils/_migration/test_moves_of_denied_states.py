# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves of states that a policy denies already."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    MOVING,
    LockInfo,
    marshal,
    uuid_of,
)

from tests.integration.moves import World, denied_of, refused, state
from tests.integration.test_moves_with_source_protection import KEYS
from tests.support.relay import error, then

LATE = "late/terraform.tfstate"


def denied_states(world: World) -> None:
    """Two states that moved with all of their bucket, which nobody can read any more."""
    for key in KEYS:
        world.old.put(state(), key)
    world.moved(key=None, source_protection="deny")
    for key in [*KEYS, LATE]:
        world.relay.on("GetObject", reply=denied_of(f"/{world.old.bucket}/{key}"), times=math.inf)


def resources(world: World) -> list[str]:
    """What the policy denies, without the lock files."""
    policy = json.loads(world.old.s3.get_bucket_policy(Bucket=world.old.bucket)["Policy"])
    (statement,) = policy["Statement"]
    names = [name.removeprefix(f"arn:aws:s3:::{world.old.bucket}/") for name in statement["Resource"]]
    return [name for name in names if not name.endswith(".tflock")]


@pytest.mark.parametrize("protection", ["lock", "deny"])
def test_what_is_denied_has_moved_only_to_where_its_mark_says(world: World, tmp_path: Path, protection: str):
    denied_states(world)
    assert not world.moved(key=None, source_protection=protection)["changed"]
    source = {"source_bucket": world.old.bucket, "source_table": world.old.table, "source_region": world.old.region}
    elsewhere = {"source_key": KEYS[0], "key": "team/shop.tfstate", "project": str(tmp_path), **source}
    refused(
        world,
        f"was moved to s3://{world.new.bucket}/{KEYS[0]} before: move it",
        source_protection=protection,
        **elsewhere,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protection", ["lock", "deny"])
def test_what_is_denied_and_no_longer_at_the_destination_is_told(world: World, protection: str):
    denied_states(world)
    world.new.s3.delete_object(Bucket=world.new.bucket, Key=KEYS[1])
    refused(world, f"{KEYS[1]} before, and does not exist there any more", key=None, source_protection=protection)


@pytest.mark.parametrize("protection", ["lock", "deny"])
def test_what_is_denied_and_never_moved_is_told(world: World, protection: str):
    denied_states(world)
    world.old.put(state(), LATE)
    refused(
        world,
        f"s3://{world.old.bucket}/{LATE} did not move, and yet the policy denies it",
        key=None,
        source_protection=protection,
    )


def lock_by_file(world: World) -> None:
    world.old.s3.put_object(Bucket=world.old.bucket, Key=f"{LATE}.tflock", Body=b"{}")


def begin_with_nothing(world: World) -> None:
    world.old.s3.put_object(Bucket=world.old.bucket, Key=LATE, Body=b"")


@pytest.mark.parametrize(
    "begins",
    [
        lambda world: world.old.put(state(), LATE, digest=False),
        lambda world: world.old.lock(LATE),
        lock_by_file,
        begin_with_nothing,
    ],
    ids=["a state", "a lock in the table", "a lock file", "an empty object"],
)
def test_who_begins_in_a_bucket_while_all_of_it_moves_is_not_denied(world: World, begins: Callable[[World], object]):
    for key in KEYS:
        world.old.put(state(), key)
    world.relay.on("PutObjectTagging", nth=2, reply=then(lambda _call: begins(world)))
    world.moved(key=None, source_protection="deny")
    assert resources(world) == KEYS


@pytest.mark.parametrize("operation", ["ListObjectsV2", "Scan"])
def test_a_bucket_that_nobody_can_look_through_is_denied_state_by_state(world: World, operation: str):
    for key in KEYS:
        world.old.put(state(), key)
    unseen = world.relay.on(operation, nth=2, reply=error("AccessDenied", 403), times=math.inf)
    if operation == "Scan":
        unseen.nth = 1
    world.moved(key=None, source_protection="deny")
    assert resources(world) == KEYS


def test_a_policy_that_could_not_be_written_is_no_change(world: World):
    world.old.put(state(), KEYS[0])
    world.moved(key=KEYS[0])
    world.relay.on("PutBucketPolicy", reply=error("AccessDenied", 403), times=math.inf)
    result = world.move(key=KEYS[0], source_protection="deny")
    assert result["failed"] and (result["changed"], result["denied"]) == (False, [])


def test_what_refused_runs_left_locked_at_the_destination_is_released_behind_the_fence(world: World):
    """Each of two runs at once may hold what the other one has taken over, and neither releases it."""
    denied_states(world)
    way = f"s3://{world.old.bucket}/{KEYS[0]} -> s3://{world.new.bucket}/{KEYS[0]}"
    lock_id = uuid_of(hashlib.sha256(way.encode()).digest()[:16])
    path = f"{world.new.bucket}/{KEYS[0]}"
    left = marshal(LockInfo(lock_id, MOVING, "", "someone@else", "1", "2026-11-21T10:03:50Z", path))
    world.new.s3.put_object(Bucket=world.new.bucket, Key=f"{KEYS[0]}.tflock", Body=left.encode())
    result = world.moved(key=None, source_protection="deny")
    assert result["changed"]
    assert any(f"the lock {lock_id}" in each and "was released" in each for each in result["warnings"])
    assert not world.moved(key=None, source_protection="deny")["changed"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States that move among others: other objects, other clients, a policy for the whole bucket."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import parallel
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws

from tests.integration.moves import KEY, World, denied_of, md5, state
from tests.support.relay import error, then

KEYS = ["a/terraform.tfstate", "b/terraform.tfstate", "c/terraform.tfstate"]


def put_item(world: World, name: str, **attributes: str) -> None:
    item = {"LockID": {"S": f"{world.new.bucket}/{name}"}, **{each: {"S": text} for each, text in attributes.items()}}
    world.new.dynamodb.put_item(TableName=world.new.table, Item=item)


def test_a_lock_with_the_name_of_the_digest_survives(world: World):
    world.old.put(state())
    world.new.lock(f"{KEY}-md5")
    result = world.move()
    assert result["failed"] and "would have the name of the lock" in result["msg"]
    assert [lock["ID"] for lock in world.new.locks(f"{KEY}-md5")] == ["theirs"]


def test_a_digest_that_no_client_heeds_is_written_over(world: World):
    world.old.put(state())
    put_item(world, f"{KEY}-md5", Digest="abc")
    assert world.moved(check_mode=True)["changed"]
    world.moved()
    assert (world.new.bodies(), world.new.digest()) == ([state()], md5(state()))


def bucket_of_states(world: World) -> None:
    for key in KEYS:
        world.old.put(state(), key)


def test_json_that_is_no_state_is_left_alone(world: World):
    bucket_of_states(world)
    world.old.s3.put_object(Bucket=world.old.bucket, Key="team.auto.tfvars.json", Body=b'{"team": "x"}')
    result = world.moved(key=None)
    assert result["progress"]["moved"] == 3
    (row,) = result["skipped_objects"]
    assert row["path"] == "team.auto.tfvars.json" and "no client takes it for a state" in row["problem"]
    assert "skipped, as it is not a state: team.auto.tfvars.json" in result["warnings"]


def test_one_state_that_cannot_be_moved_does_not_keep_the_others(world: World):
    bucket_of_states(world)
    world.old.put(b'{"version": 4, "serial', KEYS[1])
    world.relay.on("GetObject", reply=denied_of(KEYS[2]), times=math.inf)
    foreseen = world.move(key=None, check_mode=True)
    assert world.relay.writes == []
    done = world.move(key=None)
    assert (foreseen["msg"], foreseen["states"], foreseen["progress"]) == (
        done["msg"],
        done["states"],
        done["progress"],
    )
    assert done["failed"] and "it is cut off" in done["msg"] and "AccessDenied" in done["msg"]
    assert (done["progress"]["moved"], done["progress"]["failed"]) == (1, 2)
    assert [bool(world.new.bodies(key)) for key in KEYS] == [True, False, False]


def policy_of(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(world.old.s3.get_bucket_policy(Bucket=world.old.bucket)["Policy"])[
        "Statement"
    ]
    return found


def test_a_whole_bucket_is_denied_as_a_whole(world: World):
    bucket_of_states(world)
    world.moved(key=None, source_protection="deny")
    arn = f"arn:aws:s3:::{world.old.bucket}"
    assert policy_of(world)[-1]["Resource"] == [f"{arn}/*", f"{arn}/*.tflock"]
    assert not world.moved(key=None, source_protection="deny")["changed"]


def many_long_keys(world: World) -> list[str]:
    keys = [f"p/{'x' * 240}/{number}/terraform.tfstate" for number in range(45)]
    for key in keys:
        world.old.put(state(), key, digest=False)
    return keys


@pytest.mark.thorough
def test_a_bucket_that_cannot_be_denied_yet_tells_what_did_not_move(world: World):
    world.old.lock(many_long_keys(world)[0])
    result = world.move(key=None, source_protection="deny")
    assert result["failed"] and "is locked by you@there since " in result["msg"]
    assert result["progress"]["moved"] == 44


def test_a_fence_that_is_too_long_is_refused_before_anything_moves(world: World):
    many_long_keys(world)
    result = world.move(key=None, keys=["p/*"], source_protection="deny")
    assert result["failed"] and "policy would be longer" in result["msg"]
    assert world.relay.writes == []


def test_what_is_denied_already_is_passed_over_whatever_the_fence(world: World):
    bucket_of_states(world)
    world.moved(key=None, keys=["a/*"], source_protection="deny")
    world.relay.on("GetObject", reply=denied_of(f"/{world.old.bucket}/{KEYS[0]}"), times=math.inf)
    unread = world.relay.on("GetBucketPolicy", reply=error("AccessDenied", 403), times=math.inf)
    result = world.move(key=None, check_mode=True)
    assert result["failed"] and result["msg"].startswith("get_object on ") and result["progress"]["moved"] == 2
    unread.times = 0
    result = world.moved(key=None)
    assert [row["action"] for row in result["states"]] == ["none", "move", "move"]


def test_each_state_has_all_the_time_however_long_the_others_took(world: World, monkeypatch: pytest.MonkeyPatch):
    for number in range(6):
        world.old.put(state(), f"p{number}/terraform.tfstate")
    monkeypatch.setattr(parallel, "WORKERS", 1)  # side by side, time that one state takes would pass for the others too
    clock = [0.0]
    monkeypatch.setattr(Aws, "left_s", lambda self: self._session.deadline - clock[0])
    monkeypatch.setattr(Aws, "renew", lambda self: setattr(self._session, "deadline", clock[0] + self._timeout_s))

    def takes_long(_call: object) -> None:
        clock[0] += 200

    world.relay.on("PutObjectTagging", reply=then(takes_long), times=math.inf)
    # Of each state, three items are put: this is the fifth, and 800 seconds have passed.
    busy = world.relay.on("PutItem", nth=13, reply=error("ThrottlingException", 400), times=6)
    assert world.moved(key=None, wait_timeout=300)["progress"]["moved"] == 6
    assert (busy.fired, clock[0]) == (6, 1200)

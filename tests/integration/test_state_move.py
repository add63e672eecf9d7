# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States move with all their bytes, under the locks of both sides, and never over another state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.module_runs import RunTasks, through_core
from tests.integration.moves import DEV, KEY, LINEAGE, STRIDES, World, killed_after, md5, state


def test_a_state_moves_with_all_its_bytes_and_its_old_place_is_kept_but_protected(world: World):
    world.old.put(state(3))
    world.old.put(state(4))
    before = world.old.versions()
    result = world.moved()
    assert result["changed"]
    (row,) = result["states"]
    assert row == {
        "workspace": "default",
        "source": f"s3://{world.old.bucket}/{KEY}",
        "destination": f"s3://{world.new.bucket}/{KEY}",
        "action": "move",
        "lineage": LINEAGE,
        "serial": 4,
        "size": len(state(4)),
        "problem": None,
    }
    assert world.new.bodies() == [state(4)]
    assert world.new.digest() == md5(state(4))
    assert world.new.locks() == []
    assert world.old.versions() == before
    assert world.old.digest() == md5(state(4))
    assert world.old.mark() == row["destination"]
    file, item = world.old.locks()
    assert file == item and file["Operation"] == "tf_state_move"
    assert file["Info"] == f"moved, or on its way, from {row['source']} to {row['destination']}"
    again = world.moved()
    assert (again["changed"], again["states"][0]["action"], world.relay.writes) == (False, "none", [])
    assert again["progress"] == {
        "states": 1,
        "moved": 0,
        "finished": 0,
        "unchanged": 1,
        "failed": 0,
        "skipped": 0,
        "bytes": 0,
    }


def test_each_side_is_reached_with_its_own_credentials(world: World):
    world.old.put(state())
    world.moved(source_access_key="theirs", source_secret_key="test")
    keys = {
        (call.region, call.request.headers["authorization"].split("=")[1].split("/")[0]) for call in world.relay.calls
    }
    assert keys == {(world.old.region, "theirs"), (world.new.region, "test")}


def test_uploads_ask_for_the_key_by_its_arn(on_ministack: World):
    world = on_ministack
    kms = world.emulator.client("kms", region=world.new.region)
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/moves", TargetKeyId=key["KeyId"])
    world.old.put(state())
    world.moved(encryption="aws:kms", kms_key_id="alias/moves")
    found = world.new.s3.head_object(Bucket=world.new.bucket, Key=KEY)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key["Arn"])
    assert found["ContentType"] == "application/json"


def test_the_policy_can_deny_the_source(on_ministack: World):
    world = on_ministack
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Foreign",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:DeleteBucket",
                "Resource": f"arn:aws:s3:::{world.old.bucket}",
            }
        ],
    }
    world.old.s3.put_bucket_policy(Bucket=world.old.bucket, Policy=json.dumps(policy))
    world.old.put(state())
    world.moved(source_protection="deny")
    found = json.loads(world.old.s3.get_bucket_policy(Bucket=world.old.bucket)["Policy"])["Statement"]
    assert found[0] == policy["Statement"][0]
    arn = f"arn:aws:s3:::{world.old.bucket}/{KEY}"
    assert found[1] == {
        "Sid": "CornerstoneTfstateMoved",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "Resource": [arn, f"{arn}.tflock"],
    }
    assert not world.moved(source_protection="deny")["changed"]


def tag(world: World, count: int) -> None:
    tags = [{"Key": f"tag-{place}", "Value": "x"} for place in range(count)]
    world.old.s3.put_object_tagging(Bucket=world.old.bucket, Key=KEY, Tagging={"TagSet": tags})


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_lock_that_somebody_holds_stops_the_move_and_is_left_alone(world: World, side: str):
    world.old.put(state())
    holder = getattr(world, side)
    holder.lock()
    result = world.move()
    assert result["failed"] and not result["changed"]
    assert f"{KEY} is locked by you@there since " in result["msg"]
    assert [lock["ID"] for lock in [*world.old.locks(), *world.new.locks()]] == ["theirs"]
    assert world.new.bodies() == []
    holder.unlock()
    assert world.moved()["changed"]


def test_each_execution_moves_alike(on_ministack: World, run_tasks: RunTasks):
    world = on_ministack
    world.old.put(state())
    (foreseen,) = through_core([world.task(check_mode=True)])
    (done,) = run_tasks([world.task()])
    assert {**done, "warnings": []} == {**foreseen, "warnings": []}
    assert world.new.bodies() == [state()]


def test_local_states_of_all_workspaces_move_and_are_set_aside(world: World, project: Path):
    foreseen = world.moved(project=str(project), check_mode=True)
    assert world.relay.writes == [] and (project / "terraform.tfstate").exists()
    result = world.moved(project=str(project))
    assert foreseen == result
    assert world.new.bodies() == [state()] and world.new.bodies(DEV) == [state(7)]
    assert (project / "terraform.tfstate.moved").read_bytes() == state()
    assert not (project / "terraform.tfstate").exists()
    assert (project / "terraform.tfstate.d" / "dev" / "terraform.tfstate.moved").read_bytes() == state(7)
    assert (project / "terraform.tfstate.backup").read_bytes() == state(3)
    assert f'= "{world.new.bucket}"\n' in (project / "backend.tf").read_text()
    assert result["project"]["edits"] == ["backend.tf"]
    assert [path.name for path in project.iterdir() if path.name.startswith(".")] == []
    again = world.moved(project=str(project))
    assert (again["changed"], world.relay.writes) == (False, [])


@pytest.mark.slow
@pytest.mark.parametrize("protection", ["tag", "deny"])
@pytest.mark.parametrize("stride", STRIDES)
def test_a_move_that_is_killed_after_any_call_is_completed_by_the_next_one(
    on_ministack: World, protection: str, stride: int
):
    world = on_ministack
    k, died = 1 - stride, True
    while died:
        k += stride
        key = f"k{k}/terraform.tfstate"
        world.old.put(state(3), key)
        world.old.put(state(4), key)
        before = world.old.versions(key)
        died = killed_after(world, k, world.task(source_protection=protection, key=key))
        if world.new.bodies(key) and not world.old.mark(key):
            assert (k, len(world.old.locks(key))) == (k, 2), "a copy, and its source is not kept from anybody"
        world.moved(source_protection=protection, key=key)
        assert (k, world.old.versions(key)) == (k, before)
        assert (k, world.new.bodies(key), world.new.digest(key)) == (k, [state(4)], md5(state(4)))
        assert (k, world.new.locks(key), len(world.old.locks(key))) == (k, [], 0 if protection == "tag" else 2)
    assert (world.moved(source_protection=protection, key=key)["changed"], world.relay.writes) == (False, [])
    assert k > 20


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_local_states_whose_move_is_killed_after_any_call_arrive_with_the_next_run(
    on_ministack: World, project: Path, stride: int
):
    world = on_ministack
    k, died = 1 - stride, True
    while died:
        k += stride
        key = f"k{k}/terraform.tfstate"
        (project / "backend.tf").unlink(missing_ok=True)
        for folder in (project, project / "terraform.tfstate.d" / "dev"):
            if k > 1:
                (folder / "terraform.tfstate.moved").rename(folder / "terraform.tfstate")
        died = killed_after(world, k, world.task(project=str(project), key=key))
        result = world.moved(project=str(project), key=key)
        assert (k, [row["problem"] for row in result["states"]]) == (k, [None, None])
        for path, body in ((key, state()), (f"env:/dev/{key}", state(7))):
            assert (k, world.new.bodies(path), world.new.digest(path)) == (k, [body], md5(body))
            assert (k, world.new.locks(path)) == (k, [])
        assert (project / "terraform.tfstate.moved").read_bytes() == state()
    assert (world.moved(project=str(project), key=key)["changed"], world.relay.writes) == (False, [])
    assert k > 15

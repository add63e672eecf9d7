# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States move whole, under the locks of both sides, and never over another state."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws

from tests.integration.moves import DEV, KEY, LINEAGE, WRITES, World, md5, refused, state
from tests.integration.scenarios import LostReply
from tests.integration.test_state_move import tag
from tests.support.relay import error, then


def test_check_mode_tells_what_would_move_and_writes_nothing(world: World):
    world.old.put(state())
    world.old.put(state(7), DEV)
    foreseen = world.moved(check_mode=True, diff=True)
    assert world.relay.writes == []
    done = world.moved(diff=True)
    assert foreseen == done
    assert [row["workspace"] for row in done["states"]] == ["default", "dev"]
    assert done["progress"] == {
        "states": 2,
        "moved": 2,
        "finished": 0,
        "unchanged": 0,
        "failed": 0,
        "skipped": 0,
        "bytes": len(state()) + len(state(7)),
    }
    assert done["diff"]["before"] == "".join(f"s3://{world.old.bucket}/{key}\n" for key in (KEY, DEV))


def test_all_workspaces_move_to_another_key_and_prefix(world: World):
    for key in (KEY, DEV, f"env:/qa/{KEY}", "env:/dev/other/terraform.tfstate", f"elsewhere/dev/{KEY}"):
        world.old.put(state(), key)
    world.moved(
        key="new/terraform.tfstate", source_key=KEY, workspace_key_prefix="teams", source_workspace_key_prefix="env:"
    )
    found = world.new.s3.list_objects_v2(Bucket=world.new.bucket)["Contents"]
    names = ["new/terraform.tfstate", "teams/dev/new/terraform.tfstate", "teams/qa/new/terraform.tfstate"]
    assert [each["Key"] for each in found] == names
    assert [world.new.digest(name) for name in names] == [md5(state())] * 3


@pytest.mark.parametrize(("source_table", "table"), [(True, False), (False, True), (False, False)])
def test_either_side_may_lock_by_files_alone(world: World, source_table: bool, table: bool):
    world.old.put(state(), digest=source_table)
    world.moved(table=world.new.table if table else None, source_table=world.old.table if source_table else None)
    assert world.new.bodies() == [state()]
    assert world.new.digest() == (md5(state()) if table else None)
    assert len(world.old.locks()) == (2 if source_table else 1)


def test_without_its_lock_as_a_fence_the_source_is_only_marked(world: World):
    world.old.put(state())
    world.moved(source_protection="tag")
    assert (world.old.locks(), world.old.mark()) == ([], f"s3://{world.new.bucket}/{KEY}")
    assert not world.moved(source_protection="tag")["changed"]
    assert world.moved()["states"][0]["action"] == "finish"  # the source protection is raised
    assert len(world.old.locks()) == 2


def test_who_moved_on_is_left_in_peace(world: World):
    world.old.put(state())
    world.moved()
    world.new.put(state(5))
    assert not world.moved()["changed"]
    assert world.new.bodies() == [state(5), state(4)]


@pytest.mark.parametrize("key", ["a*", "a?/terraform.tfstate", "${aws:username}"])
def test_a_key_that_a_policy_takes_for_a_pattern_is_not_denied(world: World, key: str):
    world.old.put(state(), key)
    world.old.put(state(), "ab")
    start = len(world.relay.writes)
    said = world.move(source_protection="deny", key=key)
    assert said["failed"] and "which a policy takes for a pattern" in said["msg"]
    assert world.relay.writes[start:] == []
    assert world.moved(key=key)["changed"]


def test_another_state_is_never_overwritten(world: World):
    world.old.put(state())
    world.new.put(state(9))
    refused(world, f"holds lineage {LINEAGE}, serial 9 and s3://{world.old.bucket}/{KEY} lineage {LINEAGE}, serial 4")
    world.new.put(b"no state")
    refused(world, "holds an object that is not a state and")


def test_what_is_not_in_order_is_not_moved(world: World):
    refused(world, f"there is no state of {KEY} in {world.old.bucket}")
    world.old.put(b'{"version": 4, "serial')
    refused(world, "cannot be moved, as no client takes it for a state: it is cut off, or not JSON")
    world.old.put(state())
    world.old.s3.put_object(Bucket=world.old.bucket, Key=KEY, Body=state(5))
    refused(world, "does not match the digest in its lock table")
    world.old.put(state())
    world.new.put(state(9))
    world.new.s3.delete_object(Bucket=world.new.bucket, Key=KEY)
    refused(world, f"the lock table has the digest of another state for s3://{world.new.bucket}/{KEY}")


def test_a_state_that_moved_elsewhere_is_not_moved_again(world: World):
    world.old.put(state())
    world.moved(key="a.tfstate", source_key=KEY, source_protection="tag")
    refused(world, f"was moved to s3://{world.new.bucket}/a.tfstate before", key="b.tfstate", source_key=KEY)


@pytest.mark.parametrize("protection", ["lock", "tag"])
def test_a_state_with_no_room_for_the_mark_is_refused_before_anything_moves(world: World, protection: str):
    """S3 takes ten tags of an object, and the mark would be the eleventh."""
    world.old.put(state())
    tag(world, 10)
    refused(world, f"{KEY} has 10 tags, the most that S3 takes", source_protection=protection)
    assert (world.new.bodies(), world.old.locks(), world.new.locks()) == ([], [], [])
    tag(world, 9)
    assert world.moved(source_protection=protection)["changed"]
    assert world.old.mark()
    assert not world.moved(source_protection=protection)["changed"]


def test_a_state_that_loses_the_room_for_its_mark_on_the_way_stays_locked_until_there_is_room(world: World):
    world.old.put(state())
    world.relay.on("PutObjectTagging", reply=error("BadRequest", 400))
    assert world.move()["failed"]
    tag(world, 10)
    refused(world, "remove one of its tags")
    assert (world.new.bodies(), len(world.old.locks()), world.new.locks()) == ([state()], 2, [])
    tag(world, 9)
    assert world.moved()["changed"]
    assert world.old.mark() and len(world.old.locks()) == 2


def test_what_moved_and_vanished_is_not_moved_again_unasked(world: World):
    world.old.put(state())
    world.moved(source_protection="tag")
    world.new.s3.delete_object(Bucket=world.new.bucket, Key=KEY)
    refused(world, "before, and does not exist there any more: restore it there", source_protection="tag")


def test_it_waits_for_a_lock_and_then_moves_what_its_holder_wrote(world: World):
    world.old.put(state())
    world.old.lock()

    def applied(_call: object) -> None:
        world.old.put(state(5))
        world.old.unlock()

    world.relay.on("PutItem", nth=3, reply=then(applied))
    world.moved(lock_timeout=60)
    assert world.new.bodies() == [state(5)]


def test_a_client_between_its_two_writes_is_no_damage_but_waited_for(world: World):
    world.old.put(state())
    world.old.lock()
    world.old.s3.put_object(Bucket=world.old.bucket, Key=KEY, Body=state(5))
    assert world.moved(check_mode=True)["states"][0]["action"] == "move"

    def applied(_call: object) -> None:
        world.old.put(state(5))
        world.old.unlock()

    world.relay.on("PutItem", nth=2, reply=then(applied))
    world.moved(lock_timeout=60)
    assert world.new.bodies() == [state(5)]


def test_a_whole_bucket_moves_and_what_is_no_state_is_left_alone(world: World):
    keys = [f"p{number}/terraform.tfstate" for number in range(6)] + ["odd.tflock", DEV]
    for key in keys:
        world.old.put(state(), key)
    world.old.s3.put_object(Bucket=world.old.bucket, Key="README.md", Body=b"# hello")
    world.old.s3.put_object(Bucket=world.old.bucket, Key="empty", Body=b"")
    world.old.lock(keys[3])
    result = world.move(key=None)
    assert result["failed"] and result["changed"]
    assert result["progress"]["moved"] == 7 and result["progress"]["failed"] == 1
    assert [row["source"] for row in result["states"] if row["problem"]] == [f"s3://{world.old.bucket}/{keys[3]}"]
    world.old.unlock(keys[3])
    result = world.moved(key=None)
    assert result["progress"]["moved"] == 1 and result["progress"]["unchanged"] == 7
    assert result["progress"]["skipped"] == 1
    problem = f"s3://{world.old.bucket}/README.md cannot be moved, as no client takes it for a state: it is not JSON"
    assert result["skipped_objects"] == [{"path": "README.md", "problem": problem}]
    assert "skipped, as it is not a state: README.md" in result["warnings"]
    assert [world.new.bodies(key) for key in keys] == [[state()]] * 8
    assert not world.moved(key=None, keys=["p*"])["changed"]


def test_a_project_that_followed_its_local_state_is_left_in_peace(world: World, project: Path):
    world.moved(project=str(project))
    world.new.put(state(5))
    again = world.moved(project=str(project))
    assert (again["changed"], world.relay.writes) == (False, [])
    world.new.put(state(5, lineage="another"))
    result = world.move(project=str(project))
    assert result["failed"] and "nothing is overwritten" in result["msg"]


def test_a_project_whose_states_come_from_a_bucket_has_none_of_its_own(world: World, project: Path):
    world.old.put(state())
    refused(
        world,
        "terraform.tfstate.d/dev/terraform.tfstate would be taken for the state by terraform init",
        project=str(project),
        source_bucket=world.old.bucket,
        source_table=world.old.table,
        source_region=world.old.region,
    )


def test_a_project_that_is_initialised_to_something_else_is_not_taken_along(world: World, project: Path):
    (project / ".terraform").mkdir()
    config = {"bucket": "foreign", "key": KEY}
    told = {"version": 3, "backend": {"type": "s3", "config": config}}
    (project / ".terraform" / "terraform.tfstate").write_text(json.dumps(told))
    reason = f"{project} is initialised to s3://foreign/{KEY}, which is not what moves here"
    refused(world, reason, project=str(project))
    assert (project / "terraform.tfstate").read_bytes() == state()


def test_a_folder_without_a_state_is_told(world: World, tmp_path: Path):
    refused(world, f"{tmp_path} holds no local state: name source_bucket", project=str(tmp_path))
    refused(world, f"{tmp_path}/x cannot be read", project=str(tmp_path / "x"))


NOTHING: dict[str, Any] = dict.fromkeys(("source_bucket", "source_table", "source_region"))


@pytest.mark.parametrize(
    ("reason", "params"),
    [
        ("name where the states come from: source_bucket, or project", NOTHING),
        ("key is missing: without it all states", {"key": None, "project": "x", "source_bucket": "a"}),
        ("key is missing: without it all states", {"key": None, "source_key": "x"}),
        ("these options need source_bucket: source_profile", {"project": "x", "source_profile": "y"}),
        ("init goes with project", {"init": True}),
        ("verify_plan goes with project", {"verify_plan": True}),
        ("remove_local goes with verify_plan", {"remove_local": True}),
        ("tfbackend is the name of a file in project", {"tfbackend": "x"}),
        ("tfbackend is the name of a file in project", {"project": "x", "tfbackend": "../x"}),
        ("key 'a//b' has an empty", {"project": "x", "key": "a//b"}),
        ("region is not set", {"region": ""}),
        ("account_id is '1'", {"account_id": "1"}),
        ("mutually exclusive: key|keys", {"keys": ["x"]}),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_read(world: World, reason: str, params: dict[str, Any]):
    result = world.move(**params)
    assert result["failed"] and reason in result["msg"], result["msg"]
    assert world.relay.calls == []


def test_source_and_destination_are_two(world: World):
    bucket = world.new.bucket
    assert world.move(source_bucket=bucket)["msg"] == "source and destination are the same"
    assert world.move(source_bucket=bucket, key=None)["msg"] == "source and destination are the same"


@contextmanager
def locked(path: Path) -> Iterator[Callable[[], object]]:
    """Somebody else holds the lock of a file, until the function is called. POSIX asks who does by process."""
    told, release = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(told[1], b"1")
            os.read(release[0], 1)
        os._exit(0)
    os.read(told[0], 1)
    try:
        yield lambda: os.write(release[1], b"1")
    finally:
        os.write(release[1], b"1")
        os.waitpid(child, 0)


def test_a_local_lock_that_somebody_holds_stops_the_move(world: World, project: Path):
    with locked(project / "terraform.tfstate"):
        result = world.move(project=str(project))
    assert result["failed"] and "somebody else holds the lock of" in result["msg"]
    assert world.new.bodies() == []
    assert world.moved(project=str(project))["changed"]


def test_it_waits_for_a_local_lock(world: World, project: Path, monkeypatch: pytest.MonkeyPatch):
    with locked(project / "terraform.tfstate") as release:
        monkeypatch.setattr(Aws, "pause", lambda self, attempt: release())
        assert world.moved(project=str(project), lock_timeout=60)["changed"]


def test_what_reads_back_otherwise_is_told_and_its_source_stays_protected(world: World):
    world.old.put(state())
    overwrites = then(lambda _call: world.new.put(state(9), digest=False))
    world.relay.on("PutItem", nth=3, reply=overwrites)
    result = world.move()
    assert result["failed"] and "differs from what was written: another client writes there" in result["msg"]
    assert (world.old.mark(), len(world.old.locks()), world.new.locks()) == (None, 2, [])


@pytest.mark.parametrize("protection", ["tag", "deny"])
@pytest.mark.parametrize("stride", WRITES)
def test_a_move_that_never_hears_of_one_of_its_writes_ends_alike(world: World, protection: str, stride: int):
    world.old.put(state())
    world.moved(source_protection=protection)
    writes = len(world.relay.writes)
    assert writes > 7
    for k in range(1, writes + 1, stride):
        key = f"k{k}/terraform.tfstate"
        world.old.put(state(), key)
        lost = world.relay.on("*", reply=LostReply(k), times=math.inf)
        world.moved(source_protection=protection, key=key)
        lost.times = 0
        assert (k, world.new.bodies(key), world.new.digest(key)) == (k, [state()], md5(state()))
        assert (k, world.new.locks(key), len(world.old.locks(key))) == (k, [], 0 if protection == "tag" else 2)
        assert (k, world.moved(source_protection=protection, key=key)["changed"]) == (k, False)

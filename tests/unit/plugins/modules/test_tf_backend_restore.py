# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tf_backend_restore over a backend in memory: refusals, the order of writes, concurrent runs and failures."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import lock_file
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE

from tests.integration.backups import World, is_as_saved, saved, wanted
from tests.integration.moves import DEV, KEY, Place, md5, state
from tests.integration.scenarios import LostReply
from tests.support.relay import Call, error, then
from tests.unit.plugins.module_utils.fake_versions import world_in

MODULE, BACKUP = "tf_backend_restore", "tf_backend_backup"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Whose backup is of another backend."""
    return saved(world_in(tmp_path, monkeypatch))


def test_a_backup_goes_back_to_where_it_was_taken(world: World):
    told = json.loads((world.backup / "backup.json").read_text())
    source = world.at(Place(world.place.emulator, told["region"], told["bucket"] + "-x", told["table"] + "-x"))
    (world.backup / "backup.json").write_text(
        json.dumps({**told, "bucket": source.place.bucket, "table": source.place.table})
    )
    nowhere = {"bucket": None, "table": None, "region": None}
    told = source.done(MODULE, **nowhere)
    assert source.histories() == wanted(source)
    source.unchanged(MODULE, **nowhere)


def test_only_what_is_named_comes_back(world: World):
    world.done(MODULE, keys=["app/*"], table=None)
    assert world.histories() == {key: bodies for key, bodies in wanted(world).items() if key in (KEY, DEV)}
    world.done(MODULE, keys=["README.md"])
    assert world.histories() == wanted(world)
    assert world.items() == []
    assert world.done(MODULE)["progress"]["finished"] == 1
    is_as_saved(world)


@pytest.mark.parametrize("key", [KEY.upper(), f"{KEY}-md5", "no/such.tfstate"])
def test_a_key_that_no_state_in_the_backup_has_is_refused(world: World, key: str):
    perhaps = "" if key.startswith("no") else f"; perhaps this is meant: '{KEY}'"
    world.refused(MODULE, f"there is no state '{key}': correct keys{perhaps}", keys=["README.md", key])
    assert not world.done(MODULE, keys=["no/such*"])["changed"]


def test_who_went_on_is_left_in_peace(world: World):
    world.done(MODULE)
    world.place.put(state(3))
    world.unchanged(MODULE)
    assert world.place.digest() == md5(state(3))


def test_what_is_something_else_is_never_overwritten(world: World):
    world.place.put(state(9))
    world.refused(
        MODULE, f"{world.place.bucket} holds other versions of {KEY} than the backup", "nothing is overwritten"
    )
    world.done(MODULE, keys=["README.md"])


def test_who_went_back_to_an_older_version_is_left_in_peace(world: World):
    world.done(MODULE)
    newest, _older = world.place.versions()
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=newest[0])
    marker = world.place.versions(DEV)[0]
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=DEV, VersionId=marker[0])
    world.refused(MODULE, f"holds only the older versions of {KEY}, {DEV}", "save the backend again")
    assert (world.current(), world.current(DEV)) == (state(1), state(7))
    world.done(MODULE, keys=["README.md"])


def test_a_state_that_was_undeleted_or_rolled_back_comes_back_as_it_was(world: World):
    source = world.at(Place(world.place.emulator, "eu-west-1"))
    for key in (KEY, DEV):
        source.place.put(state(1), key)
        source.place.put(state(2), key)
    source.place.s3.delete_object(Bucket=source.place.bucket, Key=DEV)
    there = {"backup": str(source.home / "another")}
    source.done(BACKUP, **there)
    for key in (KEY, DEV):
        version, _body = source.place.versions(key)[0]
        source.place.s3.delete_object(Bucket=source.place.bucket, Key=key, VersionId=version)
    assert source.done(BACKUP, check_mode=True, **there)["changed"]
    assert source.done(BACKUP, **there)["changed"]
    source.unchanged(BACKUP, **there)
    world.done(MODULE, **there)
    assert (world.current(), world.current(DEV)) == (state(1), state(2))
    world.unchanged(MODULE, **there)


def test_a_damaged_backup_is_refused_whole(world: World):
    told = json.loads((world.backup / "backup.json").read_text())["versions"]
    body = world.backup / "objects" / next(each["sha256"] for each in told if each["key"] == "README.md")
    body.write_bytes(b"# hullo")
    damaged(world)
    body.unlink()
    damaged(world)
    (world.backup / "backup.json").unlink()
    world.refused(MODULE, "holds no backup.json, and so no backup that was finished")


@pytest.mark.parametrize(("member", "value"), [("md5", "0" * 32), ("size", 0), ("sha256", "0" * 64)])
def test_a_backup_whose_manifest_does_not_fit_its_bodies_is_refused_whole(world: World, member: str, value: object):
    """A wrong MD5 would become the digest, and size 0 none, of a state that every client then refuses or trusts."""
    manifest = world.backup / "backup.json"
    told = json.loads(manifest.read_text())
    [each for each in told["versions"] if each["key"] == KEY][-1][member] = value
    manifest.write_text(json.dumps(told))
    damaged(world, KEY)
    of_the_source = {name: told[name] for name in ("bucket", "table", "region")}
    assert world.done(BACKUP, **of_the_source)["changed"], "the bucket still has what mends it"
    world.done(MODULE)
    is_as_saved(world)


RECORD = b'{"ID":"1","Operation":"plan","Info":"","Who":"me","Version":"","Created":"2026-01-02T03:04:05Z","Path":""}'


def test_a_state_under_the_name_of_a_lock_file_is_saved_and_restored(world: World):
    """What a `.tflock` holds says what it is. A lock file stays behind, and is named."""
    odd, lone = "odd.tfstate.tflock", "lone.tfstate.tflock"
    source = world.at(Place(world.place.emulator, "eu-west-1"))
    bodies = {KEY: [state(1)], odd: [state(1), state(2)], lone: [RECORD], "x.tflock": [b"# notes"]}
    for key, each in bodies.items():
        for body in each:
            source.place.put(body, key, digest=key in (KEY, odd))
    there = {"backup": str(world.home / "odd")}
    source.done(BACKUP, **there)
    done = world.done(MODULE, **there)
    assert [row["key"] for row in done["objects"]] == sorted([KEY, odd, "x.tflock"])
    assert done["left_out"] == [{"key": lone, "versions": 1}] and done["progress"]["left_out"] == 1
    everything = {key: each for key, each in world.everything().items() if key in bodies}
    assert everything == {key: each for key, each in bodies.items() if key != lone}
    assert world.place.digest(odd) == md5(state(2))
    world.unchanged(MODULE, **there)


def test_a_state_in_the_place_of_the_lock_file_of_another_one_is_named(world: World):
    source = world.at(Place(world.place.emulator, "eu-west-1"))
    source.place.put(state(1))
    source.place.put(state(2), f"{KEY}.tflock", digest=False)
    there = {"backup": str(world.home / "odd")}
    source.done(BACKUP, **there)
    done = world.done(MODULE, **there)
    assert [row["key"] for row in done["objects"]] == [KEY]
    assert {"key": f"{KEY}.tflock", "versions": 1} in done["left_out"]
    (warning,) = done["warnings"]
    assert f"{KEY}.tflock in the backup holds a state under the name of the lock file" in warning
    elsewhere = world.at(Place(world.place.emulator, "us-east-1"))
    elsewhere.done(MODULE, keys=[f"{KEY}.tflock"], **there)
    assert elsewhere.current(f"{KEY}.tflock") == state(2)


def test_items_that_are_not_restored_are_named(world: World):
    told = json.loads((world.backup / "backup.json").read_text())
    bucket = told["bucket"]
    told["items"] += [
        {"LockID": {"S": f"{bucket}/gone-md5"}, "Digest": {"S": "0" * 32}},
        {"LockID": {"S": "another/k-md5"}, "Digest": {"S": "0" * 32}},
        {"LockID": {"S": f"{bucket}/held"}, "Info": {"S": "{}"}},
    ]
    (world.backup / "backup.json").write_text(json.dumps(told))
    done = world.done(MODULE)
    items = {each["item"] for each in done["left_out"] if "item" in each}
    assert items == {f"{bucket}/gone-md5", "another/k-md5", f"{bucket}/held"}
    assert {each["key"] for each in done["left_out"] if "key" in each} == {f"{KEY}.tflock"}


@pytest.mark.parametrize(
    ("member", "value"), [("key", ["k"]), ("md5", 7), ("content", {"ContentType": "a\nb"}), ("tags", {"a": "\ud800"})]
)
def test_a_manifest_with_a_wrong_member_is_refused_in_one_sentence(world: World, member: str, value: object):
    manifest = world.backup / "backup.json"
    told = json.loads(manifest.read_text())
    told["versions"][0][member] = value
    manifest.write_text(json.dumps(told))
    world.refused(MODULE, f"{world.backup} is not a backup that can be restored: in backup.json, versions[0].{member}")


def damaged(world: World, key: str = "README.md") -> None:
    """Refused in the same words with and without check mode, and every lock was given back."""
    said = [world.run(MODULE, check_mode=check_mode) for check_mode in (True, False)]
    assert all(each["failed"] for each in said) and said[0]["msg"] == said[1]["msg"]
    assert f"the backup in {world.backup} is damaged" in said[0]["msg"] and f"of {key}" in said[0]["msg"]
    assert [each["changed"] for each in said] == [False, False], "locks were taken and given back"
    assert world.histories() == {} and world.items() == []
    assert not any(world.has_lock_file(key) for key in (KEY, DEV, "README.md"))


def test_a_version_that_is_too_long_for_one_upload_is_refused(world: World):
    told = json.loads((world.backup / "backup.json").read_text())
    next(each for each in told["versions"] if each["key"] == "README.md")["size"] = 5 * 1024**3 + 1
    (world.backup / "backup.json").write_text(json.dumps(told))
    world.refused(MODULE, "README.md has more than the 5368709120 bytes that AWS takes at once: name other keys")


def test_only_what_says_how_a_body_is_to_be_read_is_taken_from_a_backup(world: World):
    told = json.loads((world.backup / "backup.json").read_text())
    about = next(each for each in told["versions"] if each["key"] == "README.md")
    about["content"] |= {"ACL": "public-read", "Bucket": "another", "Key": "elsewhere"}
    (world.backup / "backup.json").write_text(json.dumps(told))
    world.done(MODULE)
    assert not any("ACL" in call.params for call in world.relay.writes)
    is_as_saved(world)


def test_a_lock_that_somebody_holds_stops_it(world: World):
    world.place.lock()
    world.refused(MODULE, f"{KEY} is locked by you@there since ")
    world.done(MODULE, keys=["README.md"])
    world.place.unlock()
    world.done(MODULE)
    is_as_saved(world)


def test_the_place_has_to_be_there_and_versioned(world: World):
    world.refused(MODULE, "bucket nobody-has-it does not exist: make it first", bucket="nobody-has-it")
    world.refused(MODULE, "table nobody-has-it does not exist: make it first", table="nobody-has-it")
    world.place.s3.put_bucket_versioning(Bucket=world.place.bucket, VersioningConfiguration={"Status": "Suspended"})
    world.refused(MODULE, "is not versioned, so that each version would overwrite the one before it")


def test_a_bucket_that_is_being_torn_down_gets_nothing(world: World):
    statement = {"Sid": "CornerstoneTfstateTearDown", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    statement["Resource"] = f"arn:aws:s3:::{world.place.bucket}/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.place.s3.put_bucket_policy(Bucket=world.place.bucket, Policy=policy)
    world.refused(MODULE, "is being torn down: finish that, or end it with tf_backend_teardown and state: cancelled")


def test_a_surviving_digest_of_a_newer_state_gives_way(world: World):
    """As after the loss of a bucket: the table knows a state that nobody has any more."""
    item = {"LockID": {"S": f"{world.place.bucket}/{KEY}-md5"}, "Digest": {"S": md5(state(5))}}
    world.place.dynamodb.put_item(TableName=world.place.table, Item=item)
    world.done(MODULE)
    is_as_saved(world)


def edited(world: World, items: list[Any]) -> None:
    told = json.loads((world.backup / "backup.json").read_text())
    (world.backup / "backup.json").write_text(json.dumps({**told, "items": [*told["items"], *items]}))


def test_locks_and_the_digests_of_other_buckets_stay_behind(world: World):
    source = json.loads((world.backup / "backup.json").read_text())["bucket"]
    edited(
        world,
        [
            {"LockID": {"S": f"{source}/{KEY}"}, "Info": {"S": '{"ID":"stale"}'}},
            {"LockID": {"S": "other/x-md5"}, "Digest": {"S": md5(b"1")}},
            {"LockID": {"S": f"{source}/bare-md5"}},
        ],
    )
    progress = world.done(MODULE)["progress"]
    assert (progress["other_digests"], progress["left_out"]) == (1, 4)
    is_as_saved(world)
    assert [item["LockID"]["S"] for item in world.items()] == [f"{world.place.bucket}/{KEY}-md5"]
    world.unchanged(MODULE)


def test_what_has_no_digest_in_it_is_none(world: World):
    told = json.loads((world.backup / "backup.json").read_text())
    bare = [{"LockID": {"S": f"{told['bucket']}/{KEY}-md5"}}]
    (world.backup / "backup.json").write_text(json.dumps({**told, "items": bare}))
    world.done(MODULE)
    assert world.items() == []
    world.unchanged(MODULE)


def test_instead_of_a_digest_that_does_not_fit_that_of_the_version_is_written(world: World):
    """A backup without locks may have one of the next version, or of a state that was deleted a moment later."""
    told = json.loads((world.backup / "backup.json").read_text())
    ahead = [{"LockID": {"S": f"{told['bucket']}/{key}-md5"}, "Digest": {"S": md5(b"")}} for key in (KEY, DEV)]
    (world.backup / "backup.json").write_text(json.dumps({**told, "items": ahead}))
    foreseen, result = world.done(MODULE, check_mode=True), world.done(MODULE)
    said = "in the backup does not fit its newest version:"
    assert foreseen["warnings"] == result["warnings"]
    assert sorted(result["warnings"]) == [
        f"the digest of {KEY} {said} that of the version is written instead",
        f"the digest of {DEV} {said} none is written instead",
    ]
    is_as_saved(world)
    world.unchanged(MODULE)


# Cut short.


@pytest.mark.slow
def test_a_restore_that_never_hears_of_one_of_its_writes_ends_alike(world: World):
    world.done(MODULE, keys=["app/*"])
    writes = len(world.writes)
    for k in range(1, writes + 1):
        world = world.at(Place(world.place.emulator, "us-east-1"))
        lost = world.relay.on("*", reply=LostReply(k), times=math.inf)
        world.done(MODULE, keys=["app/*"])
        lost.times = 0
        assert (k, world.histories()) == (
            k,
            {key: bodies for key, bodies in wanted(world).items() if key in (KEY, DEV)},
        )
        assert (k, world.place.digest(), world.place.locks(), world.place.locks(DEV)) == (k, md5(state(2)), [], [])
    assert writes == 15


def test_who_goes_back_while_a_digest_is_written_is_left_in_peace(world: World):
    world.done(MODULE)
    world.place.dynamodb.delete_item(
        TableName=world.place.table, Key={"LockID": {"S": f"{world.place.bucket}/{KEY}-md5"}}
    )
    newest, _body = world.place.versions()[0]
    go_back = partial(world.place.s3.delete_object, Bucket=world.place.bucket, Key=KEY, VersionId=newest)
    world.relay.on("PutItem", reply=then(lambda _call: go_back()))
    result = world.run(MODULE)
    assert result["failed"] and f"somebody wrote {KEY}, or went back in it, meanwhile" in result["msg"]
    assert world.current() == state(1) and not world.has_lock_file() and not world.has_lock_item()


def test_every_state_is_locked_before_the_first_version_is_written(world: World):
    world.done(MODULE)
    locks = [call.name == "PutItem" or ".tflock" in call.request.target for call in world.relay.writes]
    assert locks[:7] == [True] * 7 and world.writes[:7].count("PutItem") == 3 and not locks[7]
    assert world.relay.writes[0].request.target.endswith(lock_file(LEASE))


def test_a_restore_that_fails_in_the_middle_keeps_its_lock(world: World):
    world.relay.on("DeleteObject", reply=error("AccessDenied", 403))
    result = world.run(MODULE, keys=["env:/dev/*"])
    assert result["failed"] and result["changed"]
    assert world.histories() == {DEV: [state(7)]}
    assert world.has_lock_file(DEV) and world.has_lock_item(DEV)
    world.done(MODULE)
    is_as_saved(world)


def test_what_aws_refuses_to_write_leaves_no_lock_and_what_it_may_have_written_does(world: World):
    """And what a lock that cannot be released is called, reaches the user."""
    version = "PutObject"
    rule = world.relay.on(version, reply=of_versions(error("AccessDenied", 403)), times=math.inf)
    assert world.run(MODULE, keys=["env:/dev/*"])["failed"]
    assert not world.has_lock_file(DEV) and not world.has_lock_item(DEV)
    world.relay.on("DeleteItem", reply=error("AccessDeniedException", 400))
    result = world.run(MODULE, keys=["env:/dev/*"])
    assert "may still be held (table)" in " ".join(result["warnings"])
    rule.reply = of_versions(error("InternalError", 500))
    assert world.run(MODULE, keys=["env:/dev/*"])["failed"]
    assert world.has_lock_file(DEV) and world.has_lock_item(DEV)
    rule.times = 0
    world.done(MODULE)
    is_as_saved(world)


def test_a_first_write_without_a_definite_answer_keeps_the_locks(world: World):
    rule = world.relay.on("PutObject", reply=of_versions(error("InternalError", 500)), times=math.inf)
    result = world.run(MODULE, keys=["env:/dev/*"])
    rule.times = 0
    assert result["failed"] and f"{DEV} stay locked" in result["msg"]
    assert world.has_lock_file(DEV) and world.has_lock_item(DEV) and world.histories() == {}
    world.done(MODULE)
    is_as_saved(world)


def of_versions(reply: Any) -> Any:
    """Not of lock files."""
    return lambda call, proceed: proceed() if ".tflock" in call.request.target else reply(call, proceed)


def test_locks_that_are_released_while_they_are_looked_at_are_said_to_be(world: World):
    lock = {"Bucket": world.place.bucket, "Key": f"{KEY}.tflock"}
    world.place.s3.put_object(**lock, Body=b"{}")
    looks = []

    def release(call: Call) -> None:
        looks.append(call.request.target.partition("?")[0].endswith(".tflock"))
        if looks.count(True) == 2:
            world.place.s3.delete_object(**lock)

    world.relay.on("GetObject", reply=then(release), times=math.inf)
    result = world.run(MODULE)
    assert result["msg"] == f"the locks of {KEY} have just been released: run again"


def test_a_backup_is_checked_before_anything_is_made(world: World):
    """Without bucket or table. What a restore would find to be wrong with the backup is found then."""
    there = {"bucket": "missing-states", "table": "missing-locks", "state": "checked"}
    told = world.done(MODULE, **there)
    assert (told["changed"], told["objects"], told["backup"]["url"]) == (False, [], str(world.backup))
    world.refused(MODULE, "there is no state 'no/such.tfstate'", **there, keys=["no/such.tfstate"])
    (body, *_others) = [each for each in sorted((world.backup / "objects").rglob("*")) if each.is_file()]
    body.write_bytes(b"something else")
    world.refused(MODULE, "is damaged", **there)
    (world.backup / "backup.json").unlink()
    world.refused(MODULE, "holds no backup.json, and so no backup that was finished", **there)

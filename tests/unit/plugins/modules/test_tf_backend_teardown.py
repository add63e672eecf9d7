# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tf_backend_teardown over a backend in memory: refusals, the order of writes, concurrent runs and failures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws

from tests.integration.backups import World, fresh
from tests.integration.moves import DEV, KEY, md5, state
from tests.integration.scenarios import LostReply, overtaken
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, error, lose_reply, then
from tests.unit.plugins.module_utils.fake_versions import returning, world_in

MODULE, RESTORE = "tf_backend_teardown", "tf_backend_restore"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path, monkeypatch)


def gone(world: World) -> None:
    assert not world.exists and not world.has_table


def test_a_state_under_the_name_of_a_lock_file_is_named_locked_and_saved(world: World):
    odd = "odd.tfstate.tflock"
    world.place.put(state(1), odd)
    done = world.done(MODULE)
    assert [each["key"] for each in done["destroys"]["states"]] == [odd]
    assert world.saved() == {odd: [state(1)]}
    assert any(f"{odd}.tflock" in call.request.target for call in world.relay.writes)
    gone(world)


def test_locks_come_first_and_go_last(world: World):
    world.place.put(state(1))
    world.place.put(state(2))
    world.done(MODULE)
    lease, locks, close = ["PutObject"], ["PutObject", "PutItem"], ["PutBucketPolicy", "DeleteObject"]
    assert world.writes == [*lease, *locks, *close, *["DeleteObjects"] * 3, "DeleteBucket", "DeleteTable"]
    read = [call.name for call in world.relay.calls].index("GetObject", world.relay.operations.index("PutItem"))
    assert read < world.relay.operations.index("PutBucketPolicy"), "saved under lock"
    batches = [call.params["Delete"]["Objects"] for call in world.relay.calls if call.name == "DeleteObjects"]
    assert [len(batch) for batch in batches[:2]] == [1, 1]
    lock_files = [[each["Key"].endswith(".tflock") for each in batch] for batch in batches]
    assert any(lock_files[2]) and not any(lock_files[0] + lock_files[1])


def test_a_bucket_with_access_points_is_neither_saved_nor_emptied(world: World, monkeypatch: pytest.MonkeyPatch):
    """On AWS; the fake is another store, which is not asked."""
    account = {"AccountId": "111122223333"}
    monkeypatch.setattr(Aws, "_addressed", lambda _aws, call: replace(call, params={**account, **call.params}))
    world.place.put(state(1))
    world.place.s3.backend.buckets[world.place.bucket].access_points = ["reports"]
    world.refused(MODULE, "it has reports: delete each of them first")


def test_an_empty_backend_needs_its_name_and_no_backup(world: World):
    world.done(MODULE, allow=None, backup=None)
    gone(world)


NO_WORD: dict[str, Any] = {"allow": [], "confirm_name": None, "backup": None}


def test_what_would_be_lost_has_to_be_permitted_named_and_saved(world: World):
    world.fill()
    world.place.dynamodb.update_table(TableName=world.place.table, DeletionProtectionEnabled=True)
    world.refused(
        MODULE,
        f"bucket {world.place.bucket} holds 7 object versions, which would be lost",
        "allow: [delete_state]",
        f"table {world.place.table} holds the digests of 1 states and 0 locks",
        f"deletion protection of table {world.place.table} would be switched off",
        "allow: [disable_deletion_protection]",
        f"deleting state needs confirm_name: {world.place.bucket} besides",
        "name the place of a backup",
        **NO_WORD,
    )
    world.refused(MODULE, "deleting state needs confirm_name", confirm_name=world.place.table)
    world.done(MODULE)
    gone(world)


def test_another_region_or_account_is_not_touched(world: World):
    world.fill()
    world.refused(MODULE, "correct account_id, profile or keys", account_id="999988887777")


def test_another_manager_is_asked_first(world: World):
    tags = {"TagSet": [{"Key": "managed-by", "Value": "terraform"}]}
    world.place.s3.put_bucket_tagging(Bucket=world.place.bucket, Tagging=tags)
    world.refused(MODULE, "the tag managed-by=terraform says that another tool manages it")


def test_code_on_the_map_holds_its_backend(world: World, tmp_path: Path):
    code = tmp_path / "code"
    (code / "one" / ".terraform").mkdir(parents=True)
    (code / "two").mkdir()
    config = {"bucket": world.place.bucket, "key": "one", "region": "eu-west-1"}
    checkout = {"version": 3, "backend": {"type": "s3", "config": config}}
    (code / "one" / ".terraform" / "terraform.tfstate").write_text(json.dumps(checkout))
    named = {"bucket": "other", "key": "two", "dynamodb_table": world.place.table}
    (code / "two" / "main.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": named}}}))
    world.fill()
    world.refused(
        MODULE,
        "code still names this backend",
        f"{code}/one/.terraform/terraform.tfstate",
        f"{code}/two/main.tf.json",
        code=[str(code)],
    )
    (code / "one" / ".terraform" / "terraform.tfstate").unlink()
    (code / "two" / "main.tf.json").write_text("{}")
    world.done(MODULE, code=[str(code)])
    gone(world)


@pytest.mark.parametrize(
    ("region", "options", "is_held"),
    [
        ('"eu-west-1"', {}, True),
        ("local.region", {}, True),
        ('"us-east-1"', {}, False),
        ('"eu-west-1"', {"keep_table": True}, True),
    ],
)
def test_code_whose_bucket_is_only_known_later_may_name_it(
    world: World, tmp_path: Path, region: str, options: dict[str, Any], is_held: bool
):
    """As most Terragrunt code."""
    (tmp_path / "code").mkdir()
    config = f'config = {{\n bucket = "${{local.account}}-tfstate"\n key = "x"\n region = {region}\n }}'
    (tmp_path / "code" / "terragrunt.hcl").write_text(f'remote_state {{\n backend = "s3"\n {config}\n}}\n')
    asked = {"code": [str(tmp_path / "code")], **options}
    if is_held:
        world.refused(MODULE, "may be clients of this backend", f"{tmp_path}/code/terragrunt.hcl", **asked)
    else:
        assert not any("code" in each for each in world.done(MODULE, check_mode=True, **asked)["warnings"])


@pytest.mark.parametrize("keeps_table", [True, False])
def test_code_whose_table_is_only_known_later_may_name_it(world: World, tmp_path: Path, keeps_table: bool):
    (tmp_path / "code").mkdir()
    named = {"bucket": "another", "key": "x", "region": "eu-west-1", "dynamodb_table": "${var.table}"}
    (tmp_path / "code" / "main.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": named}}}))
    asked = {"code": [str(tmp_path / "code")], "keep_table": keeps_table}
    if keeps_table:
        world.done(MODULE, check_mode=True, **asked)
    else:
        world.refused(
            MODULE, "whether it names the table, only the run or the command line of its client knows", **asked
        )


def test_code_that_names_no_bucket_holds_it_until_somebody_says_what_it_is(world: World, tmp_path: Path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {"key": "x"}}}}))
    asked = {"code": [str(tmp_path / "code")]}
    world.refused(MODULE, f"{tmp_path}/code/main.tf.json (it names no bucket", "code_known", **asked)
    here = {"bucket": world.place.bucket, "use_lockfile": True}
    world.refused(
        MODULE, "code still names this backend", **asked, code_known=[{"paths": "main.tf.json", "backend": here}]
    )
    known = [{"paths": "main.*", "backend": "none"}]
    result = world.done(MODULE, check_mode=True, **asked, code_known=known)
    assert (result["unknown"], result["code_known"]) == ([], [{**known[0], "used": 1}])


@pytest.mark.parametrize("reads", ['"{bucket}"', "var.bucket"])
def test_code_that_reads_a_state_holds_it(world: World, tmp_path: Path, reads: str):
    (tmp_path / "code").mkdir()
    bucket = reads.format(bucket=world.place.bucket)
    text = f'data "terraform_remote_state" "x" {{\n  backend = "s3"\n  config = {{\n    bucket = {bucket}\n  }}\n}}\n'
    (tmp_path / "code" / "main.tf").write_text(text)
    said = "still reads states of this backend" if "var" not in reads else "a terraform_remote_state in it has a bucket"
    world.refused(MODULE, said, code=[str(tmp_path / "code")])


def test_code_that_cannot_be_read_may_name_it(world: World, tmp_path: Path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.tf.json").write_text('{"terraform": {"backend"')
    world.refused(MODULE, "main.tf.json (it is not JSON", "code_known", code=[str(tmp_path / "code")])


@pytest.mark.parametrize("store", ["table", "file"])
def test_a_live_lock_stops_it_until_it_is_broken(world: World, store: str):
    world.fill()
    if store == "table":
        world.place.lock()
    else:
        world.place.s3.put_object(Bucket=world.place.bucket, Key=f"{KEY}.tflock", Body=b'{"ID":"theirs"}')
    world.refused(MODULE, f"somebody holds a lock: {KEY}", "allow: [break_lock]")
    world.done(MODULE, allow=["delete_state", "break_lock"])
    gone(world)


def test_a_lock_without_a_state_stops_it_too(world: World):
    world.place.lock("new/terraform.tfstate")
    world.refused(MODULE, "somebody holds a lock: new/terraform.tfstate")


def kept(said: str) -> Any:
    return lambda _call, _proceed: Answer(200, {"content-type": "application/xml"}, Body((said.encode(),)))


# A table that serves others.


def test_a_table_that_serves_others_is_left_to_them(world: World):
    world.fill()
    others = [
        {"LockID": {"S": "other/x-md5"}, "Digest": {"S": md5(b"")}},
        {"LockID": {"S": "other/x"}, "Info": {"S": '{"ID":"theirs"}'}},
    ]
    for item in others:
        world.place.dynamodb.put_item(TableName=world.place.table, Item=item)
    world.refused(
        MODULE, f"table {world.place.table} holds items of other buckets (other): leave it to them with keep_table"
    )
    foreseen = world.done(MODULE, keep_table=True, check_mode=True)
    assert world.done(MODULE, keep_table=True) == foreseen
    assert foreseen["destroys"]["table"] is None
    assert not world.exists and world.items() == sorted(others, key=lambda item: item["LockID"]["S"])
    world.unchanged(MODULE, keep_table=True)


def test_without_a_table_there_are_lock_files_alone(world: World):
    world.fill()
    world.done(MODULE, table=None)
    assert not world.exists and world.has_table
    assert len(world.items()) == 1
    world.done(MODULE)
    gone(world)


# What goes wrong.


def test_a_backup_that_fails_gives_the_locks_back_and_deletes_nothing(world: World):
    world.fill()
    everything, items = world.everything(), world.items()
    said = "User: u is not authorized to perform: kms:Decrypt on resource: k"
    # Looks at the states and at their locks come before.
    denied = Denied(error("AccessDenied", 403, said))
    rule = world.relay.on("GetObject", reply=denied, times=math.inf)
    result = world.run(MODULE)
    rule.times = 0
    assert result["failed"] and not result["changed"], "locks were taken and given back"
    assert "needs kms:Decrypt on its KMS key" in result["msg"]
    assert world.histories() == {key: each for key, each in everything.items() if not key.endswith(".tflock")}
    assert world.items() == items
    assert not world.has_lock_file() and not world.is_closed
    world.done(MODULE)
    gone(world)


class Denied:
    """Versions, which only the backup reads by their ids."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply

    def __call__(self, call: Call, proceed: Proceed) -> Any:
        return self.reply(call, proceed) if "versionId" in call.request.target else proceed()


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_what_is_written_between_backup_and_deletion_is_not_deleted(world: World, moment: int):
    """By somebody who takes no lock, and whom the policy, which ministack does not heed, would have kept off."""
    world.fill()
    late = state(9)
    write = then(lambda _call: world.place.s3.put_object(Bucket=world.place.bucket, Key="late", Body=late))
    names = {1: "PutBucketPolicy", 2: "DeleteObjects", 3: "DeleteObjects"}
    world.relay.on(names[moment], reply=write, nth=max(1, moment - 1))
    result = world.run(MODULE)
    assert result["failed"]
    assert "somebody wrote version" in result["msg"] and "of late into" in result["msg"]
    assert world.current("late") == late and world.has_lock_file() and world.has_lock_item()
    assert world.current() == (None if moment == 3 else state(2))
    world.done(MODULE)
    assert world.saved()["late"] == [late]
    gone(world)


def test_a_bucket_that_somebody_else_deletes_is_no_error(world: World):
    world.fill()
    everything = world.everything()
    world.relay.on("DeleteBucket", reply=overtaken("NoSuchBucket", 404))
    world.done(MODULE)
    gone(world)
    assert world.saved() == everything


class WhileSaving:
    """Does something as soon as the backup reads its first version."""

    def __init__(self, deed: Any) -> None:
        self.deeds = [deed]

    def __call__(self, call: Call, proceed: Proceed) -> Any:
        if "versionId" in call.request.target and self.deeds:
            self.deeds.pop()()
        return proceed()


def while_saving(world: World, deed: Any) -> None:
    world.relay.on("GetObject", reply=WhileSaving(deed), times=math.inf)


NEW = "new/terraform.tfstate"


@pytest.mark.parametrize("store", ["table", "file"])
def test_who_locks_a_new_state_while_all_is_saved_stops_it(world: World, store: str):
    world.fill()
    histories = world.histories()

    def lock() -> None:
        if store == "table":
            world.place.lock(NEW)
        else:
            world.place.s3.put_object(Bucket=world.place.bucket, Key=f"{NEW}.tflock", Body=b'{"ID":"theirs"}')

    while_saving(world, lock)
    result = world.run(MODULE)
    assert result["failed"] and result["done"] == []
    assert f"somebody holds a lock: {NEW}" in result["msg"] and "nothing was deleted" in result["msg"]
    assert world.histories() == histories and not world.is_closed
    assert (world.has_lock_item(NEW), world.has_lock_file(NEW)) == (store == "table", store == "file")
    assert not world.has_lock_file() and not world.has_lock_item()
    world.refused(MODULE, f"somebody holds a lock: {NEW}")
    world.done(MODULE, allow=["delete_state", "break_lock"])
    gone(world)


def test_a_state_that_is_made_while_all_is_saved_is_locked_and_saved_too(world: World):
    world.fill()
    while_saving(world, lambda: world.place.put(state(1), NEW))
    world.done(MODULE)
    gone(world)
    assert world.saved()[NEW] == [state(1)]
    locked = [call.body.decode() for call in world.relay.calls if call.name == "PutItem"]
    assert len([body for body in locked if NEW in body]) == 1


def test_half_a_lock_of_what_is_no_state_does_not_stop_the_next_run(world: World):
    """A lock of somebody else is broken, and before ours is whole the run dies."""
    world.place.lock(NEW)
    word = {"allow": ["delete_state", "break_lock"]}
    world.relay.on("PutItem", reply=error("AccessDeniedException", 400))
    kept = world.relay.on("DeleteObject", reply=error("AccessDenied", 403), times=math.inf)
    result = world.run(MODULE, **word)
    kept.times = 0
    assert result["failed"] and result["changed"] and world.has_lock_file(NEW) and not world.has_lock_item(NEW)
    assert f"may still be held: delete_object on {world.place.bucket}/{NEW}.tflock: AccessDenied" in result["msg"]
    world.done(MODULE, **word)
    gone(world)


@pytest.mark.parametrize("reply", [lose_reply, error("InternalError", 500)], ids=["lost", "broken"])
def test_without_a_definite_answer_to_the_policy_the_locks_stay(world: World, reply: Any):
    world.fill()
    rule = world.relay.on("PutBucketPolicy", reply=reply, times=math.inf)
    result = world.run(MODULE, wait_timeout=1)
    rule.times = 0
    assert result["failed"] and result["changed"]
    assert world.has_lock_file() and world.has_lock_item() and world.current() == state(2)
    world.done(MODULE)
    gone(world)


def test_a_policy_that_aws_refuses_gives_the_locks_back(world: World):
    world.fill()
    world.relay.on("PutBucketPolicy", reply=error("AccessDenied", 403))
    world.relay.on("DeleteItem", reply=error("AccessDeniedException", 400))
    result = world.run(MODULE)
    assert result["failed"] and "needs s3:PutBucketPolicy" in result["msg"]
    assert "may still be held (table)" in " ".join(result["warnings"])
    assert not world.is_closed and not world.has_lock_file()
    world.done(MODULE)
    gone(world)


def closed(world: World) -> None:
    statement = {"Sid": "CornerstoneTfstateTearDown", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    resource = {"Resource": f"arn:aws:s3:::{world.place.bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement | resource]})
    world.place.s3.put_bucket_policy(Bucket=world.place.bucket, Policy=policy)


def test_what_goes_on_in_a_closed_bucket_locks_in_the_table_what_is_not_locked_there(world: World):
    world.fill()
    closed(world)
    world.place.lock()
    world.refused(MODULE, f"somebody holds a lock: {KEY}")
    world.place.unlock()
    world.done(MODULE)
    gone(world)
    assert world.writes[:2] == ["PutItem", "PutItem"] and "DeleteObjects" in world.writes


def test_a_lock_that_is_taken_in_a_closed_bucket_stops_it(world: World):
    world.fill()
    closed(world)
    world.relay.on("DeleteObjects", reply=then(lambda _call: world.place.lock(NEW)))
    result = world.run(MODULE)
    assert result["failed"] and f"or holds one: {NEW}" in result["msg"]
    assert world.current() == state(2) and world.has_lock_item(NEW)
    world.place.unlock(NEW)
    world.done(MODULE)
    gone(world)


@pytest.mark.parametrize("policy", ["long", "of a role that was deleted"])
def test_a_policy_that_cannot_be_extended_is_refused_before_any_lock(world: World, policy: str):
    world.fill()
    about = {"Effect": "Deny", "Action": "s3:PutObjectAcl", "Resource": f"arn:aws:s3:::{world.place.bucket}/*"}
    who = "AROAEXAMPLEEXAMPLEEXA" if policy != "long" else "arn:aws:iam::111122223333:root"
    statements = [
        {**about, "Sid": f"Long{n}", "Principal": {"AWS": who}} for n in range(150 if policy == "long" else 1)
    ]
    document = {"Version": "2012-10-17", "Statement": statements}
    world.relay.on("GetBucketPolicy", reply=returning({"Policy": json.dumps(document)}), times=math.inf)
    reason = {"long": "the policy would be longer than the 20480 bytes"}.get(policy, f"names {who}, which is what AWS")
    world.refused(MODULE, reason)


def test_some_versions_that_are_gone_are_a_change(world: World):
    """In a run that only goes on, and writes nothing before."""
    world.fill()
    closed(world)
    error_of_one = {"Key": "a", "VersionId": "1", "Code": "AccessDenied", "Message": "no"}
    rule = world.relay.on("DeleteObjects", reply=returning({"Errors": [error_of_one]}))
    result = world.run(MODULE, table=None)
    assert rule.fired and result["failed"] and result["changed"] and result["done"] == []


@pytest.mark.parametrize("nth", [2, 3], ids=["a lock is gone", "a digest is gone"])
def test_digests_that_were_taken_out_of_a_table_stay_in_the_backup(world: World, nth: int):
    world.place.put(state(1))
    world.place.put(state(7), DEV)
    items = world.items()
    world.relay.on("DeleteItem", reply=error("AccessDeniedException", 400), nth=nth)
    assert world.run(MODULE, keep_table=True)["failed"]
    assert not world.exists and len(world.items()) == 5 - nth
    world.done(MODULE, keep_table=True)
    assert world.items() == []
    assert json.loads((world.backup / "backup.json").read_text())["items"] == items


# Cut short.


@pytest.mark.slow
def test_a_teardown_that_never_hears_of_one_of_its_writes_ends_alike(world: World):
    world = fresh(world, 0)
    world.done(MODULE)
    writes = len(world.writes)
    for k in range(1, writes + 1):
        world = fresh(world, k)
        before = world.everything()
        lost = world.relay.on("*", reply=LostReply(k), times=math.inf)
        world.done(MODULE)
        lost.times = 0
        gone(world)
        assert (k, world.saved()) == (k, before)
    assert writes == 12


# Archived versions.


def archive(world: World, storage_class: str = "GLACIER", number: int = 0) -> str:
    """`number`: of the versions of the state, the oldest first."""
    version_id = [version for version, _body in reversed(world.place.versions(KEY))][number]
    world.place.emulator.archive(world.place.bucket, KEY, version_id, storage_class)
    return str(version_id)


@pytest.mark.parametrize("number", [0, 1], ids=["an older version", "the current version"])
def test_archived_versions_are_restored_and_saved_before_anything_is_deleted(world: World, number: int):
    world.fill()
    before = world.everything()
    named = f"archived versions cannot be saved: version {archive(world, number=number)} of {KEY} (GLACIER)"
    words = "What is current is not left out" if number else "allow: [delete_archived] to delete them without a backup"
    world.refused(MODULE, named, "Set restore_archived: true to request their restore", words)
    foretold = world.run(MODULE, check_mode=True, restore_archived=True)
    assert foretold["failed"] and world.writes == []
    assert any("check mode requests no restore" in each for each in foretold["warnings"])
    result = world.run(MODULE, restore_archived=True)
    assert not any("check mode" in each for each in result["warnings"])
    assert (result["failed"], result["changed"], result["msg"]) == (True, True, foretold["msg"])
    assert world.writes == ["RestoreObject"] and "up to 5 hours: run again then" in result["msg"]
    world.refused(MODULE, named, "Their restore is requested", restore_archived=True)
    world.place.emulator.complete_restores(world.place.bucket)
    assert world.done(MODULE, restore_archived=True)["backup"]["skipped"] == 0
    assert world.saved() == before
    gone(world)


def test_archived_versions_are_deleted_unsaved_only_by_word(world: World):
    world.fill()
    version_id = archive(world, "DEEP_ARCHIVE")
    words = ["delete_state", "disable_deletion_protection", "delete_archived"]
    done = world.done(MODULE, allow=words)
    assert done["backup"]["skipped"] == 1
    assert world.saved()[KEY] == [state(2)]
    (skipped,) = json.loads((world.backup / "backup.json").read_text())["skipped"]
    assert (skipped["version_id"], skipped["storage_class"]) == (version_id, "DEEP_ARCHIVE")
    gone(world)


def test_a_current_version_that_is_archived_is_not_deleted_by_any_word(world: World):
    world.fill()
    archive(world, number=1)
    words = ["delete_state", "disable_deletion_protection", "delete_archived"]
    world.refused(MODULE, "What is current is not left out", allow=words)


def test_what_an_earlier_backup_skipped_is_deleted_only_by_word(world: World):
    world.fill()
    version_id = archive(world)
    world.done("tf_backend_backup", skip_archived=True)
    world.refused(MODULE, f"version {version_id} of {KEY} (GLACIER)", "allow: [delete_archived]")


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_teardown_without_archived_versions_goes_on_after_it_was_cut_short(world: World, stop: int):
    world.fill()
    archive(world)
    words = ["delete_state", "disable_deletion_protection", "delete_archived"]
    counts = iter(range(99))

    def deny(call: Call, proceed: Proceed) -> Answer:
        is_due = call.is_write and next(counts) == stop
        return error("AccessDenied", 403)(call, proceed) if is_due else proceed()

    world.relay.on("*", reply=deny, times=math.inf)
    world.run(MODULE, allow=words)
    world.done(MODULE, allow=words)
    assert world.saved()[KEY] == [state(2)]
    gone(world)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tf_backend_backup over a backend in memory: refusals, concurrent runs and damaged backups."""

from __future__ import annotations

import hashlib
import io
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.storage import Folder

from tests.integration.backups import World, overtaken_by_another, while_listing
from tests.integration.moves import KEY, Place, md5, state
from tests.integration.scenarios import deny
from tests.support.relay import error, then
from tests.unit.plugins.module_utils import fake_backend
from tests.unit.plugins.module_utils.fake_versions import changing, reversed_body, world_in

MODULE = "tf_backend_backup"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path, monkeypatch)


def manifest(world: World) -> Any:
    return json.loads((world.backup / "backup.json").read_text())


def test_it_grows_and_drops_nothing(world: World):
    world.fill()
    world.done(MODULE)
    before = world.saved()
    for version, _body in world.place.versions(KEY):
        world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=version)
    world.place.put(state(3))
    done = world.done(MODULE)
    assert done["backup"]["new"] == {"versions": 1, "bytes": len(state(3))}
    assert world.saved() == {**before, KEY: [*before[KEY], state(3)]}
    assert manifest(world)["items"] == world.items()
    world.unchanged(MODULE)


def test_a_body_that_was_damaged_is_fetched_again_while_that_can_be(world: World):
    world.fill()
    world.done(MODULE)
    everything = world.everything()
    spoilt = world.backup / "objects" / next(e["sha256"] for e in manifest(world)["versions"] if e["key"] == KEY)
    spoilt.write_bytes(b"spoilt")
    assert world.done(MODULE)["changed"]
    assert world.saved() == everything
    spoilt.unlink()
    for version, _body in world.place.versions(KEY):
        world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=version)
    result = world.run(MODULE)
    assert result["failed"]
    assert f"the backup in {world.backup} is damaged, and its bucket no longer has what would mend it" in result["msg"]
    assert f"of {KEY}" in result["msg"]


def test_what_is_written_meanwhile_is_saved_too(world: World):
    world.fill()
    world.relay.on("GetObject", reply=then(lambda _call: world.place.put(state(3))))
    result = world.done(MODULE)
    assert world.saved()[KEY] == [state(1), state(2), state(3)]
    assert manifest(world)["items"] == world.items()
    assert result["warnings"] == []


def test_who_writes_all_the_time_is_told(world: World):
    world.fill()
    serials = iter(range(3, 99))
    rule = world.relay.on("Scan", times=math.inf, reply=then(lambda _call: world.place.put(state(next(serials)))))
    result = world.done(MODULE)
    rule.times = 0
    assert "versions were written while the others were saved: run again" in result["warnings"][0]
    world.done(MODULE)
    assert world.saved() == world.everything()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error("NoSuchVersion", 404), "NoSuchVersion"),
        (error("NoSuchKey", 404), "NoSuchKey"),
        (
            error("AccessDenied", 403, "User: u is not authorized to perform: kms:Decrypt on resource: k"),
            "needs kms:Decrypt on its KMS key",
        ),
        (changing(reversed_body), "it reads back other than S3 says"),
    ],
)
def test_a_version_that_cannot_be_read_as_it_is_fails_and_is_named(world: World, reply: Any, reason: str):
    world.place.put(state(1))
    rule = world.relay.on("GetObject", reply=reply, times=math.inf)
    result = world.run(MODULE)
    rule.times = 0
    assert result["failed"] and not result["changed"]
    assert f"of {KEY} cannot be saved" in result["msg"] and reason in result["msg"]
    assert not (world.backup / "backup.json").exists()
    world.done(MODULE)


def test_what_lifecycle_takes_after_it_was_listed_fails_nothing(world: World):
    world.fill()
    (newest, _body), (oldest, _older) = world.place.versions()
    expire = partial(world.place.s3.delete_object, Bucket=world.place.bucket, Key=KEY, VersionId=oldest)
    world.relay.on("Scan", reply=then(lambda _call: expire()))
    result = world.done(MODULE)
    assert world.saved()[KEY] == [state(2)] and result["warnings"] == []
    assert [each["version_id"] for each in manifest(world)["versions"] if each["key"] == KEY] == [newest]
    world.unchanged(MODULE)


def test_a_backup_is_of_one_backend(world: World):
    world.fill()
    world.done(MODULE)
    other = world.at(Place(world.place.emulator, "eu-west-1"))
    other.refused(MODULE, "holds the backup of another backend, whose bucket is", world.place.bucket)
    world.refused(MODULE, "whose table is", table=other.place.table)
    (world.backup / "backup.json").write_text("{}")
    world.refused(MODULE, "is not a backup")


@pytest.mark.parametrize(
    ("reason", "params"),
    [
        ("bucket is not set: name the state bucket", {"bucket": None}),
        ("backup is not set: name a directory, or s3://bucket/prefix", {"backup": None}),
        ("region is not set", {"region": ""}),
        ("bucket nobody-has-it does not exist", {"bucket": "nobody-has-it"}),
        ("dynamodb", {"table": "nobody-has-it"}),
        ("is no folder", {"backup": __file__}),
        ("begins with a user whom this machine does not know", {"backup": "~nobody-is-called-so/x"}),
        ("File name too long; check its permissions", {"backup": "x" * 300}),
    ],
)
def test_what_cannot_be_right_is_refused(world: World, reason: str, params: dict[str, Any]):
    result = world.run(MODULE, **params)
    assert result["failed"] and not result["changed"]
    assert reason in result["msg"] or reason == "dynamodb"
    assert not world.backup.exists()


def test_what_another_run_saved_meanwhile_is_never_dropped(world: World):
    world.fill()
    world.done(MODULE)
    for version, _body in world.place.versions(KEY)[:1]:
        world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=version)
    world.place.put(state(3))
    while_listing(world, lambda: overtaken_by_another(world))
    result = world.run(MODULE)
    assert result["failed"] and f"somebody else saved into {world.backup} meanwhile: run again" in result["msg"]
    assert state(9) in world.saved()["late"]
    world.done(MODULE)
    assert state(9) in world.saved()["late"] and state(3) in world.saved()[KEY]


def test_a_bucket_that_is_being_torn_down_is_saved_by_that_alone(world: World):
    statement = {"Sid": "CornerstoneTfstateTearDown", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    resource = {"Resource": f"arn:aws:s3:::{world.place.bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement | resource]})
    world.place.s3.put_bucket_policy(Bucket=world.place.bucket, Policy=policy)
    world.refused(MODULE, f"bucket {world.place.bucket} is being torn down")


# In another bucket.


@pytest.fixture
def vault(world: World) -> Place:
    return closed_to_the_public(world)


def closed_to_the_public(world: World) -> Place:
    place = Place(world.place.emulator, "us-east-1")
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    closed = dict.fromkeys(flags, True)
    place.s3.put_public_access_block(Bucket=place.bucket, PublicAccessBlockConfiguration=closed)
    return place


def test_a_version_that_is_too_long_for_one_upload_needs_a_directory(world: World):
    world.place.put(state(1))
    vault = closed_to_the_public(world)
    rule = world.relay.on("ListObjectVersions", reply=changing(of_six_gibibytes), times=math.inf)
    there = {"backup": f"s3://{vault.bucket}/x", "backup_region": vault.region}
    world.refused(MODULE, f"of {KEY}: AWS takes at most 5368709120 bytes at once; name a folder", **there)
    word = {"allow": ["delete_state"], "confirm_name": world.place.bucket}
    world.refused("tf_backend_teardown", "bytes at once; name a folder", **there, **word)
    rule.times = 0
    world.done(MODULE, **there)


def of_six_gibibytes(value: Any) -> Any:
    return {**value, "Versions": [{**each, "Size": 6 * 1024**3} for each in value["Versions"]]}


def test_a_bucket_that_may_be_public_gets_no_backup(world: World, vault: Place):
    world.fill()
    vault.s3.delete_public_access_block(Bucket=vault.bucket)
    there = {"backup": f"s3://{vault.bucket}/x", "backup_region": vault.region}
    world.refused(MODULE, f"{vault.bucket} does not block all public access", **there)
    deny(world.relay, "GetPublicAccessBlock")
    world.refused(MODULE, "needs s3:GetBucketPublicAccessBlock", **there)
    world.refused(MODULE, "lies in no other bucket than the one that is saved", backup=f"s3://{world.place.bucket}/x")


def sha256_in(folder: Folder, name: str) -> str | None:
    measured = folder.measure(name)
    return measured and measured.sha256


def test_a_body_lies_under_its_own_name_from_the_first_byte_on(tmp_path: Path):
    """So that who is killed leaves no secret under another one. What a run before it left half-written is mended."""
    folder, body = Folder(tmp_path / "backup"), state(1)
    name = hashlib.sha256(body).hexdigest()
    names: list[list[str]] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            names.append([path.name for path in (tmp_path / "backup" / "objects").iterdir()])
            return super().read(size)

    for left in (None, body[:7], b"more" + body):
        if left is not None:
            (tmp_path / "backup" / "objects" / name).write_bytes(left)
            assert sha256_in(folder, name) != name
        folder.write_body(name, Watched(body))
        assert sha256_in(folder, name) == name
    assert {*map(tuple, names)} == {(name,)}


def test_digests_are_those_of_the_states(world: World):
    world.fill()
    world.done(MODULE)
    (digest,) = [item["Digest"]["S"] for item in manifest(world)["items"]]
    assert digest == md5(state(2))


# Archived versions.


def archive(world: World, version_id: str, storage_class: str = "GLACIER", tier: str | None = None) -> None:
    world.place.emulator.archive(world.place.bucket, KEY, version_id, storage_class, tier)


def versions(world: World) -> list[str]:
    """Those of the state, the oldest first."""
    return [version for version, _body in reversed(world.place.versions(KEY))]


#: Storage class and archive tier, and how many hours S3 takes.
ARCHIVED: dict[str, tuple[str, str | None, int]] = {
    "GLACIER": ("GLACIER", None, 5),
    "DEEP_ARCHIVE": ("DEEP_ARCHIVE", None, 12),
    "archive tier": ("INTELLIGENT_TIERING", "ARCHIVE_ACCESS", 5),
    "deep archive tier": ("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS", 12),
}


@pytest.mark.parametrize(("storage_class", "tier", "hours"), ARCHIVED.values(), ids=list(ARCHIVED))
def test_archived_versions_are_restored_on_request_and_saved_hours_later(
    world: World, storage_class: str, tier: str | None, hours: int
) -> None:
    world.fill()
    before = world.everything()
    (old, _new) = versions(world)
    archive(world, old, storage_class, tier)
    named = f"version {old} of {KEY} ({tier or storage_class})"
    world.refused(
        MODULE,
        f"archived versions cannot be saved: {named}",
        f"which takes up to {hours} hours, or skip_archived: true",
    )
    foretold = world.run(MODULE, check_mode=True, restore_archived=True)
    assert foretold["failed"] and world.writes == []
    assert any("check mode requests no restore" in each for each in foretold["warnings"])
    result = world.run(MODULE, restore_archived=True)
    assert not any("check mode" in each for each in result["warnings"])
    assert (result["failed"], result["changed"], result["msg"]) == (True, True, foretold["msg"])
    assert f"Their restore is requested, which takes up to {hours} hours: run again then" in result["msg"]
    (request,) = world.relay.writes
    assert request.call.params["RestoreRequest"] == ({} if tier else {"Days": 7})
    for asked in ({"restore_archived": True}, {}):
        world.refused(MODULE, named, f"is requested, which takes up to {hours} hours", **asked)
    assert not (world.backup / "backup.json").exists()
    world.place.emulator.complete_restores(world.place.bucket)
    assert world.done(MODULE)["backup"]["skipped"] == 0
    assert world.saved() == before
    world.unchanged(MODULE, restore_archived=True)


@pytest.mark.parametrize("storage_class", ["GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"])
def test_a_version_that_is_read_at_once_is_not_archived(world: World, storage_class: str) -> None:
    world.fill()
    archive(world, versions(world)[0], storage_class)
    world.done(MODULE, restore_archived=True)
    assert world.saved() == world.everything()


def test_a_store_whose_glacier_is_read_at_once_has_no_archived_versions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fill()
    for version in versions(world):
        archive(world, version)
    monkeypatch.setattr(fake_backend, "_is_archived", lambda _found: False)
    world.done(MODULE)
    assert world.saved() == world.everything()


def test_archived_versions_are_skipped_by_an_option_and_never_without_a_word(world: World) -> None:
    world.fill()
    world.place.put(state(3))
    before = world.everything()
    (_first, second, _third) = versions(world)
    archive(world, second)
    result = world.done(MODULE, skip_archived=True)
    assert result["backup"]["skipped"] == 1
    assert result["warnings"] == [
        f"the backup is not complete: archived versions are not in it: version {second} of {KEY} (GLACIER); "
        "restore_archived: true requests their restore"
    ]
    assert world.saved() == {**before, KEY: [state(1), state(3)]}
    (skipped,) = manifest(world)["skipped"]
    assert (skipped["version_id"], skipped["storage_class"], skipped["size"]) == (second, "GLACIER", len(state(2)))
    world.unchanged(MODULE, skip_archived=True)
    world.refused(MODULE, f"version {second} of {KEY} (GLACIER)")
    requested = world.done(MODULE, skip_archived=True, restore_archived=True)
    assert requested["changed"] and requested["warnings"][0].endswith(
        "(GLACIER); their restore is requested, which takes up to 5 hours: run again then to save them"
    )
    world.unchanged(MODULE, skip_archived=True, restore_archived=True)
    world.place.emulator.complete_restores(world.place.bucket)
    world.place.put(state(4))
    assert world.done(MODULE)["backup"]["skipped"] == 0
    assert world.saved()[KEY] == [state(1), state(2), state(3), state(4)], "each in its place"
    assert "skipped" not in manifest(world)
    world.unchanged(MODULE)


def test_a_version_that_was_skipped_and_is_gone_stays_named(world: World) -> None:
    world.fill()
    (first, _second) = versions(world)
    archive(world, first)
    world.done(MODULE, skip_archived=True)
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=first)
    assert world.done(MODULE)["backup"]["skipped"] == 1
    assert manifest(world)["skipped"][0]["version_id"] == first


@pytest.mark.parametrize("asked", [{}, {"skip_archived": True}])
def test_what_is_current_is_never_skipped(world: World, asked: dict[str, bool]) -> None:
    world.fill()
    (_first, current) = versions(world)
    archive(world, current, "DEEP_ARCHIVE")
    world.refused(MODULE, f"What is current is not left out: version {current} of {KEY}", **asked)
    world.run(MODULE, restore_archived=True, **asked)
    world.place.emulator.complete_restores(world.place.bucket)
    world.done(MODULE, **asked)
    assert world.saved() == world.everything()


def test_a_version_that_turns_out_to_be_archived_is_named_or_skipped(world: World) -> None:
    """Its restored copy has just expired, or the store lists no storage class."""
    world.fill()
    (first, _second) = versions(world)
    world.done(MODULE)
    (world.backup / "backup.json").unlink()

    def archived(call: Any, proceed: Any) -> Any:
        is_meant = call.call.params.get("VersionId") == first
        return error("InvalidObjectState", 403)(call, proceed) if is_meant else proceed()

    world.relay.on("GetObject", reply=archived, times=math.inf)
    result = world.run(MODULE)
    assert result["failed"] and not result["changed"]
    assert f"archived versions cannot be saved: version {first} of {KEY} (InvalidObjectState)" in result["msg"]
    assert not (world.backup / "backup.json").exists()
    assert world.done(MODULE, skip_archived=True)["backup"]["skipped"] == 1


FAULTS = {
    "restore denied": ("RestoreObject", error("AccessDenied", 403), "needs s3:RestoreObject"),
    "state unknown": ("HeadObject", error("AccessDenied", 403), "can be read is not known"),
}


@pytest.mark.parametrize(("operation", "reply", "said"), FAULTS.values(), ids=list(FAULTS))
def test_what_s3_refuses_about_an_archived_version_is_said(world: World, operation: str, reply: Any, said: str) -> None:
    world.fill()
    archive(world, versions(world)[0])
    world.relay.on(operation, reply=reply, times=math.inf)
    result = world.run(MODULE, restore_archived=True)
    assert result["failed"] and not result["changed"] and said in result["msg"]


def test_a_restore_that_somebody_else_requested_meanwhile_is_no_failure(world: World) -> None:
    world.fill()
    archive(world, versions(world)[0])
    world.relay.on("RestoreObject", reply=error("RestoreAlreadyInProgress", 409), times=math.inf)
    assert "Their restore is requested" in world.run(MODULE, restore_archived=True)["msg"]


def test_a_restored_backend_is_told_what_it_lacks(world: World) -> None:
    world.fill()
    (first, _second) = versions(world)
    archive(world, first)
    world.done(MODULE, skip_archived=True)
    other = world.at(Place(world.place.emulator, "eu-west-1"))
    result = other.done("tf_backend_restore")
    assert [each for each in result["warnings"] if "the backup is not complete" in each and f"version {first}" in each]
    assert result["backup"]["skipped"] == 1
    assert other.histories()[KEY] == [state(2)]

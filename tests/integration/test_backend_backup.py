# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup holds every version of every object, and says so only if every byte of it was read back."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.storage import Folder

from tests.integration.backups import World
from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import through_core
from tests.integration.moves import KEY, Place, md5, state
from tests.integration.scenarios import deny
from tests.support.aws_behaviours import OWNER_HEADER
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, error, lose_reply, then

MODULE = "tf_backend_backup"
EMPTY = {"versions": 0, "bytes": 0}


@pytest.fixture
def world(emulator: RunningEmulator, relay: Relay, tmp_path: Path) -> World:
    return World(relay, Place(emulator, "eu-west-1"), tmp_path)


@pytest.fixture
def on_ministack(ministack: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    with Relay(ministack.url) as relay:
        yield World(relay, Place(ministack, "eu-west-1"), tmp_path)


def test_every_version_and_item_is_saved_once_and_closed_to_others(world: World):
    world.fill()
    foreseen = world.done(MODULE, check_mode=True, diff=True)
    assert not world.backup.exists()
    done = world.done(MODULE, diff=True)
    assert foreseen == done and done["changed"]
    told = {name: done["backup"][name] for name in ("url", "bucket", "table", "versions", "delete_markers", "items")}
    assert told == {
        "url": str(world.backup),
        "bucket": world.place.bucket,
        "table": world.place.table,
        "versions": 5,
        "delete_markers": 2,
        "items": 1,
    }
    assert done["backup"]["bytes"] == 3 * len(state(1)) + len("{}# hello")
    assert world.saved() == world.everything()
    assert world.writes == []
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (world.backup, *world.backup.rglob("*"))}
    assert {mode for name, mode in modes.items() if name in ("backup", "objects")} == {"0o700"}
    assert {mode for name, mode in modes.items() if name not in ("backup", "objects")} == {"0o600"}
    before = {path: path.stat().st_mtime_ns for path in world.backup.rglob("*")}
    world.unchanged(MODULE)
    assert {path: path.stat().st_mtime_ns for path in world.backup.rglob("*")} == before
    (about,) = [each for each in manifest(world)["versions"] if each["key"] == "README.md"]
    assert about["content"] == {"ContentType": "text/markdown", "Metadata": {"by": "hand"}}
    assert about["tags"] == {"team": "a b"}


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


def test_a_bucket_without_versions_is_saved_each_time_it_changes(on_ministack: World):
    world = on_ministack
    world.place.s3.create_bucket(
        Bucket=f"{world.place.bucket}-u", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    for serial in (1, 2):
        world.place.s3.put_object(Bucket=f"{world.place.bucket}-u", Key=KEY, Body=state(serial))
        world.done(MODULE, bucket=f"{world.place.bucket}-u", table=None)
    assert world.saved() == {KEY: [state(1), state(2)]}
    world.unchanged(MODULE, bucket=f"{world.place.bucket}-u", table=None)


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


def test_who_writes_all_the_time_is_told(on_ministack: World):
    world = on_ministack
    world.fill()
    serials = iter(range(3, 99))
    rule = world.relay.on("Scan", times=math.inf, reply=then(lambda _call: world.place.put(state(next(serials)))))
    result = world.done(MODULE)
    rule.times = 0
    assert "versions were written while the others were saved: run again" in result["warnings"][0]
    world.done(MODULE)
    assert world.saved() == world.everything()


def swapped(call: Call, proceed: Proceed) -> Answer:
    """Other bytes than S3 speaks of, as many."""
    answer = proceed()
    body = answer.body.read()
    kept = {name: value for name, value in answer.headers.items() if "checksum" not in name.lower()}
    return Answer(answer.status, kept, Body((bytes(reversed(body)),)))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error("NoSuchVersion", 404), "NoSuchVersion"),
        (error("NoSuchKey", 404), "NoSuchKey"),
        (error("InvalidObjectState", 403), "InvalidObjectState"),
        (
            error("AccessDenied", 403, "User: u is not authorized to perform: kms:Decrypt on resource: k"),
            "needs kms:Decrypt on its KMS key",
        ),
        (swapped, "it reads back other than S3 says"),
    ],
)
def test_a_version_that_cannot_be_read_as_it_is_fails_and_is_named(on_ministack: World, reply: Any, reason: str):
    world = on_ministack
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
def test_what_cannot_be_right_is_refused(on_ministack: World, reason: str, params: dict[str, Any]):
    result = on_ministack.run(MODULE, **params)
    assert result["failed"] and not result["changed"]
    assert reason in result["msg"] or reason == "dynamodb"
    assert not on_ministack.backup.exists()


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


def while_listing(world: World, deed: Callable[[], object]) -> None:
    world.relay.on("Scan", reply=then(lambda _call: deed()))


def overtaken_by_another(world: World, **there: Any) -> None:
    """Which is a teardown, say: what it saved is gone from the bucket when the other one looks again."""
    world.place.s3.put_object(Bucket=world.place.bucket, Key="late", Body=state(9))
    (result,) = through_core([world.task(MODULE, **there)])
    assert not result.get("failed"), result
    for version, _body in world.place.versions("late"):
        world.place.s3.delete_object(Bucket=world.place.bucket, Key="late", VersionId=version)


def test_a_bucket_that_is_being_torn_down_is_saved_by_that_alone(on_ministack: World):
    world = on_ministack
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


def test_a_backup_in_another_bucket_is_the_same(world: World, vault: Place):
    world.fill()
    there = {"backup": f"s3://{vault.bucket}/backups/one", "backup_region": vault.region}
    foreseen = world.done(MODULE, check_mode=True, **there)
    assert vault.s3.list_objects_v2(Bucket=vault.bucket)["KeyCount"] == 0
    assert world.done(MODULE, **there) == foreseen
    world.unchanged(MODULE, **there)
    keys = [each["Key"] for each in vault.s3.list_objects_v2(Bucket=vault.bucket)["Contents"]]
    assert keys[0] == "backups/one/backup.json" and len(keys) == 6
    new = world.at(Place(world.place.emulator, "eu-west-1"))
    new.done("tf_backend_restore", **there)
    assert new.histories() == world.histories()


def test_what_another_run_saved_meanwhile_is_never_dropped_from_another_bucket(world: World, vault: Place):
    world.fill()
    there = {"backup": f"s3://{vault.bucket}/one", "backup_region": vault.region}
    said = f"somebody else saved into s3://{vault.bucket}/one/ meanwhile: run again"
    while_listing(world, lambda: overtaken_by_another(world, **there))
    assert said in world.run(MODULE, **there)["msg"]
    put = vault.s3.put_object
    for name, reply in (("theirs", first), ("ours", lose_reply)):
        world.place.put(state(3), name)
        world.relay.on("PutObject", reply=OfTheManifest(reply), times=math.inf, resource=vault.bucket)
        before = vault.s3.get_object(Bucket=vault.bucket, Key="one/backup.json")["Body"].read()
        OfTheManifest.deed = lambda text=before: put(Bucket=vault.bucket, Key="one/backup.json", Body=text + b" ")
        result = world.run(MODULE, **there)
        assert result.get("failed", False) == (name == "theirs") and said in result.get("msg", said)


def test_a_version_that_is_too_long_for_one_upload_needs_a_directory(on_ministack: World):
    world = on_ministack
    world.place.put(state(1))
    vault = closed_to_the_public(world)
    rule = world.relay.on("ListObjectVersions", reply=of_six_gibibytes, times=math.inf)
    there = {"backup": f"s3://{vault.bucket}/x", "backup_region": vault.region}
    world.refused(MODULE, f"of {KEY}: AWS takes at most 5368709120 bytes at once; name a folder", **there)
    word = {"allow": ["delete_state"], "confirm_name": world.place.bucket}
    world.refused("tf_backend_teardown", "bytes at once; name a folder", **there, **word)
    rule.times = 0
    world.done(MODULE, **there)


def of_six_gibibytes(call: Call, proceed: Proceed) -> Answer:
    answer = proceed()
    return Answer(200, answer.headers, Body((re.sub(b"<Size>[0-9]+<", b"<Size>6442450944<", answer.body.read()),)))


def first(call: Call, proceed: Proceed) -> Any:
    OfTheManifest.deed()
    return proceed()


class OfTheManifest:
    """Once, and of nothing else that is put."""

    deed: Callable[[], object]

    def __init__(self, reply: Any) -> None:
        self.replies = [reply]

    def __call__(self, call: Call, proceed: Proceed) -> Any:
        is_due = "backup.json" in call.request.target and self.replies
        return self.replies.pop()(call, proceed) if is_due else proceed()


def test_a_bucket_that_may_be_public_gets_no_backup(world: World, vault: Place):
    world.fill()
    vault.s3.delete_public_access_block(Bucket=vault.bucket)
    there = {"backup": f"s3://{vault.bucket}/x", "backup_region": vault.region}
    world.refused(MODULE, f"{vault.bucket} does not block all public access", **there)
    deny(world.relay, "GetPublicAccessBlock")
    world.refused(MODULE, "needs s3:GetBucketPublicAccessBlock", **there)
    world.refused(MODULE, "lies in no other bucket than the one that is saved", backup=f"s3://{world.place.bucket}/x")


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("owner", [None, "999988887777"])
def test_the_bucket_of_a_backup_has_to_be_of_its_own_account(world: World, vault: Place, owner: str | None):
    """That of the credentials, or the one that is named for it."""
    world.fill()
    account = world.place.emulator.client("sts").get_caller_identity()["Account"]
    there = {"backup": f"s3://{vault.bucket}/one", "backup_region": vault.region, "backup_account_id": owner}
    world.done(MODULE, **there)
    sent = {
        (call.resource, call.request.headers.get(OWNER_HEADER)) for call in world.relay.calls if call.service == "s3"
    }
    assert sent == {(world.place.bucket, account), (vault.bucket, owner or account)}
    denied = error("AccessDenied", 403)
    world.relay.use(lambda call, proceed: denied(call, proceed) if call.resource == vault.bucket else proceed())
    world.refused(MODULE, f"or the bucket is not of account {owner or account}: if you know whose it is", **there)


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


def test_each_execution_saves_what_the_role_s_variables_name(on_ministack: World, run_with: RunWithVariables):
    world = on_ministack
    world.fill()
    (foreseen,) = through_core([world.task(MODULE, check_mode=True)])
    names = {"bucket_name": world.place.bucket, "table_name": world.place.table}
    options = ("endpoint_url", "access_key", "secret_key", "region")
    given = world.task(MODULE).params
    variables = {f"terraform_backend_{name}": value for name, value in names.items()}
    variables |= {f"terraform_backend_{name}": given[name] for name in options}
    task = world.task(MODULE, bucket=None, table=None, backup="backup", **dict.fromkeys(options))
    (done,) = run_with(variables)([task])
    assert done.pop("warnings", []) == foreseen.pop("warnings")
    assert done == foreseen
    assert world.saved() == world.everything()


def test_digests_are_those_of_the_states(world: World):
    world.fill()
    world.done(MODULE)
    (digest,) = [item["Digest"]["S"] for item in manifest(world)["items"]]
    assert digest == md5(state(2))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup holds every version of every object, and says so only if every byte of it was read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import World, overtaken_by_another, while_listing
from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import through_core
from tests.integration.moves import KEY, Place, state
from tests.support.aws_behaviours import OWNER_HEADER
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, error, lose_reply

MODULE = "tf_backend_backup"


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


def swapped(call: Call, proceed: Proceed) -> Answer:
    """Other bytes than S3 speaks of, as many."""
    answer = proceed()
    body = answer.body.read()
    kept = {name: value for name, value in answer.headers.items() if "checksum" not in name.lower()}
    return Answer(answer.status, kept, Body((bytes(reversed(body)),)))


def test_a_body_that_is_not_what_s3_says_fails_and_is_named(on_ministack: World):
    world = on_ministack
    world.place.put(state(1))
    rule = world.relay.on("GetObject", reply=swapped, times=math.inf)
    result = world.run(MODULE)
    rule.times = 0
    assert result["failed"] and not result["changed"]
    assert f"of {KEY} cannot be saved" in result["msg"] and "it reads back other than S3 says" in result["msg"]
    assert not (world.backup / "backup.json").exists()
    world.done(MODULE)


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

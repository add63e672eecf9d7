# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tf_backend_verify over a backend in memory: each difference is found and told, and nothing of a state is kept."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.backups import World
from tests.integration.moves import DEV, KEY, LINEAGE, SECRET, Place, state
from tests.support.relay import error
from tests.unit.plugins.module_utils.fake_versions import world_in

MODULE = "tf_backend_verify"
OTHER = "7f1b4c55-36f0-4bd9-8a51-76a7a3bd3a56"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path, monkeypatch)
    world.fill()
    return world


@pytest.fixture
def before(world: World) -> str:
    path = str(world.home / "new" / "snapshot.json")
    assert world.done(MODULE, backup=None, snapshot=path)["changed"]
    return path


def compared(world: World, before: str, **params: Any) -> dict[str, Any]:
    result = world.run(MODULE, backup=None, before=before, **params)
    assert world.writes == [] and not result["changed"]
    return result


def test_a_snapshot_holds_nothing_of_a_state_and_belongs_to_its_owner(world: World, before: str):
    text = Path(before).read_text()
    assert SECRET not in text and LINEAGE in text and stat.S_IMODE(Path(before).stat().st_mode) == 0o600
    assert {*json.loads(text)["states"]} == {KEY, DEV}
    assert not world.done(MODULE, backup=None, snapshot=before)["changed"]
    assert "2 states are as they were at" in compared(world, before)["msg"]
    world.place.put(state(3))
    world.refused(MODULE, "which differs", "set snapshot to another file", backup=None, snapshot=before)


def rewritten(world: World) -> None:
    world.place.put(state(2, OTHER), digest=False)


def rolled_back(world: World) -> None:
    newest = world.place.versions()[0][0]
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=newest)


def deleted(world: World) -> None:
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY)


def undeleted(world: World) -> None:
    marker = world.place.versions(DEV)[0][0]
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=DEV, VersionId=marker)


def lost(world: World) -> None:
    for version, _body in world.place.versions():
        world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=version)


def locked(world: World) -> None:
    lock = LockInfo("1", "OperationTypeApply", "", "ci@runner", "1.11.4", "2026-11-30T10:00:00Z", f"b/{KEY}")
    world.place.s3.put_object(Bucket=world.place.bucket, Key=f"{KEY}.tflock", Body=marshal(lock).encode())


def without_digest(world: World) -> None:
    world.place.emulator.tables[world.place.table].items.clear()


DEEDS: dict[str, tuple[Callable[[World], Any], set[str], str]] = {
    "an apply": (
        lambda world: world.place.put(state(3)),
        {"serial", "md5", "version_id", "version_count", "digest"},
        "it has the serial 3, and had 2: somebody wrote it",
    ),
    "another state": (rewritten, {"lineage", "md5", "version_id", "version_count", "digest"}, "it is another state"),
    "a version that is gone": (
        rolled_back,
        {"serial", "md5", "version_id", "version_count", "digest"},
        "it has the serial 1, and had 2: it went back",
    ),
    "the same written again": (
        lambda world: world.place.put(state(2)),
        {"version_id", "version_count"},
        "it has 3 versions, and had 2",
    ),
    "a deletion": (deleted, {"vanished"}, f"{KEY}: it had lineage {LINEAGE} and serial 2, and it was deleted"),
    "all versions gone": (lost, {"vanished"}, "it is gone, with all versions"),
    "an undeletion": (undeleted, {"appeared"}, f"{DEV}: it was deleted; now it has lineage {LINEAGE} and serial 7"),
    "a new state": (
        lambda world: world.place.put(state(1), "new.tfstate", digest=False),
        {"appeared"},
        "new.tfstate: it was not there",
    ),
    "a lock": (locked, {"lock"}, f"{KEY}: it is locked by ci@runner (file, OperationTypeApply), and was not"),
    "a digest that is gone": (without_digest, {"digest"}, "its digest is gone, and was"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_difference_is_told_and_fails_unless_it_was_expected(world: World, before: str, deed: str):
    do, kinds, sentence = DEEDS[deed]
    do(world)
    result = compared(world, before)
    assert result["failed"] and {each["what"] for each in result["differences"]} == kinds, result
    assert sentence in result["msg"] and SECRET not in result["msg"]
    (path,) = {each["path"] for each in result["differences"]}
    expected = compared(world, before, expected=[path, "no/such"])
    assert not expected.get("failed") and {each["is_expected"] for each in expected["differences"]} == {True}
    assert "no/such was expected to differ, and does not" in expected["warnings"]
    assert not compared(world, before, keys=["no/such*"]).get("failed")


def test_a_freeze_is_no_difference_and_is_told(world: World, before: str):
    world.done("tf_backend_freeze", backup=None, lock_id="mine")
    result = compared(world, before)
    assert not result.get("failed") and [each["lock_id"] for each in result["frozen"]] == ["mine"]


@pytest.mark.parametrize("operation", ["Scan", "ListObjectsV2", "ListObjectVersions", "GetObject"])
def test_what_cannot_be_read_is_neither_kept_nor_compared(world: World, before: str, operation: str):
    world.relay.on(operation, reply=error("AccessDenied", 403), times=math.inf)
    assert "cannot be verified" in compared(world, before)["msg"]
    world.refused(MODULE, "cannot be verified", backup=None, snapshot=f"{before}.2")
    assert not Path(f"{before}.2").exists()


def test_a_backend_is_compared_with_its_backup_and_with_another_region(world: World, before: str):
    world.done("tf_backend_backup")
    other = world.at(Place(world.place.emulator, "us-east-1"))
    empty = other.run(MODULE)
    assert empty["failed"] and f"{KEY}: it had lineage {LINEAGE} and serial 2, and it is gone" in empty["msg"]
    other.done("tf_backend_restore")
    for told in (other.done(MODULE), compared(other, before), world.done(MODULE)):
        assert "are as they were" in told["msg"], told
    other.place.put(state(3))
    assert {each["what"] for each in other.run(MODULE)["differences"]} == {"serial", "md5", "digest"}
    assert "had 2: somebody wrote it" in compared(other, before)["msg"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"format": 1}', '{"format": 1, "bucket": "b", "region": "r", "taken": "t", "states": []}'],
)
def test_what_is_no_snapshot_is_refused(world: World, text: str):
    path = world.home / "other.json"
    path.write_text(text)
    world.refused(MODULE, "snapshot of tf_backend_verify", backup=None, before=str(path))
    world.refused(MODULE, "snapshot of tf_backend_verify", backup=None, snapshot=str(path))
    assert path.read_text() == text
    world.refused(MODULE, "does not exist", backup=None, before=f"{path}.2")
    world.refused(MODULE, "set snapshot to keep", backup=None)


@pytest.mark.parametrize("option", ["before", "snapshot"])
def test_a_device_or_a_pipe_is_no_snapshot(world: World, option: str):
    """Reading it would never end."""
    pipe = str(world.home / "pipe")
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        world.refused(MODULE, "no regular file", backup=None, **{option: path})

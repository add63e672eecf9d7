# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state that was deleted and created again, a digest that no version fits, and what a comparison tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import World
from tests.integration.moves import KEY, LINEAGE, SECRET, md5, state
from tests.unit.plugins.module_utils.fake_versions import world_in

VERSION, DIGEST = "tf_state_version", "tf_state_digest"
OTHER = "7f1b4c55-36f0-4bd9-8a51-76a7a3bd3a56"
UNDELETED: dict[str, Any] = {"key": KEY, "state": "undeleted", "backup": None}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path, monkeypatch)
    world.place.put(state(8))
    return world


def delete(world: World) -> None:
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY)


def with_instance(serial: int, value: str, lineage: str = LINEAGE) -> bytes:
    document = json.loads(state(serial, lineage))
    instance = {"schema_version": 0, "attributes": {"content": value}}
    resource = {"mode": "managed", "type": "a_b", "name": "c", "provider": 'provider["x"]', "instances": [instance]}
    return json.dumps({**document, "resources": [resource]}).encode()


def test_a_state_that_was_created_again_after_its_deletion_is_a_fork(world: World):
    deleted = world.place.versions()[0][0]
    delete(world)
    world.place.put(with_instance(1, SECRET, OTHER))
    both = (f"version {deleted}, lineage {LINEAGE}, serial 8, 0 resources", f"lineage {OTHER}, serial 1, 1 resources")
    words = (f"version_id: {deleted} and allow: [change_lineage]", "allow: [keep_current]")
    world.refused(VERSION, *both, *words, **UNDELETED)
    world.unchanged(VERSION, allow=["keep_current"], **UNDELETED)
    delete(world)
    world.refused(VERSION, *both, **UNDELETED)
    assert world.done(VERSION, allow=["keep_current"], **UNDELETED)["lineage"] == OTHER
    restored = {**UNDELETED, "state": "restored", "version_id": deleted, "allow": ["change_lineage"]}
    assert world.done(VERSION, **restored)["lineage"] == LINEAGE
    world.unchanged(VERSION, **UNDELETED)


def test_a_state_that_goes_on_after_it_was_undeleted_is_no_fork(world: World):
    delete(world)
    assert world.done(VERSION, **UNDELETED)["changed"]
    world.place.put(state(9))
    world.unchanged(VERSION, **UNDELETED)


def test_a_digest_that_no_version_fits_may_be_that_of_a_newer_state(world: World):
    """Somebody removed the newest version: the one that is left is not blessed without a warning."""
    world.place.put(state(9))
    newest = world.place.versions()[0][0]
    world.place.s3.delete_object(Bucket=world.place.bucket, Key=KEY, VersionId=newest)
    repair: dict[str, Any] = {"key": KEY, "backup": None}
    (warning,) = world.done(DIGEST, **repair)["warnings"]
    assert f"the digest {md5(state(9))} of {KEY} fits no version" in warning and "serial 8, last modified" in warning
    assert world.place.digest() == md5(state(8))
    world.place.put(state(9), digest=False)
    assert world.done(DIGEST, **repair)["warnings"] == [], "the digest is that of the version before"


def test_a_state_that_is_cut_short_names_the_version_to_restore(world: World):
    whole = world.place.versions()[0][0]
    world.place.put(state(9)[:100], digest=False)
    repair: dict[str, Any] = {"key": KEY, "backup": None}
    world.refused(DIGEST, f"the newest that can be read is {whole}", "serial 8", **repair)


def test_a_key_with_more_versions_than_are_shown_says_so(world: World):
    world.place.put(state(9))
    info: dict[str, Any] = {"backup": None, "gather": ["states", "versions"], "max_versions": 1}
    told = world.done("tf_backend_info", keys=[KEY], **info)["warnings"]
    assert told == [f"1 of 2 versions of {KEY} are shown: set max_versions to see more"]
    assert (
        "warnings" not in world.done("tf_backend_info", **info) or not world.done("tf_backend_info", **info)["warnings"]
    )


def test_a_workspace_goes_with_a_key(world: World):
    world.refused(DIGEST, "workspace goes with key", "env:/qa/*", keys=["app/*"], workspace="qa", backup=None)


def test_a_comparison_tells_lineage_serial_and_what_differs(world: World):
    world.place.put(with_instance(9, SECRET))
    old = world.place.versions()[0][0]
    world.place.put(with_instance(9, "x" + SECRET, OTHER))
    told = world.done(VERSION, key=KEY, state="compared", version_id=old, backup=None)
    assert told["modified"] == ["a_b.c"] and (told["lineage"], told["lineage_before"]) == (LINEAGE, OTHER)
    assert (
        f"1 differ: a_b.c; serial 9, the other 9; lineage {LINEAGE}, and that of the state now is {OTHER}"
        in told["msg"]
    )
    assert "they are different states" in told["msg"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In the first 15 minutes of versioning S3 does not always show what was written: nobody else is blamed for that.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration import backups
from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY, Place, World, md5, state
from tests.support.aws_behaviours import ObjectsAppearLate


@pytest.fixture
def young(on_ministack: World) -> World:
    on_ministack.relay.use(ObjectsAppearLate())
    return on_ministack


def done(world: World, module: str, **params: Any) -> dict[str, Any]:
    """A task about the old backend's state that has to succeed."""
    place = {"region": world.old.region, "bucket": world.old.bucket, "table": world.old.table, "key": KEY}
    connection = {"endpoint_url": world.relay.url, "access_key": "test", "secret_key": "test"}
    (result,) = through_core([Task(module, {**connection, **place, **params})])
    assert not result.get("failed"), result["msg"]
    return result


@pytest.mark.aws("2.2")
def test_a_lock_is_held_and_released(young: World) -> None:
    held = done(young, "tf_state_lock", state="held")
    assert len(young.old.locks()) == 2
    done(young, "tf_state_lock", state="released", lock_id=held["lock_id"])
    assert young.old.locks() == []


@pytest.mark.aws("2.2")
def test_a_state_is_moved_right_after_its_bucket_was_made(young: World) -> None:
    young.old.put(state())
    young.moved()
    assert (young.new.bodies(), young.new.digest(), young.new.locks()) == ([state()], md5(state()), [])
    assert not young.moved()["changed"]


@pytest.mark.aws("2.2")
def test_a_version_is_restored(young: World) -> None:
    young.old.put(state(4))
    young.old.put(state(5).replace(b"1.11.4", b"1.11.5"))
    (older,) = [version_id for version_id, body in young.old.versions() if body == state(4)]
    told = done(young, "tf_state_version", state="restored", version_id=older)
    assert (len(young.old.bodies()), young.old.locks(), told["serial"]) == (3, [], 6)
    assert young.old.digest() == told["digest"]


@pytest.mark.aws("2.2")
def test_a_backup_is_brought_back(young: World, tmp_path: Path) -> None:
    saved = backups.World(young.relay, young.old, tmp_path)
    saved.fill()
    saved.done("tf_backend_backup")
    before = saved.histories()
    there = saved.at(Place(young.emulator, young.new.region))
    there.done("tf_backend_restore")
    assert (there.histories(), there.place.locks()) == (before, [])

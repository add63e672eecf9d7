# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever works on states is at the right place before anything else: in the bucket's region, and in its account.

botocore follows a bucket into any region. A table of the same name in the wrong one holds other locks, or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.module_runs import ENTRIES, Task, through_core
from tests.integration.moves import KEY, Place, World, state
from tests.support.aws_access import BucketsLieIn

HERE, ELSEWHERE = "us-east-1", "eu-west-1"
OTHERS = "999999999999"


@dataclass(frozen=True)
class Work:
    """A task of a module of states. `side`: the options that say where it works begin like this."""

    module: str
    asked: dict[str, Any] = field(default_factory=dict)
    side: str = ""


WORKS = {
    "lock": Work("tf_state_lock", {"key": KEY, "state": "held"}),
    "unlock": Work("tf_state_lock", {"key": KEY, "state": "released"}),
    "digest": Work("tf_state_digest", {"key": KEY}),
    "digests": Work("tf_state_digest"),
    "restore": Work("tf_state_version", {"key": KEY, "state": "restored", "version_id": "v1"}),
    "compare": Work("tf_state_version", {"key": KEY, "state": "compared", "version_id": "v1"}),
    "lock mode": Work("tf_lock_mode", {"lock_mode": "lockfile"}),
    "move from": Work("tf_state_move", side="source_"),
    "move to": Work("tf_state_move"),
}
works = pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)


def test_every_module_of_states_works_here() -> None:
    of_states = {name for name, entry in ENTRIES.items() if name.startswith(("tf_state_", "tf_lock_mode"))}
    assert {work.module for work in WORKS.values()} == of_states - {"tf_state_bucket"}


@pytest.fixture
def apart(on_ministack: World) -> World:
    """Two backends, each of which only its own region has; in both regions there are tables of both names."""
    world = on_ministack
    for place, other in ((world.old, world.new), (world.new, world.old)):
        world.relay.use(BucketsLieIn(place.region, resource=place.bucket))
        Place(world.emulator, other.region, table=place.table)
        place.put(state())
    return world


def task(world: World, work: Work, check_mode: bool = False, **params: Any) -> Task:
    """In `world.old`, except for what is moved, which goes to or comes from there."""
    connection = {"endpoint_url": world.relay.url, "access_key": "test", "secret_key": "test", "wait_timeout": 5}
    given = {"region": HERE, "bucket": world.old.bucket, "table": world.old.table} | params
    place = {f"{work.side}{name}": value for name, value in given.items()}
    if work.module == "tf_state_move":
        other = {"region": world.new.region, "bucket": world.new.bucket, "table": world.new.table}
        place |= {name if work.side else f"source_{name}": value for name, value in other.items()}
    return Task(work.module, connection | work.asked | place, check_mode)


def refused(world: World, work: Work, **params: Any) -> str:
    """Before anything else is asked for, alike in check mode."""
    said = []
    for check_mode in (True, False):
        world.relay.calls.clear()
        (result,) = through_core([task(world, work, check_mode, **params)])
        assert result.get("failed") and not result["changed"], result
        assert {*world.relay.operations} <= {"HeadBucket", "GetCallerIdentity"}
        said.append(str(result["msg"]))
    assert said[0] == said[1]
    return said[0]


@pytest.mark.aws("1.6")
@works
def test_a_bucket_in_another_region_is_refused_before_any_look_at_a_lock(apart: World, work: Work) -> None:
    said = refused(apart, work, region=ELSEWHERE)
    assert f"bucket {apart.old.bucket} lies in {HERE}, not in {ELSEWHERE}; correct region" in said


@pytest.mark.aws("6.8")
@works
def test_credentials_of_another_account_are_refused_before_any_look_at_a_lock(apart: World, work: Work) -> None:
    said = refused(apart, work, account_id=OTHERS)
    assert f"account_id is {OTHERS}, but these credentials belong to account 000000000000" in said


@works
def test_a_bucket_that_is_missing_is_told(apart: World, work: Work) -> None:
    assert "does not exist: check its name" in refused(apart, work, bucket=f"{apart.old.bucket}-no")


@pytest.mark.aws("1.6")
@works
def test_looking_for_the_place_takes_two_requests(apart: World, work: Work) -> None:
    apart.relay.calls.clear()
    through_core([task(apart, work, check_mode=True)])
    sides = 2 if work.module == "tf_state_move" else 1
    assert apart.relay.operations.count("HeadBucket") == sides
    assert apart.relay.operations[:2] == ["GetCallerIdentity", "HeadBucket"]
    assert apart.relay.operations.count("GetCallerIdentity") <= sides
    assert len(apart.relay.calls) > sides

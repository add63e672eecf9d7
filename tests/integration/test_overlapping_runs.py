# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second run while the first one is at work is refused; where the first one stopped for too long, it alone writes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import lock_file
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE

from tests.integration.backups import World
from tests.integration.module_runs import through_core
from tests.integration.moves import DEV, KEY, STRIDES, Place, md5, state
from tests.integration.test_backend_restore import saved, wanted
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, Rule, error, then

RESTORE, TEARDOWN = "tf_backend_restore", "tf_backend_teardown"
KEYS = {"keys": ["app/*"]}
AT_WORK = "another run is at work on the states of"


@pytest.fixture
def world(ministack: RunningEmulator, tmp_path: Path) -> Iterator[World]:
    """An empty backend, and the backup of another one."""
    with Relay(ministack.url) as relay:
        yield saved(World(relay, Place(ministack, "eu-west-1"), tmp_path))


def anew(world: World) -> World:
    return world.at(Place(world.place.emulator, "us-east-1"))


def elsewhere(world: World, module: str, **params: Any) -> dict[str, Any]:
    """What another run comes to that has the same backend before it, and calls that do not count here."""
    task = world.task(module, **params)
    there = {**task.params, "endpoint_url": world.place.emulator.url}
    results: list[dict[str, Any]] = []
    other = threading.Thread(target=lambda: results.extend(through_core([type(task)(task.module, there)])))
    other.start()
    other.join()
    return results[0]


def while_at_work(world: World, nth: int, work: Callable[[], object]) -> bool:
    """Whether a restore made so many calls as to be interrupted by `work` after one of them, and its result is kept."""
    rule = world.relay.on("*", reply=then(lambda _call: work()), nth=nth)
    world.result = world.run(RESTORE, **KEYS)  # type: ignore[attr-defined]
    rule.times = 0
    return bool(rule.fired)


def is_restored(world: World, k: int) -> None:
    """Every version once, in order, with its digest, and no lock left."""
    assert (k, world.histories()) == (k, {key: each for key, each in wanted(world).items() if key in (KEY, DEV)})
    assert (k, world.place.digest(), world.place.locks(), world.place.locks(DEV)) == (k, md5(state(2)), [], [])


def begin_elsewhere(world: World, results: list[dict[str, Any]]) -> None:
    """A restore and a teardown, if the first run has its lease by now."""
    if world.has_lock_file(LEASE):
        results += [elsewhere(world, RESTORE, **KEYS), elsewhere(world, TEARDOWN, backup=f"{world.backup}-2")]


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_a_second_run_is_refused_while_the_first_one_is_at_work(world: World, stride: int) -> None:
    """Of the same operation, and of others."""
    k, was_interrupted, refused = 1 - stride, True, 0
    while was_interrupted:
        k += stride
        world = anew(world)
        others: list[dict[str, Any]] = []

        was_interrupted = while_at_work(world, k, partial(begin_elsewhere, world, others))
        for other in others:
            assert (k, other.get("failed"), other["changed"]) == (k, True, False)
            assert f"{AT_WORK} {world.place.bucket}: tf_backend_restore by " in other["msg"]
        refused += len(others)
        assert not world.result.get("failed"), world.result  # type: ignore[attr-defined]
        is_restored(world, k)
    assert refused > 20 / stride


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_a_run_that_stopped_for_too_long_writes_nothing_over_the_next_one(world: World, stride: int) -> None:
    """Its lease was taken over, and it does not know: what it still writes depends on what it saw."""
    k, was_interrupted = 1 - stride, True
    while was_interrupted:
        k += stride
        world = anew(world)

        def take_its_place(here: World = world) -> None:
            here.place.s3.delete_object(Bucket=here.place.bucket, Key=lock_file(LEASE))
            elsewhere(here, RESTORE, **KEYS)  # other states of the first run go on meanwhile, which may stop it

        was_interrupted = while_at_work(world, k, take_its_place)
        world.done(RESTORE, **KEYS)
        is_restored(world, k)
    assert k > 40


def deny(world: World, *keys: str) -> Rule:
    """Uploads of these objects."""
    refuse = error("AccessDenied", 403)

    def reply(call: Call, proceed: Proceed) -> Answer:
        is_denied = call.request.target.partition("?")[0].endswith(tuple(f"/{quote(key)}" for key in keys))
        return refuse(call, proceed) if is_denied else proceed()

    return world.relay.on("PutObject", reply=reply, times=math.inf)


def test_one_state_that_is_denied_stays_locked_and_the_others_are_restored(world: World) -> None:
    """Else a client would find it absent and create everything again."""
    denied = deny(world, DEV)
    result = world.run(RESTORE, **KEYS)
    assert result["failed"] and result["changed"]
    assert f"put_object on {world.place.bucket}/{DEV}: AccessDenied" in result["msg"]
    assert f"{DEV} stay locked" in result["msg"]
    assert world.current() == state(2) and world.place.locks() == []
    assert world.has_lock_file(DEV) and world.has_lock_item(DEV)
    denied.times = 0
    world.done(RESTORE, **KEYS)
    is_restored(world, 0)


def test_a_restore_that_fails_before_its_first_version_leaves_no_lock(world: World) -> None:
    deny(world, KEY, DEV)
    result = world.run(RESTORE, **KEYS)
    assert result["failed"] and not result["changed"]
    assert world.histories() == {} and world.place.locks() == [] and world.place.locks(DEV) == []

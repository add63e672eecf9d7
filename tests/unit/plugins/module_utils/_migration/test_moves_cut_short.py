# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves that fail midway, and two moves at once."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY, STRIDES, World, denied_of, state
from tests.integration.test_moves_cut_short import PROTECTIONS, arrived, is_protected
from tests.support.relay import error, then


def runs_too(task: Task, results: list[dict[str, Any]], _call: object) -> None:
    results.extend(through_core([task]))


@pytest.mark.slow
@pytest.mark.parametrize("protection", PROTECTIONS)
@pytest.mark.parametrize("stride", STRIDES)
def test_two_runs_at_once_end_as_one(world: World, protection: str, stride: int):
    """The second one runs from beginning to end after each call of the first."""
    k, came = 1 - stride, True
    while came:
        k += stride
        key = f"k{k}/terraform.tfstate"
        world.old.put(state(), key)
        seconds: list[dict[str, Any]] = []

        rule = world.relay.on(
            "*", nth=k, reply=then(partial(runs_too, world.task(source_protection=protection, key=key), seconds))
        )
        first = world.move(source_protection=protection, key=key)
        rule.times = 0
        came = bool(seconds)
        assert (k, [result["msg"] for result in seconds if result.get("failed")]) == (k, [])
        assert (k, is_protected(world, key)) == (k, True)
        if first.get("failed"):
            assert "was released by somebody else as soon as it was taken" in first["msg"]
            world.moved(source_protection=protection, key=key)
        assert (k, arrived(world, key, protection)) == (k, True)
    assert k > 20


def test_a_source_without_its_mark_stays_locked_whatever_the_fence(world: World):
    world.old.put(state())
    rule = world.relay.on("PutObjectTagging", reply=error("AccessDenied", 403), times=math.inf)
    result = world.move(source_protection="tag")
    rule.times = 0
    assert result["failed"] and result["changed"] and "s3:PutObjectTagging" in result["msg"]
    assert any("stays, as there may be a copy: run again" in text for text in result["warnings"])
    assert (world.new.bodies(), world.old.mark(), len(world.old.locks()), world.new.locks()) == ([state()], None, 2, [])
    world.moved(source_protection="tag")
    assert world.old.mark() and world.old.locks() == []


def test_a_copy_that_is_refused_changes_nothing(world: World):
    world.old.put(state())
    world.relay.on("PutObject", reply=denied_of(KEY), times=math.inf)
    result = world.move()
    assert result["failed"] and not result["changed"] and result["warnings"] == []
    assert [call.status for call in world.relay.calls if call.name == "PutObject"] == [200, 200, 403, 403]
    assert (world.old.locks(), world.new.locks(), world.new.bodies()) == ([], [], [])

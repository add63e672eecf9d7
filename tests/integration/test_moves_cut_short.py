# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A move that dies, fails or runs twice leaves no copy whose source anybody could go on with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import STRIDES, World, killed_after, md5, state
from tests.support.relay import error

PROTECTIONS = ["lock", pytest.param("tag", marks=pytest.mark.thorough)]


def is_protected(world: World, key: str) -> bool:
    """Whether nobody can work with a source that has a copy."""
    return not world.new.bodies(key) or bool(world.old.mark(key)) or len(world.old.locks(key)) == 2


def arrived(world: World, key: str, protection: str) -> bool:
    found = world.new.bodies(key), world.new.digest(key), world.new.locks(key), len(world.old.locks(key))
    return found == ([state()], md5(state()), [], 0 if protection == "tag" else 2) and bool(world.old.mark(key))


def errs(world: World, k: int, task: Task) -> bool:
    """Whether the task had its k-th call denied."""
    world.relay.calls.clear()
    rule = world.relay.on("*", nth=k, reply=error("AccessDenied", 403))
    through_core([task])
    rule.times = 0
    return bool(rule.fired)


@pytest.mark.slow
@pytest.mark.parametrize("protection", PROTECTIONS)
@pytest.mark.parametrize("ends", [errs, pytest.param(killed_after, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("stride", STRIDES)
def test_whatever_call_ends_the_next_run_the_fence_of_a_dead_one_stays(
    on_ministack: World, protection: str, ends: Callable[[World, int, Task], bool], stride: int
):
    world = on_ministack
    world.old.put(state())
    world.moved(source_protection=protection)
    last = world.relay.operations.index("PutObjectTagging")  # the call before the mark
    k, came = 1 - stride, True
    while came:
        k += stride
        key = f"k{k}/terraform.tfstate"
        world.old.put(state(), key)
        assert killed_after(world, last, world.task(source_protection=protection, key=key))
        assert (world.new.bodies(key), world.old.mark(key)) == ([state()], None)
        came = ends(world, k, world.task(source_protection=protection, key=key))
        assert (k, is_protected(world, key)) == (k, True)
        world.moved(source_protection=protection, key=key)
        assert (k, arrived(world, key, protection)) == (k, True)
    assert k > 15

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the policy denies at the source is what has moved, and nothing counts as moved because it is denied."""

from __future__ import annotations

from tests.integration.moves import World, state

KEYS = ["a/terraform.tfstate", "b/terraform.tfstate"]


def test_a_fence_that_is_only_raised_is_a_change(on_ministack: World):
    world = on_ministack
    world.old.put(state(), KEYS[0])
    world.moved(key=KEYS[0])
    for check_mode in (True, False):
        result = world.moved(key=KEYS[0], source_protection="deny", check_mode=check_mode, diff=True)
        assert (result["changed"], result["denied"], result["states"][0]["action"]) == (True, [KEYS[0]], "none")
        assert result["diff"]["after"] == f"denied: {KEYS[0]}\n"
    result = world.moved(key=KEYS[0], source_protection="deny")
    assert (result["changed"], result["denied"]) == (False, [])

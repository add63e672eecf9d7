# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags choose parts as if each part were a task with the tags of the role's task and its own."""

from __future__ import annotations

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.parts import parts_by_tags

OWN = {"terraform_backend", "infra", "bucket", "table", "files"}
ALL = ["bucket", "table", "files"]
CASES = {
    "no tags": ({"all"}, set(), ALL),
    "one part": ({"files"}, set(), ["files"]),
    "two parts": ({"files", "table"}, set(), ["table", "files"]),
    "a tag of the user": ({"infra"}, set(), ALL),
    "a part and a tag of the user": ({"infra", "files"}, set(), ALL),
    "a part and a tag of other tasks": ({"web", "files"}, set(), ["files"]),
    "the role's tag": ({"terraform_backend"}, set(), ALL),
    "tagged": ({"tagged"}, set(), ALL),
    "a part left out": ({"all"}, {"files"}, ["bucket", "table"]),
    "a part of the role left out": ({"infra"}, {"bucket"}, ["table", "files"]),
    "a part both ways": ({"files", "table"}, {"files"}, ["table"]),
    "all left out": ({"all"}, {*ALL}, []),
    "another tag left out": ({"all"}, {"web"}, ALL),
}


@pytest.mark.parametrize("case", CASES)
def test_tags_choose_parts(case: str) -> None:
    run, skipped, parts = CASES[case]
    assert parts_by_tags(run, skipped, OWN) == parts


def test_a_task_that_runs_always_does_everything() -> None:
    assert parts_by_tags({"files"}, set(), {*OWN, "always"}) == ALL

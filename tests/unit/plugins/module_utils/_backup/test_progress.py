# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the versions in the destination of a restore relate to those in the backup."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.progress import (
    DIVERGED,
    Progress,
    Relation,
    prefix,
    progress,
)
from hypothesis import given
from hypothesis import strategies as st

A, B, C, M = "a" * 64, "b" * 64, "c" * 64, None


@pytest.mark.parametrize(
    ("there", "markers", "is_deleted", "wanted", "expected"),
    [
        ([], 0, False, [A, B], prefix(0)),
        ([A], 0, False, [A, B], prefix(1)),
        ([A, B], 0, False, [A, B], prefix(2)),
        ([A], 0, False, [A, M, B], prefix(1)),
        ([A], 1, True, [A, M, B], prefix(2)),
        ([A, B], 1, False, [A, M, B], prefix(3)),
        ([A, B], 1, False, [A, M, B, M], prefix(3)),
        ([A, B], 2, True, [A, M, B, M], prefix(4)),
        ([], 1, True, [M, A], prefix(1)),
        ([], 1, True, [M], prefix(1)),
        # A repetition of ours, whose reply was lost.
        ([A, A], 0, False, [A, B], prefix(1)),
        ([A, A], 0, False, [A, A, B], prefix(2)),
        ([A, A, A], 0, False, [A, A, B], prefix(2)),
        ([A, B], 2, False, [A, M, B, M], prefix(3)),
        # Somebody went on.
        ([A, B, C], 0, False, [A, B], Progress(Relation.AHEAD, 2)),
        ([A, B], 1, True, [A, B], Progress(Relation.AHEAD, 2)),
        # A marker was removed for good.
        ([A, B], 0, False, [A, M, B], Progress(Relation.AHEAD, 3)),
        ([A], 0, False, [M, A], Progress(Relation.AHEAD, 2)),
        # Something else.
        ([B], 0, False, [A, B], Progress(Relation.AHEAD, 2, lacks_older=True)),
        ([C], 0, False, [A, B], DIVERGED),
        ([A, C], 0, False, [A, B], DIVERGED),
        ([B], 0, False, [A, M, B], Progress(Relation.AHEAD, 3, lacks_older=True)),
        ([B], 1, True, [A, B], DIVERGED),
        ([A], 0, False, [M, A, B], DIVERGED),
        ([A], 1, True, [A, B], DIVERGED),
        ([A], 0, False, [M], DIVERGED),
        ([A, C], 0, False, [A, M], DIVERGED),
    ],
)
def test_how_far_a_history_is(there: list[str], markers: int, is_deleted: bool, wanted: list[Any], expected: Progress):
    assert progress(there, markers, is_deleted, wanted) == expected


@given(st.lists(st.sampled_from([A, B, C, M]), min_size=1, max_size=8), st.data())
def test_every_beginning_of_a_history_is_found_as_far_as_it_goes(wanted: list[Any], data: st.DataObject):
    """But for what is equal and follows each other, where one more may be taken for one that was repeated."""
    count = data.draw(st.integers(0, len(wanted)))
    there = wanted[:count]
    found = progress([each for each in there if each], there.count(M), bool(there) and there[-1] is M, wanted)
    assert found == prefix(count)

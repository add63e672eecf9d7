# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A short soak test with fixed seeds; `make soak` takes others, and more of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.soak.faults import FATAL, TRANSIENT
from tests.soak.scenario import soak

#: Every fault happens in these; of 153, a table that is still being created.
SOME = (*range(100), 153)
#: The same faults at more moments.
MORE = range(200)


@pytest.mark.parametrize(
    "seeds", [pytest.param(SOME, id="some"), pytest.param(MORE, id="more", marks=pytest.mark.thorough)]
)
def test_every_run_ends_well_or_says_why_and_the_next_one_repairs_it(seeds: Sequence[int]):
    figures, failures = soak(seeds)
    print(figures)
    assert not failures, "\n".join(map(str, failures))
    assert (figures.hung, figures.lost) == (0, 0)
    assert figures.runs >= 3 * len(seeds)
    assert {kind for kind in (*FATAL, *TRANSIENT) if not figures.faults[kind]} == set(), "every fault happens"
    assert figures.errors.total() >= 20 and figures.killed >= 5


def test_a_seed_reproduces_its_runs():
    first, second = soak(range(7, 12))[0], soak(range(7, 12))[0]
    assert str(first) == str(second)

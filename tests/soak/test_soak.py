# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A short soak, always with the same seeds; `make soak` takes others, and more of them."""

from __future__ import annotations

from tests.soak.scenario import soak
from tests.soak.weather import FATAL, TRANSIENT

SEEDS = range(200)


def test_every_run_ends_well_or_says_why_and_the_next_one_mends_it():
    figures, wrong = soak(SEEDS)
    print(figures)
    assert not wrong, "\n".join(map(str, wrong))
    assert (figures.hung, figures.lost) == (0, 0)
    assert figures.runs >= 3 * len(SEEDS)
    assert {kind for kind in (*FATAL, *TRANSIENT) if not figures.faults[kind]} == set(), "every fault has its day"
    assert figures.errors.total() >= 20 and figures.killed >= 5


def test_a_seed_says_all():
    first, second = soak(range(7, 12))[0], soak(range(7, 12))[0]
    assert str(first) == str(second)

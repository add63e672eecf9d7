# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever holds a lock is given the time that the task says, and no more."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.timeout import LockTimeout


def test_waiting_begins_with_the_first_lock_that_is_met_and_rests_each_time():
    clock, rests = [1000.0], []

    def rest(attempt: int) -> None:
        rests.append(attempt)
        clock[0] += 4

    waiting = LockTimeout(10, rest, now=lambda: clock[0])
    clock[0] += 5000
    assert [waiting(attempt) for attempt in range(5)] == [True, True, True, False, False]
    assert rests == [0, 1, 2]


def test_who_has_no_time_does_not_wait():
    assert not LockTimeout(0, lambda _attempt: None)(0)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who holds a lock, as people are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.holders import (
    age_s,
    seconds,
    sentence,
    to_result,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.lease import _describe
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Lock
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.inspection import ObservedLock
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.plan import _who
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    Wedged,
    rfc3339nano,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
PATH = "app/one.tfstate"


def held(store: str, ago_s: int | None, lock_id: str = "1", info: str = "") -> Lock:
    since = None if ago_s is None else NOW - timedelta(seconds=ago_s)
    record = LockInfo(lock_id, "plan", info, "ann@ci", "1.11.4", rfc3339nano(since or NOW), f"b/{PATH}")
    return Lock(store, PATH, record, "", "", since)


WEDGED = Lock("file", PATH, Wedged("it is empty"), "", '"d41d"', NOW - timedelta(hours=3))


@pytest.mark.parametrize(
    ("duration", "wanted"),
    [("0", 0), ("90", 90), ("90s", 90), ("2h", 7200), ("1d12h", 129600), ("1w", 604800), ("1h30m", 5400)],
)
def test_durations_are_read(duration: str, wanted: int) -> None:
    assert seconds(duration) == wanted


@pytest.mark.parametrize("duration", ["", "h", "2 h", "-1", "1.5h", "2y", "2h!", "²", "1h30"])
def test_what_is_no_duration_is_said_to_be_none(duration: str) -> None:
    with pytest.raises(Invalid, match="is not a duration; use 2h"):
        seconds(duration)


@pytest.mark.parametrize(
    ("ago_s", "said"),
    [
        (0, ", for 0 s,"),
        (59, ", for 59 s,"),
        (3661, ", for 1 h 1 m,"),
        (90061, ", for 1 d 1 h,"),
        (-5, "; table,"),
        (None, "; table,"),
    ],
)
def test_an_age_is_told_in_its_two_largest_units(ago_s: int | None, said: str) -> None:
    """One that lies in the future, or that nobody knows, is not told."""
    assert f"{said} lock id 1)" in sentence(PATH, [held("table", ago_s)], NOW)


def test_a_lock_of_an_unknown_time_has_no_age() -> None:
    record = LockInfo("1", "plan", "", "ann@ci", "1.11.4", "0001-01-01T00:00:00Z", f"b/{PATH}")
    lock = Lock("table", PATH, record, "", "", record.since)
    (row,) = to_result([lock], NOW)
    assert (row["created"], row["age_s"]) == (None, None)
    assert sentence(PATH, [lock], NOW) == (
        f"{PATH} is locked by ann@ci since an unknown time (plan, 1.11.4; table, lock id 1)"
    )


def test_a_lock_in_both_stores_is_one_and_as_young_as_its_youngest_sign() -> None:
    both = [held("file", 60), held("table", 7200)]
    assert [age_s(lock, both, NOW) for lock in both] == [60, 60]
    assert sentence(PATH, both, NOW).count("ann@ci") == 1
    assert "; file and table, for 1 m, lock id 1)" in sentence(PATH, both, NOW)


def test_two_locks_of_two_holders_are_both_told() -> None:
    two = [held("file", 60, "1"), held("table", 7200, "2", info="OPS-42")]
    assert [each["age_s"] for each in to_result(two, NOW)] == [60, 7200]
    said = sentence(PATH, two, NOW)
    assert "lock id 1), and by ann@ci" in said
    assert "(plan, 'OPS-42', 1.11.4; table" in said


def test_of_a_wedged_lock_nothing_is_told_but_how_to_release_it() -> None:
    assert sentence(PATH, [WEDGED], NOW) == (
        f"{PATH} is locked by a record that no client can read or release (it is empty; file, for 3 h, lock id d41d)"
    )
    (row,) = to_result([WEDGED], NOW)
    assert (row["who"], row["is_wedged"], row["lock_id"], row["age_s"]) == (None, True, "d41d", 10800)


def test_no_lock_is_told_as_well() -> None:
    assert sentence(PATH, [], NOW) == f"{PATH} is not locked"


@pytest.mark.parametrize("member", ["operation", "info", "who", "version", "id"])
def test_what_a_holder_wrote_at_length_is_shortened(member: str) -> None:
    """A client's record has some 200 bytes; whoever can write one can make an item of 400 KB of it."""
    lock = held("table", 60)
    assert isinstance(lock.record, LockInfo)
    record = replace(lock.record, **{member: "x" * 60_000})
    long = replace(lock, record=record)
    assert len(sentence(PATH, [long], NOW)) < 600
    assert len(_describe(long)) < 600
    assert len(_who(ObservedLock(PATH, "table", record, True, None, 60))) < 600
    (row,) = to_result([long], NOW)
    assert len(json.dumps(row)) > 60_000 or member == "version"

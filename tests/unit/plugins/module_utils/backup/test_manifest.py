# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup says of itself, out and in; and how far a history is on its way to another."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import (
    Entry,
    Listed,
    Manifest,
    Progress,
    grown,
    is_same,
    manifest_of,
    oldest_first,
    progress,
    text_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import Invalid
from hypothesis import given
from hypothesis import strategies as st

A, B, C, M = "a" * 64, "b" * 64, "c" * 64, None
MANIFEST = Manifest(
    "acme-state",
    "eu-west-1",
    "111122223333",
    "acme-locks",
    "2026-11-28T18:00:00+00:00",
    (
        Entry("k", "1", "2026-11-28T17:00:00.000+00:00", "e", False, 0, A, "d41d", {"ContentType": "x"}, {"t": ""}),
        Entry("k", "2", "2026-11-28T17:00:01.000+00:00", is_delete_marker=True),
    ),
    (
        {"LockID": {"S": "acme-state/k-md5"}, "Digest": {"S": "0" * 32}},
        {"LockID": {"S": "x"}, "All": {"M": {"b": {"B": b"\x00\xff"}, "l": {"L": [{"BS": [b"1"]}, {"NULL": True}]}}}},
    ),
)


def test_a_manifest_comes_back_as_it_was_written():
    assert manifest_of(text_of(MANIFEST), "here") == MANIFEST
    assert MANIFEST.told() == {
        "bucket": "acme-state",
        "region": "eu-west-1",
        "account_id": "111122223333",
        "table": "acme-locks",
        "versions": 1,
        "delete_markers": 1,
        "bytes": 0,
        "items": 2,
    }


def broken(change: Any) -> str:
    told = json.loads(text_of(MANIFEST))
    change(told)
    return json.dumps(told)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "here is no backup: JSONDecodeError"),
        ("[]", "here is no backup: TypeError"),
        ("{}", "here is no backup: KeyError"),
        (broken(lambda told: told.update(format=2)), "here is a backup of format 2; this version reads format 1"),
        (broken(lambda told: told.pop("table")), "here is no backup: KeyError"),
        (broken(lambda told: told["versions"][0].update(sha256="../../etc/passwd")), "version 1 of k names no body"),
        (broken(lambda told: told["versions"][0].pop("sha256")), "version 1 of k names no body"),
        (broken(lambda told: told["versions"][1].update(sha256=A)), "version 2 of k names no body"),
        (broken(lambda told: told["versions"][0].update(surprise=1)), "here is no backup: TypeError"),
        (broken(lambda told: told["items"][1]["All"]["M"].update(b={"B": "?"})), "here is no backup: Error"),
    ],
)
def test_what_is_no_manifest_is_told(text: str, reason: str):
    with pytest.raises(Invalid, match=reason):
        manifest_of(text, "here")


def test_it_is_the_same_whenever_it_was_taken():
    assert is_same(MANIFEST, replace(MANIFEST, taken_at="later"))
    assert not is_same(MANIFEST, replace(MANIFEST, items=()))


def listed(name: str, second: int, is_latest: bool = False, is_marker: bool = False, key: str = "k") -> Listed:
    return Listed(key, name, f"2026-11-28T17:00:{second:02}.000+00:00", None, 0, is_latest, is_marker)


def test_a_listing_is_put_in_the_order_in_which_it_was_written():
    found = [listed("5", 9, True), listed("3", 1), listed("1", 1), listed("x", 0, True, key="a")]
    markers = [listed("4", 2, is_marker=True), listed("2", 0, is_marker=True)]
    assert [each.version_id for each in oldest_first(found, markers)] == ["x", "2", "1", "3", "4", "5"]


def test_of_the_same_second_the_latest_comes_last():
    found = oldest_first([listed("new", 1, True), listed("old", 1)], [listed("gone", 1, is_marker=True)])
    assert [each.version_id for each in found] == ["old", "gone", "new"]
    found = oldest_first([listed("old", 1)], [listed("gone", 1, True, True)])
    assert [each.version_id for each in found] == ["old", "gone"]


def test_what_is_found_later_goes_after_what_was_known():
    known, more = [Entry("b", "1", "9"), Entry("c", "1", "1")], [Entry("b", "2", "1"), Entry("a", "1", "1")]
    assert [(each.key, each.version_id) for each in grown(known, more)] == [
        ("a", "1"),
        ("b", "1"),
        ("b", "2"),
        ("c", "1"),
    ]


def test_what_is_current_comes_last_again_when_the_newest_version_was_deleted():
    known = [Entry("k", "1", "1"), Entry("k", "2", "2", is_delete_marker=True), Entry("l", "1", "1")]
    found = grown(known, [], {known[0].identity, known[2].identity})
    assert [(each.key, each.version_id) for each in found] == [("k", "2"), ("k", "1"), ("l", "1")]


@pytest.mark.parametrize(
    ("there", "markers", "is_deleted", "wanted", "done"),
    [
        ([], 0, False, [A, B], Progress(0)),
        ([A], 0, False, [A, B], Progress(1)),
        ([A, B], 0, False, [A, B], Progress(2)),
        ([A], 0, False, [A, M, B], Progress(1)),
        ([A], 1, True, [A, M, B], Progress(2)),
        ([A, B], 1, False, [A, M, B], Progress(3)),
        ([A, B], 1, False, [A, M, B, M], Progress(3)),
        ([A, B], 2, True, [A, M, B, M], Progress(4)),
        ([], 1, True, [M, A], Progress(1)),
        ([], 1, True, [M], Progress(1)),
        # A repetition of ours, whose reply was lost.
        ([A, A], 0, False, [A, B], Progress(1)),
        ([A, A], 0, False, [A, A, B], Progress(2)),
        ([A, A, A], 0, False, [A, A, B], Progress(2)),
        ([A, B], 2, False, [A, M, B, M], Progress(3)),
        # Somebody went on.
        ([A, B, C], 0, False, [A, B], Progress(2, True)),
        ([A, B], 1, True, [A, B], Progress(2, True)),
        # A marker was removed for good.
        ([A, B], 0, False, [A, M, B], Progress(3, True)),
        ([A], 0, False, [M, A], Progress(2, True)),
        # Something else.
        ([B], 0, False, [A, B], None),
        ([C], 0, False, [A, B], None),
        ([A, C], 0, False, [A, B], None),
        ([B], 0, False, [A, M, B], None),
        ([A], 0, False, [M, A, B], None),
        ([A], 1, True, [A, B], None),
        ([A], 0, False, [M], None),
        ([A, C], 0, False, [A, M], None),
    ],
)
def test_how_far_a_history_is(there: list[str], markers: int, is_deleted: bool, wanted: list[Any], done: Any):
    assert progress(there, markers, is_deleted, wanted) == done


@given(st.lists(st.sampled_from([A, B, C, M]), min_size=1, max_size=8), st.data())
def test_every_beginning_of_a_history_is_found_as_far_as_it_goes(wanted: list[Any], data: st.DataObject):
    """But for what is equal and follows each other, where one more may be taken for one that was repeated."""
    count = data.draw(st.integers(0, len(wanted)))
    there = wanted[:count]
    found = progress([each for each in there if each], there.count(M), bool(there) and there[-1] is M, wanted)
    assert found == Progress(count)

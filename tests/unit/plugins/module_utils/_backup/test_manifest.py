# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a backup, written and read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import (
    Entry,
    Listed,
    Manifest,
    Skipped,
    grown,
    inserted,
    is_same,
    manifest_of,
    oldest_first,
    text_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from hypothesis import given
from hypothesis import strategies as st

A, B, C, M = "a" * 64, "b" * 64, "c" * 64, None
D = "d" * 32
ABOUT = {"ContentType": "x", "Metadata": {"by": "me"}}
MANIFEST = Manifest(
    "acme-state",
    "eu-west-1",
    "111122223333",
    "acme-locks",
    "2026-11-28T18:00:00+00:00",
    (
        Entry(
            "k",
            "1",
            "2026-11-28T17:00:00.000+00:00",
            "e",
            False,
            0,
            A,
            D,
            {"ContentType": "x", "Metadata": {"by": "me"}},
            {"t": ""},
        ),
        Entry("k", "2", "2026-11-28T17:00:01.000+00:00", is_delete_marker=True),
    ),
    (
        {"LockID": {"S": "acme-state/k-md5"}, "Digest": {"S": "0" * 32}},
        {"LockID": {"S": "x"}, "All": {"M": {"b": {"B": b"\x00\xff"}, "l": {"L": [{"BS": [b"1"]}, {"NULL": True}]}}}},
    ),
    (Skipped("k", "0", "2026-11-28T16:00:00.000+00:00", "e", 7, "GLACIER"),),
)


def test_a_manifest_comes_back_as_it_was_written():
    assert manifest_of(text_of(MANIFEST), "here") == MANIFEST
    assert MANIFEST.to_result() == {
        "bucket": "acme-state",
        "region": "eu-west-1",
        "account_id": "111122223333",
        "table": "acme-locks",
        "versions": 1,
        "delete_markers": 1,
        "bytes": 0,
        "items": 2,
        "skipped": 1,
    }


def broken(change: Any) -> str:
    told = json.loads(text_of(MANIFEST))
    change(told)
    return json.dumps(told)


def nested(depth: int) -> Any:
    return {"L": [nested(depth - 1)]} if depth else {"S": ""}


def version(place: int, **members: Any) -> Any:
    return lambda told: told["versions"][place].update(members)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "here is not a backup: backup.json is not JSON"),
        ("[" * 100_000, "here is not a backup: backup.json is not JSON"),
        (broken(version(0, size=float("nan"))), "here is not a backup: backup.json is not JSON"),
        (broken(version(0, version_id="")), r"versions\[0\].version_id must be text that is not empty"),
        (broken(version(0, etag="")), r"versions\[0\].etag must be text that is not empty or null"),
        ("[]", "the manifest must be an object"),
        ("{}", "format is missing"),
        (broken(lambda told: told.update(format=2)), "here is a backup of format 2; this version reads format 1"),
        (broken(lambda told: told.update(format="1")), "format must be a number"),
        (broken(lambda told: told.pop("table")), "table is missing"),
        (broken(lambda told: told.update(bucket=7)), "bucket must be a name"),
        (broken(lambda told: told.update(region="eu west")), "region must be the name of a region"),
        (broken(lambda told: told.update(versions={})), "versions must be a list"),
        (broken(lambda told: told.update(versions=[None])), r"versions\[0\] must be an object"),
        (broken(version(0, sha256="../../etc/passwd")), r"versions\[0\].sha256 must be 64 hexadecimal digits or null"),
        (broken(version(0, sha256=None)), r"versions\[0\].sha256 is missing"),
        (broken(version(0, md5="D" * 32)), r"versions\[0\].md5 must be 32 hexadecimal digits or null"),
        (broken(version(0, md5=None)), r"versions\[0\].md5 is missing"),
        (broken(version(1, sha256=A)), r"versions\[1\].sha256 must not be there: a delete marker"),
        (broken(version(1, size=1)), r"versions\[1\].size must be 0: a delete marker has no body"),
        (broken(version(0, key="")), r"versions\[0\].key must be a key of 1 to 1024 bytes"),
        (broken(version(0, key="\ud800")), r"versions\[0\].key must be a key"),
        (broken(version(0, size=True)), r"versions\[0\].size must be a whole number of 0 or more"),
        (broken(version(0, size=-1)), r"versions\[0\].size must be a whole number of 0 or more"),
        (broken(version(0, surprise=1)), r"versions\[0\].surprise is not a member that this version knows"),
        (broken(version(0, **{"\x1b[31m\n": 1})), r'versions\[0\]."\\u001b\[31m\\n" is not a member'),
        (broken(version(0, content=[])), r"versions\[0\].content must be an object"),
        (broken(version(0, content={"ContentType": "a\r\nX: b"})), r"content.ContentType must be text that an HTTP"),
        (broken(version(0, content={"CacheControl": "\u2603"})), r"content.CacheControl must be text that an HTTP"),
        (broken(version(0, content={"Metadata": {"a": 1}})), r"content.Metadata.a must be printable ASCII text"),
        (broken(version(0, content={"Metadata": "a"})), r"content.Metadata must be an object"),
        (broken(version(0, content={"Metadata": {"a b": ""}})), r'content.Metadata."a b" must be called by a name'),
        (broken(version(0, tags={"a": None})), r"versions\[0\].tags.a must be text"),
        (broken(version(0, tags={"\ud800": "a"})), r'versions\[0\].tags."\\ud800" must be text'),
        (broken(version(1, key="k", version_id="1", last_modified="2026-11-28T17:00:00.000+00:00", etag="e")), "twice"),
        (broken(lambda told: told["items"].append({"Digest": {"S": ""}})), r"items\[2\].LockID is missing"),
        (broken(lambda told: told["items"][0].update(LockID={"B": ""})), r"items\[0\].LockID must be a string"),
        (broken(lambda told: told["items"][0].update(Digest={})), r"items\[0\].Digest must be an attribute of one"),
        (broken(lambda told: told["items"][0].update(Digest={"N": "x"})), r"items\[0\].Digest.N must be a number"),
        (broken(lambda told: told["items"][0].update(Digest={"X": "x"})), r"items\[0\].Digest must be an attribute"),
        (broken(lambda told: told["items"][0].update(Digest={"SS": []})), r"items\[0\].Digest.SS must be a list that"),
        (
            broken(lambda told: told["items"][1]["All"]["M"].update(b={"B": "?"})),
            r"All.M.b.B must be base64",
        ),
        (broken(lambda told: told["items"][0].update(Digest=nested(40))), "must not be nested more than 32 levels"),
        (broken(lambda told: told.update(skipped={})), "skipped must be a list"),
        (broken(lambda told: told.update(skipped=[7])), r"skipped\[0\] must be an object"),
        (broken(lambda told: told["skipped"][0].pop("size")), r"skipped\[0\].size is missing"),
        (broken(lambda told: told["skipped"][0].update(key="")), r"skipped\[0\].key must be a key of 1 to 1024 bytes"),
        (broken(lambda told: told["skipped"][0].update(md5=D)), r"skipped\[0\].md5 is not a member that this version"),
    ],
)
def test_a_manifest_that_cannot_be_relied_on_is_refused_by_the_name_of_its_member(text: str, reason: str):
    with pytest.raises(Invalid, match=reason):
        manifest_of(text, "here")


SCALARS = st.one_of(
    *(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "1", "\ud800", "\x00", "\n", A, D]),
    ),
    st.text(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.sampled_from(["S", "N", "B", "L", "k"]), each),
    max_leaves=4,
)


def places_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, each in rows for place in places_in(each, (*at, name)))]


WHOLE = json.loads(text_of(MANIFEST))
PLACES = places_in(WHOLE)[1:]


@given(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "add"]), VALUES)
def test_whatever_stands_in_a_manifest_it_can_be_restored_or_is_refused_in_one_sentence(
    place: tuple[Any, ...], how: str, value: Any
):
    told = json.loads(text_of(MANIFEST))
    holder = told
    for name in place[:-1]:
        holder = holder[name]
    if how == "remove":
        del holder[place[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder["surprise"] = value
    else:
        holder[place[-1]] = value
    try:
        found = manifest_of(json.dumps(told), "here")
    except Invalid as refused:
        said = str(refused)
        assert said.isprintable() and said.isascii() and len(said) < 400
        assert "is a backup of format" in said or {str(place[0]), "surprise"} & {*re.split(r"\W", said)}, said
        return
    found.to_result(), found.histories(), found.bodies, found.identities
    assert manifest_of(text_of(found), "here") == found
    text_of(found).encode()
    for entry in found.entries:
        assert entry.key.encode() and (bytes.fromhex(entry.sha256) if entry.sha256 else entry.is_delete_marker)
        urlencode(entry.tags)
        plain = {**entry.content, "Metadata": ""}
        assert [each.encode("latin-1") for each in plain.values()] and "\n" not in "".join(plain.values())
        assert all(f"{name}{each}".encode("ascii") for name, each in entry.content.get("Metadata", {}).items())


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


def test_what_was_skipped_before_goes_where_the_bucket_has_it():
    def entry(name: str, key: str = "k") -> Entry:
        return Entry(key, name, "2026-11-28T17:00:00.000+00:00")  # all of the same second

    def listed(name: str) -> Listed:
        return Listed("k", name, "2026-11-28T17:00:00.000+00:00", None, 0, False, False)

    known = [entry("0", "j"), entry("gone"), entry("2"), entry("5"), entry("9", "l")]
    bucket = [listed(name) for name in ("1", "2", "3", "4", "5", "6")]
    found = inserted(known, [entry(name) for name in ("1", "3", "4", "6")], bucket)
    assert [each.version_id for each in found if each.key == "k"] == ["gone", "1", "2", "3", "4", "5", "6"]
    assert inserted(known, [], bucket) == known

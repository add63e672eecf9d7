# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lock records are those of the clients, byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    Wedged,
    digest_id,
    is_canonical,
    lock_file,
    lock_id,
    marshal,
    parsed,
    rfc3339nano,
    split_id,
    state_path,
    uuid_of,
)
from hypothesis import given
from hypothesis import strategies as st

#: What Terraform 1.11.4 wrote, into the table or the lock file of the bucket `bka`, by operation. Nothing is retyped.
CAPTURED = {
    "apply": (
        '{"ID":"008fc466-9743-e5aa-475a-7589773aa3fd","Operation":"OperationTypeApply"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.178060054Z","Path":"bka/app/one.tfstate"}'
    ),
    "plan": (
        '{"ID":"b82f8293-e7e6-71f3-9ed4-ad1a3104b3d5","Operation":"OperationTypePlan"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.306521103Z","Path":"bka/app/one.tfstate"}'
    ),
    "apply -refresh-only": (
        '{"ID":"7538dcc4-9bc3-d239-9d19-21aa0c3c3291","Operation":"OperationTypeApply"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.400349385Z","Path":"bka/app/one.tfstate"}'
    ),
    "taint": (
        '{"ID":"5694fd5b-9eb5-bccc-bdaa-b6e045a2a02c","Operation":"taint"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.499771365Z","Path":"bka/app/one.tfstate"}'
    ),
    "untaint": (
        '{"ID":"2685f87a-0c59-3e3d-2dc8-6ad7c99c6234","Operation":"untaint"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.595622562Z","Path":"bka/app/one.tfstate"}'
    ),
    "state mv": (
        '{"ID":"9a9ae76b-f77f-4319-bdcc-30b0be36bb67","Operation":"state-mv"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.699888212Z","Path":"bka/app/one.tfstate"}'
    ),
    "state rm": (
        '{"ID":"c1d66170-ebbe-7886-e98f-5f5858932e40","Operation":"state-rm"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.803428882Z","Path":"bka/app/one.tfstate"}'
    ),
    "state push": (
        '{"ID":"517eece6-dc54-be0f-dda9-a6539461b7b6","Operation":"state-push"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:51.320912118Z","Path":"bka/app/one.tfstate"}'
    ),
    "workspace new, a zero trimmed": (
        '{"ID":"e4c1f66e-58fa-7dd8-a051-b5cc48dce475","Operation":"init"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:50.92371892Z","Path":"bka/env:/qa/app/one.tfstate"}'
    ),
    "workspace delete": (
        '{"ID":"bc9a28ee-81b2-816b-3190-a3896c8cddfd","Operation":"state-replace-provider"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:51.121609193Z","Path":"bka/env:/qa/app/one.tfstate"}'
    ),
    "init -migrate-state, source": (
        '{"ID":"7bbb3e46-0f33-b324-e3d9-128e24910f78","Operation":"migration source state"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:52.000420891Z","Path":"bka/m/one.tfstate"}'
    ),
    "init -migrate-state, destination": (
        '{"ID":"055e8d89-f8d1-005f-31f7-f03b9774c8e9","Operation":"migration destination state"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:52.008222702Z","Path":"bka/m/two.tfstate"}'
    ),
    "a key that Go escapes": (
        '{"ID":"5e01c645-7470-8258-912e-24180f1aa379","Operation":"OperationTypeApply"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:51.521266239Z","Path":"bka/a\\u0026b\\u003cc\\u003e/é 日本 \\u2028\'+.tfstate"}'
    ),
    "a key that Go escapes, in a workspace": (
        '{"ID":"a0a557a5-0924-4714-688f-32d19574b60e","Operation":"init"'
        ',"Info":"","Who":"root@vm","Version":"1.11.4"'
        ',"Created":"2026-11-21T10:03:51.681125193Z"'
        ',"Path":"bka/x y/dev/a\\u0026b\\u003cc\\u003e/é 日本 \\u2028\'+.tfstate"}'
    ),
}
APPLY = CAPTURED["apply"]
INFO = LockInfo("1", "op", "", "me@here", "1.11.4", "2026-11-21T10:03:50Z", "b/k")

captured = pytest.mark.parametrize("text", CAPTURED.values(), ids=list(CAPTURED))
#: Whatever Go's strings can hold: no surrogates.
words = st.text(st.characters(exclude_categories=["Cs"]))
moments = st.datetimes(timezones=st.just(timezone.utc))
infos = st.builds(LockInfo, words.filter(bool), words, words, words, words, moments.map(rfc3339nano), words)


@captured
def test_a_captured_record_is_read_and_written_byte_for_byte(text: str) -> None:
    info = parsed(text)
    assert isinstance(info, LockInfo)
    assert marshal(info) == text
    assert is_canonical(text)
    told = json.loads(text)
    assert [info.id, info.operation, info.who, info.created] == [
        told[name] for name in ("ID", "Operation", "Who", "Created")
    ]


@captured
def test_a_captured_path_is_that_of_the_lock(text: str) -> None:
    info = parsed(text)
    assert isinstance(info, LockInfo)
    assert lock_id(*split_id(info.path)) == info.path


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("<a href='x'>&amp;</a>", r"\u003ca href='x'\u003e\u0026amp;\u003c/a\u003e"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ('"quoted" \\ back', r"\"quoted\" \\ back"),
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x00\x1f", r"\u0000\u001f"),
        ("\x08\x0c", r"\b\f"),  # as of Go 1.22, which built Terraform 1.10
        ("\x7f", "\x7f"),
        ("Zoë 日本 😀 /", "Zoë 日本 😀 /"),
        ("\ufffd", "\ufffd"),
        ("not UTF-8: \udcff", r"not UTF-8: \ufffd"),
    ],
)
def test_texts_are_escaped_as_go_does(raw: str, written: str) -> None:
    assert f'"Info":"{written}",' in marshal(replace(INFO, info=raw))


@given(infos)
def test_what_is_written_is_read_back_and_canonical(info: LockInfo) -> None:
    text = marshal(info)
    assert parsed(text) == info
    assert is_canonical(text)
    assert not set(text) & set("<>&\u2028\u2029\n")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("key order", '{"Operation":"x","ID":"1"}'),
        ("members missing", '{"ID":"1"}'),
        ("spaces", APPLY.replace(":", ": ", 1)),
        ("a newline at the end", APPLY + "\n"),
        ("an offset instead of Z", APPLY.replace("054Z", "054+00:00")),
        ("a zero that Go trims", APPLY.replace("178060054Z", "178060050Z")),
        ("a fraction of zeros", APPLY.replace(".178060054Z", ".000Z")),
        ("more digits than nanoseconds", APPLY.replace("054Z", "0541Z")),
        ("a letter escaped that Go leaves", APPLY.replace("root", "r\\u006fot")),
        ("a letter left that Go escapes", APPLY.replace("root", "r&t")),
        ("an escaped slash", APPLY.replace("bka/", "bka\\/")),
        ("another member", APPLY.replace("}", ',"More":1}')),
        ("a member named in lower case", APPLY.replace('"ID"', '"id"')),
    ],
    ids=lambda given: given if " " in given and "{" not in given else "",
)
def test_opentofu_cannot_release_what_is_not_its_own_json(reason: str, text: str) -> None:
    assert isinstance(parsed(text), LockInfo), reason
    assert not is_canonical(text)


def test_members_are_read_as_go_reads_them() -> None:
    """Whatever their case, the last one wins, null says nothing, and what is unknown is skipped."""
    text = '{"id":"1","ID":"2","OPERATION":"x","operation":null,"Lease":{"ID":"3"},"Who":"a\\ud800b"}'
    assert parsed(text) == LockInfo("2", "x", "", "a\ufffdb", "", "0001-01-01T00:00:00Z", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "it has no Info"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("held by Bob", "it is not JSON"),
        (APPLY[:-1], "it is not JSON"),
        (APPLY + "x", "it is not JSON"),
        ('{"ID": NaN}', "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("null", "it is no JSON object"),
        ('["ID"]', "it is no JSON object"),
        ("{}", "it has no ID"),
        (APPLY.replace("008fc466-9743-e5aa-475a-7589773aa3fd", ""), "it has no ID"),
        ('{"ID":7}', "its ID is no text"),
        ('{"ID":"1","Who":["me"]}', "its Who is no text"),
        ('{"ID":"1","Created":"yesterday"}', "its Created is no time"),
        ('{"ID":"1","Created":"2026-02-30T10:00:00Z"}', "its Created is no time"),
        ('{"ID":"1","Created":"2026-11-21 10:00:00Z"}', "its Created is no time"),
        ('{"ID":"1","Created":"2026-11-21T10:00:00"}', "its Created is no time"),
        ('{"ID":"1","Created":"2026-11-21T10:00:00,5Z"}', "its Created is no time"),
        ('{"ID":"1","Created":"2026-11-21T10:00:00+24:00"}', "its Created is no time"),
    ],
)
def test_what_no_client_can_read_is_wedged(text: str | None, reason: str) -> None:
    assert parsed(text) == Wedged(reason)
    assert not is_canonical(text)


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_text_is_too_strange(text: str) -> None:
    assert isinstance(parsed(text), (LockInfo, Wedged))


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 11, 21, 10, 3, 5, tzinfo=timezone.utc), "2026-11-21T10:03:05Z"),
        (datetime(2026, 11, 21, 10, 3, 5, 600_000, timezone.utc), "2026-11-21T10:03:05.6Z"),
        (datetime(2026, 11, 21, 10, 3, 5, 1, timezone.utc), "2026-11-21T10:03:05.000001Z"),
        (datetime(2026, 11, 21, 12, 3, 5, 10, timezone(timedelta(hours=2))), "2026-11-21T10:03:05.00001Z"),
    ],
)
def test_times_are_written_as_go_writes_them(moment: datetime, written: str) -> None:
    assert rfc3339nano(moment) == written
    assert replace(INFO, created=written).since == moment


def test_a_time_is_read_in_any_zone_and_cut_to_microseconds() -> None:
    info = parsed('{"ID":"1","Created":"2026-11-21T12:03:50.178060999+02:00"}')
    assert isinstance(info, LockInfo)
    assert info.since == datetime(2026, 11, 21, 10, 3, 50, 178_060, timezone.utc)
    assert info.created == "2026-11-21T12:03:50.178060999+02:00"


@given(moments)
def test_a_time_survives_being_written(moment: datetime) -> None:
    since = replace(INFO, created=rfc3339nano(moment)).since
    assert since == (moment if moment.year >= 2014 else None)


@pytest.mark.parametrize(
    "members",
    [
        "",
        ',"Created":null',
        ',"Created":"0001-01-01T00:00:00Z"',
        ',"Created":"0001-01-01T12:00:00+12:00"',
        ',"Created":"1970-01-01T00:00:00Z"',
        ',"Created":"2013-12-31T23:00:00Z"',
    ],
)
def test_a_time_before_there_were_clients_is_unknown(members: str) -> None:
    info = parsed(f'{{"ID":"1"{members}}}')
    assert isinstance(info, LockInfo) and (info.since, info.created_if_known) == (None, None)


@pytest.mark.parametrize(
    ("key", "workspace", "prefix", "path"),
    [
        ("app/one.tfstate", "default", "env:", "app/one.tfstate"),
        ("app//one.tfstate", "default", "env:", "app//one.tfstate"),
        ("app/one.tfstate", "qa", "env:", "env:/qa/app/one.tfstate"),
        ("app/ws.tfstate", "qa", "teams", "teams/qa/app/ws.tfstate"),
        ("app/ws.tfstate", "qa", "", "qa/app/ws.tfstate"),
        ("a//b/./c.tfstate", "qa", "env:", "env:/qa/a/b/c.tfstate"),
        ("k", "dev", "teams/../x y", "x y/dev/k"),
        ("../../../k", "dev", "env:", "../k"),
        ("k", "dev", "//teams", "/teams/dev/k"),
    ],
)
def test_a_state_lies_where_the_clients_look_for_it(key: str, workspace: str, prefix: str, path: str) -> None:
    assert state_path(key, workspace, prefix) == path


def test_locks_and_digests_are_named_as_the_clients_name_them() -> None:
    path = state_path("app/one.tfstate", "qa")
    assert lock_file(path) == "env:/qa/app/one.tfstate.tflock"
    assert lock_id("bka", path) == "bka/env:/qa/app/one.tfstate"
    assert digest_id("bka", path) == "bka/env:/qa/app/one.tfstate-md5"
    assert split_id("bka/env:/qa/app/one.tfstate") == ("bka", path)


def test_a_lock_id_has_the_layout_of_a_uuid() -> None:
    assert uuid_of(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"

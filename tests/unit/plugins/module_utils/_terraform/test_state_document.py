# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States as bytes: what is told of each kind, and what is wrong with those that are none."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform import state_parser as reading
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_document import (
    Document,
    UnreadableState,
    addresses,
    document_of,
    head_of,
    with_serial,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_parser import Reading
from hypothesis import given
from hypothesis import strategies as st

LINEAGE = "2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56"
PROVIDER = 'provider["registry.terraform.io/hashicorp/random"]'


def resource(*keys: Any, mode: str = "managed", module: str | None = None, name: str = "this") -> dict[str, Any]:
    """A resource with an instance for each index key."""
    at = {"module": module} if module else {}
    instances = [
        {**({} if key is None else {"index_key": key}), "schema_version": 0, "attributes": {"id": "s3cr3t"}}
        for key in keys
    ]
    return {**at, "mode": mode, "type": "random_id", "name": name, "provider": PROVIDER, "instances": instances}


def state(*resources: Any, **members: Any) -> dict[str, Any]:
    known = {"version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": LINEAGE}
    return {**known, "outputs": {}, "resources": list(resources), "check_results": None, **members}


def written(document: Any) -> bytes:
    """As Terraform writes it."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


ENCRYPTED = {
    "serial": 3,
    "lineage": LINEAGE,
    "meta": {"key_provider.pbkdf2.mine": "eyJ9"},
    "encrypted_data": "A" * 100_000,
    "encryption_version": "v0",
}
LEGACY = {
    "version": 3,
    "terraform_version": "0.11.15",
    "serial": 12,
    "lineage": LINEAGE,
    "modules": [
        {"path": ["root"], "outputs": {}, "resources": {"aws_vpc.a": {}, "data.aws_region.here": {}}},
        {"path": ["root", "b"], "outputs": {}, "resources": {"aws_subnet.c.0": {}, "aws_subnet.c.1": {}}},
    ],
}
READABLE = {
    "of today": (state(resource(None), resource(0, 1), resource(None, mode="data")), (7, "1.11.4", 3, 1, False, 4)),
    "without resources": (state(), (7, "1.11.4", 0, 0, False, 4)),
    "encrypted by OpenTofu": (ENCRYPTED, (3, None, None, None, True, None)),
    "of version 3": (LEGACY, (12, "0.11.15", 3, 1, False, 3)),
    "sorted by another tool": (dict(sorted(state(resource(None)).items())), (7, "1.11.4", 1, 0, False, 4)),
    "with members of tomorrow": (
        state(resource(None), provider_functions=[{"a": [1.5]}]),
        (7, "1.11.4", 1, 0, False, 4),
    ),
    "at serial 0": (state(serial=0), (0, "1.11.4", 0, 0, False, 4)),
}


@pytest.mark.parametrize("kind", READABLE)
def test_a_state_says_what_it_is(kind: str) -> None:
    content, expected = READABLE[kind]
    found = document_of(written(content))
    assert isinstance(found, Document)
    assert found.lineage == LINEAGE
    told = (found.serial, found.terraform_version, found.resources, found.data_resources)
    assert (*told, found.is_encrypted, found.version) == expected


def test_the_oldest_states_have_no_lineage() -> None:
    found = document_of(b'{"version": 1, "serial": 2, "modules": [{"path": ["root"], "resources": {}}]}')
    assert found == Document(None, 2, None, 0, 0, 0, version=1)


def test_outputs_are_counted() -> None:
    found = document_of(written(state(outputs={"a": {"value": "s3cr3t"}, "b": {"value": [[1]]}})))
    assert isinstance(found, Document) and found.outputs == 2


BROKEN = {
    "nothing": (b"", "empty"),
    "blanks": (b" \n", "empty"),
    "a web page": (b"<html></html>", "not JSON"),
    "a list": (b"[]", "not JSON"),
    "a number": (b"4", "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + written(state()), "not JSON"),
    "a binary": (bytes(range(256)), "not JSON"),
    "an empty object": (b"{}", "has no version"),
    "other JSON": (b'{"name": "package"}', "has no version"),
    "no lineage": (b'{"version": 4, "serial": 1}', "no lineage or no serial"),
    "a serial of text": (written(state(serial="7")), "no lineage or no serial"),
    "a serial below zero": (written(state(serial=-1)), "no lineage or no serial"),
    "the future": (written(state(version=5)), "a newer client wrote it"),
    "a version of text": (written(state(version="4")), "its version is no whole number"),
    "a truth for a version": (written(state(version=True)), "its version is no whole number"),
    "not a number": (written(state(serial=float("nan"))), "not JSON"),
    "resources that are none": (written(state("resource")), "resources are none"),
    "a second document": (written(state()) + b"{}", "something follows its end"),
    "a comma too many": (written(state()).replace(b'"check_results": null\n', b'"check_results": null,\n'), "not JSON"),
    "a hole": (written(state(resource(None))).replace(b'"mode"', b"mode"), "not JSON"),
    "an endless depth": (b'{"version": 4, "lineage": ' + b"[" * 100_000, "nested deeper"),
    "a deep resource": (b'{"version": 4, "resources": [' + b'{"a":' * 100_000, "nested deeper"),
    "half an encrypted state": (written(ENCRYPTED)[:5000], "cut off"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_state_is_told_in_a_sentence(kind: str) -> None:
    body, expected = BROKEN[kind]
    found = document_of(body)
    assert isinstance(found, UnreadableState) and expected in found.reason


@given(st.integers(1, len(written(state(resource(None, "ä"), outputs={"a": {"value": "{}"}}))) - 3))
def test_a_state_that_is_cut_anywhere_is_no_state(length: int) -> None:
    whole = written(state(resource(None, "ä"), outputs={"a": {"value": "{}"}}))
    assert isinstance(document_of(whole[:length]), UnreadableState)


@given(st.binary())
def test_no_bytes_whatever_make_it_stumble(body: bytes) -> None:
    assert isinstance(document_of(body), UnreadableState)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.lists(st.none() | st.integers(0, 9) | st.text(max_size=4), max_size=3)
RESOURCES = st.lists(
    st.builds(lambda keys, mode: resource(*keys, mode=mode), KEYS, st.sampled_from(["managed", "data"]))
)
OTHERS = st.dictionaries(st.text().filter(lambda name: name.casefold() not in state()), JSON, max_size=2)


@st.composite
def states(draw: Any) -> tuple[dict[str, Any], bytes]:
    """A state with its members in any order, written in any of the ways that JSON has."""
    content = state(*draw(RESOURCES), serial=draw(st.integers(0, 2**64 - 1)), **draw(OTHERS))
    content = {name: content[name] for name in draw(st.permutations(list(content)))}
    content.pop("encrypted_data", None)
    how = {"indent": draw(st.sampled_from([None, 0, 2])), "ensure_ascii": draw(st.booleans())}
    return content, json.dumps(content, **how).encode("utf-8", "replace")


@pytest.mark.parametrize("number", ["0.5", "-1.25", "1e3", "1E+30", "2.5e-7"])
def test_a_number_may_be_cut_anywhere(number: str) -> None:
    body = written(state()).replace(b'"check_results": null', b'"check_results": ' + number.encode())
    assert isinstance(document_of(body), Document)
    for place in range(len(body)):
        reading = Reading()
        reading.feed(body[:place])
        reading.feed(body[place:])
        assert reading.end() == document_of(body), body[place - 9 : place]


@given(states(), st.data())
def test_it_is_the_same_in_whatever_pieces_it_comes(made: tuple[dict[str, Any], bytes], data: Any) -> None:
    content, body = made
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    reading = Reading()
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        reading.feed(body[start:end])
    found = reading.end()
    assert found == document_of(body)
    assert isinstance(found, Document)
    instances = [(each["mode"], len(each["instances"])) for each in content["resources"]]
    assert found.serial == content["serial"]
    assert found.resources == sum(count for mode, count in instances if mode == "managed")
    assert found.data_resources == sum(count for mode, count in instances if mode == "data")


def test_the_head_tells_lineage_and_serial() -> None:
    body = written(state(*[resource(None, name=f"r{place}") for place in range(1000)]))
    assert head_of(body[:65536]) == Document(LINEAGE, 7, "1.11.4", version=4)
    assert head_of(written(ENCRYPTED)[:65536]) == Document(LINEAGE, 3, None, is_encrypted=True)
    assert isinstance(head_of(b"<html>"), UnreadableState)


def test_a_head_that_does_not_tell_is_not_guessed_from() -> None:
    body = written(dict(sorted(state(*[resource(None, name=f"r{place}") for place in range(1000)]).items())))
    assert head_of(body[:65536]) is None


def test_little_of_a_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_VALUE", 4096)
    taken = Reading()
    body = written(state(*[resource(None, name=f"r{place}") for place in range(1000)]))
    kept = 0
    for start in range(0, len(body), 512):
        taken.feed(body[start : start + 512])
        kept = max(kept, len(taken._text))
    found = taken.end()
    assert isinstance(found, Document) and found.resources == 1000
    assert kept < 4096


def test_a_value_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_VALUE", 1 << 20)
    taken = Reading()
    for piece in (b'{"version": 4, "outputs": "', *[b"x" * 65536] * 40):
        taken.feed(piece)
    found = taken.end()
    assert isinstance(found, UnreadableState) and "too large to judge" in found.reason and found.is_unjudged


ADDRESSES = {
    "alone": (resource(None), {"random_id.this"}),
    "data": (resource(None, mode="data"), {"data.random_id.this"}),
    "count": (resource(0, 1), {"random_id.this[0]", "random_id.this[1]"}),
    "for_each": (resource("a", 'b"\\'), {'random_id.this["a"]', 'random_id.this["b\\"\\\\"]'}),
    "template": (resource("${a}%{b}$c"), {'random_id.this["$${a}%%{b}$c"]'}),
    "lines": (resource("a\nb\tc"), {'random_id.this["a\\nb\\tc"]'}),
    "beyond ASCII": (resource("ä\u200b"), {'random_id.this["ä\\u200b"]'}),
    "module": (
        resource("a", module='module.m["x"].module.n[0]', mode="data"),
        {'module.m["x"].module.n[0].data.random_id.this["a"]'},
    ),
    "nothing": (resource(), set()),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_addresses_are_terraforms(kind: str) -> None:
    content, expected = ADDRESSES[kind]
    assert addresses(written(state(content))) == expected


@pytest.mark.terraform
def test_terraform_prints_the_same_addresses(tmp_path: Any) -> None:
    terraform = shutil.which("terraform")
    if not terraform:
        pytest.skip("needs the real terraform on PATH")
    held = [{**content, "name": f"r{place}"} for place, (content, _unused) in enumerate(ADDRESSES.values())]
    (tmp_path / "terraform.tfstate").write_bytes(written(state(*held)))
    command = [terraform, "state", "list", "-state=terraform.tfstate"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert set(printed.splitlines()) == addresses(written(state(*held)))


@pytest.mark.parametrize(
    "content,expected", [(ENCRYPTED, "encrypted"), (LEGACY, "version 3"), ({}, "no version")], ids=str
)
def test_where_addresses_cannot_be_told_this_is_said(content: Any, expected: str) -> None:
    with pytest.raises(Invalid, match=expected):
        addresses(written(content))


@given(states(), st.integers(0, 2**63))
def test_another_serial_changes_nothing_else(made: tuple[dict[str, Any], bytes], serial: int) -> None:
    content, body = made
    changed = with_serial(body, serial)
    assert json.loads(changed) == {**json.loads(body), "serial": serial}
    start = (
        next(place for place in range(len(body)) if body[: place + 1] != changed[: place + 1]) if body != changed else 0
    )
    digits = len(str(content["serial"]))
    assert len(changed) - len(body) == len(str(serial)) - digits
    assert body[start + digits :] == changed[start + digits + len(changed) - len(body) :] or body == changed


INEXACT = {
    "no state": (b"{}", "no version"),
    "encrypted": (written(ENCRYPTED), "encrypted"),
    "two serials": (written(state()).replace(b'"outputs"', b'"serial": 8, "outputs"'), "2 times"),
    "two serials to Go": (written(state()).replace(b'"outputs"', b'"Serial": 8, "outputs"'), "2 times"),
    "not UTF-8": (written(state(resource("x"))).replace(b'"x"', b'"\xff"'), "UTF-8"),
}


@pytest.mark.parametrize("kind", INEXACT)
def test_a_serial_that_cannot_be_changed_exactly_is_left(kind: str) -> None:
    body, expected = INEXACT[kind]
    with pytest.raises(Invalid, match=expected):
        with_serial(body, 9)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an object of a state bucket is, by its content and its name, and what each module makes of it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.inspection import EMPTY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.kind import Kind, is_named_as_state, kind_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform import state_parser
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_document import (
    UnreadableState,
    document_of,
    head_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_parser import Reading
from hypothesis import given
from hypothesis import strategies as st

from tests.integration import backups
from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY, LINEAGE, SECRET, World, denied_of, state

NOW: dict[str, Any] = json.loads(state())
SEALED = {"meta": {"key_provider.pbkdf2.mine": "e30="}, "encrypted_data": "QUJD", "encryption_version": "v0"}
STAMP = {"serial": 3, "lineage": LINEAGE}
ROOT = {"path": ["root"], "outputs": {}, "resources": {}}


def but(content: dict[str, Any], *left_out: str, **members: Any) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in left_out} | members


#: What each is: bytes, or something to be written as JSON.
BODIES: dict[Kind, dict[str, Any]] = {
    Kind.STATE: {
        "of today": NOW,
        "sorted": dict(sorted(NOW.items())),
        "with a member of tomorrow": but(NOW, new={"a": 1}),
        "of version 1": {"version": 1, "serial": 2, "modules": [ROOT]},
        "of version 1, without a path": {"version": 1, "serial": 2, "modules": [{"resources": {}}]},
        "of version 1, with outputs": {"version": 1, "modules": [{"path": None, "outputs": {}}]},
        "of version 2": {"version": 2, **STAMP, "modules": [ROOT]},
        "of version 3": {"version": 3, "terraform_version": "0.11.15", **STAMP, "modules": [ROOT]},
        "of version 3, of another tool": {"version": 3, "serial": 1, "tool": "x", "modules": [{"path": ["root"]}]},
        "of version 3, of another tool, without a serial": {"version": 3, "tool": "x", "modules": [ROOT]},
        "of version 3, without modules in its list": {"version": 3, **STAMP, "modules": []},
        "of version 3, with nothing else": {"version": 3, "modules": []},
        "of version 3, with resources of another kind": {"version": 3, **STAMP, "resources": [1], "modules": [ROOT]},
        "of version 4, with modules of another kind": but(NOW, modules=["a"]),
    },
    Kind.ENCRYPTED: {
        "as OpenTofu writes it": {**STAMP, **SEALED},
        "without lineage and serial": SEALED,
        "in another order": dict(sorted({**SEALED, **STAMP}.items())),
        "with an escape": {**STAMP, **but(SEALED, encrypted_data='\\"}')},
        "of tomorrow": {**STAMP, **but(SEALED, encryption_version="v9")},
    },
    Kind.OTHER: {
        "a source map": {"version": 3, "sources": [], "mappings": ""},
        "composer.lock": {"_readme": [], "content-hash": "x", "packages": [], "plugin-api-version": "2.6.0"},
        "package.json": {"name": "app", "version": "1.0.0", "private": True},
        "a version of text": {"version": "1.0.0"},
        "package-lock.json": {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {}},
        "package-lock.json without a version": {"lockfileVersion": 3, "packages": {}},
        "an SBOM of CycloneDX": {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": "u", "version": 1},
        "an SBOM of SPDX": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": []},
        "a plan": {"format_version": "1.2", "terraform_version": "1.5.0", "planned_values": {}, "resource_changes": []},
        "a state as terraform show says": {"format_version": "1.0", "terraform_version": "1.5.0", "values": {}},
        "terraform version -json": {"terraform_version": "1.5.0", "platform": "linux_amd64"},
        "an OpenAPI file": {"openapi": "3.1.0", "info": {"version": "1.0"}, "paths": {}},
        "a policy of IAM": {"Version": "2012-10-17", "Statement": []},
        "a template of CloudFormation": {"Resources": {}, "Outputs": {}},
        "a plugin": {"FileVersion": 3, "Version": 1, "Modules": [{"Name": "x"}]},
        "a kustomization": {"kind": "Kustomization", "resources": ["a.yaml"]},
        "modules of something else": {"version": 2, "name": "x", "modules": ["a", "b"]},
        "modules with a path of something else": {"version": 1, "name": "x", "modules": [{"path": "./a"}]},
        "no modules of something else": {"version": 1, "name": "x", "modules": []},
        "modules that are no list": {"version": 1, "name": "x", "modules": {}},
        "a certificate": {"version": 3, "serial": "0a:0b", "issuer": "x"},
        "a dashboard": {"version": 4, "title": "x", "panels": []},
        "a version of tomorrow": {"version": 7, "title": "x"},
        "a version below zero": {"version": -1},
        "a truth for a version": {"version": True},
        "a secret of another tool": {"encrypted_data": "QUJD", "iv": "x"},
        "a serial alone": {"serial": 7},
        "an empty object": {},
        "a list": [],
        "a text": "x",
        "null": None,
        "lines of JSON": b'{"level": "info"}\n{"level": "warn"}\n',
        "HTML": b"\n\n<!doctype html><html></html>",
        "gzip": gzip.compress(state()),
        "zip": b"PK\x03\x04",
        "Markdown": b"# States",
        "a text with a byte order mark": b"\xef\xbb\xbfhello",
    },
    Kind.UNREADABLE: {
        "blanks": b" \n",
        "cut off": state()[:-20],
        "cut off, of other JSON": b'{"name": "app", ',
        "half an encrypted state": json.dumps({**STAMP, **SEALED}).encode()[:-40],
        "with a byte order mark": b"\xef\xbb\xbf" + state(),
        "as PowerShell writes it": state().decode().encode("utf-16"),
        "as PowerShell wrote it in the other order": b"\xfe\xff" + state().decode().encode("utf-16-be"),
        "before version 1": b"tfstate\x01\x00\x00",
        "followed by another": state() + state(),
        "with a member of tomorrow, followed by another": json.dumps(but(NOW, new=1)).encode() + b"{}",
        "an empty object before it": b"{}" + state(),
        "of a newer client": but(NOW, version=5),
        "of a newer client, without lineage": {"version": 5, "terraform_version": "2.0.0", "stacks": {}},
        "of a newer client, with its serial": {"version": 5, "serial": 7, "stacks": {}},
        "of a newer client, with a text for a version": {"version": "5.1", "terraform_version": "2.0.0", "stacks": {}},
        "of version 0": but(NOW, version=0),
        "a version alone": {"version": 4},
        "without lineage": but(NOW, "lineage"),
        "without lineage and client": but(NOW, "lineage", "terraform_version"),
        "without serial": but(NOW, "serial"),
        "without serial and version": but(NOW, "serial", "version"),
        "without version": but(NOW, "version"),
        "without version and lineage": but(NOW, "version", "lineage"),
        "with names in another case": {"Version": 4, "Lineage": LINEAGE, "new": 1},
        "with a serial of text": but(NOW, serial="4"),
        "with resources that are none": but(NOW, resources=["x"]),
        "of version 3, without modules": {"version": 3, "terraform_version": "0.11.15", **STAMP},
        "of version 3, with modules that are none": {"version": 3, **STAMP, "modules": [{"name": "x"}]},
        "encrypted, without its version": but({**STAMP, **SEALED}, "encryption_version"),
        "encrypted, without its version and lineage": but(SEALED, "encryption_version"),
        "encrypted, without its data": but(SEALED, "encrypted_data"),
        "too deep": b'{"version": 4, "x": ' + b"[" * 100_000,
    },
}


def written(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


CASES = [
    pytest.param(kind, written(content), id=f"{kind.value}: {name}")
    for kind, contents in BODIES.items()
    for name, content in contents.items()
]


@pytest.mark.parametrize(("kind", "body"), CASES)
def test_its_content_says_what_it_is(kind: Kind, body: bytes) -> None:
    found = document_of(body)
    assert kind_of(found, is_known=False) is kind
    if len(body) < 2000:
        reading = Reading()
        for place in range(len(body)):
            reading.feed(body[place : place + 1])
        assert reading.end() == found


@pytest.mark.parametrize(("kind", "body"), CASES)
def test_what_is_known_for_a_state_is_never_called_something_else(kind: Kind, body: bytes) -> None:
    expected = Kind.UNREADABLE if kind is Kind.OTHER else kind
    assert kind_of(document_of(body), is_known=True) is expected


@pytest.mark.parametrize(("kind", "body"), CASES)
def test_the_beginning_of_an_object_says_nothing_else_than_all_of_it(kind: Kind, body: bytes) -> None:
    for length in range(state_parser.BEGINNING, min(len(body), 400)):
        head = head_of(body[:length])
        if head and kind_of(head, is_known=False) is not kind:  # the damage is further on
            assert kind is Kind.UNREADABLE and not isinstance(head, UnreadableState), length


@pytest.mark.parametrize(("kind", "body"), CASES)
def test_a_reason_repeats_nothing_of_the_content(kind: Kind, body: bytes) -> None:
    for marked in (body.replace(b"1.0.0", SECRET.encode()), body.replace(b"2012-10-17", SECRET.encode())):
        assert SECRET not in getattr(document_of(marked), "reason", "")


@pytest.mark.parametrize("parsed", [None, UnreadableState("it is too large to judge", is_other=True, is_unjudged=True)])
def test_what_was_not_read_to_its_end_is_unknown(parsed: UnreadableState | None) -> None:
    assert kind_of(parsed, is_known=False) is Kind.UNKNOWN


def test_what_is_empty_may_be_a_state() -> None:
    assert kind_of(EMPTY, is_known=False) is Kind.UNREADABLE
    assert kind_of(document_of(b""), is_known=False) is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("path", "is_named"),
    [("a.tfstate", True), ("env:/dev/a.json", True), ("env:/a", False), ("a.json", False), ("a.tfstate.json", False)],
)
def test_a_name_may_say_that_it_is_a_state(path: str, is_named: bool) -> None:
    assert is_named_as_state(Scope(Target("b", "us-east-1")), path) is is_named


@given(st.integers(1, len(state()) - 2))
def test_a_state_that_was_cut_is_never_something_else(length: int) -> None:
    assert kind_of(document_of(state()[:length]), is_known=False) is Kind.UNREADABLE


@given(st.integers(1, len(state()) - 1), st.binary(min_size=1, max_size=8))
def test_a_state_that_was_written_over_is_never_something_else(place: int, bad: bytes) -> None:
    body = state()[:place] + bad + state()[place + len(bad) :]
    assert kind_of(document_of(body), is_known=False) in (Kind.STATE, Kind.UNREADABLE)


@given(st.sampled_from(sorted(NOW)), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()))
def test_a_state_with_a_wrong_value_is_never_something_else(name: str, value: Any) -> None:
    for content in (but(NOW, **{name: value}), but(NOW, name)):
        assert kind_of(document_of(written(content)), is_known=False) in (Kind.STATE, Kind.UNREADABLE)


def test_an_encrypted_state_is_not_held_in_memory() -> None:
    reading, kept = Reading(), 0
    body = written({**STAMP, **but(SEALED, encrypted_data="A" * 500_000)})
    for start in range(0, len(body), 1000):
        reading.feed(body[start : start + 1000])
        kept = max(kept, len(reading._text))
    assert kind_of(reading.end(), is_known=False) is Kind.ENCRYPTED and kept <= 2000


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        *((b" \n" * 40 + begin, True) for begin in (b"{", b"", b"tfsta", b"tfstate", b"\xef\xbb\xbf{", b"\xff\xfe{\0")),
        *((begin, False) for begin in (b"<", b"[", b"tfstation", b"\xef\xbb\xbfa", b"\x1f\x8b", b"PK")),
    ],
)
def test_some_bytes_cannot_begin_a_state(body: bytes, is_one: bool) -> None:
    assert state_parser.may_begin_state(body) is is_one


# What the modules make of it.

NAMES = {name: (kind, written(content)) for kind in BODIES for name, content in BODIES[kind].items()}
OTHERS = [f"o/{name}" for name in BODIES[Kind.OTHER]]
BROKEN = [f"o/{name}" for name in BODIES[Kind.UNREADABLE]]
READABLE = [f"o/{name}" for kind in (Kind.STATE, Kind.ENCRYPTED) for name in BODIES[kind]]


def put_all(world: World, *kinds: Kind) -> None:
    for name, (kind, body) in NAMES.items():
        if kind in kinds:
            world.old.put(body, f"o/{name}", digest=False)


def run(world: World, module: str, **params: Any) -> dict[str, Any]:
    old = {"region": world.old.region, "bucket": world.old.bucket, "table": world.old.table}
    connection = {"endpoint_url": world.relay.url, "access_key": "test", "secret_key": "test"}
    (result,) = through_core([Task(module, {**connection, **old, **params})])
    return result


def untouched(world: World, path: str) -> bool:
    return not world.old.locks(path) and world.old.mark(path) is None and not world.new.bodies(path)


def test_a_move_of_a_bucket_leaves_alone_what_is_not_a_state(world: World) -> None:
    put_all(world, Kind.OTHER, Kind.STATE, Kind.ENCRYPTED)
    plan = world.moved(key=None, check_mode=True)
    result = world.moved(key=None)
    assert [row["path"] for row in result["skipped_objects"]] == sorted(OTHERS)
    assert plan["skipped_objects"] == result["skipped_objects"] and SECRET not in str(result)
    counts = result["progress"]
    assert (counts["skipped"], counts["failed"]) == (len(OTHERS), 0)
    assert (counts["states"], counts["moved"]) == (len(READABLE), len(READABLE))
    assert all(untouched(world, path) for path in OTHERS)
    assert all(world.old.locks(path) and world.old.mark(path) for path in READABLE)
    (warning,) = [text for text in result["warnings"] if "skipped, as" in text]
    assert warning.startswith(f"skipped, as it is not a state: {sorted(OTHERS)[0]}, ")
    assert warning.endswith(f" and {len(OTHERS) - 5} more")
    assert not world.moved(key=None)["changed"]


def test_a_move_of_a_bucket_fails_for_what_may_be_a_state(world: World) -> None:
    put_all(world, Kind.UNREADABLE)
    world.old.put(state())
    result = world.move(key=None)
    assert result["failed"] and result["skipped_objects"] == []
    assert result["progress"]["failed"] == len(BROKEN) and result["progress"]["moved"] == 1
    assert all(untouched(world, path) for path in BROKEN)


# What makes a state known for one, whatever it holds.


def _digest(world: World, key: str) -> None:
    world.old.put(b"<html></html>", key)


def _malformed_digest(world: World, key: str) -> None:
    item = {"LockID": {"S": f"{world.old.bucket}/{key}-md5"}, "Digest": {"S": "x"}}
    world.old.dynamodb.put_item(TableName=world.old.table, Item=item)


def _table_lock(world: World, key: str) -> None:
    world.old.lock(key)


def _lock_file(world: World, key: str) -> None:
    world.old.put(b"{}", f"{key}.tflock", digest=False)


def _nothing(_world: World, _key: str) -> None:
    pass


KNOWN = {
    "a digest": ("o/page", _digest),
    "a digest that clients ignore": ("o/page", _malformed_digest),
    "a lock in the table": ("o/page", _table_lock),
    "a lock file": ("o/page", _lock_file),
    "the suffix": ("o/page.tfstate", _nothing),
    "a workspace": ("env:/dev/o/page", _nothing),
}


@pytest.mark.parametrize("how", KNOWN)
def test_what_is_known_for_a_state_is_never_left_alone(world: World, how: str) -> None:
    path, mark = KNOWN[how]
    world.old.put(b"<html></html>", path, digest=False)
    world.old.put(state())
    mark(world, path)
    result = world.move(key=None)
    assert result["failed"] and f"{path} cannot be moved" in result["msg"] and result["skipped_objects"] == []
    assert result["msg"].endswith("; restore a version of it (tf_state_version), or leave it out (keys)")
    assert result["progress"]["moved"] == 1
    found = run(world, "tf_backend_info")["backend"]
    assert found["others"] == []
    assert {row["path"]: row["is_readable"] for row in found["states"]} == {path: False, KEY: True}
    findings = run(world, "tf_backend_audit")["findings"]
    assert [each["severity"] for each in findings if each["id"] == "state.unreadable"] == ["high"]
    assert run(world, "tf_state_digest")["progress"]["foreign"] == 0


def test_a_key_that_was_asked_for_is_never_left_alone(world: World) -> None:
    world.old.put(b'{"version": 3, "sources": []}', "app.json", digest=False)
    result = world.move(key="app.json")
    assert result["failed"] and "it has no modules; restore a version of it" in result["msg"]
    assert untouched(world, "app.json")


def test_what_cannot_be_looked_up_is_not_left_alone(world: World) -> None:
    world.old.put(b"<html></html>", "o/page", digest=False)
    world.old.put(state())
    world.relay.on("GetObject", reply=denied_of("page.tflock"), times=99)
    result = world.move(key=None)
    assert result["failed"] and result["skipped_objects"] == []


def test_an_empty_object_is_named_and_not_left_out_in_silence(world: World) -> None:
    world.old.put(b"", "o/empty", digest=False)
    world.old.put(state())
    result = world.moved(key=None)
    assert [text for text in result["warnings"] if text.endswith("not moved: o/empty")]
    assert result["skipped_objects"] == []
    assert {row["path"]: row["is_readable"] for row in run(world, "tf_backend_info")["backend"]["states"]} == {
        "o/empty": False,
        KEY: True,
    }


def test_an_audit_has_no_finding_about_what_is_not_a_state(world: World) -> None:
    put_all(world, *BODIES)
    found = run(world, "tf_backend_info")["backend"]
    assert found["others"] == sorted(OTHERS)
    readable = {row["path"]: row["is_readable"] for row in found["states"]}
    assert readable == dict.fromkeys(READABLE, True) | dict.fromkeys(BROKEN, False)
    findings = run(world, "tf_backend_audit")["findings"]
    assert {each["resource"] for each in findings if each["id"] == "state.unreadable"} == {*BROKEN}
    assert not {each["resource"] for each in findings} & {*OTHERS}


def test_versions_of_what_is_not_a_state_are_no_runs(world: World) -> None:
    world.old.put(state())
    for number in range(4):
        world.old.put(json.dumps({"version": 3, "sources": [number]}).encode(), "app.js.map", digest=False)
    usage = run(world, "tf_backend_info")["backend"]["usage"]
    assert (usage["state_writes"], usage["version_count"]) == (1, 5)


def test_digests_are_written_for_states_alone(world: World) -> None:
    put_all(world, Kind.OTHER, Kind.STATE)
    result = run(world, "tf_state_digest")
    counts = result["progress"]
    bare = {f"o/{name}" for name, content in BODIES[Kind.STATE].items() if not {*STAMP} <= {*content}}
    assert {row["path"] for row in result["states"] if row["problem"]} == {*OTHERS} | bare
    assert (counts["foreign"], counts["failed"]) == (len(OTHERS), len(bare))
    assert not [path for path in OTHERS if world.old.digest(path)]


def test_a_damaged_state_fails_a_rebuild_of_digests(world: World) -> None:
    put_all(world, Kind.UNREADABLE)
    counts = run(world, "tf_state_digest")["progress"]
    assert (counts["foreign"], counts["failed"], counts["written"]) == (0, len(BROKEN), 0)


def test_a_teardown_counts_every_object(world: World, tmp_path: Any) -> None:
    put_all(world, *BODIES)
    backend = backups.World(world.relay, world.old, tmp_path)
    counts = backend.done("tf_backend_teardown", check_mode=True)["destroys"]["counts"]
    assert (counts["states"], counts["objects"]) == (len(READABLE), len(OTHERS) + len(BROKEN))


def test_a_bucket_with_nothing_but_objects_of_others_is_not_deleted_without_a_word(world: World, tmp_path: Any) -> None:
    put_all(world, Kind.OTHER)
    backend = backups.World(world.relay, world.old, tmp_path)
    backend.refused("tf_backend_teardown", f"{len(OTHERS)} ", allow=None)


@pytest.mark.parametrize(
    ("body", "stops"), [(b"28b36030a7887f4c55d8ea4c7670499a", False), (state(), True), (b"", True)]
)
def test_a_checksum_beside_a_file_does_not_keep_from_a_lock_mode(world: World, body: bytes, stops: bool) -> None:
    world.old.put(state())
    world.old.put(body, "dist/app.zip-md5", digest=False)
    result = run(world, "tf_lock_mode", lock_mode="lockfile", observe_seconds=0, allow=["unseen_code"])
    assert bool(result.get("failed")) is stops, result["msg"]
    assert ("would be taken for the digest" in result.get("msg", "")) is stops

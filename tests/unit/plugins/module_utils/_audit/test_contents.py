# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit sees in the objects of a bucket: damage in long states, and states that are none any more."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.contents import BEHIND_LOCK, LOCK_FIRST
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.inspection_client import InspectionClient
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.inspection import TAIL_BYTES
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.listing import HEAD_BYTES
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_document import head_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_parser import may_end_state
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.http_relay import Answer
from tests.support.relay import Call as Sent
from tests.support.relay import Proceed, error
from tests.unit.plugins.module_utils._audit.test_unseen import KEY, Backend
from tests.unit.plugins.module_utils.fake_backend import FakeBackend

HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
ABOUT = {"version": 4, "terraform_version": "1.11.4", "serial": 4, "lineage": "2d29fd45", "outputs": {}}


def written(resources: int = 1, size: int = 0, indent: int | None = 2) -> bytes:
    """A state as Terraform writes it, or without indentation."""
    instance = {"schema_version": 0, "attributes": {"id": "é", "data": ["x" * 60] * (size // 60), "tags": {"a": "{}"}}}
    one = {"mode": "managed", "type": "null_resource", "name": "a", "instances": [instance]}
    content = {**ABOUT, "resources": [one] * resources, "check_results": None}
    return json.dumps(content, indent=indent, ensure_ascii=False).encode() + b"\n"


LONG = written(size=3 * HEAD_BYTES)
COMPACT = written(size=3 * HEAD_BYTES, indent=None)
WHOLE = {
    "a long state": LONG,
    "a long state without indentation": COMPACT,
    "a state a little longer than its head": written(size=HEAD_BYTES),
    "with line breaks of Windows": LONG.replace(b"\n", b"\r\n"),
    "that ends in a form of somebody's": LONG.rstrip()[:-2] + b"}",
}
DAMAGED = {
    "cut off in a value": LONG[:-200],
    "cut off behind a brace": LONG[: LONG.rindex(b"  }") + 3],
    "cut off long before its end": LONG[: 2 * HEAD_BYTES],
    "without its last brace": LONG.rstrip()[:-1],
    "followed by something": LONG + b"<html>",
    "followed by another": LONG + written(0),
    "with zeros at its end": LONG[:-100] + bytes(100),
    "with garbage at its end": LONG[:-500] + b"\xff\xfe" * 200 + LONG[-100:],
    "without indentation, cut off": COMPACT[:-200],
    "without indentation, followed by another": COMPACT + written(0, indent=None),
}


@pytest.mark.parametrize("table", ["tf-locks", None])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_long_state_that_is_damaged_at_its_end_is_found(fake: FakeBackend, table: str | None, case: str) -> None:
    backend = Backend(fake, table)
    backend.put(KEY, DAMAGED[case])
    assert backend.found() == {f"state.unreadable {KEY}": "high"}


@pytest.mark.parametrize("case", WHOLE)
def test_a_long_state_that_is_whole_costs_one_more_request(fake: FakeBackend, case: str) -> None:
    backend = Backend(fake, None)
    assert backend.found() == {}
    before = len(fake.relay.calls)
    backend.put(KEY, WHOLE[case])
    assert backend.found() == {}
    odd = 1 if "somebody's" in case else 0
    assert len(fake.relay.calls) == before + 1 + odd
    reads = [each.call.params.get("Range") for each in fake.relay.calls if each.operation.name == "GetObject"]  # type: ignore[attr-defined]
    size = len(WHOLE[case])
    assert reads[:2] == [f"bytes=0-{HEAD_BYTES - 1}", f"bytes={size - TAIL_BYTES}-{size - 1}"]


@settings(max_examples=200, deadline=None)
@given(st.integers(HEAD_BYTES + 1, len(LONG) - 3), st.booleans())
def test_no_cut_of_an_indented_state_looks_like_its_end(cut: int, has_break: bool) -> None:
    body = LONG[:cut] + b"\n" * has_break
    assert head_of(LONG[:HEAD_BYTES]) is not None
    assert not may_end_state(LONG[:HEAD_BYTES], body[-TAIL_BYTES:])


MIDDLE = len(LONG) // 2
INSIDE = {"garbage": LONG[:MIDDLE] + b"\x00\x01" + LONG[MIDDLE + 2 :], "the end of another": LONG + LONG}


@pytest.mark.parametrize("case", INSIDE)
def test_damage_in_the_middle_is_found_by_a_full_check(fake: FakeBackend, case: str) -> None:
    backend = Backend(fake, None)
    backend.fake.buckets[backend.bucket].objects.clear()
    backend.put(KEY, INSIDE[case])
    assert backend.found() == {}
    assert backend.found(check_states="full") == {f"state.unreadable {KEY}": "high"}
    reads = [each for each in fake.relay.calls if each.operation.name == "GetObject"]
    assert len(reads) == 1


def test_a_full_check_ends_with_its_time(fake: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend(fake, None)
    backend.put(KEY, LONG)
    take = InspectionClient._take_in_time

    def slowly(aws: Any, *arguments: Any) -> None:
        aws._end = 0  # as if the last piece had taken all that was left
        take(aws, *arguments)

    monkeypatch.setattr(InspectionClient, "_take_in_time", slowly)
    assert backend.found(check_states="full")["audit.unknown states"] == "high"


@pytest.mark.parametrize("body", [HTML, b'{"message": "Forbidden"}', b""], ids=["HTML", "JSON", "nothing"])
def test_a_state_without_suffix_that_was_overwritten_is_found_by_its_versions(fake: FakeBackend, body: bytes) -> None:
    backend = Backend(fake, None)
    for each in (written(), body, body):
        backend.put("app/prod", each)
    for each in (b'{"name": "app", "version": "1.0"}', b"# README"):
        backend.put("dist/package", each)
    backend.put("dist/page", HTML)
    assert backend.found() == {"state.unreadable app/prod": "high"}
    (found,) = backend.audit(name="prod")["findings"]
    (whole,) = [each["VersionId"] for each in fake.buckets[backend.bucket].objects if each["Body"] == written()]
    assert f'"terraform_backend_restore_version_version_id": "{whole}"' in found["fix"] and whole in found["detail"]


def deleted(backend: Backend, key: str, *bodies: bytes) -> None:
    for body in bodies:
        backend.fake.client("s3").put_object(Bucket=backend.bucket, Key=key, Body=body)
    backend.fake.client("s3").delete_object(Bucket=backend.bucket, Key=key)


@pytest.mark.parametrize("table", ["tf-locks", None])
def test_a_deleted_state_is_as_bad_as_what_it_held(fake: FakeBackend, table: str | None) -> None:
    backend = Backend(fake, table)
    deleted(backend, "held.tfstate", written(2))
    deleted(backend, "held", written(1), HTML)
    deleted(backend, "long.tfstate", LONG)
    deleted(backend, "env:/dev/destroyed", written(3), written(0))
    deleted(backend, "broken.tfstate", HTML)
    deleted(backend, "dist/page.html", HTML)
    deleted(backend, "a.tfstate.tflock", b"{}")
    result = backend.audit(name="prod")
    found = {each["resource"]: each for each in result["findings"]}
    assert {each["id"] for each in found.values()} == {"state.deleted"}
    assert {name: each["severity"] for name, each in found.items()} == {
        **dict.fromkeys(("held.tfstate", "held", "long.tfstate", "broken.tfstate"), "high"),
        "env:/dev/destroyed": "info",
    }
    assert found["held.tfstate"]["detail"] == "Its newest version is a delete marker. It held 2 resources."
    assert "restore_version" in found["held.tfstate"]["fix"] and found["held"]["runbook"].endswith("deleted-state.md")
    assert result["backend"]["counts"]["states"] == 1


def denied_by_version(call: Sent, proceed: Proceed) -> Answer:
    is_version = "VersionId" in call.call.params  # type: ignore[attr-defined]
    return error("AccessDenied", 403)(call, proceed) if is_version else proceed()


def test_versions_that_may_not_be_read_hide_states(fake: FakeBackend) -> None:
    backend = Backend(fake, None)
    backend.put("app/prod", written())
    backend.put("app/prod", HTML)
    fake.relay.on("GetObject", reply=denied_by_version, times=math.inf)
    assert backend.found() == {"audit.unknown versions": "high"}


def lock(age: timedelta) -> str:
    created = f"{datetime.now(timezone.utc) - age:%Y-%m-%dT%H:%M:%SZ}"
    return marshal(LockInfo("b1c0", "OperationTypeApply", "", "ana@laptop", "1.11.4", created, f"tf-states/{KEY}"))


HELD = {
    "a stale lock": (lock(timedelta(hours=5)), {f"lock.stale {KEY} (table)": "high"}),
    "a wedged lock": ("do not touch", {f"lock.wedged {KEY} (table)": "high"}),
    "a lock of unknown age": (
        lock(timedelta(0)).replace('"Created":"2', '"Created":"0001-01-01T00:00:00Z","Old":"2'),
        {f"lock.unknown_age {KEY} (table)": "medium"},
    ),
}


@pytest.mark.parametrize("case", HELD)
def test_a_lock_that_was_left_behind_hides_no_digest_that_does_not_match(fake: FakeBackend, case: str) -> None:
    text, expected = HELD[case]
    backend = Backend(fake, "tf-locks")
    items = fake.client("dynamodb")
    items.put_item(TableName="tf-locks", Item={"LockID": {"S": f"tf-states/{KEY}"}, "Info": {"S": text}})
    assert backend.found() == expected
    fake.client("s3").put_object(Bucket="tf-states", Key=KEY, Body=written())
    assert backend.found() == {**expected, f"digest.mismatch {KEY}": "high"}
    (found,) = [each for each in backend.audit(name="prod")["findings"] if each["id"] == "digest.mismatch"]
    assert BEHIND_LOCK in found["detail"] and found["fix"] == LOCK_FIRST
    fake.client("s3").delete_object(Bucket="tf-states", Key=KEY)
    assert backend.found() == {**expected, f"digest.deleted {KEY}": "high"}


def test_a_digest_may_be_late_while_its_client_is_at_work(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    item = {"LockID": {"S": f"tf-states/{KEY}"}, "Info": {"S": lock(timedelta(minutes=1))}}
    fake.client("dynamodb").put_item(TableName="tf-locks", Item=item)
    fake.client("s3").put_object(Bucket="tf-states", Key=KEY, Body=written())
    assert backend.found() == {}

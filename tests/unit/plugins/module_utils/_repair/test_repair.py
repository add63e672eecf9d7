# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A digest is made to fit its state, and a version of a state is restored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state import history
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform import state_parser as reading
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.test_state_repair import DIGEST, KEY, LINEAGE, VERSION, Backend, backend, md5, state
from tests.support.relay import error, lose_reply

__all__ = ["backend"]

BROKEN: dict[str, tuple[dict[str, Any] | None, str]] = {
    "of something else": ({"Digest": {"S": "0" * 32}}, "mismatch"),
    "of something else, in a table with more in it": ({"Digest": {"S": "A" * 32}, "Note": {"S": "x"}}, "mismatch"),
    "no digest": ({"Digest": {"S": "none of your business"}}, "malformed"),
    "no text": ({"Digest": {"N": "7"}}, "malformed"),
    "nothing in it": ({}, "malformed"),
    "missing": (None, "missing"),
}


@pytest.mark.parametrize(("attributes", "status"), BROKEN.values(), ids=list(BROKEN))
def test_a_digest_is_made_to_fit_the_state(backend: Backend, attributes: dict[str, Any] | None, status: str) -> None:
    backend.put(state(1, "a"), state(2, "a", "b"))
    if attributes is not None:
        backend.item(**attributes)
    result = backend.done(DIGEST)
    assert (result["changed"], result["status"], result["serial"]) == (True, status, 2)
    assert result["diff"]["after"] == f"{md5(state(2, 'a', 'b'))}\n"
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(2, "a", "b"))}}}


def test_a_digest_that_fits_is_left_alone_whatever_its_case_and_no_lock_is_taken(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest(md5(state(1, "a")).upper())
    before = backend.all
    assert backend.done(DIGEST)["changed"] is False
    assert backend.all == before
    assert not [call for call in backend.relay.calls if call.name in ("PutObject", "PutItem")]


def test_a_deleted_state_is_undeleted_before_its_digest_is_touched(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.delete()
    for asked in ({}, {"allow": ["accept_state"]}, {"state": "absent"}):
        assert "undelete it first (tf_state_version with state: undeleted)" in backend.refused(DIGEST, **asked)
    result = backend.done(VERSION, state="undeleted")
    assert (result["serial"], result["added"]) == (1, ["terraform_data.a"])
    assert backend.body == state(1, "a")
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(1, "a"))}}}


def test_a_digest_without_a_state_goes_only_by_word(backend: Backend) -> None:
    backend.put_digest("0" * 32)
    assert "nor any version of it" in backend.refused(DIGEST)
    said = backend.refused(DIGEST, state="absent")
    assert "restore the state from a backup" in said and "forget_state" not in said
    result = backend.done(DIGEST, state="absent", allow=["forget_state"])
    assert (result["status"], backend.items) == ("orphan", {})


HISTORIES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "another lineage": ((state(1, "a"), state(2, "a", lineage="other")), "its lineage is other"),
    "the serial of another version": (
        (state(1), state(2, "a"), state(2, "b")),
        "has the same serial and other content: two clients wrote without seeing each other's lock",
    ),
    "a serial that went back": ((state(1), state(7, "a"), state(3, "a"), state(5)), "its serial is 5"),
}


@pytest.mark.parametrize(("bodies", "said"), HISTORIES.values(), ids=list(HISTORIES))
def test_a_state_that_does_not_agree_with_its_history_is_accepted_only_by_word(
    backend: Backend, bodies: tuple[bytes, ...], said: str
) -> None:
    backend.put(*bodies)
    backend.put_digest("0" * 32)
    refusal = backend.refused(DIGEST)
    assert said in refusal and "allow: [accept_state]" in refusal
    assert backend.done(DIGEST, allow=["accept_state"])["digest"] == md5(bodies[-1])


def test_of_two_writers_that_is_named_whose_digest_it_is(backend: Backend) -> None:
    (_first, theirs, _ours) = backend.put(state(1), state(2, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "a")))
    assert f"an older version, {theirs}, which the digest is of, has the same serial" in backend.refused(DIGEST)


def test_a_version_that_was_written_twice_is_no_other(backend: Backend) -> None:
    backend.put(state(1), state(2, "a"), state(1), state(2, "a"))
    backend.put_digest("0" * 32)
    assert backend.done(DIGEST)["digest"] == md5(state(2, "a"))


@pytest.mark.parametrize("body", [b"", b"not a state", state(2, "a")[:-40], b"{}"])
def test_what_is_no_state_gets_no_digest_whatever_is_allowed(backend: Backend, body: bytes) -> None:
    (whole, _unused) = backend.put(state(1, "a"), body)
    backend.put_digest(md5(state(1, "a")))
    assert "restore a version" in backend.refused(DIGEST, allow=["accept_state"])
    result = backend.done(VERSION, state="restored", version_id=whole)
    assert (result["serial_before"], result["serial"]) == (None, 2)
    assert backend.body == state(2, "a")


@pytest.mark.aws("7.1")
@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_whoever_holds_the_lock_is_named_and_nothing_is_done(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    info = LockInfo("008fc466", "OperationTypeApply", "", "ann@runner-7", "1.11.4", "2026-01-02T03:04:05Z", "x")
    backend.item(suffix="", Info={"S": marshal(info)})
    before = backend.all
    result = backend.task(module, **asked)
    assert result["failed"] and "is locked by ann@runner-7" in result["msg"] and "tf_state_lock" in result["msg"]
    assert backend.all == before
    assert "is not locked under 008fc466 in its file" in backend.refused(module, lock_id="008fc466", **asked)
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{KEY}.tflock", Body=marshal(info).encode())
    assert backend.task(module, lock_id="008fc466", **asked)["changed"]
    assert KEY in backend.items and backend.lock_files, "the lock was the operator's, and is kept"


@pytest.mark.parametrize("operation", ["PutItem", "PutObject"])
def test_a_reply_that_is_lost_on_the_way_is_made_out(backend: Backend, operation: str) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "b")))
    rule = backend.relay.on(operation, reply=lose_reply, times=4)
    assert backend.task(VERSION, state="restored", version_id=first)["changed"]
    assert rule.fired
    assert backend.body == state(3, "a")
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(3, "a"))}}}


@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_a_lock_that_cannot_be_released_is_named_with_what_was_done(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.relay.on("DeleteItem", reply=error("AccessDeniedException"), times=9)
    result = backend.task(module, **asked)
    (lock,) = [json.loads(item["Info"]["S"]) for item in backend.items.values() if "Info" in item]
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:DeleteItem" in result["msg"] and "done before: digest written" in result["msg"]
    assert f"the lock {lock['ID']} of {KEY} may still be held" in result["msg"]


def test_two_versions_are_compared_by_addresses_whoever_holds_the_lock(backend: Backend) -> None:
    first, second, third = backend.put(state(1, "a", "b"), state(2, "b", "c"), state(3, "c"))
    info = LockInfo("008fc466", "OperationTypeApply", "", "ann@runner-7", "1.11.4", "2026-01-02T03:04:05Z", "x")
    backend.item(suffix="", Info={"S": marshal(info)})
    before = backend.all
    result = backend.task(VERSION, state="compared", version_id=first, with_version_id=second)
    assert (result["changed"], result["serial"], result["serial_before"]) == (False, 1, 2)
    assert (result["added"], result["removed"]) == (["terraform_data.a"], ["terraform_data.c"])
    assert f"has 1 resources that version {second} has not, and lacks 1 that it has" in result["msg"]
    assert result["diff"]["after"] == "serial 1\nterraform_data.a\nterraform_data.b\n"
    now = backend.task(VERSION, state="compared", version_id=third, table=None)
    assert (now["added"], now["removed"], now["digest"]) == ([], [], None)
    backend.delete()
    gone = backend.task(VERSION, state="compared", version_id=third)
    assert (gone["added"], gone["serial_before"]) == (["terraform_data.c"], None)
    assert backend.all[1] == before[1] and not [call for call in backend.relay.calls if call.is_write]


def test_a_version_of_a_deleted_state_is_restored(backend: Backend) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.delete()
    result = backend.done(VERSION, state="restored", version_id=first, table=None)
    assert (result["serial_before"], result["serial"], result["digest"]) == (None, 3, None)
    assert (backend.body, backend.items) == (state(3, "a"), {})


def test_another_lineage_is_restored_only_by_word(backend: Backend) -> None:
    (first, _unused) = backend.put(state(8, "a"), state(1, "b", lineage="other"))
    assert "allow: [change_lineage]" in backend.refused(VERSION, state="restored", version_id=first)
    backend.done(VERSION, state="restored", version_id=first, allow=["change_lineage"])
    assert backend.body == state(9, "a")


def test_a_restoration_that_was_cut_short_goes_on(backend: Backend) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "b")))

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDeniedException")(call, proceed) if b"-md5" in call.body else proceed()

    backend.relay.on("PutItem", reply=deny, times=2)
    result = backend.task(VERSION, state="restored", version_id=first)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:PutItem" in result["msg"] and "done before: state written" in result["msg"]
    assert backend.body == state(3, "a")
    result = backend.done(VERSION, state="restored", version_id=first)
    assert (result["serial"], backend.body) == (3, state(3, "a"))
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(3, "a"))}}}


def test_where_a_delete_marker_must_stay_a_copy_is_written_over_it(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.delete()

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDenied", 403)(call, proceed) if "versionId" in call.request.target else proceed()

    backend.relay.on("DeleteObject", reply=deny, times=3)
    result = backend.task(VERSION, state="undeleted")
    assert not result.get("failed"), result["msg"]
    assert "a copy was written over it" in result["warnings"][0]
    assert backend.body == state(1, "a")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown version": ({"state": "restored", "version_id": "none-such"}, "none-such"),
    "no version": ({"state": "restored"}, "version_id or src goes with state: restored"),
    "nothing to compare": ({"state": "compared"}, "version_id or src goes with state: restored and compared"),
    "two versions to restore": (
        {"state": "restored", "version_id": "x", "with_version_id": "y"},
        "with_version_id goes with state: compared",
    ),
    "unknown version to compare": ({"state": "compared", "version_id": "none-such"}, "none-such"),
    "a version to undelete": ({"state": "undeleted", "version_id": "x"}, "version_id or src goes with state: restored"),
    "another key": ({"state": "undeleted", "key": "app/two.tfstate"}, "there is no version of app/two.tfstate"),
}


@pytest.mark.parametrize(("asked", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_brought_back_is_said(backend: Backend, asked: dict[str, Any], said: str) -> None:
    backend.put(state(1, "a"))
    assert said in backend.refused(VERSION, **asked)


FAULTS: dict[str, tuple[str, Any, str]] = {
    "versions denied": ("ListObjectVersions", error("AccessDenied", 403), "needs s3:ListBucketVersions"),
    "version denied": ("GetObject", error("AccessDenied", 403), "needs s3:GetObjectVersion"),
    "digest denied": ("GetItem", error("AccessDeniedException"), "needs dynamodb:GetItem"),
    "another key": ("GetItem", error("ValidationException"), "it is no lock table"),
}


@pytest.mark.parametrize(("operation", "reply", "said"), FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_what_cannot_be_read_is_unknown_and_nothing_is_done(
    backend: Backend, module: str, asked: dict[str, Any], operation: str, reply: Any, said: str
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.relay.on(operation, reply=reply, times=20)
    assert said in backend.refused(module, **asked)


def test_a_state_too_large_to_be_held_is_undeleted_but_not_restored(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    monkeypatch.setattr(history, "LARGEST", 100)
    assert "would have to be held in memory" in backend.refused(VERSION, state="restored", version_id=first)
    backend.delete()
    backend.done(VERSION, state="undeleted")
    assert backend.body == state(2, "b")


def test_a_state_too_large_to_judge_is_undeleted_and_its_digest_mended_by_word(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = state(1, "x" * 600_000)
    backend.put(body)
    backend.delete()
    monkeypatch.setattr(reading, "LARGEST_VALUE", 100_000)
    assert backend.done(VERSION, state="undeleted", table=None)["serial"] is None
    backend.put_digest("0" * 32)
    assert "it is too large to judge" in backend.refused(DIGEST)
    assert backend.done(DIGEST, allow=["accept_state"])["digest"] == md5(body)


def encrypted(serial: int, data: str = "x", lineage: str = LINEAGE) -> bytes:
    """As OpenTofu encrypts one."""
    about = {"serial": serial, "lineage": lineage, "meta": {"key_provider.pbkdf2.this": "e30="}}
    return json.dumps({**about, "encrypted_data": data, "encryption_version": "v0"}).encode()


def test_what_opentofu_encrypted_is_undeleted_as_it_was(backend: Backend) -> None:
    (first,) = backend.put(encrypted(1))
    backend.delete()
    assert "a client encrypted it" in backend.refused(VERSION, state="compared", version_id=first)
    result = backend.done(VERSION, state="undeleted")
    assert (result["serial"], result["added"], result["removed"]) == (1, None, None)
    assert backend.body == encrypted(1)
    backend.put_digest("0" * 32)
    assert backend.done(DIGEST)["digest"] == md5(encrypted(1))


@pytest.mark.parametrize("bodies", [(encrypted(1),), (encrypted(7), encrypted(3))], ids=["newest", "serial went back"])
def test_an_encrypted_version_that_is_current_is_left_alone(backend: Backend, bodies: tuple[bytes, ...]) -> None:
    *_older, current = backend.put(*bodies)
    backend.put_digest(md5(bodies[-1]))
    before = backend.all
    result = backend.done(VERSION, state="restored", version_id=current)
    assert (result["changed"], result["serial"], backend.all) == (False, json.loads(bodies[-1])["serial"], before)
    backend.put_digest("0" * 32)
    assert backend.done(VERSION, state="restored", version_id=current)["digest"] == md5(bodies[-1])


OVERWRITTEN: dict[str, tuple[bytes, list[str]]] = {
    "by a plain one": (state(7, "a"), []),
    "by another encrypted one": (encrypted(7, "y"), []),
    "by an encrypted one of the same serial": (encrypted(3, "y"), []),
    "by one of another lineage": (state(7, "a", lineage="other"), ["change_lineage"]),
    "by what is no state": (b"not a state", []),
}


@pytest.mark.parametrize(("body", "words"), OVERWRITTEN.values(), ids=list(OVERWRITTEN))
def test_an_encrypted_state_that_was_overwritten_comes_back_by_word(
    backend: Backend, body: bytes, words: list[str]
) -> None:
    (first, second) = backend.put(encrypted(3), body)
    backend.put_digest(md5(body))
    said = backend.refused(VERSION, state="restored", version_id=first, allow=words)
    assert "encrypted by OpenTofu" in said and "allow: [reuse_serial] restores it byte for byte" in said
    assert "with the serial 3" in said and "delete all saved plans" in said
    if words:
        assert "allow: [change_lineage]" in backend.refused(
            VERSION, state="restored", version_id=first, allow=["reuse_serial"]
        )
    result = backend.done(VERSION, state="restored", version_id=first, allow=["reuse_serial", *words])
    assert (result["changed"], result["serial"], result["added"], result["removed"]) == (True, 3, None, None)
    assert "its resources are not known" in result["diff"]["after"]
    assert backend.body == encrypted(3)
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(encrypted(3))}}}
    assert second in backend.all[0], "what was current is still a version"


def test_a_version_that_can_be_given_a_new_serial_gets_one_although_it_may_keep_its_own(backend: Backend) -> None:
    (first, _unused) = backend.put(state(1, "a"), encrypted(7))
    result = backend.done(VERSION, state="restored", version_id=first, table=None, allow=["reuse_serial"])
    assert (result["serial"], result["removed"], backend.body) == (8, None, state(8, "a"))


def test_a_serial_that_stands_twice_is_kept_by_word(backend: Backend) -> None:
    twice = state(1, "a").replace(b'"serial": 1', b'"serial": 1, "SERIAL": 1')
    (first, _unused) = backend.put(twice, state(2, "b"))
    assert "names its serial 2 times" in backend.refused(VERSION, state="restored", version_id=first)
    backend.done(VERSION, state="restored", version_id=first, table=None, allow=["reuse_serial"])
    assert backend.body == twice


def test_a_restoration_byte_for_byte_that_was_cut_short_goes_on_without_the_word(backend: Backend) -> None:
    (first, _unused) = backend.put(encrypted(3), encrypted(7))
    backend.put_digest(md5(encrypted(7)))

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDeniedException")(call, proceed) if b"-md5" in call.body else proceed()

    backend.relay.on("PutItem", reply=deny, times=2)
    result = backend.task(VERSION, state="restored", version_id=first, allow=["reuse_serial"])
    assert (result["failed"], result["changed"], backend.body) == (True, True, encrypted(3))
    assert backend.done(VERSION, state="restored", version_id=first)["digest"] == md5(encrypted(3))


def test_nothing_is_written_over_what_somebody_wrote_without_the_lock(backend: Backend) -> None:
    (first, _unused) = backend.put(encrypted(3), encrypted(7))
    backend.put_digest(md5(encrypted(7)))

    def overwrite(call: Any, proceed: Any) -> Any:
        if call.request.target.endswith(KEY):
            rule.times = 0
            backend.put(encrypted(8))
        return proceed()

    rule = backend.relay.on("PutObject", reply=overwrite, times=9)
    result = backend.task(VERSION, state="restored", version_id=first, allow=["reuse_serial"])
    assert (result["failed"], result["changed"], backend.body) == (True, False, encrypted(8))
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(encrypted(7))}}}

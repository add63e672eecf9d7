# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks held and released by the module."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    marshal,
)

from tests.integration.test_state_lock import FREE, KEY, LOCK_FILE, Backend, apply, backend
from tests.support.relay import error, lose_reply, then

__all__ = ["apply", "backend"]


def test_another_workspace_has_a_lock_of_its_own(backend: Backend) -> None:
    held = backend.done("held", workspace="qa", workspace_key_prefix="teams")
    assert held["path"] == f"teams/qa/{KEY}"
    assert backend.holders == FREE
    assert backend.task("held", workspace="qa", workspace_key_prefix="teams")["failed"]


@pytest.mark.parametrize(("file", "table"), [(True, True), (True, False), (False, True)])
def test_the_holder_is_shown_and_released_by_its_id_alone(
    backend: Backend, apply: LockInfo, file: bool, table: bool
) -> None:
    backend.lock(apply, file, table)
    for said in (backend.refused("released"), backend.refused("held"), backend.refused("released", lock_id="other")):
        assert f"{KEY} is locked by ann@runner-7 since 2026-01-02T03:04:05.6Z (OperationTypeApply, 1.11.4; " in said
        assert apply.id in said
    result = backend.done("released", lock_id=apply.id)
    assert backend.holders == FREE
    assert [each["who"] for each in result["before"]] == ["ann@runner-7"] * (file + table)
    assert (result["changed"], result["after"]) == (True, [])


def test_nothing_is_held_under_a_hash(backend: Backend) -> None:
    assert "names a lock by the hash of its id" in backend.refused("held", lock_id="sha256:0123456789ab")
    assert "is not UTF-8 once decoded" in backend.refused("held", key="a%ff", key_is_url_encoded=True)


def test_of_two_locks_only_the_one_that_is_named_goes(backend: Backend, apply: LockInfo) -> None:
    backend.lock(apply, table=False)
    backend.done("held", table=None, lock_id=apply.id)
    backend.item(Info={"S": marshal(apply).replace("008f", "118f")})
    result = backend.done("released", lock_id=apply.id)
    assert backend.holders[0] is None
    assert [each["lock_id"][:4] for each in result["after"]] == ["118f"]
    assert "is locked by ann@runner-7" in result["msg"]


def test_age_decides_if_it_is_asked_to(backend: Backend, apply: LockInfo) -> None:
    backend.lock(apply, file=False)
    assert backend.done("released", older_than="5200w")["changed"] is False
    assert backend.holders != FREE
    assert "is locked by" in backend.refused("released", older_than="1h", lock_id="other")
    assert backend.done("released", older_than="1d12h")["changed"] is True
    assert backend.holders == FREE


def test_a_lock_in_both_stores_is_as_old_as_the_younger_of_them(backend: Backend, apply: LockInfo) -> None:
    """The clock of the client may be wrong by years; the file is young, and says so."""
    backend.lock(apply)
    result = backend.done("released", older_than="1d")
    assert result["changed"] is False
    assert len(backend.holders) == 2 and None not in backend.holders
    assert {each["age_s"] < 3600 for each in result["before"]} == {True}


STATE = json.dumps({"version": 4, "serial": 1, "lineage": "a", "resources": []}).encode()


@pytest.mark.parametrize("which", [{"older_than": "0"}, {}, {"lock_id": "etag"}])
def test_a_state_under_the_name_of_a_lock_file_is_never_released(backend: Backend, which: dict[str, str]) -> None:
    etag = backend.s3.put_object(Bucket=backend.bucket, Key=LOCK_FILE, Body=STATE)["ETag"].strip('"')
    said = backend.refused("released", **{name: etag if value == "etag" else value for name, value in which.items()})
    assert "a state under the name of a lock file" in said and "a state is never released" in said
    assert backend.s3.get_object(Bucket=backend.bucket, Key=LOCK_FILE)["Body"].read() == STATE


@pytest.mark.parametrize("created", [None, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_lock_of_an_unknown_time_is_never_old_enough(backend: Backend, created: str | None) -> None:
    record = {"ID": "1", "Operation": "plan", "Who": "ann@ci", **({"Created": created} if created else {})}
    backend.item(Info={"S": json.dumps(record)})
    said = backend.refused("released", older_than="1s")
    assert "since an unknown time" in said and "older_than cannot judge it" in said
    (seen,) = backend.task("released")["before"]
    assert (seen["created"], seen["age_s"]) == (None, None)
    backend.done("released", lock_id="1")
    assert backend.holders == FREE


WEDGED_ITEMS: dict[str, tuple[dict[str, Any], str]] = {
    "without Info": ({}, "it has no Info"),
    "Info no text": ({"Info": {"N": "7"}}, "it has no Info"),
    "not JSON": ({"Info": {"S": "held by Bob"}}, "it is not JSON"),
}


@pytest.mark.parametrize(("attributes", "reason"), WEDGED_ITEMS.values(), ids=list(WEDGED_ITEMS))
def test_a_wedged_item_is_shown_and_released_as_it_was_seen(
    backend: Backend, attributes: dict[str, Any], reason: str
) -> None:
    backend.item(**attributes)
    assert f"no client can read or release ({reason}; table, lock id " in backend.refused("released")
    assert "nothing says since when the lock in the table is held" in backend.refused("released", older_than="1s")
    (seen,) = backend.task("released")["before"]
    assert (seen["is_wedged"], seen["who"], seen["problem"]) == (True, None, reason)
    backend.item(Info={"S": "somebody else's"})
    assert "left alone" in backend.refused("released", lock_id=seen["lock_id"])
    backend.item(**attributes)
    backend.done("released", lock_id=seen["lock_id"])
    assert backend.holders == FREE


def test_the_fence_of_a_state_that_moved_never_grows_too_old(backend: Backend, apply: LockInfo) -> None:
    backend.lock(replace(apply, operation="tf_state_move"))
    assert "protects the source of a state that moved" in backend.refused("released", older_than="1s")
    assert backend.done("released", lock_id=apply.id)["changed"]


@pytest.mark.parametrize("body", [b"", b"held by Bob", b"\xff\xfe\x00"])
def test_a_wedged_file_is_shown_and_released_as_it_was_seen(backend: Backend, body: bytes) -> None:
    backend.put(body)
    (seen,) = backend.task("released")["before"]
    assert seen["is_wedged"]
    assert "Bob" not in json.dumps(seen)
    backend.put(b"another")
    assert "left alone" in backend.refused("released", lock_id=seen["lock_id"])
    backend.put(body)
    backend.done("released", lock_id=f'"{seen["lock_id"]}"')
    assert backend.holders == FREE


@pytest.mark.parametrize("operation", ["PutObject", "PutItem", "DeleteObject", "DeleteItem"])
def test_a_reply_that_is_lost_on_the_way_is_made_out(backend: Backend, operation: str) -> None:
    """botocore sends the request again, whose condition then fails: on our own lock."""
    rule = backend.relay.on(operation, reply=lose_reply)
    held = backend.done("held")
    assert held["changed"]
    assert backend.done("released", lock_id=held["lock_id"])["changed"]
    assert rule.fired == 1
    assert backend.holders == FREE


def test_the_file_is_given_back_if_the_table_refuses(backend: Backend) -> None:
    backend.relay.on("PutItem", reply=error("AccessDeniedException"))
    result = backend.task("held")
    assert (result["failed"], result["changed"]) == (True, False)
    assert f"put_item on {backend.table}: AccessDeniedException; needs dynamodb:PutItem" in result["msg"]
    assert backend.holders == FREE


def test_a_release_that_fails_half_way_says_what_was_done(backend: Backend, apply: LockInfo) -> None:
    backend.lock(apply)
    backend.relay.on("DeleteItem", reply=error("AccessDeniedException"))
    result = backend.task("released", lock_id=apply.id)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:DeleteItem" in result["msg"]
    assert [each["store"] for each in result["after"]] == ["table"]
    assert backend.holders[0] is None and backend.holders[1] is not None


def test_who_takes_the_lock_just_before_us_is_shown(backend: Backend, apply: LockInfo) -> None:
    backend.relay.on("GetItem", reply=then(lambda _call: backend.lock(apply, file=False)))
    result = backend.task("held")
    assert result["failed"]
    assert "is locked by ann@runner-7" in result["msg"]
    assert (backend.holders[0], "ann@runner-7" in str(backend.holders[1])) == (None, True)


DENIED_KEY = (
    "User: arn:aws:iam::111122223333:user/x is not authorized to perform: kms:Decrypt on the resource associated with "
    "this ciphertext because no identity-based policy allows the kms:Decrypt action"
)


FAULTS: dict[str, tuple[str, Any, str]] = {
    "key denied": ("GetObject", error("AccessDenied", 403, DENIED_KEY), "needs kms:Decrypt on its KMS key"),
    "file denied": ("GetObject", error("AccessDenied", 403), "AccessDenied; needs s3:GetObject"),
    "item denied": ("GetItem", error("AccessDeniedException"), "needs dynamodb:GetItem"),
}


@pytest.mark.parametrize(("operation", "reply", "said"), FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize("state", ["held", "released"])
def test_a_lock_that_cannot_be_read_is_unknown_and_nothing_is_done(
    backend: Backend, apply: LockInfo, state: str, operation: str, reply: Any, said: str
) -> None:
    backend.lock(apply)
    backend.relay.on(operation, reply=reply, times=2)
    assert said in backend.refused(state, lock_id=apply.id)

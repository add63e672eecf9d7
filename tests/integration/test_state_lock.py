# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks held and released by the module, as another client of AWS sees them, on every emulator."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.commands import is_plain
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import is_printable, printable_lines
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    is_canonical,
    marshal,
)

from tests.integration.module_runs import Result, RunTasks, Task, through_core
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, error, lose_reply, then

KEY = "app/one.tfstate"
LOCK_FILE = f"{KEY}.tflock"


@dataclass
class Backend:
    """A bucket and a table, and an independent look into them."""

    relay: Relay
    emulator: RunningEmulator
    bucket: str
    table: str

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.make_table(self.table, "LockID")

    def make_table(self, name: str, key: str) -> None:
        self.dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def as_task(self, state: str, check_mode: bool = False, **params: Any) -> Task:
        connection = {"endpoint_url": self.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
        asked = {"bucket": self.bucket, "table": self.table, "key": KEY, "state": state, **connection, **params}
        return Task("tf_state_lock", {name: value for name, value in asked.items() if value is not None}, check_mode)

    def task(self, state: str, check_mode: bool = False, **params: Any) -> Result:
        """The same in check mode, which writes nothing."""
        before = self.holders
        (result,) = through_core([self.as_task(state, check_mode, **params)])
        assert not check_mode or self.holders == before
        return result

    def done(self, state: str, **params: Any) -> Result:
        result = self.task(state, **params)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, state: str, **params: Any) -> str:
        """The sentence of a task that fails, alike in check mode, and leaves every lock alone."""
        before = self.holders
        results = [self.task(state, check_mode, **params) for check_mode in (True, False)]
        assert [(each["failed"], each["changed"]) for each in results] == [(True, False)] * 2
        first, second = (re.sub(", for [^,)]*", "", each["msg"]) for each in results)  # a second may pass
        assert first == second
        assert self.holders == before
        return str(results[0]["msg"])

    def lock(self, info: LockInfo, file: bool = True, table: bool = True) -> None:
        """As a client would."""
        if file:
            self.put(marshal(info).encode())
        if table:
            self.item(Info={"S": marshal(info)})

    def put(self, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=LOCK_FILE, Body=body)

    def item(self, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=self.table, Item={"LockID": {"S": f"{self.bucket}/{KEY}"}, **attributes})

    @property
    def holders(self) -> tuple[str | None, Any]:
        """What the file says, and the item."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=LOCK_FILE).get("Contents", [])
        bodies = [self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in listed]
        answer = self.dynamodb.get_item(TableName=self.table, Key={"LockID": {"S": f"{self.bucket}/{KEY}"}})
        return bodies[0].decode("utf-8", "replace") if bodies else None, answer.get("Item")


FREE = (None, None)


@pytest.fixture
def backend(relay: Relay, emulator: RunningEmulator, bucket_name: str, table_name: str) -> Backend:
    return Backend(relay, emulator, bucket_name, table_name)


@pytest.fixture
def apply(backend: Backend) -> LockInfo:
    return LockInfo(
        "008fc466-9743-e5aa-475a-7589773aa3fd",
        "OperationTypeApply",
        "",
        "ann@runner-7",
        "1.11.4",
        "2026-01-02T03:04:05.6Z",
        f"{backend.bucket}/{KEY}",
    )


def test_a_lock_lives_through_either_execution(backend: Backend, run_tasks: RunTasks) -> None:
    def of(state: str, check_mode: bool = False, **params: Any) -> Task:
        return backend.as_task(state, check_mode, **params)

    mine = {"lock_id": "ours"}
    results = run_tasks(
        [
            of("held", check_mode=True),
            of("held", **mine),
            of("held", **mine),
            of("held"),
            of("released"),
            of("released", check_mode=True, **mine),
            of("released", **mine),
            of("released", **mine),
        ]
    )
    assert [(each["changed"], each.get("failed", False)) for each in results] == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
        (False, True),
        (True, False),
        (True, False),
        (False, False),
    ]
    assert [each.get("lock_id") for each in results[:3]] == [None, "ours", "ours"]
    assert results[-1]["msg"] == f"{KEY} is not locked"
    assert backend.holders == FREE


@pytest.mark.aws("7.1")
def test_what_is_held_is_what_a_client_would_have_written(backend: Backend) -> None:
    held = backend.done("held", operation="restore", info="OPS <42>")
    body, item = backend.holders
    told = json.loads(body or "")
    assert is_canonical(body)
    assert item["Info"]["S"] == body
    assert [told[name] for name in ("ID", "Operation", "Info", "Path")] == [
        held["lock_id"],
        "restore",
        "OPS <42>",
        f"{backend.bucket}/{KEY}",
    ]
    head = backend.s3.head_object(Bucket=backend.bucket, Key=LOCK_FILE)
    assert head["ContentType"] == "application/json"
    assert [(each["store"], each["lock_id"]) for each in held["after"]] == [
        ("file", held["lock_id"]),
        ("table", held["lock_id"]),
    ]


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


HOSTILE_ID = 'x\x1b[2J\n{{ lookup("pipe", "id") }}\u202e$(id)'
HOSTILE_KEY = 'app/{{ lookup("pipe", "id") }}\u202e$(id).tfstate'


@pytest.mark.parametrize("emulator", ["ministack"], indirect=True)
def test_a_lock_that_could_run_as_code_is_shown_and_released_by_its_hash(
    backend: Backend, apply: LockInfo, run_tasks: RunTasks
) -> None:
    info = replace(apply, id=HOSTILE_ID, who="me\x1b[31m\nCRITICAL", info="\u2028")
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{HOSTILE_KEY}.tflock", Body=marshal(info).encode())
    key = {"key": quote(HOSTILE_KEY), "key_is_url_encoded": True, "table": None, "secret_key": "hush-hush"}
    (shown,) = run_tasks([backend.as_task("released", **key)])
    assert is_printable(shown["msg"]) and HOSTILE_ID not in shown["msg"] and r"me\x1b[31m\nCRITICAL" in shown["msg"]
    (lock,) = shown["before"]
    told = tuple(map(printable_lines, (HOSTILE_KEY, HOSTILE_ID, info.who)))
    assert (shown["path"], lock["lock_id"], lock["who"]) == told, "Ansible prints a failed result whole"
    name = shown["msg"].rpartition("lock_id: ")[2]
    assert is_plain(name) and lock["lock_id_sha256"].startswith(name)
    other = name[:-1] + ("1" if name.endswith("0") else "0")
    wrong, released = run_tasks([backend.as_task("released", lock_id=each, **key) for each in (other, name)])
    assert wrong["failed"] and released["changed"]
    assert all(map(is_printable, released["diff"]["before"].splitlines()))
    (lock,) = released["before"]
    assert (released["path"], lock["lock_id"], lock["who"]) == (HOSTILE_KEY, HOSTILE_ID, info.who), "these stay exact"
    assert not backend.s3.list_objects_v2(Bucket=backend.bucket).get("Contents")


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


@pytest.mark.parametrize(("operation", "store"), [("DeleteObject", "file"), ("DeleteItem", "table")])
def test_a_lock_that_changes_hands_just_before_its_release_is_left_alone(
    backend: Backend, apply: LockInfo, operation: str, store: str
) -> None:
    backend.lock(apply, file=store == "file", table=store == "table")

    def hand_over(call: Any, proceed: Any) -> Any:
        other = LockInfo(**{**vars(apply), "id": "another", "who": "bob@laptop"})
        backend.lock(other, file=store == "file", table=store == "table")
        return proceed()

    backend.relay.on(operation, reply=hand_over)
    result = backend.task("released", lock_id=apply.id)
    assert result["failed"] and not result["changed"]
    assert f"({store}) changed hands and was left alone: app/one.tfstate is locked by bob@laptop" in result["msg"]
    assert "bob@laptop" in str(backend.holders)


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


INPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such bucket": ({"bucket": "{bucket}-no"}, "-no does not exist: check its name"),
    "no such table": ({"table": "{table}-no"}, "ResourceNotFoundException; there is none of that name"),
    "table of another key": ({"table": "{table}-other"}, "it is no lock table: the key of one is LockID, a string"),
    "no duration": ({"state": "released", "older_than": "2 hours"}, "'2 hours' is no duration; say 2h"),
    "age of what is held": ({"older_than": "2h"}, "older_than goes with state: released"),
    "slash": ({"key": "/app/one.tfstate"}, "key '/app/one.tfstate' must be a path without a slash at either end"),
    "no key": ({"key": ""}, "missing required arguments: key"),
    "key with a slash": ({"key": "/app"}, "must be a path without a slash"),
    "account": ({"account_id": "12"}, "an AWS account has 12 digits"),
    "no region": ({"region": None}, "region is not set"),
}


@pytest.mark.parametrize(("params", "said"), INPUTS.values(), ids=list(INPUTS))
def test_what_cannot_be_right_is_told_in_a_sentence(backend: Backend, params: dict[str, Any], said: str) -> None:
    backend.make_table(f"{backend.table}-other", "Id")
    named = {name: value and value.format(bucket=backend.bucket, table=backend.table) for name, value in params.items()}
    assert said in backend.refused(**{"state": "held", **named})

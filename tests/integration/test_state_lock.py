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
from tests.support.relay import Relay

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
            of("released"),
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
        (False, True),
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


@pytest.mark.parametrize("store", ["file", "table"])
def test_a_lock_is_released_by_the_path_that_its_client_shows(backend: Backend, apply: LockInfo, store: str) -> None:
    table = {"table": backend.table if store == "table" else None}
    backend.s3.put_object(Bucket=backend.bucket, Key=KEY, Body=b"{}")
    backend.lock(apply, file=store == "file", table=store == "table")
    for key in (KEY.upper(), KEY.replace("app", "aap")):
        assert f"perhaps this is meant: key: {KEY}" in backend.refused("released", key=key, lock_id=apply.id, **table)
        assert f"perhaps this is meant: key: {KEY}" in backend.refused("held", key=key, **table)
    assert "names the bucket other" in backend.refused("released", key=f"s3://other/{KEY}", lock_id=apply.id, **table)
    assert f"{KEY} is locked by ann@runner-7" in backend.refused("held", key=f"{apply.path}.tflock", **table)
    result = backend.done("released", key=apply.path, lock_id=apply.id, **table)
    assert (result["changed"], result["path"], backend.holders) == (True, KEY, FREE)
    assert [each.endswith(f"taken for {KEY}") for each in result["warnings"]] == [True]


INPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such bucket": ({"bucket": "{bucket}-no"}, "-no does not exist: check its name"),
    "no such table": ({"table": "{table}-no"}, "ResourceNotFoundException; there is none of that name"),
    "table of another key": ({"table": "{table}-other"}, "it is no lock table: the key of one is LockID, a string"),
    "no duration": ({"state": "released", "older_than": "2 hours"}, "'2 hours' is not a duration; use 2h"),
    "age of what is held": ({"older_than": "2h"}, "older_than goes with state: released"),
    "slash": ({"key": "app/one.tfstate/"}, "key 'app/one.tfstate/' must be a path without a slash at its end"),
    "no workspace": ({"workspace": "feature/x"}, "workspace 'feature/x' cannot exist"),
    "no key": ({"key": ""}, "missing required arguments: key"),
    "nothing but a slash": ({"key": "/"}, "must be a path without a slash"),
    "account": ({"account_id": "12"}, "an AWS account has 12 digits"),
    "no region": ({"region": None}, "region is not set"),
}


@pytest.mark.parametrize(("params", "said"), INPUTS.values(), ids=list(INPUTS))
def test_what_cannot_be_right_is_told_in_a_sentence(backend: Backend, params: dict[str, Any], said: str) -> None:
    backend.make_table(f"{backend.table}-other", "Id")
    named = {name: value and value.format(bucket=backend.bucket, table=backend.table) for name, value in params.items()}
    assert said in backend.refused(**{"state": "held", **named})

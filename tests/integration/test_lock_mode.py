# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps from lock mode to lock mode: what is missing for them is told, and what they do harms no client."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.client_watch import (
    ClientWatch,
    WatchResult,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    lock_file,
    marshal,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Result, Task, through_core
from tests.support.aws_tables import AwsTables
from tests.support.aws_wire import error_answer
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, lose_reply

SECRET = "hunter2-in-a-state"


ONE, TWO, QA = "app/one.tfstate", "app/two.tfstate", "env:/qa/app/one.tfstate"


FOREIGN = {
    "Sid": "Team",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": "dynamodb:Scan",
}


def state(serial: int = 1) -> bytes:
    told = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": "2d29fd45", "outputs": {}}
    return json.dumps({**told, "resources": [], "note": SECRET}).encode()


def digest(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


def info(name: str = "theirs") -> LockInfo:
    return LockInfo(name, "OperationTypeApply", "", "ann@runner-7", "1.11.4", "2026-01-02T03:04:05Z", "x")


class AsIam:
    """Denies what the stored policy of the table denies, as AWS would; emulators evaluate none."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.denied: list[str] = []

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.name not in ("GetItem", "PutItem") or not self._is_behind(call):
            return proceed()
        self.denied.append(call.name)
        status, headers, body = error_answer(call.operation, "POST", "AccessDeniedException", 400, "explicit deny")
        return Answer(status, headers, Body((body,)))

    def _is_behind(self, call: Call) -> bool:
        key = (call.params.get("Key") or call.params.get("Item"))["LockID"]["S"]
        buckets = digest_policy(self.emulator, call.region, call.params["TableName"])
        return key.endswith("-md5") and key.partition("/")[0] in buckets


def policy(emulator: RunningEmulator, region: str, table: str) -> list[dict[str, Any]]:
    dynamodb = emulator.client("dynamodb", region=region)
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    try:
        found: list[dict[str, Any]] = json.loads(dynamodb.get_resource_policy(ResourceArn=arn)["Policy"])["Statement"]
    except dynamodb.exceptions.PolicyNotFoundException:
        return []
    return found


def digest_policy(emulator: RunningEmulator, region: str, table: str) -> list[str]:
    """The buckets whose digests nobody may read or write."""
    ours = [each for each in policy(emulator, region, table) if each["Sid"] == "CornerstoneTfstateDigests"]
    for each in ours:
        assert (each["Effect"], each["Principal"]) == ("Deny", "*")
        assert each["Action"] == ["dynamodb:GetItem", "dynamodb:PutItem"]
    found = [each["Condition"]["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"] for each in ours]
    names = [name for one in found for name in ([one] if isinstance(one, str) else one)]
    return [name.removesuffix("/*-md5") for name in names]


@dataclass
class Backend:
    """Two states and another workspace's, all with digests, and code that says how their clients lock."""

    relay: Relay
    emulator: RunningEmulator
    bucket: str
    table: str
    code: Path
    versioned: bool = True

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")
        self.s3.create_bucket(Bucket=self.bucket)
        if self.versioned:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.make_table()
        for path in (ONE, TWO, QA):
            self.write(path, state())
        self.iam = AsIam(self.emulator)
        self.relay.use_first(self.iam)

    def make_table(self) -> None:
        self.dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def write(self, path: str, body: bytes, digest_too: bool = True) -> None:
        """As a client does: of mode dynamodb or both, or of mode lockfile, which writes no digest."""
        self.s3.put_object(Bucket=self.bucket, Key=path, Body=body)
        if digest_too:
            self.item(f"{path}-md5", Digest={"S": digest(body)})

    def item(self, name: str, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=self.table, Item={"LockID": {"S": f"{self.bucket}/{name}"}, **attributes})

    def lock(self, path: str, *stores: str, name: str = "theirs") -> None:
        if "file" in stores:
            self.s3.put_object(Bucket=self.bucket, Key=f"{path}.tflock", Body=marshal(info(name)).encode())
        if "table" in stores:
            self.item(path, Info={"S": marshal(info(name))})

    def unlock(self, path: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=f"{path}.tflock")
        self.dynamodb.delete_item(TableName=self.table, Key={"LockID": {"S": f"{self.bucket}/{path}"}})

    def use(self, name: str, mode: str, **more: str) -> None:
        """A root configuration whose clients lock so."""
        says = {"dynamodb_table": f'"{self.table}"'} if mode in ("dynamodb", "both") else {}
        says |= {"use_lockfile": "true"} if mode in ("lockfile", "both") else {}
        says = {"bucket": f'"{self.bucket}"', "key": f'"{name}.tfstate"', "region": '"us-east-1"', **says, **more}
        lines = "".join(f"    {argument} = {value}\n" for argument, value in says.items())
        self.file(f"{name}/backend.tf", f'terraform {{\n  backend "s3" {{\n{lines}  }}\n}}\n')

    def file(self, name: str, text: str) -> None:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def items(self) -> dict[str, Any]:
        found = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return {each.pop("LockID")["S"].partition("/")[2]: each for each in found}

    @property
    def digests(self) -> dict[str, str]:
        return {name.removesuffix("-md5"): item["Digest"]["S"] for name, item in self.items.items() if "Digest" in item}

    @property
    def versions(self) -> list[str]:
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        found = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return sorted(f"{each['Key']} {each['VersionId']}" for each in found if each["Key"] != lock_file(LEASE))

    @property
    def objects(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    @property
    def has_digest_policy(self) -> bool:
        return self.bucket in digest_policy(self.emulator, "us-east-1", self.table)

    @property
    def all(self) -> Any:
        return self.versions, self.items, policy(self.emulator, "us-east-1", self.table)

    def as_task(self, lock_mode: str, check_mode: bool = False, **params: Any) -> Task:
        connection = {"endpoint_url": self.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
        given = {"bucket": self.bucket, "table": self.table, "code": [str(self.code)], "wait_timeout": 5, **connection}
        # Without an answer about the store, as most of these are about clients and code.
        asked = {**given, "probe": False, "lock_mode": lock_mode, **params}
        return Task("tf_lock_mode", {name: value for name, value in asked.items() if value is not None}, check_mode)

    def task(self, lock_mode: str, check_mode: bool = False, **params: Any) -> Result:
        before = self.all
        (result,) = through_core([self.as_task(lock_mode, check_mode, **params)])
        assert not check_mode or self.all == before
        assert SECRET not in json.dumps(result)
        return result

    def step(self, lock_mode: str, **params: Any) -> Result:
        """Check mode foretells it; done twice it writes nothing; no lock is left."""
        foretold = self.task(lock_mode, check_mode=True, **params)
        result = self.task(lock_mode, **params)
        assert not result.get("failed"), result["msg"]
        assert foretold == result
        after = self.all
        calls = len(self.relay.writes)
        again = self.task(lock_mode, **params)
        assert (again["changed"], again["missing"], self.all) == (False, [], after)
        assert len(self.relay.writes) == calls
        assert not [each for each in self.objects if each.endswith(".tflock")]
        assert all("Digest" in item for item in self.items.values())
        return result

    def missing(self, lock_mode: str, **params: Any) -> list[str]:
        """What is in the way, alike in check mode; nothing is written."""
        before, writes = self.all, len(self.relay.writes)
        results = [self.task(lock_mode, check_mode, **params) for check_mode in (True, False)]
        assert [(each["failed"], each["changed"]) for each in results] == [(True, False)] * 2, results
        alike = [[re.sub(", for [^,]*,", ",", said) for said in each["missing"]] for each in results]
        assert alike[0] == alike[1] != []
        assert (self.all, len(self.relay.writes)) == (before, writes)
        assert results[0]["msg"] == "; ".join(results[0]["missing"])
        told: list[str] = results[0]["missing"]
        return told


@pytest.fixture
def backend(relay: Relay, emulator: RunningEmulator, bucket_name: str, table_name: str, tmp_path: Path) -> Backend:
    backend = Backend(relay, emulator, bucket_name, table_name, tmp_path / "code")
    backend.use("one", "both")
    return backend


def test_there_and_back(backend: Backend) -> None:
    backend.use("one", "dynamodb")
    assert backend.step("both")["changed"] is False
    backend.use("one", "both")
    there = backend.step("lockfile")
    assert (there["from"], there["to"], there["digest_policy"]) == ("both", "lockfile", "active")
    assert there["digests"] == [ONE, TWO, QA] and backend.digests == {} and backend.has_digest_policy
    assert "the table can go" in there["msg"]
    backend.write(ONE, state(2), digest_too=False)
    backend.use("one", "lockfile")
    assert "one/backend.tf locks by file alone" in backend.missing("both")[0]
    backend.use("one", "both")
    back = backend.step("both")
    assert (back["from"], back["digest_policy"]) == ("lockfile", "inactive")
    assert (back["changed"], backend.has_digest_policy) == (True, False)
    assert backend.step("dynamodb")["changed"] is False
    assert backend.digests == {}


def test_statements_of_others_and_the_digests_of_other_buckets_stay(backend: Backend, bucket_name: str) -> None:
    arn = backend.dynamodb.describe_table(TableName=backend.table)["Table"]["TableArn"]
    theirs = {**FOREIGN, "Resource": arn}
    text = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    backend.dynamodb.put_resource_policy(ResourceArn=arn, Policy=text)
    other = {"LockID": {"S": "another-bucket/app/one.tfstate-md5"}, "Digest": {"S": "0" * 32}}
    backend.dynamodb.put_item(TableName=backend.table, Item=other)
    backend.step("lockfile")
    assert backend.dynamodb.get_item(TableName=backend.table, Key={"LockID": other["LockID"]})["Item"] == other
    assert theirs in policy(backend.emulator, "us-east-1", backend.table)
    assert digest_policy(backend.emulator, "us-east-1", backend.table) == [bucket_name]
    backend.step("both")
    assert policy(backend.emulator, "us-east-1", backend.table) == [theirs]


def test_a_policy_that_somebody_else_changes_meanwhile_is_merged(backend: Backend) -> None:
    arn = backend.dynamodb.describe_table(TableName=backend.table)["Table"]["TableArn"]
    theirs = {**FOREIGN, "Resource": arn}
    seen: list[str] = []

    def meddle(call: Call, proceed: Proceed) -> Answer:
        if not seen:
            text = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
            backend.dynamodb.put_resource_policy(ResourceArn=arn, Policy=text)
        seen.append(call.name)
        return proceed()

    if backend.emulator.emulator.name == "moto":
        pytest.skip("moto takes NO_POLICY for no condition where there is none, and races are its own affair")
    backend.relay.on("PutResourcePolicy", reply=meddle, times=math.inf)
    backend.task("lockfile")
    assert backend.has_digest_policy and theirs in policy(backend.emulator, "us-east-1", backend.table)
    assert len(seen) == 2


def ignore(*headers: str) -> Any:
    """A store that knows nothing of a condition, and answers as if there was none."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        head = call.request.head
        head[:] = [line for line in head if line.partition(b":")[0].lower().decode() not in headers]
        return proceed()

    return reply


@pytest.fixture(params=[True, False], ids=["versioned", "unversioned"])
def any_backend(
    request: pytest.FixtureRequest,
    relay: Relay,
    emulator: RunningEmulator,
    bucket_name: str,
    table_name: str,
    tmp_path: Path,
) -> Iterator[Backend]:
    backend = Backend(relay, emulator, bucket_name, table_name, tmp_path / "code", versioned=request.param)
    backend.use("one", "both")
    yield backend
    assert not [each for each in backend.versions if each.startswith("cornerstone.tfstate/")], "nothing is left of it"


RECORD = [{"Key": "cornerstone.tfstate:lock_files", "Value": "supported"}]
GOOD = {"creates_once": True, "creates_again": True, "deletes_if_unchanged": True}


def test_a_store_that_keeps_conditions_takes_lock_files(any_backend: Backend) -> None:
    before = any_backend.versions
    for target in ("both", "lockfile", "both", "dynamodb"):
        result = any_backend.task(target, probe=True)
        assert (result.get("failed"), result["probe"]) == (None, GOOD)
    kept = [each for each in any_backend.versions if ".tflock " not in each]
    assert kept == before
    assert any_backend.s3.get_bucket_tagging(Bucket=any_backend.bucket)["TagSet"] == RECORD
    writes = len(any_backend.relay.writes)
    result = any_backend.task("both", probe=None)
    assert (result["probe"], result["changed"], len(any_backend.relay.writes)) == (None, False, writes)


def test_a_store_that_ignores_conditions_takes_none(any_backend: Backend) -> None:
    any_backend.relay.on("PutObject", reply=ignore("if-none-match"), times=math.inf)
    for target in ("both", "lockfile"):
        result = any_backend.task(target, probe=True)
        assert result["failed"] and result["changed"] is (target == "both"), "the first one is recorded"
        assert "the store ignores If-None-Match" in result["missing"][0]
        assert result["probe"] == {**GOOD, "creates_once": False}
    assert any_backend.task("dynamodb", probe=True)["missing"] == []


def test_a_store_that_deletes_whatever_is_there_takes_lock_files_all_the_same(any_backend: Backend) -> None:
    any_backend.relay.on("DeleteObject", reply=ignore("if-match"), times=math.inf)
    result = any_backend.task("both", probe=True)
    assert result["probe"] == {**GOOD, "deletes_if_unchanged": False} and result["missing"] == []


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject"])
def test_lost_replies_do_not_mislead_the_probe(any_backend: Backend, operation: str) -> None:
    lost: list[Call] = []

    def every_other(call: Call, proceed: Proceed) -> Answer:
        lost.append(call)
        return lose_reply(call, proceed) if len(lost) % 2 else proceed()

    any_backend.relay.on(operation, reply=every_other, times=math.inf)
    result = any_backend.task("dynamodb", probe=True)
    assert result["probe"] == GOOD and len(lost) > 2


def test_a_step_is_taken_through_either_execution_by_option_or_by_the_role_s_variables(
    backend: Backend, run_with: RunWithVariables
) -> None:
    role = {
        "terraform_backend_bucket_name": backend.bucket,
        "terraform_backend_table_name": backend.table,
        "terraform_backend_lock_mode": "both",
        **{
            f"terraform_backend_{name}": value
            for name, value in backend.as_task("both").params.items()
            if name in ("endpoint_url", "region", "access_key", "secret_key")
        },
    }
    bare = Task("tf_lock_mode", {"lock_mode": "lockfile", "code": "code", "observe_seconds": 0})
    backend.lock(ONE, "table")
    held = run_with(role)([bare])
    assert held[0]["failed"] and "the table alone" in held[0]["msg"]
    backend.unlock(ONE)
    results = run_with(role)(
        [
            Task(bare.module, bare.params, check_mode=True),
            bare,
            bare,
            Task("tf_lock_mode", {**bare.params, "lock_mode": "dynamodb"}),
            backend.as_task("both", observe_seconds=0),
        ]
    )
    assert [(each["changed"], each.get("failed", False)) for each in results] == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
        (True, False),
    ], results
    assert "switch to both first" in results[3]["msg"]
    assert results[1]["digests"] == [ONE, TWO, QA]
    assert SECRET not in json.dumps(results)


WORD = {"allow": ["disable_deletion_protection"]}


def test_the_table_goes_once_nothing_names_it_and_nothing_is_in_it(backend: Backend) -> None:
    backend.dynamodb.update_table(TableName=backend.table, DeletionProtectionEnabled=True)
    told = backend.missing("lockfile", remove_table=True, **WORD)
    assert "one/backend.tf names the table" in told[0] and "take the step without remove_table first" in told[1]
    backend.step("lockfile")
    backend.use("one", "lockfile")
    backend.use("other", "both", bucket='"elsewhere"')
    other = {"LockID": {"S": "elsewhere/app.tfstate-md5"}, "Digest": {"S": "0" * 32}}
    backend.dynamodb.put_item(TableName=backend.table, Item=other)
    told = backend.missing("lockfile", remove_table=True, **WORD)
    assert "other/backend.tf names the table" in told[0] and "elsewhere/app.tfstate-md5 is still in" in told[1]
    (backend.code / "other" / "backend.tf").unlink()
    backend.dynamodb.delete_item(TableName=backend.table, Key={"LockID": other["LockID"]})
    refused = backend.task("lockfile", remove_table=True)
    assert refused["failed"] and "allow: [disable_deletion_protection]" in refused["msg"]
    foretold = backend.task("lockfile", check_mode=True, remove_table=True, **WORD)
    backend.relay.calls.clear()
    (result,) = through_core([backend.as_task("lockfile", remove_table=True, **WORD)])
    writes = [call.name for call in backend.relay.writes]
    assert (writes[0], writes[-2:]) == ("PutObject", ["DeleteTable", "DeleteObject"]), "all of it under one lease"
    backend.relay.calls.clear()
    assert result == foretold and result["changed"] and result["table_removed"]
    assert backend.table not in backend.dynamodb.list_tables()["TableNames"]
    for params in ({"remove_table": True}, {}):
        (again,) = through_core([backend.as_task("lockfile", **params)])
        assert (again.get("failed"), again["changed"]) == (None, False)
        assert backend.relay.writes == []
        assert "the table" in again["msg"] and "is gone" in again["msg"]
    (back,) = through_core([backend.as_task("both")])
    assert back["failed"]


def test_a_table_that_is_still_going_when_the_time_is_up_is_a_change(backend: Backend) -> None:
    backend.use("one", "lockfile")
    backend.step("lockfile")
    backend.relay.use_first(AwsTables(deleting=100_000))
    (result,) = through_core(
        [backend.as_task("lockfile", remove_table=True, wait_timeout=1, observe_seconds=0, **WORD)]
    )
    assert (result["failed"], result["changed"]) == (True, True)
    assert "AWS was told to delete the table" in result["msg"]


def test_a_table_gets_its_own_time_to_go(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long watch has used up what the task had."""
    backend.use("one", "lockfile")
    backend.step("lockfile")
    monkeypatch.setattr(ClientWatch, "run", spent(ClientWatch.run))
    backend.relay.use_first(AwsTables(deleting=3))
    (result,) = through_core([backend.as_task("lockfile", remove_table=True, **WORD)])
    assert (result.get("failed"), result["table_removed"]) == (None, True), result


def spent(run: Any) -> Any:
    def watched(self: ClientWatch, observe_s: int) -> WatchResult:
        found: WatchResult = run(self, observe_s)
        self.aws._deadline = 0.0  # type: ignore[attr-defined]
        return found

    return watched

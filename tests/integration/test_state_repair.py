# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests repaired and versions restored by the modules, as another client of AWS sees them, on every emulator."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.module_runs import Result, RunTasks, Task, through_core
from tests.support.emulators import RunningEmulator
from tests.support.relay import Answer, Body, Relay, error

KEY = "app/one.tfstate"


SECRET = "hunter2-in-a-state"


LINEAGE = "8fb33170-0000-4000-8000-000000000001"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def state(serial: int, *names: str, lineage: str = LINEAGE) -> bytes:
    """As Terraform writes one, with a secret in each resource."""
    resources = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": name,
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [{"schema_version": 0, "attributes": {"input": SECRET}}],
        }
        for name in names
    ]
    told = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage, "outputs": {}}
    return json.dumps({**told, "resources": resources}, indent=2).encode() + b"\n"


@dataclass
class Backend:
    """A state with its digest, and an independent look at both."""

    relay: Relay
    emulator: RunningEmulator
    bucket: str
    table: str

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, *bodies: bytes) -> list[str]:
        """Versions, the oldest first."""
        return [self.s3.put_object(Bucket=self.bucket, Key=KEY, Body=body)["VersionId"] for body in bodies]

    def delete(self) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=KEY)

    @property
    def body(self) -> bytes | None:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=KEY).get("Contents", [])
        there = [each for each in listed if each["Key"] == KEY]
        return self.s3.get_object(Bucket=self.bucket, Key=KEY)["Body"].read() if there else None

    def item(self, suffix: str = "-md5", **attributes: Any) -> None:
        name = {"LockID": {"S": f"{self.bucket}/{KEY}{suffix}"}}
        self.dynamodb.put_item(TableName=self.table, Item={**name, **attributes})

    def put_digest(self, digest: str) -> None:
        self.item(Digest={"S": digest})

    @property
    def items(self) -> dict[str, Any]:
        """What the table holds, by the end of its name."""
        found = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        start = len(f"{self.bucket}/")
        return {each.pop("LockID")["S"][start:]: each for each in found}

    @property
    def all(self) -> Any:
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        found = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return sorted(each["VersionId"] for each in found if each["Key"] == KEY), self.items

    def as_task(self, module: str, check_mode: bool = False, **params: Any) -> Task:
        connection = {"endpoint_url": self.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
        asked = {"bucket": self.bucket, "table": self.table, "key": KEY, **connection, **params}
        return Task(module, {name: value for name, value in asked.items() if value is not None}, check_mode)

    def task(self, module: str, check_mode: bool = False, **params: Any) -> Result:
        """The same in check mode, which writes nothing. Never a value of the state."""
        before = self.all
        (result,) = through_core([self.as_task(module, check_mode, **params)])
        assert not check_mode or self.all == before
        assert SECRET not in json.dumps(result)
        return result

    def done(self, module: str, **params: Any) -> Result:
        """Check mode foretells it; done twice it changes nothing; no lock is left."""
        foretold = self.task(module, check_mode=True, **params)
        result = self.task(module, **params)
        assert not result.get("failed"), result["msg"]
        assert foretold == result
        after = self.all
        again = self.task(module, **params)
        assert (again["changed"], again["msg"], self.all) == (False, result["msg"], after)
        assert set(self.items) <= {f"{KEY}-md5"} and not self.lock_files
        return result

    def refused(self, module: str, **params: Any) -> str:
        """The sentence of a task that fails, alike in check mode, and writes nothing."""
        before = self.all
        results = [self.task(module, check_mode, **params) for check_mode in (True, False)]
        assert [(each["failed"], each["changed"]) for each in results] == [(True, False)] * 2, results
        assert results[0]["msg"] == results[1]["msg"]
        assert self.all == before
        return str(results[0]["msg"])

    @property
    def lock_files(self) -> list[Any]:
        return self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{KEY}.tflock").get("Contents", [])


@pytest.fixture
def backend(relay: Relay, emulator: RunningEmulator, bucket_name: str, table_name: str) -> Backend:
    return Backend(relay, emulator, bucket_name, table_name)


DIGEST, VERSION = "tf_state_digest", "tf_state_version"


def test_a_digest_that_is_changed_under_our_hands_is_left_as_it_is(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)

    def meddle(call: Any, proceed: Any) -> Any:
        if b"-md5" in call.body:
            backend.put_digest("1" * 32)
        return proceed()

    backend.relay.on("PutItem", reply=meddle, times=2)
    result = backend.task(DIGEST)
    assert result["failed"] and "somebody else changed the digest" in result["msg"]
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": "1" * 32}}}


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "a lock": ("tf_state_lock", {"state": "held"}),
    "a digest": (DIGEST, {}),
    "a version": (VERSION, {"state": "restored"}),
}


@pytest.mark.parametrize(("module", "asked"), ASKED.values(), ids=list(ASKED))
def test_where_a_policy_asks_for_encryption_uploads_do_as_clients(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest("0" * 32)

    def demand(call: Any, proceed: Any) -> Any:
        is_right = call.request.headers.get("x-amz-server-side-encryption") == "aws:kms"
        return proceed() if is_right else error("AccessDenied", 403)(call, proceed)

    backend.relay.on("PutObject", reply=demand, times=99)
    asked = {**asked, **({"version_id": first} if module == VERSION else {})}
    assert "needs s3:PutObject" in backend.task(module, **asked)["msg"]
    result = backend.task(module, encryption="aws:kms", kms_key_id="arn:aws:kms:us-east-1:000000000000:key/1", **asked)
    assert not result.get("failed"), result["msg"]
    keys = [call.request.headers.get("x-amz-server-side-encryption-aws-kms-key-id") for call in backend.relay.writes]
    assert "arn:aws:kms:us-east-1:000000000000:key/1" in keys
    refusal = backend.task(module, kms_key_id="x", **asked)
    assert "kms_key_id needs encryption" in refusal["msg"]


def test_a_restored_version_has_a_serial_above_all_others_and_everything_else_as_it_was(backend: Backend) -> None:
    (first, *_unused) = backend.put(state(4, "a", "b"), state(9, "c"), state(5, "b", "c"))
    result = backend.done(VERSION, state="restored", version_id=first)
    assert (result["serial_before"], result["serial"], result["lineage"]) == (5, 10, LINEAGE)
    assert (result["added"], result["removed"]) == (["terraform_data.a"], ["terraform_data.c"])
    assert result["diff"] == {
        "before": "serial 5\nterraform_data.b\nterraform_data.c\n",
        "after": "serial 10\nterraform_data.a\nterraform_data.b\n",
    }
    assert backend.body == state(10, "a", "b")
    assert backend.s3.head_object(Bucket=backend.bucket, Key=KEY)["ContentType"] == "application/json"
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(10, "a", "b"))}}}


def in_one_second(call: Any, proceed: Any) -> Any:
    """Seconds are all the time that S3 tells."""
    answer = proceed()
    same = b"<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
    body = re.sub(rb"<LastModified>[^<]*</LastModified>", same, answer.body.read())
    return Answer(answer.status, {**answer.headers, "content-length": str(len(body))}, Body((body,)))


def test_a_state_that_was_deleted_twice_in_a_second_is_undeleted(backend: Backend) -> None:
    backend.put(state(1, "a"))
    for _unused in range(3):
        backend.delete()
    backend.relay.on("ListObjectVersions", reply=in_one_second, times=99)
    result = backend.task(VERSION, state="undeleted")
    assert not result.get("failed"), result["msg"]
    assert backend.body == state(1, "a")


def test_a_state_is_mended_through_either_execution(backend: Backend, run_tasks: RunTasks) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    results = run_tasks(
        [
            backend.as_task(DIGEST, check_mode=True),
            backend.as_task(DIGEST),
            backend.as_task(DIGEST),
            backend.as_task(VERSION, state="restored", version_id=first),
            backend.as_task(VERSION, state="undeleted"),
            backend.as_task(VERSION, state="restored"),
        ]
    )
    assert [(each["changed"], each.get("failed", False)) for each in results] == [
        (True, False),
        (True, False),
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert SECRET not in json.dumps(results)
    assert backend.body == state(3, "a")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States to move, the places between which they do, and how a run of it dies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.module_runs import Task, through_core
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, Reply, error

LINEAGE = "2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56"
#: From one interruption to the next one, in calls; and in writes, or changes of files.
STRIDES = [pytest.param(11, id="some calls"), pytest.param(1, id="every call", marks=pytest.mark.thorough)]
WRITES = [pytest.param(3, id="some writes"), pytest.param(1, id="every write", marks=pytest.mark.thorough)]
SECRET = "a-value-of-a-state-that-nobody-may-see"
KEY, DEV = "app/terraform.tfstate", "env:/dev/app/terraform.tfstate"
MARK = "cornerstone.tfstate:moved-to"


def state(serial: int = 4, lineage: str = LINEAGE) -> bytes:
    known = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage}
    outputs = {"secret": {"value": SECRET, "type": "string"}}
    return json.dumps({**known, "outputs": outputs, "resources": [], "check_results": None}, indent=2).encode() + b"\n"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass
class Place:
    """A backend as others see it."""

    emulator: RunningEmulator
    region: str
    bucket: str = field(default_factory=lambda: f"tf-{uuid4().hex[:12]}")
    table: str = field(default_factory=lambda: f"tf-{uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = (self.emulator.client(name, region=self.region) for name in ("s3", "dynamodb"))
        where = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.s3.create_bucket(Bucket=self.bucket, **({} if self.region == "us-east-1" else where))
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, body: bytes, key: str = KEY, digest: bool = True) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        if digest:
            item = {"LockID": {"S": f"{self.bucket}/{key}-md5"}, "Digest": {"S": md5(body)}}
            self.dynamodb.put_item(TableName=self.table, Item=item)

    def versions(self, key: str = KEY) -> list[tuple[str, bytes | None]]:
        """Ids and bodies of all versions and markers, the newest first."""
        found = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        ids = [each["VersionId"] for each in found.get("Versions", []) if each["Key"] == key]
        markers = [(each["VersionId"], None) for each in found.get("DeleteMarkers", []) if each["Key"] == key]
        read = self.s3.get_object
        return markers + [(each, read(Bucket=self.bucket, Key=key, VersionId=each)["Body"].read()) for each in ids]

    def bodies(self, key: str = KEY) -> list[bytes | None]:
        return [body for _id, body in self.versions(key)]

    def digest(self, key: str = KEY) -> str | None:
        return self._item(f"{self.bucket}/{key}-md5").get("Digest", {}).get("S")

    def locks(self, key: str = KEY) -> list[dict[str, Any]]:
        """What the lock file and the table's item say."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{key}.tflock").get("Contents", [])
        files = [self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in found]
        item = self._item(f"{self.bucket}/{key}").get("Info", {}).get("S")
        return [json.loads(text) for text in [*files, *([item] if item else [])]]

    def mark(self, key: str = KEY) -> str | None:
        tags = self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}.get(MARK)

    def lock(self, key: str = KEY) -> None:
        """As a colleague's terraform does."""
        path = f"{self.bucket}/{key}"
        info = LockInfo("theirs", "OperationTypeApply", "", "you@there", "1.11.4", "2026-11-21T10:03:50Z", path)
        self.dynamodb.put_item(TableName=self.table, Item={"LockID": {"S": path}, "Info": {"S": marshal(info)}})

    def unlock(self, key: str = KEY) -> None:
        self.dynamodb.delete_item(TableName=self.table, Key={"LockID": {"S": f"{self.bucket}/{key}"}})

    def _item(self, lock_id: str) -> dict[str, Any]:
        asked = {"TableName": self.table, "Key": {"LockID": {"S": lock_id}}, "ConsistentRead": True}
        found: dict[str, Any] = self.dynamodb.get_item(**asked).get("Item", {})
        return found


@dataclass
class World:
    """Two backends in two regions, and the module between them."""

    relay: Relay
    emulator: RunningEmulator

    def __post_init__(self) -> None:
        self.old, self.new = Place(self.emulator, "us-east-1"), Place(self.emulator, "eu-west-1")

    def task(self, check_mode: bool = False, diff: bool = False, **params: Any) -> Task:
        given = {
            "endpoint_url": self.relay.url,
            "access_key": "test",
            "secret_key": "test",
            "region": self.new.region,
            "bucket": self.new.bucket,
            "table": self.new.table,
            "key": KEY,
        }
        source = {"source_bucket": self.old.bucket, "source_table": self.old.table, "source_region": self.old.region}
        local = {} if "project" in params and "source_bucket" not in params else source
        wanted = {**given, **local, **params}
        return Task(
            "tf_state_move", {name: value for name, value in wanted.items() if value is not None}, check_mode, diff
        )

    def move(self, **params: Any) -> dict[str, Any]:
        self.relay.calls.clear()
        (result,) = through_core([self.task(**params)])
        assert SECRET not in json.dumps(result)
        return result

    def moved(self, **params: Any) -> dict[str, Any]:
        result = self.move(**params)
        assert not result.get("failed"), result["msg"]
        return result


def refused(world: World, reason: str, **params: Any) -> None:
    """In check mode and without, and nothing was written."""
    for check_mode in (True, False):
        result = world.move(check_mode=check_mode, **params)
        assert result.get("failed") and not result["changed"], result
        assert reason in result["msg"]
        assert world.relay.writes == []


def denied_of(path: str) -> Reply:
    """Deny a call that is about an object so named, by the end of its path or all of it."""
    denies = error("AccessDenied", 403)

    def reply(call: Call, proceed: Proceed) -> Answer:
        is_it = call.request.target.split("?")[0].endswith(path)
        return denies(call, proceed) if is_it else proceed()

    return reply


def killed_after(world: World, k: int, task: Task) -> bool:
    """Whether the task, in a process of its own, died right after its k-th call."""
    ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready[0], 1)
        _aws_session._last = None  # whose connections are those of the parent
        through_core([task])
        os._exit(0)
    rule = world.relay.kill_after(k, lambda _call: os.kill(child, signal.SIGKILL))
    os.write(ready[1], b"1")
    _pid, status = os.waitpid(child, 0)
    rule.times = 0
    for end in ready:
        os.close(end)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def project_in(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "terraform.tfstate.d" / "dev").mkdir(parents=True)
    (folder / "terraform.tfstate.d" / "empty").mkdir(parents=True)
    (folder / "main.tf").write_text('resource "terraform_data" "this" {\n}\n')
    (folder / "terraform.tfstate").write_bytes(state())
    (folder / "terraform.tfstate.backup").write_bytes(state(3))
    (folder / "terraform.tfstate.d" / "dev" / "terraform.tfstate").write_bytes(state(7))
    return folder


def client_in(tmp_path: Path, *commands: str, code: int = 0) -> str:
    """A client that writes down what it was asked, and does this besides."""
    client = tmp_path / "client"
    lines = ["#!/bin/sh", f'echo "$TF_WORKSPACE" "$@" >> {tmp_path / "said"}', *commands, f"exit {code}"]
    client.write_text("\n".join(lines) + "\n")
    client.chmod(0o755)
    return str(client)

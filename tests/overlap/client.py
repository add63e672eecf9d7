# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What terraform does for an apply, call by call: lock, read, compare the digest, write, write the digest, unlock.

Source: internal/backend/remote-state/s3/client.go of hashicorp/terraform 1.11. Like terraform it trusts a missing state
(and makes a new one), never looks at its lock again, and unlocks by an unconditional delete.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    lock_file,
    lock_id,
    marshal,
    rfc3339nano,
    uuid_of,
)

#: The stores in which clients of a lock mode take their locks.
STORES = {"dynamodb": ("table",), "lockfile": ("file",), "both": ("file", "table")}
#: terraform waits for 10 s in steps of 2 s until digest and state agree; emulators are faster.
LOOKS, LOOK_S = 25, 0.02


class Stopped(Exception):
    """The apply ends here, for this reason."""


@dataclass(frozen=True)
class Site:
    """A backend: `table` is None where lock files alone are used."""

    bucket: str
    table: str | None
    region: str = "us-east-1"


class Journal:
    """A line of JSON for each thing that a client came to know, in memory and in a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.lines: list[dict[str, Any]] = []

    def record(self, who: str, event: str, **details: Any) -> None:
        line = {"t": round(time.monotonic(), 4), "who": who, "event": event, **details}
        with self._lock:
            self.lines.append(line)
            print(json.dumps(line), file=self._file)

    def close(self) -> None:
        self._file.close()


@dataclass
class Wire:
    """Calls of one caller over a connection of its own."""

    url: str
    who: str
    region: str
    _connection: http.client.HTTPConnection | None = None

    def call(self, service: str, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        named = f"AWS4-HMAC-SHA256 Credential={self.who}/20260101/{self.region}/{service}/aws4_request"
        sent = {"Authorization": f"{named}, SignedHeaders=host, Signature=0", **headers}
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
            try:
                self._connection.request(method, target, body or None, sent)
                answer = self._connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._connection.close()
                self._connection = None
                if attempt == 2 or method != "GET":
                    raise
        raise AssertionError

    def s3(self, method: str, bucket: str, key: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        return self.call("s3", method, f"/{bucket}/{quote(key)}", body, **headers)

    def dynamodb(self, operation: str, **asked: Any) -> tuple[int, dict[str, Any]]:
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
        }
        status, _headers, body = self.call("dynamodb", "POST", "/", json.dumps(asked).encode(), **headers)
        details: dict[str, Any] = json.loads(body or b"{}")
        return status, details


@dataclass
class Client:
    """A user of one backend in one lock mode; `who` is its access key."""

    who: str
    mode: str
    site: Site
    url: str
    journal: Journal
    works_s: float = 0.01
    #: What it holds right now: the path, and its lock.
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.url, self.who, self.site.region)

    def apply(self, path: str) -> str:
        """One apply: `applied`, or why not."""
        info = self._info(path)
        try:
            self._lock(path, info)
        except Stopped as reason:
            self.journal.record(self.who, "not locked", path=path, reason=str(reason))
            return str(reason)
        self.journal.record(self.who, "locked", path=path, lock=info.id)
        try:
            outcome = self._write(path, *self._read(path))
        except Stopped as reason:
            outcome = str(reason)
        self._unlock(path, info)
        self.journal.record(self.who, outcome, path=path, lock=info.id)
        return outcome

    def _info(self, path: str) -> LockInfo:
        now = rfc3339nano(datetime.now(timezone.utc))
        of = lock_id(self.site.bucket, path)
        return LockInfo(uuid_of(random.randbytes(16)), "OperationTypeApply", "", f"{self.who}@ci", "1.11.4", now, of)

    @property
    def _stores(self) -> tuple[str, ...]:
        return STORES[self.mode]

    # Locks.

    def _lock(self, path: str, info: LockInfo) -> None:
        text = marshal(info)
        if "file" in self._stores:
            self._lock_file(path, text)
        if "table" in self._stores:
            try:
                self._lock_item(path, text)
            except Stopped:
                if "file" in self._stores:
                    self._unlock_file(path, info)
                raise

    def _lock_file(self, path: str, text: str) -> None:
        conditions = {"If-None-Match": "*", "Content-Type": "application/json"}
        status, _headers, body = self.wire.s3("PUT", self.site.bucket, lock_file(path), text.encode(), **conditions)
        if status == 200:
            return
        if status not in (409, 412):
            raise Stopped(f"lock file {status} {code_of(body)}")
        _status, _headers, held = self.wire.s3("GET", self.site.bucket, lock_file(path))
        raise Stopped(f"locked by {holder(held)}")

    def _lock_item(self, path: str, text: str) -> None:
        key = {"LockID": {"S": lock_id(self.site.bucket, path)}}
        asked = {"Item": {**key, "Info": {"S": text}}, "ConditionExpression": "attribute_not_exists(LockID)"}
        status, details = self.wire.dynamodb("PutItem", TableName=self.site.table, **asked)
        if status == 200:
            return
        if "ConditionalCheckFailed" not in str(details.get("__type")):
            raise Stopped(f"lock item {status} {details.get('__type')}")
        raise Stopped(f"locked by {holder(self._item(path).encode())}")

    def _item(self, path: str) -> str:
        key = {"LockID": {"S": lock_id(self.site.bucket, path)}}
        asked = {"ProjectionExpression": "LockID, Info", "ConsistentRead": True}
        _status, details = self.wire.dynamodb("GetItem", TableName=self.site.table, Key=key, **asked)
        return str(details.get("Item", {}).get("Info", {}).get("S", ""))

    def _unlock(self, path: str, info: LockInfo) -> None:
        if "file" in self._stores:
            self._unlock_file(path, info)
        if "table" in self._stores and id_in(self._item(path).encode()) == info.id:
            key = {"LockID": {"S": lock_id(self.site.bucket, path)}}
            self.wire.dynamodb("DeleteItem", TableName=self.site.table, Key=key)
        elif "table" in self._stores:
            self.journal.record(self.who, "lock stolen", path=path, lock=info.id, store="table")

    def _unlock_file(self, path: str, info: LockInfo) -> None:
        status, _headers, held = self.wire.s3("GET", self.site.bucket, lock_file(path))
        if status == 200 and id_in(held) == info.id:
            self.wire.s3("DELETE", self.site.bucket, lock_file(path))
        else:
            self.journal.record(self.who, "lock stolen", path=path, lock=info.id, store="file", status=status)

    # The state.

    def _read(self, path: str) -> tuple[dict[str, Any] | None, str]:
        """The state as it is, once its digest agrees, and which version it is."""
        for _unused in range(LOOKS):
            status, headers, body = self.wire.s3("GET", self.site.bucket, path)
            if status not in (200, 404) or (status == 404 and code_of(body) == "NoSuchBucket"):
                raise Stopped(f"read {status} {code_of(body)}")
            body = body if status == 200 else b""
            expected = self._digest(path) if "table" in self._stores else None
            if expected in (None, md5(body) if body else ""):
                return (json.loads(body) if body else None), headers.get("x-amz-version-id", "")
            time.sleep(LOOK_S)
        raise Stopped("digest does not fit")

    def _digest(self, path: str) -> str | None:
        key = {"LockID": {"S": f"{lock_id(self.site.bucket, path)}-md5"}}
        asked = {"ProjectionExpression": "LockID, Digest", "ConsistentRead": True}
        status, details = self.wire.dynamodb("GetItem", TableName=self.site.table, Key=key, **asked)
        found = details.get("Item", {}).get("Digest", {}).get("S") if status == 200 else None
        return str(found).lower() if found and len(found) == 32 else None

    def _write(self, path: str, before: dict[str, Any] | None, version: str) -> str:
        time.sleep(self.works_s)
        if before is None:
            self.journal.record(self.who, "made anew", path=path)
        lineage = before["lineage"] if before else f"new-{random.randbytes(4).hex()}"
        serial = before["serial"] + 1 if before else 1
        body = body_of(lineage, serial, self.who)
        content = {"Content-Type": "application/json"}
        status, headers, answer = self.wire.s3("PUT", self.site.bucket, path, body, **content)
        if status != 200:
            raise Stopped(f"write {status} {code_of(answer)}")
        wrote = {"serial": serial, "lineage": lineage, "version": headers.get("x-amz-version-id"), "upon": version}
        self.journal.record(self.who, "wrote", path=path, bucket=self.site.bucket, md5=md5(body), **wrote)
        if "table" in self._stores:
            item = {"LockID": {"S": f"{lock_id(self.site.bucket, path)}-md5"}, "Digest": {"S": md5(body)}}
            self.wire.dynamodb("PutItem", TableName=self.site.table, Item=item)
        return "applied"


@dataclass
class Looping:
    """A client that applies again and again to some states, until it is told to stop."""

    client: Client
    paths: list[str]
    pause_s: tuple[float, float]
    random: random.Random
    may_start: Callable[[], bool] = lambda: True
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _loop(self) -> None:
        try:
            while not self._stop.wait(self.random.uniform(*self.pause_s)):
                if self.may_start():
                    self.client.apply(self.random.choice(self.paths))
        except BaseException as failure:
            self.failures.append(failure)


def body_of(lineage: str, serial: int, writer: str) -> bytes:
    """As terraform writes one."""
    known = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage}
    outputs = {"writer": {"value": f"{writer} {serial}", "type": "string"}}
    return json.dumps({**known, "outputs": outputs, "resources": [], "check_results": None}, indent=2).encode() + b"\n"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def code_of(body: bytes) -> str:
    return body.decode("utf-8", "replace").partition("<Code>")[2].partition("</Code>")[0]


def id_in(body: bytes) -> str | None:
    try:
        details = json.loads(body)
    except ValueError:
        return None
    return str(details["ID"]) if isinstance(details, dict) and "ID" in details else None


def holder(body: bytes) -> str:
    try:
        details = json.loads(body)
        return f"{details['Operation']} of {details['Who']}"
    except (ValueError, KeyError, TypeError):
        return "nobody any more"

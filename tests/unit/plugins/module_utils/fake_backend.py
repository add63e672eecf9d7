# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets with versioned objects and lock tables in memory, behind the real `Aws`: no HTTP, no emulator.

    fake = FakeBackend()
    fake.use_for(monkeypatch)         # from now on no call of a module leaves this process
    world = World(fake.relay, fake)   # the helpers of the integration tests work as with an emulator

`fake.relay` takes the same rules as the relay in front of an emulator: errors, lost replies, hooks, stale answers.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote
from xml.etree import ElementTree

import botocore.exceptions
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import client as _client
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import (
    Connection,
    Session,
    client_of,
    session_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import account_facts
from botocore import xform_name

from tests.support.aws_wire import Operation
from tests.support.http_relay import Answer, Body, HangUp, Request
from tests.support.relay import Call as Sent
from tests.support.relay import Relay
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, READ_VERBS, Bucket, FakeAws, Rejected, Table

#: As often as botocore sends a request whose connection breaks off.
ATTEMPTS = 5
STATUS = {
    "404": 404,
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "PreconditionFailed": 412,
    "AccessDenied": 403,
    "InvalidObjectState": 403,
    "RestoreAlreadyInProgress": 409,
}


class PolicyNotFoundException(botocore.exceptions.ClientError):  # type: ignore[misc]
    pass


class Content(bytes):
    """The body of an object as botocore gives it."""

    def read(self) -> bytes:
        return bytes(self)

    def close(self) -> None:
        pass

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        return (self[start : start + size] for start in range(0, len(self), size))


@dataclass
class ToFake(Sent):
    """A call as `Aws` made it, with what rules ask about requests."""

    call: Call = field(default_factory=lambda: Call("", ""))


@dataclass(frozen=True)
class Reached(Answer):
    """An answer of the fake, as the caller gets it."""

    value: Any = None


class Kept:
    """What the tasks of a run remember, in memory."""

    files: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, name: str, _connection: object) -> None:
        self._name = name

    def read(self) -> dict[str, Any]:
        return self.files.get(self._name, {})

    def write(self, answer: dict[str, Any]) -> None:
        self.files[self._name] = answer


class FakeRelay(Relay):
    """The rules of a relay, without a server: calls come from `Aws` and go to the fake."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend, self._lock = backend, threading.Lock()
        self._rules, self._behaviours, self._last_answers, self.calls = [], [], {}, []
        self.url = "http://127.0.0.1:9"

    def send(self, client: Any, call: Call) -> Any:
        """What botocore returns for this call, or raises."""
        region, name = client.meta.region_name, client.meta.method_to_api_mapping[call.operation]
        for _attempt in range(ATTEMPTS):
            request = _request(call)
            operation = Operation(call.service, name, region, "test", _resource(call.params), _params(call))
            try:
                answer = self._reply_to(operation, request, call)
            except HangUp:
                continue
            if answer.status >= 400:
                raise _error(*_refusal(answer), name)
            return copy.deepcopy(answer.value) if isinstance(answer, Reached) else {}
        raise botocore.exceptions.ConnectionClosedError(endpoint_url=self.url)

    def _reply_to(self, operation: Operation, request: Request, call: Call) -> Answer:
        sent = ToFake(0, operation, request, call=call)
        answer = self._proceed(sent, self._due(sent))()
        sent.status = answer.status
        return answer

    def _forward(self, call: Sent) -> Answer:
        assert isinstance(call, ToFake)
        return self._backend.reach(call)


@dataclass
class FakeBackend(FakeAws):
    """As an emulator: it gives clients to whoever wants to look at what is there or change it."""

    policies: dict[str, tuple[str, str]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))
    _busy: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.relay = FakeRelay(self)
        self.url = self.relay.url
        self.emulator = SimpleNamespace(name="fake")

    def use_for(self, patch: pytest.MonkeyPatch) -> None:
        Kept.files.clear()
        patch.setattr(account_facts, "Remembered", Kept)
        patch.setattr(_client, "_send", self.relay.send)
        patch.setattr(_client, "session_for", lambda _connection: Session(None))
        patch.setattr(_client, "client_of", _client_of)
        patch.setattr(Aws, "pause", lambda aws, attempt: None)
        patch.setattr(Aws, "rest", lambda aws, seconds: None)

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return FakeClient(self, service, region)

    def reach(self, sent: ToFake) -> Answer:
        try:
            value = self.carry_out(sent.call, sent.region)
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            return Answer(STATUS.get(code, 400), {"x-amzn-errortype": code}, Body(()))
        return Reached(200, {}, Body(()), value)

    def carry_out(self, call: Call, region: str) -> Any:
        with self._busy:
            self._region = region
            answer = self._answer(call, reading=call.operation.startswith(READ_VERBS))
        if isinstance(answer, Failure):
            raise _error(answer.code, answer.message, call.operation)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(_now(), usegmt=True)}}}

    # S3.

    def _s3_create_bucket(self, params: Any) -> None:
        if params["Bucket"] in self.buckets and self._region != "us-east-1":
            raise Rejected("BucketAlreadyOwnedByYou")
        self.buckets.setdefault(params["Bucket"], Bucket(region=self._region))

    def _s3_list_buckets(self, params: Any) -> Any:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def _check_owner(self, params: Any) -> None:
        if "Bucket" in params:
            super()._check_owner(params)

    def _s3_list_object_versions(self, params: Any) -> Any:
        found = self._listed(params)
        shown = found[: params.get("MaxKeys", len(found))]
        return {
            "Versions": [each for each in shown if not each.get("Marker")],
            "DeleteMarkers": [each for each in shown if each.get("Marker")],
            "IsTruncated": False,
        }

    def _s3_list_objects_v2(self, params: Any) -> Any:
        found = [each for each in self._listed(params) if each["IsLatest"] and not each.get("Marker")]
        return {"Contents": found, "IsTruncated": False} if found else {"IsTruncated": False}

    def _listed(self, params: Any) -> list[dict[str, Any]]:
        prefix = params.get("Prefix", "")
        found = [each for each in self._bucket(params).objects if each["Key"].startswith(prefix)]
        names = ("Key", "VersionId", "IsLatest", "LastModified", "Size", "ETag", "Marker", "StorageClass")
        return sorted(({name: each[name] for name in names if name in each} for each in found), key=lambda e: e["Key"])

    def archive(self, bucket: str, key: str, version_id: str, storage_class: str, tier: str | None = None) -> None:
        """As a lifecycle rule does, or INTELLIGENT_TIERING by itself, which no listing shows."""
        found = self._found({"Bucket": bucket, "Key": key, "VersionId": version_id}, "NoSuchKey")
        found |= {"StorageClass": storage_class, **({"ArchiveStatus": tier} if tier else {})}

    def complete_restores(self, bucket: str) -> None:
        """As hours after they were requested."""
        for each in self.buckets[bucket].objects:
            if "Restore" in each and "ArchiveStatus" in each:
                del each["ArchiveStatus"], each["Restore"]
            elif "Restore" in each:
                each["Restore"] = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"'

    def _s3_restore_object(self, params: Any) -> None:
        found = self._found(params, "NoSuchKey")
        if not _is_archived(found):
            raise Rejected("InvalidObjectState", "Restore is not allowed for the object's current storage class")
        if "Restore" in found:
            raise Rejected("RestoreAlreadyInProgress")
        has_days = "Days" in params["RestoreRequest"]
        if has_days == ("ArchiveStatus" in found):
            raise Rejected("InvalidArgument" if has_days else "MalformedXML")
        found["Restore"] = 'ongoing-request="true"'

    def _s3_get_object(self, params: Any) -> Any:
        found = self._found(params, "NoSuchKey")
        if _is_archived(found):
            raise Rejected("InvalidObjectState")
        body = found["Body"]
        answer = {**_head(found), "Body": Content(body), "ContentLength": len(body)}
        if "Range" not in params:
            return answer
        if not body:
            raise Rejected("InvalidRange")
        start, end = (int(each) for each in params["Range"].removeprefix("bytes=").split("-"))
        part = body[start : end + 1]
        if not part:
            raise Rejected("InvalidRange")
        span = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return {**answer, "Body": Content(part), "ContentLength": len(part), "ContentRange": span}

    def _s3_head_object(self, params: Any) -> Any:
        found = self._found(params, "404")
        return {**_head(found), "ContentLength": len(found["Body"])}

    def _s3_put_object(self, params: Any) -> Any:
        current = self._current(params)
        _check_condition(params, current)
        body = params["Body"] if isinstance(params["Body"], bytes) else params["Body"].read()
        self._add(params, Body=body, Size=len(body), Tags=dict(parse_qsl(params.get("Tagging", ""))), **_kept(params))
        added = self._bucket(params).objects[0]
        return {name: added[name] for name in ("ETag", "VersionId")}

    def _s3_delete_object(self, params: Any) -> None:
        bucket = self._bucket(params)
        if "VersionId" in params:
            name = (params["Key"], params["VersionId"])
            bucket.objects = [each for each in bucket.objects if (each["Key"], each["VersionId"]) != name]
            self._mark_latest(bucket, params["Key"])
            return
        current = self._current(params)
        _check_condition(params, current)
        if bucket.versioning == "Enabled":
            self._add(params, Marker=True, Size=0, Body=b"", Tags={})
        else:
            bucket.objects = [each for each in bucket.objects if each["Key"] != params["Key"]]

    def _s3_get_object_tagging(self, params: Any) -> Any:
        tags = self._found(params, "NoSuchKey")["Tags"]
        return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}

    def _s3_put_object_tagging(self, params: Any) -> None:
        tags = {each["Key"]: each["Value"] for each in params["Tagging"]["TagSet"]}
        if len(tags) > 10:
            raise Rejected("BadRequest", "Object tags cannot be greater than 10")
        self._found(params, "NoSuchKey")["Tags"] = tags

    def _current(self, params: Any) -> dict[str, Any] | None:
        """The object as it is now; None where there is none."""
        found = [each for each in self._bucket(params).objects if each["Key"] == params["Key"] and each["IsLatest"]]
        return found[0] if found and not found[0].get("Marker") else None

    def _found(self, params: Any, code: str) -> dict[str, Any]:
        if "VersionId" not in params:
            found = self._current(params)
        else:
            name = (params["Key"], params["VersionId"])
            same = [each for each in self._bucket(params).objects if (each["Key"], each["VersionId"]) == name]
            found, code = (same[0] if same else None), "NoSuchVersion"
        if found is None:
            raise Rejected(code)
        return found

    def _add(self, params: Any, **more: Any) -> None:
        bucket = self._bucket(params)
        is_versioned = bucket.versioning == "Enabled"
        number = f"v{next(self._numbers):06}" if is_versioned else "null"
        if not is_versioned:
            bucket.objects = [each for each in bucket.objects if each["Key"] != params["Key"]]
        etag = f'"{hashlib.md5(more["Body"], usedforsecurity=False).hexdigest()}"'
        dates = {"LastModified": _now(), "ETag": etag, "IsLatest": True}
        bucket.objects.insert(0, {"Key": params["Key"], "VersionId": number, **dates, **more})
        self._mark_latest(bucket, params["Key"])

    def _mark_latest(self, bucket: Bucket, key: str) -> None:
        for place, each in enumerate(each for each in bucket.objects if each["Key"] == key):
            each["IsLatest"] = place == 0

    # DynamoDB.

    def _dynamodb_create_table(self, params: Any) -> None:
        name = params["TableName"]
        arn = f"arn:aws:dynamodb:{self._region}:{ACCOUNT}:table/{name}"
        self.tables[name] = Table(more={"TableArn": arn})

    def _dynamodb_list_tables(self, params: Any) -> Any:
        return {"TableNames": [*self.tables]}

    def _dynamodb_scan(self, params: Any) -> Any:
        return {"Items": self._table(params).items}

    def _dynamodb_get_item(self, params: Any) -> Any:
        found = self._item(params, params["Key"])
        return {"Item": found} if found else {}

    def _dynamodb_put_item(self, params: Any) -> None:
        old = self._item(params, params["Item"])
        _check_expression(params, old)
        table = self._table(params)
        table.items = [each for each in table.items if each is not old] + [copy.deepcopy(dict(params["Item"]))]

    def _dynamodb_delete_item(self, params: Any) -> None:
        old = self._item(params, params["Key"])
        _check_expression(params, old)
        table = self._table(params)
        table.items = [each for each in table.items if each is not old]

    def _item(self, params: Any, named: Mapping[str, Any]) -> dict[str, Any] | None:
        return next((each for each in self._table(params).items if each["LockID"] == named["LockID"]), None)

    def _dynamodb_get_resource_policy(self, params: Any) -> Any:
        if params["ResourceArn"] not in self.policies:
            raise Rejected("PolicyNotFoundException")
        policy, revision = self.policies[params["ResourceArn"]]
        return {"Policy": policy, "RevisionId": revision}

    def _dynamodb_put_resource_policy(self, params: Any) -> None:
        self._check_revision(params)
        self.policies[params["ResourceArn"]] = (params["Policy"], str(next(self._numbers)))

    def _dynamodb_delete_resource_policy(self, params: Any) -> None:
        self._check_revision(params)
        self.policies.pop(params["ResourceArn"], None)

    def _check_revision(self, params: Any) -> None:
        there = self.policies.get(params["ResourceArn"], ("", "NO_POLICY"))[1]
        if params.get("ExpectedRevisionId", there) != there:
            raise Rejected("PolicyNotFoundException")


@dataclass
class FakeClient:
    """A client of botocore's, as far as tests use one: past the relay, and so past its rules."""

    backend: FakeBackend
    service: str
    region: str
    exceptions: ClassVar[Any] = SimpleNamespace(
        ClientError=botocore.exceptions.ClientError, PolicyNotFoundException=PolicyNotFoundException
    )

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **params: self.backend.carry_out(Call(self.service, operation, params), self.region)


@cache
def _client_in(service: str, region: str, url: str) -> Any:
    connection = Connection(region=region, access_key="test", secret_key="test", endpoint_url=url)
    return client_of(session_of(connection), service, connection)


def _client_of(_session: Any, service: str, connection: Connection) -> Any:
    """Of botocore, for what it knows about operations; nothing is ever sent by it."""
    return _client_in(service, connection.region, connection.endpoint_url or "")


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def _head(found: Mapping[str, Any]) -> dict[str, Any]:
    named = ("ETag", "LastModified", "VersionId", "ContentType", "ServerSideEncryption", "SSEKMSKeyId")
    of_archives = ("StorageClass", "ArchiveStatus", "Restore")
    return {name: found[name] for name in (*named, *of_archives) if name in found}


def _is_archived(found: Mapping[str, Any]) -> bool:
    is_in_archive = "ArchiveStatus" in found or found.get("StorageClass") in ("GLACIER", "DEEP_ARCHIVE")
    return is_in_archive and 'ongoing-request="false"' not in found.get("Restore", "")


def _kept(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in ("ContentType", "ServerSideEncryption", "SSEKMSKeyId") if name in params}


def _check_condition(params: Mapping[str, Any], current: Mapping[str, Any] | None) -> None:
    if "IfNoneMatch" in params and current is not None:
        raise Rejected("PreconditionFailed")
    if "IfMatch" in params and current is None:
        raise Rejected("NoSuchKey")
    if "IfMatch" in params and current and params["IfMatch"] != current["ETag"]:
        raise Rejected("PreconditionFailed")


def _check_expression(params: Mapping[str, Any], item: Mapping[str, Any] | None) -> None:
    """The conditions that the code uses: comparisons and existence, joined by OR or by AND."""
    written, values = params.get("ConditionExpression"), params.get("ExpressionAttributeValues", {})
    if written and not any(
        all(_holds(term, item or {}, values) for term in each.split(" AND ")) for each in written.split(" OR ")
    ):
        raise Rejected("ConditionalCheckFailedException")


def _holds(term: str, item: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    matched = re.fullmatch(r"attribute_(not_)?exists\((\w+)\)", term)
    if matched:
        return (matched[2] in item) != bool(matched[1])
    name, value = term.split(" = ")
    return name in item and bool(item[name] == values[value])


def _request(call: Call) -> Request:
    version = f"?versionId={call.params['VersionId']}" if "VersionId" in call.params else ""
    target = (
        f"/{call.params['Bucket']}/{quote(call.params.get('Key', ''))}{version}" if "Bucket" in call.params else "/"
    )
    content = call.params.get("Body", b"") if call.service == "s3" else json.dumps(call.params).encode()
    content = content if isinstance(content, bytes) else b""  # a stream is for the fake alone
    headers = {
        header: call.params[name]
        for header, name in {
            "x-amz-server-side-encryption": "ServerSideEncryption",
            "x-amz-expected-bucket-owner": "ExpectedBucketOwner",
            "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
        }.items()
        if name in call.params
    }
    method = "HEAD" if call.operation.startswith("head_") else "PUT"
    return Request(method, target, headers, [], Body((bytes(content),)))


def _params(call: Call) -> dict[str, Any]:
    version = {"versionId": call.params["VersionId"]} if "VersionId" in call.params else {}
    return {**call.params, **version}


def _resource(params: Mapping[str, Any]) -> str:
    named = params.get("Bucket") or params.get("TableName") or params.get("ResourceArn") or ""
    return str(named).rpartition("table/")[2]


def _refusal(answer: Answer) -> tuple[str, str]:
    """Code and message."""
    body = answer.body.read()
    if "x-amzn-errortype" in answer.headers:
        return answer.headers["x-amzn-errortype"], json.loads(body)["message"] if body else ""
    if not body:
        return str(answer.status), ""
    said = ElementTree.fromstring(body)
    return said.findtext(".//Code") or "?", said.findtext(".//Message") or ""


def _error(code: str, message: str, operation: str) -> botocore.exceptions.ClientError:
    kind = PolicyNotFoundException if code == "PolicyNotFoundException" else botocore.exceptions.ClientError
    name = operation if operation[0].isupper() else xform_name(operation)
    return kind({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPHeaders": {}}}, name)

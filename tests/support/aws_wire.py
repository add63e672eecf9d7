# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How AWS requests and errors look on the wire: which operation a request is, and how that protocol says no."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

SERVICES = ("s3", "dynamodb", "kms", "sts", "iam", "application-autoscaling")
_READS = ("Get", "Head", "List", "Describe", "Query", "Scan", "Simulate", "BatchGet", "AssumeRole", "Select")


@dataclass(frozen=True)
class Operation:
    """What a request asks for. `resource` is a bucket, a table, a key or a role."""

    service: str
    name: str
    region: str
    access_key: str
    resource: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_write(self) -> bool:
        return not self.name.startswith(_READS)


def recognise(method: str, target: str, headers: Mapping[str, str], body: Callable[[], bytes]) -> Operation:
    """Name the operation of a request. Only JSON and form bodies are read: objects pass through unread."""
    scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", headers.get("authorization", ""))
    access_key, region, service = scope.groups() if scope else ("", "", "s3")
    if "x-amz-target" in headers:
        params = json.loads(body() or b"{}")
        return Operation(
            service, headers["x-amz-target"].rpartition(".")[2], region, access_key, _json_resource(params), params
        )
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        params = dict(parse_qsl(body().decode()))
        resource = params.get("RoleName") or params.get("RoleArn") or params.get("UserName") or ""
        return Operation(service, params.pop("Action", "Unknown"), region, access_key, resource, params)
    path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
    bucket, _unused, key = unquote(path).lstrip("/").partition("/")
    params = query | ({"Key": key} if key else {})
    return Operation("s3", _s3_operation(method, bucket, key, query, headers), region, access_key, bucket, params)


def _json_resource(params: Mapping[str, Any]) -> str:
    named = params.get("TableName") or params.get("ResourceArn") or params.get("KeyId") or ""
    return str(named).rpartition("table/")[2]


def _s3_operation(method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    level = "key" if key else "bucket" if bucket else "service"
    given = {*query, *(f"{name}={value}" for name, value in query.items()), *headers}
    for wanted, name in _s3_routes().get((method, level), ()):
        if wanted <= given:
            return name
    return "Unknown"


@lru_cache(maxsize=1)
def _s3_routes() -> dict[tuple[str, str], list[tuple[frozenset[str], str]]]:
    """(method, level) -> the query names and headers that tell operations apart, the most demanding first."""
    routes: dict[tuple[str, str], list[tuple[frozenset[str], str]]] = {}
    for operation in _operations("s3"):
        path, _unused, query = operation.http["requestUri"].partition("?")
        level = "key" if "{Key" in path else "bucket" if "{Bucket}" in path else "service"
        wanted = frozenset({*filter(None, query.split("&")), *_required(operation)})
        routes.setdefault((operation.http["method"], level), []).append((wanted, operation.name))
    for candidates in routes.values():
        candidates.sort(key=lambda candidate: -len(candidate[0]))
    return routes


def _required(operation: OperationModel) -> list[str]:
    shape = operation.input_shape
    where = [shape.members[name].serialization for name in shape.required_members] if shape else []
    return [place["name"].lower() if place["location"] == "header" else place["name"]
            for place in where if place.get("location") in ("header", "querystring")]  # fmt: skip


def _operations(service: str) -> list[OperationModel]:
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    operations = [model.operation_model(name) for name in model.operation_names]
    return [operation for operation in operations if not operation.deprecated]


@lru_cache(maxsize=1)
def known_operations() -> frozenset[str]:
    return frozenset(operation.name for service in SERVICES for operation in _operations(service))


def error_answer(
    operation: Operation, method: str, code: str, status: int, message: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error, as the operation's own protocol spells it."""
    request_id = uuid4().hex
    if operation.service == "s3":
        text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}<RequestId>{request_id}</RequestId></Error>'
        headers = {"x-amz-request-id": request_id, "x-amz-id-2": request_id, "content-type": "application/xml"}
        return status, headers, b"" if method == "HEAD" else body.encode()
    if operation.service in ("sts", "iam"):
        side = "Receiver" if status >= 500 else "Sender"
        text = f"<Type>{side}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{text}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        return status, {"x-amzn-requestid": request_id, "content-type": "text/xml"}, body.encode()
    headers = {"x-amzn-requestid": request_id, "x-amzn-errortype": code, "content-type": "application/x-amz-json-1.0"}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ministack that writes down, in the order of their effect, all calls about states, locks and digests.

    python -m tests.overlap.recorder      with OVERLAP_LOG, the file that gets a line of JSON for each call

ministack answers each call of S3 and DynamoDB within one step of its event loop, so that conditions are atomic and the
log has the one true order. Who called is told by the access key. Beyond ministack, policies deny what they say without
conditions that depend on the caller, calls take a random while, and processes are killed right after a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from tests.support.callers import process_behind

_peer: ContextVar[tuple[int, int]] = ContextVar("peer", default=(0, 0))
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
#: Whoever prepares a round or looks at its result is denied nothing, and not written down.
EXEMPT = "setup"
#: By the method and whether the call names a version.
OBJECT_CALLS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
ACTIONS = {"HeadObject": "s3:GetObject"}
NAMESPACE = re.compile(r"\{.*?\}")


@dataclass
class Kill:
    """After so many calls, or so many writes that were taken, if `counts_writes`.

    `targets`: child, worker, main. The process that calls is the child, and `root` is the parent of its main one.
    """

    who: str
    after: int
    targets: list[str]
    signal: int
    root: int
    counts_writes: bool = False
    #: After so long it goes on, if it was stopped only.
    stop_s: float = 0.0


@dataclass
class Fault:
    """Denies the calls of one caller for one key, from the n-th one on."""

    who: str
    operation: str
    key: str
    nth: int = 1


class Recorder:
    def __init__(self, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8", buffering=1)
        self._number = 0
        self._calls: Counter[str] = Counter()
        self._writes: Counter[str] = Counter()
        self._kills: list[Kill] = []
        self._faults: list[Fault] = []
        self._delay_s = 0.0
        self._policies: dict[str, list[dict[str, Any]]] = {}
        self._table_policies: dict[str, list[dict[str, Any]]] = {}

    def configure(self, content: dict[str, Any]) -> None:
        self._delay_s = content.get("delay_s", self._delay_s)
        if content.get("clear"):
            self._kills, self._faults, self._calls, self._writes = [], [], Counter(), Counter()
            self._policies, self._table_policies = {}, {}
        self._kills += [Kill(**each) for each in content.get("kills", [])]
        self._faults += [Fault(**each) for each in content.get("faults", [])]

    async def answer(self, inner: Any, service: str, arguments: tuple[Any, ...]) -> Any:
        method, path, headers, body, query = arguments
        who = caller(headers)
        if who.startswith(EXEMPT):
            answer = await inner(*arguments)
            self._keep_policy(service, method, path, headers, body, query, answer[0])
            return answer
        if self._delay_s:
            await asyncio.sleep(random.uniform(0, self._delay_s))
        about = of_s3(method, path, query, body) if service == "s3" else of_dynamodb(headers, body)
        answer = self._denial(service, who, about) or await inner(*arguments)
        self._keep_policy(service, method, path, headers, body, query, answer[0])
        self._write(who, about, answer)
        self._calls[who] += 1
        self._writes[who] += about["op"] not in READS and answer[0] < 300
        self._kill(who)
        return answer

    def _denial(self, service: str, who: str, about: dict[str, Any]) -> Any:
        is_denied = self._is_denied_by_s3(about) if service == "s3" else self._is_denied_by_table(about)
        if not is_denied and not self._is_faulty(who, about):
            return None
        if service == "s3":
            body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return 403, {"Content-Type": "application/xml"}, body.encode()
        content = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "explicit deny"}
        return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(content).encode()

    def _is_faulty(self, who: str, about: dict[str, Any]) -> bool:
        for fault in self._faults:
            if (fault.who, fault.operation, fault.key) == (who, about["op"], about.get("key")):
                fault.nth -= 1
                return fault.nth < 1
        return False

    def _is_denied_by_s3(self, about: dict[str, Any]) -> bool:
        action = ACTIONS.get(about["op"], f"s3:{about['op']}")
        resource = f"arn:aws:s3:::{about.get('bucket')}/{about.get('key')}"
        return any(
            matches(each.get("Action"), action) and matches(each.get("Resource"), resource)
            for each in self._policies.get(str(about.get("bucket")), [])
            if about.get("key")
        )

    def _is_denied_by_table(self, about: dict[str, Any]) -> bool:
        for each in self._table_policies.get(str(about.get("table")), []):
            tests = each.get("Condition", {}).get("ForAnyValue:StringLike", {})
            if matches(each.get("Action"), f"dynamodb:{about['op']}"):
                return matches(tests.get("dynamodb:LeadingKeys", []), str(about.get("item")))
        return False

    def _keep_policy(
        self, service: str, method: str, path: str, headers: Any, body: bytes, query: Any, status: int
    ) -> None:
        if status >= 300:
            return
        if service == "s3":
            bucket, _slash, key = unquote(path).lstrip("/").partition("/")
            if not key and method == "DELETE":
                self._policies.pop(bucket, None)
            elif not key and method == "PUT" and "policy" in query:
                self._policies[bucket] = denials(json.loads(body))
            return
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in ("PutResourcePolicy", "DeleteResourcePolicy"):
            content = json.loads(body)
            table = content["ResourceArn"].rpartition("/")[2]
            self._table_policies[table] = denials(json.loads(content["Policy"])) if "Policy" in content else []

    def _write(self, who: str, about: dict[str, Any], answer: Any) -> None:
        status, headers, body = answer
        content = {name.lower(): value for name, value in headers.items()}
        if about["op"] in READS and not about.get("is_state"):
            return
        self._number += 1
        line = {"n": self._number, "t": round(time.monotonic(), 4), "who": who, **about, "status": status}
        if about["op"] in ("GetObject", "PutObject", "DeleteObject"):
            line |= {"version": content.get("x-amz-version-id"), "etag": str(content.get("etag", "")).strip('"')}
        if status >= 300 and isinstance(body, bytes):
            line["error"] = code_in(body)
        print(json.dumps(line), file=self._log)

    def _kill(self, who: str) -> None:
        for kill in [each for each in self._kills if each.who == who]:
            if (self._writes if kill.counts_writes else self._calls)[who] < kill.after:
                continue
            self._kills.remove(kill)
            with suppress(ProcessLookupError, OSError):
                victims = self._victims(kill)
                self._number += 1
                line = {"n": self._number, "t": round(time.monotonic(), 4), "who": who, "op": "kill"}
                print(json.dumps({**line, "targets": kill.targets, "signal": kill.signal}), file=self._log)
                for pid in victims:
                    with suppress(ProcessLookupError):
                        os.kill(pid, kill.signal)
                    if kill.signal == signal.SIGSTOP:
                        asyncio.get_running_loop().call_later(kill.stop_s, _go_on, pid)

    def _victims(self, kill: Kill) -> list[int]:
        """Processes from the child up to its main process, those that are meant; the main one first."""
        pid = process_behind(*_peer.get())
        chain = [pid]
        while (parent := parent_of(chain[-1])) not in (0, 1, kill.root):
            chain.append(parent)
        named = {"child": chain[:1], "main": chain[-1:], "worker": chain[1:-1]}
        return list(
            dict.fromkeys(
                pid for target in ("main", "worker", "child") if target in kill.targets for pid in named[target]
            )
        )


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


READS = {"GetObject", "HeadObject", "GetItem", "Scan", "Query", "DescribeTable", "other"}


def caller(headers: dict[str, str]) -> str:
    found = CREDENTIAL.search(headers.get("authorization", ""))
    return found[1] if found else "nobody"


def matches(patterns: Any, value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns or []
    return any(fnmatchcase(value, pattern) for pattern in listed)


def denials(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """What is denied to everybody, but for conditions on how somebody comes."""
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    found = [each for each in statements if each["Effect"] == "Deny" and each.get("Principal") in ("*", {"AWS": "*"})]
    return [each for each in found if set(each.get("Condition", {})) <= {"ForAnyValue:StringLike"}]


def of_s3(method: str, path: str, query: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What a call is about: operation, bucket and key, and what the written body says."""
    bucket, _slash, key = unquote(path).lstrip("/").partition("/")
    version = query.get("versionId")
    if method == "POST" and "delete" in query:
        return {"op": "DeleteObjects", "bucket": bucket, "objects": objects_in(body)}
    if not key and "policy" in query and method in ("PUT", "DELETE"):
        return {"op": f"{method.title()}BucketPolicy", "bucket": bucket, "closes": b"TearDown" in body}
    if not key:
        names = {"PUT": "CreateBucket", "DELETE": "DeleteBucket"}
        is_plain = not set(query) - {"x-id"}
        subject = "".join(sorted(query)) or "list"
        writes = f"{method} {subject}" if method in ("PUT", "DELETE") else "other"
        return {"op": names[method] if is_plain and method in names else writes, "bucket": bucket}
    if set(query) - {"versionId", "x-id", "partNumber"}:
        return {"op": f"{method} {sorted(query)[0]}" if method == "PUT" else "other", "bucket": bucket, "key": key}
    about = {"op": OBJECT_CALLS.get(method, "other"), "bucket": bucket, "key": key}
    if version:
        about["of_version"] = version[0] if isinstance(version, list) else version
        if method == "DELETE":
            about["op"] = "DeleteObjectVersion"
    if method == "GET":
        about["is_state"] = not key.endswith(".tflock") and not version
    return about | (describe(body) if method == "PUT" else {})


def describe(body: bytes) -> dict[str, Any]:
    """Of a state its lineage and serial; of a lock its id and operation."""
    with suppress(ValueError):
        content = json.loads(body)
        if isinstance(content, dict) and "lineage" in content:
            return {"lineage": content["lineage"], "serial": content["serial"]}
        if isinstance(content, dict) and "ID" in content:
            return {"lock": content["ID"], "operation": content["Operation"], "holder": content["Who"]}
    return {}


def objects_in(body: bytes) -> list[list[str]]:
    root = ElementTree.fromstring(body)
    found = []
    for each in root:
        content = {NAMESPACE.sub("", part.tag): part.text or "" for part in each}
        if "Key" in content:
            found.append([content["Key"], content.get("VersionId", "")])
    return found


def of_dynamodb(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    content = json.loads(body) if body else {}
    about: dict[str, Any] = {"op": operation, "table": content.get("TableName")}
    if "ResourceArn" in content:
        about |= {"table": content["ResourceArn"].rpartition("/")[2], "denies": "-md5" in content.get("Policy", "")}
    item = content.get("Item") or content.get("Key") or {}
    if "LockID" in item:
        about["item"] = item["LockID"]["S"]
    if "Info" in item:
        about |= describe(item["Info"].get("S", "").encode())
    if "Digest" in item:
        about["digest"] = item["Digest"].get("S")
    return about


def code_in(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    found = re.search(r"<Code>(\w+)</Code>|\"__type\":\s*\"(?:[^\"#]*#)?(\w+)\"", text)
    return (found[1] or found[2]) if found else text[:80]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def main() -> None:
    from ministack import app as ministack

    recorder = Recorder(Path(os.environ["OVERLAP_LOG"]))
    for service in ("s3", "dynamodb"):
        ministack.SERVICE_HANDLERS[service] = _recorded(recorder, service, ministack.SERVICE_HANDLERS[service])
    served = ministack.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            _peer.set((scope["client"][1], scope["server"][1]))
            if scope["path"] == "/_overlap":
                recorder.configure(json.loads(await _body(receive)))
                await send({"type": "http.response.start", "status": 200, "headers": []})
                return await send({"type": "http.response.body", "body": b"{}"})
        return await served(scope, receive, send)

    ministack.app = app
    ministack.main()


def _recorded(recorder: Recorder, service: str, inner: Any) -> Any:
    async def handler(*arguments: Any) -> Any:
        return await recorder.answer(inner, service, arguments)

    return handler


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it stops it
    main()

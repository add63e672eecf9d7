# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP/1.1 for the emulator, in a third of the time that hypercorn takes for each of the many small requests of tests.

Run in the emulator's process before it starts: hypercorn's `serve` is replaced. `make start` uses hypercorn itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import hypercorn.asyncio

App = Callable[..., Awaitable[None]]
HEAD_LIMIT = 1 << 20
REASONS = {status.value: status.phrase for status in HTTPStatus}


async def serve(app: App, config: Any, **_unused: Any) -> None:
    """Until the process is killed."""
    host, _colon, port = config.bind[0].rpartition(":")
    lifespan = asyncio.create_task(_started(app))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await _exchange(app, reader, writer):
                pass
        writer.close()

    async with await asyncio.start_server(connected, host, int(port), limit=HEAD_LIMIT, backlog=128) as server:
        await asyncio.gather(server.serve_forever(), lifespan)


async def _started(app: App) -> None:
    messages = [{"type": "lifespan.startup"}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        assert message["type"] == "lifespan.startup.complete", message

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)


async def _exchange(app: App, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection stays open."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    method, target, _version = first.decode("ascii").split(" ")
    headers = [
        (name.strip().lower(), value.strip()) for name, _colon, value in (each.partition(b":") for each in lines)
    ]
    given = dict(headers)
    if b"expect" in given:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    messages = [{"type": "http.request", "body": await _body(reader, given), "more_body": False}]
    path, _mark, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": writer.get_extra_info("peername"),
        "server": writer.get_extra_info("sockname"),
    }

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.Future()

    answer = _Answer(writer, method, is_last=given.get(b"connection", b"").lower() == b"close")
    await app(scope, receive, answer.send)
    await writer.drain()
    return answer.is_complete and not answer.is_last


async def _body(reader: asyncio.StreamReader, given: dict[bytes, bytes]) -> bytes:
    if b"chunked" not in given.get(b"transfer-encoding", b""):
        return await reader.readexactly(int(given.get(b"content-length", 0)))
    chunks = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    while (await reader.readline()).strip():
        pass  # trailers
    return b"".join(chunks)


class _Answer:
    """Head and body go out together; a body of unknown length goes out in chunks, as it comes."""

    def __init__(self, writer: asyncio.StreamWriter, method: str, is_last: bool) -> None:
        self.writer, self.method, self.is_last = writer, method, is_last
        self.is_complete = self.has_body = False
        self._start: dict[str, Any] | None = None
        self._is_chunked = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and not self.is_complete:
            self.is_complete = not message.get("more_body", False)
            self.writer.write(self._head(message) + self._part(message.get("body", b"")))

    def _head(self, message: dict[str, Any]) -> bytes:
        if self._start is None:
            return b""
        status, headers = self._start["status"], [*self._start["headers"]]
        self._start = None
        self.has_body = self.method != "HEAD" and status >= 200 and status not in (204, 304)
        if self.has_body and b"content-length" not in {name.lower() for name, _value in headers}:
            self._is_chunked = not self.is_complete
            length = (b"content-length", b"%d" % len(message.get("body", b"")))
            headers.append((b"transfer-encoding", b"chunked") if self._is_chunked else length)
        if self.is_last:
            headers.append((b"connection", b"close"))
        lines = [b"HTTP/1.1 %d %s" % (status, REASONS.get(status, "").encode())]
        return b"\r\n".join([*lines, *(name + b": " + value for name, value in headers), b"", b""])

    def _part(self, content: bytes) -> bytes:
        if not self.has_body or not self._is_chunked:
            return content if self.has_body else b""
        end = b"0\r\n\r\n" if self.is_complete else b""
        return (b"%x\r\n%b\r\n" % (len(content), content) if content else b"") + end


hypercorn.asyncio.serve = serve

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP/1.1 between a client and an upstream, in threads: messages pass as they are, bodies are streamed."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BufferedIOBase

_HOP_HEADERS = {"connection", "keep-alive", "proxy-connection", "expect"}


class HangUp(Exception):
    """Close the client's connection without an answer, with a TCP reset where `reset`."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Body:
    """Bytes on their way: kept once somebody has read them, else gone with whoever iterates."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterable[bytes] = chunks
        self._is_gone = False

    @property
    def is_kept(self) -> bool:
        return isinstance(self._chunks, tuple)

    def read(self) -> bytes:
        if self._is_gone:
            raise RuntimeError("this body has been streamed; read it before it passes")
        if not isinstance(self._chunks, tuple):
            self._chunks = (b"".join(self._chunks),)
        return b"".join(self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        self._is_gone = not self.is_kept
        return iter(self._chunks)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Body

    def with_body(self, content: bytes) -> Answer:
        """The same answer with other content, without the checksum of the old one."""
        headers = {name: value for name, value in self.headers.items() if name != "x-amz-crc32"}
        return replace(self, headers=headers, body=Body((content,)))


@dataclass(frozen=True)
class Request:
    """`head` holds the first line and the headers to pass on, as they came; `ports` are the client's and ours."""

    method: str
    target: str
    headers: dict[str, str]
    head: list[bytes]
    body: Body
    ports: tuple[int, int] = (0, 0)


def forward(upstream: tuple[str, int], request: Request) -> Answer:
    """Send a request upstream over a connection of its own."""
    connection = socket.create_connection(upstream, timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b"".join(request.head) + b"Connection: close\r\n\r\n"
    is_chunked = "chunked" in request.headers.get("transfer-encoding", "")
    _send(connection, head, request.body, is_chunked)
    stream = connection.makefile("rb")
    first, headers, _unused = _read_head(stream)
    code = int(first.split()[1])
    chunks = _chunks(stream, headers, ends_at_close=True) if _has_body(request.method, code) else ()
    return Answer(code, headers, Body(_closing(connection, stream, chunks)))


def _has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in (204, 304)


def _closing(connection: socket.socket, stream: BufferedIOBase, chunks: Iterable[bytes]) -> Iterator[bytes]:
    with connection, stream:
        yield from chunks


def _read_head(stream: BufferedIOBase) -> tuple[bytes, dict[str, str], list[bytes]]:
    """First line, headers by lower-case name, and the lines to pass on as they came."""
    first = stream.readline(65536)
    if not first:
        raise ConnectionError("closed before a first line")
    headers, lines = {}, [first]
    while (line := stream.readline(65536)) not in (b"\r\n", b"\n", b""):
        name, _unused, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
        if name.lower() not in _HOP_HEADERS:
            lines.append(line)
    return first, headers, lines


def _chunks(stream: BufferedIOBase, headers: dict[str, str], ends_at_close: bool) -> Iterator[bytes]:
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(stream.readline().partition(b";")[0], 16):
            yield stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass  # trailers
        return
    left = int(headers.get("content-length", -1 if ends_at_close else 0))
    while left:
        chunk = stream.read(65536 if left < 0 else min(left, 65536))
        if not chunk and left > 0:
            raise ConnectionError("closed in the middle of a body")
        if not chunk:
            return
        left -= min(left, len(chunk)) if left > 0 else 0
        yield chunk


def _send(connection: socket.socket, head: bytes, body: Iterable[bytes], is_chunked: bool) -> None:
    pending = head
    for chunk in body:
        if chunk:
            connection.sendall(pending + (b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk))
            pending = b""
    if pending or is_chunked:
        connection.sendall(pending + (b"0\r\n\r\n" if is_chunked else b""))


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError), self.server.tracked(self.connection):
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        first, headers, head = _read_head(self.rfile)
        method, target, _unused = first.decode("latin-1").split(" ", 2)
        body = Body(self._request_chunks(headers))
        try:
            ports = (self.client_address[1], self.connection.getsockname()[1])
            answer = self.server.answer(Request(method, target, headers, head, body, ports))
        except HangUp as hang_up:
            if hang_up.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        for _unused in body:
            pass  # what nobody wanted; the next request begins behind it
        self._write(method, answer)
        return headers.get("connection", "").lower() != "close"

    def _request_chunks(self, headers: dict[str, str]) -> Iterator[bytes]:
        if "expect" in headers:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield from _chunks(self.rfile, headers, ends_at_close=False)

    def _write(self, method: str, answer: Answer) -> None:
        headers = {name: value for name, value in answer.headers.items() if name not in _HOP_HEADERS}
        has_body = _has_body(method, answer.status)
        if has_body and answer.body.is_kept:
            headers.pop("transfer-encoding", None)
            headers["content-length"] = str(len(answer.body.read()))
        is_chunked = has_body and "content-length" not in headers
        if is_chunked:
            headers["transfer-encoding"] = "chunked"
        lines = [f"HTTP/1.1 {answer.status} .", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        _send(self.connection, "\r\n".join(lines).encode("latin-1"), answer.body if has_body else (), is_chunked)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self.failures: list[BaseException] = []
        self._open: set[socket.socket] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        self.failures.append(sys.exc_info()[1] or RuntimeError(client_address))

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        # The inherited one says goodbye first, and the client would never see a reset.
        self.close_request(request)

    @contextlib.contextmanager
    def tracked(self, connection: socket.socket) -> Iterator[None]:
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)

    def hang_up(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The emulator is spoken to as any server of HTTP/1.1."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.emulators import RunningEmulator

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"}


@pytest.fixture
def connection(ministack: RunningEmulator) -> Iterator[http.client.HTTPConnection]:
    """One for all requests of a test: it would not open a second one."""
    connection = http.client.HTTPConnection(ministack.url.removeprefix("http://"), timeout=5)
    connection.connect()
    connection.auto_open = 0
    yield connection
    connection.close()


def test_a_connection_serves_many_requests_until_one_of_them_closes_it(connection: http.client.HTTPConnection) -> None:
    path, content = f"/tf-{uuid4().hex}", b"x" * 200_000

    def ask(method: str, where: str = path, body: object = None, **headers: str) -> tuple[int, bytes]:
        connection.request(method, where, body, SIGNED | headers, encode_chunked=headers.get("Length") == "unknown")
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert ask("PUT") == (200, b"")
    assert ask("PUT", f"{path}/a%20b+c", content, Expect="100-continue") == (200, b"")
    assert (
        ask("PUT", f"{path}/d", iter([content, b"y"]), **{"Transfer-Encoding": "chunked", "Length": "unknown"})[0]
        == 200
    )
    assert ask("GET", f"{path}/a%20b+c") == (200, content)
    assert ask("GET", f"{path}/d") == (200, content + b"y")
    assert ask("HEAD", f"{path}/d") == (200, b"")
    assert ask("HEAD", f"{path}/e") == (404, b"")
    assert b"<Key>a b+c</Key>" in ask("GET", f"{path}?list-type=2&prefix=a%20b")[1]
    assert ask("DELETE", f"{path}/d") == (204, b"")
    assert ask("GET", Connection="close")[0] == 200
    with pytest.raises(http.client.NotConnected):
        ask("GET")

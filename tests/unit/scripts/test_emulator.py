# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/emulator.py, each time in a checkout of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ministack")

SCRIPT = Path(__file__).parents[3] / "scripts" / "emulator.py"
HOSTILE = {
    "AWS_PROFILE": "nosuch",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}
IN_EU_WEST_1 = (
    "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
)


class Checkout:
    def __init__(self, root: Path) -> None:
        self.script = root / "scripts" / "emulator.py"
        self.script.parent.mkdir()
        shutil.copy(SCRIPT, self.script)
        self.store = root / ".state" / "emulator"
        self.port = free_port()

    def __call__(self, command: str, port: int | str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | HOSTILE | {"TFSTATE_EMULATOR_PORT": str(port or self.port)}
        return subprocess.run(
            [sys.executable, self.script, command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def pid(self) -> int:
        return json.loads((self.store / "record.json").read_text())["pid"]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        while self("status").returncode == 0:
            pass

    def request(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        scope = "20260101/eu-west-1/s3/aws4_request"
        credential = f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=0"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, {"Authorization": credential})
        response = connection.getresponse()
        return response.status, response.read().decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def emulator(tmp_path):
    checkout = Checkout(tmp_path)
    yield checkout
    checkout("stop")


def test_it_starts_once_and_stops_once(emulator):
    assert f"started: http://127.0.0.1:{emulator.port}" in emulator("start").stdout
    first = emulator.pid
    assert "is running" in emulator("start").stdout
    assert emulator.pid == first
    assert emulator("status").returncode == 0
    assert "has ended" in emulator("stop").stdout
    again = emulator("stop")
    assert (again.returncode, again.stdout) == (0, "The emulator is not running.\n")
    assert emulator("status").returncode == 1


def test_a_busy_port_is_one_sentence_that_names_it_and_another(emulator):
    with socket.create_server(("127.0.0.1", emulator.port)):
        refused = emulator("start")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert f"Port {emulator.port} on 127.0.0.1" in refused.stderr
    assert "is already in use" in refused.stderr and "TFSTATE_EMULATOR_PORT=" in refused.stderr


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(emulator, port):
    refused = emulator("start", port)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"TFSTATE_EMULATOR_PORT={port} is not a port")


def test_a_running_emulator_on_another_port_is_not_taken_for_the_wanted_one(emulator):
    emulator("start")
    refused = emulator("start", free_port())
    assert refused.returncode == 1
    assert f"is running on port {emulator.port}" in refused.stderr


def test_what_it_stores_survives_a_stop(emulator):
    emulator("start")
    emulator.request("PUT", "/kept-bucket", IN_EU_WEST_1)
    emulator("stop")
    assert "killed" not in emulator("start").stdout
    assert emulator.request("HEAD", "/kept-bucket")[0] == 200


def test_a_store_lost_by_sigkill_is_told_at_the_next_start_and_only_there(emulator):
    emulator("start")
    emulator.kill()
    assert "was killed before it could save" in emulator("start").stdout
    emulator("stop")
    assert "killed" not in emulator("start").stdout


def test_a_saved_bucket_survives_sigkill_in_its_own_region(emulator):
    emulator("start")
    emulator.request("PUT", "/saved-bucket", IN_EU_WEST_1)
    assert emulator("save").returncode == 0
    deadline = time.monotonic() + 10
    while not (emulator.store / "settings" / "s3.json").exists() and time.monotonic() < deadline:
        pass
    emulator.request("PUT", "/saved-bucket/younger-than-the-save", "state")
    emulator.kill()
    emulator("start")
    assert "eu-west-1" in emulator.request("GET", "/saved-bucket?location")[1]
    assert emulator.request("GET", "/saved-bucket/younger-than-the-save") == (200, "state")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_nothing_of_the_users_environment_reaches_it(emulator):
    emulator("start")
    names = {entry.split("=")[0] for entry in Path(f"/proc/{emulator.pid}/environ").read_text().split("\0") if entry}
    assert "GATEWAY_PORT" in names
    assert not names & (set(os.environ | HOSTILE) - {"PATH", "LANG", "HOME", "TMPDIR"})


def test_an_emulator_that_does_not_come_up_shows_the_end_of_its_log(emulator):
    broken = emulator.script.read_text().replace("from ministack import", "from no_such_emulator import")
    emulator.script.write_text(broken)
    refused = emulator("start")
    assert refused.returncode == 1
    assert "did not come up" in refused.stderr
    assert "No module named 'no_such_emulator'" in refused.stderr
    assert "killed" not in emulator("start").stdout

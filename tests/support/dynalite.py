# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dynalite, whose tables really are CREATING, UPDATING and DELETING for a while; installed by npm when first wanted."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.emulators import _free_port
from tests.support.http_relay import Answer, forward
from tests.support.relay import Call, Proceed

VERSION = "3.2.2"
HOME = Path(__file__).parents[2] / ".state" / f"dynalite-{VERSION}"
INSTALL_LIMIT_S, START_LIMIT_S = 300, 30
#: Listens on this machine only, and ends with whoever holds its standard input.
PROGRAM = """
const [port, ms] = process.argv.slice(1).map(Number)
require('dynalite')({createTableMs: ms, updateTableMs: ms, deleteTableMs: ms}).listen(port, '127.0.0.1')
process.stdin.on('end', () => process.exit()).resume()
"""


class NpmError(RuntimeError):
    """dynalite cannot be had; a test that needs it has failed, as it has proven nothing."""


def install() -> None:
    """Once for a checkout, one process at a time."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise NpmError(
                f"{program} is not on PATH: tables that are really CREATING come from dynalite, which needs it"
            )
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HOME / "installed").exists():
            return
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(HOME), f"dynalite@{VERSION}"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False, cwd=HOME)
        if run.returncode:
            raise NpmError(f"npm could not install dynalite: is the npm registry within reach?\n{run.stderr[-2000:]}")
        (HOME / "installed").touch()


@contextmanager
def running(ms: int) -> Iterator[str]:
    """The URL of a dynalite whose tables take so many milliseconds for everything."""
    install()
    port = _free_port()
    process = subprocess.Popen(
        ["node", "-e", PROGRAM, str(port), str(ms)],
        cwd=HOME,
        env={"PATH": os.environ["PATH"], "HOME": str(HOME)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_until_it_answers(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2):
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    process.kill()
    raise NpmError(f"dynalite did not start: {process.communicate()[0].decode(errors='replace')[-2000:]}")


@dataclass
class DynaliteTables:
    """For `Relay.use`: tables are dynalite's, everything else is the emulator's."""

    url: str
    #: What the tables were said to be, in order.
    statuses: list[str] = field(default_factory=list)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.service != "dynamodb":
            return proceed()
        where = urlsplit(self.url)
        answer = forward((str(where.hostname), int(where.port or 0)), call.request)
        if call.name == "DescribeTable" and answer.status == 200:
            self.statuses.append(json.loads(answer.body.read())["Table"]["TableStatus"])
        return answer

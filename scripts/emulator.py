# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start, stop and look at the emulator of this checkout.

usage: emulator.py start|stop|status|save

The emulator holds a lock on its record for as long as it lives, so a stale process id never misleads.
It empties the record when it ends in good order, so a record without a lock tells of a death.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / ".state" / "emulator"
RECORD = STORE / "record.json"
LOG = STORE / "emulator.log"
HOST = "127.0.0.1"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
LOST = (
    "The emulator was killed before it could save: objects are kept, but tables and bucket settings younger than the "
    "last bootstrap may be gone; bootstrap puts settings and tables back."
)


def start() -> None:
    port = wanted_port()
    with open_record() as record:
        if not acquire(record):
            return join(record, port)
        require_free(port)
        if read(record):
            print(LOST)
            write(record, {})
        process = launch(port, record)
        came_up = wait_until(lambda: healthy(port) or process.poll() is not None, START_TIMEOUT_S)
        if not came_up or process.poll() is not None:
            process.kill()
            write(record, {})
            raise SystemExit(f"The emulator did not come up on {HOST}:{port}. {LOG.relative_to(ROOT)} ends:\n{tail()}")
        print(f"Emulator of AWS started: http://{HOST}:{port}")


def stop() -> None:
    with open_record() as record:
        if acquire(record):
            print("The emulator is not running.")
            return
        pid = running(record)["pid"]
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: acquire(record), STOP_TIMEOUT_S):
            raise SystemExit(f"The emulator (process {pid}) has not ended within {STOP_TIMEOUT_S} s; try again.")
        print("The emulator has ended; its store is kept for the next start.")


def status() -> None:
    with open_record() as record:
        if acquire(record):
            raise SystemExit("The emulator is not running.")
        print(f"The emulator is running: http://{HOST}:{running(record)['port']}")


def save() -> None:
    with open_record() as record:
        if not acquire(record):
            os.kill(running(record)["pid"], signal.SIGUSR1)


def serve() -> None:
    """Be the emulator; only `start` asks for this."""
    from ministack import app

    # By itself it saves settings only when it ends. A bucket whose settings are lost lies in us-east-1.
    signal.signal(signal.SIGUSR1, lambda *_: app.save_all(app._build_persistence_save_dict()))
    sys.argv = ["ministack"]
    with open_record() as record:
        write(record, {"pid": os.getpid(), "port": int(os.environ["GATEWAY_PORT"])})
        try:
            app.main()
        except SystemExit as end:
            print(end)
        write(record, {})


def join(record: TextIO, port: int) -> None:
    """Somebody started it before: make sure that it is where it is wanted."""
    used = running(record)["port"]
    if used != port:
        raise SystemExit(
            f"The emulator is running on port {used}, not {port}: "
            f"set TFSTATE_EMULATOR_PORT={used}, or stop it first (make stop)."
        )
    if not wait_until(lambda: healthy(port), START_TIMEOUT_S):
        raise SystemExit(f"The emulator on {HOST}:{port} does not answer: make stop, then start again.")
    print(f"Emulator of AWS is running: http://{HOST}:{port}")


def wanted_port() -> int:
    text = os.environ.get("TFSTATE_EMULATOR_PORT") or "4577"
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise SystemExit(f"TFSTATE_EMULATOR_PORT={text} is not a port: give a number from 1 to 65535.")
    return int(text)


def require_free(port: int) -> None:
    with socket.socket() as probe:
        # A port that was closed a moment ago counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = port + 1000 if port < 60000 else 4578
            raise SystemExit(
                f"Port {port} on {HOST} is already in use ({error.strerror}). "
                f"Stop what uses it, or choose another port: TFSTATE_EMULATOR_PORT={other} make bootstrap"
            ) from None


def launch(port: int, record: TextIO) -> subprocess.Popen[bytes]:
    """Nothing of the user's environment goes in: no AWS_ variable, proxy, home folder or container daemon."""
    own = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(STORE / "settings"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(STORE / "objects"),
        "DOCKER_HOST": f"unix://{STORE / 'no-docker'}",
        "HOME": str(STORE),
        "TMPDIR": str(STORE),
    }
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with LOG.open("w") as log:
        return subprocess.Popen(
            [sys.executable, __file__, "serve"],
            cwd=STORE,
            env=inherited | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # It outlives this command, and Ctrl-C in the terminal is not for it.
            start_new_session=True,
            pass_fds=(record.fileno(),),
        )


def healthy(port: int) -> bool:
    # http.client knows no proxies.
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(true: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not (done := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return done


def tail() -> str:
    return "\n".join(f"  {line}" for line in LOG.read_text(errors="replace").splitlines()[-8:])


def open_record() -> TextIO:
    STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
    return RECORD.open("a+")


def acquire(record: TextIO) -> bool:
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def running(record: TextIO) -> dict[str, int]:
    """The record of the one who holds the lock, who may be about to write it."""
    if not wait_until(lambda: bool(read(record)), START_TIMEOUT_S):
        raise SystemExit(f"Another command holds {RECORD.relative_to(ROOT)}; try again when it has ended.")
    return read(record)


def read(record: TextIO) -> dict[str, int]:
    record.seek(0)
    entry: dict[str, int] = json.loads(record.read() or "{}")
    return entry


def write(record: TextIO, entry: dict[str, int]) -> None:
    record.truncate(0)
    record.write(json.dumps(entry) if entry else "")
    record.flush()


if __name__ == "__main__":
    commands = {"start": start, "stop": stop, "status": status, "save": save, "serve": serve}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        raise SystemExit("usage: emulator.py start|stop|status|save")
    try:
        commands[sys.argv[1]]()
    except KeyboardInterrupt:
        raise SystemExit(130) from None

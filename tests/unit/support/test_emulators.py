# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emulators start clean, and stop however their starter ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import emulators
from tests.support.emulators import EMULATORS, MINISTACK, Emulator, RunningEmulator, running

STARTER = """
import sys, time
from tests.support.emulators import MINISTACK, running
with running(MINISTACK) as emulator:
    print(emulator.url, flush=True)
    time.sleep(60)
"""


def is_listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


def stops_within(url: str, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while is_listening(url) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_listening(url)


@pytest.mark.parametrize("emulator", EMULATORS, ids=lambda emulator: emulator.name)
def test_an_emulator_answers_while_its_block_lasts_and_no_longer(emulator: Emulator):
    with running(emulator) as server:
        assert server.client("sts").get_caller_identity()["Account"].isdigit()
    assert not is_listening(server.url)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_an_emulator_does_not_outlive_its_starter(
    how: signal.Signals, subprocess_environment: dict[str, str], tmp_path: Path
):
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=root,
        env=subprocess_environment | {"PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        url = starter.stdout.readline().strip()
        assert is_listening(url)
        os.kill(starter.pid, how)
    assert stops_within(url, 5)
    assert not list(tmp_path.glob("ministack-*"))


def test_an_emulator_that_never_answers_is_given_up_with_its_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(emulators, "START_LIMIT_S", 5.0)
    broken = Emulator("broken", "no_such_module_at_all", "/", "/", frozenset())
    with pytest.raises(TimeoutError, match="No module named no_such_module_at_all"), running(broken):
        pass


def test_an_emulator_inherits_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREALLOOKING")
    monkeypatch.setenv("PERSIST_STATE", "1")
    with running(MINISTACK) as server:
        environment = Path(f"/proc/{server.pid}/environ")
        if not environment.exists():
            pytest.skip("the environment of a process is read from /proc")
        names = {pair.split(b"=")[0].decode() for pair in environment.read_bytes().split(b"\0") if pair}
    assert not names & {"AWS_ACCESS_KEY_ID", "PERSIST_STATE"}


def test_a_reset_forgets_everything(emulator: RunningEmulator):
    with running(emulator.emulator) as server:
        server.client("s3").create_bucket(Bucket="soon-forgotten")
        server.reset()
        assert server.client("s3").list_buckets()["Buckets"] == []


def test_an_unknown_behaviour_is_nobodys_lack(ministack: RunningEmulator):
    with pytest.raises(KeyError):
        ministack.lacks("flies_to_the_moon")

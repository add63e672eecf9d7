# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that does a task's work apart from the worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.child_process import (
    TRACEBACK,
    environment_set,
    in_child_process,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import _is_harmless

WRITE = Call("s3", "put_bucket_policy", {"Bucket": "tf-state"})
WriteCallback = Callable[[Call], None]


def never(_written: list[str]) -> None:
    raise AssertionError("it was not cut short")


def test_the_result_comes_back() -> None:
    assert in_child_process(lambda wrote: {"changed": True, "parent": os.getppid()}, never) == {
        "changed": True,
        "parent": os.getpid(),
    }


def test_a_process_that_dies_is_a_failure_that_says_what_was_written() -> None:
    def die(wrote: WriteCallback) -> dict[str, Any]:
        wrote(WRITE)
        os.kill(os.getpid(), signal.SIGSEGV)
        return {}

    result = in_child_process(die, never)
    assert result["failed"] and result["changed"]
    assert "SIGSEGV" in result["msg"] and "put_bucket_policy on tf-state" in result["msg"]


def test_a_process_that_leaves_without_a_word_is_a_failure() -> None:
    result = in_child_process(lambda wrote: os._exit(3), never)
    assert result == {"failed": True, "changed": False, "msg": result["msg"]}
    assert "exit code 3" in result["msg"] and "nothing" in result["msg"]


def test_a_bug_is_told_with_its_name() -> None:
    result = in_child_process(lambda wrote: {}["gone"], never)
    assert result["failed"] and "KeyError" in result["msg"]
    assert "Traceback" in result["exception"]
    assert result["msg"].endswith(f"please report it with the traceback that {TRACEBACK} shows")


class TimeIsUp(BaseException):
    """As Ansible raises it in the middle of a task."""


def test_a_timeout_stops_the_process_and_tells_what_was_written(tmp_path: Path) -> None:
    told: list[list[str]] = []
    number = tmp_path / "pid"

    def hang(wrote: WriteCallback) -> dict[str, Any]:
        number.write_text(str(os.getpid()))
        wrote(WRITE)
        time.sleep(60)
        return {}

    def ring(_signal: int, _frame: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    start = time.monotonic()
    try:
        with pytest.raises(TimeIsUp):
            in_child_process(hang, told.append)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 10
    assert told == [["put_bucket_policy on tf-state"]]
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_the_environment_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a")
    monkeypatch.delenv("AWS_REGION", raising=False)
    with environment_set({"AWS_PROFILE": "b", "AWS_REGION": "eu-west-1"}):
        assert (os.environ["AWS_PROFILE"], os.environ["AWS_REGION"]) == ("b", "eu-west-1")
    assert os.environ["AWS_PROFILE"] == "a"
    assert "AWS_REGION" not in os.environ


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY", "no_proxy"])
def test_what_only_botocore_reads_is_harmless(name: str) -> None:
    assert _is_harmless(name)


@pytest.mark.parametrize("name", ["AWS_DATA_PATH", "PATH", "PYTHONPATH", "HOME"])
def test_what_others_read_is_not(name: str) -> None:
    assert not _is_harmless(name)

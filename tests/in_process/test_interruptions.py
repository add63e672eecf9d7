# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time that runs out, and people who press Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.playbooks.project import Project
from tests.support.relay import Relay, delay

LONG_S = 60


def test_a_timeout_ends_the_task_and_tells_what_was_written(project: Project, relay: Relay, bucket_name: str) -> None:
    relay.on("PutBucketPolicy", times=9, reply=delay(LONG_S))
    patient = {"read_timeout": LONG_S}  # else it gives up before, and says why itself
    project.write("site.yml", creation(project, bucket_name, {"aws_config": patient}, timeout=8))
    start = time.monotonic()
    run = project.play("site.yml")
    assert run.code != 0
    assert time.monotonic() - start < LONG_S / 2
    words = ("Timed out after 8 second(s)", "in the expected time frame (8)")  # of ansible-core since 2.19, and before
    assert any(each in run.output for each in words), run.output
    if "in the worker" in os.environ["PYTEST_CURRENT_TEST"]:  # a module process is killed, and cannot tell
        assert f"put_bucket_versioning on {bucket_name}" in run.output
        assert f"put_bucket_policy on {bucket_name}" not in run.output


def test_a_host_that_does_not_answer_is_told_before_the_timeout(
    project: Project, relay: Relay, bucket_name: str
) -> None:
    relay.on("PutBucketPolicy", times=9, reply=delay(LONG_S))
    project.write("site.yml", creation(project, bucket_name, timeout=20))
    run = project.play("site.yml")
    assert f"put_bucket_policy on {bucket_name}: Read timeout" in run.output, run.output


def test_ctrl_c_leaves_no_process_behind(project: Project, relay: Relay, bucket_name: str) -> None:
    relay.on("GetBucketVersioning", times=9, reply=delay(LONG_S))
    project.write("site.yml", creation(project, bucket_name))
    marker = f"MARKER_{bucket_name.replace('-', '_')}"
    environment = project.clean_environment() | {marker: "1"}
    program = Path(sys.executable).with_name("ansible-playbook")
    # In a group of its own, all of which a terminal's Ctrl-C reaches.
    running = subprocess.Popen(
        [program, "site.yml"], cwd=project.home, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(lambda: "GetBucketVersioning" in relay.operations)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=20) != 0
    wait_until(lambda: not marked(marker))


def creation(project: Project, bucket: str, given: dict[str, Any] | None = None, **task: Any) -> list[dict[str, Any]]:
    options = {**project.connection(), "name": bucket, **(given or {})}
    tasks = [{"name": "Create", "cornerstone.tfstate.tf_state_bucket": options, **task}]
    return [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def wait_until(true: Any, limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def marked(marker: str) -> list[str]:
    """Processes whose environment bears the marker."""
    listed = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line and "<defunct>" not in line]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Killed after every call, reads included: states stay safe, the next run completes it, a third has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.crash.backend import Backend
from tests.crash.safety import harm_to_bucket, harm_to_table, held_by_bucket, held_by_table
from tests.crash.starts import STARTS, Start, ours
from tests.integration.module_runs import Result, through_core
from tests.integration.subject import Subject
from tests.support.callers import kill_caller
from tests.support.emulators import RunningEmulator

HARM = {"bucket": harm_to_bucket, "table": harm_to_table}
HELD = {"bucket": held_by_bucket, "table": held_by_table}


#: From one kill to the next one, in calls. A kill after every write is in tests/integration/test_crashes.py.
strides = pytest.mark.parametrize(
    "stride", [pytest.param(3, id="some calls"), pytest.param(1, id="every call", marks=pytest.mark.thorough)]
)


@strides
@pytest.mark.parametrize("what", STARTS["bucket"])
def test_a_bucket_run_that_is_killed_after_any_call_leaves_it_safe_and_is_completed(
    bucket: Subject, what: str, stride: int
):
    kill_after_calls(bucket, STARTS["bucket"][what], stride)


@strides
@pytest.mark.parametrize("what", STARTS["table"])
def test_a_table_run_that_is_killed_after_any_call_leaves_it_safe_and_is_completed(
    table: Subject, what: str, stride: int
):
    kill_after_calls(table, STARTS["table"][what], stride)


@strides
def test_a_backend_s_creation_that_is_killed_after_any_call_leaves_it_safe_and_is_completed(
    backend: Backend, stride: int
):
    calm = replace(backend, name=f"{backend.name}-calm")
    calm.done()
    calls, end, kills = len(calm.relay.calls), calm.state(), 1 - stride
    for victim in fresh(backend):
        kills += stride
        if not killed(victim, {}, kills):
            break
        for kind, part in victim.parts.items():
            assert (kills, HARM[kind](victim.emulator, part.name)) == (kills, set())
        for file in victim.files.glob("*"):
            assert file.read_text().endswith("}\n"), "files are whole or not there"
        completed(victim, {}, end, kills)
    assert kills > calls >= 25


def kill_after_calls(subject: Subject, start: Start, stride: int) -> None:
    end, calls = undisturbed(subject, start)
    neighbour = replace(subject, name=f"{subject.name}-k")  # whose name everybody else's begins with
    ours(neighbour)
    kills = 1 - stride
    for victim in fresh(subject):
        start.prepare(victim)
        held = HELD[victim.kind](victim.emulator, victim.name)
        before = HARM[victim.kind](victim.emulator, victim.name, held)
        kills += stride
        if not killed(victim, start.of(victim), kills):
            break
        assert (kills, harm_of(victim, start, held) - before) == (kills, set())
        completed(victim, start.of(victim), end, kills)
    assert kills > calls
    assert HARM[subject.kind](subject.emulator, neighbour.name) == set()


def fresh(subject: Any) -> Iterator[Any]:
    """As many as it takes: nobody knows beforehand how many calls a run consists of."""
    for number in range(1, 200):
        yield replace(subject, name=f"{subject.name}-k{number}")
    raise AssertionError("runs were killed for ever")


def undisturbed(subject: Subject, start: Start) -> tuple[dict[str, Any], int]:
    """Where a run ends, and how many calls it takes."""
    calm = replace(subject, name=f"{subject.name}-calm")
    start.prepare(calm)
    calm.done(**start.of(calm))
    calls = len(calm.requests)
    assert len(calm.writes) >= start.least_writes and calls >= start.least_calls, calm.writes
    return calm.state(), calls


def killed(victim: Any, asked: dict[str, Any], k: int) -> bool:
    """Whether the run lived until its k-th call, which was its last."""
    rule = victim.relay.kill_after(k, kill_caller)
    result: Result = victim.task(**asked)
    rule.times = 0
    if not rule.fired:
        assert not result.get("failed"), result["msg"]
        return False
    assert result.get("failed") and "SIGKILL" in result["msg"], result
    # The worker lives on, and tells what was written: all but what was being done when the process died.
    if "until then it wrote" in result["msg"]:
        assert len(victim.writes) - 1 <= result["msg"].count(" on ") <= len(victim.writes), (victim.writes, result)
    return True


def harm_of(victim: Subject, start: Start, held: Any) -> set[str]:
    """A deletion may take what it was asked to take, all of it; what stays in the meantime stays guarded."""
    if not start.is_deletion:
        return HARM[victim.kind](victim.emulator, victim.name, held)
    harm = HARM[victim.kind](victim.emulator, victim.name)
    return harm - ({"not protected from deletion"} if "UpdateTable" in victim.writes else set())


def completed(victim: Any, asked: dict[str, Any], end: dict[str, Any], k: int) -> None:
    victim.done(**asked)
    assert (k, victim.state()) == (k, end)
    assert (k, victim.done(**asked)["changed"], victim.writes) == (k, False, [])


def test_harm_is_seen(emulator: RunningEmulator, aws_like: Any, bucket_name: str, table_name: str):
    """The judge is no judge if it finds everything safe."""
    bucket = Subject("bucket", bucket_name, aws_like, emulator, run_tasks=through_core)
    ours(bucket)
    held, s3 = held_by_bucket(emulator, bucket_name), emulator.client("s3")
    assert harm_to_bucket(emulator, bucket_name, held) == set()
    s3.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_public_access_block(Bucket=bucket_name)
    s3.delete_bucket_policy(Bucket=bucket_name)
    s3.delete_objects(
        Bucket=bucket_name,
        Delete={
            "Objects": [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in s3.list_object_versions(Bucket=bucket_name)["Versions"][1:]
            ]
        },
    )
    found = harm_to_bucket(emulator, bucket_name, held)
    assert {"a state is not versioned", "public access is not blocked", "lost: statement Auditor"} <= found
    assert [each for each in found if "lost: version prod/terraform.tfstate" in each]

    table = Subject("table", table_name, aws_like, emulator, run_tasks=through_core)
    ours(table)
    held, dynamodb = held_by_table(emulator, table_name), emulator.client("dynamodb")
    assert harm_to_table(emulator, table_name, held) == set()
    dynamodb.update_table(TableName=table_name, DeletionProtectionEnabled=False)
    dynamodb.delete_item(TableName=table_name, Key={"LockID": {"S": "states/prod/terraform.tfstate"}})
    found = harm_to_table(emulator, table_name, held)
    assert "not protected from deletion" in found
    assert [each for each in found if "lost: item" in each]
    dynamodb.delete_table(TableName=table_name)
    assert harm_to_table(emulator, table_name, held) == {"the table is gone"}

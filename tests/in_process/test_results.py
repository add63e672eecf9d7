# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option in-process and as a subprocess: the same results, key by key. Whole lives: tests/integration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.conftest import behind_the_shim, launcher, no_wait, run_tasks, run_with
from tests.integration.module_runs import Result, RunTasks, plain
from tests.integration.subject import Subject
from tests.integration.test_facets import make_log_bucket, make_managed_key
from tests.integration.test_lives import under_one_name
from tests.support.emulators import RunningEmulator
from tests.support.facet_turns import BUCKET_TURNS, TABLE_TURNS, Turn, named
from tests.support.relay import Relay

__all__ = ["launcher", "no_wait", "run_tasks", "run_with"]

#: The others repeat what is done with these.
BRIEFLY = ("ownership", "logging", "statements", "recovery", "tags")


def cases(turns: Mapping[str, Turn]) -> list[Any]:
    return [pytest.param(case, marks=() if case in BRIEFLY else pytest.mark.thorough) for case in turns]


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: what differs between emulators differs in each way."""
    return ministack


@pytest.mark.parametrize("case", cases(BUCKET_TURNS))
def test_an_option_of_a_bucket_has_the_same_results(
    emulator: RunningEmulator, aws_like: Relay, run_tasks: RunTasks, case: str
) -> None:
    agree(behind_the_shim("bucket", emulator, aws_like), BUCKET_TURNS[case], run_tasks)


@pytest.mark.parametrize("case", cases(TABLE_TURNS))
def test_an_option_of_a_table_has_the_same_results(
    emulator: RunningEmulator, aws_like: Relay, run_tasks: RunTasks, case: str
) -> None:
    agree(behind_the_shim("table", emulator, aws_like), TABLE_TURNS[case], run_tasks)


def agree(subject: Subject, case: Turn, run_tasks: RunTasks) -> None:
    another = replace(subject, name=f"{subject.name}-core")
    assert results(replace(subject, run_tasks=run_tasks), case) == results(another, case)


def results(subject: Subject, case: Turn) -> list[Result]:
    """Of creation, of the option in check mode and in earnest, refused where it needs a word, and once more."""
    if subject.kind == "bucket":
        make_log_bucket(subject)
    else:
        make_managed_key(subject)
    away = {**case.before, **case.away}
    words = [case.away_needs] if case.away_needs else []
    steps: list[tuple[bool, dict[str, Any]]] = [
        (False, case.before),
        (False, away if words else {"tags": {"aws:mine": "1"}}),
        (True, {**away, "allow": words}),
        (False, {**away, "allow": words}),
        (False, {**away, "allow": words}),
    ]
    tasks = [subject.as_task(check, **named(asked, subject.name)) for check, asked in steps]
    return [under_one_name(plain(result), subject.name) for result in subject.run_tasks(tasks)]

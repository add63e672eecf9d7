# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option through both doors: the same results, key by key. Whole lives through Ansible: tests/integration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.conftest import behind_the_shim, door, entrance, impatient, launcher
from tests.integration.doors import Door, Result, plain
from tests.integration.subject import Subject
from tests.integration.test_facets import BUCKET_TURNS, TABLE_TURNS, Turn, make_log_bucket, make_managed_key, named
from tests.integration.test_lives import under_one_name
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

__all__ = ["door", "entrance", "impatient", "launcher"]

#: The others repeat what the doors do with these.
BRIEFLY = ("ownership", "logging", "statements", "recovery", "tags")


def cases(turns: Mapping[str, Turn]) -> list[Any]:
    return [pytest.param(case, marks=() if case in BRIEFLY else pytest.mark.thorough) for case in turns]


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: what differs between emulators differs behind all doors."""
    return ministack


@pytest.mark.parametrize("case", cases(BUCKET_TURNS))
def test_an_option_of_a_bucket_has_the_same_results(
    emulator: RunningEmulator, aws_like: Relay, door: Door, case: str
) -> None:
    agree(behind_the_shim("bucket", emulator, aws_like), BUCKET_TURNS[case], door)


@pytest.mark.parametrize("case", cases(TABLE_TURNS))
def test_an_option_of_a_table_has_the_same_results(
    emulator: RunningEmulator, aws_like: Relay, door: Door, case: str
) -> None:
    agree(behind_the_shim("table", emulator, aws_like), TABLE_TURNS[case], door)


def agree(subject: Subject, case: Turn, door: Door) -> None:
    another = replace(subject, name=f"{subject.name}-core")
    assert results(replace(subject, door=door), case) == results(another, case)


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
    return [under_one_name(plain(result), subject.name) for result in subject.door(tasks)]

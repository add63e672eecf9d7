# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Operations that overlap, are killed and started again: nothing is lost, and who is refused hears who is at work."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.overlap.bench import Bench
from tests.overlap.client import Wire
from tests.overlap.round import KINDS

#: Rounds of every kind, always the same, and one that never was.
SEEDS = [*((kind, seed) for seed, kind in enumerate(KINDS)), ("", None)]
#: Of the same kinds once more.
MORE = [
    pytest.param((kind, seed), marks=pytest.mark.thorough)
    for seed, kind in enumerate(["restore", "mixed", "mixed"], start=len(KINDS))
]
#: So many in each test: about a thousand rounds in all.
THOROUGH = [(first, 10) for first in range(10_000, 11_000, 10)]


def name_of(case: Any) -> str:
    kind, seed = case
    return f"{kind or 'any'} {'new' if seed is None else seed}"


@pytest.mark.parametrize("case", [*SEEDS, *MORE], ids=name_of)
def test_runs_that_overlap_lose_nothing(ready: Bench, case: tuple[str, int | None]):
    kind, seed = case
    outcome = ready.play(time.time_ns() % 1_000_000_000 if seed is None else seed, kind=kind)
    print(f"seed {outcome.seed} ({outcome.about}): {dict(outcome.figures)}")
    assert not outcome.faults, str(outcome)


@pytest.mark.parametrize("way", ["playbook", pytest.param("module of a playbook", marks=pytest.mark.thorough)])
def test_playbooks_that_overlap_lose_nothing(ready: Bench, way: str):
    outcome = ready.play(4, way, "restore")
    assert not outcome.faults, str(outcome)


@pytest.mark.thorough
@pytest.mark.parametrize("seeds", THOROUGH, ids=str)
def test_a_thousand_rounds_of_runs_that_overlap_lose_nothing(ready: Bench, seeds: tuple[int, int]):
    first, count = seeds
    outcomes = [ready.play(seed) for seed in range(first, first + count)]
    wrong = [str(outcome) for outcome in outcomes if outcome.faults]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.thorough
@pytest.mark.terraform
@pytest.mark.parametrize("seed", range(20_000, 20_020))
def test_runs_that_overlap_with_the_real_terraform_lose_nothing(ready: Bench, terraform: str, seed: int):
    outcome = ready.play(seed, terraform=terraform)
    assert not outcome.faults, str(outcome)


def test_conditions_of_the_emulator_hold_for_one_of_many_at_a_time(ready: Bench):
    """Else nothing of all this would be proven."""
    name = f"atomic-{uuid4().hex[:12]}"
    s3, dynamodb = (ready.emulator.client(each, access_key="setup") for each in ("s3", "dynamodb"))
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    key = [{"AttributeName": "LockID", "KeyType": "HASH"}]
    types = [{"AttributeName": "LockID", "AttributeType": "S"}]
    dynamodb.create_table(TableName=name, KeySchema=key, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
    etag = s3.put_object(Bucket=name, Key="state", Body=b"0")["ETag"]
    start = threading.Barrier(16)

    def race(number: int) -> list[bool]:
        wire = Wire(ready.emulator.url, f"racer-{number}", "us-east-1")
        start.wait()
        item = {"LockID": {"S": "a"}, "Info": {"S": str(number)}}
        only_new = "attribute_not_exists(LockID)"
        return [
            wire.s3("PUT", name, "lock", b"%d" % number, **{"If-None-Match": "*"})[0] == 200,
            wire.s3("PUT", name, "state", b"%d" % (number + 1), **{"If-Match": etag})[0] == 200,
            wire.dynamodb("PutItem", TableName=name, Item=item, ConditionExpression=only_new)[0] == 200,
            wire.s3("DELETE", name, "lock", **{"If-Match": "*"})[0] == 204,
        ]

    with ThreadPoolExecutor(16) as pool:
        won = [sum(each) for each in zip(*pool.map(race, range(16)), strict=True)]
    assert won[1:3] == [1, 1]
    assert won[0] - won[3] in (0, 1) and won[3] > 0, "it is taken as often as it is released, or once more"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From creation to deletion: every step twice, each in check mode first, in-process and as a subprocess."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import bare, behind_the_shim
from tests.integration.module_runs import Playbook, Result, RunTasks, Task, through_core
from tests.integration.subject import Subject, changed, foretold
from tests.support.aws_defaults import aws_defaults
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

# Variables of a play by which its tasks run in each way.

# Step, what is asked for, and what has to change.
Life = tuple[tuple[str, dict[str, Any], list[str]], ...]
LIVES: dict[str, Life] = {
    "bucket": (
        ("create", {"tags": {"Stage": "test"}}, ["existence", "lifecycle", "versioning", "tags", "policy"]),
        (
            "modify",
            {
                "tags": {"Stage": "prod", "Team": "a & b"},
                "encryption": "aws:kms",
                "noncurrent_version_expiration_days": 365,
                "minimum_tls_version": "1.3",
            },
            ["encryption", "lifecycle", "tags", "policy"],
        ),
        ("delete", {"state": "absent"}, ["existence"]),
    ),
    "table": (
        ("create", {"tags": {"Stage": "test"}}, ["existence", "deletion_protection", "recovery", "tags"]),
        (
            "modify",
            {"tags": {"Stage": "prod", "Team": "a & b"}, "read_capacity": 5, "write_capacity": 5},
            ["billing", "tags"],
        ),
        ("delete", {"state": "absent", "allow": ["disable_deletion_protection"]}, ["deletion_protection", "existence"]),
    ),
}
# The requests of a run that finds nothing to do, who we are included.
BUDGET = {"bucket": 9, "table": 4}


@pytest.mark.aws("1.1", "2.15")
@pytest.mark.parametrize("region", ["us-east-1", "af-south-1"])
def test_check_mode_tells_exactly_what_the_run_does_and_the_second_run_does_nothing(subject: Subject, region: str):
    subject.region = region
    for step, asked, facets in LIVES[subject.kind]:
        foreseen = subject.task(True, **asked)
        assert (step, subject.writes) == (step, [])
        result = subject.done(**asked)
        assert (step, changed(result)) == (step, facets)
        assert foretold(foreseen, result)
        for check_mode in (True, False):
            again = subject.task(check_mode, **asked)
            assert (step, again["changes"], again["changed"], subject.writes) == (step, [], False, [])


def test_a_new_bucket_is_told_as_the_next_run_reads_it(bucket: Subject):
    assert bucket.done()["bucket"] == bucket.done()["bucket"]


def test_check_mode_foretells_the_encryption_of_a_new_bucket(bucket: Subject):
    foretold, found = (bucket.task(check_mode)["bucket"]["encryption"] for check_mode in (True, False))
    # What else AWS blocks on a new bucket depends on its region: check mode does not guess.
    assert {**foretold, "blocked_encryption_types": None} == {**found, "blocked_encryption_types": None}


def test_a_new_table_is_told_as_the_next_run_reads_it(table: Subject):
    assert table.done()["table"] == table.done()["table"]


def test_check_mode_names_the_arn_of_the_bucket_that_it_would_create(bucket: Subject):
    assert bucket.task(True)["bucket"]["arn"] == f"arn:aws:s3:::{bucket.name}"


def test_check_mode_names_the_arn_of_the_table_that_it_would_create(table: Subject):
    assert table.task(True)["table"]["arn"] == table.done()["table"]["arn"]


def test_a_run_that_finds_nothing_to_do_stays_within_its_budget_of_requests(
    subject: Subject, record_property: pytest.RecordProperty
):
    subject.done()
    subject.done()
    record_property("requests", len(subject.calls))
    assert len(subject.calls) <= BUDGET[subject.kind], subject.calls


def test_bare_emulators_end_where_they_should_and_the_second_run_does_nothing(bare_subject: Subject):
    subject = bare_subject
    words = {"allow": ["shorten_retention"]} if subject.kind == "bucket" else {}  # some keep no newer versions
    for step, life, _facets in LIVES[subject.kind]:
        asked = {**words, **life}
        before = subject.state()
        subject.task(True, **asked)
        assert (step, subject.state()) == (step, before)
        subject.done(**asked)
        seen = subject.state()
        for check_mode in (True, False):
            again = subject.task(check_mode, **asked)
            assert (step, again["changes"], subject.writes) == (step, [], [])
        assert (step, subject.state()) == (step, seen)
        END_STATES[subject.kind][step](seen)


def _new_bucket(seen: dict[str, Any]) -> None:
    assert set(seen["public_access"].values()) == {True}
    assert seen["ownership"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert seen["versioning"] == "Enabled"
    assert _algorithm(seen) == "AES256"
    assert seen["tags"] == {"Stage": "test"}
    (rule,) = seen["lifecycle"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert {each["Effect"] for each in seen["policy"]} == {"Deny"}
    assert (seen["logging"], seen["object_lock"]) == (None, None)


def _modified_bucket(seen: dict[str, Any]) -> None:
    assert _algorithm(seen) == "aws:kms"
    assert seen["tags"] == {"Stage": "prod", "Team": "a & b"}
    assert seen["lifecycle"][0]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 365
    versions = [each["Condition"].get("NumericLessThan") for each in seen["policy"]]
    assert {"s3:TlsVersion": "1.3"} in versions


def _algorithm(seen: dict[str, Any]) -> str:
    (rule,) = seen["encryption"]["Rules"]
    return str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])


def _new_table(seen: dict[str, Any]) -> None:
    assert seen["key"] == [
        [{"AttributeName": "LockID", "KeyType": "HASH"}],
        [{"AttributeName": "LockID", "AttributeType": "S"}],
    ]
    assert seen["billing"] == "PAY_PER_REQUEST"
    assert seen["deletion_protection"] is True
    assert seen["recovery"] == 35
    assert seen["tags"] == {"Stage": "test"}


def _modified_table(seen: dict[str, Any]) -> None:
    assert seen["billing"] == [5, 5]
    assert seen["tags"] == {"Stage": "prod", "Team": "a & b"}


def _gone(seen: dict[str, Any]) -> None:
    assert not [value for value in _leaves(seen) if value]


def _leaves(value: Any) -> list[Any]:
    if not isinstance(value, dict | list):
        return [value]
    return [leaf for each in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(each)]


END_STATES = {
    "bucket": {"create": _new_bucket, "modify": _modified_bucket, "delete": _gone},
    "table": {"create": _new_table, "modify": _modified_table, "delete": _gone},
}


@pytest.mark.parametrize("kind", LIVES)
def test_each_execution_gives_the_results_of_the_core(ministack: RunningEmulator, kind: str, run_tasks: RunTasks):
    with Relay(ministack.url) as relay:
        relay.use(*aws_defaults(ministack))
        expected = _whole_life(behind_the_shim(kind, ministack, relay), through_core)
        found = _whole_life(behind_the_shim(kind, ministack, relay), run_tasks)
    for one, other in zip(expected, found, strict=True):
        assert other.keys() == one.keys()
        for name in one:
            assert (name, other[name]) == (name, one[name])


def _whole_life(subject: Subject, run_tasks: RunTasks) -> list[Result]:
    """The results of all steps and of two failures, under a name that does not differ."""
    steps = [(check, asked) for _unused, asked, _unused in LIVES[subject.kind] for check in (True, False)]
    wrong = [(False, {"tags": {"aws:mine": "1"}}), (True, {"name": "-"})]
    results = run_tasks([subject.as_task(check, **asked) for check, asked in [*steps, *wrong]])
    return [under_one_name(result, subject.name) for result in results]


def under_one_name(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if (key, each) not in (("warnings", []), ("failed", False))}
        return {key: under_one_name(each, name) for key, each in kept.items()}
    if isinstance(value, list):
        return [under_one_name(each, name) for each in value]
    return value.replace(name, "NAME") if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["ministack", "moto"])
def test_modules_of_others_see_what_was_made(request: pytest.FixtureRequest, name: str, tmp_path: Path):
    emulator = request.getfixturevalue(name)
    with Relay(emulator.url) as relay:
        bucket, table = (bare(kind, emulator, relay) for kind in LIVES)
        bucket.done(tags={"Stage": "test"}, allow=["shorten_retention"])
        table.done(tags={"Stage": "test"})
        facts = {"bucket_versioning": True, "public_access_block": True, "bucket_encryption": True}
        connection = {"endpoint_url": relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "secret-0"}
        seen_bucket, seen_table = Playbook(tmp_path, {"ansible_python_interpreter": sys.executable})(
            [
                Task("amazon.aws.s3_bucket_info", {"name": bucket.name, "bucket_facts": facts, **connection}),
                Task("community.aws.dynamodb_table_info", {"name": table.name, **connection}),
            ]
        )
    (found,) = [each for each in seen_bucket["buckets"] if each["name"] == bucket.name]
    assert found["bucket_versioning"]["Status"] == "Enabled"
    assert set(found["public_access_block"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert seen_table["table"]["deletion_protection_enabled"] is True
    assert seen_table["table"]["tags"] == {"Stage": "test"}

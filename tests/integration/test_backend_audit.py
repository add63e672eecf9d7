# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit of a backend in an emulator: the same by every door, and never a write."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.doors import Playbook, Task, through_core
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

CODE = 'terraform {\n  backend "s3" {\n    bucket = "%s"\n    key = "k"\n    region = "eu-west-1"\n  }\n}\n'


@pytest.fixture
def params(relay: Relay, emulator: RunningEmulator, tmp_path: Path) -> dict[str, Any]:
    """A bare bucket, whose table is missing and whose code names another region."""
    bucket = f"tf-audit-{uuid4().hex[:16]}"
    emulator.client("s3").create_bucket(Bucket=bucket)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.tf").write_text(CODE % bucket)
    # Ansible blots the secret out of results, paths of pytest included.
    connection = {"endpoint_url": relay.url, "access_key": "test", "secret_key": "hush-hush", "region": "us-east-1"}
    return {**connection, "bucket": bucket, "table": f"{bucket}-locks", "code": [str(tmp_path / "code")]}


def test_every_door_finds_the_same_and_writes_nothing(params: dict[str, Any], relay: Relay, tmp_path: Path) -> None:
    task = Task("tf_backend_audit", params)
    (expected,) = through_core([task])
    found = {each["id"]: each["severity"] for each in expected["findings"]}
    assert found.items() >= {"table.missing": "critical", "bucket.versioning": "high", "code.region": "high"}.items()
    for is_fast in (True, False):
        (result,) = Playbook(tmp_path, {"cornerstone_tfstate_fast_door": is_fast})([task])
        assert {name: result.get(name) for name in expected} == expected
    assert relay.writes == []


def test_it_fails_where_it_is_told_to_and_tells_all_the_same(params: dict[str, Any]) -> None:
    (result,) = through_core([Task("tf_backend_audit", {**params, "fail_on": "critical"})])
    assert result["failed"] and result["msg"].startswith("critical: No state locking")
    assert result["findings"]


def test_what_was_gathered_before_is_not_gathered_again(params: dict[str, Any], relay: Relay) -> None:
    asked = {name: value for name, value in params.items() if name != "code"}
    gather = {"gather": ["settings", "states", "locks", "digests", "usage"]}
    (info,) = through_core([Task("tf_backend_info", {**asked, **gather})])
    (live,) = through_core([Task("tf_backend_audit", {**asked, "runs_per_month": 5})])
    relay.calls.clear()
    (again,) = through_core([Task("tf_backend_audit", {"facts": info["backend"], "runs_per_month": 5})])
    assert (again["findings"], again["backend"], relay.calls) == (live["findings"], live["backend"], [])
    assert (live["backend"]["cost"]["unknown"], live["backend"]["cost"]["runs_per_month"]) == ([], 5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bucket": ""}, "bucket is not set"),
        ({"facts": {"bucket": 5}}, "facts is no result of tf_backend_info"),
        ({"bucket_options": {"versionning": True}}, "tf_state_bucket has no versionning"),
        ({"table_options": {"ttl": True}}, "tf_lock_table has no ttl"),
        ({"code": ["/nowhere/at/all"]}, "is no directory"),
        ({"runs_per_month": -1}, "runs_per_month is -1"),
        ({"disabled": ["nosuch"]}, "there is no finding 'nosuch'"),
        ({"waivers": [{"id": "*", "reason": "x", "until": "soon"}]}, "no date such as"),
    ],
)
def test_what_cannot_be_is_said(params: dict[str, Any], wrong: dict[str, Any], said: str) -> None:
    (result,) = through_core([Task("tf_backend_audit", {**params, **wrong})])
    assert result["failed"] and said in result["msg"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bootstrapped backend is read and described: by requests that change nothing, and never over somebody's edits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.integration.module_runs import Result, Task, through_core
from tests.integration.subject import Subject
from tests.support.relay import error

LOCKED = {
    **{"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 3},
    "allow": ["enable_object_lock"],
}


@pytest.fixture
def hand_over(bucket: Subject, table: Subject, tmp_path: Path):
    bucket.done(tags={"team": "network"}, **LOCKED)
    table.done(recovery_period_days=7, allow=["disable_recovery"])

    def run(check_mode: bool = False, **asked: Any) -> Result:
        known = {name: bucket.as_task().params[name] for name in ("endpoint_url", "region", "access_key", "secret_key")}
        params = {"directory": str(tmp_path), "name": "us-east-1", "bucket": bucket.name, "table": table.name}
        given = {name: value for name, value in {**known, **params, **asked}.items() if value is not None}
        return through_core([Task("tf_backend_handover", given, check_mode)])[0]

    return run


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_there_is_written_once_and_nothing_is_changed_by_it(hand_over, bucket, tmp_path):
    start = len(bucket.relay.calls)
    foreseen = hand_over(check_mode=True)
    assert texts(tmp_path) == {}
    result = hand_over()
    assert foreseen == result, result.get("msg")
    assert [call.name for call in bucket.relay.calls[start:] if call.is_write] == []
    assert sorted(Path(each["file"]).name for each in result["changes"]) == sorted(texts(tmp_path))
    assert sorted(texts(tmp_path)) == [
        *("README.md", "bucket.tf", "imports.tf", "outputs.tf", "provider.tf", "table.tf", "terraform.tf"),
    ]
    again = hand_over()
    assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])


def test_settings_that_are_managed_only_when_asked_for_are_described_too(hand_over, tmp_path):
    hand_over()
    bucket = texts(tmp_path)["bucket.tf"]
    assert 'mode = "GOVERNANCE"\n      days = 3' in bucket
    assert '"CornerstoneTfstateRequireTls"' in bucket
    assert 'team = "network"' in bucket
    assert "recovery_period_in_days = 7" in texts(tmp_path)["table.tf"]


def test_an_edited_file_is_its_owners(hand_over, tmp_path):
    hand_over()
    (tmp_path / "bucket.tf").write_text((tmp_path / "bucket.tf").read_text() + "# mine\n")
    before = texts(tmp_path)
    for check_mode in (True, False):
        result = hand_over(check_mode)
        assert result["failed"]
        assert "bucket.tf was written or edited by somebody else" in result["msg"]
    assert texts(tmp_path) == before
    assert [Path(each["file"]).name for each in hand_over(allow=["overwrite_files"])["changes"]] == ["bucket.tf"]


def test_an_unedited_project_follows_the_backend(hand_over, tmp_path):
    hand_over()
    changed = hand_over(client_version=">= 1.11")["changes"]
    assert [(Path(each["file"]).name, each["action"]) for each in changed] == [("terraform.tf", "update")]


def test_a_file_that_terraform_would_read_besides_is_not_left_behind(hand_over, tmp_path):
    hand_over()
    result = hand_over(
        mode="two_phase", production_bucket="tf-prod", production_table="tf-prod", allow=["overwrite_files"]
    )
    assert "imports.tf is no part of this project" in result["msg"]
    assert "set that (terraform_backend_handover_mode)" in result["msg"]


def test_a_project_of_two_phases_stays_one(hand_over, tmp_path):
    two_phase = {"mode": "two_phase", "production_bucket": "tf-prod", "production_table": "tf-prod"}
    hand_over(**two_phase)
    before = texts(tmp_path)
    for allow in ([], ["overwrite_files"]):
        result = hand_over(allow=allow)
        assert result["failed"] and f"{tmp_path / 'README.md'} was written with mode: two_phase" in result["msg"]
    assert texts(tmp_path) == before
    assert not hand_over(**two_phase)["changed"]


def test_the_file_of_a_table_that_was_dropped_is_to_be_removed(hand_over, tmp_path):
    hand_over()
    result = hand_over(table=None)
    assert "table.tf is no part of this project" in result["msg"] and "remove the file" in result["msg"]
    (tmp_path / "table.tf").unlink()
    assert not hand_over(table=None).get("failed")
    (tmp_path / "table.tf").write_text("# mine\n")
    assert "choose another directory" in hand_over(table=None)["msg"]


REFUSED = {
    "no such bucket": ({"bucket": "tf-nowhere"}, "bucket tf-nowhere does not exist in us-east-1; bootstrap it first"),
    "no such table": ({"table": "tf-nowhere"}, "table tf-nowhere does not exist in us-east-1; bootstrap it first"),
    "two phases without a name": ({"mode": "two_phase"}, "two_phase needs production_bucket"),
    "a name for one phase": ({"production_bucket": "b"}, "need mode: two_phase"),
    "the same name twice": (
        {"mode": "two_phase", "bucket": "tf-here", "production_bucket": "tf-here"},
        "names of its own",
    ),
    "a production table from nothing": (
        {"mode": "two_phase", "production_bucket": "b", "production_table": "t", "table": None},
        "takes its settings from table, which is missing",
    ),
    "a key in the workspaces": ({"key": "env:/x/y"}, "lies in the workspaces of other states"),
    "a lock without a table": ({"table": None, "lock_mode": "both"}, "lock_mode both needs a table"),
}


@pytest.mark.parametrize(("asked", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_handed_over_is_said_before_anything_is_written(asked, sentence, hand_over, tmp_path):
    result = hand_over(**asked)
    assert result["failed"]
    assert sentence in result["msg"]
    assert texts(tmp_path) == {}


def test_a_setting_that_cannot_be_read_is_not_guessed(hand_over, bucket, tmp_path):
    bucket.relay.on("GetBucketPolicy", reply=error("AccessDenied", 403), times=math.inf)
    assert "s3:GetBucketPolicy" in hand_over()["msg"]
    assert texts(tmp_path) == {}
    assert hand_over(bucket_unmanaged=["policy"])["changed"]
    assert "aws_s3_bucket_policy" not in texts(tmp_path)["bucket.tf"]

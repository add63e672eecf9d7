# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a backend: written once, whole or not at all, and never over somebody else's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.module_runs import Result, Task, through_core

NAMES = ("backend-config.json", "us-east-1.s3.tfbackend", "backend.tf")
ASKED = {"name": "us-east-1", "bucket": "tf-state", "table": "tf-locks", "region": "us-east-1"}


def write(directory: Path, check_mode: bool = False, **asked: Any) -> Result:
    task = Task("tf_backend_config", {"directory": str(directory), **ASKED, **asked}, check_mode)
    return through_core([task])[0]


def files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()} if directory.is_dir() else {}


def actions(result: Result) -> list[tuple[str, str]]:
    return [(Path(change["file"]).name, change["action"]) for change in result["changes"]]


def test_files_are_created_once_and_the_second_run_does_nothing(tmp_path: Path):
    directory = tmp_path / "a" / "b"
    foreseen = write(directory, check_mode=True)
    assert files(tmp_path) == {}
    result = write(directory)
    assert foreseen == without_facts(result)
    assert actions(result) == [(name, "create") for name in NAMES]
    assert sorted(files(directory)) == sorted(NAMES)
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    for check_mode in (True, False):
        again = write(directory, check_mode)
        assert (again["changed"], again["changes"], again["diff"]) == (False, [], [])
        assert again["backend"] == result["backend"]
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def without_facts(result: dict[str, Any]) -> dict[str, Any]:
    """A cache would keep the facts of check mode, of files that do not exist."""
    assert result["ansible_facts"]["terraform_backend"] == result["backend"]
    return {name: value for name, value in result.items() if name != "ansible_facts"}


def test_a_change_is_foreseen_and_shown_and_keeps_permissions(tmp_path: Path):
    write(tmp_path)
    (tmp_path / "backend.tf").chmod(0o600)
    before = files(tmp_path)
    foreseen = write(tmp_path, check_mode=True, key="other.tfstate")
    assert files(tmp_path) == before
    result = write(tmp_path, key="other.tfstate")
    assert foreseen == without_facts(result)
    assert actions(result) == [(name, "update") for name in NAMES]
    for shown in result["diff"]:
        name = Path(shown["before_header"]).name
        assert (shown["before"], shown["after"]) == (before[name], files(tmp_path)[name])
    assert (tmp_path / "backend.tf").stat().st_mode & 0o777 == 0o600


def test_the_files_agree_and_hold_no_credentials(tmp_path: Path):
    role = "arn:aws:iam::111122223333:role/state"
    result = write(tmp_path, encryption="aws:kms", kms_key_id="alias/state", client_assume_role_arn=role)
    described = json.loads((tmp_path / NAMES[0]).read_text())
    assert described["s3"].items() <= result["backend"]["s3"].items()
    assert described["s3"]["kms_key_id"] == "alias/state"
    for text in files(tmp_path).values():
        assert "tf-state" in text
        assert "alias/state" in text
        assert "secret" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_somebody_else_is_overwritten_only_with_a_word(tmp_path: Path, name: str):
    (tmp_path / name).write_text("by hand\n")
    for check_mode in (True, False):
        result = write(tmp_path, check_mode)
        assert (result["failed"], result["changed"]) == (True, False)
        assert "allow: [overwrite_files]" in result["msg"]
        assert name in result["msg"]
    assert files(tmp_path) == {name: "by hand\n"}
    result = write(tmp_path, allow=["overwrite_files"])
    assert (name, "update") in actions(result)
    assert write(tmp_path)["changes"] == []


def test_the_files_of_another_backend_are_not_overwritten(tmp_path: Path):
    write(tmp_path)
    result = write(tmp_path, name="af-south-1")
    assert result["failed"]
    assert "us-east-1" in result["msg"]
    assert sorted(files(tmp_path)) == sorted(NAMES)


@pytest.mark.parametrize(("before", "after"), [("dynamodb", "lockfile"), ("lockfile", "dynamodb")])
def test_the_lock_mode_goes_one_step_at_a_time(tmp_path: Path, before: str, after: str):
    write(tmp_path, lock_mode=before)
    as_before = files(tmp_path)
    for check_mode in (True, False):
        result = write(tmp_path, check_mode, lock_mode=after)
        assert (result["failed"], result["changed"]) == (True, False)
        assert f"lock_mode cannot go from {before} to {after} in one step" in result["msg"]
        assert "allow: [change_lock_mode]" in result["msg"]
    assert files(tmp_path) == as_before
    for step in ("both", after):
        assert write(tmp_path, lock_mode=step)["changed"]
    assert write(tmp_path, lock_mode=before, allow=["change_lock_mode"])["changed"]


@pytest.mark.parametrize("before", ["dynamodb", "both"])
def test_clients_of_two_tables_exclude_each_other_by_files_alone(tmp_path: Path, before: str):
    write(tmp_path, lock_mode=before, table="old-locks")
    result = write(tmp_path, lock_mode="dynamodb", table="new-locks")
    assert result["failed"] and "the lock table cannot change from old-locks to new-locks" in result["msg"]
    assert result["msg"].endswith("allow: [change_lock_mode]")
    for table in ("old-locks", "new-locks"):
        assert not write(tmp_path, lock_mode="both", table=table).get("failed")
    assert not write(tmp_path, lock_mode="dynamodb", table="new-locks").get("failed")
    assert write(tmp_path, lock_mode="dynamodb", table="old-locks", allow=["change_lock_mode"])["changed"]


def test_another_bucket_may_be_locked_another_way(tmp_path: Path):
    write(tmp_path, lock_mode="dynamodb")
    assert write(tmp_path, lock_mode="lockfile", bucket="tf-state-2")["changed"]


@pytest.mark.parametrize("text", ["{}", '{"name": "us-east-1"}', '{"name": "us-east-1", "bucket": "tf-state"}'])
def test_a_description_without_a_lock_mode_refuses_none(tmp_path: Path, text: str):
    (tmp_path / NAMES[0]).write_text(text)
    assert write(tmp_path, lock_mode="lockfile", allow=["overwrite_files"])["changed"]


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = write(tmp_path / "file")
    assert (result["failed"], result["changed"]) == (True, False)
    assert "choose another directory" in result["msg"]


def test_a_file_that_is_no_text_is_told(tmp_path: Path):
    (tmp_path / NAMES[0]).write_bytes(b"\xff\xfe\xfa")
    result = write(tmp_path)
    assert (result["failed"], result["changed"]) == (True, False)
    assert NAMES[0] in result["msg"]


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_run_that_is_killed_between_files_is_completed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
):
    undisturbed = tmp_path / "calm"
    write(undisturbed)
    replace, left = os.replace, [None] * written

    def killed(draft: str, target: str) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        replace(draft, target)

    directory = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(directory)
    assert sorted(files(directory)) == sorted(NAMES[:written])
    write(directory)
    assert files(directory) == files(undisturbed)


def test_a_full_disk_tells_which_files_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    replace, left = os.replace, [None]

    def full(draft: str, target: str) -> None:
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        replace(draft, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        result = write(tmp_path)
    assert (result["failed"], result["changed"]) == (True, True)
    assert actions(result) == [(NAMES[0], "create")]
    assert "No space left" in result["msg"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "a/b"}, "is no file name"),
        ({"key": "/terraform.tfstate"}, "without a slash at either end"),
        ({"key": "env:/x"}, "workspaces"),
        ({"table": None}, "needs a table"),
        ({"client_version": ">= 1.5"}, "lock_mode dynamodb"),
        ({"kms_key_id": "alias/x"}, "AES256"),
        ({"endpoint_url": "http://user:word@127.0.0.1"}, "credentials are never written"),
        ({"client": "pulumi"}, "value of client must be one of"),
    ],
)
def test_a_wrong_option_is_told_and_nothing_is_written(tmp_path: Path, asked: dict[str, Any], said: str):
    for check_mode in (True, False):
        result = write(tmp_path, check_mode, **asked)
        assert (result["failed"], result["changed"]) == (True, False)
        assert said in result["msg"]
    assert files(tmp_path) == {}

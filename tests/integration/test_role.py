# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's task: bucket, table and files are all planned before the first of them is written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Result, Task
from tests.integration.subject import Subject

CONNECTION = ("endpoint_url", "region", "access_key", "secret_key")


def foreign_file(folder: Path) -> None:
    folder.mkdir()
    (folder / "backend.tf").write_text("# Written by hand.\n")


def no_folder(folder: Path) -> None:
    folder.write_text("")


def nothing(_folder: Path) -> None:
    pass


#: What is set, what lies in the directory of the files, and what the refusal says.
REFUSALS: dict[str, tuple[dict[str, Any], Callable[[Path], None], str]] = {
    "a table key that does not exist": (
        {"table_encryption": "customer_managed_key", "table_kms_key_id": "alias/none"},
        nothing,
        "alias/none",
    ),
    "a table option that needs another": ({"table_read_capacity": 5}, nothing, "write_capacity"),
    "a table name that AWS does not take": ({"table_name": "my/table"}, nothing, "my/table"),
    "a directory that is a file": ({}, no_folder, "Not a directory; choose another directory"),
    "a file written by hand": ({}, foreign_file, "was not written by cornerstone.tfstate"),
}


@pytest.fixture
def role(run_with: RunWithVariables, bucket: Subject, table: Subject, tmp_path: Path) -> Callable[..., Result]:
    params = bucket.as_task().params
    given = {name: params[name] for name in CONNECTION}
    given |= {"bucket_name": bucket.name, "table_name": table.name, "name": "eu"}
    given["config_directory"] = str(tmp_path / "files")

    def run(check_mode: bool = False, **more: Any) -> Result:
        bucket.relay.calls.clear()
        variables = {f"terraform_backend_{name}": value for name, value in {**given, **more}.items()}
        (result,) = run_with(variables)([Task("tf_backend", check_mode=check_mode)])
        return result

    return run


@pytest.mark.parametrize("case", REFUSALS)
def test_whatever_refuses_a_part_nothing_is_written(
    role: Callable[..., Result], bucket: Subject, tmp_path: Path, case: str
) -> None:
    variables, prepare, said = REFUSALS[case]
    prepare(tmp_path / "files")
    for check_mode in (True, False):
        result = role(check_mode, **variables)
        assert result["failed"] and not result["changed"]
        assert said in result["msg"]
        assert "bucket" not in result, "what was not done is not told"
        assert [call.name for call in bucket.relay.calls if call.is_write] == []


def test_a_refusal_names_the_variable_of_the_role(role: Callable[..., Result]) -> None:
    role()
    refused = role(bucket_noncurrent_version_expiration_days=1, table_point_in_time_recovery=False)
    assert "terraform_backend_bucket_allow: [shorten_retention]" in refused["msg"]
    allowed = {"bucket_noncurrent_version_expiration_days": 1, "bucket_allow": ["shorten_retention"]}
    refused = role(**allowed, table_point_in_time_recovery=False)
    assert "terraform_backend_table_allow: [disable_recovery]" in refused["msg"]


def test_a_refusal_of_files_names_the_variable_of_the_role(role: Callable[..., Result]) -> None:
    open_to_http = {"bucket_unmanaged": ["policy"], "bucket_allow": ["weaken_policy"]}  # or moto denies the probe
    assert not role(lock_mode="lockfile", **open_to_http).get("failed")
    refused = role(lock_mode="dynamodb", **open_to_http)
    assert "terraform_backend_config_allow: [change_lock_mode]" in refused["msg"]


def test_parts_without_changes_are_looked_at_once(role: Callable[..., Result], bucket: Subject, table: Subject) -> None:
    assert {change["resource"] for change in role()["changes"]} == {"bucket", "table", "files"}
    once = role()
    assert not once["changed"]
    assert len(bucket.relay.calls) <= 12
    table.aws().tag_resource(ResourceArn=once["table"]["arn"], Tags=[{"Key": "Stage", "Value": "test"}])
    changed = role(table_tags={"Stage": "prod"})
    assert [(change["resource"], change["facet"]) for change in changed["changes"]] == [("table", "tags")]
    assert changed["bucket"] == once["bucket"]
    assert bucket.relay.operations.count("GetBucketPolicy") == 1

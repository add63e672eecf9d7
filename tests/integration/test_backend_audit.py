# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit of a backend in an emulator: the same in-process and as a subprocess, and never a write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.module_runs import RunTasks, Task, through_core
from tests.support.commands import command_of
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, error

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


def test_each_execution_finds_the_same_and_writes_nothing(
    params: dict[str, Any], relay: Relay, run_tasks: RunTasks
) -> None:
    task = Task("tf_backend_audit", params)
    (expected,) = through_core([task])
    found = {each["id"]: each["severity"] for each in expected["findings"]}
    assert found.items() >= {"table.missing": "critical", "bucket.versioning": "high", "code.region": "high"}.items()
    (result,) = run_tasks([task])
    assert {name: result.get(name) for name in expected} == expected
    assert relay.writes == []


def test_a_backup_of_a_bucket_that_is_gone_is_looked_for(
    params: dict[str, Any], emulator: RunningEmulator, relay: Relay, tmp_path: Path
) -> None:
    """In a folder and in another bucket. Whoever may not read it does not know."""
    saved = params["bucket"]
    asked = {**params, "name": "prod", "bucket": f"{saved}-gone", "code": None}

    def audited(backup: str) -> tuple[bool | None, str]:
        """Whether there is a backup, and the playbook that is printed, if any is."""
        (result,) = through_core([Task("tf_backend_audit", {**asked, "backup": backup})])
        (missing,) = [each for each in result["findings"] if each["id"] == "bucket.missing"]
        return result["backend"]["backup"], command_of(missing["fix"]).name

    places = {str(tmp_path / "saved"): tmp_path / "saved" / "backup.json", f"s3://{saved}/tf/prod": None}
    for place, file in places.items():
        assert audited(place) == (False, "bootstrap")
        if file:
            file.parent.mkdir()
            file.write_text("{}")
        else:
            emulator.client("s3").put_object(Bucket=saved, Key="tf/prod/backup.json", Body=b"{}")
        assert audited(place) == (True, "rebuild")
    relay.on("GetObject", reply=error("AccessDenied", 403), times=9)
    assert audited(f"s3://{saved}/tf/prod") == (None, "")
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
    given = {**params_of_the_connection(params), "facts": info["backend"], "runs_per_month": 5}
    (again,) = through_core([Task("tf_backend_audit", given)])
    assert (again["findings"], again["backend"], relay.calls) == (live["findings"], live["backend"], [])
    assert (live["backend"]["cost"]["unknown"], live["backend"]["cost"]["runs_per_month"]) == ([], 5)


def test_a_table_that_only_code_names_is_looked_up(params: dict[str, Any], tmp_path: Path, relay: Relay) -> None:
    through_core([Task("tf_lock_table", {**params_of_the_connection(params), "name": params["table"]})])
    code = 'terraform {\n  backend "s3" {\n    bucket = "%s"\n    key = "k"\n    dynamodb_table = "no-such"\n  }\n}\n'
    (tmp_path / "code" / "main.tf").write_text(code % params["bucket"])
    asked = {**params, "gather": ["settings"]}
    (result,) = through_core([Task("tf_backend_audit", asked)])
    assert "code.table_missing" in {each["id"] for each in result["findings"]}

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDeniedException")(call, proceed) if b"no-such" in call.body else proceed()

    relay.on("DescribeTable", reply=deny, times=9)
    (result,) = through_core([Task("tf_backend_audit", asked)])
    assert "code.table_differs" in {each["id"] for each in result["findings"]}


def test_a_key_is_compared_by_what_its_alias_stands_for(params: dict[str, Any], emulator: RunningEmulator) -> None:
    kms = emulator.client("kms")
    right, wrong = (kms.create_key()["KeyMetadata"] for _unused in range(2))
    aliases = {f"alias/{name}-{uuid4().hex}": key for name, key in (("right", right), ("wrong", wrong))}
    for name, key in aliases.items():
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": right["Arn"]}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    emulator.client("s3").put_bucket_encryption(
        Bucket=params["bucket"], ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    found = []
    for name in aliases:
        asked = {**params, "gather": ["settings"], "bucket_options": {"kms_key_id": name}}
        (result,) = through_core([Task("tf_backend_audit", asked)])
        found.append([each["id"] for each in result["findings"] if "encryption" in each["id"] + each["resource"]])
    assert found == [[], ["bucket.encryption"]]


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


STATE = json.dumps({"version": 4, "serial": 1, "lineage": "x", "resources": []}).encode()


def params_of_the_connection(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in ("endpoint_url", "access_key", "secret_key", "region")}


def test_a_deleted_state_is_found_where_no_digest_tells(params: dict[str, Any], emulator: RunningEmulator) -> None:
    s3, where = emulator.client("s3"), {"Bucket": params["bucket"], "Key": "a.tfstate"}
    s3.put_bucket_versioning(Bucket=params["bucket"], VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(**where, Body=STATE)
    s3.delete_object(**where)
    (result,) = through_core([Task("tf_backend_audit", {**params, "table": None})])
    assert "state.deleted" in {each["id"] for each in result["findings"]}

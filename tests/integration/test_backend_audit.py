# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit of a backend in an emulator: the same in-process and as a subprocess, and never a write."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.module_runs import RunTasks, Task, through_core
from tests.support.commands import Command, command_of
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
MD5 = hashlib.md5(STATE, usedforsecurity=False).hexdigest()
STALE = LockInfo("008fc466", "plan", "", "ann@ci", "1.11.4", "2026-01-02T03:04:05Z", "x")
#: By path: the versions of a state (None: a delete marker), its digest, and what lies in its lock.
TROUBLE: dict[str, tuple[tuple[bytes | None, ...], Any, Any]] = {
    "digest.mismatch": ((STATE,), {"S": "0" * 32}, None),
    "digest.malformed": ((STATE,), {"S": "none of yours"}, None),
    "digest.missing": ((STATE,), None, None),
    "digest.orphan": ((), {"S": "0" * 32}, None),
    "digest.deleted": ((STATE, None), {"S": MD5}, None),
    "state.deleted": ((STATE, None), None, None),
    "state.unreadable": ((STATE, b"{"), {"S": MD5}, None),
    "lock.stale": ((STATE,), {"S": MD5}, {"Info": {"S": marshal(STALE)}}),
    "lock.wedged, no Info": ((STATE,), {"S": MD5}, {}),
    "lock.wedged, no text": ((STATE,), {"S": MD5}, {"Info": {"N": "7"}}),
    "lock.wedged, no JSON": ((STATE,), {"S": MD5}, {"Info": {"S": "?"}}),
    "lock.wedged, a file": ((STATE,), {"S": MD5}, b"?"),
}


@pytest.fixture
def troubled(params: dict[str, Any], emulator: RunningEmulator, tmp_path: Path) -> dict[str, Any]:
    """One state in each kind of trouble."""
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    bucket, table = params["bucket"], params["table"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    through_core([Task("tf_lock_table", {**params_of_the_connection(params), "name": table})])
    save("digest.orphan", params, s3, dynamodb, tmp_path)
    for path, (versions, digest, lock) in TROUBLE.items():
        for body in versions:
            where = {"Bucket": bucket, "Key": path}
            s3.delete_object(**where) if body is None else s3.put_object(**where, Body=body)
        if isinstance(lock, bytes):
            s3.put_object(Bucket=bucket, Key=f"{path}.tflock", Body=lock)
        items = {"-md5": digest and {"Digest": digest}, "": None if isinstance(lock, bytes) else lock}
        for suffix, item in items.items():
            if item is not None:
                dynamodb.put_item(TableName=table, Item={"LockID": {"S": f"{bucket}/{path}{suffix}"}, **item})
    asked = {"name": "here", "gather": ["settings", "states", "versions", "locks", "digests"]}
    return {**{name: value for name, value in params.items() if name != "code"}, **asked}


def save(path: str, params: dict[str, Any], s3: Any, dynamodb: Any, home: Path) -> None:
    """A state that is in a backup, and is lost with all its versions."""
    bucket, table = params["bucket"], params["table"]
    put = s3.put_object(Bucket=bucket, Key=path, Body=STATE)
    dynamodb.put_item(TableName=table, Item={"LockID": {"S": f"{bucket}/{path}-md5"}, "Digest": {"S": MD5}})
    about = {**params_of_the_connection(params), "bucket": bucket, "table": table, "backup": str(home / "backup")}
    (saved,) = through_core([Task("tf_backend_backup", about)])
    assert saved["changed"], saved
    s3.delete_object(Bucket=bucket, Key=path, VersionId=put["VersionId"])


def params_of_the_connection(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in ("endpoint_url", "access_key", "secret_key", "region")}


def task_of(command: Command, params: dict[str, Any], home: Path) -> Task:
    """The module that a printed command enters."""
    connection = params_of_the_connection(params)
    version = {"state": "restored" if "version_id" in (command.given or {}) else "undeleted"}
    entered: dict[str, tuple[str, dict[str, Any]]] = {
        "unlock": ("tf_state_lock", {"state": "released"}),
        "restore_backup": ("tf_backend_restore", {"backup": str(home / "backup")}),
        "repair_digest": ("tf_state_digest", {}),
        "restore_version": ("tf_state_version", version),
        "info": ("tf_backend_info", {}),
    }
    if command.name in entered:
        module, more = entered[command.name]
        backend = {"bucket": params["bucket"], "table": params["table"]}
        return Task(module, {**command.given, **backend, **more, **connection})
    options = {name.removeprefix("terraform_backend_bucket_"): value for name, value in command.given.items()}
    return Task("tf_state_bucket", {"name": params["bucket"], "probe_lock_files": True, **options, **connection})


def test_a_deleted_state_is_found_where_no_digest_tells(params: dict[str, Any], emulator: RunningEmulator) -> None:
    s3, where = emulator.client("s3"), {"Bucket": params["bucket"], "Key": "a.tfstate"}
    s3.put_bucket_versioning(Bucket=params["bucket"], VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(**where, Body=STATE)
    s3.delete_object(**where)
    (result,) = through_core([Task("tf_backend_audit", {**params, "table": None})])
    assert "state.deleted" in {each["id"] for each in result["findings"]}


@pytest.mark.parametrize("emulator", ["ministack"], indirect=True)
def test_each_command_mends_what_it_was_printed_for(troubled: dict[str, Any], tmp_path: Path) -> None:
    (before,) = through_core([Task("tf_backend_audit", troubled)])
    found = {(each["id"], each["resource"].partition(" (")[0]) for each in before["findings"]}
    assert found >= {(path.partition(",")[0], path) for path in TROUBLE} | {("bucket.lifecycle", troubled["bucket"])}
    last = ("bucket.lifecycle", "bucket.mfa_delete")  # the first mends the second
    commands = dict.fromkeys(each["fix"] for each in before["findings"] if each["id"] not in (*last, "lock.wedged"))
    (lifecycle,) = [each["fix"] for each in before["findings"] if each["id"] == "bucket.lifecycle"]
    for fix in [*commands, lifecycle]:
        (result,) = through_core([task_of(command_of(fix), troubled, tmp_path)])
        assert not result.get("failed"), (fix, result["msg"])
    (after,) = through_core([Task("tf_backend_audit", troubled)])
    assert {each["id"] for each in after["findings"]} == {"lock.wedged"}, "whoever wrote them has to be asked first"

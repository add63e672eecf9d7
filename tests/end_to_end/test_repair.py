# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stops the real terraform, or harmed its state, is mended, and it goes on where it was."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.filter.state_key import state_key

from tests.end_to_end.conftest import PROJECT, REGION, Backend
from tests.end_to_end.terraform import Workspace
from tests.end_to_end.test_terraform import succeeded
from tests.integration.module_runs import Result, Task, through_core

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

ANOTHER = '\nresource "terraform_data" "another" {}\n'


def task(backend: Backend, module: str, key: str, check_mode: bool = False, **params: Any) -> Result:
    connection = {"endpoint_url": backend.relay.url, "region": REGION, "access_key": "test", "secret_key": "test"}
    table = {} if backend.lock_mode == "lockfile" else {"table": backend.table}
    asked = {**connection, **table, "bucket": backend.bucket, "key": key, **params}
    return through_core([Task(module, asked, check_mode)])[0]


def done(backend: Backend, module: str, key: str, **params: Any) -> Result:
    """In check mode it says the same, and a second run has nothing to do."""
    foretold = task(backend, module, key, check_mode=True, **params)
    result = task(backend, module, key, **params)
    assert not result.get("failed"), result["msg"]
    assert result["changed"]
    assert foretold == result
    again = task(backend, module, key, **params)
    assert (again["changed"], again["msg"]) == (False, result["msg"])
    assert backend.lock_infos(key) == []
    return result


def applied(backend: Backend, workspace: Workspace, instance: str) -> str:
    key = state_key(PROJECT, f"{instance}-{backend.lock_mode}")
    succeeded(workspace.init(backend.tfbackend, f"-backend-config=key={key}"))
    succeeded(workspace.apply())
    return key


def put_digest(backend: Backend, key: str, digest: str) -> None:
    item = {"LockID": {"S": f"{backend.bucket}/{key}-md5"}, "Digest": {"S": digest}}
    backend.dynamodb.put_item(TableName=backend.table, Item=item)


def digest(backend: Backend, key: str) -> Any:
    name = {"LockID": {"S": f"{backend.bucket}/{key}-md5"}}
    return backend.dynamodb.get_item(TableName=backend.table, Key=name, ConsistentRead=True).get("Item")


def test_a_broken_digest_stops_terraform_until_it_is_repaired(
    backends: dict[str, Backend], workspace: Workspace
) -> None:
    backend = backends["dynamodb"]
    key = applied(backend, workspace, "broken-digest")
    right = digest(backend, key)
    put_digest(backend, key, "0" * 32)
    stopped = workspace.plan()
    assert stopped.code == 1
    assert "state data in S3 does not have the expected content" in stopped.output
    result = done(backend, "tf_state_digest", key)
    assert (result["status"], result["before"], result["digest"]) == ("mismatch", "0" * 32, right["Digest"]["S"])
    assert digest(backend, key) == right
    succeeded(workspace.plan())


def test_a_state_that_was_deleted_by_hand_is_undeleted(backend: Backend, workspace: Workspace) -> None:
    key = applied(backend, workspace, "deleted")
    before = backend.s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read()
    backend.s3.delete_object(Bucket=backend.bucket, Key=key)
    assert workspace.plan().code != 0
    if backend.lock_mode != "lockfile":
        refused = task(backend, "tf_state_digest", key)
        assert refused["failed"] and "undelete it first (tf_state_version" in refused["msg"]
    result = done(backend, "tf_state_version", key, state="undeleted")
    assert (result["added"], result["removed"]) == (["terraform_data.this"], [])
    assert backend.s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read() == before
    succeeded(workspace.plan())


def test_an_older_version_is_restored_and_the_plan_is_the_difference(backend: Backend, workspace: Workspace) -> None:
    key = applied(backend, workspace, "restored")
    main = workspace.folder / "main.tf"
    older = backend.s3.head_object(Bucket=backend.bucket, Key=key)["VersionId"]
    main.write_text(main.read_text() + ANOTHER)
    succeeded(workspace.apply())
    was = json.loads(backend.s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read())
    result = done(backend, "tf_state_version", key, state="restored", version_id=older)
    assert (result["added"], result["removed"]) == ([], ["terraform_data.another"])
    assert "another" not in result["diff"]["after"] and "terraform_data.another\n" in result["diff"]["before"]
    body = backend.s3.get_object(Bucket=backend.bucket, Key=key)["Body"].read()
    now = json.loads(body)
    assert now["lineage"] == was["lineage"]
    assert now["serial"] == result["serial"] == was["serial"] + 1
    if backend.lock_mode != "lockfile":
        assert digest(backend, key)["Digest"]["S"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
    planned = workspace.plan()
    assert planned.code == 2
    assert re.findall(r"# (\S+) (?:will|must) be (\w+)", planned.output) == [("terraform_data.another", "created")]
    assert "Plan: 1 to add, 0 to change, 0 to destroy" in planned.output
    succeeded(workspace.apply())
    succeeded(workspace.plan())

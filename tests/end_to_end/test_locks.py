# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks of the real terraform are seen and released, and ours keep it out."""

from __future__ import annotations

import getpass
import json
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.filter.state_key import state_key

from tests.end_to_end.conftest import PROJECT, REGION, Backend
from tests.end_to_end.terraform import Workspace, apply
from tests.end_to_end.test_terraform import becomes_true, succeeded
from tests.integration.module_runs import Result, Task, through_core

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

COLLECTION = "cornerstone.tfstate"
REFUSED = "Error acquiring the state lock"


def stores(backend: Backend) -> list[str]:
    return {"dynamodb": ["table"], "lockfile": ["file"], "both": ["file", "table"]}[backend.lock_mode]


def lock(backend: Backend, key: str, state: str, check_mode: bool = False, **params: Any) -> Result:
    connection = {"endpoint_url": backend.relay.url, "region": REGION, "access_key": "test", "secret_key": "test"}
    table = {} if backend.lock_mode == "lockfile" else {"table": backend.table}
    options = {**connection, **table, "bucket": backend.bucket, "key": key, "state": state, **params}
    return through_core([Task("tf_state_lock", options, check_mode)])[0]


def read_result(backend: Backend, module: str, **params: Any) -> Result:
    """What a module tells of a backend that it only looks at."""
    connection = {"endpoint_url": backend.relay.url, "region": REGION, "access_key": "test", "secret_key": "test"}
    table = {} if backend.lock_mode == "lockfile" else {"table": backend.table}
    (result,) = through_core([Task(module, {**connection, **table, "bucket": backend.bucket, **params})])
    assert not result.get("failed"), result["msg"]
    return result


def stale(backend: Backend, key: str) -> list[dict[str, Any]]:
    options = {"gather": ["locks"], "keys": [key], "stale_lock_minutes": 0, "name": backend.lock_mode}
    found = read_result(backend, "tf_backend_audit", **options)["findings"]
    return [each for each in found if each["id"] == "lock.stale"]


def initialised(backend: Backend, workspace: Workspace, instance: str) -> str:
    key = state_key(PROJECT, instance)
    succeeded(workspace.init(backend.tfbackend, f"-backend-config=key={key}"))
    return key


def test_a_lock_is_seen_while_terraform_applies_and_released_once_it_was_killed(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    key = initialised(backend, workspace, "killed")
    release = tmp_path / "release"
    with workspace.started(*apply(wait_for=str(release))) as process:
        assert becomes_true(lambda: workspace.is_applying)
        during = lock(backend, key, "released", check_mode=True)
        known = read_result(backend, "tf_backend_info", gather=["locks"], keys=[key])["backend"]["locks"]
        process.kill()
        process.wait()
    release.touch()  # the provisioner outlives it
    assert during["failed"] and "is locked by" in during["msg"]
    seen = during["before"]
    (lock_id,) = {each["lock_id"] for each in seen}
    assert [each["store"] for each in seen] == stores(backend)
    assert lock_id == json.loads(backend.lock_infos(key)[0])["ID"]
    for each in seen:
        assert each["operation"] == "OperationTypeApply"
        assert each["who"] == f"{getpass.getuser()}@{socket.gethostname()}"
        assert re.fullmatch(r"1\.\d+\.\d+.*", each["client"])
        assert 0 <= each["age_s"] < 600
        assert each["is_canonical"] and not each["is_wedged"]
    shared = ("store", "lock_id", "who", "operation", "client", "created")
    assert [[each[name] for name in shared] for each in known] == [[each[name] for name in shared] for each in seen]
    refused = workspace.apply()
    assert refused.code == 1 and REFUSED in refused.output and lock_id in refused.output
    assert lock(backend, key, "released", lock_id="another")["failed"]
    assert becomes_true(lambda: len(stale(backend, key)) == len(seen))
    (fix,) = {each["fix"] for each in stale(backend, key)}
    released = backend.project.play(*shlex.split(fix, comments=True)[1:])
    assert released.code == 0, released.output
    assert (backend.lock_infos(key), stale(backend, key)) == ([], [])
    succeeded(workspace.apply())


@pytest.mark.parametrize("backend", ["both"], indirect=True)
def test_a_hostile_lock_is_released_by_the_command_that_is_printed_and_runs_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    attack = f"x{{{{ lookup('pipe', 'touch {ran}') }}}}$(touch {ran})"
    key, info = f"a/{attack}.tfstate", {"ID": attack, "Who": attack, "Created": "2026-01-02T03:04:05Z"}
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{key}.tflock", Body=json.dumps(info).encode())
    assert becomes_true(lambda: bool(stale(backend, "a/*")))
    (fix,) = {each["fix"] for each in stale(backend, "a/*")}
    released = backend.project.play(*shlex.split(fix, comments=True)[1:])
    assert released.code == 0 and "changed=1" in released.output, released.output
    assert (backend.lock_infos(key), stale(backend, "a/*"), ran.exists()) == ([], [], False)


def test_a_checkout_that_terraform_initialised_is_on_the_map(backend: Backend, workspace: Workspace) -> None:
    initialised(backend, workspace, "on-the-map")
    options = {"gather": ["settings"], "code": [str(workspace.folder)], "lock_mode": backend.lock_mode}
    audit = read_result(backend, "tf_backend_audit", **options)
    assert audit["layers"] > 0
    found = {each["id"] for each in audit["findings"] if each["id"].startswith("code.")}
    assert found <= {"code.deprecated", "code.unknown"}, "another command line may give another backend"


def test_our_lock_keeps_terraform_out_until_it_is_released(backend: Backend, workspace: Workspace) -> None:
    key = initialised(backend, workspace, "maintenance")
    held = lock(backend, key, "held", operation="restore", info="OPS-42")
    assert not held.get("failed"), held["msg"]
    refused = workspace.apply()
    assert refused.code == 1 and REFUSED in refused.output
    shown = dict(re.findall(r"(\w+): +(\S+)", refused.output.partition("Lock Info:")[2]))
    assert (shown["ID"], shown["Operation"], shown["Info"]) == (held["lock_id"], "restore", "OPS-42")
    assert (shown["Who"], shown["Version"]) == (held["after"][0]["who"], "cornerstone.tfstate")
    assert shown["Path"] == f"{backend.bucket}/{key}"
    assert lock(backend, key, "released", lock_id=held["lock_id"])["changed"]
    succeeded(workspace.apply())
    assert lock(backend, key, "released")["before"] == []


def test_a_frozen_backend_keeps_terraform_out_and_tells_it_why(backend: Backend, workspace: Workspace) -> None:
    """By the playbooks; and what was repaired under the freeze is there when it is thawed."""
    key = initialised(backend, workspace, "frozen")
    succeeded(workspace.apply())
    play, host = backend.project.play, ("-l", backend.lock_mode)
    snapshot = str(backend.project.home / f"{backend.lock_mode}.json")
    assert play(f"{COLLECTION}.verify", *host, "-e", f"terraform_backend_verify_snapshot={snapshot}").code == 0
    reason = ("-e", "terraform_backend_freeze_reason=OPS-42", "-e", "terraform_backend_freeze_lock_id=f-1")
    frozen = play(f"{COLLECTION}.freeze", *host, *reason)
    assert frozen.code == 0 and "frozen by" in frozen.output, frozen.output
    refused = workspace.apply()
    assert refused.code == 1 and REFUSED in refused.output
    for line in ("ID:        f-1", "Operation: freeze", "Info:      OPS-42", f"Who:       {getpass.getuser()}@"):
        assert line in refused.output, refused.output
    versions = backend.s3.list_object_versions(Bucket=backend.bucket, Prefix=key)["Versions"]
    (version,) = {each["VersionId"] for each in versions if each["Key"] == key and each["IsLatest"]}
    backend.s3.delete_object(Bucket=backend.bucket, Key=key)
    verify = ("-e", f"terraform_backend_verify_before={snapshot}")
    assert "it was deleted" in play(f"{COLLECTION}.verify", *host, *verify).output
    undeleted = (
        "-e",
        f"terraform_backend_restore_version_key={key}",
        "-e",
        "terraform_backend_restore_version_lock_id=f-1",
    )
    run = play(f"{COLLECTION}.restore_version", *host, *undeleted)
    assert run.code == 0, run.output
    run = play(f"{COLLECTION}.verify", *host, *verify)
    assert run.code == 0 and "are as they were" in run.output, run.output
    assert version and workspace.apply().code == 1
    assert play(f"{COLLECTION}.thaw", *host).code == 2
    assert play(f"{COLLECTION}.thaw", *host, "-e", "terraform_backend_thaw_lock_id=f-1").code == 0
    succeeded(workspace.apply())


def test_terraform_can_force_our_lock_away(backend: Backend, workspace: Workspace) -> None:
    """From the stores that it knows of; a lock file that it does not know of is left, and ours to release."""
    key = initialised(backend, workspace, "forced")
    lock_id = lock(backend, key, "held")["lock_id"]
    succeeded(workspace.run("force-unlock", "-force", lock_id))
    succeeded(workspace.apply())
    left = lock(backend, key, "released", lock_id=lock_id)
    assert [each["store"] for each in left["before"]] == (["file"] if backend.lock_mode == "dynamodb" else [])
    assert lock(backend, key, "released")["msg"] == f"{key} is not locked"


def test_a_lock_of_ours_and_one_of_terraform_exclude_each_other(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    key = initialised(backend, workspace, "excluded")
    release = tmp_path / "release"
    with workspace.started(*apply(wait_for=str(release))) as process:
        assert becomes_true(lambda: workspace.is_applying)
        refused = lock(backend, key, "held")
        release.touch()
        output, _unused = process.communicate()
    assert process.returncode == 0, output
    assert refused["failed"] and "OperationTypeApply" in refused["msg"]
    assert lock(backend, key, "released")["before"] == []

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No backend becomes one of a lock mode while its clients may lock in the mode that this does not exclude."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

from tests.integration.module_runs import Result, Task, through_core
from tests.integration.test_lock_mode import ONE, TWO, Backend, any_backend, info, lock_file, marshal
from tests.support.relay import error

__all__ = ["any_backend"]

TAG = "cornerstone.tfstate:lock_mode"
WAY = "Set lock_mode to both, take the steps of playbooks/lock_mode.yml (docs/lock-modes.md) up to lock_mode="


def run(backend: Backend, lock_mode: str | None, check_mode: bool = False, **options: Any) -> tuple[Result, list[str]]:
    """The bucket as the role asks for it, and the requests."""
    given = {"name": backend.bucket, "table": backend.table, "lock_mode": lock_mode, "wait_timeout": 5, **options}
    connection = {"endpoint_url": backend.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
    before = len(backend.relay.calls)
    asked = {name: value for name, value in {**given, **connection}.items() if value is not None}
    (result,) = through_core([Task("tf_state_bucket", asked, check_mode)])
    return result, [call.name for call in backend.relay.calls[before:]]


def refused(backend: Backend, lock_mode: str, **options: Any) -> str:
    """Why it is refused, in check mode too, and before the first write."""
    writes = len(backend.relay.writes)
    planned, result = (run(backend, lock_mode, check_mode, **options)[0] for check_mode in (True, False))
    assert result["failed"] and result["msg"] == planned["msg"] and not result["changed"]
    assert len(backend.relay.writes) == writes
    return str(result["msg"])


def tags(backend: Backend) -> dict[str, str]:
    found: dict[str, str] = backend.emulator.buckets[backend.bucket].tags  # type: ignore[attr-defined]
    return found


def without_digests(backend: Backend) -> None:
    for name in backend.items:
        backend.dynamodb.delete_item(TableName=backend.table, Key={"LockID": {"S": f"{backend.bucket}/{name}"}})


def moved(backend: Backend, path: str) -> str:
    return marshal(
        replace(info(), operation="tf_state_move", info="to s3://elsewhere/x", path=f"{backend.bucket}/{path}")
    )


def test_lock_files_alone_are_refused_while_the_table_has_digests_or_locks(any_backend: Backend) -> None:
    message = refused(any_backend, "lockfile")
    assert f"lock_mode is lockfile, but the table {any_backend.table} holds a digest of {ONE}" in message
    assert f"{WAY}lockfile" in message and message.endswith("allow: [change_lock_mode]")
    without_digests(any_backend)
    any_backend.lock("new.tfstate", "table")
    assert "holds a lock of new.tfstate" in refused(any_backend, "lockfile")


def test_what_others_left_in_the_table_does_not_count(any_backend: Backend) -> None:
    """Another bucket of a longer name, a client of both, and a state that has moved away, with either kind of lock."""
    without_digests(any_backend)
    any_backend.bucket += "x"
    any_backend.item("app/one.tfstate-md5", Digest={"S": "0"})
    any_backend.bucket = any_backend.bucket[:-1]
    any_backend.lock(ONE, "file", "table")
    any_backend.item(TWO, Info={"S": moved(any_backend, TWO)})
    any_backend.item(f"{TWO}-md5", Digest={"S": "0"})
    any_backend.item("gone.tfstate-md5", Digest={"S": "0"})
    body = moved(any_backend, "gone.tfstate").encode()
    any_backend.s3.put_object(Bucket=any_backend.bucket, Key=lock_file("gone.tfstate"), Body=body)
    assert not run(any_backend, "lockfile")[0].get("failed")


def test_the_mode_of_lock_files_is_recorded_and_then_costs_nothing(any_backend: Backend) -> None:
    without_digests(any_backend)
    planned, _calls = run(any_backend, "lockfile", check_mode=True)
    result, calls = run(any_backend, "lockfile")
    assert (planned["bucket"]["tags"], tags(any_backend)) == ({TAG: "lockfile"}, {TAG: "lockfile"})
    assert result["changes"] and calls.count("Scan") == 1
    again, calls = run(any_backend, "lockfile", tags={"team": "core"}, purge_tags=True)
    assert tags(any_backend) == {"team": "core", TAG: "lockfile"} and "Scan" not in calls
    again, calls = run(any_backend, "lockfile", tags={"team": "core"}, purge_tags=True)
    assert (again["changed"], "Scan" in calls, "ListObjectsV2" in calls) == (False, False, False)


@pytest.mark.parametrize("mode", ["both", None])
def test_both_kinds_together_are_looked_at_by_no_request(any_backend: Backend, mode: str | None) -> None:
    run(any_backend, mode)
    result, calls = run(any_backend, mode)
    assert not result["changed"] and not {"Scan", "ListObjectsV2"} & {*calls} and tags(any_backend) == {}


def test_a_run_for_both_kinds_does_not_forget_clients_of_lock_files(any_backend: Backend) -> None:
    """Nobody has seen that they are gone, and clients of the table alone are welcome now: both are looked for."""
    tags(any_backend)[TAG] = "lockfile"
    assert not run(any_backend, "lockfile")[0].get("failed")
    planned, result = (run(any_backend, "both", check_mode)[0] for check_mode in (True, False))
    assert planned["changed"] and result["changed"] and tags(any_backend) == {TAG: "both"}
    assert not run(any_backend, "both")[0]["changed"]
    assert "says both" in refused(any_backend, "dynamodb")
    assert "holds a digest of" in refused(any_backend, "lockfile")
    any_backend.use("one", "both")
    assert any_backend.task("both")["changed"] and tags(any_backend) == {}, "a step sees who is left"


def test_the_role_names_the_lock_mode_to_the_bucket_in_each_mode() -> None:
    values = {"terraform_backend_lock_mode": "both", "terraform_backend_table_name": "t"}
    assert role_variables.arguments("bucket", values)["lock_mode"] == "both"


def test_the_record_counts_although_tags_are_unmanaged(any_backend: Backend) -> None:
    tags(any_backend)[TAG] = "lockfile"
    assert "says lockfile" in refused(any_backend, "dynamodb", unmanaged=["tags"])
    any_backend.relay.on("GetBucketTagging", reply=error("AccessDenied", 403), times=math.inf)
    message = refused(any_backend, "dynamodb", unmanaged=["tags"])
    assert "whether clients lock in mode lockfile cannot be seen" in message and "s3:GetBucketTagging" in message


def test_a_permitted_change_is_recorded_although_tags_are_unmanaged(any_backend: Backend) -> None:
    """Or the next run would refuse what this one was permitted."""
    tags(any_backend).update({TAG: "lockfile", "team": "core"})
    run(any_backend, "dynamodb", unmanaged=["tags"], allow=["change_lock_mode"])
    assert tags(any_backend) == {"team": "core"}
    assert not run(any_backend, "dynamodb", unmanaged=["tags"])[0].get("failed")


def test_a_store_without_tags_records_nothing(any_backend: Backend) -> None:
    any_backend.relay.on("GetBucketTagging", reply=error("NotImplemented", 501), times=math.inf)
    assert not run(any_backend, "dynamodb", unmanaged=["tags"])[0].get("failed")


def test_the_table_alone_is_refused_while_the_mode_is_that_of_lock_files(any_backend: Backend) -> None:
    tags(any_backend)[TAG] = "lockfile"
    message = refused(any_backend, "dynamodb")
    assert f"lock_mode is dynamodb, but its tag {TAG} says lockfile" in message and f"{WAY}dynamodb" in message
    result, _calls = run(any_backend, "dynamodb", allow=["change_lock_mode"])
    assert result["changed"] and tags(any_backend) == {}, "or a later run would take the mode for that of lock files"
    assert not run(any_backend, "dynamodb")[0]["changed"]


def test_the_table_alone_is_refused_while_a_client_holds_a_lock_file_alone(any_backend: Backend) -> None:
    any_backend.lock(ONE, "file", "table")
    any_backend.s3.put_object(Bucket=any_backend.bucket, Key="cornerstone.tfstate/operation.tflock", Body=b"{}")
    body = moved(any_backend, "gone.tfstate").encode()
    any_backend.s3.put_object(Bucket=any_backend.bucket, Key=lock_file("gone.tfstate"), Body=body)
    assert not run(any_backend, "dynamodb")[0].get("failed"), "a client of both, our lease, a state that has moved"
    any_backend.lock(TWO, "file")
    assert f"the lock file {TWO}.tflock is held" in refused(any_backend, "dynamodb")


def test_a_freeze_that_holds_one_store_alone_is_no_client(any_backend: Backend) -> None:
    """As where the table, or the bucket, was gone when the states were frozen."""
    without_digests(any_backend)
    freeze = marshal(replace(info(), operation="freeze", path=f"{any_backend.bucket}/{ONE}"))
    any_backend.s3.put_object(Bucket=any_backend.bucket, Key=lock_file(ONE), Body=freeze.encode())
    assert not run(any_backend, "dynamodb")[0].get("failed")
    any_backend.s3.delete_object(Bucket=any_backend.bucket, Key=lock_file(ONE))
    any_backend.item(ONE, Info={"S": freeze})
    assert not run(any_backend, "lockfile")[0].get("failed")


def test_what_cannot_be_seen_is_not_taken_for_absent(any_backend: Backend) -> None:
    any_backend.relay.on("Scan", reply=error("AccessDeniedException", 400), times=math.inf)
    message = refused(any_backend, "lockfile")
    assert "whether clients lock in mode dynamodb cannot be seen" in message and "dynamodb:Scan" in message
    assert f"leave the name of the table out if no client locks in {any_backend.table}" in message
    assert not run(any_backend, "lockfile", check_mode=True, table=None)[0].get("failed")
    for each in any_backend.objects:
        any_backend.s3.delete_object(Bucket=any_backend.bucket, Key=each)
    assert not run(any_backend, "lockfile")[0].get("failed"), "a bucket without states needs no further permission"


def test_a_new_bucket_needs_no_further_permission(any_backend: Backend) -> None:
    for name in ("Scan", "PutBucketTagging"):
        any_backend.relay.on(name, reply=error("AccessDenied", 403), times=math.inf)
    result, _calls = run(any_backend, "lockfile", name="quite-new-states")
    assert not result.get("failed") and "is not recorded" in result["warnings"][-1]


def test_a_table_that_is_not_there_holds_nothing(any_backend: Backend) -> None:
    assert not run(any_backend, "lockfile", table="no-such-table")[0].get("failed")


def test_after_the_steps_of_the_playbook_it_does_not_refuse(any_backend: Backend) -> None:
    any_backend.use("app", "both")
    foreseen = any_backend.task("lockfile", check_mode=True)
    result = any_backend.task("lockfile")
    assert (foreseen["changed"], result["changed"], tags(any_backend)) == (True, True, {TAG: "lockfile"})
    assert not any_backend.task("lockfile")["changed"]
    any_backend.lock(ONE, "table", "file")
    assert not run(any_backend, "lockfile")[0].get("failed")
    any_backend.unlock(ONE)
    assert any_backend.task("both")["changed"] and tags(any_backend) == {}
    assert not any_backend.task("both")["changed"]
    any_backend.task("dynamodb")
    assert not run(any_backend, "dynamodb")[0].get("failed")


def test_a_step_that_is_not_taken_records_nothing(any_backend: Backend) -> None:
    any_backend.use("old", "dynamodb")
    assert any_backend.task("lockfile")["missing"] and tags(any_backend) == {}


@pytest.mark.parametrize("variable", ["terraform_backend_bucket_allow", "terraform_backend_config_allow"])
def test_one_word_permits_it_for_bucket_and_files(variable: str) -> None:
    values = {
        variable: ["change_lock_mode"],
        "terraform_backend_lock_mode": "lockfile",
        "terraform_backend_table_name": "t",
    }
    bucket, config = (role_variables.arguments(kind, values) for kind in ("bucket", "config"))
    assert bucket["allow"] == config["allow"] == ["change_lock_mode"]
    assert (bucket["lock_mode"], bucket["table"]) == ("lockfile", "t")
    assert "allow" not in role_variables.arguments("table", values)


@pytest.mark.parametrize("kind", ["bucket", "config"])
def test_the_role_names_the_variable_that_permits_it(kind: str) -> None:
    message = role_variables.in_variables(kind, "or: allow: [change_lock_mode]")
    assert message == "or: terraform_backend_config_allow: [change_lock_mode]"

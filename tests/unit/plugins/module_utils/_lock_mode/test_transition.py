# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From lock mode to lock mode: what is in the way, what is done, and what a failure leaves."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.digest_removal import OPERATION
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import operation_lock
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import marshal

from tests.integration.module_runs import through_core
from tests.integration.test_lock_mode import (
    ONE,
    QA,
    TWO,
    WORD,
    Backend,
    any_backend,
    backend,
    digest,
    digest_policy,
    state,
)
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, error, lose_reply, stale

__all__ = ["any_backend", "backend"]


def test_a_digest_that_lock_files_left_behind_goes_before_anybody_reads_it(backend: Backend) -> None:
    """On a store without digest policies, or after somebody switched all code at once."""
    backend.write(ONE, state(2), digest_too=False)
    result = backend.step("both")
    assert result["digests"] == [ONE]
    assert backend.digests == {TWO: digest(state()), QA: digest(state())}


def test_behind_the_fence_every_digest_goes_before_it_is_lifted(backend: Backend) -> None:
    backend.step("lockfile")
    backend.item(f"{ONE}-md5", Digest={"S": "0" * 32})
    backend.item(f"{TWO}-md5", Digest={"S": digest(state())})
    assert backend.step("lockfile")["digests"] == [ONE, TWO]
    backend.item(f"{ONE}-md5", Digest={"S": "0" * 32})
    assert backend.step("both")["digests"] == [ONE]


def test_a_digest_that_is_written_while_the_fence_goes_is_looked_at_again(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somewhere the digest policy is gone, somewhere else it is not: a client wrote its digest once, and once not."""
    backend.step("lockfile")

    def meanwhile(self: Aws, seconds: float) -> None:
        if seconds > 10:
            backend.write(ONE, state(7), digest_too=False)
            backend.item(f"{ONE}-md5", Digest={"S": digest(state(6))})

    monkeypatch.setattr(Aws, "rest", meanwhile)
    assert backend.task("both")["digests"] == [ONE]
    assert backend.digests == {}


def test_buckets_that_share_a_table_share_the_fence(backend: Backend) -> None:
    sharing = f"{backend.bucket}-b"
    backend.s3.create_bucket(Bucket=sharing)
    both = {"code": None, "allow": ["unseen_code"]}
    backend.step("lockfile")
    backend.step("lockfile", bucket=sharing, **both)
    assert digest_policy(backend.emulator, "us-east-1", backend.table) == [backend.bucket, sharing]
    backend.step("both", bucket=sharing, **both)
    assert digest_policy(backend.emulator, "us-east-1", backend.table) == [backend.bucket]


CODE: dict[str, tuple[str, str, dict[str, str], str]] = {
    "table alone": ("lockfile", "dynamodb", {}, "locks in the table alone"),
    "file alone": ("both", "lockfile", {}, "locks by file alone"),
    "file alone, going to the table": ("dynamodb", "lockfile", {}, "locks by file alone"),
    "nothing": ("lockfile", "none", {}, "locks nothing"),
    "not said": ("lockfile", "both", {"use_lockfile": "var.lock"}, "does not say for certain how it locks"),
    "another table": (
        "lockfile",
        "both",
        {"dynamodb_table": '"elsewhere"'},
        "locks in the table elsewhere, and not in",
    ),
    "no bucket": (
        "lockfile",
        "both",
        {"bucket": "var.bucket"},
        "its bucket is no plain name",
    ),
}


@pytest.mark.parametrize(("target", "mode", "more", "said"), CODE.values(), ids=list(CODE))
def test_code_that_is_not_ready_is_in_the_way(
    backend: Backend, target: str, mode: str, more: dict[str, str], said: str
) -> None:
    backend.use("two", mode, **more)
    (told,) = backend.missing(target)
    assert "two/backend.tf" in told and said in told


def test_every_kind_of_code_is_looked_at_and_everything_is_told_at_once(backend: Backend) -> None:
    backend.file("three/main.tf", 'terraform {\n  backend "s3" {\n')
    config = {"bucket": backend.bucket, "key": "k", "region": "us-east-1", "dynamodb_table": backend.table}
    checkout = {"version": 3, "backend": {"type": "s3", "config": config}}
    backend.file("one/.terraform/terraform.tfstate", json.dumps(checkout))
    backend.file("one/versions.tf", 'terraform {\n  required_version = ">= 1.5, < 2.0"\n}\n')
    backend.use("elsewhere", "dynamodb", bucket='"not-ours"')
    backend.lock(TWO, "file", "table")
    told = backend.missing("lockfile", current_lock_mode="dynamodb")
    assert len(told) == 5, told
    assert "switch to both first" in told[0]
    assert "1 place in the code may be" in told[1] and "three/main.tf (line 1 is not HCL" in told[1]
    assert "init -reconfigure" in told[2] and ".terraform/terraform.tfstate locks in the table alone" in told[2]
    assert "required_version >= 1.5, < 2.0" in told[3]
    assert f"{TWO} is locked by ann@runner-7" in told[4]


@pytest.mark.parametrize("remove_table", [False, True])
def test_what_terragrunt_generates_is_in_the_way_until_somebody_says_what_it_is(
    backend: Backend, remove_table: bool
) -> None:
    """A client that locks in the table alone, beside code that is ready."""
    backend.use("one", "lockfile")
    block = (
        f'terraform {{\n  backend "s3" {{\n    bucket = "{backend.bucket}"\n    dynamodb_table = "{backend.table}"\n'
    )
    generate = 'generate "backend" {\n  path = "backend.tf"\n  contents = '
    backend.file("live/terragrunt.hcl", f"{generate}<<EOF\n{block}  }}\n}}\nEOF\n}}\n")
    (told, *_more) = backend.missing("lockfile", remove_table=remove_table)
    assert f"{backend.code}/live/terragrunt.hcl locks in the table alone" in told
    backend.file("live/terragrunt.hcl", f"{generate}local.backend\n}}\n")
    (told, *_more) = backend.missing("lockfile", remove_table=remove_table)
    assert "1 place in the code may be" in told and f"{backend.code}/live/terragrunt.hcl" in told
    if not remove_table:
        known = [{"paths": "live", "backend": "none"}]
        result = backend.step("lockfile", code_known=known)
        assert (result["unknown"], result["code_known"]) == ([], [{**known[0], "used": 1}])


def test_code_that_nobody_saw_is_in_the_way_but_by_word(backend: Backend) -> None:
    assert "was not checked: name its directories" in backend.missing("lockfile", code=None)[0]
    (backend.code / "one" / "backend.tf").unlink()
    assert "none of the code that was read uses" in backend.missing("lockfile")[0]
    assert backend.step("lockfile", code=None, allow=["unseen_code"])["layers"] is None


def test_no_step_leaves_both_out(backend: Backend) -> None:
    assert "switch to both first" in backend.missing("lockfile", current_lock_mode="dynamodb")[0]
    assert "switch to both first" in backend.missing("dynamodb", current_lock_mode="lockfile")[0]
    backend.step("lockfile", current_lock_mode="both")
    assert (
        "cannot switch from lockfile to dynamodb directly; switch to both first"
        in backend.missing("dynamodb", current_lock_mode="both")[0]
    )


@pytest.mark.parametrize("target", ["dynamodb", "both", "lockfile"])
def test_a_run_that_does_not_end_is_in_the_way(backend: Backend, target: str) -> None:
    backend.lock(ONE, "file", "table")
    (told,) = backend.missing(target)
    assert told.startswith(f"{ONE} is locked by ann@runner-7 since 2026-01-02T03:04:05Z")
    backend.unlock(ONE)
    backend.step(target)


@pytest.mark.parametrize("target", ["both", "lockfile"])
def test_a_lock_of_somebody_else_beside_one_of_ours_is_in_the_way(backend: Backend, target: str) -> None:
    """A run of ours was killed, and a client has locked since in the other store."""
    place = Place(backend.bucket, ONE, backend.table)
    own = marshal(operation_lock(place, OPERATION, datetime.now(timezone.utc)))
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{ONE}.tflock", Body=own.encode())
    backend.lock(ONE, "table")
    (told,) = backend.missing(target)
    assert "ann@runner-7" in told


OLDER = {
    "lockfile": ("table", "the table alone"),
    "both": ("file", "a lock file alone"),
    "dynamodb": ("file", "a lock"),
}


@pytest.mark.parametrize("target", OLDER)
def test_a_client_of_the_older_kind_is_seen_though_it_has_ended(
    backend: Backend, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, said = OLDER[target]
    rests: list[float] = []

    def meanwhile(self: Aws, seconds: float) -> None:
        """It locks during the second pause, stays for the look that makes sure of it, and ends."""
        rests.append(seconds)
        if len(rests) == 2:
            backend.lock(TWO, store)
        if len(rests) == 4:
            backend.unlock(TWO)

    monkeypatch.setattr(Aws, "rest", meanwhile)
    (result,) = through_core([backend.as_task(target, observe_seconds=10)])
    assert result["failed"] and len(result["missing"]) == 1, result
    assert said in result["missing"][0] and f"{TWO} is locked by ann@runner-7" in result["missing"][0]
    assert rests[3:] == [2.0, 2.0, 2.0] and sum(rests) == 13


def test_a_client_that_locks_both_ways_is_not_taken_for_an_older_one(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its two locks it is seen with one of them, and later with both or none."""
    backend.lock(TWO, "table")

    def meanwhile(self: Aws, seconds: float) -> None:
        backend.unlock(TWO)

    monkeypatch.setattr(Aws, "rest", meanwhile)
    assert backend.task("lockfile")["changed"]


DIGESTS: dict[str, tuple[str, str, str]] = {
    "of nothing known": ("lockfile", "0" * 32, "does not match, and stops clients already"),
    "of nothing known, coming back": ("both", "0" * 32, "does not match, and stops clients already"),
    "of an older version": ("lockfile", "older", "does not match, and stops clients already"),
}


@pytest.mark.parametrize(("target", "found", "said"), DIGESTS.values(), ids=list(DIGESTS))
def test_a_digest_that_nobody_can_explain_is_mended_first(backend: Backend, target: str, found: str, said: str) -> None:
    backend.write(ONE, state(2), digest_too=False)
    if found != "older":
        backend.item(f"{ONE}-md5", Digest={"S": found})
    (told,) = backend.missing(target)
    assert f"the digest of {ONE}" in told and said in told


def test_what_keeps_clients_from_starting_over_is_kept(backend: Backend) -> None:
    backend.s3.delete_object(Bucket=backend.bucket, Key=ONE)
    assert f"{ONE} has a digest and no state" in backend.missing("lockfile")[0]
    assert backend.step("both")["changed"] is False
    assert ONE in backend.digests


def test_a_digest_whose_state_goes_behind_the_fence_is_kept(backend: Backend) -> None:
    backend.step("lockfile")
    backend.item(f"{ONE}-md5", Digest={"S": digest(state())})
    backend.s3.delete_object(Bucket=backend.bucket, Key=ONE)
    assert backend.step("lockfile")["changed"] is False
    assert backend.step("both")["digest_policy"] == "inactive"
    assert backend.digests == {ONE: digest(state())}


def test_malformed_digests_go_too(backend: Backend) -> None:
    backend.item(f"{ONE}-md5", Digest={"S": "none of your business"})
    backend.item(f"{TWO}-md5", Digest={"N": "7"})
    backend.item(f"{QA}-md5")
    assert backend.step("lockfile")["digests"] == [ONE, TWO, QA]
    assert backend.items == {}


def test_a_lock_that_is_named_like_a_digest_forbids_the_fence(backend: Backend) -> None:
    backend.write(f"{ONE}-md5", state(), digest_too=False)
    (told,) = backend.missing("lockfile")
    assert f"the lock of {ONE}-md5 would be taken for the digest of {ONE}" in told and "without_digest_policy" in told
    result = backend.step("lockfile", allow=["without_digest_policy"])
    assert (result["digest_policy"], backend.has_digest_policy) == (None, False)
    assert "there is no digest policy" in result["warnings"][0]


@pytest.mark.parametrize("code", ["UnknownOperationException", "NotImplemented"])
def test_where_tables_have_no_policies_the_step_is_taken_with_a_warning(backend: Backend, code: str) -> None:
    backend.relay.on("*ResourcePolicy", reply=error(code), times=math.inf)
    result = backend.step("lockfile")
    assert (result["digest_policy"], result["digests"]) == (None, [ONE, TWO, QA])
    assert "there is no digest policy" in result["warnings"][0]
    backend.write(ONE, state(2))
    assert backend.step("lockfile")["digests"] == [ONE]


def test_a_fence_that_may_not_be_built_is_told_before_anything_is_written(backend: Backend) -> None:
    backend.relay.on("GetResourcePolicy", reply=error("AccessDeniedException"))
    before = backend.all
    result = backend.task("lockfile")
    assert result["failed"] and "needs dynamodb:GetResourcePolicy" in result["msg"]
    backend.relay.on("PutResourcePolicy", reply=error("AccessDeniedException"))
    result = backend.task("lockfile")
    assert result["failed"] and "needs dynamodb:PutResourcePolicy" in result["msg"]
    assert backend.all == before and result["changed"] is False


def test_a_policy_that_shows_late_is_waited_for_and_written_once(backend: Backend) -> None:
    """Reads are older than writes for a while."""
    backend.relay.on("GetResourcePolicy", after="PutResourcePolicy", times=3, reply=stale)
    backend.relay.on("PutResourcePolicy", reply=error("LimitExceededException"), times=2)
    assert backend.task("lockfile")["digest_policy"] == "active"
    assert backend.relay.operations.count("PutResourcePolicy") == 3


def test_a_policy_that_never_shows_what_was_written_ends_the_run_and_the_next_one_goes_on(backend: Backend) -> None:
    rule = backend.relay.on("GetResourcePolicy", after="PutResourcePolicy", times=math.inf, reply=stale)
    result = backend.task("lockfile", wait_timeout=1, observe_seconds=0)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "does not show the digest policy yet" in result["msg"]
    assert backend.relay.operations.count("PutResourcePolicy") == 1 and len(backend.digests) == 3
    rule.times = 0
    assert backend.step("lockfile")["digest_policy"] == "active"


def test_a_fence_that_is_up_is_told_though_nobody_can_look_at_it(backend: Backend) -> None:
    backend.relay.on("GetResourcePolicy", after="PutResourcePolicy", reply=error("AccessDeniedException"))
    result = backend.task("lockfile")
    assert (result["failed"], result["changed"], backend.has_digest_policy) == (True, True, True)
    assert "needs dynamodb:GetResourcePolicy" in result["msg"]


def test_a_fence_that_never_was_written_is_no_change(backend: Backend) -> None:
    """Somebody else changes the policy again and again."""
    backend.relay.on("PutResourcePolicy", reply=error("PolicyNotFoundException"), times=math.inf)
    result = backend.task("lockfile", wait_timeout=1, observe_seconds=0)
    assert (result["failed"], result["changed"], backend.has_digest_policy) == (True, False, False)
    assert "does not show the digest policy yet" in result["msg"]


def test_a_digest_that_is_removed_is_told_though_its_lock_is_not_released(backend: Backend) -> None:
    backend.relay.on("DeleteObject", reply=error("AccessDenied", 403), times=math.inf)
    result = backend.task("lockfile")
    assert result["failed"] and "may still be held" in result["msg"]
    assert sorted(result["digests"]) == [ONE, TWO, QA] and backend.digests == {}


@pytest.mark.parametrize("operation", ["GetItem", "HeadObject", None])
def test_a_digest_that_cannot_be_judged_once_the_fence_is_gone_is_told_and_the_next_run_judges_it(
    backend: Backend, operation: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somewhere the digest policy is still up, or the lock of its writer is held."""
    backend.step("lockfile")

    def meanwhile(self: Aws, seconds: float) -> None:
        if seconds > 10:
            backend.write(ONE, state(7), digest_too=False)
            backend.item(f"{ONE}-md5", Digest={"S": digest(state())})
            if operation:
                backend.relay.on(operation, reply=error("AccessDenied", 403), times=math.inf)
            else:
                backend.lock(ONE, "file", "table")

    monkeypatch.setattr(Aws, "rest", meanwhile)
    result = backend.task("both")
    assert result["failed"] and f"the digest of {ONE} cannot be checked yet: run again" in result["msg"]
    assert (result["changed"], backend.has_digest_policy) == (True, False)
    monkeypatch.undo()
    backend.relay._rules.clear()
    backend.unlock(ONE)
    assert backend.step("both")["digests"] == [ONE]


def test_a_fence_that_may_not_be_looked_at_does_not_stay_up_unsaid(backend: Backend) -> None:
    backend.step("lockfile")
    backend.relay.on("GetResourcePolicy", reply=error("AccessDeniedException"))
    result = backend.task("both", allow=["without_digest_policy"])
    assert result["failed"] and "needs dynamodb:GetResourcePolicy" in result["msg"]


@pytest.mark.parametrize("target", ["lockfile", "both"])
def test_a_state_that_is_locked_when_its_turn_comes_is_named_and_the_next_run_completes(
    backend: Backend, target: str
) -> None:
    if target == "both":
        backend.step("lockfile")
        backend.item(f"{ONE}-md5", Digest={"S": "0" * 32})
        backend.item(f"{TWO}-md5", Digest={"S": "0" * 32})

    def meddle(call: Call, proceed: Proceed) -> Answer:
        if call.params["Key"] == f"{ONE}.tflock":
            backend.lock(ONE, "file", "table")
        return proceed()

    backend.relay.on("PutObject", reply=meddle)
    backend.relay.on("PutObject", reply=meddle, nth=2, times=9)
    result = backend.task(target)
    assert (result["failed"], result["changed"]) == (True, True)
    assert f"{ONE} is locked by ann@runner-7" in result["msg"]
    assert ONE in backend.digests and TWO not in backend.digests
    assert backend.has_digest_policy, "it comes first, and goes last"
    backend.relay._rules.clear()
    backend.unlock(ONE)
    assert backend.step(target)["digests"] == [ONE]


LOST = ["PutResourcePolicy", "DeleteResourcePolicy", "PutObject", "PutItem", "DeleteItem", "DeleteObject"]


@pytest.mark.parametrize("operation", LOST)
@pytest.mark.parametrize("target", ["lockfile", "both"])
def test_a_reply_that_is_lost_on_the_way_is_made_out(backend: Backend, target: str, operation: str) -> None:
    if target == "both":
        backend.step("lockfile")
        backend.item(f"{ONE}-md5", Digest={"S": "0" * 32})
    rule = backend.relay.on(operation, reply=lose_reply, times=2)
    result = backend.task(target)
    assert not result.get("failed"), result["msg"]
    goes = "PutResourcePolicy" if target == "lockfile" else "DeleteResourcePolicy"
    assert rule.fired == (0 if operation.endswith("ResourcePolicy") and operation != goes else 2)
    assert (backend.digests, backend.has_digest_policy) == ({}, target == "lockfile")
    assert not [each for each in backend.objects if each.endswith(".tflock")]


def test_a_probe_is_encrypted_as_lock_files_are(any_backend: Backend) -> None:
    """A bucket may take nothing else."""
    any_backend.task("both", probe=True, encryption="AES256")
    asked = {
        call.request.headers.get("x-amz-server-side-encryption")
        for call in any_backend.relay.calls
        if call.name == "PutObject"
    }
    assert asked == {"AES256"}


def test_the_probe_is_left_out_where_nothing_may_be_written(any_backend: Backend) -> None:
    writes = len(any_backend.relay.writes)
    result = any_backend.task("both", check_mode=True, probe=True)
    assert result["probe"] is None and len(any_backend.relay.writes) == writes


def test_what_a_probe_may_not_write_is_told(any_backend: Backend) -> None:
    any_backend.relay.on("PutObject", reply=error("AccessDenied", 403), times=math.inf)
    result = any_backend.task("both", probe=True)
    assert result["failed"] and "needs s3:PutObject" in result["msg"]


def test_a_table_that_another_bucket_locks_in_stays_until_its_code_was_seen(backend: Backend) -> None:
    sharing = f"{backend.bucket}-b"
    backend.s3.create_bucket(Bucket=sharing)
    backend.step("lockfile")
    backend.step("lockfile", bucket=sharing, code=None, allow=["unseen_code"])
    backend.use("one", "lockfile")
    (told,) = backend.missing("lockfile", remove_table=True, **WORD)
    assert told.startswith(f"{sharing} shares the table")
    backend.use("other", "lockfile", bucket=f'"{sharing}"')
    assert backend.task("lockfile", check_mode=True, remove_table=True, **WORD)["table_removed"]


def test_what_was_done_to_a_table_that_could_not_be_removed_is_told(backend: Backend) -> None:
    backend.dynamodb.update_table(TableName=backend.table, DeletionProtectionEnabled=True)
    backend.use("one", "lockfile")
    backend.step("lockfile")
    backend.relay.on("DeleteTable", reply=error("AccessDeniedException"))
    result = backend.task("lockfile", remove_table=True, **WORD)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:DeleteTable" in result["msg"] and "without its deletion protection" in result["msg"]
    backend.relay.on("DeleteTable", reply=error("AccessDeniedException"))
    result = backend.task("lockfile", remove_table=True, **WORD)
    assert (result["failed"], result["changed"]) == (True, False)
    assert "is there as it was: run again" in result["msg"]


def test_a_table_that_terraform_manages_is_removed_there(backend: Backend) -> None:
    arn = backend.dynamodb.describe_table(TableName=backend.table)["Table"]["TableArn"]
    backend.dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "managed-by", "Value": "terraform"}])
    backend.use("one", "lockfile")
    backend.step("lockfile")
    result = backend.task("lockfile", remove_table=True, **WORD)
    assert (result["failed"], result["changed"]) == (True, False)
    assert "managed-by=terraform says that another tool manages it: Terraform; remove it there" in result["msg"]
    assert "shared_management" not in result["msg"]


def test_the_way_back_from_a_removed_table_begins_with_the_fence(backend: Backend) -> None:
    """As docs/lock-modes.md has it: else a client of both writes digests, and stops where one of files has written."""
    backend.use("one", "lockfile")
    backend.step("lockfile")
    assert backend.task("lockfile", check_mode=True, remove_table=True, **WORD)["table_removed"]
    backend.dynamodb.delete_table(TableName=backend.table)
    backend.make_table()
    assert backend.step("lockfile", current_lock_mode="both")["digest_policy"] == "active"
    backend.use("one", "both")
    assert backend.step("both", current_lock_mode="both")["digest_policy"] == "inactive"


def test_removing_the_table_goes_with_lock_files(backend: Backend) -> None:
    result = backend.task("both", remove_table=True)
    assert result["failed"] and "remove_table goes with lock_mode: lockfile" in result["msg"]


NEEDED: dict[str, tuple[str, dict[str, Any]]] = {
    "by the inventory": ("lockfile", {"current_lock_mode": "both"}),
    "by code": ("both", {}),
    "by code of another bucket": ("lockfile", {"bucket": '"elsewhere"', "dynamodb_table": '"{}"'}),
}


@pytest.mark.parametrize(("mode", "more"), NEEDED.values(), ids=list(NEEDED))
def test_a_table_that_is_needed_is_not_taken_for_removed_where_it_is_not_found(
    backend: Backend, mode: str, more: dict[str, Any]
) -> None:
    """The credentials may be those of another account, or its name mistyped."""
    backend.dynamodb.delete_table(TableName=backend.table)
    says = {name: value.format(backend.table) for name, value in more.items() if name != "current_lock_mode"}
    backend.use("one", "lockfile")
    backend.use("two", mode, **says)
    (result,) = through_core([backend.as_task("lockfile", current_lock_mode=more.get("current_lock_mode"))])
    assert result["failed"] and not result["changed"]
    assert "describe_table on" in result["msg"] and "if it was removed on purpose" in result["msg"]


def test_lock_files_count_also_where_the_table_was_removed(backend: Backend) -> None:
    backend.dynamodb.delete_table(TableName=backend.table)
    backend.use("one", "lockfile")
    backend.lock(ONE, "file")
    (held,) = through_core([backend.as_task("lockfile", current_lock_mode="lockfile")])
    assert held["failed"] and f"{ONE} is locked by ann@runner-7" in held["msg"]
    backend.s3.delete_object(Bucket=backend.bucket, Key=f"{ONE}.tflock")
    account = backend.emulator.client("sts").get_caller_identity()["Account"]
    task = backend.as_task("lockfile", current_lock_mode="lockfile", account_id=account)
    recorded, result = through_core([task, task])
    assert (recorded.get("failed"), recorded["changed"], result["changed"]) == (None, True, False), result
    listed = [call for call in backend.relay.calls if call.name == "ListObjectsV2"]
    assert listed[-1].request.headers["x-amz-expected-bucket-owner"] == account

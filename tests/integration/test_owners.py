# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose a bucket and a table are: a stranger's is not written to, and the account of the credentials is the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Task, through_core
from tests.integration.subject import Subject
from tests.support.aws_behaviours import OWNER_HEADER, owners_are_compared

STRANGER = "999988887777"
UNOWNED = {"CreateBucket", "ListBuckets"}


def account_of(subject: Subject) -> str:
    return str(subject.emulator.client("sts").get_caller_identity()["Account"])


@pytest.mark.aws("1.3", "1.7")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_squatted_name_is_not_written_to_though_its_owner_lets_everybody_in(bucket: Subject, state: str):
    """All that is not compared succeeds here, as it does for whoever is let in."""
    bucket.aws().create_bucket(Bucket=bucket.name)
    bucket.relay.use_first(owners_are_compared(bucket.emulator, STRANGER))
    said = bucket.refused(state=state, allow=["delete_state"], confirm_name=bucket.name)
    assert "set account_id" in said or "you need s3:ListBucket" in said
    assert not [call for call in bucket.requests if call.is_write]


@pytest.mark.aws("1.7")
def test_whoever_is_let_in_on_purpose_says_whose_the_bucket_is(bucket: Subject):
    bucket.aws().create_bucket(Bucket=bucket.name)
    bucket.relay.use_first(owners_are_compared(bucket.emulator, STRANGER))
    assert bucket.done(account_id=STRANGER)["bucket"]["account_id"] == STRANGER


@pytest.mark.aws("1.7")
def test_a_bucket_that_is_missing_is_not_made_in_another_account(bucket: Subject):
    assert "but these credentials belong to account" in bucket.refused(account_id=STRANGER)


@pytest.mark.aws("1.7")
def test_every_call_to_s3_says_whose_the_bucket_must_be(bucket: Subject):
    account = account_of(bucket)
    results = [bucket.done(tags={"Stage": stage}) for stage in ("test", "prod")]
    results.append(bucket.done(state="absent"))
    sent = {(call.name, call.request.headers.get(OWNER_HEADER)) for call in bucket.relay.calls if call.service == "s3"}
    assert {name for name, owner in sent if owner != account} <= UNOWNED
    assert [result["bucket"]["account_id"] for result in results] == [account] * 3


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_table_of_another_account_is_refused_before_it_is_written_to(table: Subject, state: str):
    """Lock tables are always those of the credentials, whose account its ARN tells."""
    allow = ["delete_state", "disable_deletion_protection"]
    assert "but these credentials belong to account" in table.refused(account_id=STRANGER, state=state)
    table.done()
    said = table.refused(account_id=STRANGER, state=state, allow=allow, confirm_name=table.name)
    assert f"account_id is {STRANGER}, but table {table.name} is of account {account_of(table)}" in said


def test_a_converged_backend_takes_at_most_twelve_requests(
    bucket: Subject, table: Subject, monkeypatch: pytest.MonkeyPatch
):
    """As the role asks: in one process, the bucket first."""
    tasks = [subject.as_task() for subject in (bucket, table)]
    through_core(tasks)
    counts = []
    for account_id in (None, account_of(bucket)):
        monkeypatch.setattr(_aws_session, "_last", None)
        bucket.relay.calls.clear()
        results = through_core([subject.as_task(account_id=account_id) for subject in (bucket, table)])
        assert [result["changed"] for result in results] == [False, False]
        counts.append(len(bucket.relay.calls))
        assert bucket.relay.operations.count("GetCallerIdentity") == (account_id is None)
    assert counts[0] <= 12 and counts[1] == counts[0] - 1


@pytest.mark.aws("1.7")
def test_the_role_writes_to_no_bucket_whose_table_would_lie_in_another_account(
    run_with: RunWithVariables, bucket: Subject, table: Subject, tmp_path: Path
):
    """A bucket of another account can be let in on purpose, a lock table cannot."""
    bucket.aws().create_bucket(Bucket=bucket.name)
    bucket.relay.calls.clear()
    bucket.relay.use_first(owners_are_compared(bucket.emulator, STRANGER))
    params = bucket.as_task().params
    given = {
        **{name: params[name] for name in ("endpoint_url", "region", "access_key", "secret_key") if name in params},
        **{"bucket_name": bucket.name, "table_name": table.name, "account_id": STRANGER, "name": "eu"},
        "config_directory": str(tmp_path / "files"),
    }
    run = run_with({f"terraform_backend_{name}": value for name, value in given.items()})
    (result,) = run([Task("tf_backend")])
    assert result["failed"] and not result["changed"]
    assert f"account_id is {STRANGER}, but these credentials belong to account" in result["msg"]
    assert not [call for call in bucket.relay.calls if call.is_write]
    assert not (tmp_path / "files").exists()

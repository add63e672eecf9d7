# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read to tell who else gets in: only what is needed, and the account once a run."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import NO_ANSWER
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import Connection
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket.public_access import FLAGS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Answer, Call, Failure, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import account_facts
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.account_facts import account_block
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_tables import buckets_there
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC

from tests.unit.plugins.module_utils._audit.test_unseen import CONNECTION, Backend, fake
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, Bucket
from tests.unit.plugins.module_utils.fake_backend import FakeBackend

__all__ = ["fake"]

OTHER = "444455556666"
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


def names(backend: Backend) -> list[str]:
    return [call.name for call in backend.fake.relay.calls]


def test_the_acl_is_read_where_it_grants_something(fake: FakeBackend) -> None:
    backend = Backend(fake, None)
    assert backend.found() == {} and "GetBucketAcl" not in names(backend)
    bucket = fake.buckets[backend.bucket]
    bucket.ownership, bucket.public_access = "ObjectWriter", None
    bucket.grants = [{"Grantee": {"URI": ALL_USERS, "Type": "Group"}, "Permission": "READ"}]
    assert backend.found().items() >= {"bucket.acl_public tf-states": "critical"}.items()
    bucket.grants = [{"Grantee": {"ID": "79a59df900b949e5", "Type": "CanonicalUser"}, "Permission": "WRITE"}]
    assert backend.found().items() >= {"bucket.acl_foreign tf-states: 79a59df900b949e5": "high"}.items()


@pytest.mark.parametrize(
    ("named", "owner", "expected"),
    [
        (None, ACCOUNT, {}),
        (None, OTHER, {"bucket.replication tf-states: copies": "medium"}),
        (OTHER, OTHER, {"bucket.replication tf-states: copies": "high"}),
        (ACCOUNT, ACCOUNT, {}),
    ],
    ids=["ours", "not ours", "another account's", "said to be ours"],
)
def test_the_owner_of_copies_is_asked_for(fake: FakeBackend, named: str | None, owner: str, expected: Any) -> None:
    backend = Backend(fake, None)
    fake.buckets["copies"] = Bucket(owner=owner)
    destination = {"Bucket": "arn:aws:s3:::copies", **({"Account": named} if named else {})}
    rules = [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Destination": destination}]
    fake.buckets[backend.bucket].replication = rules
    assert backend.found() == expected
    fake.buckets[backend.bucket].replication = [{**rules[0], "Status": "Disabled"}]
    assert backend.found() == {}


def test_the_policy_of_the_table_is_read(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    arn = fake.tables["tf-locks"].more["TableArn"]
    statement = {"Sid": "Ci", "Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "dynamodb:*", "Resource": arn}
    fake.policies[arn] = (json.dumps({"Version": "2012-10-17", "Statement": statement}), "1")
    assert backend.found() == {"table.policy_foreign tf-locks": "high"}


@pytest.mark.parametrize("block", [None, {**dict.fromkeys(FLAGS.values(), True), "BlockPublicAcls": False}])
def test_the_block_of_the_account_is_read(fake: FakeBackend, block: dict[str, bool] | None) -> None:
    backend = Backend(fake, None)
    fake.account_block = block
    assert backend.found() == {f"account.public_access {ACCOUNT}": "low"}


class Account:
    """The part of `Aws` that an account is read with."""

    def __init__(self, answer: Answer | str | None = None, **more: Any) -> None:
        self.connection, self._answer, self.asked = Connection("us-east-1", **more), answer, 0

    def is_aws(self, _service: str) -> bool:
        return self._answer is not None

    def read(self, calls: list[Call]) -> list[Answer]:
        self.asked += len(calls)
        return [Failure(calls[0], self._answer, "", "see") if isinstance(self._answer, str) else self._answer]  # type: ignore[list-item]


BLOCK = {"PublicAccessBlockConfiguration": dict.fromkeys(FLAGS.values(), True)}


@pytest.fixture
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(session, "CACHE", str(tmp_path))
    return tmp_path


def ask(aws: Any) -> Any:
    return account_block(aws, Target("b", "us-east-1"), ACCOUNT)


def test_a_run_asks_for_an_account_once(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Account(BLOCK), Account("AccessDenied")
    assert ask(first).value == ask(second).value == dict.fromkeys(FLAGS, True)
    assert (first.asked, second.asked) == (1, 0)
    (file,) = home.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(account_facts, "os", SimpleNamespace(getppid=lambda: os.getppid() + 1))
    assert ask(second).failure and second.asked == 1, "another run"


def test_what_is_old_or_strange_in_the_cache_is_asked_again(home: Any) -> None:
    ask(Account(BLOCK))
    (file,) = home.iterdir()
    kept = json.loads(file.read_text())
    for strange in ({**kept, "At": kept["At"] - 400}, {**kept, "Block": {}}, {**kept, "At": "x"}, [], None):
        file.write_text(json.dumps(strange))
        assert ask(again := Account(BLOCK)).value and again.asked == 1
    file.write_text("{")
    assert ask(again := Account(BLOCK)).value and again.asked == 1


def test_a_host_that_is_out_of_reach_is_tried_once_and_a_denial_each_time(home: Any) -> None:
    denied = Account("AccessDenied")
    assert ask(denied).failure.code == ask(denied).failure.code == "AccessDenied" and denied.asked == 2
    cut_off = Account(NO_ANSWER)
    assert ask(cut_off).failure.code == ask(cut_off).failure.code == NO_ANSWER and cut_off.asked == 1


def test_without_the_cache_nothing_is_kept(home: Any) -> None:
    aws = Account(BLOCK, cache_credentials=False)
    assert ask(aws).value and ask(aws).value and aws.asked == 2 and not [*home.iterdir()]


def test_another_store_has_no_accounts(home: Any) -> None:
    assert ask(Account()) == account_block(Account(BLOCK), Target("b", "us-east-1"), None)  # type: ignore[arg-type]
    assert ask(Account("NotImplemented")).failure is None
    assert ask(Account("NoSuchPublicAccessBlockConfiguration")).value == dict.fromkeys(FLAGS, False)


def test_a_bucket_that_only_code_names_is_there_or_not_or_is_somebody_elses(fake: FakeBackend) -> None:
    backend = Backend(fake, None)
    fake.buckets["foreign-states"] = Bucket(owner=OTHER)
    names = [backend.bucket, "no-states", "foreign-states", "No_Name", "zonal--x-s3", "x" * 64]
    found = buckets_there({**dict.fromkeys(CONNECTION_SPEC), **CONNECTION, "validate_certs": True}, names)
    assert found == {backend.bucket: True, "no-states": False, "foreign-states": None}
    assert buckets_there({}, []) == {}

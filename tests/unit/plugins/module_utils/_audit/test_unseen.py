# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every read of an audit fails in turn, in every way: what it would have told is unknown, and the rest is told."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.exceptions
import botocore.parsers
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import rank
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.unseen import MAY_HIDE, severity_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import client as _client
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import cause_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.inspection_client import InspectionClient
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure, no_op

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import state
from tests.support.http_relay import Answer
from tests.support.relay import Call as Sent
from tests.support.relay import Proceed, Reply, error
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT
from tests.unit.plugins.module_utils.fake_backend import FakeBackend, Kept

CONNECTION = {
    **{"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1", "account_id": ACCOUNT},
    **{"access_key": "test", "secret_key": "test"},
}
KEY = "network/terraform.tfstate"
#: The time that reads waited for AWS.
CLOCK = [0.0]


class Backend:
    """A backend as a run leaves it, with a state."""

    def __init__(self, fake: FakeBackend, table: str | None) -> None:
        self.fake, self.bucket, self.table = fake, "tf-states", table
        self.run("tf_state_bucket", name=self.bucket)
        if table:
            self.run("tf_lock_table", name=table)
        self.put(KEY, state(4))

    def run(self, module: str, **asked: Any) -> dict[str, Any]:
        (result,) = through_core([Task(module, {**CONNECTION, **asked})])
        assert not result.get("failed"), result["msg"]
        return result

    def put(self, key: str, body: bytes) -> None:
        self.fake.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        if self.table:
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            item = {"LockID": {"S": f"{self.bucket}/{key}-md5"}, "Digest": {"S": md5}}
            self.fake.client("dynamodb").put_item(TableName=self.table, Item=item)

    def audit(self, **asked: Any) -> dict[str, Any]:
        table = {"table": self.table} if self.table else {}
        self.fake.relay.calls.clear()
        return self.run("tf_backend_audit", bucket=self.bucket, **table, **asked)

    def found(self, **asked: Any) -> dict[str, str]:
        return {f"{each['id']} {each['resource']}": each["severity"] for each in self.audit(**asked)["findings"]}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBackend]:
    backend = FakeBackend()
    backend.use_for(monkeypatch)
    CLOCK[0] = 0
    monkeypatch.setattr(_client, "is_of_aws", lambda _client: True)
    monkeypatch.setattr(_client, "known_caller", lambda *_unused: None)
    monkeypatch.setattr(_client, "remember_caller", lambda *_unused: None)
    # S3 Control has hosts of its own, which an endpoint does not have.
    monkeypatch.setattr(Aws, "_addressed", lambda _aws, call: call)
    defaults = (None, no_op, lambda: CLOCK[0], lambda _seconds: None)
    monkeypatch.setattr(InspectionClient.__init__, "__defaults__", defaults)
    monkeypatch.setattr(Aws, "pause", lambda _aws, _attempt: CLOCK.__setitem__(0, CLOCK[0] + 5))
    yield backend


def times_out(call: Sent, proceed: Proceed) -> Answer:
    CLOCK[0] += 30
    raise botocore.exceptions.ReadTimeoutError(endpoint_url="https://s3.us-east-1.amazonaws.com")


def is_no_answer(call: Sent, proceed: Proceed) -> Answer:
    raise botocore.parsers.ResponseParserError("<html>")


def is_incomplete(call: Sent, proceed: Proceed) -> Answer:
    raise _client._Incomplete("body")


WAYS: dict[str, tuple[Reply, str]] = {
    "403": (error("AccessDenied", 403), "need"),
    "503": (error("ServiceUnavailable", 503), "AWS "),
    "timeout": (times_out, "Read timeout"),
    "HTML": (is_no_answer, "answered by something else than AWS"),
    "empty": (is_incomplete, "look for a proxy or a captive portal"),
}
#: Reads of which nothing depends but advice or cost.
HARMLESS = {"GetBucketLocation", "ListBuckets", "DescribeKey", "ListKeyRotations"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", ["tf-locks", None], ids=["both", "lockfile"])
def test_a_read_that_fails_is_unknown_and_never_fine(fake: FakeBackend, table: str | None, way: str) -> None:
    backend = Backend(fake, table)
    assert backend.found() == {}
    fake.client("s3").put_object(Bucket=backend.bucket, Key="broken.tfstate", Body=b'{"version": 4, "serial"')
    broken = "state.unreadable broken.tfstate"
    if table:  # written past the table: to explain it, locks, digest and versions are read, too
        fake.client("s3").put_object(Bucket=backend.bucket, Key=KEY, Body=state(5))
    expected = backend.found()
    assert expected.get(broken) == "high" and (not table or f"digest.mismatch {KEY}" in expected)
    names = [name for name in Counter(call.name for call in fake.relay.calls) if name != "GetCallerIdentity"]
    assert len(names) > 10
    reply, cause = WAYS[way]
    for name in names:
        if name in HARMLESS:
            continue
        Kept.files.clear()
        rule, began = fake.relay.on(name, reply=reply, times=math.inf), CLOCK[0]
        result = backend.audit()
        rule.times = 0
        hidden = [each for each in result["findings"] if each["id"] == "audit.unknown"]
        assert hidden and any(cause in each["detail"] for each in hidden), (name, result["findings"])
        assert {each["resource"] for each in hidden} == {*result["backend"]["unseen"]}
        seen = {each["id"] for each in result["findings"]}
        assert name in ("ListObjectsV2", "GetObject") or "state.unreadable" in seen, name
        assert seen <= {"audit.unknown", *(each.partition(" ")[0] for each in expected)}, (name, seen)
        assert CLOCK[0] - began <= 150, name


def test_a_backend_of_which_nothing_may_be_read_is_critical(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    for operation in ("Head*", "Get*", "List*", "Describe*", "Scan"):
        fake.relay.on(operation, reply=error("AccessDenied", 403), times=math.inf)
    result = backend.run("tf_backend_audit", bucket=backend.bucket, table=backend.table)
    assert result["worst"] == "critical"
    assert {"bucket", "states", "table"} <= {*result["backend"]["unseen"]}
    task = Task("tf_backend_audit", {**CONNECTION, "bucket": backend.bucket, "fail_on": "critical"})
    (failed,) = through_core([task])
    assert failed["failed"] and failed["msg"].startswith("critical: Something could not be read")


def test_where_nothing_answers_the_whole_backend_is_unknown(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    fake.relay.on("*", reply=times_out, times=math.inf)
    (result,) = through_core([Task("tf_backend_audit", {**CONNECTION, "bucket": backend.bucket})])
    assert result["failed"] and "Read timeout" in result["msg"] and "findings" not in result


def test_a_service_that_cannot_be_reached_is_asked_once_and_the_other_is_read(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    fake.client("dynamodb").update_table(TableName=backend.table, DeletionProtectionEnabled=False)

    def is_cut_off(call: Sent, proceed: Proceed) -> Answer:
        if call.service != "s3":
            return proceed()
        raise botocore.exceptions.ConnectTimeoutError(endpoint_url="https://s3.us-east-1.amazonaws.com")

    fake.relay.on("*", reply=is_cut_off, times=math.inf)
    result = backend.audit()
    assert {"audit.unknown", "table.deletion_protection"} <= {each["id"] for each in result["findings"]}
    assert {"bucket", "states"} <= {*result["backend"]["unseen"]} and result["worst"] == "critical"
    assert [call.name for call in fake.relay.calls if call.service == "s3"] == ["HeadBucket"]


def test_the_time_of_an_audit_ends_and_what_was_read_stays(fake: FakeBackend) -> None:
    backend = Backend(fake, "tf-locks")
    fake.client("s3").put_bucket_versioning(Bucket=backend.bucket, VersioningConfiguration={"Status": "Suspended"})

    def is_slow(call: Sent, proceed: Proceed) -> Answer:
        CLOCK[0] += 70
        return proceed()

    fake.relay.on("ListObjectsV2", reply=is_slow, times=math.inf)
    found = backend.audit(audit_timeout=60, name="eu")["findings"]
    assert ("bucket.versioning", "high") in [(each["id"], each["severity"]) for each in found]
    late = {each["resource"]: each for each in found if each["id"] == "audit.unknown"}
    assert late["table.items"]["severity"] == "critical" and "audit_timeout was over" in late["table.items"]["detail"]
    assert "set terraform_backend_audit_timeout higher" in late["table.items"]["fix"]


def test_a_time_that_is_none_is_refused(fake: FakeBackend) -> None:
    (result,) = through_core([Task("tf_backend_audit", {**CONNECTION, "bucket": "b", "audit_timeout": 0})])
    assert result["msg"] == "audit_timeout is 0; it must be 1 or greater"


@pytest.mark.parametrize(
    ("items", "severity"),
    [
        ([], "info"),
        ([{"LockID": {"S": "x"}, "expires": {"S": "1"}}], "info"),
        ([{"LockID": {"S": "x"}, "expires": {"N": "1"}}], "high"),
    ],
    ids=["no item", "text", "a number"],
)
def test_only_numbers_expire(fake: FakeBackend, items: list[Mapping[str, Any]], severity: str) -> None:
    backend = Backend(fake, "tf-locks")
    fake.tables["tf-locks"].ttl = "expires"
    fake.tables["tf-locks"].items += [dict(each) for each in items]
    found = backend.audit()["findings"]
    assert [each["severity"] for each in found if each["id"] == "table.time_to_live"] == [severity]
    (scan,) = [call for call in fake.relay.calls if call.name == "Scan"]
    assert scan.call.params["ExpressionAttributeNames"] == {"#more": "expires"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("table", "most"), [("tf-locks", 22), (None, 16)], ids=["both", "lockfile"])
def test_a_healthy_backend_costs_no_more_requests_than_before(fake: FakeBackend, table: str | None, most: int) -> None:
    backend = Backend(fake, table)
    backend.audit()
    assert len(fake.relay.calls) <= most, [call.name for call in fake.relay.calls]
    backend.audit()  # as the next one of the account: its block is known
    assert len(fake.relay.calls) <= most - 1, [call.name for call in fake.relay.calls]


@pytest.mark.parametrize(
    ("what", "facts", "severity"),
    [
        ("bucket", {}, "critical"),
        ("bucket.lifecycle", {}, "critical"),
        ("bucket.policy", {}, "high"),
        ("bucket.replication", {}, "high"),
        ("bucket.acl", {}, "critical"),
        ("bucket.acl", {"bucket": {"public_access": {"ignore_public_acls": True}}}, "high"),
        ("table.policy", {}, "high"),
        ("account.public_access", {}, "low"),
        ("bucket.tags", {}, "low"),
        ("bucket.tags", {"bucket": {"lock_files": "not tested"}}, "critical"),
        ("bucket.encryption", {}, "medium"),
        ("states", {"states": None}, "critical"),
        ("states", {"states": []}, "high"),
        ("locks", {}, "high"),
        ("versions", {}, "high"),
        ("something new", {}, "critical"),
    ],
)
def test_what_is_unknown_is_as_bad_as_what_it_hides(what: str, facts: dict[str, Any], severity: str) -> None:
    assert severity_of(what, "denied", facts) == severity
    assert rank(severity_of(what, "unsupported", facts)) >= rank("medium")


def test_what_may_be_hidden_are_kinds_of_findings() -> None:
    assert {kind for kinds in MAY_HIDE.values() for kind in kinds} <= {*KINDS}


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("because no identity-based policy allows the s3:GetBucketPolicy action", "denied"),
        ("", "denied"),
        ("with an explicit deny in a resource-based policy", "denied_policy"),
        ("because no VPC endpoint policy allows the s3:ListBucket action", "denied_endpoint"),
        ("with an explicit deny in a service control policy", "denied_organization"),
        ("because no permissions boundary allows the s3:ListBucket action", "denied_organization"),
        ("is not authorized to perform: kms:Decrypt on the resource", "denied_kms"),
    ],
)
def test_a_denial_has_the_cause_that_aws_names(message: str, cause: str) -> None:
    assert cause_of(Failure(Call("s3", "get_object", {}), "AccessDenied", message, "")) == cause

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests repaired and versions restored by the modules, as another client of AWS sees them, on every emulator."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state import history
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform import state_parser as reading
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.module_runs import Result, RunTasks, Task, through_core
from tests.support.emulators import RunningEmulator
from tests.support.relay import Answer, Body, Relay, error, lose_reply

KEY = "app/one.tfstate"
SECRET = "hunter2-in-a-state"
LINEAGE = "8fb33170-0000-4000-8000-000000000001"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def state(serial: int, *names: str, lineage: str = LINEAGE) -> bytes:
    """As Terraform writes one, with a secret in each resource."""
    resources = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": name,
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [{"schema_version": 0, "attributes": {"input": SECRET}}],
        }
        for name in names
    ]
    told = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage, "outputs": {}}
    return json.dumps({**told, "resources": resources}, indent=2).encode() + b"\n"


@dataclass
class Backend:
    """A state with its digest, and an independent look at both."""

    relay: Relay
    emulator: RunningEmulator
    bucket: str
    table: str

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, *bodies: bytes) -> list[str]:
        """Versions, the oldest first."""
        return [self.s3.put_object(Bucket=self.bucket, Key=KEY, Body=body)["VersionId"] for body in bodies]

    def delete(self) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=KEY)

    @property
    def body(self) -> bytes | None:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=KEY).get("Contents", [])
        there = [each for each in listed if each["Key"] == KEY]
        return self.s3.get_object(Bucket=self.bucket, Key=KEY)["Body"].read() if there else None

    def item(self, suffix: str = "-md5", **attributes: Any) -> None:
        name = {"LockID": {"S": f"{self.bucket}/{KEY}{suffix}"}}
        self.dynamodb.put_item(TableName=self.table, Item={**name, **attributes})

    def put_digest(self, digest: str) -> None:
        self.item(Digest={"S": digest})

    @property
    def items(self) -> dict[str, Any]:
        """What the table holds, by the end of its name."""
        found = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        start = len(f"{self.bucket}/")
        return {each.pop("LockID")["S"][start:]: each for each in found}

    @property
    def all(self) -> Any:
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        found = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return sorted(each["VersionId"] for each in found if each["Key"] == KEY), self.items

    def as_task(self, module: str, check_mode: bool = False, **params: Any) -> Task:
        connection = {"endpoint_url": self.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
        asked = {"bucket": self.bucket, "table": self.table, "key": KEY, **connection, **params}
        return Task(module, {name: value for name, value in asked.items() if value is not None}, check_mode)

    def task(self, module: str, check_mode: bool = False, **params: Any) -> Result:
        """The same in check mode, which writes nothing. Never a value of the state."""
        before = self.all
        (result,) = through_core([self.as_task(module, check_mode, **params)])
        assert not check_mode or self.all == before
        assert SECRET not in json.dumps(result)
        return result

    def done(self, module: str, **params: Any) -> Result:
        """Check mode foretells it; done twice it changes nothing; no lock is left."""
        foretold = self.task(module, check_mode=True, **params)
        result = self.task(module, **params)
        assert not result.get("failed"), result["msg"]
        assert foretold == result
        after = self.all
        again = self.task(module, **params)
        assert (again["changed"], again["msg"], self.all) == (False, result["msg"], after)
        assert set(self.items) <= {f"{KEY}-md5"} and not self.lock_files
        return result

    def refused(self, module: str, **params: Any) -> str:
        """The sentence of a task that fails, alike in check mode, and writes nothing."""
        before = self.all
        results = [self.task(module, check_mode, **params) for check_mode in (True, False)]
        assert [(each["failed"], each["changed"]) for each in results] == [(True, False)] * 2, results
        assert results[0]["msg"] == results[1]["msg"]
        assert self.all == before
        return str(results[0]["msg"])

    @property
    def lock_files(self) -> list[Any]:
        return self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{KEY}.tflock").get("Contents", [])


@pytest.fixture
def backend(relay: Relay, emulator: RunningEmulator, bucket_name: str, table_name: str) -> Backend:
    return Backend(relay, emulator, bucket_name, table_name)


DIGEST, VERSION = "tf_state_digest", "tf_state_version"
BROKEN: dict[str, tuple[dict[str, Any] | None, str]] = {
    "of something else": ({"Digest": {"S": "0" * 32}}, "mismatch"),
    "of something else, in a table with more in it": ({"Digest": {"S": "A" * 32}, "Note": {"S": "x"}}, "mismatch"),
    "no digest": ({"Digest": {"S": "none of your business"}}, "malformed"),
    "no text": ({"Digest": {"N": "7"}}, "malformed"),
    "nothing in it": ({}, "malformed"),
    "missing": (None, "missing"),
}


@pytest.mark.parametrize(("attributes", "status"), BROKEN.values(), ids=list(BROKEN))
def test_a_digest_is_made_to_fit_the_state(backend: Backend, attributes: dict[str, Any] | None, status: str) -> None:
    backend.put(state(1, "a"), state(2, "a", "b"))
    if attributes is not None:
        backend.item(**attributes)
    result = backend.done(DIGEST)
    assert (result["changed"], result["status"], result["serial"]) == (True, status, 2)
    assert result["diff"]["after"] == f"{md5(state(2, 'a', 'b'))}\n"
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(2, "a", "b"))}}}


def test_a_digest_that_fits_is_left_alone_whatever_its_case_and_no_lock_is_taken(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest(md5(state(1, "a")).upper())
    before = backend.all
    assert backend.done(DIGEST)["changed"] is False
    assert backend.all == before
    assert not [call for call in backend.relay.calls if call.name in ("PutObject", "PutItem")]


def test_a_deleted_state_is_undeleted_before_its_digest_is_touched(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.delete()
    for asked in ({}, {"allow": ["accept_state"]}, {"state": "absent"}):
        assert "undelete it first (tf_state_version with state: undeleted)" in backend.refused(DIGEST, **asked)
    result = backend.done(VERSION, state="undeleted")
    assert (result["serial"], result["added"]) == (1, ["terraform_data.a"])
    assert backend.body == state(1, "a")
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(1, "a"))}}}


def test_a_digest_without_a_state_goes_only_by_word(backend: Backend) -> None:
    backend.put_digest("0" * 32)
    assert "nor any version of it" in backend.refused(DIGEST)
    said = backend.refused(DIGEST, state="absent")
    assert "restore the state from a backup" in said and "forget_state" not in said
    result = backend.done(DIGEST, state="absent", allow=["forget_state"])
    assert (result["status"], backend.items) == ("orphan", {})


HISTORIES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "another lineage": ((state(1, "a"), state(2, "a", lineage="other")), "its lineage is other"),
    "the serial of another version": (
        (state(1), state(2, "a"), state(2, "b")),
        "has the same serial and other content: two clients wrote without seeing each other's lock",
    ),
    "a serial that went back": ((state(1), state(7, "a"), state(3, "a"), state(5)), "its serial is 5"),
}


@pytest.mark.parametrize(("bodies", "said"), HISTORIES.values(), ids=list(HISTORIES))
def test_a_state_that_does_not_agree_with_its_history_is_accepted_only_by_word(
    backend: Backend, bodies: tuple[bytes, ...], said: str
) -> None:
    backend.put(*bodies)
    backend.put_digest("0" * 32)
    refusal = backend.refused(DIGEST)
    assert said in refusal and "allow: [accept_state]" in refusal
    assert backend.done(DIGEST, allow=["accept_state"])["digest"] == md5(bodies[-1])


def test_of_two_writers_that_is_named_whose_digest_it_is(backend: Backend) -> None:
    (_first, theirs, _ours) = backend.put(state(1), state(2, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "a")))
    assert f"an older version, {theirs}, which the digest is of, has the same serial" in backend.refused(DIGEST)


def test_a_version_that_was_written_twice_is_no_other(backend: Backend) -> None:
    backend.put(state(1), state(2, "a"), state(1), state(2, "a"))
    backend.put_digest("0" * 32)
    assert backend.done(DIGEST)["digest"] == md5(state(2, "a"))


@pytest.mark.parametrize("body", [b"", b"not a state", state(2, "a")[:-40], b"{}"])
def test_what_is_no_state_gets_no_digest_whatever_is_allowed(backend: Backend, body: bytes) -> None:
    (whole, _unused) = backend.put(state(1, "a"), body)
    backend.put_digest(md5(state(1, "a")))
    assert "restore a version" in backend.refused(DIGEST, allow=["accept_state"])
    result = backend.done(VERSION, state="restored", version_id=whole)
    assert (result["serial_before"], result["serial"]) == (None, 2)
    assert backend.body == state(2, "a")


@pytest.mark.aws("7.1")
@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_whoever_holds_the_lock_is_named_and_nothing_is_done(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    info = LockInfo("008fc466", "OperationTypeApply", "", "ann@runner-7", "1.11.4", "2026-01-02T03:04:05Z", "x")
    backend.item(suffix="", Info={"S": marshal(info)})
    before = backend.all
    result = backend.task(module, **asked)
    assert result["failed"] and "is locked by ann@runner-7" in result["msg"] and "tf_state_lock" in result["msg"]
    assert backend.all == before
    assert "is not locked under 008fc466 in its file" in backend.refused(module, lock_id="008fc466", **asked)
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{KEY}.tflock", Body=marshal(info).encode())
    assert backend.task(module, lock_id="008fc466", **asked)["changed"]
    assert KEY in backend.items and backend.lock_files, "the lock was the operator's, and is kept"


@pytest.mark.parametrize("operation", ["PutItem", "PutObject"])
def test_a_reply_that_is_lost_on_the_way_is_made_out(backend: Backend, operation: str) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "b")))
    rule = backend.relay.on(operation, reply=lose_reply, times=4)
    assert backend.task(VERSION, state="restored", version_id=first)["changed"]
    assert rule.fired
    assert backend.body == state(3, "a")
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(3, "a"))}}}


def test_a_digest_that_is_changed_under_our_hands_is_left_as_it_is(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)

    def meddle(call: Any, proceed: Any) -> Any:
        if b"-md5" in call.body:
            backend.put_digest("1" * 32)
        return proceed()

    backend.relay.on("PutItem", reply=meddle, times=2)
    result = backend.task(DIGEST)
    assert result["failed"] and "somebody else changed the digest" in result["msg"]
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": "1" * 32}}}


@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_a_lock_that_cannot_be_released_is_named_with_what_was_done(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.relay.on("DeleteItem", reply=error("AccessDeniedException"), times=9)
    result = backend.task(module, **asked)
    (lock,) = [json.loads(item["Info"]["S"]) for item in backend.items.values() if "Info" in item]
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:DeleteItem" in result["msg"] and "done before: digest written" in result["msg"]
    assert f"the lock {lock['ID']} of {KEY} may still be held" in result["msg"]


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "a lock": ("tf_state_lock", {"state": "held"}),
    "a digest": (DIGEST, {}),
    "a version": (VERSION, {"state": "restored"}),
}


@pytest.mark.parametrize(("module", "asked"), ASKED.values(), ids=list(ASKED))
def test_where_a_policy_asks_for_encryption_uploads_do_as_clients(
    backend: Backend, module: str, asked: dict[str, Any]
) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest("0" * 32)

    def demand(call: Any, proceed: Any) -> Any:
        is_right = call.request.headers.get("x-amz-server-side-encryption") == "aws:kms"
        return proceed() if is_right else error("AccessDenied", 403)(call, proceed)

    backend.relay.on("PutObject", reply=demand, times=99)
    asked = {**asked, **({"version_id": first} if module == VERSION else {})}
    assert "needs s3:PutObject" in backend.task(module, **asked)["msg"]
    result = backend.task(module, encryption="aws:kms", kms_key_id="arn:aws:kms:us-east-1:000000000000:key/1", **asked)
    assert not result.get("failed"), result["msg"]
    keys = [call.request.headers.get("x-amz-server-side-encryption-aws-kms-key-id") for call in backend.relay.writes]
    assert "arn:aws:kms:us-east-1:000000000000:key/1" in keys
    refusal = backend.task(module, kms_key_id="x", **asked)
    assert "kms_key_id needs encryption" in refusal["msg"]


def test_a_restored_version_has_a_serial_above_all_others_and_everything_else_as_it_was(backend: Backend) -> None:
    (first, *_unused) = backend.put(state(4, "a", "b"), state(9, "c"), state(5, "b", "c"))
    result = backend.done(VERSION, state="restored", version_id=first)
    assert (result["serial_before"], result["serial"], result["lineage"]) == (5, 10, LINEAGE)
    assert (result["added"], result["removed"]) == (["terraform_data.a"], ["terraform_data.c"])
    assert result["diff"] == {
        "before": "serial 5\nterraform_data.b\nterraform_data.c\n",
        "after": "serial 10\nterraform_data.a\nterraform_data.b\n",
    }
    assert backend.body == state(10, "a", "b")
    assert backend.s3.head_object(Bucket=backend.bucket, Key=KEY)["ContentType"] == "application/json"
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(10, "a", "b"))}}}


def test_two_versions_are_compared_by_addresses_whoever_holds_the_lock(backend: Backend) -> None:
    first, second, third = backend.put(state(1, "a", "b"), state(2, "b", "c"), state(3, "c"))
    info = LockInfo("008fc466", "OperationTypeApply", "", "ann@runner-7", "1.11.4", "2026-01-02T03:04:05Z", "x")
    backend.item(suffix="", Info={"S": marshal(info)})
    before = backend.all
    result = backend.task(VERSION, state="compared", version_id=first, with_version_id=second)
    assert (result["changed"], result["serial"], result["serial_before"]) == (False, 1, 2)
    assert (result["added"], result["removed"]) == (["terraform_data.a"], ["terraform_data.c"])
    assert f"has 1 resources that version {second} has not, and lacks 1 that it has" in result["msg"]
    assert result["diff"]["after"] == "serial 1\nterraform_data.a\nterraform_data.b\n"
    now = backend.task(VERSION, state="compared", version_id=third, table=None)
    assert (now["added"], now["removed"], now["digest"]) == ([], [], None)
    backend.delete()
    gone = backend.task(VERSION, state="compared", version_id=third)
    assert (gone["added"], gone["serial_before"]) == (["terraform_data.c"], None)
    assert backend.all[1] == before[1] and not [call for call in backend.relay.calls if call.is_write]


def test_a_version_of_a_deleted_state_is_restored(backend: Backend) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.delete()
    result = backend.done(VERSION, state="restored", version_id=first, table=None)
    assert (result["serial_before"], result["serial"], result["digest"]) == (None, 3, None)
    assert (backend.body, backend.items) == (state(3, "a"), {})


def test_another_lineage_is_restored_only_by_word(backend: Backend) -> None:
    (first, _unused) = backend.put(state(8, "a"), state(1, "b", lineage="other"))
    assert "allow: [change_lineage]" in backend.refused(VERSION, state="restored", version_id=first)
    backend.done(VERSION, state="restored", version_id=first, allow=["change_lineage"])
    assert backend.body == state(9, "a")


def test_a_restoration_that_was_cut_short_goes_on(backend: Backend) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    backend.put_digest(md5(state(2, "b")))

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDeniedException")(call, proceed) if b"-md5" in call.body else proceed()

    backend.relay.on("PutItem", reply=deny, times=2)
    result = backend.task(VERSION, state="restored", version_id=first)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "needs dynamodb:PutItem" in result["msg"] and "done before: state written" in result["msg"]
    assert backend.body == state(3, "a")
    result = backend.done(VERSION, state="restored", version_id=first)
    assert (result["serial"], backend.body) == (3, state(3, "a"))
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(3, "a"))}}}


def test_where_a_delete_marker_must_stay_a_copy_is_written_over_it(backend: Backend) -> None:
    backend.put(state(1, "a"))
    backend.delete()

    def deny(call: Any, proceed: Any) -> Any:
        return error("AccessDenied", 403)(call, proceed) if "versionId" in call.request.target else proceed()

    backend.relay.on("DeleteObject", reply=deny, times=3)
    result = backend.task(VERSION, state="undeleted")
    assert not result.get("failed"), result["msg"]
    assert "a copy was written over it" in result["warnings"][0]
    assert backend.body == state(1, "a")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown version": ({"state": "restored", "version_id": "none-such"}, "none-such"),
    "no version": ({"state": "restored"}, "version_id goes with state: restored"),
    "nothing to compare": ({"state": "compared"}, "version_id goes with state: restored and compared"),
    "two versions to restore": (
        {"state": "restored", "version_id": "x", "with_version_id": "y"},
        "with_version_id goes with state: compared",
    ),
    "unknown version to compare": ({"state": "compared", "version_id": "none-such"}, "none-such"),
    "a version to undelete": ({"state": "undeleted", "version_id": "x"}, "version_id goes with state: restored"),
    "another key": ({"state": "undeleted", "key": "app/two.tfstate"}, "there is no version of app/two.tfstate"),
}


@pytest.mark.parametrize(("asked", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_brought_back_is_said(backend: Backend, asked: dict[str, Any], said: str) -> None:
    backend.put(state(1, "a"))
    assert said in backend.refused(VERSION, **asked)


FAULTS: dict[str, tuple[str, Any, str]] = {
    "versions denied": ("ListObjectVersions", error("AccessDenied", 403), "needs s3:ListBucketVersions"),
    "version denied": ("GetObject", error("AccessDenied", 403), "needs s3:GetObjectVersion"),
    "digest denied": ("GetItem", error("AccessDeniedException"), "needs dynamodb:GetItem"),
    "another key": ("GetItem", error("ValidationException"), "it is no lock table"),
}


@pytest.mark.parametrize(("operation", "reply", "said"), FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize(("module", "asked"), [(DIGEST, {}), (VERSION, {"state": "undeleted"})])
def test_what_cannot_be_read_is_unknown_and_nothing_is_done(
    backend: Backend, module: str, asked: dict[str, Any], operation: str, reply: Any, said: str
) -> None:
    backend.put(state(1, "a"))
    backend.put_digest("0" * 32)
    backend.relay.on(operation, reply=reply, times=20)
    assert said in backend.refused(module, **asked)


def test_a_state_too_large_to_be_held_is_undeleted_but_not_restored(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    monkeypatch.setattr(history, "LARGEST", 100)
    assert "would have to be held in memory" in backend.refused(VERSION, state="restored", version_id=first)
    backend.delete()
    backend.done(VERSION, state="undeleted")
    assert backend.body == state(2, "b")


def test_a_state_too_large_to_judge_is_undeleted_and_its_digest_mended_by_word(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = state(1, "x" * 600_000)
    backend.put(body)
    backend.delete()
    monkeypatch.setattr(reading, "LARGEST_VALUE", 100_000)
    assert backend.done(VERSION, state="undeleted", table=None)["serial"] is None
    backend.put_digest("0" * 32)
    assert "it is too large to judge" in backend.refused(DIGEST)
    assert backend.done(DIGEST, allow=["accept_state"])["digest"] == md5(body)


def in_one_second(call: Any, proceed: Any) -> Any:
    """Seconds are all the time that S3 tells."""
    answer = proceed()
    same = b"<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
    body = re.sub(rb"<LastModified>[^<]*</LastModified>", same, answer.body.read())
    return Answer(answer.status, {**answer.headers, "content-length": str(len(body))}, Body((body,)))


def test_a_state_that_was_deleted_twice_in_a_second_is_undeleted(backend: Backend) -> None:
    backend.put(state(1, "a"))
    for _unused in range(3):
        backend.delete()
    backend.relay.on("ListObjectVersions", reply=in_one_second, times=99)
    result = backend.task(VERSION, state="undeleted")
    assert not result.get("failed"), result["msg"]
    assert backend.body == state(1, "a")


def test_what_opentofu_encrypted_is_undeleted_but_not_restored(backend: Backend) -> None:
    encrypted = (
        b'{"serial":1,"lineage":"%s","meta":{},"encrypted_data":"x","encryption_version":"v0"}' % LINEAGE.encode()
    )
    (first,) = backend.put(encrypted)
    backend.delete()
    assert "encrypted by OpenTofu" in backend.refused(VERSION, state="restored", version_id=first)
    assert "a client encrypted it" in backend.refused(VERSION, state="compared", version_id=first)
    backend.done(VERSION, state="undeleted")
    assert backend.body == encrypted
    backend.put_digest("0" * 32)
    assert backend.done(DIGEST)["digest"] == md5(encrypted)


def test_a_state_is_mended_through_either_execution(backend: Backend, run_tasks: RunTasks) -> None:
    (first, _unused) = backend.put(state(1, "a"), state(2, "b"))
    results = run_tasks(
        [
            backend.as_task(DIGEST, check_mode=True),
            backend.as_task(DIGEST),
            backend.as_task(DIGEST),
            backend.as_task(VERSION, state="restored", version_id=first),
            backend.as_task(VERSION, state="undeleted"),
            backend.as_task(VERSION, state="restored"),
        ]
    )
    assert [(each["changed"], each.get("failed", False)) for each in results] == [
        (True, False),
        (True, False),
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert SECRET not in json.dumps(results)
    assert backend.body == state(3, "a")

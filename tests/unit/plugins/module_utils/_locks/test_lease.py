# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One operation at a time: a lease that is renewed, taken over only from who is gone, and asked before each write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from hashlib import md5
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.parent import Parent
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    CallFailed,
    Failure,
    Target,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks import process as processes
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.lease import LEASE_S, TRUSTED_S, Lease
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    LockInfo,
    lock_file,
    marshal,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import LEASE, Scope

KEY = lock_file(LEASE)
START = datetime(2026, 11, 30, 10, 0, tzinfo=timezone.utc)
ELSEWHERE = LockInfo("theirs", "tf_backend_teardown", "on another machine", "me@far", "c", "2026-11-30T10:00:00Z", "p")
A_STATE = Call("s3", "put_object", {"Bucket": "tf-state", "Key": "app/one.tfstate", "Body": b""})


@dataclass
class Bucket:
    """A bucket with a clock of its own, whose conditions hold as those of S3."""

    files: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    clock: datetime = START
    warnings: list[str] = field(default_factory=list)
    before_write: list[Callable[[Call], None]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    #: Told of each rest: where others go on.
    meanwhile: Callable[[], None] = lambda: None
    faults: list[str] = field(default_factory=list)

    def read(self, calls: Sequence[Call]) -> Any:
        raise AssertionError(calls)

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Any:
        if call.params["Key"] not in self.files:
            return Failure(call, "NoSuchKey", "", "")
        body, moment = self.files[call.params["Key"]]
        begin()(body)
        date = format_datetime(self.clock, usegmt=True)
        return {"ETag": etag(body), "LastModified": moment, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def write(self, call: Call) -> Any:
        for check in self.before_write:
            check(call)
        if self.faults:
            raise CallFailed(Failure(call, self.faults.pop(0), "", ""))
        body = self.files.get(call.params["Key"], (None, None))[0]
        wanted = call.params.get("IfMatch")
        if ("IfNoneMatch" in call.params and body is not None) or (wanted and (body is None or wanted != etag(body))):
            raise CallFailed(Failure(call, "PreconditionFailed", "", ""))
        self.writes.append(f"{call.operation} {call.params['Key']}")
        if call.operation == "delete_object":
            del self.files[call.params["Key"]]
            return {}
        self.files[call.params["Key"]] = (call.params["Body"], self.clock)
        return {"ETag": etag(call.params["Body"])}

    def renew(self) -> None:
        pass

    def rest(self, seconds: float) -> None:
        self.clock += timedelta(seconds=seconds)
        self.meanwhile()

    def monotonic(self) -> float:
        return self.clock.timestamp()

    def hold(self, info: LockInfo) -> None:
        self.files[KEY] = (marshal(info).encode(), self.clock)


def etag(body: bytes) -> str:
    return f'"{md5(body).hexdigest()}"'


def lease_of(bucket: Bucket) -> Lease:
    scope = Scope(Target("tf-state", "eu-west-1"))
    return Lease(bucket, scope, "tf_backend_restore", "on a test", bucket.monotonic)


def record(process: str) -> LockInfo:
    return LockInfo("other", "tf_backend_restore", process, "me@here", "c", "2026-11-30T10:00:00Z", "p")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_a_lease_says_who_is_at_work_and_is_given_back(bucket: Bucket) -> None:
    with lease_of(bucket).held():
        text = bucket.files[KEY][0].decode()
        assert f"process {os.getpid()}, started " in text and '"Operation":"tf_backend_restore"' in text
    assert (bucket.files, bucket.writes) == ({}, [f"put_object {KEY}", f"delete_object {KEY}"])


def test_a_second_run_is_refused_and_told_who_is_at_work(bucket: Bucket) -> None:
    with lease_of(bucket).held():
        for attempt in (lease_of(bucket).check, lambda: lease_of(bucket).held().__enter__()):
            with pytest.raises(
                Refused, match=r"another run is at work on the states of tf-state: tf_backend_restore by "
            ):
                attempt()
    assert not bucket.files


def test_who_renews_on_another_machine_is_at_work(bucket: Bucket) -> None:
    bucket.hold(ELSEWHERE)
    bucket.meanwhile = lambda: bucket.hold(ELSEWHERE)
    with pytest.raises(Refused, match="by me@far since 2026-11-30T10:00:00Z"):
        lease_of(bucket).check()


def test_who_renews_nothing_is_gone(bucket: Bucket) -> None:
    bucket.hold(ELSEWHERE)
    with lease_of(bucket).held():
        assert bucket.clock > START + timedelta(seconds=LEASE_S)
        assert b"theirs" not in bucket.files[KEY][0]
    assert not bucket.files


@pytest.mark.parametrize("kind", ["ended", "never of that start", "of a run of ours that ended"])
def test_a_process_of_this_machine_that_is_gone_holds_nothing(bucket: Bucket, kind: str) -> None:
    if kind == "ended":
        with subprocess.Popen(["sleep", "60"]) as process:
            started = processes._started_at(process.pid)
            process.kill()
        info = f"process {process.pid}, started {started}, on {processes._machine()}"
    elif kind == "never of that start":
        info = f"process {os.getppid()}, started 1, on {processes._machine()}"
    else:
        info = processes.this_process()
    bucket.hold(record(info))
    with lease_of(bucket).held():
        assert bucket.clock == START
    assert not bucket.files


def test_a_process_of_this_machine_that_runs_is_refused_at_once(bucket: Bucket) -> None:
    started = processes._started_at(os.getppid())
    bucket.hold(record(f"process {os.getppid()}, started {started}, on {processes._machine()}"))
    with pytest.raises(Refused, match="another run is at work"):
        lease_of(bucket).check()
    assert bucket.clock == START


def test_only_one_of_two_takes_over_a_lease(bucket: Bucket) -> None:
    bucket.hold(record("process 1, started 1, on " + processes._machine()))
    first, second = lease_of(bucket), lease_of(bucket)
    bucket.before_write.append(lambda _call: (bucket.before_write.clear(), first._take())[0])
    with pytest.raises(Refused, match="another run is at work"):
        second._take()
    assert first._lock and bucket.files[KEY][0].decode() == first._lock.text


def test_a_renewal_keeps_the_record_and_shows_as_a_later_time(bucket: Bucket) -> None:
    lease = lease_of(bucket)
    with lease.held():
        body = bucket.files[KEY][0]
        bucket.clock += timedelta(seconds=30)
        lease._renew()
        assert bucket.files[KEY] == (body, bucket.clock)


def test_nothing_more_is_written_once_the_lease_was_taken_over(bucket: Bucket) -> None:
    lease = lease_of(bucket)
    with lease.held():
        bucket.write(A_STATE)
        bucket.hold(ELSEWHERE)
        bucket.clock += timedelta(seconds=TRUSTED_S + 1)
        with pytest.raises(TfstateError, match=r"no longer the only one at work .* by me@far"):
            bucket.write(A_STATE)
        with pytest.raises(TfstateError, match="no longer the only one"):
            bucket.write(A_STATE)
    assert bucket.files[KEY][0] == marshal(ELSEWHERE).encode()


def test_nothing_more_is_written_if_the_lease_cannot_be_renewed(bucket: Bucket) -> None:
    with lease_of(bucket).held():
        bucket.clock += timedelta(seconds=TRUSTED_S + 1)
        bucket.faults = ["AccessDenied"]
        with pytest.raises(CallFailed, match="AccessDenied"):
            bucket.write(A_STATE)
        bucket.write(A_STATE)  # and again once it can be
    assert KEY not in bucket.files


def test_locks_are_released_without_a_lease(bucket: Bucket) -> None:
    bucket.files["app/one.tfstate.tflock"] = (b"{}", START)
    with lease_of(bucket).held():
        bucket.hold(ELSEWHERE)
        bucket.clock += timedelta(seconds=TRUSTED_S + 1)
        bucket.write(Call("s3", "delete_object", {"Bucket": "tf-state", "Key": "app/one.tfstate.tflock"}))
    assert [*bucket.files] == [KEY]


@pytest.mark.parametrize("reply", ["PreconditionFailed", "412"])
def test_a_renewal_whose_reply_was_lost_counts(bucket: Bucket, reply: str) -> None:
    lease = lease_of(bucket)
    with lease.held():
        bucket.clock += timedelta(seconds=TRUSTED_S + 1)
        bucket.faults = [reply]
        bucket.write(A_STATE)
    assert KEY not in bucket.files


def test_an_orphan_writes_nothing_but_releases_its_locks(bucket: Bucket) -> None:
    bucket.files["app/one.tfstate.tflock"] = (b"{}", START)
    bucket.before_write.append(Parent(pid=1 if os.getppid() != 1 else 2))
    with pytest.raises(TfstateError, match="the process that started this one is gone"):
        bucket.write(A_STATE)
    bucket.write(Call("s3", "delete_object", {"Bucket": "tf-state", "Key": "app/one.tfstate.tflock"}))
    assert not bucket.files


def test_who_has_a_parent_writes(bucket: Bucket) -> None:
    bucket.before_write.append(Parent())
    bucket.write(A_STATE)


def test_a_lease_that_may_not_be_written_says_what_to_allow(bucket: Bucket) -> None:
    bucket.faults = ["AccessDenied"]
    with pytest.raises(CallFailed) as told, lease_of(bucket).held():
        raise AssertionError("it is not held")
    words = ("s3:GetObject, s3:PutObject and s3:DeleteObject", "cornerstone.tfstate/operation.tflock", "tf-state")
    assert all(each in str(told.value) for each in words)
    assert not bucket.files

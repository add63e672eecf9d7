# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Killed anywhere, or deaf to any answer: the next run, or this one, ends as an undisturbed run does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.scenarios import LostReply, Outage, Watch
from tests.integration.subject import Subject
from tests.support.relay import error, stale

# Every facet has something to write, at creation and in an update of what exists.
ASKED: dict[str, dict[str, Any]] = {
    "bucket": {
        "encryption": "aws:kms",
        "object_ownership": "BucketOwnerPreferred",
        "minimum_tls_version": "1.3",
        "object_lock": True,
        "tags": {"Stage": "test"},
        "allow": ["enable_object_lock", "enable_acls"],
    },
    "table": {
        "read_capacity": 3,
        "write_capacity": 3,
        "table_class": "STANDARD_INFREQUENT_ACCESS",
        "recovery_period_days": 7,
        "tags": {"Stage": "test"},
        "allow": ["disable_recovery"],
    },
}


@pytest.mark.parametrize("is_adopted", [False, True], ids=["create", "update"])
def test_a_run_that_is_killed_after_any_write_is_completed_by_the_next_one(subject: Subject, is_adopted: bool):
    asked = ASKED[subject.kind]
    writes, end = undisturbed(subject, is_adopted)
    for k in range(1, writes):
        victim = fresh(subject, f"kill{k}", is_adopted)
        watch = watched(victim)
        outage = victim.relay.on("*", reply=Outage(k), times=math.inf)
        cut_short = victim.task(**asked)
        outage.times = 0
        assert (k, cut_short.get("failed"), cut_short["changed"]) == (k, True, True)
        victim.done(**asked)
        assert (k, victim.state()) == (k, end)
        assert (k, victim.done(**asked)["changes"], victim.writes) == (k, [], [])
        assert watch.seen == []


@pytest.mark.parametrize("is_adopted", [False, True], ids=["create", "update"])
def test_a_run_that_never_hears_of_one_of_its_writes_ends_converged_all_the_same(subject: Subject, is_adopted: bool):
    asked = ASKED[subject.kind]
    writes, end = undisturbed(subject, is_adopted)
    for k in range(1, writes + 1):
        victim = fresh(subject, f"deaf{k}", is_adopted)
        lost = victim.relay.on("*", reply=LostReply(k), times=math.inf)
        victim.done(**asked)
        lost.times = 0
        assert (k, victim.state()) == (k, end)
        assert (k, victim.done(**asked)["changes"], victim.writes) == (k, [], [])


def test_a_deletion_that_is_killed_after_any_write_is_completed_by_the_next_one(subject: Subject):
    words = {"bucket": ["delete_state"], "table": ["disable_deletion_protection"]}[subject.kind]
    for k in range(1, 3):
        victim = fresh(subject, f"kill{k}", is_adopted=False)
        is_bucket = victim.kind == "bucket"  # moto takes no object under our policy
        victim.done(**({"unmanaged": ["policy"], "allow": ["weaken_policy"]} if is_bucket else {}))
        if victim.kind == "bucket":
            victim.aws().put_object(Bucket=victim.name, Key="terraform.tfstate", Body=b"1")
        gone = {"state": "absent", "allow": words, "confirm_name": victim.name}
        outage = victim.relay.on("*", reply=Outage(k), times=math.inf)
        victim.task(**gone)
        outage.times = 0
        victim.done(**gone)
        assert (victim.done(**gone)["changes"], victim.writes) == ([], [])


@pytest.mark.aws("2.3")
@pytest.mark.parametrize("code", ["SlowDown", "OperationAborted", "InternalError"])
def test_a_bucket_is_made_although_aws_refuses_every_write_at_first(bucket: Subject, code: str):
    _unused, end = undisturbed(bucket, is_adopted=False)
    victim = fresh(bucket, "refused", is_adopted=False)
    status = {"OperationAborted": 409, "SlowDown": 503, "InternalError": 500}[code]
    for operation in ("CreateBucket", "Put*"):
        victim.relay.on(operation, reply=error(code, status), times=2)
    victim.done(**ASKED["bucket"])
    assert victim.state() == end


@pytest.mark.aws("2.2")
def test_old_answers_after_a_write_are_waited_out(bucket: Subject):
    bucket.done()
    for operation in ("Versioning", "Policy", "Tagging", "Encryption"):
        bucket.relay.on(f"GetBucket{operation}", after=f"PutBucket{operation}", times=3, reply=stale)
    result = bucket.done(**ASKED["bucket"])
    assert result["warnings"] == []
    assert len(bucket.writes) == len(set(bucket.writes)), "nothing is written twice"
    assert (bucket.done(**ASKED["bucket"])["changes"], bucket.writes) == ([], [])


def undisturbed(subject: Subject, is_adopted: bool) -> tuple[int, dict[str, Any]]:
    """How many writes a run takes, and where it ends."""
    calm = fresh(subject, "calm", is_adopted)
    calm.done(**ASKED[subject.kind])
    return len(calm.writes), calm.state()


def fresh(subject: Subject, suffix: str, is_adopted: bool) -> Subject:
    found = replace(subject, name=f"{subject.name}-{suffix}")
    if is_adopted:
        found.done()
    return found


def watched(subject: Subject) -> Watch:
    """Looks after every write whether the bucket can be reached by the public."""
    s3 = subject.emulator.client("s3", region=subject.region)

    def harm() -> str | None:
        try:
            block = s3.get_public_access_block(Bucket=subject.name)["PublicAccessBlockConfiguration"]
        except s3.exceptions.ClientError as failure:
            return f"{failure}"
        return None if all(block.values()) else f"public access is {block}"

    watch = Watch(harm if subject.kind == "bucket" else lambda: None)
    subject.relay.on("*", reply=watch, times=math.inf)
    return watch

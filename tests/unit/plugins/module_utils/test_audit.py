# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found in a backend, and what the user makes of it."""

from __future__ import annotations

import shlex
from datetime import date
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit import Expectations, audit, duration
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import EXISTENCE, Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._finding_kinds import KINDS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._findings import (
    SEVERITIES,
    Finding,
    Tuning,
    judged,
    reaches,
    waivers_of,
    worst,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.unit.plugins.module_utils.audited import LOCK, TODAY, facts, resource

US = Expectations("us-east-1")
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def ids(found: list[Finding]) -> list[str]:
    return [each.id for each in found]


def bucket(**facets: Any) -> dict[str, Any]:
    return {"bucket": resource(BUCKET, "state-us", "us-east-1", **facets)}


def table(**facets: Any) -> dict[str, Any]:
    return {"table": resource(TABLE, "locks-us", "us-east-1", **facets)}


def digest(status: str, **more: Any) -> dict[str, Any]:
    return {"digests": [{"path": "a/terraform.tfstate", "status": status, "digest": "0" * 32, **more}]}


def state(**more: Any) -> dict[str, Any]:
    return {"states": [{"path": "a/terraform.tfstate", "is_deleted": False, "problem": None, **more}]}


NO_POLICY = {"version": "2012-10-17", "id": None, "statements": []}
KMS = {"algorithm": "aws:kms", "kms_key_id": KEY_ARN, "bucket_key_enabled": True, "blocked_encryption_types": None}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a backend as a run leaves it": ({}, []),
    "a stronger one": (bucket(encryption=KMS), []),
    "one that locks by files alone": ({"table": None}, []),
    "nothing gathered": (dict.fromkeys(("states", "locks", "digests", "orphan_lock_files")), []),
    "settings not gathered": ({"bucket": {"name": "state-us", "exists": True, "region": "us-east-1"}}, []),
    "no bucket": ({"bucket": {"name": "state-us", "exists": False}}, ["bucket.missing"]),
    "no table": ({"table": {"name": "locks-us", "exists": False}}, ["table.missing"]),
    "whether there is a bucket is unknown": (
        {"bucket": {"name": "state-us", "exists": None}, "unknown": [{"what": "bucket", "why": "denied"}]},
        ["audit.unknown"],
    ),
    "another region": (bucket(region="eu-west-1"), ["bucket.region"]),
    "another key": (table(key={"Id": "S HASH"}), ["table.key"]),
    "suspended": (bucket(versioning="Suspended"), ["bucket.versioning"]),
    "open": (
        bucket(public_access={**dict.fromkeys(BUCKET.facets[2].absent, True), "block_public_acls": False}),
        ["bucket.public_access"],
    ),
    "not encrypted": (bucket(encryption=BUCKET.facets[3].absent), ["bucket.encryption"]),
    "with ACLs": (bucket(ownership="ObjectWriter"), ["bucket.ownership"]),
    "over HTTP": (bucket(policy=NO_POLICY), ["bucket.policy"]),
    "without lifecycle": (bucket(lifecycle={}), ["bucket.lifecycle"]),
    "a lifecycle of somebody's": (bucket(lifecycle={"x": {"Status": "Enabled", "Filter": {}}}), []),
    "a facet that could not be read": (
        {**bucket(versioning=None), "unknown": [{"what": "bucket.versioning", "why": "AccessDenied"}]},
        ["audit.unknown"],
    ),
    "no protection": (table(deletion_protection=False), ["table.deletion_protection"]),
    "no recovery": (table(recovery={"enabled": False, "period_days": None}), ["table.recovery"]),
    "a lock of somebody at work": ({"locks": [LOCK]}, []),
    "an old lock": ({"locks": [{**LOCK, "age_s": 14401}]}, ["lock.stale"]),
    "the fence of a state that moved": (
        {"locks": [{**LOCK, "age_s": 14401, "operation": "tf_state_move", "is_canonical": False}]},
        ["lock.fence"],
    ),
    "what a move that was cut short left at its destination": (
        {
            "locks": [
                {
                    **LOCK,
                    "age_s": 14401,
                    "operation": "tf_state_move",
                    "info": f"from x to s3://state-us/{LOCK['path']}",
                }
            ]
        },
        ["lock.stale"],
    ),
    "a lock of nobody knows when": ({"locks": [{**LOCK, "age_s": None}]}, []),
    "a wedged lock": ({"locks": [{**LOCK, "is_wedged": True, "lock_id": None}]}, ["lock.wedged"]),
    "a lock that could not be read": (
        {"locks": [{**LOCK, "is_wedged": None, "is_canonical": None, "age_s": None}]},
        [],
    ),
    "a lock with spaces": ({"locks": [{**LOCK, "is_canonical": False}]}, ["lock.not_canonical"]),
    "litter": ({"orphan_lock_files": ["a.tfstate.tflock"]}, ["lock.orphan_file"]),
    "a digest that fits": (digest("match"), []),
    "a digest while somebody writes": (digest("in_progress"), []),
    "a digest that does not fit": (digest("mismatch", actual="1" * 32, matches_version="v"), ["digest.mismatch"]),
    "a deleted state": ({**digest("deleted"), **state(is_deleted=True)}, ["digest.deleted"]),
    "a deleted state without digest": (state(is_deleted=True), ["state.deleted"]),
    "an orphan digest": (digest("orphan"), ["digest.orphan"]),
    "a malformed digest": (digest("malformed"), ["digest.malformed"]),
    "no digest": (digest("missing"), ["digest.missing"]),
    "a broken state": (state(problem="it is not JSON"), ["state.unreadable"]),
}


@pytest.mark.parametrize("case", CASES)
def test_this_is_found(case: str) -> None:
    more, expected = CASES[case]
    found = audit(facts(**more), US)
    assert ids(found) == expected
    for each in found:
        assert each.why and each.detail and shlex.split(each.fix, comments=True)


def test_a_missing_table_is_critical_and_mended_by_one_command() -> None:
    (found,) = audit(facts(table={"name": "terraform-locks-us-east-1", "exists": False}), US)
    assert found.told() == {
        "id": "table.missing",
        "severity": "critical",
        "title": "No state locking: the lock table does not exist",
        "detail": "There is no table terraform-locks-us-east-1 in us-east-1.",
        "resource": "terraform-locks-us-east-1",
        "why": KINDS["table.missing"].why,
        "fix": "ansible-playbook cornerstone.tfstate.bootstrap -l us-east-1",
        "controls": [],
        "waived": None,
    }


ASKED: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "KMS": ({"encryption": "aws:kms"}, {}, ["bucket.encryption"]),
    "KMS, and it is": ({"encryption": "aws:kms"}, {"encryption": KMS}, []),
    "that key by its id": ({"kms_key_id": KEY_ARN.rpartition("/")[2]}, {"encryption": KMS}, []),
    "a key by an alias, which nobody can resolve": ({"kms_key_id": "alias/state"}, {"encryption": KMS}, []),
    "another key": ({"kms_key_id": f"{KEY_ARN}0"}, {"encryption": KMS}, ["bucket.encryption"]),
    "no versioning": ({"versioning": False}, {"versioning": "Suspended"}, []),
    "logging": ({"logging_target_bucket": "logs"}, {}, ["bucket.logging"]),
    "object lock": ({"object_lock": True}, {}, ["bucket.object_lock"]),
    "tags": ({"tags": {"team": "net"}}, {}, ["bucket.tags"]),
    "somebody else's": ({"unmanaged": ["versioning"]}, {"versioning": "Suspended"}, []),
    "a longer history": ({"noncurrent_version_expiration_days": 365}, {}, ["bucket.lifecycle"]),
}


@pytest.mark.parametrize("case", ASKED)
def test_the_inventory_is_part_of_the_baseline(case: str) -> None:
    asked, observed, expected = ASKED[case]
    assert ids(audit(facts(**bucket(**observed)), Expectations("us-east-1", bucket=asked))) == expected


def test_there_is_a_kind_for_every_facet() -> None:
    facets = {
        f"{each.kind}.{facet.name}" for each in (BUCKET, TABLE) for facet in each.facets if facet.name != EXISTENCE
    }
    assert facets <= set(KINDS)
    assert {kind.severity for kind in KINDS.values()} <= set(SEVERITIES)


def test_nothing_secret_is_told_of_a_lock() -> None:
    lock = {**LOCK, "age_s": 90_000, "seen": {"Info": "secret"}}
    (found,) = audit(facts(locks=[lock]), US)
    assert found.detail == "Held for 1 d 1 h by ana@laptop, OperationTypeApply."
    assert "secret" not in str(found.told()) and str(LOCK["lock_id"]) in found.fix


def test_a_hostile_path_stays_one_argument() -> None:
    lock = {**LOCK, "age_s": 90_000, "path": "a'; rm -rf ~ #\n$(reboot)"}
    (found,) = audit(facts(locks=[lock]), US)
    words = shlex.split(found.fix)
    assert words[:5] == ["ansible-playbook", "cornerstone.tfstate.unlock", "-l", "us-east-1", "-e"] and len(words) == 6


@pytest.mark.parametrize(("age_s", "told"), [(59, "0 h 0 min"), (14_460, "4 h 1 min"), (200_000, "2 d 7 h")])
def test_ages_are_told_in_words(age_s: float, told: str) -> None:
    assert duration(age_s) == told


SUSPENDED = facts(**bucket(versioning="Suspended"))


def waiver(**more: str) -> dict[str, str]:
    return {"id": "bucket.versioning", "reason": "being emptied", "until": "2026-11-21", **more}


def tuned(name: str = "us-east-1", waivers: Any = (), **more: Any) -> list[dict[str, Any]]:
    tuning = Tuning(TODAY, waivers=waivers_of(waivers), **more)
    return [each.told() for each in judged(audit(SUSPENDED, US), name, tuning)]


def test_a_severity_can_be_set() -> None:
    assert [each["severity"] for each in tuned(severities={"bucket.*": "low"})] == ["low"]


def test_a_finding_can_be_disabled() -> None:
    assert tuned(disabled=["bucket.ver*"]) == []


def test_a_waiver_holds_until_its_day_is_over() -> None:
    (found,) = tuned(waivers=[waiver()])
    assert found["waived"] == {"reason": "being emptied", "until": "2026-11-21"}
    assert worst([found]) is None


def test_an_expired_waiver_counts_as_none_and_is_found_itself() -> None:
    found = tuned(waivers=[waiver(until="2026-11-20")])
    assert [(each["id"], each["waived"]) for each in found] == [("bucket.versioning", None), ("waiver.expired", None)]
    assert "being emptied" in found[1]["detail"]


def test_an_expired_waiver_says_nothing_where_a_valid_one_does() -> None:
    assert len(tuned(waivers=[waiver(until="2026-01-01"), waiver()])) == 1


@pytest.mark.parametrize("other", [{"backend": "eu-*"}, {"resource": "other"}, {"id": "table.*"}])
def test_a_waiver_covers_no_more_than_it_says(other: dict[str, str]) -> None:
    assert [each["waived"] for each in tuned(waivers=[waiver(**other)])] == [None]


def test_what_is_misspelt_is_an_error() -> None:
    with pytest.raises(Invalid, match="no date such as"):
        waivers_of([waiver(until="next week")])
    assert list(Tuning(date(2026, 1, 1), {"bucket.versoning": "worst"}, ["nosuch"]).problems()) == [
        "there is no finding 'bucket.versoning'",
        "there is no finding 'nosuch'",
        "severity of bucket.versoning is 'worst'; choose one of critical, high, medium, low, info",
    ]


@pytest.mark.parametrize(
    ("severity", "limit", "is_reached"),
    [("critical", "critical", True), ("high", "critical", False), ("high", "low", True), ("critical", "never", False)],
)
def test_a_limit_is_reached_by_what_is_as_bad(severity: str, limit: str, is_reached: bool) -> None:
    assert reaches(severity, limit) is is_reached
    assert not reaches(None, limit)

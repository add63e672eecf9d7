# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found in a backend, and what the user makes of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS, runbook_url
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.contents import LEAVE_IT, duration
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import (
    ASK,
    NO_ACCOUNT,
    NO_HOST,
    Expectations,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    SEVERITIES,
    Finding,
    Tuning,
    evaluate,
    reaches,
    waivers_of,
    worst,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.lost import (
    BY_HAND,
    DECIDE,
    MISSING,
    fix_with_code,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit, changes, summary
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, lifecycle
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.commands import NO_COMMAND
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import EXISTENCE, Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import MOVED
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import IS_STATE

from tests.support.commands import command_of
from tests.unit.plugins.module_utils.audited import LOCK, TODAY, facts, resource

US = Expectations("us-east-1")
#: Before each command of the AWS CLI.
PROOF = "aws sts get-caller-identity --region us-east-1 --query Account --output text | grep -x 111122223333 && "
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
    return {
        "states": [{"path": "a/terraform.tfstate", "is_deleted": False, "is_readable": "problem" not in more, **more}]
    }


def expiring(expiration: dict[str, Any], **where: Any) -> dict[str, Any]:
    rule = {"Status": "Enabled", "Filter": where, "Expiration": expiration}
    return bucket(lifecycle={"old": rule, "kept": {**rule, "Expiration": {"ExpiredObjectDeleteMarker": True}}})


def archiving(storage_class: str, **where: Any) -> dict[str, Any]:
    rule = {"Status": "Enabled", "Filter": where, "Transitions": [{"Days": 30, "StorageClass": storage_class}]}
    return bucket(lifecycle={"old": rule})


def unread(cause: str) -> dict[str, Any]:
    return {"unknown": [{"what": "states", "why": "an error", "cause": cause}]}


def allowing(principal: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A bucket whose policy has one statement more than a run leaves there."""
    policy = resource(BUCKET, "state-us", "us-east-1")["policy"]
    statement = {"Sid": "More", "Effect": "Allow", "Principal": principal, "Action": ["s3:GetObject"], **more}
    return bucket(policy={**policy, "statements": [*policy["statements"], statement]})


def orphans(count: int, others: int = 0) -> dict[str, Any]:
    paths = [f"a/{place}" for place in range(count + others)]
    return {
        "digests": [
            {"path": path, "status": "orphan" if place < count else "match", "digest": "0" * 32}
            for place, path in enumerate(paths)
        ]
    }


def deleted(path: str) -> dict[str, Any]:
    return {**state(path=path, is_deleted=True, is_readable=None)}


def denying(*names: str) -> dict[str, Any]:
    statement = {"Sid": MOVED, "Effect": "Deny", "Resource": [f"arn:aws:s3:::{name}" for name in names]}
    asked = {"policy_statements": [{**statement, "Principal": "*", "Action": ["s3:GetObject"]}]}
    there = resource(BUCKET, "state-us", "us-east-1")
    change = next(each for each in changes(BUCKET, there, facts(), asked) if each.facet == "policy")
    return bucket(policy=change.after)


PROTECTION = {**LOCK, "age_s": 14401, "operation": "tf_state_move", "is_canonical": False}
FROZEN = {**LOCK, "operation": "freeze", "info": "OPS-42", "age_s": 14401, "created": "2026-11-30T10:00:00Z"}
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
    "states that expire": (expiring({"Days": 30}), ["bucket.expiration"]),
    "states that expire on a day": (expiring({"Date": "2027-01-01T00:00:00+00:00"}), ["bucket.expiration"]),
    "states of a folder that expire": ({**expiring({"Days": 1}, Prefix="a/"), **state()}, ["bucket.expiration"]),
    "lock files that expire by their size": (
        {**expiring({"Days": 1}, ObjectSizeLessThan=400), **state(size=9000)},
        ["bucket.lock_expiration"],
    ),
    "lock files that expire by their name": (
        {**expiring({"Days": 1}, Prefix="a/terraform.tfstate.tflock"), **state(path="a/terraform.tfstate")},
        ["bucket.lock_expiration"],
    ),
    "lock files that expire where clients lock in the table": (
        {**expiring({"Days": 1}, ObjectSizeLessThan=120), **state(size=9000), "lock_mode": "dynamodb"},
        [],
    ),
    "lock files that expire elsewhere": ({**expiring({"Days": 1}, Prefix="b/", ObjectSizeLessThan=400), **state()}, []),
    "states that are archived": (archiving("GLACIER"), ["bucket.archiving"]),
    "states of a folder that are archived": (
        {**archiving("DEEP_ARCHIVE", Prefix="a/"), **state()},
        ["bucket.archiving"],
    ),
    "states that move to a class that is read at once": (archiving("GLACIER_IR"), []),
    "logs that are archived": ({**archiving("GLACIER", Prefix="logs/"), **state()}, []),
    "old versions that are archived": (
        bucket(
            lifecycle={
                "old": {
                    **{"Status": "Enabled", "Filter": {}},
                    "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "GLACIER"}],
                }
            }
        ),
        [],
    ),
    "expiry elsewhere": ({**expiring({"Days": 1}, Prefix="logs/"), **state()}, []),
    "expiry of what is larger": (
        {**expiring({"Days": 1}, ObjectSizeGreaterThan=9999), **state(size=9)},
        ["bucket.expiration"],
    ),
    "expiry of what is larger than any state": (expiring({"Days": 1}, ObjectSizeGreaterThan=200 * 1024 * 1024), []),
    "expiry of what is larger than a state and not than a lock file": (
        {**expiring({"Days": 1}, ObjectSizeGreaterThan=99), **state(size=9)},
        ["bucket.lock_expiration"],
    ),
    "expiry by tag": (expiring({"Days": 1}, Tags=[{"Key": "lock", "Value": "1"}]), ["bucket.expiration"]),
    "delete markers that expire": (expiring({"ExpiredObjectDeleteMarker": True}), []),
    "a policy for everybody": (allowing({"AWS": ["*"]}), ["bucket.policy_public"]),
    "a policy for an organization": (
        allowing({"AWS": ["*"]}, Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}}),
        ["bucket.policy_condition"],
    ),
    "a policy for another account by a condition": (
        allowing({"AWS": ["*"]}, Condition={"StringEquals": {"aws:PrincipalAccount": ["444455556666"]}}),
        ["bucket.policy_condition"],
    ),
    "control for another account by a condition": (
        allowing(
            {"AWS": ["*"]}, Action=["s3:*"], Condition={"StringEquals": {"aws:PrincipalAccount": ["444455556666"]}}
        ),
        ["bucket.policy_foreign"],
    ),
    "a policy for the account itself by a condition": (
        allowing({"AWS": ["*"]}, Condition={"StringEquals": {"aws:PrincipalAccount": ["111122223333"]}}),
        [],
    ),
    "control for another account": (
        allowing({"AWS": ["arn:aws:iam::444455556666:root"]}, Action=["s3:*"]),
        ["bucket.policy_foreign"],
    ),
    "deletion of old versions by another account": (
        allowing({"AWS": ["arn:aws:iam::444455556666:root"]}, Action=["s3:DeleteObjectVersion"]),
        ["bucket.policy_foreign"],
    ),
    "suspension of versioning by another account": (
        allowing({"AWS": ["arn:aws:iam::444455556666:root"]}, Action=["s3:PutBucket*"]),
        ["bucket.policy_foreign"],
    ),
    "use by another account": (allowing({"AWS": ["arn:aws:iam::444455556666:root"]}), ["bucket.policy_read"]),
    "control for a role of ours": (allowing({"AWS": ["arn:aws:iam::111122223333:role/x"]}, Action=["s3:*"]), []),
    "no MFA delete and no lifecycle": (bucket(mfa_delete=False, lifecycle={}), ["bucket.lifecycle"]),
    "no MFA delete beside a lifecycle": (bucket(mfa_delete=False), []),
    "a store without lock files": (bucket(lock_files="unsupported"), ["bucket.lock_files"]),
    "a store that nobody tested": (
        {**bucket(lock_files="not tested"), "lock_mode": "lockfile"},
        ["bucket.lock_files_not_tested"],
    ),
    "a store that nobody tested, locked in the table, too": (bucket(lock_files="not tested"), []),
    "a store that nobody tested, locked in the table": (
        {**bucket(lock_files="not tested"), "lock_mode": "dynamodb"},
        [],
    ),
    "a store that was tested": (bucket(lock_files="supported"), []),
    "a table that forgets": (table(time_to_live="expires"), ["table.time_to_live"]),
    "a table in two regions": (table(replicas=["eu-west-1"]), ["table.replicas"]),
    "a lock of somebody at work": ({"locks": [LOCK]}, []),
    "an old lock": ({"locks": [{**LOCK, "age_s": 14401}]}, ["lock.stale"]),
    "a freeze in both stores, also of a state that is gone": (
        {"locks": [FROZEN, {**FROZEN, "store": "file"}], "orphan_lock_files": [LOCK["path"]]},
        ["lock.frozen"],
    ),
    "the source protection of a state that moved": (
        {"locks": [PROTECTION, {**PROTECTION, "store": "file"}]},
        ["lock.moved_state", "lock.moved_state"],
    ),
    "a source protection in the table alone": ({"locks": [PROTECTION]}, ["lock.moved_state", "lock.half_moved_state"]),
    "a source protection by file alone": (
        {"locks": [{**PROTECTION, "store": "file"}]},
        ["lock.moved_state", "lock.half_moved_state"],
    ),
    "a source protection by two moves": (
        {"locks": [PROTECTION, {**PROTECTION, "store": "file", "lock_id": "2"}]},
        ["lock.moved_state"] * 2,
    ),
    "a source protection whose other half may not be read": (
        {"locks": [{**PROTECTION, "store": "file"}], "unknown": [{"what": "table.items", "why": "AccessDenied"}]},
        ["lock.moved_state", "audit.unknown"],
    ),
    "a source protection beside a policy that denies all": (
        {"locks": [PROTECTION], **denying("state-us/*", "state-us/*.tflock")},
        ["lock.moved_state"],
    ),
    "a source protection beside a policy that denies another state": (
        {"locks": [PROTECTION], **denying("state-us/x", "state-us/x.tflock")},
        ["lock.moved_state", "lock.half_moved_state"],
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
    "a lock of nobody knows when": ({"locks": [{**LOCK, "age_s": None}]}, ["lock.unknown_age"]),
    "a wedged lock": ({"locks": [{**LOCK, "is_wedged": True, "lock_id": None}]}, ["lock.wedged"]),
    "a state in the place of a lock file": (
        {"locks": [{**LOCK, "store": "file", "is_wedged": True, "problem": IS_STATE.reason}]},
        ["state.lock_file_name"],
    ),
    "a state that is called like a lock file": (state(path="x.tflock"), ["state.lock_file_name"]),
    "a lock that could not be read": (
        {"locks": [{**LOCK, "is_wedged": None, "is_canonical": None, "age_s": None}]},
        [],
    ),
    "a lock with spaces": ({"locks": [{**LOCK, "is_canonical": False}]}, ["lock.not_canonical"]),
    "a lock file with spaces": ({"locks": [{**LOCK, "is_canonical": False, "store": "file"}]}, []),
    "litter": ({"orphan_lock_files": ["a.tfstate.tflock"]}, ["lock.orphan_file"]),
    "a digest that fits": (digest("match"), []),
    "a digest while somebody writes": (digest("in_progress"), []),
    "a digest that does not fit": (digest("mismatch", actual="1" * 32, matches_version="v"), ["digest.mismatch"]),
    "a deleted state": ({**digest("deleted"), **state(is_deleted=True)}, ["digest.deleted"]),
    "a deleted state without digest": (state(is_deleted=True), ["state.deleted"]),
    "an orphan digest": ({**digest("orphan"), **state(path="b")}, ["digest.orphan"]),
    "an orphan digest in an empty bucket": (digest("orphan"), ["digest.states_lost"]),
    "an orphan digest beside a deleted state": (
        {**digest("orphan"), **deleted("b")},
        ["digest.states_lost", "state.deleted"],
    ),
    "many orphan digests in an empty bucket": (orphans(2), ["digest.states_lost"]),
    "many orphan digests beside a state": ({**orphans(3, 27), **state(path="b")}, ["digest.states_lost"]),
    "few orphan digests among many": ({**orphans(2, 28), **state(path="b")}, ["digest.orphan"] * 2),
    "a malformed digest": (digest("malformed"), ["digest.malformed"]),
    "no digest": (digest("missing"), ["digest.missing"]),
    "a broken state": (state(problem="it is not JSON"), ["state.unreadable"]),
    "a state that may not be read": (
        {**state(is_readable=None, problem="AccessDenied"), "unknown": [{"what": "states", "why": "AccessDenied"}]},
        ["audit.unknown"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_this_is_found(case: str) -> None:
    more, expected = CASES[case]
    mode = more.get("lock_mode", US.lock_mode)
    found = audit(facts(**more), replace(US, lock_mode=mode))
    assert ids(found) == expected
    for each in found:
        assert each.why and each.detail and command_of(each.fix).problems == []


A = "a/terraform.tfstate"
VERSIONS = [
    {"version_id": "now", "is_latest": True, "size": 9},
    {"version_id": "gone", "is_latest": False, "size": None},
    {"version_id": "before", "is_latest": False, "size": 9},
]
BROKEN = state(problem="it is empty")
MENDED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "an old lock": ({"locks": [{**LOCK, "age_s": 14401}]}, "unlock", {"lock_id": LOCK["lock_id"]}),
    "a wedged item": ({"locks": [{**LOCK, "is_wedged": True, "fingerprint": "e3b0"}]}, "unlock", {}),
    "litter": ({"orphan_lock_files": [A]}, "unlock", {"older_than": "1h"}),
    "a digest that does not fit": (digest("mismatch"), "repair_digest", {}),
    "an orphan digest": ({**digest("orphan"), **state(path="b")}, "restore_backup", {"keys": [A]}),
    "an orphan digest in an empty bucket": (digest("orphan"), "restore_backup", {}),
    "a malformed digest": ({**digest("malformed"), **state()}, "repair_digest", {}),
    "a malformed digest of nothing": (digest("malformed"), "restore_backup", {"keys": [A]}),
    "a deleted state": (digest("deleted"), "restore_version", {}),
    "a deleted state without digest": (state(is_deleted=True), "restore_version", {}),
    "a broken state": (BROKEN, "info", {"keys": [A], "gather": ["states", "versions"]}),
    "a broken state with a whole one before": (
        state(problem="it is empty", versions=VERSIONS),
        "restore_version",
        {"version_id": "before"},
    ),
    "a broken state whose digest knows a whole one": (
        {**BROKEN, **digest("mismatch", matches_version="v")},
        "restore_version",
        {"version_id": "v"},
    ),
    "no lifecycle": (
        bucket(lifecycle={}),
        "bootstrap",
        {
            "terraform_backend_bucket_newer_noncurrent_versions": 20,
            "terraform_backend_bucket_allow": ["shorten_retention"],
        },
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_the_command_asks_for_what_mends_it(case: str) -> None:
    more, name, given = MENDED[case]
    commands = [command_of(each.fix) for each in audit(facts(**more), US)]
    assert commands
    for each in commands:
        assert (each.name, {**each.given, **given}) == (name, each.given)
        assert each.given.get("key", A) in (A, LOCK["path"])


def test_the_remedy_for_a_freeze_is_to_thaw_it_by_its_id() -> None:
    (found,) = audit(facts(locks=[FROZEN]), US)
    assert found.detail == "1 state is frozen by ana@laptop since 2026-11-30T10:00:00Z because 'OPS-42'."
    question, printed = found.fix.split(" If so: ")
    assert question.startswith("# Ask who froze them first")
    command = command_of(printed)
    assert (command.name, command.given) == ("thaw", {"lock_id": LOCK["lock_id"]})


HELD: dict[str, tuple[dict[str, Any], str, bool]] = {
    "an old lock": ({"age_s": 14401}, "lock.stale", True),
    "an old lock in an unusual form": ({"age_s": 14401, "is_canonical": False}, "lock.stale", True),
    "a young lock in an unusual form": ({"age_s": 60, "is_canonical": False}, "lock.not_canonical", False),
    "a note of somebody": ({"is_wedged": True, "fingerprint": "e3b0"}, "lock.wedged", False),
    "a lock of unknown age": ({"age_s": None}, "lock.unknown_age", False),
}


@pytest.mark.parametrize("case", HELD)
def test_only_a_lock_whose_age_and_holder_are_known_is_released_after_a_question(case: str) -> None:
    more, id, is_released = HELD[case]
    (found,) = audit(facts(locks=[{**LOCK, **more}]), US)
    given = command_of(found.fix).given or {}
    assert found.id == id and ("lock_id" in given or "older_than" in given) is is_released
    assert found.fix == LEAVE_IT or found.fix.endswith(ASK)
    if is_released:
        assert found.detail == "Held for 4 h 0 min by ana@laptop, OperationTypeApply."
    if id == "lock.not_canonical":
        assert (found.fix, found.detail) == (LEAVE_IT, "Held for 0 h 1 min by ana@laptop, OperationTypeApply.")


@pytest.mark.parametrize("store", ["file", "table"])
def test_the_missing_half_of_a_fence_is_taken_under_the_same_id(store: str) -> None:
    found = audit(facts(locks=[{**PROTECTION, "store": store}]), US)
    (half,) = [each for each in found if each.id == "lock.half_moved_state"]
    missing = "The item in the lock table" if store == "file" else "The lock file"
    assert half.detail.startswith(f"{missing} of the source protection") and half.severity == "high"
    command = command_of(half.fix)
    assert (command.name, command.given) == ("lock", {"key": LOCK["path"], "lock_id": LOCK["lock_id"]})


@pytest.mark.parametrize(("mode", "store"), [("dynamodb", "table"), ("lockfile", "file")])
def test_a_fence_is_whole_in_the_one_store_of_its_lock_mode(mode: str, store: str) -> None:
    locks = [{**PROTECTION, "store": store}]
    assert ids(audit(facts(locks=locks), Expectations("us-east-1", lock_mode=mode))) == ["lock.moved_state"]


def test_the_states_of_many_digests_are_named_and_counted() -> None:
    (found,) = audit(facts(**orphans(7)), US)
    assert found.detail == ("There are digests and no version of a state for a/0, a/1, a/2, a/3, a/4 and 2 more.")
    assert (found.severity, found.resource) == ("critical", "state-us")


GONE = {"bucket": {"name": "state-us", "exists": False}}
NO_TABLE = {"table": {"name": "locks-us", "exists": False}}
SAVED, IN_CODE = {"has_backup": True}, {"is_in_code": True}
BOOTSTRAP, REBUILD = ("bootstrap", {}), ("rebuild", {})
#: What there is, what else is known, and the playbook that is printed for what is missing, or the words.
LOST: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, dict[str, Any]] | str]] = {
    "nothing of it": ({**GONE, **NO_TABLE}, {}, BOOTSTRAP),
    "nothing of it, of a backend with lock files": ({**GONE, "table": None}, {}, BOOTSTRAP),
    "no bucket and an empty table": (GONE, {}, BOOTSTRAP),
    "no bucket, and digests": ({**GONE, **digest("unknown")}, {}, BY_HAND),
    "no bucket, digests and a backup": ({**GONE, **digest("unknown")}, SAVED, REBUILD),
    "no bucket, and a lock": ({**GONE, "locks": [LOCK]}, {}, BY_HAND),
    "no bucket, and a table that was not read": ({**GONE, "digests": None}, {}, DECIDE),
    "no bucket, and a backup that was not read": (GONE, {"has_backup": None}, DECIDE),
    "no bucket, and code": (GONE, IN_CODE, DECIDE),
    "no bucket, code and a backup": ({**GONE, **NO_TABLE}, {**IN_CODE, **SAVED}, REBUILD),
    "nothing but a backup": ({**GONE, **NO_TABLE}, SAVED, REBUILD),
    "nothing but code": ({**GONE, **NO_TABLE}, IN_CODE, DECIDE),
    "no table, and no states": (NO_TABLE, {}, BOOTSTRAP),
    "no table, and states": ({**NO_TABLE, **state()}, {}, ("rebuild", {"backup": "none"})),
    "no table, and states that were not read": ({**NO_TABLE, "states": None}, {}, ("rebuild", {"backup": "none"})),
}


@pytest.mark.parametrize("case", LOST)
def test_no_empty_bucket_is_made_where_something_shows_that_there_were_states(case: str) -> None:
    about, known, expected = LOST[case]
    found = [each for each in audit(facts(**about), replace(US, **known)) if each.id in MISSING]
    assert {each.severity for each in found} == {"critical"}
    for each in found:
        asked = command_of(each.fix)
        assert (each.fix if isinstance(expected, str) else (asked.name, asked.given)) == expected
        assert "bootstrap" not in each.fix or expected in (BOOTSTRAP, DECIDE)
        assert each.runbook == runbook_url("lost-bucket" if each.id == "bucket.missing" else "lost-table")


def test_code_that_only_the_report_reads_shows_that_there_were_states() -> None:
    for more, fix in (({}, DECIDE), (SAVED, "ansible-playbook cornerstone.tfstate.rebuild -i x -l us-east-1")):
        wanted = replace(US, inventory=("x",), **more)
        (found,) = audit(facts(**GONE), wanted)
        seen = summary(facts(**GONE), wanted)
        assert fix_with_code(found.to_result(), seen, ["x"]).partition("  #")[0] == fix
        assert fix_with_code({**found.to_result(), "id": "bucket.tags"}, seen, ["x"]) == found.fix


def test_every_runbook_that_a_finding_names_is_there() -> None:
    runbooks = {kind.runbook for kind in KINDS.values() if kind.runbook}
    pages = {path.stem for path in (Path(__file__).parents[5] / "docs" / "runbooks").glob("*.md")}
    assert runbooks <= pages


@pytest.mark.parametrize("case", CASES)
def test_no_command_gives_up_what_keeps_clients_from_creating_everything_again(case: str) -> None:
    for each in audit(facts(**CASES[case][0]), US):
        assert "forget_state" not in f"{each.fix}{each.detail}{each.why}"


def test_a_rule_goes_without_what_expires_and_with_all_else() -> None:
    (found,) = audit(facts(**expiring({"Days": 30})), US)
    words = command_of(found.fix).words
    (kept,) = json.loads(words[-1])["Rules"]
    assert (words[:3], kept["ID"]) == (("aws", "s3api", "put-bucket-lifecycle-configuration"), "kept")
    alone = {"old": {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}}
    (found,) = audit(facts(**bucket(lifecycle=alone)), US)
    assert found.fix == f"{PROOF}aws s3api delete-bucket-lifecycle --region us-east-1 --bucket state-us"


def test_a_playbook_runs_over_the_host_and_the_inventory_of_the_audit() -> None:
    """Host variables have the role, the profile, the endpoint and the account that the audit was made with."""
    wanted = replace(US, name="prod", inventory=("inventories/my own", "extra,"))
    for case, (more, name, _given) in MENDED.items():
        for each in audit(facts(**more), wanted):
            command = command_of(each.fix)
            assert (command.name, command.inventory, command.host) == (name, wanted.inventory, "prod"), case
    (found,) = audit(facts(bucket=resource(BUCKET, "state-us", "us-east-1", region="us-east-2")), wanted)
    assert found.fix == (
        "ansible-inventory -i 'inventories/my own' -i extra, --host prod  # correct the region to us-east-2"
    )


@pytest.mark.parametrize("source", ["a{{ x }}/hosts", "it's/hosts", "a$b"])
def test_an_inventory_whose_path_could_run_gets_no_command(source: str) -> None:
    (found,) = audit(facts(**digest("mismatch")), replace(US, inventory=(source,)))
    assert found.fix == NO_COMMAND


def test_no_playbook_is_printed_for_a_backend_that_is_no_host() -> None:
    wanted = replace(US, inventory=None)
    for more, _name, _given in MENDED.values():
        assert {each.fix for each in audit(facts(**more), wanted)} == {NO_HOST}
    (found,) = audit(facts(bucket=resource(BUCKET, "state-us", "us-east-1", region="us-east-2")), wanted)
    assert found.fix == NO_HOST


ROLE = "arn:aws:iam::111122223333:role/ops"
DELETION = "aws s3api delete-bucket-lifecycle --region us-east-1"
WHO = "aws sts get-caller-identity --region us-east-1"
SHOWN = "--query Account --output text | grep -x 111122223333"
REACHED: dict[str, tuple[dict[str, Any], str]] = {
    "a profile": (
        {"profile": "prod"},
        f"{WHO} --profile prod {SHOWN} && {DELETION} --profile prod --bucket state-us",
    ),
    "an endpoint": (
        {"endpoint_url": "http://localhost:4566"},
        f"{WHO} --endpoint-url http://localhost:4566 {SHOWN} && {DELETION} "
        "--endpoint-url http://localhost:4566 --bucket state-us",
    ),
    "a role": (
        {"assume_role_arn": ROLE},
        f"{WHO} {SHOWN} && {DELETION} --bucket state-us  # Before, assume the role {ROLE}.",
    ),
    "an access key": (
        {"access_key": "AKIA"},
        f"{WHO} {SHOWN} && {DELETION} --bucket state-us  # Before, export the access key of the inventory.",
    ),
    "a profile that could run": ({"profile": "{{ x }}"}, NO_COMMAND),
}


@pytest.mark.parametrize("case", REACHED)
def test_a_command_of_the_aws_cli_reaches_the_account_that_was_audited_or_stops(case: str) -> None:
    connection, expected = REACHED[case]
    alone = {"old": {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}}
    (found,) = audit(facts(**bucket(lifecycle=alone)), replace(US, connection=connection))
    assert found.fix == expected


def test_an_account_that_nobody_knows_gets_no_command_but_a_store_of_its_own_does() -> None:
    alone = {"old": {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}}
    about = {**facts(**bucket(lifecycle=alone)), "account_id": None}
    (found,) = audit(about, US)
    assert found.fix == NO_ACCOUNT
    (found,) = audit(about, replace(US, connection={"endpoint_url": "http://minio:9000"}))
    assert found.fix == f"{DELETION} --endpoint-url http://minio:9000 --bucket state-us"
    (found,) = audit(about, replace(US, account_id="444455556666"))
    assert "| grep -x 444455556666 && aws" in found.fix


def test_a_path_is_no_pattern() -> None:
    (found,) = audit(facts(states=[{"path": "a[1]*", "is_readable": False, "problem": "it is empty"}]), US)
    assert command_of(found.fix).given["keys"] == ["a[[]1][*]"]


def test_a_missing_table_is_critical_and_mended_by_one_command() -> None:
    (found,) = audit(facts(table={"name": "terraform-locks-us-east-1", "exists": False}), US)
    assert found.to_result() == {
        "id": "table.missing",
        "severity": "critical",
        "title": "No state locking: the lock table does not exist",
        "detail": "There is no table terraform-locks-us-east-1 in us-east-1.",
        "resource": "terraform-locks-us-east-1",
        "why": KINDS["table.missing"].why,
        "fix": "ansible-playbook cornerstone.tfstate.bootstrap -l us-east-1",
        "controls": [],
        "runbook": runbook_url("lost-table"),
        "waived": None,
    }


ASKED: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "KMS": ({"encryption": "aws:kms"}, {}, ["bucket.encryption"]),
    "KMS, and it is": ({"encryption": "aws:kms"}, {"encryption": KMS}, []),
    "that key by its id": ({"kms_key_id": KEY_ARN.rpartition("/")[2]}, {"encryption": KMS}, []),
    "a key by an alias that nobody looked up": (
        {"kms_key_id": "alias/state"},
        {"encryption": KMS},
        ["audit.unknown"],
    ),
    "a key by its alias": ({"kms_key_id": "alias/a"}, {"encryption": KMS, "keys": {"alias/a": KEY_ARN}}, []),
    "another key by its alias": (
        {"kms_key_id": "alias/a"},
        {"encryption": KMS, "keys": {"alias/a": f"{KEY_ARN}0"}},
        ["bucket.encryption"],
    ),
    "a key by an alias, and there is none": ({"kms_key_id": "alias/state"}, {}, ["bucket.encryption"]),
    "another key": ({"kms_key_id": f"{KEY_ARN}0"}, {"encryption": KMS}, ["bucket.encryption"]),
    "no versioning": ({"versioning": False}, {"versioning": "Suspended"}, []),
    "logging": ({"logging_target_bucket": "logs"}, {}, ["bucket.logging"]),
    "object lock": ({"object_lock": True}, {}, ["bucket.object_lock"]),
    "tags": ({"tags": {"team": "net"}}, {}, ["bucket.tags"]),
    "somebody else's": ({"unmanaged": ["versioning"]}, {"versioning": "Suspended"}, []),
    "no lifecycle at all": (dict.fromkeys(lifecycle.OPTIONS, 0), {"lifecycle": {}}, []),
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
    lock = {**LOCK, "age_s": 90_000, "fingerprint": {"Info": "secret"}}
    (found,) = audit(facts(locks=[lock]), US)
    assert found.detail == "Held for 1 d 1 h by ana@laptop, OperationTypeApply."
    assert "secret" not in str(found.to_result()) and str(LOCK["lock_id"]) in found.fix


LONG = "x" * 60_000


@pytest.mark.parametrize(
    "long",
    [
        {"locks": [{**LOCK, "age_s": 90_000, "who": LONG, "operation": LONG, "lock_id": LONG}]},
        {"locks": [{**PROTECTION, "lock_id": LONG, "info": LONG}]},
        allowing({"AWS": ["*"]}, Sid=LONG),
        allowing({"AWS": ["*"]}, Sid="", Action=[LONG, "s3:GetObject"]),
    ],
    ids=["a lock", "a source protection", "a statement", "a statement without a Sid"],
)
def test_what_somebody_wrote_at_length_is_shortened(long: dict[str, Any]) -> None:
    found = audit(facts(**long), US)
    assert found
    assert all(len(f"{each.detail}{each.fix}") < 2_000 for each in found)


def test_a_hostile_path_stays_one_argument() -> None:
    lock = {**LOCK, "age_s": 90_000, "path": "a'; rm -rf ~ #\n$(reboot)"}
    (found,) = audit(facts(locks=[lock]), US)
    words = shlex.split(found.fix, comments=True)
    assert words[:5] == ["ansible-playbook", "cornerstone.tfstate.unlock", "-l", "us-east-1", "-e"] and len(words) == 6


@pytest.mark.parametrize(("age_s", "told"), [(59, "0 h 0 min"), (14_460, "4 h 1 min"), (200_000, "2 d 7 h")])
def test_ages_are_told_in_words(age_s: float, told: str) -> None:
    assert duration(age_s) == told


SUSPENDED = facts(**bucket(versioning="Suspended"))


def waiver(**more: str) -> dict[str, str]:
    return {"id": "bucket.versioning", "reason": "being emptied", "until": "2026-11-21", **more}


def tuned(name: str = "us-east-1", waivers: Any = (), **more: Any) -> list[dict[str, Any]]:
    tuning = Tuning(TODAY, waivers=waivers_of(waivers), **more)
    return [each.to_result() for each in evaluate(audit(SUSPENDED, US), name, tuning)]


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
    waivers = waivers_of([waiver(id="bucket.versionig"), waiver(id="bucket.*")])
    assert list(Tuning(date(2026, 1, 1), {"bucket.versoning": "worst"}, ["nosuch"], waivers).problems()) == [
        "there is no finding 'bucket.versoning'",
        "there is no finding 'nosuch'",
        "there is no finding 'bucket.versionig'",
        "severity of bucket.versoning is 'worst'; choose one of critical, high, medium, low, info",
    ]


@pytest.mark.parametrize(
    ("severity", "limit", "is_reached"),
    [("critical", "critical", True), ("high", "critical", False), ("high", "low", True), ("critical", "never", False)],
)
def test_a_limit_is_reached_by_what_is_as_bad(severity: str, limit: str, is_reached: bool) -> None:
    assert reaches(severity, limit) is is_reached
    assert not reaches(None, limit)


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (
            "denied",
            "aws sts get-caller-identity --region us-east-1  # then give this identity what docs/permissions.md says",
        ),
        ("archived", "restore what is in GLACIER or DEEP_ARCHIVE with aws s3api restore-object"),
        ("customer_key", "it is encrypted with a key that only its writer has"),
        ("kms_key", "enable the KMS key that the detail names"),
        ("unsupported", "the store does not support it, so no permission helps"),
        ("busy", "later, or with fewer forks"),
        ("other", "after you have fixed what the detail names"),
    ],
)
def test_what_is_unknown_is_mended_by_its_cause(cause: str, advice: str) -> None:
    (found,) = audit(facts(**unread(cause)), US)
    assert advice in found.fix
    assert ("permissions.md" in found.fix) == (cause == "denied")
    assert command_of(found.fix).problems == []


@pytest.mark.parametrize(
    ("digest_row", "detail"),
    [
        (digest("missing", digest=None), "The table says none; the state was not compared."),
        (digest("malformed", digest="x"), "The table says x; the state was not compared."),
        (digest("mismatch", digest="x", actual="y"), "The table says x, the state has y."),
    ],
)
def test_a_state_that_was_not_read_is_not_said_to_have_no_digest(digest_row: dict[str, Any], detail: str) -> None:
    (found,) = audit(facts(**{**digest_row, **state()}), US)
    assert found.detail == detail


def test_a_rule_that_archives_states_loses_its_transitions() -> None:
    (found,) = audit(facts(**archiving("GLACIER")), US)
    assert "GLACIER" in found.detail and "30 days after" in found.detail
    assert command_of(found.fix).words[2] == "delete-bucket-lifecycle", "nothing else was in it"


def archived(storage_class: str | None, **more: Any) -> dict[str, Any]:
    about = {"path": "a/one.tfstate", "is_archived": True, "storage_class": storage_class, "is_readable": None}
    return {**state(**{**about, "problem": "InvalidObjectState", **more}), **unread("archived")}


COPY = "aws s3api copy-object --region us-east-1 --bucket state-us --key a/one.tfstate --copy-source "
COPY += "state-us/a/one.tfstate --storage-class STANDARD"
RESTORE = "aws s3api restore-object --region us-east-1 --bucket state-us --key a/one.tfstate --restore-request "
IN_ARCHIVES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "GLACIER": (archived("GLACIER"), "cannot be read", f"{RESTORE}Days=7  # then, in 5 hours", COPY),
    "DEEP_ARCHIVE": (archived("DEEP_ARCHIVE"), "cannot be read", f"{RESTORE}Days=7  # then, in 12 hours", COPY),
    "an archive tier": (archived("INTELLIGENT_TIERING"), "cannot be read", f"{RESTORE}'{{}}'  # ", "in 12 hours"),
    "a restored copy": (archived("GLACIER", is_readable=True), "a restored copy, which expires", COPY, "after the"),
    "a store without classes": (archived(None), "It is in an archive", "aws s3api list-objects-v2", "GLACIER"),
    "a name that is no word": (
        archived("GLACIER", path="a/{{ x }}.tfstate"),
        "cannot be read",
        "aws s3api list-objects-v2",
        "GLACIER",
    ),
}


@pytest.mark.parametrize(("about", "detail", "fix", "note"), IN_ARCHIVES.values(), ids=list(IN_ARCHIVES))
def test_an_archived_state_is_restored_and_copied_in_place(
    about: dict[str, Any], detail: str, fix: str, note: str
) -> None:
    (found,) = audit(facts(**about), US)
    assert (found.id, found.severity) == ("state.archived", "high")
    assert detail in found.detail and "rule" not in found.detail
    assert found.fix.startswith(f"{PROOF}{fix}") and note in found.fix
    assert "permissions.md" not in found.fix and command_of(found.fix).problems == []


@pytest.mark.parametrize(("prefix", "is_named"), [("a/", True), ("b/", False)])
def test_the_rule_that_archived_a_state_is_named(prefix: str, is_named: bool) -> None:
    found = audit(facts(**archived("GLACIER"), **archiving("GLACIER", Prefix=prefix)), US)
    assert [each.id for each in found] == [*["bucket.archiving"] * is_named, "state.archived"]
    assert ("The lifecycle rule old moves states there." in found[-1].detail) is is_named


def test_what_else_could_not_be_read_is_told_beside_an_archived_state() -> None:
    about = archived("GLACIER")
    about["unknown"] = [*about["unknown"], {"what": "states", "why": "denied", "cause": "denied"}]
    assert [each.id for each in audit(facts(**about), US)] == ["state.archived", "audit.unknown"]


@pytest.mark.parametrize(
    ("seen", "options", "since"),
    [
        ("BucketOwnerEnforced", {}, "now"),
        ("BucketOwnerEnforced", {"object_ownership": "ObjectWriter"}, "now"),
        ("ObjectWriter", {}, "after the next bootstrap"),
        ("ObjectWriter", {"object_ownership": "ObjectWriter"}, None),
        ("ObjectWriter", {"unmanaged": ["ownership"]}, None),
        (None, {}, None),
    ],
)
def test_since_when_acls_are_off_is_what_code_is_compared_with(
    seen: str | None, options: dict[str, Any], since: str | None
) -> None:
    found = summary(facts(**bucket(ownership=seen)), Expectations("us", options))
    assert found["bucket"]["owner_enforced"] == since

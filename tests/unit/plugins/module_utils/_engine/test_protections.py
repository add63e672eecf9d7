# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No protection goes without its word: each row of docs/protections.md against the guard, and none is missing."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW, Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from scripts.protections import (
    AUDITOR,
    BARRED,
    FOREIGN_TLS,
    OPTION,
    PAGE,
    PROTECTIONS,
    STATE,
    STATEMENT,
    UNMANAGED,
    UNPROTECTED,
    Protection,
    Way,
)
from tests.unit.plugins.module_utils.fake_aws import FLAGS, KEY, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME, OUR_RULE, STATE_OBJECTS

#: Asked of a bucket before somebody lowers it: whatever the baseline does not have.
RAISED = {
    "minimum_tls_version": "1.3",
    "kms_key_id": "alias/state",
    "require_kms_key": True,
    "allowed_organization_ids": ["o-ownown1234"],
    "allowed_vpc_endpoint_ids": ["vpce-0a1b2c3d"],
}
LOCKED = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
}
LOCK_FILE = {"Key": "prod.tfstate.tflock", "VersionId": "9", "IsLatest": True}
ITEMS = [{"LockID": {"S": "b/k-md5"}, "Digest": {"S": "d41d"}}, {"LockID": {"S": "b/k"}}]

#: A resource that is there, and has no protection at all, is `lacking`.
PLACES = ("new", "existing", "lacking")
CASES = [
    (each, way, place)
    for each in PROTECTIONS
    for way in each.ways
    for place in PLACES
    if place != "lacking" or way.name != STATE
]
IDS = [f"{place} {each.kind}: {each.what}: {way}"[:100] for each, way, place in CASES]
cases = pytest.mark.parametrize(("protection", "way", "place"), CASES, ids=IDS)


def raised(protection: Protection, way: Way) -> Bucket | Table:
    """A resource that has this protection, and all others that go together with it."""
    if protection.kind == "table":
        gone = protection.facet == "contents"
        return Table(
            protected=not gone,
            recovery_days=35,
            sse=KEY,
            items=copy.deepcopy(ITEMS) if gone else [],
        )
    start = Bucket(
        versioning="Enabled",
        objects=[*STATE_OBJECTS, *([LOCK_FILE] if protection.facet == "lock_files" else [])],
        lifecycle=[OUR_RULE],
        public_access=dict.fromkeys(FLAGS, True),
        ownership="BucketOwnerEnforced",
        object_lock=LOCKED if protection.facet == "object_lock" else None,
        logging={"TargetBucket": "old-logs", "TargetPrefix": ""} if protection.facet == "logging" else {},
    )
    aws = KINDS["bucket"].world(start)
    KINDS["bucket"].run(aws, RAISED)
    bucket = aws.buckets[NAME]
    assert bucket.policy
    replaced = {each["Sid"] for each in way.asks.get("policy_statements", [])}
    theirs = [AUDITOR, BARRED, *([FOREIGN_TLS] if FOREIGN_TLS["Sid"] in replaced else [])]
    kept = [
        each
        for each in bucket.policy["Statement"]
        if FOREIGN_TLS["Sid"] not in replaced or "RequireTls" not in each["Sid"]
    ]
    bucket.policy = {**bucket.policy, "Statement": [*kept, *copy.deepcopy(theirs)]}
    return bucket


def run(protection: Protection, way: Way, place: str, *allowed: str, check_mode: bool = True) -> Any:
    kind = KINDS[protection.kind]
    bare = {"bucket": Bucket(objects=copy.deepcopy(STATE_OBJECTS), ownership="ObjectWriter"), "table": Table()}
    found = {"new": None, "lacking": bare[protection.kind]}
    aws = kind.world(found[place] if place in found else raised(protection, way))
    params = {**way.asks, "allow": [*allowed], **({"confirm_name": NAME} if way.name == STATE else {})}
    return kind.run(aws, params, check_mode)


def words(way: Way, place: str) -> tuple[str, ...]:
    """Where a protection is lacking, an option that asks for no more is that of a new resource."""
    if place == "lacking":
        return () if way.name == UNMANAGED or way.note.startswith("none if the bucket has no rule") else way.new
    return way.new if place == "new" else way.existing


@cases
def test_its_words_permit_it_and_one_less_does_not(protection: Protection, way: Way, place: str) -> None:
    needed = words(way, place)
    run(protection, way, place, *needed)
    for word in needed:
        with pytest.raises(Refused, match=rf"allow: \[{word}\]"):
            run(protection, way, place, *(each for each in needed if each != word))


@cases
def test_all_other_words_together_do_not_permit_it(protection: Protection, way: Way, place: str) -> None:
    needed = words(way, place)
    for word in needed:
        others = [each for each in ALLOW[protection.kind] if each != word]
        with pytest.raises(Refused, match=rf"allow: \[{word}\]"):
            run(protection, way, place, *others)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_a_protection_or_says_why_not(kind: str) -> None:
    resource = KINDS[kind].resource
    known = {each.name for each in (*resource.facets, *resource.teardown)}
    protected = {each.facet for each in PROTECTIONS if each.kind == kind}
    unprotected = {facet for of_kind, facet in UNPROTECTED if of_kind == kind}
    assert protected | unprotected == known
    assert not protected & unprotected


@pytest.mark.parametrize("kind", KINDS)
def test_every_protection_by_a_setting_tells_every_way(kind: str) -> None:
    settings = {each.name: {*each.options} for each in KINDS[kind].resource.facets}
    for facet in {each.facet for each in PROTECTIONS if each.kind == kind} & settings.keys():
        ways = {way.name for each in PROTECTIONS if (each.kind, each.facet) == (kind, facet) for way in each.ways}
        assert ways - {STATE} == {OPTION, UNMANAGED} | ({STATEMENT} if facet == "policy" else set())


def test_what_aws_does_not_give_is_what_unmanaged_needs_a_word_for() -> None:
    told = {(each.kind, each.facet, *way.new) for each in PROTECTIONS for way in each.ways if way.name == UNMANAGED}
    assert {each for each in told if each[2:]} == {
        (resource.kind, facet.name, facet.creation_protection.word)
        for resource in (BUCKET, TABLE)
        for facet in resource.facets
        if facet.creation_protection
    }


def test_every_word_but_that_for_a_foreign_manager_is_one_for_a_protection() -> None:
    for kind, known in ALLOW.items():
        ways = [way for each in PROTECTIONS if each.kind == kind for way in each.ways]
        assert {word for way in ways for word in (*way.new, *way.existing)} == {*known} - {
            "shared_management",
            "take_over_resource",
        }


def test_a_refusal_for_a_new_resource_says_what_it_would_lack() -> None:
    with pytest.raises(Refused) as refusal:
        KINDS["table"].run(KINDS["table"].world(None), {"unmanaged": ["recovery"], "deletion_protection": False})
    assert "the new table would be made without deletion protection; " in str(refusal.value)
    assert "(recovery is unmanaged, and AWS does not give it)" in str(refusal.value)


def test_the_page_is_what_the_table_says() -> None:
    script = [sys.executable, "scripts/protections.py", "--check"]
    done = subprocess.run(script, cwd=PAGE.parent.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long states, their old versions and lock files stay: rules that reach them today, and those that will."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, lifecycle
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.support.commands import command_of
from tests.unit.plugins.module_utils.audited import facts, resource

US = Expectations("us-east-1")
OURS = resource(BUCKET, "state-us", "us-east-1")["lifecycle"][lifecycle.RULE_ID]
TAGS = [{"Key": "team", "Value": "net"}]
STATE = {"path": "prod/app.tfstate", "key": "prod/app.tfstate", "is_deleted": False, "is_readable": True, "size": 9000}
GONE = {**STATE, "path": "old/app.tfstate", "is_deleted": True, "resources": 0}
MIB = 1024 * 1024


def rules(**more: Any) -> dict[str, Any]:
    """A backend with our rule and others, and a state."""
    known = {
        lifecycle.RULE_ID: OURS,
        **{name: {"Status": "Enabled", "Filter": {}, **rule} for name, rule in more.items()},
    }
    return facts(bucket=resource(BUCKET, "state-us", "us-east-1", lifecycle=known), states=[STATE])


def keeping(days: int, newer: int = 0) -> dict[str, Any]:
    kept = {"NewerNoncurrentVersions": newer} if newer else {}
    return {"NoncurrentVersionExpiration": {"NoncurrentDays": days, **kept}}


def found(about: dict[str, Any], wanted: Expectations = US) -> list[tuple[str, str]]:
    return [(each.id, each.severity) for each in audit(about, wanted) if each.id != "state.deleted"]


GONE_IN_A_DAY = {"Expiration": {"Days": 1}}
ARCHIVED = {"Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]}
#: A filter, and how bad it is that its rule expires or archives.
FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "everything": ({}, "critical"),
    "the folder of a state": ({"Prefix": "prod/"}, "critical"),
    "a folder of no state": ({"Prefix": "logs/"}, None),
    "the folder of a deleted state": ({"Prefix": "old/"}, "high"),
    "the folder of a digest": ({"Prefix": "digest/"}, "high"),
    "the folder of a lock": ({"Prefix": "lock/"}, "high"),
    "the workspaces": ({"Prefix": "env:/"}, "high"),
    "a workspace": ({"Prefix": "env:/dev/"}, "high"),
    "a tag": ({"Tags": TAGS}, "medium"),
    "a tag in a folder of no state": ({"Tags": TAGS, "Prefix": "logs/"}, None),
    "the size of a state": ({"ObjectSizeGreaterThan": 8000}, "critical"),
    "a size that states reach": ({"ObjectSizeGreaterThan": MIB}, "high"),
    "a size that no state reaches": ({"ObjectSizeGreaterThan": 200 * MIB}, None),
    "a size in a folder of no state": ({"ObjectSizeGreaterThan": MIB, "Prefix": "logs/"}, None),
}


@pytest.mark.parametrize("case", FILTERS)
@pytest.mark.parametrize(("kind", "what"), [("bucket.expiration", GONE_IN_A_DAY), ("bucket.archiving", ARCHIVED)])
def test_a_rule_is_as_bad_as_what_it_reaches(case: str, kind: str, what: dict[str, Any]) -> None:
    where, severity = FILTERS[case]
    about = rules(x={**what, "Filter": where})
    about["states"] += [GONE]
    about["digests"] = [{"path": "digest/a", "status": "match", "digest": "0" * 32}]
    about["locks"] = [{"path": "lock/a", "store": "table", "age_s": 1, "is_wedged": False, "is_canonical": True}]
    assert found(about) == ([(kind, severity)] if severity else [])
    assert found(rules(x={**what, "Filter": where, "Status": "Disabled"})) == []


def test_workspaces_are_where_the_backend_has_them() -> None:
    about = rules(x={**GONE_IN_A_DAY, "Filter": {"Prefix": "spaces/"}})
    assert found(about) == []
    assert found(about, replace(US, workspace_key_prefix="spaces")) == [("bucket.expiration", "high")]
    assert found(about, replace(US, workspace_key_prefix="")) == []


#: Days, how many of the newest stay, and how bad that is.
HISTORIES = [(1, 0, "high"), (7, 2, "high"), (8, 0, "medium"), (1, 3, "medium"), (29, 9, "medium")]


@pytest.mark.parametrize(("days", "newer", "severity"), [*HISTORIES, (30, 0, None), (1, 10, None), (90, 20, None)])
@pytest.mark.parametrize("name", [lifecycle.RULE_ID, "theirs"])
def test_old_versions_have_to_stay_for_a_while(name: str, days: int, newer: int, severity: str | None) -> None:
    about = rules(**{name: keeping(days, newer)})
    assert found(about) == ([("bucket.history", severity)] if severity else [])
    if severity:
        (one,) = audit(about, US)
        command = command_of(one.fix)
        if name == "theirs":
            assert [each["ID"] for each in json.loads(command.words[-1])["Rules"]] == [lifecycle.RULE_ID]
        else:
            assert command.name == "bootstrap" and "shorten_retention" not in one.fix
            assert command.given["terraform_backend_bucket_noncurrent_version_expiration_days"] == 90


def test_what_the_inventory_asks_for_is_right() -> None:
    about = rules(**{lifecycle.RULE_ID: keeping(1)})
    asked = dict(zip(lifecycle.OPTIONS, (1, 0, 0, False, {}), strict=True))
    assert found(about, replace(US, bucket=asked)) == []
    assert found(about, replace(US, bucket={"unmanaged": ["lifecycle"]})) == []
    found_both = [("bucket.lifecycle", "low"), ("bucket.history", "high")]
    assert found(rules(theirs=keeping(1)), replace(US, bucket=asked)) == found_both
    assert found(rules(logs={**keeping(1), "Filter": {"Prefix": "logs/"}})) == []


def test_our_rule_disabled_is_found_and_written_anew() -> None:
    about = rules(**{lifecycle.RULE_ID: {**OURS, "Status": "Disabled"}})
    (one,) = audit(about, US)
    assert (one.id, one.severity) == ("bucket.lifecycle", "low")
    assert one.detail == "The rule cornerstone.tfstate is disabled."
    assert command_of(one.fix).given["terraform_backend_bucket_allow"] == ["shorten_retention"]


def test_one_command_takes_out_all_that_is_wrong_and_nothing_else() -> None:
    kept = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}
    about = rules(a=GONE_IN_A_DAY | ARCHIVED, b={**keeping(1), **kept})
    several = audit(about, US)
    assert [each.id for each in several] == ["bucket.expiration", "bucket.archiving", "bucket.history"]
    (fix,) = {each.fix for each in several}
    left = {each["ID"]: {*each} for each in json.loads(command_of(fix).words[-1])["Rules"]}
    assert left == {"b": {"ID", "Status", "Filter", "AbortIncompleteMultipartUpload"}, lifecycle.RULE_ID: {*OURS, "ID"}}


@pytest.mark.parametrize(
    ("days", "asked", "is_found"),
    [
        *((days, {}, days in (1, 6)) for days in (1, 6, 7, 35, None)),
        *((1, asked, False) for asked in ({"recovery_period_days": 1}, {"unmanaged": ["recovery"]})),
    ],
)
def test_a_table_can_be_restored_for_a_week(days: int | None, asked: dict[str, Any], is_found: bool) -> None:
    recovery = {"enabled": True, "period_days": days}
    about = facts(table=resource(TABLE, "locks-us", "us-east-1", recovery=recovery))
    expected = [("table.recovery_period", "low")] if is_found else []
    assert [each for each in found(about, replace(US, table=asked)) if each[0] != "table.recovery"] == expected
    if is_found:
        (one,) = audit(about, US)
        assert command_of(one.fix).given == {"terraform_backend_table_recovery_period_days": 35}

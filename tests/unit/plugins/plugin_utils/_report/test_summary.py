# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table at the end of a run, as people see it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.summary import (
    Line,
    line_of,
    summary_text,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.table import MAX_ROWS

#: What a bucket that was there before holds is not known; a new one holds nothing.
CALM = Line("eu-west-1", "state-eu", "locks-eu", "both", "-", "ok", "unknown")
CREATED = replace(CALM, cost="0.00")
NEW = Line("us-east-1", "state-us", "locks-us", "both", "all created", "ok", "1.00")
FILES_ONLY = Line("af-south-1", "state-af", "-", "lockfile", "files", "ok", "0.57+?")
BROKEN = Line("sa-east-1", "state-sa", "locks-sa", "both", "-", "create_bucket on state-sa: AccessDenied")


def fleet(count: int, **otherwise: Any) -> list[Line]:
    return [replace(CALM, backend=f"region-{number:02}", **otherwise) for number in range(count)]


def test_every_backend_has_a_line_and_a_failure_its_reason_below() -> None:
    assert summary_text([CALM, NEW, FILES_ONLY, BROKEN]) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED      STATUS\n"
        "eu-west-1   state-eu      locks-eu    both       -            ok\n"
        "us-east-1   state-us      locks-us    both       all created  ok\n"
        "af-south-1  state-af      -           lockfile   files        ok\n"
        "sa-east-1   state-sa      locks-sa    both       -            FAILED\n"
        "\n"
        "4 backends: 3 ok, 1 failed, 2 changed\n"
        "FAILED sa-east-1: create_bucket on state-sa: AccessDenied"
    )


def test_check_mode_says_what_would_change() -> None:
    assert summary_text([FILES_ONLY, CALM, BROKEN], check_mode=True) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS\n"
        "af-south-1  state-af      -           lockfile   files    would change\n"
        "eu-west-1   state-eu      locks-eu    both       -        ok\n"
        "sa-east-1   state-sa      locks-sa    both       -        FAILED\n"
        "\n"
        "3 backends: 2 ok, 1 failed, 1 would change\n"
        "FAILED sa-east-1: create_bucket on state-sa: AccessDenied"
    )


def test_only_statuses_have_a_colour() -> None:
    lines = summary_text([CALM, FILES_ONLY, BROKEN], True, lambda text, status: f"<{status}>{text}</>").splitlines()
    assert lines == [
        *("", "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS"),
        "eu-west-1   state-eu      locks-eu    both       -        <ok>ok</>",
        "af-south-1  state-af      -           lockfile   files    <changed>would change</>",
        "sa-east-1   state-sa      locks-sa    both       -        <failed>FAILED</>",
        *("", "3 backends: 2 ok, 1 failed, 1 would change"),
        "<failed>FAILED</> sa-east-1: create_bucket on state-sa: AccessDenied",
    ]


def test_a_large_fleet_shows_only_who_changed_or_failed() -> None:
    assert summary_text([*fleet(43), FILES_ONLY, BROKEN]) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS\n"
        "af-south-1  state-af      -           lockfile   files    ok\n"
        "sa-east-1   state-sa      locks-sa    both       -        FAILED\n"
        "\n"
        "45 backends: 44 ok, 1 failed, 1 changed\n"
        "FAILED sa-east-1: create_bucket on state-sa: AccessDenied"
    )


def test_a_large_fleet_at_rest_is_one_sentence() -> None:
    assert summary_text(fleet(45)) == "\n\n45 backends: 45 ok, 0 failed, 0 changed"


def test_forty_backends_are_still_shown_one_by_one() -> None:
    assert len(summary_text(fleet(MAX_ROWS)).splitlines()) == MAX_ROWS + len(["", "BACKEND", "", "40 backends"])


def test_more_exceptions_than_a_table_holds_are_counted() -> None:
    lines = summary_text(fleet(45, changed="files")).splitlines()
    assert lines[-4:] == [
        "region-39  state-eu      locks-eu    both       files    ok",
        "... and 5 more that changed or failed",
        "",
        "45 backends: 45 ok, 0 failed, 45 changed",
    ]


def test_no_failure_is_hidden_by_changes() -> None:
    assert "FAILED sa-east-1: " in summary_text([*fleet(45, changed="files"), BROKEN])


NAMES = ("state-eu", "locks-eu")
FINISHED = {"backend": {"lock_mode": "both"}}
BUCKET = {
    "bucket": {
        "name": "state-eu",
        "region": "eu-west-1",
        "encryption": {"algorithm": "AES256", "kms_key_id": None, "bucket_key_enabled": False},
    }
}
BILLING = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
LOCKS = {
    **{"name": "locks-eu", "billing": BILLING, "encryption": {"kms_key_id": None}},
    **{"recovery": {"enabled": True, "period_days": 35}, "table_class": "STANDARD"},
}
TABLE = {"table": LOCKS}
PROVISIONED = {"table": {**LOCKS, "billing": {"billing_mode": "PROVISIONED", "read_capacity": 1, "write_capacity": 1}}}


def of(result: dict[str, Any], **otherwise: Any) -> Line:
    given: dict[str, Any] = {"names": NAMES, "lock_mode": "both", "failure": None, **otherwise}
    return line_of("eu-west-1", result=result, **given)


def results(bucket: dict[str, Any], table_: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return {"bucket": bucket, "table": table_, "config": config}


def changes(*facets: str) -> dict[str, Any]:
    return {"changes": [{"facet": facet} for facet in facets]}


CASES: dict[str, tuple[Line, Line]] = {
    "nothing to do": (of(results(BUCKET, TABLE, FINISHED)), CALM),
    "a new bucket is not told by its settings": (
        of(results(BUCKET | changes("existence", "versioning"), TABLE, FINISHED)),
        replace(CREATED, changed="bucket created"),
    ),
    "settings are named": (
        of(results(BUCKET | changes("versioning", "policy"), TABLE | changes("tags"), FINISHED | {"changes": [{}]})),
        replace(CALM, changed="bucket: versioning, policy; table: tags; files"),
    ),
    "where everything is new, one word is enough": (
        of(results(BUCKET | changes("existence"), TABLE | changes("existence"), FINISHED | {"changes": [{}]})),
        replace(CREATED, changed="all created"),
    ),
    "a new bucket beside a table that was there": (
        of(results(BUCKET | changes("existence"), TABLE, FINISHED | {"changes": [{}]})),
        replace(CREATED, changed="bucket created; files"),
    ),
    "where no table is wanted, a bucket and files are everything": (
        of({"bucket": BUCKET | changes("existence"), "config": FINISHED | {"changes": [{}]}}, lock_mode="lockfile"),
        replace(CREATED, changed="all created", table="-", lock_mode="lockfile"),
    ),
    "capacity costs at rest, too": (
        of(results(BUCKET, PROVISIONED, FINISHED)),
        replace(CALM, cost="at least 0.64"),
    ),
    "a setting that is somebody else's costs what nobody knows": (
        of(results(BUCKET, {"table": {"name": "locks-eu"}}, FINISHED)),
        CALM,
    ),
    "lock files need no table": (
        of({"bucket": BUCKET, "config": FINISHED}, lock_mode="lockfile"),
        replace(CALM, table="-", lock_mode="lockfile"),
    ),
    "a failure is one line, however it was written": (
        of({}, failure="create_bucket:\n  AccessDenied"),
        replace(CALM, status="create_bucket: AccessDenied", cost="-"),
    ),
    "what was done before a failure is told": (
        of({"bucket": BUCKET | changes("existence"), "failed": True}, failure="no"),
        replace(CALM, changed="bucket created", status="no", cost="-"),
    ),
    "a failure without a reason is no success": (
        of(results(BUCKET, TABLE, FINISHED) | {"failed": True}),
        replace(CALM, status="no answer: the host was unreachable, or its run was cut short", cost="-"),
    ),
    "where, and by which credentials": (
        of(results(BUCKET, TABLE, FINISHED) | {"account_id": "111122223333", "credentials": "profile prod"}),
        replace(CALM, account="111122223333", credentials="profile prod"),
    ),
    "a name that was censored is that of the variable": (
        of(results({"bucket": BUCKET["bucket"] | {"name": "********-eu"}}, TABLE, FINISHED)),
        CALM,
    ),
    "a host that never answered": (
        of({}),
        replace(CALM, status="no answer: the host was unreachable, or its run was cut short", cost="-"),
    ),
    "a host that cannot be reached": (
        of({"unreachable": True, "msg": "no route"}),
        replace(CALM, status="unreachable: no route", cost="-"),
    ),
    "a host without any variable": (
        of({}, names=(None, None), lock_mode=None, failure="no name"),
        Line("eu-west-1", "-", "-", "-", "-", "no name"),
    ),
}


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES)
def test_a_line_tells_what_became_of_a_backend(line: Line, expected: Line) -> None:
    assert line == expected


def test_accounts_and_credentials_are_told_once() -> None:
    prod = replace(CALM, account="111122223333", credentials="profile prod")
    unknown = replace(NEW, credentials="environment (access key AKIA...WXYZ)")
    lines = summary_text([prod, unknown, BROKEN]).splitlines()
    assert lines[5:7] == [
        "Account 111122223333, credentials: profile prod: eu-west-1",
        "Account unknown, credentials: environment (access key AKIA...WXYZ): us-east-1",
    ]
    many = summary_text([replace(each, account="1", credentials="profile prod") for each in fleet(4)])
    assert "Account 1, credentials: profile prod: 4 backends\n" in many
    accounts = summary_text([replace(each, account=f"{place:012}") for place, each in enumerate(fleet(43))])
    assert "... and 3 more accounts or credentials" in accounts


def test_usual_names_fit_into_120_columns() -> None:
    usual = Line(
        "ap-southeast-2", "usest1-terraform-state-ezra", "terraform-locks-ap-southeast", "both", "all created", "ok"
    )
    text = summary_text([replace(usual, cost="at least 1.00"), replace(usual, lock_mode="lockfile", status="no")])
    assert max(map(len, text.splitlines())) <= 110

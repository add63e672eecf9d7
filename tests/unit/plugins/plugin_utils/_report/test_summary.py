# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table at the end of a run, as people see it, and what it is made from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.outcome import (
    backends_in,
    entry_of,
    is_of_role,
    with_entry,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.summary import (
    LEFT_OUT,
    LOST,
    Host,
    Line,
    failure_of,
    lines_of,
    stats_of,
    summary_text,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.table import MAX_ROWS

DENIED = "create_bucket on state-sa: AccessDenied"
#: What a bucket that was there before holds is not known; a new one holds nothing.
CALM = Line("eu-west-1", "state-eu", "locks-eu", "both", "-", "ok", cost="unknown")
NEW = Line("us-east-1", "state-us", "locks-us", "both", "all created", "changed", cost="1.00")
FILES_ONLY = Line("af-south-1", "state-af", "-", "lockfile", "files", "changed", cost="0.57+?")
WOULD = replace(FILES_ONLY, status="would change")
BROKEN = Line("sa-east-1", "state-sa", "locks-sa", "both", "-", "failed", DENIED)
MISSING = Line("me-south-1", "state-me", "locks-me", "both", "-", "not run", "not run: x")


def fleet(count: int, **otherwise: Any) -> list[Line]:
    return [replace(CALM, backend=f"region-{number:02}", **otherwise) for number in range(count)]


def test_every_backend_has_a_line_and_a_failure_its_reason_below() -> None:
    assert summary_text([CALM, NEW, FILES_ONLY, BROKEN, MISSING]) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED      STATUS\n"
        "eu-west-1   state-eu      locks-eu    both       -            ok\n"
        "us-east-1   state-us      locks-us    both       all created  ok\n"
        "af-south-1  state-af      -           lockfile   files        ok\n"
        "sa-east-1   state-sa      locks-sa    both       -            FAILED\n"
        "me-south-1  state-me      locks-me    both       -            not run\n"
        "\n"
        "5 backends: 3 ok, 1 failed, 1 not run, 2 changed\n"
        "FAILED sa-east-1: create_bucket on state-sa: AccessDenied\n"
        "not run me-south-1: not run: x"
    )


def test_beside_the_failures_themselves_no_reason_is_repeated() -> None:
    assert DENIED not in summary_text([CALM, BROKEN], with_reasons=False)


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_says_what_would_change_whoever_asked_for_it(check_mode: bool) -> None:
    assert summary_text([WOULD, CALM, BROKEN], check_mode) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS\n"
        "af-south-1  state-af      -           lockfile   files    would change\n"
        "eu-west-1   state-eu      locks-eu    both       -        ok\n"
        "sa-east-1   state-sa      locks-sa    both       -        FAILED\n"
        "\n"
        f"3 backends: 2 ok, 1 failed, {'' if check_mode else '0 changed, '}1 would change\n"
        "FAILED sa-east-1: create_bucket on state-sa: AccessDenied"
    )


def test_only_statuses_have_a_colour() -> None:
    lines = summary_text([CALM, WOULD, BROKEN], True, lambda text, status: f"<{status}>{text}</>").splitlines()
    assert lines == [
        *("", "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS"),
        "eu-west-1   state-eu      locks-eu    both       -        <ok>ok</>",
        "af-south-1  state-af      -           lockfile   files    <changed>would change</>",
        "sa-east-1   state-sa      locks-sa    both       -        <failed>FAILED</>",
        *("", "3 backends: 2 ok, 1 failed, 1 would change"),
        "<failed>FAILED</> sa-east-1: create_bucket on state-sa: AccessDenied",
    ]


def test_a_large_fleet_shows_only_who_changed_or_failed() -> None:
    assert summary_text([*fleet(43), FILES_ONLY, BROKEN], with_reasons=False) == (
        "\n"
        "BACKEND     STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED  STATUS\n"
        "af-south-1  state-af      -           lockfile   files    ok\n"
        "sa-east-1   state-sa      locks-sa    both       -        FAILED\n"
        "\n"
        "45 backends: 44 ok, 1 failed, 1 changed"
    )


def test_a_large_fleet_at_rest_is_one_sentence() -> None:
    assert summary_text(fleet(45)) == "\n\n45 backends: 45 ok, 0 failed, 0 changed"


def test_forty_backends_are_still_shown_one_by_one() -> None:
    assert len(summary_text(fleet(MAX_ROWS)).splitlines()) == MAX_ROWS + len(["", "BACKEND", "", "40 backends"])


def test_more_exceptions_than_a_table_holds_are_counted() -> None:
    lines = summary_text(fleet(45, changed="files", status="changed")).splitlines()
    assert lines[-4:] == [
        "region-39  state-eu      locks-eu    both       files    ok",
        "... and 5 more that changed or failed",
        "",
        "45 backends: 45 ok, 0 failed, 45 changed",
    ]


def test_no_failure_is_hidden_by_changes() -> None:
    assert "FAILED sa-east-1: " in summary_text([*fleet(45, changed="files", status="changed"), BROKEN])


PLACE = {
    **{"name": "eu-west-1", "host": "eu-west-1", "region": "eu-west-1", "bucket": "state-eu", "table": "locks-eu"},
    **{"lock_mode": "both", "directory": "backends/eu-west-1"},
}
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


def registered(results: dict[str, Any], check_mode: bool = False, msg: str = "", **place: Any) -> dict[str, Any]:
    """What the role registers for results of its modules."""
    entry = entry_of({**PLACE, **place}, results, check_mode)
    more = {"msg": msg} if msg else {}
    return {"changed": False, **more, "name": "eu-west-1", "backends": with_entry(None, "eu-west-1", entry)}


def of(results: dict[str, Any], **otherwise: Any) -> Line:
    (line,) = lines_of(Host("eu-west-1", registered(results, **otherwise)))
    return line


def results(bucket: dict[str, Any], table_: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return {"bucket": bucket, "table": table_, "config": config}


def changes(*facets: str) -> dict[str, Any]:
    return {"changed": True, "changes": [{"facet": facet} for facet in facets]}


FILES = FINISHED | {"changed": True, "changes": [{}]}
CHANGED = replace(CALM, status="changed")
CREATED = replace(CHANGED, cost="0.00")
LOCKFILE = {"lock_mode": "lockfile"}
CASES: dict[str, tuple[Line, Line]] = {
    "nothing to do": (of(results(BUCKET, TABLE, FINISHED)), CALM),
    "a new bucket is not told by its settings": (
        of(results(BUCKET | changes("existence", "versioning"), TABLE, FINISHED)),
        replace(CREATED, changed="bucket created"),
    ),
    "settings are named": (
        of(results(BUCKET | changes("versioning", "policy"), TABLE | changes("tags"), FILES)),
        replace(CHANGED, changed="bucket: versioning, policy; table: tags; files"),
    ),
    "where everything is new, one word is enough": (
        of(results(BUCKET | changes("existence"), TABLE | changes("existence"), FILES)),
        replace(CREATED, changed="all created"),
    ),
    "a new bucket beside a table that was there": (
        of(results(BUCKET | changes("existence"), TABLE, FILES)),
        replace(CREATED, changed="bucket created; files"),
    ),
    "where no table is wanted, a bucket and files are everything": (
        of({"bucket": BUCKET | changes("existence"), "config": FILES}, **LOCKFILE),
        replace(CREATED, changed="all created", table="-", lock_mode="lockfile"),
    ),
    "in check mode, it would change": (
        of(results(BUCKET, TABLE, FILES), check_mode=True),
        replace(CALM, changed="files", status="would change"),
    ),
    "capacity costs at rest, too": (of(results(BUCKET, PROVISIONED, FINISHED)), replace(CALM, cost="at least 0.64")),
    "a setting that is somebody else's costs what nobody knows": (
        of(results(BUCKET, {"table": {"name": "locks-eu"}}, FINISHED)),
        CALM,
    ),
    "lock files need no table": (
        of({"bucket": BUCKET, "config": FINISHED}, **LOCKFILE),
        replace(CALM, table="-", lock_mode="lockfile"),
    ),
    "a failure is one line, however it was written": (
        of({}, msg="create_bucket:\n  AccessDenied"),
        replace(CALM, status="failed", reason="create_bucket: AccessDenied", cost=None),
    ),
    "what was done before a failure is told": (
        of({"bucket": BUCKET | changes("existence") | {"failed": True}}, msg="no"),
        replace(CALM, changed="bucket created", status="failed", reason="no", cost=None),
    ),
    "a failure without a reason is no success": (
        of(results(BUCKET, TABLE, FINISHED | {"failed": True})),
        replace(CALM, status="failed", reason="failed without a message", cost=None),
    ),
    "where, and by which credentials": (
        of(
            results(
                {"bucket": BUCKET["bucket"] | {"account_id": "111122223333"}, "credentials": "profile prod"},
                TABLE,
                FINISHED,
            )
        ),
        replace(CALM, account="111122223333", credentials="profile prod"),
    ),
}


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES)
def test_a_line_tells_what_became_of_a_backend(line: Line, expected: Line) -> None:
    assert line == expected


GIVEN = ("state-eu", "locks-eu", "both")
WITHOUT: dict[str, tuple[Any, bool, tuple[str, str]]] = {
    "nothing was left": (None, False, ("not run", LEFT_OUT)),
    "a fact in a cache is of another run": (
        {"bucket": {"name": "old"}, "name": "eu-west-1"},
        False,
        ("not run", LEFT_OUT),
    ),
    "the result of another task": ({"changed": False, "ansible_facts": {}}, False, ("not run", LEFT_OUT)),
    "a host that was lost before": (None, True, ("not run", LOST)),
    "a role that was skipped": ({"changed": False, "skipped": True}, False, ("skipped", "")),
    "a task that Ansible ended": (
        {"changed": False, "failed": True, "msg": "Timed out"},
        False,
        ("failed", "Timed out"),
    ),
    "a host that cannot be reached": (
        {"changed": False, "unreachable": True, "msg": "no route"},
        False,
        ("failed", "unreachable: no route"),
    ),
}


@pytest.mark.parametrize(("result", "is_lost", "told"), WITHOUT.values(), ids=WITHOUT)
def test_a_host_without_a_result_is_not_called_ok(result: Any, is_lost: bool, told: tuple[str, str]) -> None:
    (line,) = lines_of(Host("eu-west-1", result, *GIVEN, is_lost))
    assert (line.status, line.reason) == told
    assert (line.bucket, line.table, line.lock_mode) == GIVEN


def entry(bucket: str | None, **more: Any) -> dict[str, Any]:
    return {"host": "h", "bucket": bucket, **more}


def test_a_loop_leaves_each_of_its_backends_and_a_repair_replaces_its_failure() -> None:
    first = {"changed": True, "name": "a", "backends": with_entry(None, "a", entry("a"))}
    failed = {"changed": False, "name": "b", "msg": "no", "backends": with_entry(first, "b", entry(None, failed=True))}
    assert [(line.backend, line.status) for line in lines_of(Host("h", failed))] == [("a", "ok"), ("b", "failed")]
    third = {"changed": False, "backends": with_entry(failed, "c", entry("c"))}
    assert third["backends"]["b"]["msg"] == "no", "the message of the result is of another backend from now on"
    assert failure_of(lines_of(Host("h", third))) == "b: no"
    repaired = {"changed": True, "backends": with_entry(third, "b", entry("b"))}
    assert [(line.backend, line.status) for line in lines_of(Host("h", repaired))] == [
        *(("a", "ok"), ("c", "ok"), ("b", "ok")),
    ]


def test_two_backends_of_one_name_are_both_kept() -> None:
    one = {"changed": True, "backends": with_entry(None, "x", entry("a"))}
    two = {"changed": True, "backends": with_entry(one, "x", entry("b"))}
    assert [*two["backends"]] == ["x", "x (b)"]
    assert [*with_entry(two, "x", entry("a"))] == ["x (b)", "x"]
    assert [*with_entry(two, "x", entry(None))] == ["x", "x (b)", "x (without a bucket)"]


def test_of_run_once_the_host_that_worked_has_the_line() -> None:
    result = {"changed": False, "backends": {"a": {"host": "a", "bucket": "s"}}}
    assert [line.backend for host in "ab" for line in lines_of(Host(host, result))] == ["a"]


def test_a_loop_over_a_fleet_grows_by_small_entries_only() -> None:
    full = results(BUCKET | changes("versioning"), TABLE, FILES)
    assert len(json.dumps(entry_of(PLACE, full, False))) < 500


@pytest.mark.parametrize("value", ["text", None, [], {"backends": []}, {"backends": {"a": {}}}])
def test_a_variable_of_somebody_else_s_is_no_result(value: Any) -> None:
    assert not is_of_role(value)
    assert not backends_in(value) or "changed" not in value


def test_stats_count_and_name() -> None:
    assert stats_of([CALM, NEW, BROKEN, MISSING], check_mode=False) == {
        **{"backends": 4, "check_mode": False, "changed": 1, "failed": 1, "not_run": 1},
        "changed_backends": ["us-east-1"],
        "failed_backends": ["sa-east-1"],
        "not_run_backends": ["me-south-1"],
    }
    assert stats_of([WOULD], check_mode=True)["changed_backends"] == ["af-south-1"]


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
    usual = Line("ap-southeast-2", "usest1-terraform-state-ezra", "terraform-locks-ap-southeast", "both", "all created")
    text = summary_text([replace(usual, cost="1.00+?"), replace(usual, lock_mode="lockfile", status="would change")])
    assert max(map(len, text.splitlines())) <= 120


def result_with(**more: Any) -> dict[str, Any]:
    return {"changed": False, "backends": {"eu": {"changed": False, "failed": False, **more}}}


PARTLY = {
    "files": ({"parts": ["files"]}, "ok (files)", "1 ok (files), 0 failed, 0 changed"),
    "two parts": ({"parts": ["bucket", "files"]}, "ok (bucket, files)", "1 ok (bucket, files), 0 failed, 0 changed"),
    "nothing": ({"parts": []}, "nothing to do", "0 ok, 0 failed, 1 nothing to do, 0 changed"),
    "refused": (
        {"preflight": True, "failed": True, "msg": "x"},
        "REFUSED",
        "0 ok, 0 failed, 1 refused, 0 would change",
    ),
    "would be refused of a part": (
        {"preflight": True, "failed": True, "msg": "x", "parts": ["files"]},
        "REFUSED",
        "0 ok, 0 failed, 1 refused, 0 would change",
    ),
    "not refused": (
        {"preflight": True, "changed": True, "check_mode": True},
        "would change",
        "1 ok, 0 failed, 1 would change",
    ),
}


@pytest.mark.parametrize("case", PARTLY)
def test_nothing_is_ok_that_was_not_looked_at(case: str) -> None:
    backend, status, counts = PARTLY[case]
    lines = lines_of(Host("eu", result_with(**backend)))
    text = summary_text(lines)
    assert text.splitlines()[2].endswith(f"  {status}") and f"1 backend: {counts}" in text
    assert stats_of(lines, False)["failed"] == (status == "REFUSED")


def test_whole_backends_and_parts_are_counted_apart() -> None:
    lines = [CALM, replace(CALM, parts=("files",)), replace(CALM, parts=("files",))]
    assert "3 backends: 1 ok, 2 ok (files), 0 failed, 0 changed" in summary_text(lines)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables that take their time, refuse what AWS refuses, and have quotas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.conftest import behind_the_shim
from tests.integration.scenarios import Outage
from tests.integration.subject import Subject, changed
from tests.support.aws_defaults import aws_defaults
from tests.support.aws_tables import AwsTables
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, error

ASKED = {
    "read_capacity": 3,
    "write_capacity": 3,
    "table_class": "STANDARD_INFREQUENT_ACCESS",
    "recovery_period_days": 7,
    "tags": {"Stage": "test", "Empty": ""},
    "purge_tags": True,
    "allow": ["disable_recovery", "weaken_encryption", "disable_deletion_protection"],
}
GONE = {"state": "absent", "allow": ["disable_deletion_protection"]}
#: More than botocore has the patience for.
SLOW = {"creating": 9, "updating": 9, "encrypting": 5, "deleting": 5, "backups": 5, "tag_lock": 15, "stale_tags": 9}


@pytest.fixture
def tables() -> AwsTables:
    return AwsTables()


@pytest.fixture
def table(emulator: RunningEmulator, tables: AwsTables) -> Iterator[Subject]:
    with Relay(emulator.url) as relay:
        relay.use(tables, *aws_defaults(emulator))
        yield behind_the_shim("table", emulator, relay)


def slow(tables: AwsTables, **ticks: int) -> None:
    for name, value in (ticks or SLOW).items():
        setattr(tables, name, value)


def make_key(table: Subject, alias: str = "") -> str:
    """The ARN of a new KMS key."""
    kms = table.aws("kms")
    key = kms.create_key()["KeyMetadata"]
    if alias:
        kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    return str(key["Arn"])


# It takes its time.


@pytest.mark.aws("4.1", "4.2", "4.3", "4.14")
def test_a_table_that_is_really_creating_is_waited_for(table: Subject, tables: AwsTables):
    slow(tables)
    result = table.done(**ASKED)
    assert result["warnings"] == []
    assert {"UpdateContinuousBackups ContinuousBackupsUnavailableException"} < {*tables.refused}
    assert [each for each in tables.refused if "ValidationException" in each] == []
    assert table.state()["recovery"] == 7
    assert table.state()["tags"] == ASKED["tags"]
    assert (table.done(**ASKED)["changes"], table.writes) == ([], [])


@pytest.mark.aws("4.4", "4.5", "4.6", "4.14")
def test_changes_of_a_table_are_made_one_by_one_and_each_until_it_can_be_seen(table: Subject, tables: AwsTables):
    table.done(tags={"Old": "1"})
    slow(tables)
    asked = {**ASKED, "kms_key_id": make_key(table), "deletion_protection": False}
    result = table.done(**asked)
    assert result["warnings"] == []
    assert [each for each in tables.refused if "ValidationException" in each] == []
    done = ["deletion_protection", "recovery", "billing", "encryption", "table_class", "tags"]
    assert changed(result) == done
    assert table.state()["billing"] == [3, 3]
    assert table.state()["encryption"] == asked["kms_key_id"]
    assert table.state()["tags"] == ASKED["tags"]
    updates = ("UpdateTable", "UpdateContinuousBackups", *["UpdateTable"] * 3)
    successes = [call.name for call in table.requests if call.is_write and call.status == 200]
    assert successes == [*updates, "TagResource", "UntagResource"]
    assert (table.done(**asked)["changes"], table.writes) == ([], [])


@pytest.mark.aws("4.5", "4.6")
def test_a_run_ends_only_when_the_encryption_is_at_rest(table: Subject, tables: AwsTables):
    table.done()
    slow(tables, updating=7, encrypting=6)
    table.done(kms_key_id=make_key(table))
    assert tables.of(table.name).encrypting == 0
    assert table.aws().describe_table(TableName=table.name)["Table"]["SSEDescription"]["Status"] == "ENABLED"


@pytest.mark.aws("4.1")
@pytest.mark.parametrize("next_run", [ASKED, GONE], ids=["present", "absent"])
def test_a_table_that_a_killed_run_left_creating_is_waited_for(
    table: Subject, tables: AwsTables, next_run: dict[str, Any]
):
    slow(tables, creating=12)
    outage = table.relay.on("*", reply=Outage(1), times=math.inf)
    assert table.task(**ASKED).get("failed")
    outage.times = 0
    table.done(**next_run)
    if next_run is GONE:
        assert table.state()["billing"] is None
    assert (table.done(**next_run)["changes"], table.writes) == ([], [])


@pytest.mark.aws("4.3")
def test_a_table_on_its_way_out_is_gone_when_the_run_ends(table: Subject, tables: AwsTables):
    table.done()
    slow(tables, deleting=9)
    result = table.done(**GONE)
    assert result["warnings"] == []
    assert tables.of(table.name).deleting == 0
    assert table.state()["billing"] is None


@pytest.mark.aws("4.3")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_table_that_somebody_deletes_just_now_is_waited_out(table: Subject, tables: AwsTables, state: str):
    table.done(deletion_protection=False, allow=["disable_deletion_protection"])
    slow(tables, deleting=9)
    table.aws().describe_table(TableName=table.name)
    table.aws().delete_table(TableName=table.name)
    result = table.done(state=state)
    assert changed(result)[:1] == (["existence"] if state == "present" else [])
    assert table.writes[:1] == (["CreateTable"] if state == "present" else [])


@pytest.mark.aws("4.12")
def test_protection_that_was_changed_a_moment_ago_is_waited_for(table: Subject, tables: AwsTables):
    table.done()
    slow(tables, protection=12)
    table.done(deletion_protection=False, allow=["disable_deletion_protection"])
    table.done()
    assert "UpdateTable ThrottlingException" in tables.refused
    assert table.state()["deletion_protection"] is True


@pytest.mark.aws("4.12")
def test_a_protected_table_is_known_by_its_description_and_loses_that_first(table: Subject, tables: AwsTables):
    table.done()
    slow(tables, updating=5)
    table.done(**GONE)
    assert [name for name in table.writes if name == "DeleteTable"] == ["DeleteTable"]


@pytest.mark.aws("4.14")
def test_thirty_tags_give_way_to_thirty_others(table: Subject):
    """AWS takes 50 at a time."""
    old, new = ({f"{name}-{number}": "1" for number in range(30)} for name in ("old", "new"))
    table.done(tags=old)
    assert table.done(tags=new, purge_tags=True)["table"]["tags"] == new
    assert not table.done(tags=new, purge_tags=True)["changed"]


@pytest.mark.aws("4.14")
def test_a_tag_policy_that_demands_tags_from_the_start_is_met(table: Subject):
    def demand(call: Call, proceed: Proceed) -> Answer:
        tagged = any(tag["Key"] == "Owner" for tag in call.params.get("Tags", []))
        return proceed() if tagged else error("AccessDeniedException")(call, proceed)

    table.relay.on("CreateTable", reply=demand, times=math.inf)
    table.done(tags={"Owner": "ops"})
    assert "TagResource" not in table.writes


# Quotas.


@pytest.mark.aws("4.9")
def test_a_key_by_its_alias_is_encrypted_with_once_however_often_it_is_asked_for(table: Subject, tables: AwsTables):
    alias = f"alias/{table.name}"
    arn = make_key(table, alias)
    table.done()
    for name in (alias, arn.rpartition("/")[2], arn, alias, alias, alias):
        table.done(kms_key_id=name)
    assert tables.of(table.name).encryptions == 1
    assert [each for each in tables.refused if "UpdateTable" in each] == []


QUOTAS = {
    "table class": ("class_changes", 2, {"table_class": "STANDARD_INFREQUENT_ACCESS"}, "unmanaged: [table_class]"),
    "encryption": ("encryptions", 4, {"encryption": "aws_managed_key"}, "unmanaged: [encryption]"),
}


@pytest.mark.aws("4.9", "4.11", "4.16")
@pytest.mark.parametrize("case", QUOTAS)
def test_a_quota_that_is_used_up_is_told_at_once_with_its_rule(table: Subject, tables: AwsTables, case: str):
    name, limit, asked, way_out = QUOTAS[case]
    table.done()
    setattr(tables.of(table.name), name, limit)
    tables.refused.clear()
    result = table.task(**asked)
    assert result["failed"]
    assert "LimitExceededException; AWS takes" in result["msg"]
    assert way_out in result["msg"]
    assert "Subscriber limit exceeded" in result["msg"]
    assert len(tables.refused) <= 6, "botocore asks again, but nothing besides"


@pytest.mark.aws("4.7")
def test_the_quota_of_billing_changes_is_told_with_its_rule(table: Subject):
    table.done(read_capacity=1, write_capacity=1)
    table.relay.on("UpdateTable", reply=error("LimitExceededException"), times=math.inf)
    said = table.task(billing_mode="PAY_PER_REQUEST")["msg"]
    assert "four changes to on-demand in 24 hours" in said
    assert "unmanaged: [billing]" in said


@pytest.mark.aws("4.7", "4.8")
def test_a_table_that_never_was_on_demand_is_known_by_what_aws_leaves_out(table: Subject):
    asked = {"billing_mode": "PROVISIONED", "read_capacity": 2, "write_capacity": 2}
    table.done(**asked)
    assert "BillingModeSummary" not in table.aws().describe_table(TableName=table.name)["Table"]
    assert (table.done(**asked)["changes"], table.writes) == ([], [])
    assert table.done()["table"]["billing"] == asked


@pytest.mark.aws("4.16")
def test_many_tables_of_one_account_slow_down_and_do_not_fail(table: Subject, tables: AwsTables):
    tables.one_in = 4
    crowd = [replace(table, name=f"{table.name}-{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = [*pool.map(lambda each: each.task(read_capacity=2, write_capacity=2), crowd)]
    assert [result.get("msg") for result in results] == [None] * len(crowd)
    assert tables.refused.count("CreateTable ThrottlingException") > len(crowd)
    assert [each.done(read_capacity=2, write_capacity=2)["changes"] for each in crowd] == [[]] * len(crowd)


@pytest.mark.aws("4.16")
@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable", "DeleteTable"])
def test_too_many_changes_at_once_are_waited_for(table: Subject, operation: str):
    text = "Subscriber limit exceeded: only 500 tables can be created, updated, or deleted simultaneously"
    rule = table.relay.on(operation, reply=error("LimitExceededException", message=text), times=20)
    table.done()
    table.done(table_class="STANDARD_INFREQUENT_ACCESS")
    table.done(**GONE)
    assert rule.fired == 20


@pytest.mark.aws("4.16")
def test_an_account_full_of_tables_is_told(table: Subject):
    text = "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber"
    table.relay.on("CreateTable", reply=error("LimitExceededException", message=text), times=math.inf)
    result = table.task()
    assert "as many tables in this region as its quota allows" in result["msg"]
    assert text in result["msg"]
    assert result["changed"] is False

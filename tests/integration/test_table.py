# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lock tables that exist: another key, another owner of their capacity, locks and digests, and creation races."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.scenarios import overtaken, scale
from tests.integration.subject import Subject, changed

DIGEST = {"LockID": {"S": "bucket/terraform.tfstate-md5"}, "Digest": {"S": "d41d8cd98f00b204e9800998ecf8427e"}}
LOCK = {"LockID": {"S": "bucket/terraform.tfstate"}, "Info": {"S": "{}"}}
UNPROTECTED = {"deletion_protection": False, "allow": ["disable_deletion_protection"]}


def make(table: Subject, key: str = "LockID", kind: str = "S", **more: Any) -> None:
    table.aws().create_table(
        TableName=table.name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        **{"BillingMode": "PAY_PER_REQUEST", **more},
    )


@pytest.mark.aws("4.13")
@pytest.mark.parametrize(("key", "kind"), [("ID", "S"), ("LockID", "N"), ("lockid", "S")])
def test_a_table_with_another_key_is_refused_and_never_replaced(table: Subject, key: str, kind: str):
    make(table, key, kind)
    assert "a key cannot be changed" in table.refused()


def test_an_adopted_table_keeps_its_billing_class_and_tags(bare_table: Subject):
    capacity = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}
    make(bare_table, BillingMode="PROVISIONED", ProvisionedThroughput=capacity, Tags=[{"Key": "Owner", "Value": "ops"}])
    bare_table.aws().put_item(TableName=bare_table.name, Item=DIGEST)
    result = bare_table.done(tags={"Stage": "prod"})
    assert changed(result) == ["deletion_protection", "recovery", "tags"]
    assert bare_table.state()["billing"] == [3, 2]
    assert bare_table.state()["tags"] == {"Owner": "ops", "Stage": "prod"}
    assert bare_table.aws().scan(TableName=bare_table.name)["Items"] == [DIGEST]
    assert (bare_table.done(tags={"Stage": "prod"})["changes"], bare_table.writes) == ([], [])


@pytest.mark.aws("4.7")
def test_capacity_that_autoscaling_sets_is_left_alone_with_a_warning(table: Subject):
    make(table, BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 2})
    table.done()
    table.relay._rules.clear()
    scale(table.relay, table.name)
    for check_mode in (True, False):
        result = table.task(check_mode, read_capacity=9, write_capacity=9)
        assert (result["changes"], table.writes) == ([], [])
        (warning,) = result["warnings"]
        assert "autoscaling sets the table's capacity" in warning


@pytest.mark.aws("4.4")
def test_one_change_to_a_table_at_a_time(table: Subject):
    """AWS refuses two logical changes in one UpdateTable."""
    make(table)
    table.done(table_class="STANDARD_INFREQUENT_ACCESS", read_capacity=2, write_capacity=2)
    updates = [call.params for call in table.requests if call.name == "UpdateTable"]
    assert len(updates) == 3
    for asked in updates:
        assert len(asked.keys() - {"TableName", "ProvisionedThroughput", "AttributeDefinitions"}) == 1


@pytest.mark.aws("4.3")
def test_a_table_that_somebody_creates_at_the_same_time_ends_converged(table: Subject):
    table.relay.on("CreateTable", reply=overtaken("ResourceInUseException", 400))
    undisturbed = Subject("table", f"{table.name}-2", table.relay, table.emulator)
    table.done()
    undisturbed.done()
    assert table.state() == undisturbed.state()


def test_a_protected_table_goes_only_with_a_word(bare_table: Subject):
    bare_table.done()
    assert "allow: [disable_deletion_protection]" in bare_table.refused(state="absent")
    result = bare_table.done(state="absent", allow=["disable_deletion_protection"])
    assert changed(result) == ["deletion_protection", "existence"]
    assert (bare_table.done(state="absent")["changes"], bare_table.writes) == ([], [])


def test_a_table_that_holds_digests_is_deleted_without_waiting_for_them_to_go(bare_table: Subject):
    bare_table.done(**UNPROTECTED)
    bare_table.aws().put_item(TableName=bare_table.name, Item=DIGEST)
    asked = {"state": "absent", "allow": ["delete_state"], "confirm_name": bare_table.name}
    assert bare_table.done(**asked, wait_timeout=3)["warnings"] == []


@pytest.mark.aws("7.2")
def test_a_table_with_digests_goes_only_with_a_word_and_its_name(bare_table: Subject):
    bare_table.done(**UNPROTECTED)
    bare_table.aws().put_item(TableName=bare_table.name, Item=DIGEST)
    assert "allow: [delete_state]" in bare_table.refused(state="absent")
    assert "confirm_name" in bare_table.refused(state="absent", allow=["delete_state"])
    assert "allow: [delete_state]" in bare_table.refused(state="absent", confirm_name=bare_table.name)
    asked = {"state": "absent", "allow": ["delete_state"], "confirm_name": bare_table.name}
    foreseen = bare_table.task(True, **asked)
    assert bare_table.done(**asked)["changes"] == foreseen["changes"]
    assert bare_table.state()["billing"] is None


def test_a_table_with_a_lock_goes_only_with_one_more_word(bare_table: Subject):
    bare_table.done(**UNPROTECTED)
    bare_table.aws().put_item(TableName=bare_table.name, Item=LOCK)
    asked = {"state": "absent", "confirm_name": bare_table.name}
    said = bare_table.refused(**asked, allow=["delete_state"])
    assert "allow: [break_lock]" in said
    assert LOCK["LockID"]["S"] in said
    bare_table.done(**asked, allow=["delete_state", "break_lock"])

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lock tables that somebody else has touched, touches just now, or made into something else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import TfstateError, facet_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import tags

from tests.unit.plugins.module_utils.fake_aws import KEY, FakeAws, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME

TABLE = KINDS["table"]
TAGS = facet_of(tags)
DONE: dict[str, Any] = {"protected": True, "recovery_days": 35}


# Lost, and why.


@pytest.mark.aws("4.10")
def test_a_table_whose_key_is_out_of_reach_names_the_key_and_is_left_as_it_is() -> None:
    encryption = {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY}}
    aws = TABLE.world(Table(status="INACCESSIBLE_ENCRYPTION_CREDENTIALS", more=encryption))
    with pytest.raises(TfstateError, match=f"its KMS key {KEY} is disabled, deleted or denied: enable that key again"):
        TABLE.run(aws, {})
    assert aws.writes == []


@pytest.mark.aws("4.1", "4.10", "8.2")
@pytest.mark.parametrize(
    "status", ["INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVING", "ARCHIVED", "REPLICATION_NOT_AUTHORIZED"]
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_no_waiting_mends_is_told_at_once(status: str, state: str) -> None:
    aws = TABLE.world(Table(status=status))
    with pytest.raises(TfstateError, match=status):
        TABLE.run(aws, {"state": state})
    assert (aws.writes, aws.pauses) == ([], 0)


# Touched during the run.


def meddle(operation: str, deed: Any) -> FakeAws:
    """A world in which somebody does something right after this write of ours."""

    def watch(aws: FakeAws) -> None:
        if aws.writes[-1].operation == operation:
            deed(aws)

    return TABLE.world(Table(), watch=watch)


@pytest.mark.aws("4.17")
def test_a_table_that_is_deleted_during_the_run_is_told_and_not_made_again() -> None:
    aws = meddle("update_continuous_backups", lambda aws: aws.tables.clear())
    with pytest.raises(TfstateError, match=f"table {NAME} was deleted by somebody else during the run; run again"):
        TABLE.run(aws, {})
    assert "create_table" not in [call.operation for call in aws.writes]


@pytest.mark.aws("4.17")
def test_a_table_that_is_replaced_during_the_run_is_told() -> None:
    aws = meddle("update_continuous_backups", lambda aws: aws.tables.update({NAME: Table(id="2", **DONE)}))
    with pytest.raises(TfstateError, match=f"table {NAME} was replaced by another of its name by somebody else"):
        TABLE.run(aws, {})


@pytest.mark.aws("4.10", "4.17")
def test_a_table_that_vanishes_while_it_is_created_is_no_success() -> None:
    aws = TABLE.world(None, watch=lambda aws: aws.tables.clear())
    with pytest.raises(TfstateError, match="AWS took the creation, but shows nothing past wait_timeout"):
        TABLE.run(aws, {"unmanaged": ["recovery", "tags"], "allow": ["disable_recovery"]})


@pytest.mark.aws("4.17")
def test_a_restored_table_gets_all_its_protection_again() -> None:
    aws = TABLE.world(Table(capacity={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, id="restored"))
    outcome = TABLE.run(aws, {"tags": {"Owner": "ops"}})
    assert [change.facet for change in outcome.changes] == ["deletion_protection", "recovery", "tags"]


# Shown late.


@pytest.mark.aws("4.14")
def test_tags_that_read_old_are_read_again_until_they_are_right() -> None:
    aws, asked = TABLE.world(Table(**DONE), stale_rounds=9), {"Owner": "ops"}
    target = TABLE.run(aws, {"tags": asked}).target
    (answer,) = aws.read([TAGS.read(target)])
    assert TAGS.value(answer, target) == asked
    assert aws.warnings == []


# Made into something else.


@pytest.mark.aws("4.15")
def test_a_lock_table_that_forgets_is_told_before_a_change() -> None:
    aws = TABLE.world(Table(ttl="Expires"))
    TABLE.run(aws, {})
    assert aws.warnings == [f"table {NAME} has a time to live, by Expires: locks and digests may vanish; switch it off"]
    assert not [call for call in aws.writes if "time_to_live" in call.operation]


@pytest.mark.aws("4.15")
def test_a_time_to_live_that_may_not_be_read_stops_nobody() -> None:
    aws = TABLE.world(Table(), faults={"describe_time_to_live": ["AccessDeniedException"]})
    TABLE.run(aws, {})
    assert aws.warnings == []


@pytest.mark.aws("4.15")
def test_a_run_without_changes_does_not_ask_for_the_time_to_live() -> None:
    aws = TABLE.world(Table(**DONE))
    TABLE.run(aws, {})
    assert "describe_time_to_live" not in [call.operation for call in aws.reads]


@pytest.mark.aws("4.18")
def test_replicas_of_a_lock_table_are_told_and_left_alone() -> None:
    aws = TABLE.world(Table(replicas=["eu-central-1", "af-south-1"]))
    TABLE.run(aws, {})
    assert "has replicas in af-south-1, eu-central-1: two regions may both get one lock" in aws.warnings[0]
    assert not [call for call in aws.writes if "Replica" in str(call.params)]
    assert TABLE.run(aws, {}).changes == ()


@pytest.mark.aws("4.18")
def test_a_table_with_replicas_is_not_deleted() -> None:
    aws = TABLE.world(Table(replicas=["eu-central-1"]))
    with pytest.raises(Refused, match="has replicas in eu-central-1: remove them first"):
        TABLE.run(aws, {"state": "absent", **TABLE.everything_allowed})
    assert aws.writes == []


OF_TOMORROW: dict[str, Any] = {
    "a limit on demand": {"OnDemandThroughput": {"MaxReadRequestUnits": 5}},
    "warm throughput": {"WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000}},
    "warm throughput being changed": {"WarmThroughput": {"Status": "UPDATING"}},
    "an index and a stream": {"GlobalSecondaryIndexes": [{"IndexName": "i"}], "LatestStreamLabel": "s"},
    "words that nobody knows yet": {"MultiRegionConsistency": "STRONG", "Of": {"Tomorrow": ["x"]}},
    "a class that nobody knows yet": {"TableClassSummary": {"TableClass": "GLACIER"}},
    "a billing mode that nobody knows yet": {"BillingModeSummary": {"BillingMode": "BARTER"}},
    "an encryption that nobody knows yet": {"SSEDescription": {"Status": "ENABLED", "SSEType": "QUANTUM"}},
}


@pytest.mark.aws("4.8", "4.13", "8.2")
@pytest.mark.parametrize("more", OF_TOMORROW.values(), ids=OF_TOMORROW)
def test_what_is_not_ours_is_neither_compared_nor_written(more: dict[str, Any]) -> None:
    aws = TABLE.world(Table(**DONE, more=more))
    assert TABLE.run(aws, {}).changes == ()
    assert aws.writes == []

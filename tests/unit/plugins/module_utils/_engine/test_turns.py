# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each option away from its baseline and back: refused where that needs a word, as check mode says, and never twice."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Outcome

from tests.support.facet_turns import BUCKET_TURNS, TABLE_TURNS, Turn, named
from tests.unit.plugins.module_utils._engine.test_reconcile import without_blocked_types
from tests.unit.plugins.module_utils.fake_aws import Bucket, FakeAws
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME, Kind

CASES = [("bucket", case) for case in BUCKET_TURNS] + [("table", case) for case in TABLE_TURNS]
every_turn = pytest.mark.parametrize(("kind", "turn"), CASES, indirect=True, ids=[" ".join(case) for case in CASES])


@pytest.fixture
def aws() -> FakeAws:
    log_delivery = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{NAME}-logs/*",
    }
    return FakeAws({f"{NAME}-logs": Bucket(policy={"Version": "2012-10-17", "Statement": [log_delivery]})})


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def turn(request: pytest.FixtureRequest, kind: Kind) -> Turn:
    return {"bucket": BUCKET_TURNS, "table": TABLE_TURNS}[kind.name][request.param]


def run(kind: Kind, aws: FakeAws, asked: dict[str, Any], check_mode: bool = False) -> Outcome:
    return kind.run(aws, named(asked, NAME), check_mode)


def facets(outcome: Outcome) -> list[str]:
    return [change.facet for change in outcome.changes]


def settles(kind: Kind, aws: FakeAws, asked: dict[str, Any]) -> Outcome:
    """As check mode says, which writes nothing; and a second run has nothing to do."""
    before, written = copy.deepcopy(kind.it(aws)), len(aws.writes)
    planned = run(kind, aws, asked, check_mode=True)
    assert (kind.it(aws), len(aws.writes)) == (before, written)
    outcome = run(kind, aws, asked)
    assert (outcome.changes, outcome.before) == (planned.changes, planned.before)
    assert without_blocked_types(outcome.after) == without_blocked_types(planned.after)
    assert kind.it(aws) != before
    written = len(aws.writes)
    again = run(kind, aws, asked)
    assert (again.changes, again.after, len(aws.writes)) == ((), outcome.after, written)
    return outcome


def goes(kind: Kind, aws: FakeAws, facet: str, asked: dict[str, Any], needs: str | None) -> None:
    """Refused without the word, alike in check mode; with it, that facet changes and no other."""
    for check_mode in (True, False) if needs else ():
        written = len(aws.writes)
        with pytest.raises(Refused, match=rf"allow: \[{needs}\]"):
            run(kind, aws, asked, check_mode)
        assert len(aws.writes) == written
    assert facets(settles(kind, aws, {**asked, "allow": [needs]} if needs else asked)) == [facet]


@every_turn
def test_an_option_goes_away_from_the_baseline_and_back(kind: Kind, turn: Turn, aws: FakeAws) -> None:
    run(kind, aws, turn.before)
    at_first = run(kind, aws, turn.back or {}, check_mode=True).before
    goes(kind, aws, turn.facet, turn.away, turn.away_needs)
    if turn.back is not None:
        goes(kind, aws, turn.facet, turn.back, turn.back_needs)
        assert run(kind, aws, turn.back, check_mode=True).before == at_first


@every_turn
def test_what_is_created_with_an_option_is_what_check_mode_says(kind: Kind, turn: Turn, aws: FakeAws) -> None:
    words = [turn.away_needs] if turn.away_needs else []
    assert facets(settles(kind, aws, {**turn.before, **turn.away, "allow": words}))[0] == "existence"

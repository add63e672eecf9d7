# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every single write in turn: carried out but its reply lost, or its connection reset before AWS received it.

botocore tries again by itself; with one attempt it does not, and it is for the run, or the next one, to find out.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.crash.starts import STARTS, Start
from tests.crash.test_kills import HELD, harm_of
from tests.integration.module_runs import Result, through_core
from tests.integration.subject import Subject
from tests.support.relay import Call, Proceed, lose_reply, reset_connection

CASES = [(kind, what) for kind, starts in STARTS.items() for what in starts]
ONE_ATTEMPT = {"aws_config": {"retries": {"total_max_attempts": 1}}}
ATTEMPTS = {"botocore tries again": {}, "nobody tries again": ONE_ATTEMPT}
#: That botocore tries again is for botocore to prove.
FEWER = [pytest.param({}, id="botocore tries again", marks=pytest.mark.thorough), ONE_ATTEMPT]
#: What a cut connection is no sign of.
WRONGLY_BLAMED = ("credential", "permission", "needs ", "quota", "signature", "too old", "another account", "denied")

#: Puts alone, and another put of the same setting changes nothing: a second try by botocore makes no difference.
PUTS = (("bucket", "modification"), ("bucket", "adoption"))

cases = pytest.mark.parametrize(("kind", "what"), CASES, ids=[" ".join(case) for case in CASES])


class Nth:
    """A reply for the n-th write, once; whatever else comes proceeds."""

    def __init__(self, place: int, reply: Any) -> None:
        self.left, self.reply, self.hit = place, reply, ""

    def __call__(self, call: Call, proceed: Proceed) -> Any:
        self.left -= call.is_write
        if not call.is_write or self.left or self.hit:
            return proceed()
        self.hit = call.name
        return self.reply(call, proceed)


@pytest.mark.parametrize(
    ("kind", "what", "options"),
    [
        pytest.param(*case, options, id=" ".join((*case, name)), marks=[pytest.mark.thorough] * is_repetition)
        for case in CASES
        for name, options in ATTEMPTS.items()
        for is_repetition in [not options and case in PUTS]
    ],
)
def test_a_write_whose_reply_is_lost_is_found_done_by_the_same_run(subject: Subject, what: str, options: Any):
    start = STARTS[subject.kind][what]
    for victim, disturbance, result, calm in disturbed(subject, start, lose_reply, options):
        assert not result.get("failed"), (disturbance.hit, result["msg"])
        assert (done(result), len(result["warnings"])) == (calm.done, calm.warnings), disturbance.hit
        by_botocore = Counter([] if options else [disturbance.hit])
        assert Counter(calm.writes) <= Counter(victim.writes) <= Counter(calm.writes) + by_botocore


@cases
@pytest.mark.parametrize("options", FEWER)
def test_a_connection_that_is_reset_before_a_write_blames_nothing_else_and_the_next_run_completes_it(
    subject: Subject, what: str, options: Any
):
    start = STARTS[subject.kind][what]
    for victim, disturbance, result, calm in disturbed(subject, start, reset_connection, options):
        if not options:
            assert not result.get("failed"), (disturbance.hit, result["msg"])
            assert Counter(victim.writes) == Counter([*calm.writes, disturbance.hit])
            continue
        assert result["failed"]
        assert result["changed"] is (len(victim.writes) > 1), "what was written before is told"
        assert result["msg"].replace("_", "").lower().startswith(disturbance.hit.lower()), result["msg"]
        assert "run again" in result["msg"]
        assert not [each for each in WRONGLY_BLAMED if each in result["msg"].lower()], result["msg"]


class Calm:
    """What a run does that nobody disturbs."""

    def __init__(self, subject: Subject, start: Start) -> None:
        victim = replace(subject, name=f"{subject.name}-calm")
        start.prepare(victim)
        result = victim.done(**start.of(victim))
        self.done, self.warnings = done(result), len(result["warnings"])
        self.writes = victim.writes
        self.end = victim.state()


def disturbed(subject: Subject, start: Start, reply: Any, options: dict[str, Any]) -> Any:
    """Each write of a run in turn, disturbed; then nothing is lost, and the next run ends where a calm one does."""
    calm = Calm(subject, start)
    assert len(calm.writes) >= start.least_writes
    for place in range(1, len(calm.writes) + 1):
        victim = replace(subject, name=f"{subject.name}-{place}")
        start.prepare(victim)
        held = HELD[victim.kind](victim.emulator, victim.name)
        before = harm_of(victim, start, held)
        disturbance = Nth(place, reply)
        rule = victim.relay.on("*", reply=disturbance, times=math.inf)
        result = victim.task(**start.of(victim), **options)
        rule.times = 0
        assert disturbance.hit == calm.writes[place - 1]
        assert harm_of(victim, start, held) - before == set()
        yield victim, disturbance, result, calm
        victim.done(**start.of(victim))
        assert victim.state() == calm.end
        assert (victim.done(**start.of(victim))["changes"], victim.writes) == ([], [])


def done(result: Result) -> list[tuple[str, list[str]]]:
    """What was called for. What went along with a creation whose reply was lost is found there by a second look."""
    return [(change["facet"], change["calls"]) for change in result["changes"] if change["calls"]]


@pytest.fixture
def subject(kind: str, request: pytest.FixtureRequest) -> Subject:
    """In this process: what AWS answers is the same in each way."""
    found: Subject = request.getfixturevalue(f"calm_{kind}")
    return replace(found, run_tasks=through_core)

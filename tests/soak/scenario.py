# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One seed: a resource, what is asked of it, and runs in bad weather until the sky clears.

In process, over `FakeAws` behind real botocore clients, rather than through a relay to an emulator: ten times as many
converges fit into a minute, and faults are placed by call and not by chance of scheduling, so a seed says it all.

    disturbed runs (0 to 3)    each ends converged, killed, or with an error that names its cause, before its deadline
    a calm run                 ends where it would have ended without the disturbed ones
    another calm run           has nothing to do
    at every write             nothing that was stored is gone, and no protection is lower than at both ends
"""

from __future__ import annotations

import copy
import random as global_random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import resource_module

from tests.soak.draws import asked, found
from tests.soak.weather import BLAMES, SLOW, Killed, forecast
from tests.soak.world import NeverEnds, SlowAws, Wire, seen
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, REGION, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, LOGS, NAME, Kind, strength

Result = dict[str, Any]
#: The requests that a run may begin behind its deadline, botocore's repetitions included: it waits for nothing any
#: more, but finishes what it has begun, and looks once at all that it wrote.
BELATED = 100
#: How long it may go on behind it: an attempt that just began, and that last look, at its slowest.
OVERSHOOT_S = 90
TIMEOUTS_S = (60, 300)


class Wrong(AssertionError):
    """What must not happen, with the seed that shows it."""

    def __init__(self, seed: int, said: str) -> None:
        super().__init__(f"seed {seed}: {said}")
        self.seed = seed


@dataclass
class Figures:
    runs: int = 0
    seeds: int = 0
    converged: int = 0
    killed: int = 0
    hung: int = 0
    lost: int = 0
    calls: int = 0
    virtual_s: float = 0
    overshoot_s: float = 0
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    warned: int = 0

    def __str__(self) -> str:
        lines = [
            f"{self.runs} runs of {self.seeds} seeds, {self.calls} calls, "
            f"  {self.virtual_s / 3600:.0f} hours of AWS's time, at most {self.overshoot_s:.0f} s past a deadline",
            f"  converged {self.converged} ({self.warned} with a warning), killed {self.killed}, "
            f"clear errors {self.errors.total()}, hangs {self.hung}, lost {self.lost}",
            f"  {self.faults.total()} faults: {_listed(self.faults)}",
            f"  errors by cause: {_listed(self.errors)}",
        ]
        return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


@dataclass
class Scenario:
    """All that follows from a seed."""

    seed: int
    wire: Wire
    figures: Figures

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        global_random.seed(self.seed)  # the jitter of pauses, ours and botocore's
        self.kind: Kind = KINDS[self.random.choice([*KINDS])]
        self.start = found(self.kind, self.random)
        self.asked = asked(self.kind, self.random)
        if isinstance(self.start, Bucket) and self.start.versioning and self.asked.get("versioning") is False:
            self.asked.pop("versioning")  # what a later run may find suspended is not what this is about
        self.timeout_s = self.random.choice(TIMEOUTS_S)
        self.names_account = self.random.random() < 0.5
        #: What an earlier run set going, which this one may run into.
        self.lingering: set[str] = set()
        self.entry = resource_module(self.kind.resource)

    def play(self) -> None:
        self.figures.seeds += 1
        calm = self._world()
        self._converge(calm)
        self.end = copy.deepcopy(self.kind.it(calm))
        aws = self._world()
        aws.watch = self._look
        for _unused in range(self.random.randint(0, 3)):
            self._disturbed(aws)
        aws.calm_down()
        self._converge(aws)
        if seen(self.kind.it(aws)) != seen(self.end):
            self._wrong(f"ended at {seen(self.kind.it(aws))} instead of {seen(self.end)}")
        again = self._converge(aws)
        if again["changes"] or [call for call in self.wire.calls if not _reads(call)]:
            self._wrong(f"the next run has work: {again['changes']}")

    def _world(self) -> SlowAws:
        it = copy.deepcopy(self.start)
        buckets = {LOGS: Bucket(), **({NAME: it} if isinstance(it, Bucket) else {})}
        aws = SlowAws(buckets, {NAME: it} if isinstance(it, Table) else {}, clock=self.wire.clock)
        self.wire.aws = aws
        return aws

    def _run(self, aws: SlowAws) -> Result:
        self.wire.begin(aws)
        validated = ArgumentSpecValidator(self.entry.spec).validate(
            {
                "name": NAME,
                "region": REGION,
                "access_key": "AKIATEST",
                "secret_key": "secret",
                "wait_timeout": self.timeout_s,
                **({"account_id": ACCOUNT} if self.names_account else {}),
                **self.asked,
                **self.kind.everything_allowed,
            }
        )
        assert not validated.error_messages, validated.error_messages
        began = self.wire.clock.now
        self.wire.clock.begin(self.timeout_s)
        self.figures.runs += 1
        try:
            return self.entry.work(validated.validated_parameters, False, False)
        finally:
            took = self.wire.clock.now - began
            self.figures.calls += len(self.wire.calls)
            self.figures.virtual_s += took
            self.figures.overshoot_s = max(self.figures.overshoot_s, took - self.timeout_s)
            slow = took > self.timeout_s + OVERSHOOT_S
            if slow or self.wire.clock.overslept_s or self.wire.clock.belated > BELATED:
                self.figures.hung += 1
                self._wrong(f"took {took:.0f} s with wait_timeout {self.timeout_s}")

    def _converge(self, aws: SlowAws) -> Result:
        result = self._run(aws)
        if result.get("failed"):
            self._wrong(f"an undisturbed run failed: {result['msg']}")
        self.figures.converged += 1
        return result

    def _disturbed(self, aws: SlowAws) -> None:
        weather = aws.weather = forecast(self.random, self.wire.clock.sleep)
        try:
            result = self._run(aws)
        except Killed:
            self.figures.killed += 1
            return
        except NeverEnds as where:
            self.figures.hung += 1
            self._wrong(f"never ended: {where}")
        finally:
            self.figures.faults.update(weather.hits)
            aws.weather = None
            self.lingering |= {kind for kind in SLOW if weather.hits[kind]}
        if not result.get("failed"):
            self.figures.converged += 1
            self.figures.warned += bool(result["warnings"])
            return
        cause = self._cause(
            result["msg"], sorted(self.lingering | {kind for kind, hits in weather.hits.items() if hits})
        )
        self.figures.errors[cause] += 1
        writes = [call for call in self.wire.calls if not _reads(call)]
        if result["changed"] and not writes:
            self._wrong(f"says that it changed something, but wrote nothing: {result}")

    def _cause(self, message: str, hit: list[str]) -> str:
        """The fault that the message blames, which must be one that happened, in all the words that it takes."""
        for kind in hit:
            if kind in BLAMES and all(re.search(words, message) for words in BLAMES[kind]):
                return kind
        self._wrong(f"{hit} happened, but the message says: {message}")
        raise AssertionError

    def _look(self, aws: Any) -> None:
        """After every write."""
        now, least = self.kind.it(aws), strength(self.start or (Bucket() if self.kind.name == "bucket" else None))
        if self.asked.get("state") == "absent":
            return
        if now is None:
            return self._lost("the resource is gone")
        if self.start and _stored(now) != _stored(self.start):
            return self._lost(f"{_stored(self.start)} became {_stored(now)}")
        last, current = strength(self.end), strength(now)
        lower = {what for what in last if current[what] < min(least.get(what, 0), last[what])}
        if lower:
            self._lost(f"{lower} lower than at the start and at the end, after {aws.writes[-1]}")

    def _lost(self, what: str) -> None:
        self.figures.lost += 1
        self._wrong(what)

    def _wrong(self, what: str) -> None:
        about = f"{self.kind.name} {seen(self.start)} asked {self.asked} (wait_timeout {self.timeout_s})"
        raise Wrong(self.seed, f"{what}\n  {about}\n  calls: {' '.join(map(str, self.wire.calls[-40:]))}")


def _stored(it: Bucket | Table) -> Any:
    return it.objects if isinstance(it, Bucket) else it.items


def _reads(call: Any) -> bool:
    return bool(call.operation.startswith(("get_", "head_", "list_", "describe_", "scan")))


def soak(seeds: range, heard: Callable[[Figures], None] = lambda _figures: None) -> tuple[Figures, list[Wrong]]:
    """Every seed in turn; what went wrong does not keep the others from being tried."""
    figures, wrong, wire = Figures(), [], Wire()
    with wire.installed():
        for seed in seeds:
            try:
                Scenario(seed, wire, figures).play()
            except Wrong as failure:
                wrong.append(failure)
            heard(figures)
    return figures, wrong

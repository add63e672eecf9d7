# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One seed: a resource, options, disturbed runs, and runs without faults.

In process, over `FakeAws` behind real botocore clients, rather than through a relay to an emulator: ten times as many
converges fit into a minute, and faults are placed by call and not by chance of scheduling, so a seed reproduces all.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import resource_module

from tests.soak.draws import draw_options, draw_resource
from tests.soak.faults import MESSAGES, SLOW, Killed, draw_faults
from tests.soak.slow_aws import EndlessRun, SlowAws, Wire, observable
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, REGION, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, LOGS, NAME, Kind, strength

Result = dict[str, Any]
#: The requests that a run may begin behind its deadline, botocore's repetitions included: it waits for nothing any
#: more, but finishes what it has begun, and looks once at all that it wrote.
BELATED = 100
#: How long it may go on behind it: an attempt that just began, and that last look, at its slowest.
OVERSHOOT_S = 90
TIMEOUTS_S = (60, 300)


class SeedFailed(AssertionError):
    """A failure, with the seed that reproduces it."""

    def __init__(self, seed: int, message: str) -> None:
        super().__init__(f"seed {seed}: {message}")
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
    """One seed, from start to end."""

    seed: int
    wire: Wire
    figures: Figures

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        global_random.seed(self.seed)  # the jitter of pauses, ours and botocore's
        self.kind: Kind = KINDS[self.random.choice([*KINDS])]
        self.start = draw_resource(self.kind, self.random)
        self.options = draw_options(self.kind, self.random)
        if isinstance(self.start, Bucket) and self.start.versioning and self.options.get("versioning") is False:
            self.options.pop("versioning")  # what a later run may find suspended is not what this is about
        self.timeout_s = self.random.choice(TIMEOUTS_S)
        self.names_account = self.random.random() < 0.5
        #: Changes of an earlier run that may still be in progress.
        self.lingering: set[str] = set()
        self.entry = resource_module(self.kind.resource)

    def play(self) -> None:
        self.figures.seeds += 1
        calm = self._account()
        self._converge(calm)
        self.end = copy.deepcopy(self.kind.it(calm))
        aws = self._account()
        aws.watch = self._look
        for _unused in range(self.random.randint(0, 3)):
            self._disturbed(aws)
        aws.settle()
        self._converge(aws)
        if observable(self.kind.it(aws)) != observable(self.end):
            self._fail(f"ended at {observable(self.kind.it(aws))} instead of {observable(self.end)}")
        again = self._converge(aws)
        if again["changes"] or [call for call in self.wire.calls if not _reads(call)]:
            self._fail(f"the next run has work: {again['changes']}")

    def _account(self) -> SlowAws:
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
                **self.options,
                **self.kind.everything_allowed,
            }
        )
        assert not validated.error_messages, validated.error_messages
        began = self.wire.clock.now
        self.wire.clock.begin(self.timeout_s)
        self.figures.runs += 1
        try:
            return self.entry.run(validated.validated_parameters, False, False)
        finally:
            took = self.wire.clock.now - began
            self.figures.calls += len(self.wire.calls)
            self.figures.virtual_s += took
            self.figures.overshoot_s = max(self.figures.overshoot_s, took - self.timeout_s)
            slow = took > self.timeout_s + OVERSHOOT_S
            if slow or self.wire.clock.overslept_s or self.wire.clock.belated > BELATED:
                self.figures.hung += 1
                self._fail(f"took {took:.0f} s with wait_timeout {self.timeout_s}")

    def _converge(self, aws: SlowAws) -> Result:
        result = self._run(aws)
        if result.get("failed"):
            self._fail(f"an undisturbed run failed: {result['msg']}")
        self.figures.converged += 1
        return result

    def _disturbed(self, aws: SlowAws) -> None:
        faults = aws.random_faults = draw_faults(self.random, self.wire.clock.sleep)
        try:
            result = self._run(aws)
        except Killed:
            self.figures.killed += 1
            return
        except EndlessRun as where:
            self.figures.hung += 1
            self._fail(f"never ended: {where}")
        finally:
            self.figures.faults.update(faults.hits)
            aws.random_faults = None
            self.lingering |= {kind for kind in SLOW if faults.hits[kind]}
        if not result.get("failed"):
            self.figures.converged += 1
            self.figures.warned += bool(result["warnings"])
            return
        cause = self._cause(
            result["msg"], sorted(self.lingering | {kind for kind, hits in faults.hits.items() if hits})
        )
        self.figures.errors[cause] += 1
        writes = [call for call in self.wire.calls if not _reads(call)]
        if result["changed"] and not writes:
            self._fail(f"says that it changed something, but wrote nothing: {result}")

    def _cause(self, message: str, hit: list[str]) -> str:
        """The fault that the message names as its cause, which must be one that happened."""
        for kind in hit:
            if kind in MESSAGES and all(re.search(words, message) for words in MESSAGES[kind]):
                return kind
        self._fail(f"{hit} happened, but the message says: {message}")
        raise AssertionError

    def _look(self, aws: Any) -> None:
        """After every write."""
        now, least = self.kind.it(aws), strength(self.start or (Bucket() if self.kind.name == "bucket" else None))
        if self.options.get("state") == "absent":
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
        self._fail(what)

    def _fail(self, what: str) -> None:
        about = f"{self.kind.name} {observable(self.start)} options {self.options} (wait_timeout {self.timeout_s})"
        raise SeedFailed(self.seed, f"{what}\n  {about}\n  calls: {' '.join(map(str, self.wire.calls[-40:]))}")


def _stored(it: Bucket | Table) -> Any:
    return it.objects if isinstance(it, Bucket) else it.items


def _reads(call: Any) -> bool:
    return bool(call.operation.startswith(("get_", "head_", "list_", "describe_", "scan")))


def soak(
    seeds: Sequence[int], on_figures: Callable[[Figures], None] = lambda _figures: None
) -> tuple[Figures, list[SeedFailed]]:
    """Every seed in turn; a failure does not stop the others."""
    figures, failures, wire = Figures(), [], Wire()
    with wire.installed():
        for seed in seeds:
            try:
                Scenario(seed, wire, figures).play()
            except SeedFailed as failure:
                failures.append(failure)
            on_figures(figures)
    return figures, failures

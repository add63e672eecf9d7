# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the runs say: medians, the table of them all, and the figures that are asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FLEET = 600
MANY, ONE = 17, 1
MEASURES = (
    "wall_s",
    "cpu_s",
    "memory_mb",
    "requests",
    "writes",
    "depth",
    "connections",
    "assume_role",
    "others",
)

Run = dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """All runs of a file. Medians are over the rounds; ratios are taken round by round, then their median."""

    all: tuple[Run, ...]

    @classmethod
    def read(cls, path: Path) -> Runs:
        return cls(tuple(json.loads(line) for line in path.read_text().splitlines()))

    def of(self, contestant: str, size: int, phase: str = "noop") -> list[Run]:
        asked = (contestant, size, phase)
        return [each for each in self.all if (each["contestant"], each["size"], each["phase"]) == asked]

    def median(self, measure: str, contestant: str, size: int, phase: str = "noop") -> float:
        return float(median(each[measure] for each in self.of(contestant, size, phase)))

    def ratio(self, measure: str, contestant: str, other: str, size: int) -> float:
        rounds = [
            (mine[measure] / theirs[measure])
            for mine in self.of(contestant, size)
            for theirs in self.of(other, size)
            if (mine["session"], mine["round"]) == (theirs["session"], theirs["round"])
        ]
        return float(median(rounds))

    def walls(self, contestant: str) -> list[tuple[int, float]]:
        """Number of backends and seconds, for a plot."""
        sizes = sorted({each["size"] for each in self.all if each["contestant"] == contestant})
        return [(size, self.median("wall_s", contestant, size)) for size in sizes if self.of(contestant, size)]

    @property
    def wrong(self) -> list[Run]:
        return [each for each in self.all if each["wrong"]]


@dataclass(frozen=True)
class Figure:
    """One line of the table of figures: what must hold, what we aim at, and how it is measured."""

    name: str
    must: float
    aim: float
    measure: Callable[[Runs], float]
    digits: int = 2


def _further_cpu(runs: Runs) -> float:
    grown = runs.median("cpu_s", "ours", MANY) - runs.median("cpu_s", "ours", ONE)
    return grown / (MANY - ONE)


def _per_backend(measure: str) -> Callable[[Runs], float]:
    return lambda runs: runs.median(measure, "ours", MANY) / MANY


def _against_upstream(measure: str) -> Callable[[Runs], float]:
    return lambda runs: runs.ratio(measure, "ours", "upstream", MANY)


FIGURES = (
    Figure("wall against the amazon.aws/community.aws playbook", 0.12, 0.06, _against_upstream("wall_s"), 3),
    Figure("CPU against the same", 0.06, 0.035, _against_upstream("cpu_s"), 3),
    Figure("CPU s for each further backend", 0.20, 0.12, _further_cpu, 3),
    Figure("requests a no-op backend", 13, 11, _per_backend("requests"), 1),
    Figure("writes on a no-op", 0, 0, lambda runs: runs.median("writes", "ours", MANY), 0),
    Figure("depth of a no-op", 8, 6, lambda runs: runs.median("depth", "ours", MANY), 0),
    Figure("depth of a creation", 24, 16, lambda runs: runs.median("depth", "ours", MANY, "creation"), 0),
    Figure("connections a backend", 7, 5, _per_backend("connections"), 1),
    Figure("AssumeRole calls, 20 accounts x 30 regions", 200, 20, lambda r: r.median("assume_role", "ours", FLEET), 0),
    Figure("peak memory against the same playbook", 0.5, 0.3, _against_upstream("memory_mb")),
    Figure("600 backends, wall s", 120, 70, lambda runs: runs.median("wall_s", "ours", FLEET), 0),
    Figure(
        "600 backends, memory against 17",
        1.5,
        1.0,
        lambda runs: runs.median("memory_mb", "ours", FLEET) / runs.median("memory_mb", "ours", MANY),
    ),
    Figure("one backend, wall against the AWS CLI script", 0.3, 0.2, lambda r: r.ratio("wall_s", "ours", "cli", ONE)),
)


def figures(runs: Runs) -> str:
    rows = []
    for each in FIGURES:
        try:
            measured = round(each.measure(runs), each.digits)
        except ValueError:  # statistics: no data points
            rows.append((each.name, f"{each.must:g}", f"{each.aim:g}", "not measured", ""))
            continue
        verdict = "aim" if measured <= each.aim else "must" if measured <= each.must else "MISSED"
        rows.append((each.name, f"{each.must:g}", f"{each.aim:g}", f"{measured:g}", verdict))
    return markdown(("figure", "must", "aim", "measured", "met"), rows, left=(0, 4))


def table(runs: Runs, phase: str) -> str:
    groups: dict[tuple[int, str], list[Run]] = defaultdict(list)
    for each in runs.all:
        if each["phase"] == phase:
            groups[each["size"], each["contestant"]].append(each)
    rows = []
    for (size, contestant), group in groups.items():
        of = {measure: median(each[measure] for each in group) for measure in MEASURES}
        rows.append(
            (
                str(size),
                contestant,
                f"{of['wall_s']:.2f}",
                f"{of['cpu_s']:.2f}",
                f"{of['memory_mb']:.0f}",
                f"{of['requests'] / size:.1f}",
                f"{of['writes'] / size:.1f}",
                f"{of['depth']:g}",
                f"{of['connections'] / size:.1f}",
                f"{of['assume_role']:g}",
                f"{of['others']:.1f}",
                str(len(group)),
            )
        )
    head = ("backends", "who", "wall s", "CPU s", "memory MB", "requests", "writes", "depth", "connections")
    return markdown((*head, "AssumeRole", "others", "runs"), rows, left=(1,))


def at_a_glance(runs: Runs) -> str:
    """Seconds of wall time by number of backends, nothing to do; and CPU time where all took part."""
    sizes = sorted({each["size"] for each in runs.all})
    names = dict.fromkeys(each["contestant"] for each in runs.all)
    rows = [
        (
            name,
            *(f"{runs.median('wall_s', name, size):.1f}" if runs.of(name, size) else "" for size in sizes),
            f"{runs.median('cpu_s', name, MANY):.1f}" if runs.of(name, MANY) else "",
        )
        for name in names
    ]
    return markdown(("wall s of", *map(str, sizes), f"CPU s of {MANY}"), rows, left=(0,))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: tuple[int, ...]) -> str:
    rule = ["---" if place in left else "--:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def circumstances(runs: Runs) -> str:
    """Where and when, and whether wall figures can be believed."""
    last = runs.all[-1]
    rounds = max(each["round"] for each in runs.all)
    busiest = max(each["others"] for each in runs.all)
    return (
        f"{last['session'][:10]}, {last['machine']}; {rounds} round{'s' if rounds > 1 else ''}, "
        f"{last['latency_ms']:g} ms latency. Other programs kept up to {busiest:.1f} cores busy meanwhile."
    )

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What rounds are played on: the emulator that writes everything down, and the launcher of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.overlap.round import Outcome, Round
from tests.overlap.runs import ROOT, Launcher, launched
from tests.support.emulators import MINISTACK, RunningEmulator, running

RECORDER = replace(MINISTACK, name="recorder", module="tests.overlap.recorder")


@dataclass(frozen=True)
class Bench:
    emulator: RunningEmulator
    launcher: Launcher
    log: Path
    home: Path

    def play(self, seed: int, way: str = "", kind: str = "", terraform: str = "") -> Outcome:
        return Round(seed, self.emulator, self.launcher, self.log, self.home, way, kind, terraform).play()


@contextmanager
def bench(home: Path) -> Iterator[Bench]:
    log = home / "calls.jsonl"
    with running(RECORDER, OVERLAP_LOG=str(log), PYTHONPATH=str(ROOT)) as emulator, launched(home) as launcher:
        yield Bench(emulator, launcher, log, home)

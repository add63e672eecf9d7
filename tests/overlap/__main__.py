# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rounds of overlapping runs, with figures at the end; a seed that fails is told with what happened."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.overlap.bench import bench
from tests.overlap.round import KINDS
from tests.overlap.runs import WAYS
from tests.support.clean_environment import clean_environment


def main(asked: argparse.Namespace) -> int:
    start = time.monotonic()
    figures, refusals, kinds = Counter[str](), Counter[str](), Counter[str]()
    wrong = 0
    terraform = shutil.which("terraform") or "" if asked.terraform else ""
    home = Path(tempfile.mkdtemp(prefix="overlap-"))
    print(f"{asked.count} rounds from seed {asked.seed} on; what is kept of those with faults is in {home}", flush=True)
    with clean_environment(home), bench(home) as ready:
        for seed in range(asked.seed, asked.seed + asked.count):
            outcome = ready.play(seed, asked.way, asked.kind, terraform)
            figures += outcome.figures
            refusals += outcome.refusals
            kinds.update({fault.kind for fault in outcome.faults})
            wrong += bool(outcome.faults)
            word = f"\nWRONG: {outcome}" if outcome.faults else f"seed {seed} ({outcome.about}): as it should be"
            print(word, flush=True)
    for message, times in refusals.most_common():
        print(f"{times:5} x {message}")
    print(f"\n{asked.count} rounds, {wrong} of them wrong, {time.monotonic() - start:.0f} s; {dict(figures)}")
    print(f"rounds with faults of each kind: {dict(kinds)}")
    return int(bool(wrong))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.overlap", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=time.time_ns() % 1_000_000_000)
    parser.add_argument("count", type=int, nargs="?", default=20)
    parser.add_argument("--way", choices=list(WAYS), default="", help="how tasks are carried out; else by the seed")
    parser.add_argument("--kind", choices=list(KINDS), default="", help="what is started at once; else by the seed")
    parser.add_argument("--terraform", action="store_true", help="clients are the real terraform")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parsed()))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rounds of overlapping runs, with figures at the end; a seed that fails is told with what happened.

usage: python -m tests.overlap [SEED] [COUNT] [WAY]      WAY: worker, module, playbook, module of a playbook
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.overlap.bench import played
from tests.support.clean_environment import clean_environment


def main(first: int, count: int, way: str) -> int:
    start = time.monotonic()
    figures, refusals, kinds = Counter[str](), Counter[str](), Counter[str]()
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="overlap-", delete=False)
        if sys.version_info >= (3, 12)
        else tempfile.TemporaryDirectory(prefix="overlap-") as home,
        clean_environment(Path(home)),
    ):  # noqa: E501
        for outcome in played(range(first, first + count), Path(home), way):
            figures += outcome.figures
            refusals += outcome.refusals
            kinds.update({fault.kind for fault in outcome.faults})
            wrong += bool(outcome.faults)
            if outcome.faults:
                print(f"\nWRONG: {outcome}", flush=True)
            else:
                print(f"seed {outcome.seed} ({outcome.about}): as it should be", flush=True)
    for message, times in refusals.most_common():
        print(f"{times:5} x {message}")
    print(f"\n{count} rounds, {wrong} of them wrong, {time.monotonic() - start:.0f} s; {dict(figures)}")
    print(f"rounds with faults of each kind: {dict(kinds)}")
    return int(bool(wrong))


if __name__ == "__main__":
    words = sys.argv[1:]
    first = int(words[0]) if words else time.time_ns() % 1_000_000_000
    sys.exit(main(first, int(words[1]) if len(words) > 1 else 20, words[2] if len(words) > 2 else ""))

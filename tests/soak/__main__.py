# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Thousands of converges with random faults, and figures at the end; a failed seed is shown with its command.

usage: python -m tests.soak [SEED] [COUNT]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.soak.scenario import Figures, soak
from tests.support.clean_environment import clean_environment

TICK_S = 30


def main(first: int, count: int) -> int:
    print(f"soak: {count} seeds from {first} on; the same again: make soak ARGS='{first} {count}'", flush=True)
    start = last = time.monotonic()

    def show_progress(figures: Figures) -> None:
        nonlocal last
        if time.monotonic() - last > TICK_S:
            last = time.monotonic()
            print(f"... {figures.seeds} seeds, {figures.runs} runs, {last - start:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as home, clean_environment(Path(home)):
        figures, failures = soak(range(first, first + count), show_progress)
    for failure in failures:
        print(f"\nWRONG: make soak ARGS='{failure.seed} 1'\n{failure}")
    print(f"\n{figures}\n  {len(failures)} seeds wrong, {time.monotonic() - start:.0f} s")
    return int(bool(failures))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    first = numbers[0] if numbers else time.time_ns() % 1_000_000_000
    sys.exit(main(first, numbers[1] if len(numbers) > 1 else 1000))

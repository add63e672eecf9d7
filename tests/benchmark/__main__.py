# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure this collection against what users would pick instead, and print what the runs say.

quick    one backend and five, one round, to see whether all is well
full     the runs behind the table of figures: 1, 5 and 17 backends for all, 600 for us and the floor
figures  the table of figures of the last full run, or of a file
publish  put the same, with the plot, into docs/performance.md and README.md
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.benchmark.race import CONTESTANTS, ROOT, Plan, race, results_folder
from tests.benchmark.report import FLEET, Runs, at_a_glance, circumstances, figures, table

BENCH_PYTHON = ROOT / ".venv" / "bench" / "bin" / "python"
PAGES = (ROOT / "docs" / "performance.md", ROOT / "README.md")
PICTURE = ROOT / "docs" / "performance.png"
DEFAULTS = {
    # sizes, rounds, backends of the fleet, minutes
    "quick": ((1, 5), 1, 0, 15),
    "full": ((1, 5, 17), 3, FLEET, 60),
}


def main() -> None:
    arguments = parsed()
    results = arguments.results or results_folder() / ("quick.jsonl" if arguments.what == "quick" else "full.jsonl")
    if arguments.what in DEFAULTS:
        run(arguments, results)
    runs = Runs.read(results)
    show(runs, everything=arguments.what != "figures")
    if arguments.what == "publish":
        publish(runs)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("quick", "full", "figures", "publish"), nargs="?", default="quick")
    parser.add_argument("--results", type=Path, help="a file of raw results (JSON lines); tests/output/benchmark/")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))), help="numbers of backends")
    parser.add_argument("--fleet", type=int, help="backends of the fleet; 0 for none")
    parser.add_argument("--who", type=lambda text: tuple(text.split(",")), default=tuple(CONTESTANTS))
    parser.add_argument("--latency", type=float, default=100, metavar="MS")
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--minutes", type=float, help="no run begins later")
    return parser.parse_args()


def run(arguments: argparse.Namespace, results: Path) -> None:
    sizes, rounds, fleet, minutes = DEFAULTS[arguments.what]
    plan = Plan(
        contestants=arguments.who,
        sizes=arguments.sizes or sizes,
        rounds=arguments.rounds or rounds,
        latency_ms=arguments.latency,
        forks=arguments.forks,
        limit_s=60 * (arguments.minutes or minutes),
        fleet=fleet if arguments.fleet is None else arguments.fleet,
    )
    results.unlink(missing_ok=True)
    race(plan, results)


def show(runs: Runs, everything: bool) -> None:
    print(f"\n{circumstances(runs)}\n")
    if everything:
        print(f"Nothing to do:\n\n{table(runs, 'noop')}\n\nFirst creation:\n\n{table(runs, 'creation')}\n")
    print(figures(runs))
    for each in runs.wrong:
        print(f"WRONG: {each['contestant']}, {each['size']} backends, {each['phase']}: {'; '.join(each['wrong'][:3])}")


def publish(runs: Runs) -> None:
    """The pages' own words stay; only what stands between markers is replaced."""
    told = {
        "circumstances": circumstances(runs),
        "figures": figures(runs),
        "noop": table(runs, "noop"),
        "creation": table(runs, "creation"),
        "at a glance": at_a_glance(runs),
    }
    for page in PAGES:
        page.write_text(filled(page.read_text(), told))
    draw(runs)
    written = ", ".join(str(path.relative_to(ROOT)) for path in (*PAGES, PICTURE))
    print(f"\nWrote {written}.")


def filled(page: str, told: Mapping[str, str]) -> str:
    def between(marker: re.Match[str]) -> str:
        return f"{marker[1]}\n{told[marker[2]]}\n\n{marker[3]}"

    return re.sub(r"(<!-- measured: (.*?) -->\n).*?(<!-- end -->)", between, page, flags=re.DOTALL)


def draw(runs: Runs) -> None:
    lines = {who: runs.walls(who) for who in CONTESTANTS if runs.walls(who)}
    latency_ms = runs.all[-1]["latency_ms"]
    asked = {"title": f"A run with nothing to do, {latency_ms:g} ms away", "lines": lines}
    command = [BENCH_PYTHON, Path(__file__).parent / "plot.py", PICTURE]
    subprocess.run(command, input=json.dumps(asked), text=True, check=True)


if __name__ == "__main__":
    main()

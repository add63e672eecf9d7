# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interleaved runs of all contestants: each creates its own backends once, and then finds nothing to do."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from tests.benchmark.process import measured
from tests.benchmark.targets import targets, write_inventory, write_list
from tests.benchmark.wanted import unmet
from tests.benchmark.wire import NewBuckets, Wire
from tests.support.clean_environment import without_aws
from tests.support.emulators import MINISTACK, RunningEmulator, running
from tests.support.relay import Relay

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
AWS_CLI = ROOT / ".venv" / "bench" / "bin" / "aws"
PLAYBOOK = f"{sys.executable} -m ansible playbook -i {{inventory}} -f {{forks}}"


@dataclass(frozen=True)
class Contestant:
    """Who converges backends, and by which command. `is_blind`: it writes without looking. `is_partial`: not all."""

    name: str
    command: str
    is_blind: bool = False
    is_partial: bool = False

    @property
    def prefix(self) -> str:
        return self.name.replace(" ", "-")


CONTESTANTS = {
    each.name: each
    for each in (
        Contestant("ours", f"{PLAYBOOK} {ROOT}/bootstrap.yml"),
        Contestant("ours subprocess", f"{PLAYBOOK} -e cornerstone_tfstate_in_process=false {ROOT}/bootstrap.yml"),
        Contestant("upstream", f"{PLAYBOOK} -e aws_cli={AWS_CLI} {PROGRAMS}/upstream.yml"),
        Contestant("upstream modules", f"{PLAYBOOK} --skip-tags cli {PROGRAMS}/upstream.yml", is_partial=True),
        Contestant("cli", f"bash {PROGRAMS}/cli.sh {AWS_CLI} {{list}}", is_blind=True),
        Contestant("sequential", f"{sys.executable} -m tests.benchmark.programs.sequential {{list}}"),
        Contestant("floor", f"{sys.executable} -m tests.benchmark.programs.floor {{list}}"),
    )
}


@dataclass(frozen=True)
class Plan:
    """`fleet` backends are those of `fleet_contestants` alone."""

    contestants: tuple[str, ...]
    sizes: tuple[int, ...]
    rounds: int
    latency_ms: float
    forks: int
    limit_s: float
    fleet: int = 0
    fleet_contestants: tuple[str, ...] = ("ours", "floor")

    def turns(self) -> Iterator[tuple[int, str, int]]:
        """Round, contestant and number of backends, in the order of running."""
        for turn in range(1, self.rounds + 1):
            for size in self.sizes:
                yield from ((turn, name, size) for name in self.contestants)
            if self.fleet:
                yield from ((turn, name, self.fleet) for name in self.fleet_contestants if name in self.contestants)


def race(plan: Plan, results: Path) -> None:
    """Appends a line of JSON for each run; ends early, between two runs, when the time is up."""
    deadline = time.monotonic() + plan.limit_s
    with results.open("a") as out, _lab() as lab:
        for turn, name, size in plan.turns():
            if time.monotonic() > deadline:
                print(f"The time is up before round {turn}, {name}, {size} backends.")
                return
            lab.take_turn(plan, CONTESTANTS[name], size, turn, deadline, out)


@contextmanager
def _lab() -> Iterator[Lab]:
    home = Path(tempfile.mkdtemp(prefix="tfstate-bench-"))
    try:
        with running(MINISTACK) as emulator, Relay(emulator.url) as relay:
            yield Lab(home, emulator, relay)
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Lab:
    """An emulator, the wire to it, and a folder for what the contestants write."""

    def __init__(self, home: Path, emulator: RunningEmulator, relay: Relay) -> None:
        self.home, self.emulator, self.relay = home, emulator, relay
        self.wire = Wire()
        self.accounts: dict[str, str] = {}
        relay.use(self.wire, NewBuckets(emulator, self.accounts))
        self.created: set[tuple[str, int]] = set()
        self.session = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def take_turn(self, plan: Plan, contestant: Contestant, size: int, turn: int, deadline: float, out: TextIO) -> None:
        phases = ("noop",) if (contestant.name, size) in self.created else ("creation", "noop")
        self.created.add((contestant.name, size))
        for phase in phases:
            run = self.run(plan, contestant, size, deadline)
            run |= {"phase": phase, "round": turn, "session": self.session, "machine": machine()}
            run["wrong"] = self.wrong(contestant, size, phase, run)
            print(json.dumps(run), file=out, flush=True)
            tell(run)

    def run(self, plan: Plan, contestant: Contestant, size: int, deadline: float) -> dict[str, Any]:
        wanted = targets(contestant.prefix, size)
        self.accounts.update({target.bucket: target.account for target in wanted})
        listed, inventory = self.home / f"{contestant.prefix}-{size}", self.home / f"{contestant.prefix}-{size}.json"
        write_list(listed, wanted)
        write_inventory(inventory, wanted, self.home / "backends" / contestant.prefix)
        forks = min(plan.forks, size)
        command = contestant.command.format(list=listed, inventory=inventory, forks=forks).split()
        self.relay.calls.clear()
        self.wire.reset(plan.latency_ms)
        with tempfile.TemporaryDirectory(dir=self.home) as user:
            # At least a minute, so that a run that began in time can end.
            limit_s = max(60.0, deadline - time.monotonic())
            log = results_folder() / f"{contestant.prefix}.log"
            cost = measured(command, self.environment(Path(user)), ROOT, log, limit_s, self.emulator.pid)
        about = {"contestant": contestant.name, "size": size, "latency_ms": plan.latency_ms, "forks": forks}
        return about | asdict(cost) | self.wire.counts()

    def environment(self, user: Path) -> dict[str, str]:
        """The same for all: credentials and endpoint as a shell has them, and a home where nothing is cached yet."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        return without_aws(kept, user) | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": sysconfig.get_path("purelib"),
            "AWS_ENDPOINT_URL": self.relay.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }

    def wrong(self, contestant: Contestant, size: int, phase: str, run: dict[str, Any]) -> list[str]:
        """What must not be: a run that failed, a state that was not reached, a write where nothing was to do."""
        if run["code"]:
            return [f"exit code {run['code']}"]
        if phase == "noop":
            return [] if contestant.is_blind or not run["writes"] else [f"{run['writes']} writes"]
        if contestant.is_partial:
            return []
        return [each for target in targets(contestant.prefix, size) for each in unmet(target, self.emulator.client)]


def results_folder() -> Path:
    folder = ROOT / "tests" / "output" / "benchmark"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def tell(run: dict[str, Any]) -> None:
    wrong = f"  WRONG: {'; '.join(run['wrong'][:3])}" if run["wrong"] else ""
    print(
        "{contestant:17} {size:4} {phase:8} wall {wall_s:7.2f}  cpu {cpu_s:7.2f}  {memory_mb:5.0f} MB  "
        "{requests:5} requests {writes:5} writes  depth {depth:g}  {connections:4} connections  "
        "others {others:.1f}".format(**run)
        + wrong,
        flush=True,
    )

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run all tests, or the parts that are named, and end with one line that counts them.

usage: test.py [--check | --thorough] [PART ...]

--check runs what needs no emulator, no terraform and no process of Ansible: unit tests, linters, documentation.
--thorough also runs the tests marked `thorough`, which repeat others on the second emulator or more often.
Parts run side by side, two processes more than there are cores, because each of them waits now and then.
A pytest part counts its tests, every other part counts as one. A part that is missing or runs nothing has failed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "output"
COUNTS = OUTPUT / "counts.txt"
CORES = min(os.cpu_count() or 2, 4)
PROCESSES = CORES + 2
STOP_TIMEOUT_S = 10
# How much of a command's output is shown: the verdict of one that passed, the story of one that failed.
LINES_IF_PASSED, LINES_IF_FAILED = 1, 80
#: Two thirds of sanity's time are for what tests/unit/plugins/test_imports.py, ruff and mypy prove as well.
SANITY = "--published --skip-test import --skip-test pylint"
#: What is filled into the commands of the parts: which tests pytest selects, by their markers, and options of sanity.
MODES = {
    "": {"selection": "not thorough", "sanity": SANITY},
    "--check": {"selection": "not (thorough or slow or emulator or terraform)", "sanity": SANITY},
    "--thorough": {"selection": "", "sanity": ""},
}
LEFT_OUT = ("ANSIBLE_", "AWS_", "MOLECULE_", "PYTEST_", "PYTHON", "TF_", "TFSTATE_")


@dataclass(frozen=True)
class Part:
    """Commands that all run, whatever the first ones say; `needs` is what must exist for them."""

    name: str
    commands: tuple[str, ...]
    needs: str = "."
    #: How many of PROCESSES it keeps busy.
    processes: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    is_quick: bool = False
    #: Among all parts, which keep the cores busy anyway: in one process, which collects once and hands over nothing.
    among_all: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        return OUTPUT / f"{self.name}.log"

    @property
    def report(self) -> Path:
        return OUTPUT / f"{self.name}.xml"

    def in_mode(self, mode: str, is_among_all: bool) -> Part:
        is_one = is_among_all and bool(self.among_all)
        commands = tuple(each.format(**MODES[mode]) for each in (self.among_all if is_one else self.commands))
        return replace(self, commands=commands, processes=1 if is_one else self.processes)

    @property
    def is_pytest(self) -> bool:
        return any(command.startswith("pytest ") for command in self.commands)


@dataclass(frozen=True)
class Run:
    """What a command said, and how it ended."""

    command: str
    lines: list[str]
    code: int
    #: Of its processor time, and of all the processes that it waited for.
    cpu_s: float = 0


@dataclass(frozen=True)
class Result:
    part: Part
    runs: list[Run]
    passed: int
    failed: int
    skipped: Counter[str]
    duration_s: float

    @property
    def cpu_s(self) -> float:
        return sum(run.cpu_s for run in self.runs)

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failed else "passed" if self.passed else "SKIPPED"


def pytest_part(
    name: str, folder: str, workers: int = 1, processes: int = 0, is_quick: bool = False, is_one_among_all: bool = False
) -> Part:
    among = f" -n {workers} --dist worksteal" if workers > 1 else ""
    command = f"pytest {folder} -q -m '{{selection}}' --color=no -p no:cacheprovider --junitxml=tests/output/{name}.xml"
    among_all = (command,) if is_one_among_all else ()
    return Part(name, (command + among,), folder, processes or workers, is_quick=is_quick, among_all=among_all)


# The longest first, so that none of them ends alone.
PARTS = (
    pytest_part("end_to_end", "tests/end_to_end", CORES * 2, processes=1),  # much of it is Terraform that waits
    pytest_part("integration", "tests/integration", CORES),
    pytest_part("playbooks", "tests/playbooks", CORES),
    pytest_part("unit", "tests/unit", CORES, is_quick=True, is_one_among_all=True),
    pytest_part("examples", "tests/docs", CORES, processes=1, is_quick=True),
    pytest_part("crash", "tests/crash", CORES, processes=1),  # much of it waits for processes that are killed
    pytest_part("overlap", "tests/overlap"),
    pytest_part("fleet", "tests/fleet"),
    Part("sanity", ("scripts/sanity {sanity}",), "scripts/sanity"),
    Part("molecule", ("scripts/molecule",), "scripts/molecule"),
    pytest_part("in_process", "tests/in_process"),
    Part(
        "lint",
        (
            "ruff check --output-format concise .",
            "ruff format --check --output-format concise .",
            "yamllint --strict .",
            "mypy -p ansible_collections.cornerstone.tfstate.plugins",
            "ansible-lint --offline",
        ),
        # mypy refuses site-packages, where the collection is linked for everything else.
        environment={"MYPYPATH": str(OUTPUT / "mypy")},
        is_quick=True,
    ),
    pytest_part("soak", "tests/soak"),
    pytest_part("pipelines", "tests/matrix/test_ways_in.py"),
    pytest_part("packaging", "tests/packaging"),
    Part(
        "docs",
        (
            "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .",
            "antsibull-changelog lint",
        ),
        is_quick=True,
    ),
    pytest_part("report", "tests/report"),
)


def main(arguments: list[str]) -> int:
    mode = next((mode for mode in MODES if mode in arguments), "")
    names = [name for name in arguments if name not in MODES]
    is_all = not names and mode != "--check"
    known = {part.name: part.in_mode(mode, is_all) for part in (*PARTS, *unlisted())}
    if unknown := set(names) - set(known):
        raise SystemExit(f"No part is named {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    prepare_output()
    start = time.monotonic()
    wanted = names or [name for name, part in known.items() if part.is_quick or mode != "--check"]
    results = run_all([known[name] for name in dict.fromkeys(wanted)])
    sum_up(results, time.monotonic() - start)
    return int(any(result.failed for result in results))


def unlisted() -> list[Part]:
    """Folders of tests that nobody wrote down above run all the same."""
    listed = {Path(part.needs) for part in PARTS}
    listed.add(Path("tests/matrix"))  # by scripts/matrix, each time with another ansible-core
    found = {Path("tests", path.relative_to(ROOT / "tests").parts[0]) for path in ROOT.glob("tests/*/**/test_*.py")}
    return [pytest_part(folder.name, str(folder)) for folder in sorted(found - listed) if folder.name != "output"]


def prepare_output() -> None:
    namespace = OUTPUT / "mypy" / "ansible_collections" / "cornerstone"
    namespace.mkdir(parents=True, exist_ok=True)
    link = namespace / "tfstate"
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT)
    COUNTS.unlink(missing_ok=True)


def run_all(parts: list[Part]) -> list[Result]:
    """The first part for which there is room starts next."""
    runner = Runner(aloud=len(parts) == 1)
    waiting, running, results = list(parts), dict[Future[Result], Part](), []
    with ThreadPoolExecutor(PROCESSES) as pool:
        try:
            while waiting or running:
                for part in list(waiting):
                    if part.processes <= PROCESSES - sum(each.processes for each in running.values()):
                        waiting.remove(part)
                        running[pool.submit(runner.run, part)] = part
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    results.append(future.result())
                    tell(results[-1], runner.aloud)
        except KeyboardInterrupt:
            runner.stop()
            raise
    return results


class Runner:
    """Runs parts, and can stop every process that it has started."""

    def __init__(self, aloud: bool) -> None:
        self.aloud = aloud
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._is_stopping = False

    def run(self, part: Part) -> Result:
        start = time.monotonic()
        print(f"=== {part.name} starts", flush=True)
        part.report.unlink(missing_ok=True)
        with part.log.open("w") as log:
            if (ROOT / part.needs).exists():
                runs = [self._command(command, part, log) for command in part.commands]
            else:
                runs = [Run(part.name, [f"{part.needs} is missing"], 1)]
        return count(part, runs, time.monotonic() - start)

    def _command(self, command: str, part: Part, log: TextIO) -> Run:
        print(f"$ {command}", file=log, flush=True)
        with self._lock:
            if self._is_stopping:
                return Run(command, [], 1)
            process = start_process(command, environment() | part.environment)
            self._processes.add(process)
        lines = []
        for line in process.stdout or ():
            lines.append(line.rstrip())
            print(lines[-1], file=log, flush=True)
            if self.aloud:
                print(lines[-1], flush=True)
        cpu_s = wait_for(process)
        with self._lock:
            self._processes.discard(process)
        return Run(command, lines, process.wait(), cpu_s)

    def stop(self) -> None:
        """SIGINT lets pytest end its emulators; whoever stays after that is killed."""
        with self._lock:
            self._is_stopping = True
            processes = list(self._processes)
        for process in processes:
            signal_group(process, signal.SIGINT)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in processes:
            signal_group(process, signal.SIGKILL)


def start_process(command: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shlex.split(command),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A group of its own, so that all that it starts can be stopped with it.
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str]) -> float:
    """The seconds that it and its children kept a core busy."""
    try:
        _pid, status, usage = os.wait4(process.pid, 0)
    except ChildProcessError:  # `Runner.stop` waited for it
        return 0
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def signal_group(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def environment() -> dict[str, str]:
    """Nothing of the user's AWS account, Ansible, Terraform or Python settings goes in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    wanted = {name: os.environ[name] for name in ("TFSTATE_REQUIRE_TERRAFORM",) if name in os.environ}
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # A service that starts tests may have none, and ansible-test gives up without.
        "HOME": str(Path.home()),
        # Not ~/.ansible, where an older copy of the collection may lie.
        "ANSIBLE_HOME": str(OUTPUT / "ansible"),
        "TF_CLI_CONFIG_FILE": os.devnull,
        # Terraform's own: commands end before garbage matters, and take a fifth less.
        "GOGC": "400",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }
    # Ansible refuses to start in a locale without UTF-8, such as that of a bare machine.
    return kept | wanted | own | ({"LC_ALL": "C.UTF-8"} if sys.platform == "linux" else {})


def count(part: Part, runs: list[Run], duration_s: float) -> Result:
    if part.is_pytest and part.report.exists():
        return count_tests(part, runs, duration_s)
    failed = int(any(run.code for run in runs))
    return Result(part, runs, 1 - failed, failed, Counter(), duration_s)


def count_tests(part: Part, runs: list[Run], duration_s: float) -> Result:
    cases = list(ElementTree.parse(part.report).iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    reasons = [reason(skip) for case in cases for skip in case.findall("skipped")]
    passed = len(cases) - failed - len(reasons)
    # No tests at all, an internal error or an interrupt appears in no test case.
    failed = failed or int(any(run.code for run in runs))
    return Result(part, runs, passed, failed, Counter(reasons), duration_s)


def reason(skip: ElementTree.Element) -> str:
    """pytest reports a known failure as a skip of another type."""
    prefix = "known to fail: " if skip.get("type") == "pytest.xfail" else ""
    return f"{prefix}{skip.get('message') or 'no reason given'}"


def tell(result: Result, is_told: bool) -> None:
    print(f"=== {result.part.name} {result.verdict}, {result.duration_s:.0f} s", flush=True)
    for run in [] if is_told else result.runs:
        print(f"  $ {run.command}")
        lines = [line for line in run.lines if line]
        shown = lines[-(LINES_IF_FAILED if run.code else LINES_IF_PASSED) :]
        if run.code and len(lines) > len(shown):
            print(f"    ... what comes before this is in {result.part.log.relative_to(ROOT)}")
        print("".join(f"    {line}\n" for line in shown), end="", flush=True)


def sum_up(results: list[Result], duration_s: float) -> None:
    print(f"\n{'part':12} {'time':>6} {'cpu':>6} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for each in results:
        numbers = f"{each.passed:7} {each.failed:7} {each.skipped.total():8}"
        times = f"{each.duration_s:4.0f} s {each.cpu_s:4.0f} s"
        print(f"{each.part.name:12} {times} {numbers}  {'FAILED' if each.failed else ''}".rstrip())
    print(f"{'in all':12} {duration_s:4.0f} s {sum(each.cpu_s for each in results):4.0f} s")
    for each in results:
        for why, times in each.skipped.items():
            print(f"SKIPPED in {each.part.name}: {why}{f' ({times} times)' if times > 1 else ''}")
    passed, failed = sum(each.passed for each in results), sum(each.failed for each in results)
    skipped = sum(each.skipped.total() for each in results)
    line = f"{passed} passed, {failed} failed, {skipped} skipped"
    COUNTS.write_text(f"{line}\n")
    print(f"\n{line}", flush=True)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # A shell that starts this in the background switches SIGINT off, for all that is started from here, too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit("Interrupted; all that was started has been stopped.") from None

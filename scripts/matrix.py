# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove the collection with old and new ansible-core, botocore and Python, and end with a table.

usage: matrix.py [smoke | pipelines] [CORE ...]

Each ansible-core runs with the oldest Python that it supports and the oldest botocore that we declare, and with the
newest of both. `smoke` is for every day: the role's creation and its repetition in-process and as a subprocess.
`pipelines` is every way in with every keyword and callback. Both run with the oldest and the newest only, unless an
ansible-core is named.
The emulator runs in the Python of the development tools, because it wants a botocore of its own. A Python that this
machine does not have is named in the table as not run; it is an error only if nothing could run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".state" / "matrix"
SITE = next((ROOT / ".venv").glob("lib/python3*/site-packages"), ROOT)
#: ansible-core -> the Pythons that may run it as a controller, the oldest first.
#: Source: https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html
CORES = {
    "2.17": ("3.10", "3.11", "3.12"),
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}
TOOLS = ("pytest", "hypothesis")
#: Collections that read what we made, and print what Ansible did.
READERS = ("amazon", "ansible", "community")
#: Not what tests the development tools themselves, which run in one Python only, nor the demo, which is one of them.
FULL = (
    "tests/unit/plugins",
    "tests/unit/roles",
    "tests/playbooks",
    "tests/integration/test_bad_inputs.py",
    "tests/integration/test_lives.py",
)
PARTS = {"smoke": ("tests/matrix/test_smoke.py",), "pipelines": ("tests/matrix",)}
LEFT_OUT = ("tests/playbooks/test_demo.py",)


@dataclass(frozen=True)
class Cell:
    """One ansible-core on one Python with one botocore."""

    core: str
    python: str
    botocore: str

    @property
    def name(self) -> str:
        return f"core-{self.core}-python-{self.python}-botocore-{self.botocore or 'newest'}"

    @property
    def home(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def wanted(self) -> list[str]:
        # amazon.aws, our independent reader, wants boto3, which goes with the botocore of its own number.
        clients = [f"{each}=={self.botocore}" if self.botocore else each for each in ("botocore", "boto3")]
        return [f"ansible-core=={self.core}.*", *clients, *TOOLS]


@dataclass(frozen=True)
class Verdict:
    cell: Cell
    is_green: bool | None
    said: str
    duration_s: float = 0


def main(words: list[str]) -> int:
    part = next((word for word in words if word in PARTS), None)
    named = [word for word in words if word not in PARTS]
    cores = named or [*CORES]
    if unknown := set(cores) - set(CORES):
        raise SystemExit(f"No ansible-core is known as {', '.join(sorted(unknown))}; there are {', '.join(CORES)}.")
    chosen = [*cells(cores)]
    are_corners = part is not None and not named
    if are_corners:
        chosen = [*chosen[:1], *chosen[1:][-1:]]
    verdicts = [*missing([cores[0], cores[-1]] if are_corners else cores)]
    for cell in chosen:
        print(f"--- {cell.name}", flush=True)
        verdicts.append(check_cell(cell, PARTS[part] if part else FULL))
    print_verdicts(verdicts)
    return int(any(verdict.is_green is False for verdict in verdicts) or not chosen)


def cells(cores: list[str]) -> Iterator[Cell]:
    """The corners: the oldest Python with the oldest botocore, and the newest with the newest."""
    for core in cores:
        had = [version for version in CORES[core] if python(version)]
        if had:
            yield Cell(core, had[0], declared("botocore"))
            yield Cell(core, had[-1], "")


def missing(cores: list[str]) -> Iterator[Verdict]:
    for core in cores:
        for version in CORES[core]:
            if not python(version):
                yield Verdict(Cell(core, version, ""), None, f"not run: Python {version} is not on this machine")


def declared(package: str) -> str:
    """The oldest version that requirements.txt permits."""
    found = re.search(rf"^{package}>=([\d.]+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"requirements.txt no longer says which {package} is the oldest.")
    return found[1] + ".0" * (2 - found[1].count("."))


def python(version: str) -> str | None:
    """A Python of this version that runs; a shim of pyenv may not."""
    places = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    places += [f"{folder}/python{version}" for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")]
    says = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    return next((place for place in places if place and output_of([place, "-c", says]) == version), None)


def output_of(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    except OSError:
        return ""


def check_cell(cell: Cell, tests: tuple[str, ...]) -> Verdict:
    start = time.monotonic()
    if problem := prepare(cell):
        return Verdict(cell, False, f"could not be installed: {problem}", time.monotonic() - start)
    ready = time.monotonic()
    report = ENVIRONMENTS / f"{cell.name}.log"
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    command = [str(cell.home / "bin" / "python"), "-m", "pytest", *tests, *ignored, "-q", "--color=no", "-rfEs"]
    with report.open("w") as log:
        code = subprocess.run(
            [*command, "-p", "no:cacheprovider", "-k", "not moto"],
            cwd=ROOT,
            env=environment(cell),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    lines = report.read_text().splitlines()
    said = lines[-1].strip("= ") if lines else "said nothing"
    if code:
        print("\n".join(lines[-60:]), flush=True)
    return Verdict(cell, code == 0, f"{versions(cell)}: {said}", time.monotonic() - ready)


def versions(cell: Cell) -> str:
    says = "import botocore; from ansible.release import __version__ as core; print(core, botocore.__version__)"
    core, botocore = output_of([str(cell.home / "bin" / "python"), "-c", says]).split()
    return f"ansible-core {core}, botocore {botocore}"


def prepare(cell: Cell) -> str:
    """Makes the cell's venv, unless it is there; what went wrong."""
    stamp, wanted = cell.home / "installed", hashlib.sha256(" ".join(cell.wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    shutil.rmtree(cell.home, ignore_errors=True)
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    log = ENVIRONMENTS / f"{cell.name}.install.log"
    pip = [sys.executable, "-m", "pip", "--python", str(cell.home / "bin" / "python"), "--disable-pip-version-check"]
    steps = (
        [str(python(cell.python)), "-m", "venv", "--without-pip", str(cell.home)],
        [*pip, "install", "--no-input", "--retries", "2", "--no-compile", *cell.wanted],
    )
    for step in steps:
        with log.open("a") as output:
            if subprocess.run(step, stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
                return log.read_text().splitlines()[-1]
    link_collections(cell)
    stamp.write_text(wanted)
    return ""


def link_collections(cell: Cell) -> None:
    collections = next(cell.home.glob("lib/python3*/site-packages")) / "ansible_collections"
    (collections / "cornerstone").mkdir(parents=True)
    (collections / "cornerstone" / "tfstate").symlink_to(ROOT)
    for reader in READERS:
        (collections / reader).symlink_to(SITE / "ansible_collections" / reader)


def environment(cell: Cell) -> dict[str, str]:
    """Nothing of the user's AWS account, Ansible or Python settings goes in."""
    left_out = ("ANSIBLE_", "AWS_", "PYTEST_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {
        **kept,
        "PATH": os.pathsep.join([str(cell.home / "bin"), kept["PATH"]]),
        "TFSTATE_EMULATOR_PYTHON": sys.executable,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANSIBLE_HOME": str(cell.home / "ansible"),
        "PYTHONUNBUFFERED": "1",
        **({"LC_ALL": "C.UTF-8"} if sys.platform == "linux" else {}),
    }


def print_verdicts(verdicts: list[Verdict]) -> None:
    words = {True: "green", False: "RED", None: "-"}
    print(f"\n{'ansible-core':13} {'python':7} {'botocore':9} {'':6} {'time':>6}")
    for each in sorted(verdicts, key=lambda verdict: [int(part) for part in verdict.cell.core.split(".")]):
        cell, word = each.cell, words[each.is_green]
        told = f"{cell.core:13} {cell.python:7} {cell.botocore or 'newest':9} {word:6}"
        print(f"{told} {each.duration_s:4.0f} s  {each.said}")
    counts = [sum(verdict.is_green is state for verdict in verdicts) for state in (True, False, None)]
    print("matrix: {} green, {} red, {} not run".format(*counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

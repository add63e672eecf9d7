# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make .venv hold what a requirements file names, and this checkout as the collection.

usage: install.py requirements-demo.txt
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOG = ROOT / ".state" / "install.log"
UV = shutil.which(os.environ.get("UV", "uv"))
TICK_S = 2

USABLE = "import sys; sys.exit(sys.version_info < (3, 11))"
USABLE_WITH_PIP = f"import pip; {USABLE}"


def main() -> None:
    requirements = ROOT / sys.argv[1]
    stamp = VENV / f".installed-{requirements.name}"
    wanted = fingerprint(requirements)
    if not (runs(USABLE) and stamp.exists() and stamp.read_text() == wanted):
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("")
        if not runs(USABLE if UV else USABLE_WITH_PIP):
            make_venv()
        install(requirements)
        stamp.write_text(wanted)
    link_collection()


def fingerprint(requirements: Path) -> str:
    """Differs when the file, or one that it includes, differs."""
    text = requirements.read_text()
    included = [fingerprint(requirements.parent / name) for name in re.findall(r"^-r (\S+)", text, re.MULTILINE)]
    return hashlib.sha256("\n".join([text, *included]).encode()).hexdigest()


def runs(code: str) -> bool:
    return (
        VENV_PYTHON.exists()
        and subprocess.run([VENV_PYTHON, "-c", code], capture_output=True, check=False).returncode == 0
    )


def make_venv() -> None:
    # Debian and Ubuntu ship Python without the part that puts pip into a venv.
    if not importlib.util.find_spec("venv") or not (UV or importlib.util.find_spec("ensurepip")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SystemExit(
            f"This Python {version} cannot make virtual environments; "
            f"on Debian and Ubuntu: apt install python3-venv (or python{version}-venv)."
        )
    shutil.rmtree(VENV, ignore_errors=True)
    print(f"Making .venv with Python {sys.version.split()[0]}", end="", flush=True)
    pip = ["--without-pip"] if UV else []
    run_aloud([sys.executable, "-m", "venv", *pip, str(VENV)], f"Could not make .venv with {sys.executable}.")


def install(requirements: Path) -> None:
    tool = [UV, "pip", "install", "--python", str(VENV_PYTHON)] if UV else [str(VENV_PYTHON), "-m", "pip", "install"]
    options = [] if UV else ["--disable-pip-version-check", "--no-input", "--retries", "2"]
    print(f"Installing {requirements.name} with {'uv' if UV else 'pip'}", end="", flush=True)
    hint = " (uv does not read pip.conf; to take pip instead: make ... UV=)" if UV else ""
    run_aloud(
        [*tool, *options, "-r", str(requirements)],
        f"Could not install {requirements.name}: is the Python package index within reach?{hint}",
    )


def run_aloud(command: list[str], complaint: str) -> None:
    """Run a command whose output goes to the log; show package names, and a dot every two seconds."""
    start = time.monotonic()
    # A user's --user or --target defaults would lead out of the venv.
    astray = ("PIP_USER", "PIP_TARGET", "PYTHONHOME", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in astray}
    done = threading.Event()
    threading.Thread(target=tick, args=(done,), daemon=True).start()
    last = shown = ""
    with (
        LOG.open("a") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            last = line.strip() or last
            # pip names a package once more for each version that it considers.
            if progress(line) not in shown:
                shown += progress(line)
                print(progress(line), end="", flush=True)
    done.set()
    print(f" ({time.monotonic() - start:.0f} s)")
    if process.returncode:
        raise SystemExit(f"{complaint}\nThe last of {LOG.relative_to(ROOT)}: {last}")


def tick(done: threading.Event) -> None:
    while not done.wait(TICK_S):
        print(".", end="", flush=True)


def progress(line: str) -> str:
    found = re.match(r"Collecting ([\w.-]+)|(Installing) collected|(Resolved|Prepared) \d", line)
    if not found:
        return ""
    package, installing, uv_step = found.groups()
    return f" {package}" if package else f"\n  {(installing or uv_step).lower()}"


def link_collection() -> None:
    """Ansible, pytest and mypy then find the checkout without a variable or setting."""
    namespace = next(VENV.glob("lib/python3*/site-packages")) / "ansible_collections" / "cornerstone"
    namespace.mkdir(parents=True, exist_ok=True)
    link = namespace / "tfstate"
    if not (link.is_symlink() and link.readlink() == ROOT):
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None

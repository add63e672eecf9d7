# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run `ansible-test sanity` over this checkout, uncommitted files included.

usage: sanity.py [--published] [ARGUMENTS OF ansible-test sanity]

--published tests only what the tarball contains, and only on the Python that runs this: a third of the time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CACHE = Path.home() / ".ansible" / "test" / "cache"

# Not in the tarball, and more than half of the Python code; ruff checks them.
PUBLISHED = [
    *("--python", f"{sys.version_info.major}.{sys.version_info.minor}"),
    *("--exclude", "tests/", "--exclude", "scripts/"),
]

# ansible-test fetches get-pip.py from a host of its own; with this, the Python package index is enough.
STAND_IN = """\
import subprocess
import sys

# In a process of its own, because ensurepip switches the settings of pip off.
subprocess.check_call([sys.executable, "-m", "ensurepip"])
wanted = [each for each in sys.argv[1:] if each not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
"""


def main() -> int:
    provide_get_pip()
    with tempfile.TemporaryDirectory() as scratch:
        # ansible-test resolves links, and works only below a folder of this name.
        tree = Path(scratch).resolve() / "ansible_collections" / "cornerstone" / "tfstate"
        copy_checkout(tree)
        return run(tree, [word for each in sys.argv[1:] for word in (PUBLISHED if each == "--published" else [each])])


def provide_get_pip() -> None:
    spec = find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("ansible-test is missing: run `make dev` first.")
    source = Path(spec.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    CACHE.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"\bpip='([\d.]+)'", source.read_text())):
        script = CACHE / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            script.write_text(STAND_IN)


def copy_checkout(tree: Path) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # a file may be deleted and still be listed
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)


def run(tree: Path, arguments: list[str]) -> int:
    command = [str(BIN / "ansible-test"), "sanity", "--local", *arguments]
    output = subprocess.Popen(
        command, cwd=tree, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ran = 0
    for line in output.stdout or ():
        ran += line.startswith("Running sanity test ")
        print(line, end="", flush=True)
    status = output.wait()
    # ansible-test is content when it has skipped everything.
    print(f"sanity: {ran} tests ran" if ran else "sanity: nothing ran")
    return status or not ran


def environment() -> dict[str, str]:
    """The environment, with Pythons that run: the shims of pyenv fail for every version that is not switched on."""
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder).name != "shims"]
    return {**os.environ, "PATH": os.pathsep.join([str(BIN), *folders])}


if __name__ == "__main__":
    raise SystemExit(main())

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection as a user has it: built, and installed beside an Ansible that has never seen this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from scripts.sanity import copy_checkout
from tests.support.clean_environment import without_aws

ASTRAY = ("ANSIBLE_", "PYTHON")
STRAY = "left-by-a-tool"


@dataclass(frozen=True)
class Installation:
    """A venv with Ansible, and a folder of collections; `run` gives what a program of the venv says."""

    venv: Path
    collections: Path
    home: Path

    @property
    def collection(self) -> Path:
        return self.collections / "ansible_collections" / "cornerstone" / "tfstate"

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    def run(self, program: str, *arguments: str, **environment: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ASTRAY)}
        own = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), "LC_ALL": "C.UTF-8"}
        run = subprocess.run(
            [str(self.venv / "bin" / program), *arguments],
            cwd=self.home,
            env=without_aws(clean, self.home) | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, f"{program} ended with {run.returncode}:\n{run.stdout}"
        return run.stdout

    def install(self, tarball: Path) -> None:
        """In place of the release that is there, if any."""
        where = ("-p", str(self.collections), "--offline", "--force")
        self.run("ansible-galaxy", "collection", "install", str(tarball), *where)


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows, and a stray file in every place that it ignores."""
    scratch = tmp_path_factory.mktemp("build")
    copy_checkout(scratch / "checkout")
    for pattern in (scratch / "checkout" / ".gitignore").read_text().splitlines():
        if pattern.startswith("/"):
            ignored = scratch / "checkout" / pattern.strip("/").replace("*", "x")
            ignored.mkdir(parents=True)
            (ignored / STRAY).touch()
    galaxy = [Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", scratch]
    subprocess.run([*map(str, galaxy)], cwd=scratch / "checkout", check=True, stdout=subprocess.DEVNULL)
    (built,) = scratch.glob("cornerstone-tfstate-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installation(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    home = tmp_path_factory.mktemp("user")
    installation = Installation(home / "venv", home / "collections", home)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(installation.venv)], check=True)
    same_versions = home / "constraints.txt"
    same_versions.write_text("\n".join(f"{each.name}=={each.version}" for each in distributions()))
    into = (installation.python, "-c", str(same_versions))
    pip_install(*into, f"ansible-core=={version('ansible-core')}")
    installation.install(tarball)
    pip_install(*into, "-r", str(installation.collection / "requirements.txt"))
    return installation


def pip_install(python: str | Path, *arguments: str) -> None:
    """With uv, or our own pip: the venv stays empty, and the packages that we have are found in the cache."""
    uv = shutil.which("uv")
    tool = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", f"--python={python}", "install"]
    into = [f"--python={python}"] if uv else ["--no-compile", "--disable-pip-version-check"]
    run = subprocess.run([*tool, *into, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

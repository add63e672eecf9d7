# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in the tarball."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.packaging.conftest import STRAY, pip_install
from tests.support.clean_environment import without_aws

ROOT = Path(__file__).parents[2]
FOR_USERS = {"CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "requirements.txt"}
FOLDERS_FOR_USERS = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
SIZE_LIMIT = 900_000
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
#: galaxy-importer and what it needs that the development tools lack; their attrs is too new for it.
IMPORTER = ("galaxy-importer==0.4.44", "attrs<24", "markdown<4", "nh3<4", "semantic-version<3")
DOCUMENTED = sorted(
    {
        path.parent.name.removesuffix("s")
        for path in (ROOT / "plugins").glob("*/*.py")
        if "\nDOCUMENTATION = " in path.read_text()
    }
)
#: ansible-doc takes a second for each type of plugin: only for those that there are.
IMPORT = """
from galaxy_importer import constants, main
constants.ANSIBLE_DOC_SUPPORTED_TYPES[:] = {types}
raise SystemExit(main.main())
"""


@pytest.fixture(scope="session")
def names(tarball: Path) -> set[str]:
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive if member.isfile()}


def test_only_what_users_need_is_in_it(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} - FOR_USERS - FOLDERS_FOR_USERS == set(), "add it to build_ignore"


def test_nothing_in_it_was_left_by_tools(names: set[str]) -> None:
    assert [name for name in names if name.endswith((".pyc", ".retry", STRAY)) or "/." in f"/{name}"] == []


@pytest.mark.parametrize("folder", ["meta", "playbooks", "plugins", "roles"])
def test_all_that_users_need_is_in_it(folder: str, names: set[str]) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", folder]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert {name for name in listed if (ROOT / name).is_file()} - names == set()


def test_what_galaxy_shows_is_in_it(names: set[str]) -> None:
    assert {"README.md", "LICENSE", "CHANGELOG.rst"} - names == set()


def test_its_requirements_are_boto3_and_what_the_modules_import() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line.split(">=")[0] for line in lines if not line.startswith("#")] == ["boto3", "botocore"]


def test_it_is_small(tarball: Path) -> None:
    assert tarball.stat().st_size < SIZE_LIMIT


def test_galaxy_imports_it(tarball: Path, tmp_path: Path) -> None:
    """By galaxy-importer itself, which Galaxy runs; only ansible-lint is left to `make lint`."""
    pip_install(sys.executable, "--target", str(tmp_path / "importer"), "--no-deps", *IMPORTER)
    environment = without_aws(os.environ, tmp_path) | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(tmp_path / "importer"),
        "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false",
        "LC_ALL": "C.UTF-8",
    }
    run = subprocess.run(
        [sys.executable, "-c", IMPORT.format(types=DOCUMENTED), str(tarball)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line for line in run.stdout.splitlines() if line.startswith(("WARNING", "ERROR"))] == []
    pages = json.loads((tmp_path / "importer_result.json").read_text())["docs_blob"]
    assert pages["collection_readme"]["html"]
    assert [each["content_name"] for each in pages["contents"] if each["content_type"] == "module"] == MODULES
    ours = [each for each in pages["contents"] if each["content_type"] in DOCUMENTED]
    assert [each["content_name"] for each in ours if not each["doc_strings"]] == []

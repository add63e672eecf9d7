# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in the tarball."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.packaging.conftest import STRAY

ROOT = Path(__file__).parents[2]
FOR_USERS = {"CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "requirements.txt"}
FOLDERS_FOR_USERS = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
SIZE_LIMIT = 600_000


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


def test_it_is_small(tarball: Path) -> None:
    assert tarball.stat().st_size < SIZE_LIMIT


def test_galaxy_takes_what_it_says_of_itself(tarball: Path) -> None:
    """Source: galaxy_importer/schema.py of ansible/galaxy-importer."""
    with tarfile.open(tarball) as archive:
        manifest = archive.extractfile("MANIFEST.json")
        assert manifest
        about = json.load(manifest)["collection_info"]
    assert about["authors"] and max(map(len, about["authors"])) <= 64
    assert max(map(len, about["tags"])) <= 64 and len(about["tags"]) <= 20
    assert max(map(len, about["license"])) <= 32

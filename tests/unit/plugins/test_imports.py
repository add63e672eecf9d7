# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every file can be imported, without botocore, and says nothing: as `ansible-test sanity --test import` asks."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COLLECTION = "ansible_collections.cornerstone.tfstate"
REMOTE = ("modules", "module_utils")
FILES = sorted((ROOT / "plugins").rglob("*.py"))


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join([COLLECTION, *(part for part in parts if part != "__init__")])


def problems(where: str, names: list[str]) -> dict[str, str]:
    script = Path(__file__).with_name("importing.py")
    run = subprocess.run([sys.executable, str(script), where, *names], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, str] = json.loads(run.stdout)
    return found


def is_remote(file: Path) -> bool:
    return file.relative_to(ROOT / "plugins").parts[0] in REMOTE


@pytest.mark.parametrize("where", ["remote", "controller"])
def test_every_file_can_be_imported_and_says_nothing(where: str) -> None:
    names = [name_of(file) for file in FILES if is_remote(file) == (where == "remote")]
    assert len(names) > 25
    assert problems(where, names) == {}


def test_what_may_not_be_imported_is_seen() -> None:
    assert problems("remote", ["ansible.errors", "yaml", "botocore", "json", "this"]).keys() == {
        *("ansible.errors", "yaml", "botocore", "this")
    }
    assert problems("controller", ["ansible.errors", "botocore"]).keys() == {"botocore"}


def test_what_is_deprecated_names_the_collection_and_a_version_to_come() -> None:
    """As the pylint plugin of ansible-test asks."""
    released = tuple(map(int, yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"].split(".")))
    calls = [
        node
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("deprecate", "deprecated")
    ]
    assert calls
    for call in calls:
        given = {each.arg: each.value for each in call.keywords}
        version, collection = given["version"], given["collection_name"]
        assert isinstance(version, ast.Constant) and isinstance(collection, ast.Constant)
        assert tuple(map(int, str(version.value).split("."))) > released
        assert collection.value == "cornerstone.tfstate"

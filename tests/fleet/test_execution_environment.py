# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image for AWX: ansible-builder takes our example, and finds what the collection needs in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("ansible_builder")

ROOT = Path(__file__).parents[2]
BUILDER = Path(sys.executable).with_name("ansible-builder")


def build(*arguments: object) -> str:
    done = subprocess.run(
        [BUILDER, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ansible_builder_takes_the_example(tmp_path):
    build("create", "--context", tmp_path / "context")
    recipe = next((tmp_path / "context").glob("*file")).read_text()
    base = yaml.safe_load((ROOT / "execution-environment.yml").read_text())["images"]["base_image"]["name"]
    assert f'ARG EE_BASE_IMAGE="{base}"' in recipe
    assert "ansible-core" in recipe
    wanted = yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text())
    assert wanted["collections"] == [{"name": "cornerstone.tfstate"}]


def test_the_collection_brings_its_requirements_along(tmp_path):
    place = tmp_path / "ansible_collections" / "cornerstone" / "tfstate"
    place.parent.mkdir(parents=True)
    place.symlink_to(ROOT)
    found = yaml.safe_load(build("introspect", tmp_path))["python"]
    assert sorted(each.split(">=")[0] for each in found) == ["boto3", "botocore"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the page of a report says about its origin, and what it must not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report import provenance
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.provenance import command, version

PLAY = "/usr/bin/ansible-playbook"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((PLAY, "audit.yml", "-i", "inventories/my own"), "ansible-playbook audit.yml -i 'inventories/my own'"),
        ((PLAY, "audit.yml", "-e", "x_secret_key=s3cret", "-l", "eu"), "ansible-playbook audit.yml -e ... -l eu"),
        ((PLAY, "--extra-vars=x=s3cret", "audit.yml"), "ansible-playbook --extra-vars ... audit.yml"),
        ((PLAY, "--extra-v", "x=s3cret", "audit.yml"), "ansible-playbook --extra-v ... audit.yml"),
        ((PLAY, "-ex=s3cret", "-vvex=s3cret", "a.yml"), "ansible-playbook -e ... -vve ... a.yml"),
        ((PLAY, "-e", "@values.yml", "-e@more.yml"), "ansible-playbook -e @values.yml -e @more.yml"),
        (("/usr/bin/ansible", "-a", "x=s3cret", "-m", "y"), "ansible -a ... -m y"),
        (("/opt/ansible", "--args=x=s3cret"), "ansible --args ..."),
        (("/opt/own-tool", "s3cret"), ""),
    ],
)
def test_the_command_has_no_values_of_variables(arguments: tuple[str, ...], expected: str) -> None:
    assert command(arguments) == expected


def test_the_version_is_that_of_the_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = yaml.safe_load((provenance.COLLECTION / "galaxy.yml").read_text())["version"]
    assert version() == f"{described} (checkout)"
    monkeypatch.setattr(provenance, "COLLECTION", tmp_path)
    assert version() == "unknown"
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "1.2.3"}}))
    assert version() == "1.2.3"

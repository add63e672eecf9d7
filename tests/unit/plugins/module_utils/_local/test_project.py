# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A project's files come to name a backend, and what a checkout is initialised to is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.project import TerraformProject
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_block import Edit, NotSimple
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import BackendConfig

BACKEND = BackendConfig("moved", "new-state", "", "eu-west-1", "app.tfstate", table="new-locks")
ARGUMENTS = """bucket         = "new-state"
key            = "app.tfstate"
region         = "eu-west-1"
encrypt        = true
use_lockfile   = true
dynamodb_table = "new-locks"
"""


def edits(project: TerraformProject) -> list[Edit]:
    found = project.edits(BACKEND)
    assert not isinstance(found, NotSimple)
    return found


def test_a_block_is_replaced_with_its_file_s_own_line_ends_and_then_there_is_nothing_to_do(tmp_path: Path):
    text = b'terraform {\r\n  backend "s3" {\r\n    bucket = "old"\r\n  }\r\n}\r\n# \xc3\xa9\r\n'
    (tmp_path / "main.tf").write_bytes(text)
    project = TerraformProject(tmp_path, "terraform")
    project.write(edits(project))
    block = "".join(f"    {line}\r\n" for line in ARGUMENTS.splitlines()).encode()
    assert (tmp_path / "main.tf").read_bytes() == text.replace(b'    bucket = "old"\r\n', block)
    assert edits(project) == []


def test_a_file_of_arguments_is_written_and_the_block_emptied(tmp_path: Path):
    (tmp_path / "main.tf").write_text('terraform {\n  backend "local" {\n  }\n}\n')
    (tmp_path / "prod.s3.tfbackend").write_text('bucket = "old"\n')
    project = TerraformProject(tmp_path, "terraform", tfbackend="prod.s3.tfbackend")
    project.write(edits(project))
    assert (tmp_path / "main.tf").read_text() == 'terraform {\n  backend "s3" {}\n}\n'
    assert (tmp_path / "prod.s3.tfbackend").read_text().endswith(f"\n{ARGUMENTS}")
    assert edits(project) == []


def test_code_without_a_backend_gets_a_file_for_it(tmp_path: Path):
    (tmp_path / "main.tf").write_text("")
    (tmp_path / "folder.tf").mkdir()
    (edit,) = edits(TerraformProject(tmp_path, "terraform"))
    assert (edit.name, edit.before) == ("backend.tf", None)


@pytest.mark.parametrize(
    ("changed", "is_it"),
    [
        ({}, True),
        ({"encrypt": None}, False),
        ({"profile": "mine"}, False),
        ({"use_lockfile": False}, False),
        ({"key": "other"}, False),
        ({"workspace_key_prefix": "teams"}, False),
    ],
)
def test_a_checkout_knows_what_it_is_initialised_to(tmp_path: Path, changed: dict[str, Any], is_it: bool):
    project = TerraformProject(tmp_path, "terraform")
    assert not project.is_initialised_to(BACKEND)
    config = {"bucket": "new-state", "key": "app.tfstate", "region": "eu-west-1", "use_lockfile": True, "encrypt": True}
    config |= {"dynamodb_table": "new-locks", "workspace_key_prefix": None} | changed
    (tmp_path / ".terraform").mkdir()
    told = {"version": 3, "backend": {"type": "s3", "config": config, "hash": 1}}
    (tmp_path / ".terraform" / "terraform.tfstate").write_text(json.dumps(told))
    assert project.is_initialised_to(BACKEND) is is_it


def test_a_client_that_is_missing_is_told(tmp_path: Path):
    with pytest.raises(TfstateError, match="no-such-client cannot be run: No such file or directory; set client"):
        TerraformProject(tmp_path, "no-such-client").init()


def test_a_client_that_hangs_is_told(tmp_path: Path):
    client = tmp_path / "client"
    client.write_text("#!/bin/sh\nexec sleep 60\n")
    client.chmod(0o755)
    with pytest.raises(TfstateError, match=r"client init in .* took more than 0 s: raise client_timeout"):
        TerraformProject(tmp_path, str(client), timeout_s=0).init()


def test_what_a_client_says_of_its_failure_is_told(tmp_path: Path):
    client = tmp_path / "client"
    client.write_text("#!/bin/sh\necho secret\necho '│ Error: no way' >&2\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(TfstateError, match=r"client plan in .* failed for workspace dev: Error: no way$"):
        TerraformProject(tmp_path, str(client)).verify_plan("dev")


def test_files_that_no_client_reads_are_left_alone(tmp_path: Path):
    (tmp_path / ".old.tf").write_text('terraform {\n  backend "s3" {\n  }\n}\n')
    (tmp_path / "._main.tf").write_bytes(b"\x00\x05\x16\x07\xff")
    (edit,) = edits(TerraformProject(tmp_path, "terraform"))
    assert (edit.name, edit.before) == ("backend.tf", None)


def test_a_link_is_left_to_people(tmp_path: Path):
    (tmp_path / "shared.tf").write_text('terraform {\n  backend "s3" {\n  }\n}\n')
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "backend.tf").symlink_to("../shared.tf")
    found = TerraformProject(tmp_path / "project", "terraform").edits(BACKEND)
    assert found == NotSimple("backend.tf is a link, and others may read what it leads to")

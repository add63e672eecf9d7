# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command lines of scripts and pipelines that configure a backend."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import code_map
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_partial import commands_in, is_script

A, AB = {"bucket": "a"}, {"bucket": "a", "key": "b"}
LINES: dict[str, list[tuple[str | None, tuple[str, ...], dict[str, str]]]] = {
    'terraform init -backend-config="bucket=a" -backend-config=key="x y"': [(None, (), {**A, "key": "x y"})],
    "terraform init --backend-config=bucket=a": [(None, (), A)],
    'terraform init -backend-config=\\"bucket=a\\"': [(None, (), A)],
    "x=`echo -backend-config=bucket=a`": [(None, (), A)],
    '["init", "-backend-config=bucket=a", "-backend-config=key=b"]': [(None, (), AB)],
    'args: ["-backend-config", "bucket=a", "-backend-config", "key=b"]': [(None, (), AB)],
    "- -backend-config=bucket=a\n- -backend-config=key=b\n": [(None, (), AB)],
    'TF_CLI_ARGS_init="-backend-config=bucket=a -backend-config=key=b"': [(None, (), AB)],
    'terraform init \\\n -backend-config "bucket=a"\nterraform init -backend-config=key=b': [
        (None, (), A),
        (None, (), {"key": "b"}),
    ],
    "cd app && terraform init -backend-config=backend.hcl": [("app", ("backend.hcl",), {})],
    "cd $DIR\nterraform init -backend-config=../env/$E.hcl": [("*", ("../env/*.hcl",), {})],
    "tofu -chdir=a/b init -backend-config=x.tfbackend -reconfigure": [("a/b", ("x.tfbackend",), {})],
    "terraform init -backend-config=unheard_of=x": [],
    "terraform init -backend=false": [],
}
OPEN = (
    'terraform init -backend-config="bucket=${{ env.B }}"',
    "terraform init -backend-config=bucket=$(BUCKET)",
    'run([f"-backend-config=bucket={bucket}"])',
    "terraform init -backend-config=bucket={{ bucket }}",
    "terraform init -backend-config=bucket=%BUCKET%",
    "terraform init -backend-config=bucket=<name>",
    "terraform init -backend-config=bucket=`name`",
)


@pytest.mark.parametrize("text", LINES)
def test_a_command_line_is_read(text: str) -> None:
    found = [(each.directory, each.files, dict(each.layer.arguments)) for each in commands_in("x.sh", text)]
    assert found == LINES[text]


@pytest.mark.parametrize("text", OPEN)
def test_what_a_variable_decides_is_unknown(text: str) -> None:
    assert not any(each.layer.arguments.get("bucket") for each in commands_in("x.sh", text))
    assert all("bucket" in each.layer.unknown for each in commands_in("x.sh", text))
    partial = ("main.tf", 'terraform {\n  backend "s3" {}\n}\n')
    assert code_map([partial, ("x.sh", text)]).unknown()


@pytest.mark.parametrize(
    "name", ["Makefile", "Makefile.dev", "ci.yml", "Jenkinsfile", "x.ps1", "Taskfile.yaml", ".envrc"]
)
def test_scripts_are_known_by_their_names(name: str) -> None:
    assert is_script(name) and not is_script("README.md")


SHARED: Any = 'bucket = "b"\nregion = "eu-west-1"\nuse_lockfile = true\n'


def test_a_root_makefile_for_a_folder_that_a_variable_names_counts_and_leaves_the_layers_open() -> None:
    files = [
        ("live/a/main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
        ("Makefile", "init:\n\tterraform -chdir=$(DIR) init -backend-config=bucket=b -backend-config=key=$(DIR)\n"),
    ]
    code = code_map(files)
    assert [(each.path, each.arguments.get("bucket")) for each in code.layers] == [
        ("Makefile", "b"),
        ("live/a/main.tf", None),
    ]
    assert [each.path for each in code.unknown()] == ["live/a/main.tf"]


def test_a_file_that_a_script_takes_from_each_folder_completes_each() -> None:
    block = 'terraform {\n  backend "s3" {}\n}\n'
    script = "cd $1\nterraform init -backend-config=backend/$STAGE.conf\n"
    files = [("live/a/main.tf", block), ("live/b/main.tf", block), ("scripts/init.sh", script)]
    files += [(f"live/{name}/backend/dev.conf", f'{SHARED}key = "{name}"\n') for name in "ab"]
    code = code_map(files)
    assert [(each.directory, each.arguments["key"]) for each in code.layers] == [("live/a", "a"), ("live/b", "b")]
    assert code.unknown() == []

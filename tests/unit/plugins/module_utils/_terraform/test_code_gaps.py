# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients that hide beside code that is ready: gates have to see them, or to say that they cannot."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import (
    LARGEST_SCRIPT_BYTES,
    read_code,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.requirements import namings, reasons
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_layer import UnreadableCode, describe
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap, code_map
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_partial import writes_backend
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.globs import covers, literal

from tests.support.code_forms import (
    ARGUMENTS,
    BUCKET,
    LOCAL,
    PARTIAL,
    TABLE,
    Form,
    arguments,
    block,
    generate,
    remote_state,
)
from tests.unit.plugins.module_utils._terraform.test_code_forms import read, step_of, teardown_of, written

READY = arguments(dynamodb_table=None, use_lockfile=True)
ARN = f"arn:aws:dynamodb:eu-west-1:123456789012:table/{TABLE}"
#: A partial block that seems complete. What its other clients are told is elsewhere.
COMPLETED = {"app/main.tf": PARTIAL, "app/dev.tfbackend": READY}
COMMAND = f"terraform init -backend-config=bucket={BUCKET} -backend-config=dynamodb_table={TABLE}\n"
READER = f'data "terraform_remote_state" "x" {{\n  backend = "s3"\n  config = {{\n{arguments(bucket="other")}  }}\n}}\n'


def removal(code: CodeMap) -> list[str]:
    return [*reasons(step_of(code), ()), *namings(step_of(code))]


def beside(name: str, text: Any) -> tuple[dict[str, Any], str]:
    return {**COMPLETED, name: text}, name


def alone(name: str, text: Any, **more: Any) -> tuple[dict[str, Any], str]:
    return {name: text, **more}, name


#: By what it is: files, and the one that has to be named.
HIDDEN: dict[str, tuple[dict[str, Any], str]] = {
    "arguments that mention terraform": beside("app/prod.hcl", arguments(key="terraform/prod")),
    "arguments in JSON": beside("app/prod.json", json.dumps(ARGUMENTS)),
    "arguments in a file of any name": beside("app/env/prod.s3", arguments()),
    "a bucket that a variable names": beside("x/run.sh", COMMAND.replace(f"={BUCKET}", "=$B")),
    "a bucket of a batch file": beside("x/run.bat", COMMAND.replace(f"={BUCKET}", "=!B!")),
    "a bucket in a format": beside("x/run.go", 'fmt.Sprintf("-backend-config=bucket=%s", b)\n'),
    "a table that is put together": beside(
        "x/run.py", f'["-backend-config=bucket={BUCKET}", "-backend-config=key=" + k]'
    ),
    "a file that is not there": beside("run.sh", "cd $1 && terraform init -backend-config=/secrets/prod.hcl\n"),
    "words on the next line": beside("x/ci.yml", f"- -backend-config\n- bucket={BUCKET}\n"),
    "words on the next line of a list": beside("x/ci.py", f'  "-backend-config",\n  "bucket={BUCKET}",\n'),
    "a script in UTF-16": beside("x/run.ps1", COMMAND.encode("utf-16")),
    "a script without an ending": beside("bin/deploy", f"#!/bin/sh\n{COMMAND}"),
    "arguments in a file without an ending": beside("app/prod", arguments()),
    "a task of Ansible": beside("x/play.yml", f"- x.terraform:\n    backend_config:\n      bucket: {BUCKET}\n"),
    "a region that a command line may replace": alone("a/main.tf", block(bucket=None, region="us-east-1")),
    "a long script": beside("x/run.sh", "#" * LARGEST_SCRIPT_BYTES + COMMAND),
    "a script that writes a backend": alone("deploy.sh", f"cat > app/backend.tf <<EOF\n{block()}EOF\n"),
    "a program that writes JSON": alone("x.py", "f.write(dumps({'terraform': {'backend': {'s3': {}}}}))\n"),
    "a template": alone("app/backend.tf.j2", block(bucket="{{ bucket }}")),
    "stacks of Atmos": alone("stacks/a.yaml", f"terraform:\n  backend:\n    # x\n    s3:\n      bucket: {BUCKET}\n"),
    "a generator's source": alone("x.tm.hcl", f'generate_hcl "b.tf" {{\n  content {{\n{block()}  }}\n}}\n'),
    "a list of modules beside one's own": alone("modules/a/main.tf", block(), **{"modules/modules.json": '{"a": []}'}),
    "an encrypted file": alone("app/main.tf", "$ANSIBLE_VAULT;1.1;AES256\n6636\n"),
    "a pointer of Git LFS": alone("app/main.tf", "version https://git-lfs.github.com/spec/v1\n"),
    "a bucket by the ARN of an access point": alone("a/main.tf", block(bucket="arn:aws:s3:eu-west-1:1:accesspoint/x")),
    "a bucket by the alias of an access point": alone("a/main.tf", block(bucket="x-abcdefg1234567-s3alias")),
    **{
        f"a bucket {token}": alone("a/main.tf", block(bucket=token)) for token in ("__B__", "@B@", "<b>", "((b))", "%s")
    },
    "a region that is a token": alone("a/main.tf", block(bucket="<b>", region="__REGION__")),
    "a source that an include names": alone(
        "live/terragrunt.hcl",
        'include "x" {\n  path = "../app.hcl"\n}\n',
        **{"app.hcl": 'terraform {\n  source = "git::https://x.org/x.git//a"\n}\n'},
    ),
    "an include that is not the file itself": alone(
        "live/terragrunt.hcl", 'include "x" {\n  path = "${get_repo_root()}/terragrunt.hcl"\n}\n'
    ),
    "escapes in JSON": alone(
        "live/terragrunt.hcl.json",
        json.dumps({"remote_state": {"backend": "s3", "config": ARGUMENTS}}).replace("state", "st\\u0061te"),
    ),
    "arguments that are generated": alone(
        "live/terragrunt.hcl",
        generate(f"<<EOF\n{arguments()}EOF", '"x.tfbackend"'),
        **{"live/main.tf": PARTIAL, "live/a.tfbackend": READY},
    ),
    "a block that an override of this checkout alone replaces": alone(
        "a/main.tf", block(), **{"a/override.tf": LOCAL, ".gitignore": "*_override.tf\noverride.tf\n", ".git/HEAD": ""}
    ),
    "a submodule": ({".gitmodules": '[submodule "x"]\n\tpath = mods/x\r\n'}, "mods/x"),
    "a checkout of a partial block": alone(
        "a/main.tf",
        PARTIAL,
        **{
            "a/.terraform/terraform.tfstate": json.dumps(
                {"backend": {"type": "s3", "config": {"bucket": BUCKET, "key": "k", "use_lockfile": True}}}
            )
        },
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_client_that_hides_keeps_every_gate_closed(name: str, tmp_path: Path) -> None:
    files, named = HIDDEN[name]
    form = Form(files)
    code = read(written(tmp_path, form), form)
    for told in ([*reasons(step_of(code), ())], removal(code), teardown_of(code)):
        assert any(f"{tmp_path}/{named}" in each for each in told), told


#: Of other buckets: they are no clients of this one, and may need its table.
OF_TABLE: dict[str, dict[str, str]] = {
    "by its ARN": {"a/main.tf": block(bucket="other", dynamodb_table=ARN)},
    "a reader, by its ARN": {"a/main.tf": READER.replace(f'"{TABLE}"', f'"{ARN}"')},
    "on a command line that is not there": {
        "a/main.tf": block(bucket="other", key=None, dynamodb_table=None, use_lockfile=True)
    },
    "on a command line for the same bucket": {"a/main.tf": block(key=None, dynamodb_table=None, use_lockfile=True)},
}


@pytest.mark.parametrize("name", OF_TABLE)
def test_a_client_that_may_name_the_table_keeps_it(name: str, tmp_path: Path) -> None:
    form = Form(OF_TABLE[name])
    code = read(written(tmp_path, form), form)
    assert any(f"{tmp_path}/a/main.tf" in each for each in removal(code))
    assert any(f"{tmp_path}/a/main.tf" in each for each in teardown_of(code))


def test_a_word_says_that_a_command_line_names_no_table(tmp_path: Path) -> None:
    form = Form(OF_TABLE["on a command line that is not there"])
    word = {"paths": "a/*", "backend": {"bucket": "other", "use_lockfile": True}}
    code = read(written(tmp_path, form), form, word)
    assert removal(code) == [] and code.known[0]["used"] == 1
    assert read(tmp_path, form, {**word, "backend": "none"}).known[0]["used"] == 0


def test_a_client_whose_key_a_script_gives_is_complete(tmp_path: Path) -> None:
    files = {
        "a/main.tf": block(key=None, dynamodb_table=None, use_lockfile=True),
        "a/Makefile": "init:\n\tterraform init -backend-config=key=$(KEY)\n",
    }
    assert removal(read(written(tmp_path, Form(files)), Form(files))) == []


#: Links and what they lead to: how they are made, and which file or folder is told.
LINKS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a file to nowhere": (lambda d: (d / "a.tf").symlink_to("nowhere/a.tf"), "a.tf", "leads nowhere"),
    "a folder to nowhere": (lambda d: (d / "app").symlink_to("nowhere"), "app", "leads nowhere"),
    "a file to itself": (lambda d: (d / "a.tf").symlink_to("a.tf"), "a.tf", "Too many levels"),
    "a pipe": (lambda d: os.mkfifo(d / "a.tf"), "a.tf", "no regular file"),
}


@pytest.mark.parametrize("name", LINKS)
def test_what_cannot_be_followed_is_unknown(name: str, tmp_path: Path) -> None:
    make, named, reason = LINKS[name]
    make(tmp_path)
    told = read_code([str(tmp_path)]).unknown()
    assert any(each.path == f"{tmp_path}/{named}" and reason in each.reason for each in told)


def test_what_is_left_out_is_read_where_a_link_leads_to_it(tmp_path: Path) -> None:
    written(tmp_path, Form({"mods/a/main.tf": block(), "live/x": ""}))
    (tmp_path / "live/prod").symlink_to("../mods/a")
    (tmp_path / "live/up").symlink_to("..")
    code = read_code([str(tmp_path)], exclude=["mods/**"])
    assert f"{tmp_path}/live/prod/main.tf" in [each.path for each in code.layers]
    assert [each.path for each in read_code([str(tmp_path)]).layers if "live/" in each.path] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is denied to root")
@pytest.mark.parametrize("name", ["main.tf", "run.sh", "folder", "modules"])
def test_what_is_denied_is_unknown(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.write_text(block()) if "." in name else place.mkdir()
    place.chmod(0)
    try:
        assert [each.path for each in read_code([str(tmp_path)]).unknown()] == [str(place)]
    finally:
        place.chmod(stat.S_IRWXU)


HARMLESS = (
    'x = "backend"\n',
    "backend:\n  image: s3\n",
    '{"dependencies": {"backend": "1.0", "s3": "2.0"}}',
    'services:\n  backend:\n    image: "x"\n',
    '# see backend "local" {\n',
)


@pytest.mark.parametrize("text", HARMLESS)
def test_not_every_backend_is_one_of_terraform(text: str) -> None:
    assert not writes_backend(text)


def test_data_and_scripts_of_any_size_are_no_clients_if_they_configure_none(tmp_path: Path) -> None:
    written(
        tmp_path, Form({"a/package-lock.json": '{"backend": ' + " " * 2_000_000 + "1}", "a/x.png": b"\0bucket = 1"})
    )
    written(
        tmp_path, Form({"a/main.tf": block(bucket=None), "a/README": "bucket = a folder\n", "a/big": "bucket" * 9999})
    )
    assert [each.path for each in read_code([str(tmp_path)]).unknown()] == [f"{tmp_path}/a/main.tf"]


SLOW: dict[str, tuple[str, str]] = {
    "nested brackets": ("main.tf", block().replace(f'"{BUCKET}"', "(" * 400_000)),
    "nested blocks": ("main.tf", block() + "a {\n" * 200_000),
    "nested JSON": ("main.tf.json", '{"terraform": ' + "[" * 200_000),
    "locals that double": (
        "terragrunt.hcl",
        "locals {\n"
        + "".join(f'  a{n} = "${{local.a{n + 1}}}${{local.a{n + 1}}}"\n' for n in range(60))
        + '  a60 = "x"\n}\n'
        + remote_state().replace(f'"{BUCKET}"', "local.a0"),
    ),
    "lists of locals that double": (
        "terragrunt.hcl",
        "locals {\n"
        + "".join(f"  a{n} = [local.a{n + 1}, local.a{n + 1}]\n" for n in range(60))
        + '  a60 = "x"\n}\n'
        + generate("jsonencode(local.a0)"),
    ),
    "a comment that goes on": ("main.tf", "# " + "code generated do not " * 50_000 + "\n" + block()),
    "spaces": ("main.tf", block() + " " * 1_000_000 + "x"),
    "a script of flags": ("run.sh", "-backend-config=" * 60_000),
    "a script of backends": ("run.yml", "backend:\n" * 100_000),
    "a script of quotes": ("run.sh", '-backend-config="' + '\\"' * 400_000),
    "text of a heredoc": ("main.tf", "locals {\n  a = <<EOT\n" + "${" * 90 + "x\n" * 300_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_no_text_takes_long(name: str) -> None:
    start = time.process_time()
    code_map([SLOW[name]])
    assert time.process_time() - start < 3


def test_files_that_a_command_may_combine_do_not_multiply() -> None:
    files = [("main.tf", PARTIAL)] + [(f"{where}/{n}.tfbackend", READY) for where in "xyz" for n in range(60)]
    flags = " ".join(f"-backend-config={where}/$N.tfbackend" for where in "xyz")
    code = code_map([*files, ("run.sh", f"terraform init {flags}\n")])
    assert code.unknown() and len(code.layers) < 1_000


def test_many_scripts_and_files_are_read_in_time() -> None:
    files = [(f"s/{n}.sh", f"cd $1; terraform init -backend-config=env/{n}-$S.hcl\n") for n in range(500)]
    files += [(f"l{n}/main.tf", PARTIAL) for n in range(500)] + [(f"x/{n}.md", "") for n in range(5_000)]
    start = time.process_time()
    code_map(files)
    assert time.process_time() - start < 3


def test_a_refusal_is_as_long_as_somebody_reads() -> None:
    many = [UnreadableCode(f"{'live/' * 20}{n}/main.tf", f"reason {n % 40}") for n in range(3_000)]
    assert len(describe(many)) < 3_000
    assert "and 2999 more" in describe(
        [UnreadableCode("x", "a"), *(UnreadableCode(str(n), "a") for n in range(2_999))], 1
    )


@pytest.mark.parametrize(
    "path", ["a/[x]/b.tf", "{{cookie.cutter}}/{x}/main.tf", "a*/b?.tf", "plain", "\udcff/x", 'a"b']
)
def test_a_pattern_that_is_proposed_covers_its_path(path: str) -> None:
    assert covers(literal(path), path)

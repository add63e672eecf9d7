# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend as Terraform text and JSON, the version rule, and the real client reading it all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import (
    BackendConfig,
    admits_older_than_lockfile,
    arguments,
    backend_tf_text,
    description,
    json_text,
    problems,
    tfbackend_text,
)
from hypothesis import given
from hypothesis import strategies as st

TERRAFORM = shutil.which("terraform")

PLAIN = BackendConfig(
    name="us-east-1",
    bucket="tf-state",
    bucket_arn="arn:aws:s3:::tf-state",
    region="us-east-1",
    key="platform/network/prod/terraform.tfstate",
    table="tf-locks",
    table_arn="arn:aws:dynamodb:us-east-1:123456789012:table/tf-locks",
)
KMS = replace(PLAIN, encryption="aws:kms", kms_key_id="arn:aws:kms:us-east-1:123456789012:key/" + "a1b2c3d4-" * 4)
ROLE = replace(
    PLAIN,
    assume_role_arn="arn:aws:iam::123456789012:role/terraform",
    assume_role_external_id="partner",
    assume_role_session_name="ci",
)
LOCAL = replace(PLAIN, endpoint_url="http://127.0.0.1:4566", account_id="123456789012")


@pytest.mark.aws("7.2")
def test_a_plain_backend_is_encrypted_and_locked_in_both_ways() -> None:
    assert arguments(PLAIN) == {
        "bucket": "tf-state",
        "key": "platform/network/prod/terraform.tfstate",
        "region": "us-east-1",
        "encrypt": True,
        "use_lockfile": True,
        "dynamodb_table": "tf-locks",
    }


@pytest.mark.aws("5.5")
@pytest.mark.parametrize(
    ("backend", "asked"),
    [
        (replace(PLAIN, lock_mode="dynamodb"), {"use_lockfile": None, "dynamodb_table": "tf-locks"}),
        (replace(PLAIN, lock_mode="lockfile"), {"use_lockfile": True, "dynamodb_table": None}),
        (KMS, {"encrypt": True, "kms_key_id": KMS.kms_key_id}),
        (replace(KMS, encryption="aws:kms:dsse"), {"encrypt": True, "kms_key_id": KMS.kms_key_id}),
        (replace(KMS, kms_key_id=None), {"encrypt": True, "kms_key_id": "alias/aws/s3"}),
        (replace(KMS, encryption="AES256"), {"encrypt": True, "kms_key_id": None}),
        (replace(PLAIN, account_id="123456789012"), {"allowed_account_ids": ["123456789012"]}),
        (replace(PLAIN, profile="state"), {"profile": "state"}),
        (replace(PLAIN, workspace_key_prefix="teams"), {"workspace_key_prefix": "teams"}),
        (ROLE, {"assume_role": {"role_arn": ROLE.assume_role_arn, "external_id": "partner", "session_name": "ci"}}),
        (replace(PLAIN, assume_role_external_id="partner"), {"assume_role": None}),
        (LOCAL, {"allowed_account_ids": None, "use_path_style": True, "skip_requesting_account_id": True}),
        (LOCAL, {"endpoints": dict.fromkeys(("dynamodb", "iam", "s3", "sts"), "http://127.0.0.1:4566")}),
        (
            replace(LOCAL, lock_mode="lockfile"),
            {"endpoints": dict.fromkeys(("iam", "s3", "sts"), "http://127.0.0.1:4566")},
        ),
    ],
)
def test_arguments_follow_the_backend(backend: BackendConfig, asked: dict[str, Any]) -> None:
    written = arguments(backend)
    assert {name: written.get(name) for name in asked} == asked


def test_backend_tf_is_complete_and_says_who_wrote_it() -> None:
    assert backend_tf_text(replace(ROLE, client_version=">= 1.11")) == (
        "# Written by cornerstone.tfstate, which overwrites it: change the inventory, not this file.\n"
        "\n"
        "terraform {\n"
        '  required_version = ">= 1.11"\n'
        "\n"
        '  backend "s3" {\n'
        '    bucket         = "tf-state"\n'
        '    key            = "platform/network/prod/terraform.tfstate"\n'
        '    region         = "us-east-1"\n'
        "    encrypt        = true\n"
        "    use_lockfile   = true\n"
        '    dynamodb_table = "tf-locks"\n'
        "    assume_role = {\n"
        '      role_arn     = "arn:aws:iam::123456789012:role/terraform"\n'
        '      external_id  = "partner"\n'
        '      session_name = "ci"\n'
        "    }\n"
        "  }\n"
        "}\n"
    )


def test_the_tfbackend_file_holds_the_same_arguments_unwrapped() -> None:
    heading, wrapped = backend_tf_text(ROLE).split('  backend "s3" {\n')
    body = "".join(line.removeprefix("    ") for line in wrapped.splitlines(keepends=True)[:-2])
    assert tfbackend_text(ROLE) == heading.partition("\n\n")[0] + "\n\n" + body


def test_json_tells_other_tools_everything() -> None:
    text = json_text(ROLE)
    assert text.endswith("}\n")
    assert json.loads(text) == description(ROLE)
    assert list(description(ROLE)) == [
        "name",
        "region",
        "account_id",
        "bucket",
        "table",
        "lock_mode",
        "encryption",
        "kms_key_id",
        "key",
        "client",
        "client_version",
        "s3",
    ]
    assert description(ROLE)["bucket"] == {"name": PLAIN.bucket, "arn": PLAIN.bucket_arn}
    assert description(ROLE)["table"] == {"name": PLAIN.table, "arn": PLAIN.table_arn}
    assert description(ROLE)["s3"] == arguments(ROLE)


def test_json_names_no_table_that_takes_no_locks() -> None:
    assert description(replace(PLAIN, lock_mode="lockfile"))["table"] is None


@pytest.mark.parametrize(
    "backend", [PLAIN, KMS, ROLE, LOCAL, replace(PLAIN, lock_mode="dynamodb", client_version=">= 1.5")]
)
def test_a_sound_backend_has_no_problems(backend: BackendConfig) -> None:
    assert problems(backend) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": ""}, "without a slash at either end"),
        ({"key": "/a"}, "without a slash at either end"),
        ({"key": "a/"}, "without a slash at either end"),
        ({"key": "a//b"}, "segment"),
        ({"key": "a/./b"}, "segment"),
        ({"key": "a/../b"}, "segment"),
        ({"key": "é" * 509}, "longer than 1017 bytes"),
        ({"key": "env:/dev/a"}, "must not start with 'env:'/"),
        ({"key": "teams/dev/a", "workspace_key_prefix": "teams"}, "must not start with 'teams'/"),
        ({"key": "a.tflock"}, "lock file of another state"),
        ({"key": "a-md5"}, "digest of another state"),
        ({"workspace_key_prefix": "/teams"}, "workspace_key_prefix '/teams'"),
        ({"workspace_key_prefix": "teams/"}, "workspace_key_prefix 'teams/'"),
        ({"lock_mode": "dynamodb", "table": None}, "lock_mode dynamodb needs a table"),
        ({"lock_mode": "both", "table": None}, "lock_mode both needs a table"),
        ({"lock_mode": "lockfile", "client_version": ">= 1.5"}, "use lock_mode dynamodb instead of lockfile"),
        ({"lock_mode": "both", "client_version": "~> 1.9"}, "use lock_mode dynamodb instead of both"),
        ({"lock_mode": "dynamodb", "client_version": "newest"}, "cannot be read at 'newest'"),
        ({"kms_key_id": "alias/state"}, "with AES256 leave it out"),
        ({"assume_role_external_id": "partner"}, "goes with assume_role_arn"),
        ({"endpoint_url": "http://me:secret@127.0.0.1:1"}, "credentials are never written"),
        ({"name": "a/b"}, "is no file name"),
        ({"name": ""}, "is no file name"),
        ({"name": ".."}, "is no file name"),
        ({"name": "a\n"}, "is no file name"),
        ({"name": "a" * 201}, "is no file name"),
    ],
)
def test_a_problem_is_named_once(change: dict[str, Any], words: str) -> None:
    (problem,) = problems(replace(PLAIN, **change))
    assert words in problem


def test_the_longest_key_leaves_room_for_its_lock_file() -> None:
    assert problems(replace(PLAIN, key="k" * 1017)) == ()


def test_a_lockfile_backend_needs_no_table() -> None:
    assert problems(replace(PLAIN, lock_mode="lockfile", table=None, table_arn=None)) == ()


@pytest.mark.aws("7.3")
@pytest.mark.parametrize(
    ("client_version", "is_admitting"),
    [
        (">= 1.10", False),
        (">=1.10.0", False),
        ("> 1.9", True),
        ("> 1.9.99, < 1.10", True),
        ("~> 1.10", False),
        ("~> 1.9", True),
        ("~> 1.9.4", True),
        ("~> 1", True),
        ("= 1.11.4", False),
        ("1.11", False),
        (" 1.9 ", True),
        ("v1.9.0", True),
        ("!= 1.10.1", True),
        ("< 2.0", True),
        (">= 1.9.8, <= 1.9.8, != 1.9.8", False),
        (">= 1.9.8, != 1.9.8, != 1.9.9, <= 1.9.10", True),
        (">= 2, < 1", False),
    ],
)
def test_a_bound_admits_older_clients_or_not(client_version: str, is_admitting: bool) -> None:
    assert admits_older_than_lockfile(client_version) is is_admitting


@pytest.mark.parametrize(
    "part", ["", "=> 1.10", "== 1.10", ">= 1.x", ">= 1.10 < 2", ">= 1.10.0-rc1", "1.2.3.4", "\u0661.10"]
)
def test_a_malformed_constraint_is_named_with_the_grammar(part: str) -> None:
    with pytest.raises(ValueError, match=rf"{re.escape(repr(part))}: write comma separated"):
        admits_older_than_lockfile(f">= 1.0, {part}")


OPERATORS = ("", "=", "!=", ">", "<", ">=", "<=", "~>")
# Wider than what is drawn below, so that every admitted region has a member in it.
GRID = list(product(range(3), range(13), range(9)))
constraints = st.tuples(
    st.sampled_from(OPERATORS),
    st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 8, 9, 10, 11]), st.integers(0, 4)),
    st.integers(1, 3),
)


def is_admitted(version: tuple[int, ...], operator: str, bound: tuple[int, ...], precision: int) -> bool:
    """The rules of the documentation, one version at a time."""
    bound = (*bound[:precision], 0, 0)[:3]
    fixed = max(precision - 1, 0)
    return {
        "": version == bound,
        "=": version == bound,
        "!=": version != bound,
        ">": version > bound,
        "<": version < bound,
        ">=": version >= bound,
        "<=": version <= bound,
        "~>": version >= bound and version[:fixed] == bound[:fixed],
    }[operator]


@given(st.lists(constraints, min_size=1, max_size=4), st.sampled_from(["", " ", "  "]))
def test_the_version_rule_agrees_with_trying_every_version(
    drawn: list[tuple[str, tuple[int, ...], int]], space: str
) -> None:
    text = ",".join(
        f"{space}{operator}{space}{'.'.join(map(str, bound[:precision]))}" for operator, bound, precision in drawn
    )
    tried = any(version < (1, 10, 0) and all(is_admitted(version, *one) for one in drawn) for version in GRID)
    assert admits_older_than_lockfile(text) is tried


@pytest.fixture(scope="module")
def moto_endpoint() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with closing(HTTPConnection(host, port, timeout=10)) as connection:
            connection.request("PUT", f"/{PLAIN.bucket}")
            assert connection.getresponse().status == 200
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def init(directory: Path, endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    assert TERRAFORM
    config = directory / "aws-config"
    config.write_text("[profile state]\nregion = us-east-1\n", encoding="utf-8")
    credentials = directory / "aws-credentials"
    credentials.write_text("[state]\naws_access_key_id = test\naws_secret_access_key = test\n", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "CHECKPOINT_DISABLE": "1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_MAX_ATTEMPTS": "1",
    }
    return subprocess.run(
        [TERRAFORM, "init", "-input=false", "-no-color", *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.terraform
@pytest.mark.skipif(not TERRAFORM, reason="NOT PROVEN: terraform is not on PATH")
@pytest.mark.parametrize("is_local", [True, False], ids=["endpoint", "account"])
@pytest.mark.parametrize("form", ["tfbackend", "tf"])
def test_the_real_terraform_takes_every_argument(tmp_path: Path, moto_endpoint: str, is_local: bool, form: str) -> None:
    backend = replace(
        ROLE,
        encryption="aws:kms",
        kms_key_id=None if is_local else "alias/state",
        profile="state",
        account_id="123456789012",
        workspace_key_prefix="teams/blue",
        endpoint_url=moto_endpoint if is_local else None,
    )
    if form == "tf":
        (tmp_path / "backend.tf").write_text(backend_tf_text(backend), encoding="utf-8")
        result = init(tmp_path, moto_endpoint)
    else:
        (tmp_path / "main.tf").write_text('terraform {\n  backend "s3" {}\n}\n', encoding="utf-8")
        (tmp_path / "x.s3.tfbackend").write_text(tfbackend_text(backend), encoding="utf-8")
        result = init(tmp_path, moto_endpoint, "-backend-config=x.s3.tfbackend")

    assert result.returncode == 0, result.stdout + result.stderr
    initialised = json.loads((tmp_path / ".terraform" / "terraform.tfstate").read_text(encoding="utf-8"))
    written = arguments(backend)
    read = initialised["backend"]["config"]
    nested = {name: value for name, value in written.items() if isinstance(value, dict)}
    assert {name: read[name] for name in written if name not in nested} == {
        name: value for name, value in written.items() if name not in nested
    }
    for name, members in nested.items():
        assert members.items() <= read[name].items()

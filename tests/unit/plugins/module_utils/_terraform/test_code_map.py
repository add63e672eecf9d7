# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backend blocks, as people write them, and as nobody should."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import LARGEST_FILE_BYTES, read_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import (
    CodeMap,
    Layer,
    code_map,
    source_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.code_draws import texts
from tests.support.code_forms import ARGUMENTS

FULL = 'bucket = "b"\nkey = "k"\nregion = "eu-west-1"\n'
TABLE = 'dynamodb_table = "t"\n'


def block(arguments: str) -> str:
    return f'terraform {{\n  required_version = ">= 1.10"\n  backend "s3" {{\n{arguments}  }}\n}}\n'


def remote_state(config: str) -> str:
    return f'remote_state {{\n  backend = "s3"\n  config = {{\n{config}  }}\n}}\n'


def as_json(**arguments: Any) -> str:
    return json.dumps({"terraform": {"backend": {"s3": arguments}}})


def checkout(kind: str = "s3", **config: Any) -> str:
    return json.dumps({"version": 3, "backend": {"type": kind, "config": config, "hash": 1}})


def only(found: CodeMap) -> Layer:
    assert not found.unreadable
    (layer,) = found.layers
    return layer


NAMES: dict[str, str | None] = {
    "a/main.tf": "block",
    "a/main.tofu": "block",
    "a/main.tf.json": "block",
    "prod.s3.tfbackend": "tfbackend",
    "a/terragrunt.hcl": "terragrunt",
    "a/root.hcl": "terragrunt",
    ".terraform/terraform.tfstate": "checkout",
    "a/.terraform/terraform.tfstate": "checkout",
    "a/terraform.tfstate": "checkout",
    "terraform.tfstate": None,
    "a/.terraform.lock.hcl": None,
    "a/image.pkr.hcl": None,
    "a/terraform.tfvars": "tfbackend",
    "a/backend.cfg": "tfbackend",
    "a/.main.tf": None,
    "a/main.tf~": None,
    "a/#main.tf#": None,
    "a/terragrunt.hcl.json": "terragrunt",
    "a/Makefile": "script",
    "a/deploy.sh": "script",
    "cdktf.json": "cdktf",
    "README.md": None,
}


@pytest.mark.parametrize("path", NAMES)
def test_a_name_says_what_a_file_may_hold(path: str) -> None:
    assert source_of(path) == NAMES[path]


BOTH = {"bucket": "b", "key": "k", "region": "eu-west-1"}
ALIKE: dict[str, tuple[str, str]] = {
    "a block": ("a/main.tf", block(FULL)),
    "on few lines": ("a/main.tf", 'terraform { backend "s3" { \n' + FULL + "} }"),
    "among others": ("a/main.tf", f'resource "x" "y" {{\n  z = "}} terraform {{"\n}}\n{block(FULL)}locals {{}}\n'),
    "after a comment that closes nothing": ("a/main.tf", "# } terraform {\n/* { */\n// {\n" + block(FULL)),
    "after a heredoc": (
        "a/main.tf",
        'locals {\n  a = <<-EOT\n    terraform { backend "s3"\n    EOT\n}\n' + block(FULL),
    ),
    "after quotes within quotes": ("a/main.tf", 'locals {\n  a = "${f("}", "\\"")}{"\n}\n' + block(FULL)),
    "with Windows line ends": ("a/main.tf", block(FULL).replace("\n", "\r\n")),
    "OpenTofu": ("a/main.tofu", block(FULL)),
    "JSON": ("a/main.tf.json", as_json(bucket="b", key="k", region="eu-west-1")),
    "JSON in lists": (
        "a/x.tf.json",
        json.dumps({"terraform": [{"backend": [{"s3": [{"bucket": "b", "key": "k", "region": "eu-west-1"}]}]}]}),
    ),
    "a file for -backend-config": ("a/eu.s3.tfbackend", FULL),
    "the same as JSON": ("a/eu.s3.tfbackend", json.dumps(BOTH)),
    "terragrunt": ("a/terragrunt.hcl", remote_state(FULL)),
    "terragrunt with quoted names": ("a/root.hcl", remote_state(FULL.replace("bucket", '"bucket"'))),
    "an initialised checkout": ("a/.terraform/terraform.tfstate", checkout(**BOTH, encrypt=None)),
}


@pytest.mark.parametrize("case", ALIKE)
def test_it_is_the_same_backend_however_it_is_written(case: str) -> None:
    layer = only(code_map([ALIKE[case]]))
    assert (dict(layer.arguments), layer.unknown, layer.directory) == (BOTH, frozenset(), "a")


NO_BACKEND: dict[str, tuple[str, str]] = {
    "another backend": ("main.tf", 'terraform {\n  backend "gcs" {\n    bucket = "s3"\n  }\n}\n'),
    "no backend": ("main.tf", 'terraform {\n  required_version = ">= 1"\n}\n'),
    "a data source": ("main.tf", 'data "terraform_remote_state" "x" {\n  backend = "s3"\n  config = {}\n}\n'),
    "a mention": ("main.tf", '# terraform { backend "s3" {} }\n'),
    "a checkout of another backend": (".terraform/terraform.tfstate", checkout("local", path="x")),
    "a checkout without one": (".terraform/terraform.tfstate", '{"version": 3}'),
    "JSON without one": ("main.tf.json", '{"resource": []}'),
    "JSON of another kind": ("main.tf.json", "[1]"),
    "terragrunt without one": ("terragrunt.hcl", 'inputs = { a = "s3" }\n'),
    "terragrunt elsewhere": ("terragrunt.hcl", 'remote_state {\n  backend = "gcs"\n  config = { a = "s3" }\n}\n'),
}


@pytest.mark.parametrize("case", NO_BACKEND)
def test_what_is_no_s3_backend_is_no_layer(case: str) -> None:
    found = code_map([NO_BACKEND[case]])
    assert (found.layers, found.unknown()) == ((), [])


VALUES: dict[str, Any] = {
    '"plain"': "plain",
    '"a$${b}"': "a${b}",
    '"q\\"u"': 'q"u',
    "var.name": "unknown",
    '"${var.name}-state"': "unknown",
    '"%{ if true }a%{ endif }"': "unknown",
    "<<EOT\nname\nEOT": "name\n",
    "<<EOT\n${var.name}\nEOT": "unknown",
    '"${"a"}-${1}"': "a-1",
    "12": "12",
    "!true": "unknown",
    'format("a")': "unknown",
    "null": None,
}


@pytest.mark.parametrize("written", VALUES)
def test_what_is_not_static_is_unknown(written: str) -> None:
    layer = only(code_map([("main.tf", block(f"{FULL}kms_key_id = {written}\n"))]))
    assert layer.to_result()["kms_key_id"] == VALUES[written]


LOCK_MODES: dict[str, str] = {
    TABLE: "dynamodb",
    "use_lockfile = true\n": "lockfile",
    'use_lockfile = "true"\n': "lockfile",
    f"{TABLE}use_lockfile = true\n": "both",
    f"{TABLE}use_lockfile = false\n": "dynamodb",
    "": "none",
    'dynamodb_table = ""\n': "none",
    "use_lockfile = var.files\n": "unknown",
    f"{TABLE}use_lockfile = var.files\n": "unknown",
}


@pytest.mark.parametrize("written", LOCK_MODES)
def test_a_layer_says_what_its_clients_lock(written: str) -> None:
    assert only(code_map([("main.tf", block(FULL + written))])).lock_mode == LOCK_MODES[written]


def test_a_partial_block_takes_the_rest_from_each_file_beside_it() -> None:
    files = [
        ("a/main.tf", block('key = "k"\nregion = "us-east-1"\n')),
        ("a/dev.tfbackend", 'bucket = "dev"\n'),
        ("a/prod.tfbackend", 'bucket = "prod"\nregion = "eu-west-1"\nuse_lockfile = true\n'),
        ("b/other.tfbackend", 'bucket = "other"\n'),
    ]
    told = [(each.path, each.arguments.get("bucket"), each.arguments.get("region")) for each in code_map(files).layers]
    assert told == [
        ("a/dev.tfbackend", "dev", "us-east-1"),
        ("a/prod.tfbackend", "prod", "eu-west-1"),
        ("b/other.tfbackend", "other", None),
    ]


def test_a_whole_block_counts_as_it_is_and_with_each_file_beside_it() -> None:
    layers = code_map([("a/main.tf", block(FULL)), ("a/dev.tfbackend", 'bucket = "dev"\n')]).layers
    assert [(each.path, each.arguments["bucket"]) for each in layers] == [
        ("a/dev.tfbackend", "dev"),
        ("a/main.tf", "b"),
    ]


def test_a_checkout_says_what_it_was_given_and_not_what_others_are() -> None:
    files = [("a/main.tf", block('key = "k"\n')), ("a/.terraform/terraform.tfstate", checkout(**BOTH))]
    code = code_map(files)
    assert {(each.source, each.path, each.arguments.get("bucket")) for each in code.layers} == {
        ("block", "a/main.tf", None),
        ("checkout", "a/.terraform/terraform.tfstate", "b"),
    }
    assert [each.path for each in code.unknown()] == ["a/main.tf"]


def test_nobody_is_said_not_to_lock_who_may_be_told_to_later() -> None:
    assert only(code_map([("main.tf", block(""))])).lock_mode == "unknown"


def test_an_override_replaces_the_block() -> None:
    files = [("a/main.tf", block(FULL)), ("a/backend_override.tf", block(FULL.replace('"b"', '"other"')))]
    assert only(code_map(files)).arguments["bucket"] == "other"


def test_a_secret_is_never_kept() -> None:
    written = block(f'{FULL}access_key = "AKIA1"\nsecret_key = "hush"\nsse_customer_key = "hush"\n')
    layer = only(code_map([("main.tf", written)]))
    assert "secret_key" in layer.given and "hush" not in repr(layer) and "AKIA1" not in repr(layer)


NONSENSE = {
    "main.tf": 'terraform {\n  backend "s3" {\n    bucket = \n  }\n}\n',
    "open.tf": 'terraform {\n  backend "s3" {\n',
    "main.tf.json": '{"terraform": {"backend": {',
    "x.tfbackend": "bucket",
    "terragrunt.hcl": 'remote_state {\n  backend = "s3"\n  config = {\n',
    ".terraform/terraform.tfstate": "not JSON",
}


@pytest.mark.parametrize("path", NONSENSE)
def test_what_cannot_be_read_is_told_and_stops_nothing(path: str) -> None:
    found = code_map([(path, NONSENSE[path]), ("ok/main.tf", block(FULL))])
    assert [each.path for each in found.unreadable] == [path]
    assert [each.path for each in found.layers] == ["ok/main.tf"]


@pytest.mark.parametrize("path", ["main.tf", "main.tf.json", "x.tfbackend", "t.hcl", ".terraform/terraform.tfstate"])
@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                *("terraform", "backend", '"s3"', "remote_state", "config", "=", "{", "}", '"', "${", "\n", "<<E", "E"),
                *("bucket", "null", "[", "]", "var.x", "#", "/*", "*/", "\\", "true", "1", "for", "?", ":", "(", ")"),
            ]
        ),
        max_size=30,
    ).map(" ".join)
)
@example("[" * 5000)
@example('terraform {\nbackend "s3" {' + "[" * 500)
def test_no_text_crashes_it(path: str, text: str) -> None:
    found = code_map([(path, text)])
    assert isinstance(found, CodeMap)
    json.dumps([each.to_result() for each in found.layers])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path in ("a/main.tf", ".git/main.tf", "a/.terraform/modules/m/main.tf", "a/.terraform/providers/p.tf"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(block(FULL))
    (tmp_path / "a/.terraform/terraform.tfstate").write_text(checkout(**BOTH))
    return tmp_path


def paths(found: CodeMap, tree: Path) -> list[str]:
    return [str(Path(each.path).relative_to(tree)) for each in found.layers]


def test_a_tree_is_read_without_what_init_downloads(tree: Path) -> None:
    assert paths(read_code([str(tree)]), tree) == ["a/.terraform/terraform.tfstate", "a/main.tf"]


def test_trees_within_each_other_and_links_in_a_circle_are_read_once(tree: Path) -> None:
    (tree / "a" / "again").symlink_to(tree)
    assert len(read_code([str(tree), str(tree / "a"), str(tree)]).layers) == 2


def test_a_link_that_leads_out_of_the_tree_is_followed_once(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x").mkdir()
    (outside / "x" / "main.tf").write_text(block(FULL))
    (outside / "x" / "back").symlink_to(tree)
    (tree / "a" / "shared").symlink_to(outside)
    (tree / "a" / "twice").symlink_to(outside / "x")
    (tree / "a" / "up").symlink_to(tree.parent)
    assert paths(read_code([str(tree)]), tree) == [
        "a/.terraform/terraform.tfstate",
        "a/main.tf",
        "a/shared/x/main.tf",
    ]
    assert paths(read_code([str(tree)], exclude=["a/shared"]), tree) == [
        "a/.terraform/terraform.tfstate",
        "a/main.tf",
        "a/twice/main.tf",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_unknown(tree: Path) -> None:
    (tree / "b").mkdir(mode=0)
    assert [Path(each.path).name for each in read_code([str(tree)]).unknown()] == ["b"]


def test_a_folder_that_goes_meanwhile_is_unknown(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    ((told),) = read_code([str(tree)]).unknown()
    assert (Path(told.path).name, told.reason) == ("a", "Permission denied")


def test_what_is_no_text_is_told(tree: Path) -> None:
    (tree / "binary.tf").write_bytes(b"\xff\xfe\x00")
    (tree / "large.tf").write_text("#" * (LARGEST_FILE_BYTES + 1))
    (tree / "dangling.tf").symlink_to(tree / "nowhere")
    os.mkfifo(tree / "pipe.tf")
    found = read_code([str(tree)])
    assert [Path(each.path).name for each in found.unreadable] == [
        "binary.tf",
        "dangling.tf",
        "large.tf",
        "pipe.tf",
    ]
    assert len(found.layers) == 2


def test_a_tree_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere is no directory"):
        read_code([str(tmp_path / "nowhere")])


@pytest.mark.parametrize("name", ["main.tf", "z.tf.json", "main.tofu", "override.tf"])
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_backend_is_found_wherever_it_is_among_comments_and_strings(name: str, data: st.DataObject) -> None:
    text = data.draw(texts(name, "s3"))
    layer = only(code_map([(f"a/{name}", text)]))
    assert (dict(layer.arguments), layer.unknown) == (ARGUMENTS, frozenset())


TERRAGRUNT_ROOT = """locals {
  account_vars = read_terragrunt_config(find_in_parent_folders("account.hcl"))
  account_id   = local.account_vars.locals.aws_account_id
}
generate "provider" {
  path      = "provider.tf"
  if_exists = "overwrite_terragrunt"
  contents  = <<EOF
provider "aws" {
  region              = "${local.account_vars.locals.region}"
  allowed_account_ids = ["${local.account_id}"]
}
EOF
}
remote_state {
  backend = "s3"
  config = {
    bucket         = "${get_env("TG_BUCKET_PREFIX", "")}tfstate-${local.account_id}"
    key            = "${path_relative_to_include()}/tf.tfstate"
    region         = "eu-west-1"
    dynamodb_table = "locks"
  }
  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }
}
catalog {
  urls = ["https://github.com/acme/catalog"]
}
inputs = merge(local.account_vars.locals, {})
"""
TERRAGRUNT_UNIT = """include "root" {
  path = find_in_parent_folders("root.hcl")
}
include "common" {
  path   = "${dirname(find_in_parent_folders("root.hcl"))}/_common/app.hcl"
  expose = true
}
terraform {
  source = "%s"
}
dependency "vpc" {
  config_path = "../vpc"
}
"""
ELSEWHERE = "${include.common.locals.source}?ref=v1"
TERRAGRUNT_TREE = [
    ("root.hcl", TERRAGRUNT_ROOT),
    ("_common/app.hcl", 'locals {\n  source = "git::git@github.com:acme/app.git//app"\n}\n'),
    ("prod/account.hcl", 'locals {\n  aws_account_id = "1"\n}\n'),
    *((f"prod/{name}/terragrunt.hcl", TERRAGRUNT_UNIT % ELSEWHERE) for name in ("app", "web")),
    ("prod/vpc/terragrunt.hcl", TERRAGRUNT_UNIT % "../../modules//vpc"),
    ("modules/vpc/main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
]


def test_a_tree_of_terragrunt_is_unknown_where_its_root_is_alone() -> None:
    code = code_map(TERRAGRUNT_TREE)
    assert [each.path for each in code.unknown()] == ["root.hcl"]
    assert (only(code).lock_mode, only(code).arguments["dynamodb_table"]) == ("dynamodb", "locks")


def test_units_are_unknown_without_their_root_and_modules_without_their_units() -> None:
    without_root = [each for each in TERRAGRUNT_TREE if each[0] != "root.hcl"]
    units = [f"prod/{name}/terragrunt.hcl" for name in ("app", "vpc", "web")]
    assert sorted({each.path for each in code_map(without_root).unknown()}) == units
    (module,) = code_map(TERRAGRUNT_TREE[-1:]).unknown()
    assert module.path == "modules/vpc/main.tf"


def test_modules_that_were_downloaded_into_a_data_directory_of_any_name_are_not_read(tmp_path: Path) -> None:
    for path in (".tfdata/modules/m/main.tf", "modules/m/main.tf"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(block(FULL))
    (tmp_path / ".tfdata/modules/modules.json").write_text('{"Modules": [{"Key": "", "Source": "", "Dir": "."}]}')
    (tmp_path / ".tfdata/terraform.tfstate").write_text(checkout(**BOTH))
    assert paths(read_code([str(tmp_path)]), tmp_path) == [".tfdata/terraform.tfstate", "modules/m/main.tf"]


def test_a_state_is_no_checkout(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for text in ('{"version": 4, "resources": []}', "backend", '{"backend"', json.dumps({"backend": "x" * 200_000})):
        (tmp_path / "a/terraform.tfstate").write_text(text)
        code = read_code([str(tmp_path)])
        assert (code.layers, code.unknown()) == ((), [])


def test_a_module_is_completed_only_by_terragrunt_that_has_s3() -> None:
    files = [
        ("modules/x/main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
        ("live/terragrunt.hcl", 'terraform {\n  source = "../modules/x"\n}\n' + remote_state(FULL)),
    ]
    assert code_map(files).unknown() == []
    other = (files[1][0], files[1][1].replace('"s3"', '"gcs"'))
    assert [each.path for each in code_map([files[0], other]).unknown()] == ["modules/x/main.tf"]


def test_arguments_that_terragrunt_adds_to_init_are_read() -> None:
    text = 'terraform {\n  extra_arguments "init" {\n    arguments = ["-backend-config=bucket=b"]\n  }\n}\n'
    assert [each.arguments for each in code_map([("a/terragrunt.hcl", text)]).layers] == [{"bucket": "b"}]


def test_terragrunt_of_old_is_unknown() -> None:
    text = 'terragrunt = {\n  remote_state {\n    backend = "s3"\n  }\n}\n'
    assert [each.path for each in code_map([("a/terraform.tfvars", text)]).unknown()] == ["a/terraform.tfvars"]


LAYERS = ("network", "data", "app")


def full(key: str) -> str:
    return f'bucket = "b"\nkey = "{key}"\nregion = "eu-west-1"\nuse_lockfile = true\n'


@pytest.mark.parametrize("code", ["", "layers/", "src/eu/"])
@pytest.mark.parametrize("name", ["backends/{}.tfbackend", "config/{}.config", "backends/prod/{}.s3.tfbackend"])
def test_files_in_another_folder_that_are_named_after_layers_complete_them(code: str, name: str) -> None:
    files = [(f"{code}{each}/main.tf", block("")) for each in LAYERS]
    files += [(name.format(each), full(each)) for each in LAYERS]
    initialised = [(f"{code}network/.terraform/terraform.tfstate", checkout(bucket="b", key="network"))]
    for found in (code_map(files), code_map([*files, *initialised])):
        assert (found.count("b"), found.unknown()) == (3, [])
        assert {each.directory for each in found.layers} == {f"{code}{each}" for each in LAYERS}


def test_a_file_further_up_completes_none_of_several_folders_of_its_name() -> None:
    files = [(f"{each}/layers/network/main.tf", block("")) for each in ("a", "b")]
    found = code_map([*files, ("backends/network.tfbackend", full("network"))])
    assert [each.path for each in found.unknown()] == ["a/layers/network/main.tf", "b/layers/network/main.tf"]


def test_a_checkout_is_no_layer_beside_the_file_that_it_was_initialised_with() -> None:
    """Which file goes with which folder is not known, but a file without a block is that of some folder."""
    files = [(f"{each}/main.tf", block("")) for each in LAYERS]
    files += [(f"backends/{each}.tfbackend", full(each)) for each in "xyz"]
    initialised = ("network/.terraform/terraform.tfstate", checkout(bucket="b", key="x"))
    found = code_map([*files, initialised])
    assert (found.count("b"), len(found.unknown())) == (3, 3)
    other = ("data/.terraform/terraform.tfstate", checkout(bucket="b", key="elsewhere"))
    assert code_map([*files, initialised, other]).count("b") == 4


def test_a_block_and_the_file_beside_it_that_says_the_same_are_one_layer() -> None:
    files = [("eu/backend.tf", block(full("k"))), ("eu/eu.s3.tfbackend", full("k"))]
    assert code_map(files).count("b") == 1 and code_map([*files, ("eu/qa.tfbackend", full("qa"))]).count("b") == 2


def test_a_command_line_names_files_in_another_folder() -> None:
    files = [(f"{each}/main.tf", block("")) for each in LAYERS]
    files += [(f"backends/{each}.tfbackend", full(each)) for each in "xyz"]
    lines = (
        f"\tterraform -chdir={one} init -backend-config=../backends/{file}.tfbackend"
        for one, file in zip(LAYERS, "xyz", strict=True)
    )
    found = code_map([*files, ("Makefile", "init:\n" + "\n".join(lines) + "\n")])
    assert (found.count("b"), found.unknown()) == (3, [])
    assert {each.directory: each.arguments["key"] for each in found.layers} == dict(zip(LAYERS, "xyz", strict=True))

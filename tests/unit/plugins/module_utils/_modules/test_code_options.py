# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator says of the code: unknown backends, files that complete others, and what is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import read_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import CODE_OPTIONS, code_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap, Settings
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.globs import covers

PARTIAL = 'terraform {\n  backend "s3" {}\n}\n'
HERE = {"bucket": "b", "region": "eu-west-1", "use_lockfile": True}


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / re.sub(r"_(tf|hcl|txt|tfbackend)$", r".\1", name.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def read(folder: Path, **options: Any) -> CodeMap:
    code = code_of({"code": [str(folder)], **options})
    assert code
    return code


def full(bucket: str, key: str = "k", **more: str) -> str:
    values = {"bucket": bucket, "key": key, "region": "eu-west-1", **more}
    return "".join(f'{name} = "{value}"\n' for name, value in values.items())


def told(code: CodeMap, folder: Path) -> list[tuple[str, Any, Any]]:
    start = len(str(folder)) + 1
    return [(each.directory[start:], each.arguments.get("bucket"), each.arguments.get("key")) for each in code.layers]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no dictionary": ({"paths": "**", "backend": "s3"}, r"code_known\[0\].backend must be none, or a dictionary"),
    "nothing": ({"paths": "**", "backend": None}, "must be none, or a dictionary"),
    "no bucket": ({"paths": "**", "backend": {"key": "k"}}, "backend.bucket is missing"),
    "an empty bucket": ({"paths": "**", "backend": {"bucket": ""}}, "backend.bucket must be a string that is not"),
    "another argument": ({"paths": "**", "backend": {"bucket": "b", "profile": "p"}}, "backend has no profile"),
    "no flag": ({"paths": "**", "backend": {"bucket": "b", "use_lockfile": "maybe"}}, "use_lockfile must be true or"),
    "no number": ({"paths": "**", "backend": {"bucket": "b", "key": 7}}, "backend.key must be a string"),
    "no paths": ({"paths": "", "backend": "none"}, r"code_known\[0\].paths is not a pattern: it is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_sense_is_refused(case: str, tmp_path: Path) -> None:
    given, said = BAD[case]
    with pytest.raises(Invalid, match=said):
        read(tmp_path, code_known=[given])


@pytest.mark.parametrize("name", [name for name in CODE_OPTIONS if name != "code"])
def test_options_about_code_need_code(name: str) -> None:
    given: Any = {"code_known": [{"paths": "*", "backend": "none"}], "code_gitignore": True}
    with pytest.raises(Invalid, match=f"{name} requires code"):
        code_of({name: given.get(name, ["x"])})


def test_the_spec_takes_none_and_dictionaries() -> None:
    known = [{"paths": "a", "backend": "none"}, {"paths": "b", "backend": HERE}]
    found = ArgumentSpecValidator(CODE_OPTIONS).validate({"code": ["."], "code_known": known})
    assert (found.error_messages, found.validated_parameters["code_known"]) == ([], known)


def test_a_word_is_repeated_with_what_it_was_used_for(tmp_path: Path) -> None:
    folder = written(tmp_path, a__main_tf=PARTIAL, b__main_tf=PARTIAL, c__main_tf=PARTIAL)
    code = read(folder, code_known=[{"paths": "a", "backend": HERE}, {"paths": "**/b/*.tf", "backend": "none"}])
    assert [each.path for each in code.unknown()] == [f"{folder}/c/main.tf"]
    assert [dict(each) for each in code.known] == [
        {"paths": "a", "backend": HERE, "used": 1},
        {"paths": "**/b/*.tf", "backend": "none", "used": 1},
    ]
    assert [(each.arguments.get("bucket"), each.lock_mode) for each in code.layers] == [
        ("b", "lockfile"),
        (None, "unknown"),
    ]


def test_what_the_code_says_stands(tmp_path: Path) -> None:
    text = f'terraform {{\n  backend "s3" {{\n{full("mine", dynamodb_table="t")}}}\n}}\n'
    code = read(written(tmp_path, a__main_tf=text), code_known=[{"paths": "**", "backend": HERE}])
    assert (code.layers[0].arguments["bucket"], code.layers[0].lock_mode, code.known[0]["used"]) == (
        "mine",
        "dynamodb",
        0,
    )
    half = text.replace('dynamodb_table = "t"', "use_lockfile = var.files")
    code = read(written(tmp_path, a__main_tf=half), code_known=[{"paths": "**", "backend": HERE}])
    assert code.layers[0].lock_mode == "unknown"
    mine = {**HERE, "bucket": "mine"}
    code = read(written(tmp_path, a__main_tf=half), code_known=[{"paths": "**", "backend": mine}])
    assert (code.layers[0].lock_mode, code.known[0]["used"]) == ("lockfile", 1)


def test_a_word_about_a_bucket_alone_says_that_nothing_is_locked(tmp_path: Path) -> None:
    folder = written(tmp_path, a__main_tf=PARTIAL)
    code = read(folder, code_known=[{"paths": "a/**", "backend": {"bucket": "b"}}])
    assert code.layers[0].lock_mode == "none"


PATTERNS: dict[str, tuple[list[str], dict[str, str], list[tuple[str, Any, Any]]]] = {
    "a name of its own": (
        ["{layer}/env/{name}.tfbackend"],
        {"net__main_tf": PARTIAL, "net__env__dev_tfbackend": full("dev"), "net__env__prod_tfbackend": full("prod")},
        [("net", "dev", "k"), ("net", "prod", "k")],
    ),
    "a tree beside": (
        ["config/{name}/{layer}.hcl"],
        {
            "net__dns__main_tf": PARTIAL,
            "app__main_tf": PARTIAL,
            "config__dev__net__dns_hcl": full("dns"),
            "config__dev__app_hcl": full("app"),
        },
        [("app", "app", "k"), ("net/dns", "dns", "k")],
    ),
    "a common one, and one a name": (
        ["common.hcl", "{layer}/{name}.key.hcl"],
        {"net__main_tf": PARTIAL, "common_hcl": full("b", "x"), "net__dev.key_hcl": 'key = "dev"\n'},
        [("net", "b", "dev")],
    ),
    "the tree itself": (
        ["{layer}/env/{name}.hcl"],
        {"main_tf": PARTIAL, "env__dev_hcl": full("b")},
        [("", "b", "k")],
    ),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_patterns_say_which_files_go_with_which_folders(case: str, tmp_path: Path) -> None:
    patterns, files, expected = PATTERNS[case]
    code = read(written(tmp_path, **files), code_backend_files=patterns)
    assert (sorted(told(code, tmp_path)), code.unknown()) == (expected, [])


def test_files_near_by_are_found_by_name_and_others_are_not_taken(tmp_path: Path) -> None:
    files = {"net__main_tf": PARTIAL, "app__main_tf": PARTIAL, "env__net_tfbackend": full("net")}
    code = read(written(tmp_path, **files))
    assert told(code, tmp_path) == [("app", None, None), ("net", "net", "k")]
    assert [each.path for each in code.unknown()] == [f"{tmp_path}/app/main.tf"]


def test_a_file_with_a_key_is_not_shared_by_chance(tmp_path: Path) -> None:
    files = {"net__main_tf": PARTIAL, "app__main_tf": PARTIAL, "env__dev_tfbackend": full("dev")}
    code = read(written(tmp_path, **files))
    assert [each.path for each in code.unknown()] == [f"{tmp_path}/app/main.tf", f"{tmp_path}/net/main.tf"]


def test_of_many_files_for_all_folders_somebody_has_to_say_which_are_meant(tmp_path: Path) -> None:
    shared = {f"env__{place}_tfbackend": f'bucket = "b{place}"\n' for place in range(21)}
    folder = written(tmp_path, a__main_tf=PARTIAL, b__main_tf=PARTIAL, **shared)
    assert f"{folder}/a/main.tf" in [each.path for each in read(folder).unknown()]
    code = read(folder, code_backend_files=["env/{name}.tfbackend"])
    assert (len(code.layers), code.unknown()) == (42, [])


def test_variables_are_no_backend(tmp_path: Path) -> None:
    folder = written(tmp_path, a__main_tf="locals {}\n")
    (folder / "a" / "terraform.tfvars").write_text('bucket = "logs"\nregion = "x"\n')
    (folder / "a" / "dev.auto.tfvars").write_text('bucket = "logs"\n')
    (folder / "a" / "more.tfvars").write_text('bucket = "logs"\nsize = 3\n')
    assert read(folder).layers == ()


GIT = "*.bak\n/vendor/\nskip/*\n!skip/keep\n# x\nold.tf\n"


def test_what_git_ignores_is_left_out_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'terraform {{\n  backend "s3" {{\n{full("b")}}}\n}}\n'
    folders = ("a", "vendor", "a__vendor", "skip__x", "skip__keep", "b")
    folder = written(tmp_path, **{f"{each}__main_tf": text for each in folders}, a__old_tf=text, **{".git__x": ""})
    (folder / ".gitignore").write_text(GIT)
    (folder / "b" / ".gitignore").write_text("*.tf\n!old.tf\n")
    every = sorted({each.path[len(str(folder)) + 1 :] for each in read(folder).layers})
    assert len(every) == 7
    kept = sorted({each.path[len(str(folder)) + 1 :] for each in read(folder, code_gitignore=True).layers})
    assert kept == ["a/main.tf", "a/vendor/main.tf", "skip/keep/main.tf"]
    inside = read(folder / "a", code_gitignore=True).layers
    assert [each.path for each in inside] == [f"{folder}/a/main.tf", f"{folder}/a/vendor/main.tf"]
    monkeypatch.chdir(folder / "b")
    code = code_of({"code": ["../a"], "code_gitignore": True})
    assert code and [each.path for each in code.layers] == ["../a/main.tf", "../a/vendor/main.tf"]


@pytest.mark.parametrize(("tree", "start"), [(".", ""), ("./", ""), ("./a", "a/"), ("a/../a", "a/")])
def test_a_tree_may_be_named_from_where_the_task_runs(
    tree: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"{'' if start else 'a/'}x"
    written(tmp_path, a__x__main_tf=PARTIAL)
    (tmp_path / "a" / "x" / "Makefile").write_text("init:\n\tterraform init -backend-config=../dev.cfg\n")
    (tmp_path / "a" / "dev.cfg").write_text(full("b"))
    monkeypatch.chdir(tmp_path)
    code = code_of({"code": [tree], "code_known": [{"paths": f"{folder}/**", "backend": "none"}]})
    assert code and [(each.path, each.block) for each in code.layers] == [("a/dev.cfg", "a/x/main.tf")]


def test_what_is_excluded_is_not_read(tmp_path: Path) -> None:
    text = f'terraform {{\n  backend "s3" {{\n{full("b")}}}\n}}\n'
    folder = written(tmp_path, **{f"{each}__main_tf": text for each in ("a", "examples__x", "a__examples__y")})
    assert len(read(folder).layers) == 3
    assert [each.directory for each in read(folder, code_exclude=["**/examples"]).layers] == [f"{folder}/a"]
    assert len(read(folder, code_exclude=["examples/"]).layers) == 2
    assert len(read(folder, code_exclude=[f"{folder}/a"]).layers) == 1


COVERED = {
    ("a", "a/b/c.tf"): True,
    ("a/*", "a/b/c.tf"): True,
    ("*.tf", "a/b/c.tf"): False,
    ("**/*.tf", "a/b/c.tf"): True,
    ("**/*.tf", "c.tf"): True,
    ("a/?/c.tf", "a/b/c.tf"): True,
    ("a/[!b]/c.tf", "a/b/c.tf"): False,
    ("a/[bc]/**", "a/b/c.tf"): True,
    ("./a/", "a/b/c.tf"): True,
    ("b", "a/b/c.tf"): False,
    ("a/b/c.tf/x", "a/b/c.tf"): False,
}


@pytest.mark.parametrize(("glob", "path"), COVERED)
def test_a_pattern_covers_files_and_all_in_a_folder(glob: str, path: str) -> None:
    assert covers(glob, path) is COVERED[glob, path]
    assert covers(glob, f"/trees/{path}", ["/trees"]) is COVERED[glob, path]


def test_settings_have_roots_of_the_trees_that_are_read(tmp_path: Path) -> None:
    folder = written(tmp_path, a__main_tf=PARTIAL, a__x_txt=full("b"))
    code = read_code([str(folder)], Settings(backend_files=("{layer}/{name}.txt",)))
    assert told(code, folder) == [("a", "b", "k")]

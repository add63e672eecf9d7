# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Terraform text: what is written, that `terraform fmt` leaves it alone, that Terraform reads the values back."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.provider import Block, Json, Reference, Value
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.hcl import hcl_text
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TERRAFORM = shutil.which("terraform")
without_terraform = pytest.mark.skipif(not TERRAFORM, reason="NOT PROVEN: terraform is not on PATH")

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,11}", fullmatch=True)
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text('$%{}"\\\n ab', max_size=8)
values: st.SearchStrategy[Value] = st.recursive(
    strings | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings | names, inner, max_size=4),
    max_leaves=8,
)
attribute_files = st.dictionaries(names, values, max_size=6)
blocks = st.recursive(
    st.builds(Block, names, st.lists(names, max_size=2).map(tuple), attribute_files),
    lambda inner: st.builds(Block, names, st.just(()), attribute_files, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=4,
)

T = TypeVar("T")


def examples(strategy: st.SearchStrategy[T], count: int, note: Callable[[T], object]) -> None:
    """Note many examples, to be judged by one terraform process instead of one each."""

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        note(example)

    collect()


def terraform(directory: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    assert TERRAFORM
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [TERRAFORM, *words],
        cwd=directory,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_equal_signs_line_up_and_a_nested_object_ends_the_run() -> None:
    text = hcl_text({"a": 1, "long_name": True, "nested": {"x": "y", "xyz": []}, "b": ["p", "q"], "longer": {}})
    assert text == (
        'a         = 1\nlong_name = true\nnested = {\n  x   = "y"\n  xyz = []\n}\nb      = ["p", "q"]\nlonger = {}\n'
    )


def test_a_reference_stands_as_it_is_and_json_is_encoded_by_terraform() -> None:
    assert hcl_text(
        {"to": Reference("aws_s3_bucket.state"), "policy": Json({"Id": "${x}", "Statement": [{"a": 1}]})}
    ) == (
        "to = aws_s3_bucket.state\n"
        'policy = jsonencode({\n  Id = "$${x}"\n  Statement = [\n    {\n      a = 1\n    },\n  ]\n})\n'
    )


@pytest.mark.parametrize("text", ["", "a b", "a.", 'file("x")', "a\nb", "${a}", "a.0"])
def test_what_is_no_reference_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="is no reference"):
        hcl_text({"to": Reference(text)})


def test_blocks_follow_attributes_after_an_empty_line() -> None:
    inner = Block("backend", ("s3",), {"bucket": "b"})
    text = hcl_text({}, (Block("terraform", (), {"required_version": ">= 1.10"}, (inner,)),), "First.\nSecond.")
    assert text == (
        "# First.\n"
        "# Second.\n"
        "\n"
        "terraform {\n"
        '  required_version = ">= 1.10"\n'
        "\n"
        '  backend "s3" {\n'
        '    bucket = "b"\n'
        "  }\n"
        "}\n"
    )


def test_an_empty_block_takes_one_line() -> None:
    assert hcl_text({}, (Block("backend", ("s3",)),)) == 'backend "s3" {}\n'


def test_a_list_of_objects_takes_a_line_for_each_member() -> None:
    assert hcl_text({"l": [{"a": 1}, "b"]}) == 'l = [\n  {\n    a = 1\n  },\n  "b",\n]\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('say "hi"', r'"say \"hi\""'),
        (r"C:\state", r'"C:\\state"'),
        ("one\ntwo\tthree\r", r'"one\ntwo\tthree\r"'),
        ("${var.a} %{if} $5 100%", r'"$${var.a} %%{if} $5 100%"'),
        ("é\x00😀", r'"\u00e9\u0000\U0001f600"'),
    ],
)
def test_a_string_means_itself(value: str, text: str) -> None:
    assert hcl_text({"a": value}) == f"a = {text}\n"


def test_object_keys_are_quoted_only_where_they_must_be() -> None:
    assert hcl_text({"a": {"for": 1, "b-c": 2, "d e": 3}}) == 'a = {\n  "for" = 1\n  b-c   = 2\n  "d e" = 3\n}\n'


@pytest.mark.parametrize("name", ["", "1a", "a b", "é", "a\n"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an attribute or block"):
        hcl_text({name: 1})
    with pytest.raises(ValueError, match="cannot name an attribute or block"):
        hcl_text({}, (Block("backend", (name,)),))


def test_a_value_without_hcl_words_is_refused() -> None:
    with pytest.raises(TypeError, match="None is a NoneType"):
        hcl_text({"a": None})  # type: ignore[dict-item]


@pytest.mark.terraform
@without_terraform
def test_terraform_fmt_leaves_the_text_alone(tmp_path: Path) -> None:
    texts: list[str] = []
    examples(attribute_files, 100, lambda attributes: texts.append(hcl_text(attributes, comment="Ours.")))
    attribute_count = len(texts)
    examples(blocks, 100, lambda block: texts.append(hcl_text({"a": 1, "bcd": 2}, (block, block))))
    for number, text in enumerate(texts):
        # fmt knows flat attribute files by the name tfvars only.
        (tmp_path / f"{number}.{'tfvars' if number < attribute_count else 'tf'}").write_text(text, encoding="utf-8")

    result = terraform(tmp_path, "fmt", "-check", "-diff", "-no-color")

    assert len(texts) >= 150
    assert result.returncode == 0, (result.stdout + result.stderr)[:4000]


@pytest.mark.terraform
@without_terraform
def test_terraform_reads_the_same_values_back(tmp_path: Path) -> None:
    written: dict[str, Value] = {}
    examples(values, 200, lambda value: written.__setitem__(f"v{len(written)}", _as_terraform_keeps_it(value)))
    (tmp_path / "main.tf").write_text(hcl_text({}, (Block("locals", (), {"all": written}),)), encoding="utf-8")

    result = terraform(tmp_path, "console", stdin="base64encode(jsonencode(local.all))\n")

    assert len(written) >= 150
    assert result.returncode == 0, result.stderr[:4000]
    assert json.loads(base64.b64decode(result.stdout)) == written


def _as_terraform_keeps_it(value: Value) -> Value:
    """Terraform keeps text in normal form C."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_as_terraform_keeps_it(element) for element in value]
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", name): _as_terraform_keeps_it(member) for name, member in value.items()}
    return value

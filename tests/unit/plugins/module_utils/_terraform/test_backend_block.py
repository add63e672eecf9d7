# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one backend block of a project: found among everything that looks like one, and nothing else is touched."""

from __future__ import annotations

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_block import (
    Edit,
    replaced,
    with_block,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.parser import (
    FoundBackend,
    NotSimple,
    arguments_in,
    backends_in,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NEW = 'backend "s3" {\n  bucket = "new"\n}\n'
WHOLE = 'terraform {\n  backend "s3" {\n    bucket = "new"\n  }\n}\n'

SIMPLE = {
    "as terraform fmt writes it": ("terraform {\n  ", 'backend "s3" {\n    bucket = "old"\n  }', "\n}\n"),
    "empty": ("terraform {\n  ", 'backend "s3" {}', "\n}\n"),
    "of another type": ("terraform {\n  ", 'backend "local" {\n    path = "x"\n  }', "\n}\n"),
    "an unquoted label": ("terraform {\n  ", "backend s3 {\n  }", "\n}\n"),
    "tabs": ("terraform {\n\t", 'backend "s3" {\n\t\tbucket = "old"\n\t}', "\n}\n"),
    "no last newline": ("terraform {\n  ", 'backend "s3" {\n  }', "\n}"),
    "between blocks": (
        'terraform {\n  required_version = ">= 1.10"\n'
        "  required_providers {\n"
        '    aws = { source = "hashicorp/aws" }\n  }\n  ',
        'backend "s3" {\n  }',
        '\n  provider_meta "x" {\n    y = 1\n  }\n}\nresource "a" "b" {\n}\n',
    ),
    "in the second terraform block": ("terraform {\n}\nterraform {\n  ", 'backend "s3" {\n  }', "\n}\n"),
    "a nested object": (
        "terraform {\n  ",
        'backend "s3" {\n    assume_role = {\n      role_arn = "arn:aws:iam::1:role/x"\n'
        '      tags = { a : "b", c = "d" }\n'
        "    }\n"
        '    allowed_account_ids = ["1",\n      "2"]\n    max_retries = 5e0\n  }',
        "\n}\n",
    ),
    "comments with blocks in them": (
        '# terraform { backend "s3" {} }\n// terraform {\n/* backend "s3" {\n */\nterraform { # backend "s3" {\n  '
        '/* terraform {\n backend "gcs" {} */\n  ',
        'backend "s3" { # }\n    // }\n    /* } */\n    bucket = "old" # "\n  }',
        ' # backend "s3" {}\n}\n',
    ),
    "a heredoc with a block in it": (
        'locals {\n  x = <<EOT\nterraform {\n  backend "s3" {}\n}\n  EOT no\nEOT\n  y = <<-EOT\n'
        '    "${jsonencode({ a = "}" })}" {\n'
        "    $${ %%{ $\n  EOT\n}\nterraform {\n  ",
        'backend "s3" {\n  }',
        "\n}\n",
    ),
    "strings with braces and templates": (
        'locals {\n  a = "terraform { backend \\"s3\\" {"\n  b = "${"}${"{"}"}"\n  c = "$${ %%{ $${"\n  d = "\\\\"\n'
        '  e = "a$${b"\n  f = [for x in ["{"] : x if x != "}"]\n}\nterraform {\n  ',
        'backend "s3" {\n    bucket = "$${old}"\n  }',
        "\n}\n",
    ),
    "a backend of something else": (
        'resource "x" "terraform" {\n  backend "s3" {\n  }\n}\nmodule "terraform" {\n'
        '  terraform {\n    backend "s3" {\n    }\n  }\n}\n'
        "backend {\n}\nterraform {\n  required_providers {\n    backend = {}\n  }\n  ",
        'backend "s3" {\n  }',
        "\n}\n",
    ),
}


@pytest.mark.parametrize("case", SIMPLE)
def test_exactly_the_block_is_replaced(case: str):
    before, old, after = SIMPLE[case]
    edit = with_block({"main.tf": before + old + after, "empty.tf": ""}, NEW, WHOLE)
    indent = before[before.rfind("\n") + 1 :]
    wanted = NEW.rstrip("\n").replace("\n", f"\n{indent}")
    assert edit == Edit("main.tf", before + old + after, before + wanted + after)


@pytest.mark.parametrize("case", SIMPLE)
def test_twice_is_once(case: str):
    once = with_block({"main.tf": "".join(SIMPLE[case])}, NEW, WHOLE)
    assert isinstance(once, Edit)
    twice = with_block({"main.tf": once.after}, NEW, WHOLE)
    assert isinstance(twice, Edit) and twice.after == once.after


def test_the_line_ends_of_the_text_are_kept():
    text = '\ufeff# x\r\nterraform {\r\n  backend "s3" {\r\n    bucket = "old"\r\n  }\r\n}\r\n'
    edit = with_block({"main.tf": text}, NEW, WHOLE)
    assert isinstance(edit, Edit)
    assert edit.after == '\ufeff# x\r\nterraform {\r\n  backend "s3" {\r\n    bucket = "new"\r\n  }\r\n}\r\n'


def test_a_project_without_a_backend_gets_a_file_of_its_own():
    files = {"main.tf": 'terraform {\n  required_version = "1.10"\n}\n', "data.json": "no JSON", "x.tf.json": "{}"}
    assert with_block(files, NEW, WHOLE) == Edit("backend.tf", None, WHOLE)


BLOCK = 'terraform {\n  backend "s3" {\n  }\n}\n'
NOT_SIMPLE = {
    "two blocks in a file": ({"main.tf": BLOCK + BLOCK}, "there are 2 backend or cloud blocks, in main.tf, main.tf"),
    "two files": (
        {"a.tf": BLOCK, "b_override.tf": BLOCK},
        "there are 2 backend or cloud blocks, in a.tf, b_override.tf",
    ),
    "a cloud block": (
        {"a.tf": "terraform {\n  cloud {\n  }\n}\n"},
        "a.tf: its state lies in HCP Terraform, as its cloud block",
    ),
    "JSON": ({"a.tf.json": '{"terraform": {"backend": {"s3": {}}}}'}, "a.tf.json holds a backend in JSON syntax"),
    "JSON, listed": ({"a.tf.json": '{"terraform": [{}, {"cloud": {}}]}'}, "a.tf.json holds a backend in JSON syntax"),
    "JSON that is none": ({"a.tf.json": "{"}, "a.tf.json holds a backend in JSON syntax"),
    "terragrunt": (
        {"a.tf": BLOCK, "terragrunt.hcl": ""},
        "terragrunt.hcl is there: what it generates is changed in its",
    ),
    "a template beside it": (
        {"a.tf": BLOCK, "a.tf.j2": ""},
        "a.tf.j2 is a template: what comes of it is changed in the",
    ),
    "generated": (
        {"a.tf": f"# Generated by Terragrunt. Sig: x\n{BLOCK}"},
        "a.tf: a comment says that it was generated",
    ),
    "Jinja": ({"a.tf": 'terraform {\n  backend "s3" {\n    {% if x %}\n  }\n}\n'}, "a.tf: line 3 is no Terraform that"),
    "Jinja around it": ({"a.tf": f"{{% if x %}}\n{BLOCK}"}, "a.tf: line 1 is no Terraform that this module can read"),
    "a variable": (
        {"a.tf": 'terraform {\n  backend "s3" {\n    bucket = var.bucket\n  }\n}\n'},
        "a.tf: its backend block is made with variables or templates",
    ),
    "a template in a string": (
        {"a.tf": 'terraform {\n  backend "s3" {\n    key = "${path.module}/x"\n  }\n}\n'},
        "a.tf: its backend block is made with variables or templates",
    ),
    "a variable in an object": (
        {"a.tf": 'terraform {\n  backend "s3" {\n    assume_role = { role_arn = local.x }\n  }\n}\n'},
        "a.tf: its backend block is made with variables or templates",
    ),
    "on one line": ({"a.tf": 'terraform { backend "s3" {} }\n'}, "a.tf: its backend block does not begin a line"),
    "an open brace": ({"a.tf": 'terraform {\n  backend "s3" {\n'}, "a.tf: line 3 is no Terraform that this module can"),
    "an open string": ({"a.tf": 'x = "a\nterraform {\n}\n'}, "a.tf: line 1 is no Terraform that this module can read"),
    "an open heredoc": ({"a.tf": f"x = <<EOT\n{BLOCK}"}, "a.tf: line 1 is no Terraform that this module can read"),
    "an open comment": ({"a.tf": f"x = 1 /* \n{BLOCK}"}, "a.tf: line 1 is no Terraform that this module can read"),
    "a closing brace too many": ({"a.tf": f"}}\n{BLOCK}"}, "a.tf: line 1 is no Terraform that this module can read"),
    "without end": ({"a.tf": "x " + "{\nx " * 5000}, "a.tf: it is nested deeper than any Terraform"),
    "no room for a file": ({"backend.tf": ""}, "backend.tf is there, and holds no backend"),
}


@pytest.mark.parametrize("case", NOT_SIMPLE)
def test_what_is_less_simple_is_left_to_people(case: str):
    files, reason = NOT_SIMPLE[case]
    answer = with_block(files, NEW, WHOLE)
    assert isinstance(answer, NotSimple)
    assert answer.reason.startswith(reason)


words = st.sampled_from(["a", "terraform", "backend", "cloud", "for", "x-1"])
strings = st.lists(
    st.sampled_from(
        ["{", "}", "#", "//", "/*", "<<EOT", '\\"', "\\\\", "$${", "%%{", "$-", "%-", "${1}", '${"}"}', " ", "é"]
    )
).map(lambda pieces: f'"{"".join(pieces)}"')
comments = st.sampled_from(["# {\n", '// backend "s3" {}\n', "/* } */\n", '# "\n', "/* <<EOT\n */\n"])
heredocs = st.tuples(
    st.sampled_from(["<<", "<<-"]),
    st.lists(st.sampled_from(["terraform {\n", '  backend "s3" {}\n', "}\n", "E\n", '"\n', "#\n"])),
).map(lambda each: f"{each[0]}EOT\n{''.join(each[1])}  EOT")
values = st.recursive(
    strings | heredocs | st.sampled_from(["1", "true", "null", "var.x", "a == b ? 1 : 2"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda many: "[\n" + "".join(f"{each}\n," for each in many) + "]")
        | st.lists(st.tuples(words, inner), max_size=3).map(
            lambda many: "{\n" + "".join(f"{name} = {each}\n" for name, each in many) + "}"
        )
    ),
    max_leaves=4,
)
attributes = st.tuples(words, values).map(lambda each: f"{each[0]} = {each[1]}\n")
statements = st.recursive(
    attributes | comments | st.just("\n"),
    lambda inner: st.tuples(st.sampled_from(["a", "backend", 'resource "x" "y"']), st.lists(inner, max_size=3)).map(
        lambda each: f"{each[0]} {{\n{''.join(each[1])}}}\n"
    ),
    max_leaves=6,
)
bodies = st.lists(statements, max_size=4).map("".join)
of_terraform = st.lists(attributes | comments, max_size=3).map("".join)
plain = st.lists(st.tuples(words, strings.filter(lambda text: "${" not in text.replace("$${", ""))), max_size=3)


@settings(deadline=None)
@given(bodies, of_terraform, plain, of_terraform, bodies)
def test_no_character_outside_the_block_changes(
    outer: str, before: str, old: list[tuple[str, str]], after: str, end: str
):
    head, tail = f"{outer}terraform {{\n{before}", f"{after}}}\n{end}"
    block = "backend s3 {\n" + "".join(f"{name} = {value}\n" for name, value in old) + "}"
    text = f"{head}{block}\n{tail}"
    assert backends_in(text) == [FoundBackend("backend", ("s3",), len(head), len(head) + len(block), False)]
    edit = with_block({"main.tf": text}, NEW, WHOLE)
    assert edit == Edit("main.tf", text, head + NEW.rstrip("\n") + "\n" + tail)
    again = with_block({"main.tf": edit.after}, NEW, WHOLE)
    assert isinstance(again, Edit) and again.after == edit.after


@settings(deadline=None)
@given(st.text(st.sampled_from('{}"\\\n$%#/*<E=[]() \tabackend terraform s3'), max_size=60))
def test_whatever_comes_is_answered(noise: str):
    found = backends_in(f'terraform {{\nbackend "s3" {{\n{noise}')
    if not isinstance(found, NotSimple):
        for each in found:
            assert replaced(f'terraform {{\nbackend "s3" {{\n{noise}', each, NEW)


def test_what_a_block_says_as_plain_strings_is_known():
    text = (
        'terraform {\n  cloud {\n    a = "b"\n  }\n  backend "s3" {\n    bucket = "a\\"b" # why\n    key = var.key\n'
        '    profile = "${x}"\n    assume_role {\n      role_arn = "r"\n    }\n    encrypt = true\n  }\n}\n'
    )
    found = backends_in(text)
    assert not isinstance(found, NotSimple)
    assert [each.backend for each in found] == ["cloud", "s3"]
    assert found[1].arguments == {"bucket": 'a"b', "key": None, "profile": None, "assume_role": None, "encrypt": None}
    assert arguments_in('# x\nbucket = "a"\nkey="b"') == {"bucket": "a", "key": "b"}
    assert arguments_in('bucket = "a\n') == arguments_in("}") == {}

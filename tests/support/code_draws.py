# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders of Terraform code by chance: backend blocks among comments, strings and heredocs that look like them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.support.code_forms import ARGUMENTS, Form

#: Where HCL takes a comment and goes on in the same line.
INLINE = st.sampled_from(["", " ", "\t", ' /* { " */ ', "/**/", " /* \n <<EOT \n */ ", "/* terraform { */"])
#: Comments that stand alone.
COMMENTS = (
    *("", "# {", "// }", '/* terraform { backend "s3" { */', "# <<EOT", "/*\n*/", "\t", '# "', "#\u00e9\ufeff"),
)
BLOCKS = (
    'locals {\n  a = "}"\n}',
    'locals {\n  b = "terraform { backend \\"s3\\" {"\n}',
    'locals {\n  c = "${"{"}"\n}',
    'locals {\n  d = <<EOT\n terraform { backend "s3" {\n EOT x\n${"EOT"}\nEOT\n}',
    "locals {\n  e = <<-EOT\n    terraform { /* \n    EOT\n}",
    'locals {\n  f = [ /* ] */ "a", # ]\n  "b" ]\n}',
    'locals {\n  g = { a = { "}" = 1 } }\n}',
    'locals {\n  h = "$${ %%{ $ % \\\\"\n}',
    'output "backend" {\n  value = "backend"\n}',
)
LINES = st.lists(st.sampled_from(COMMENTS), max_size=3).map("\n".join)
MORE = st.lists(st.sampled_from((*COMMENTS, *BLOCKS)), max_size=4, unique=True).map("\n".join)
ENDS = st.sampled_from(["", " # {", " // }", "/* } */"])
GAPS = st.sampled_from([" ", "/* x */"])


@st.composite
def blocks(draw: st.DrawFn, kind: str) -> str:
    """A terraform block with a backend, comments anywhere that HCL takes them."""

    def inline() -> str:
        return draw(INLINE)

    values = ARGUMENTS if kind == "s3" else {"path": "x"}
    label = draw(st.sampled_from([f'"{kind}"', kind]))
    told = [f"{name}{inline()}={inline()}{json.dumps(value)}{draw(ENDS)}" for name, value in values.items()]
    body = "\n".join(f"{line}\n{draw(LINES)}" for line in told)
    outer = f"{inline()}terraform{draw(GAPS)}{inline()}{{{draw(ENDS)}\n{draw(LINES)}\n"
    inner = f"{inline()}backend{draw(GAPS)}{label}{inline()}{{\n{body}\n}}\n{draw(LINES)}\n"
    return f"{outer}{inner}}}\n"


NAMES = ("main.tf", "z.tf.json", "override.tf", "a_override.tf.json", ".hidden.tf", "old.tf~", "#main.tf#", "main.tofu")


@st.composite
def texts(draw: st.DrawFn, name: str, kind: str | None) -> str | bytes:
    if name.endswith(".json"):
        return json.dumps(draw(documents(kind)))
    middle = draw(blocks(kind)) if kind else 'locals {\n  x = "backend"\n}\n'
    text = f"{draw(MORE)}\n{middle}{draw(LINES)}\n"
    # Locals of one name may stand in one folder only once, as the client tells its mistakes before its backend.
    for count, letter in enumerate("abcdefghx"):
        text = text.replace(f"  {letter} = ", f"  {letter}{NAMES.index(name)}_{count} = ")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if draw(st.booleans()) else "") + text


@st.composite
def documents(draw: st.DrawFn, kind: str | None) -> Any:
    config: Any = ARGUMENTS if kind == "s3" else {"path": "x"}
    for name in [kind, "backend", "terraform"] if kind else ["backend"]:
        config = {name: draw(st.sampled_from([config, [config]]))}
    document = config if kind else {"locals": {"backend": "s3"}}
    return draw(st.sampled_from([document, [document], [{"locals": {}}, document], {"//": "x", **document}]))


@st.composite
def folders(draw: st.DrawFn) -> Form:
    """One to four files, each with a backend of S3, with another one, or without any."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    return Form({name: draw(texts(name, draw(st.sampled_from(["s3", "s3", "local", None])))) for name in names})

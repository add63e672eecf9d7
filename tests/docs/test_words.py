# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What pages list is what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW

from tests.docs.pages import ROOT, read, tables

ROLE = "roles/terraform_backend"


def test_every_word_of_allow_is_explained():
    words = [row[0].strip("`") for row in tables("docs/adopting.md", "`allow`")]
    assert sorted(words) == sorted({word for words in ALLOW.values() for word in words})


def test_the_role_readme_names_every_variable():
    text = read(Path(ROLE) / "README.md")
    listed = set(re.findall(r"`([a-z_]+)`", text))
    specs = yaml.safe_load(read(Path(ROLE) / "meta" / "argument_specs.yml"))
    names = [name.removeprefix("terraform_backend_") for name in specs["argument_specs"]["main"]["options"]]
    short = {re.sub("^(bucket|table)_", "", name) for name in names}
    assert short - listed == set()


def test_the_role_readme_tells_the_defaults():
    defaults = yaml.safe_load(read(Path(ROLE) / "defaults" / "main.yml"))
    told = {row[0].strip("`"): row[1].strip("`") for row in tables(f"{ROLE}/README.md", "variable")}
    plain = {name.removeprefix("terraform_backend_"): value for name, value in defaults.items() if "{{" not in value}
    assert {name: told.get(name) for name in plain} == plain


def test_the_architecture_page_names_what_a_facet_may_define():
    rows = " ".join(row[0] for row in tables("docs/architecture.md", "name"))
    told = set(re.findall(r"`(\w+)", rows))
    source = read(Path("plugins/module_utils/_core/model.py"))
    known = set(re.findall(r"\bmodule(?:\.|, \")(\w+)", source))
    assert told == known


def test_the_architecture_page_names_every_package():
    packages = {path.name for path in (ROOT / "plugins/module_utils").glob("_[a-z]*/")}
    assert packages - set(re.findall(r"\b_\w+\b", read(Path("docs/architecture.md")))) == set()


def test_the_audit_page_tells_every_finding():
    told = {row[0].strip("`"): row[1:] for row in tables("docs/audit.md", "finding")}
    known = {name: [kind.severity, kind.title, ", ".join(kind.controls) or "-"] for name, kind in KINDS.items()}
    assert told == known


def test_the_audit_page_tells_every_variable_of_the_playbook():
    told = {row[0].strip("`") for row in tables("docs/audit.md", "variable")}
    assert told == set(re.findall(r"terraform_backend_audit_\w+", read(Path("playbooks/audit.yml")))) - {
        "terraform_backend_audit"
    }

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What release 0.1.0 documented is still accepted and returned: a renamed option keeps its old name as an alias."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import (
    ENTRIES,
    MODULES,
    ROLE_SPEC,
)

from tests.support.released import ARCHIVE, Documentation, released, released_role, texts

ROOT = Path(__file__).parents[3]
#: Plugins that were removed: `meta/runtime.yml` says so to those who use them.
REMOVED = ["plugins/filter/backend_problems.py"]
DOCUMENTED = sorted(name for name, text in released().items() if "\nDOCUMENTATION = " in text and name not in REMOVED)
WITH_RESULTS = [name for name in DOCUMENTED if "\nRETURN = " in released()[name]]


class Today(dict[str, str]):
    """Files of this checkout."""

    def __missing__(self, path: str) -> str:
        return (ROOT / path).read_text()


TODAY = Today()


def option_of(spec: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """An option by its name or an alias."""
    return next((each for key, each in spec.items() if name in (key, *each.get("aliases", ()))), None)


def no_longer_accepted(was: Mapping[str, Any], spec: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, option in was.items():
        now = option_of(spec, name)
        if now is None:
            yield f"{prefix}{name}"
            continue
        yield from (f"{prefix}{alias}" for alias in option.get("aliases", ()) if option_of(spec, alias) is not now)
        for key in ("type", "elements"):
            if now.get(key, "str") != option.get(key, "str"):
                yield f"{prefix}{name} has the {key} {option.get(key, 'str')}"
        if "choices" in now:
            yield from (f"{prefix}{name}={each}" for each in option.get("choices", ()) if each not in now["choices"])
        if now.get("required") and not option.get("required"):
            yield f"a task without {prefix}{name}"
        if "default" in option and option["default"] != now.get("default"):
            yield f"{prefix}{name} has the default {option['default']}"
        inner = now.get("options") or now.get("suboptions") or {}
        yield from no_longer_accepted(option.get("suboptions", {}), inner, f"{prefix}{name}.")


def test_the_archive_is_what_its_commit_holds() -> None:
    with tarfile.open(ARCHIVE) as archive:
        commit = archive.pax_headers["comment"]
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "cat-file", "-e", commit], capture_output=True, check=False).returncode:
        pytest.skip("this clone is shallow: the commit of release 0.1.0 is not in it")
    again = subprocess.run([*git, "archive", commit, *released()], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(again)) as archive:
        assert texts(archive) == released()


@pytest.mark.parametrize("plugin", DOCUMENTED)
def test_each_option_is_still_documented(plugin: str) -> None:
    was, now = Documentation(plugin, released()).options, Documentation(plugin, TODAY).options
    assert [*no_longer_accepted(was, now)] == []


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_still_accepts_each_option(kind: str) -> None:
    was = Documentation(f"plugins/modules/{MODULES[kind]}.py", released()).options
    assert [*no_longer_accepted(was, ENTRIES[kind].spec)] == []


@pytest.mark.parametrize("plugin", WITH_RESULTS)
def test_each_result_is_still_documented(plugin: str) -> None:
    was, now = Documentation(plugin, released()).results, Documentation(plugin, TODAY).results
    assert dict(was.items() - now.items()) == {}


def test_the_role_still_accepts_each_variable() -> None:
    """Defaults stand in a file of their own, and what is required only in the description."""
    was = {name: {**option, "default": None} for name, option in released_role().items()}
    assert [*no_longer_accepted(was, ROLE_SPEC)] == []
    now = yaml.safe_load(TODAY["roles/terraform_backend/meta/argument_specs.yml"])["argument_specs"]["main"]["options"]
    assert {name for name in now if now[name].get("required")} <= {name for name in was if was[name].get("required")}
    path = "roles/terraform_backend/defaults/main.yml"
    before, after = (yaml.safe_load(files[path]) for files in (released(), TODAY))
    plain = {name: default for name, default in before.items() if "{{" not in default}  # the upgrade tests the others
    assert {name: after.get(name, default) for name, default in plain.items()} == plain


def test_the_playbook_still_reads_each_variable() -> None:
    variables = re.findall(r"\w+(?= \| default)", released()["playbooks/bootstrap.yml"])
    variables.remove("msg")
    assert variables
    assert [name for name in variables if name not in TODAY["playbooks/bootstrap.yml"]] == []


def test_variables_that_plugins_read_themselves_are_still_read() -> None:
    def names(files: Iterable[str]) -> set[str]:
        return {name for text in files for name in re.findall(r"cornerstone_tfstate_\w+", text)}

    was = names(text for name, text in released().items() if name.startswith("plugins/"))
    assert was
    assert was <= names(path.read_text() for path in (ROOT / "plugins").rglob("*.py"))


@pytest.mark.parametrize("plugin", REMOVED)
def test_a_removed_plugin_says_so(plugin: str) -> None:
    _plugins, kind, file = Path(plugin).parts
    assert plugin in released()
    assert not (ROOT / plugin).exists()
    routing = yaml.safe_load(TODAY["meta/runtime.yml"])["plugin_routing"]
    assert routing[kind][Path(file).stem]["tombstone"]["warning_text"]


def test_the_action_group_still_has_each_module() -> None:
    def group(files: Mapping[str, str]) -> set[str]:
        return {*yaml.safe_load(files["meta/runtime.yml"])["action_groups"]["tfstate"]}

    assert group(released()) <= group(TODAY)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option that a message names is one of a module that can give the message, with a value that it takes.

Messages are the texts in the code, with `{}` for what is filled in. A module can give those of all files that it
imports, so a message of a shared file has to fit one of the modules that share it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import OPTIONS, PREFIX, in_variables
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_layer import S3_ARGUMENTS
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import NAMES
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.variable_names import OF_PLAYBOOKS

from tests.integration.module_runs import ENTRIES

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
COLLECTION = "ansible_collections.cornerstone.tfstate.plugins."
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}

#: `option: value` and `option=value`, where the value is a word, a list of words, or filled in.
GIVEN = re.compile(r"(?<![\w.\"'-])([a-z][a-z_]*)(?:: |=)(\[[^\]\[]*\]|\{\}|[a-z0-9_*]+)(?=[\s,;.)]|$)")
#: A word that can be nothing but a name.
NAME = re.compile(r"(?<![\w.:/{}*-])([a-z]+(?:_[a-z]+)+)(?![\w.:/(*}-])")
#: Names that are no options: arguments and files of clients, and words of Ansible and AWS.
OTHER_NAMES = {
    *S3_ARGUMENTS,
    *("required_version", "terraform_remote_state", "remote_state", "state_tags", "force_destroy", "prevent_destroy"),
    *("transition_default_minimum_object_size", "tags_all"),
    *(
        "ansible_connection",
        "module_defaults",
        "credential_process",
        "from_json",
        "from_yaml",
        "no_log",
        "describe_table",
        "version_id",
        "block_public_policy",
    ),
}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def file_of(name: str) -> Path | None:
    path = PLUGINS.joinpath(*name.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


@cache
def imports_of(file: Path) -> frozenset[Path]:
    return frozenset(_imports_of(file))


def _imports_of(file: Path) -> Iterator[Path]:
    package = list(file.relative_to(PLUGINS).parent.parts)
    for node in ast.walk(tree_of(file)):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = (node.module or "").removeprefix(COLLECTION)
        if node.level:
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
        names = [base, *(f"{base}.{each.name}" for each in node.names)]
        yield from filter(None, map(file_of, names))


@cache
def closure_of(file: Path) -> frozenset[Path]:
    found, due = set(), [file]
    while due:
        each = due.pop()
        if each not in found:
            found.add(each)
            due += imports_of(each)
    return frozenset(found)


@cache
def modules_of(file: Path) -> tuple[str, ...]:
    """The modules that can give the messages of a file."""
    if file.parent.name == "_fleet":  # the inventory plugin gives them
        return ()
    if file.parent.name == "modules" and file.stem in ENTRIES:
        return (file.stem,)
    return tuple(
        name
        for name in ENTRIES
        if any(
            file in closure_of(PLUGINS / kind / f"{name}.py")
            for kind in ("modules", "action")
            if (PLUGINS / kind / f"{name}.py").is_file()
        )
    )


def texts_in(tree: ast.AST) -> Iterator[str]:
    """The texts of a file, but for documentation."""
    for node in ast.iter_child_nodes(tree):
        is_documentation = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node, ast.Assign) and is_documentation and node.targets[0].id in DOCUMENTATION:  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        else:
            yield from texts_in(node)


def values_of(option: Mapping[str, Any]) -> set[str] | None:
    """The words that it takes; None if it takes any."""
    if option.get("type") == "bool":
        return {"true", "false"}
    return {*map(str, option["choices"])} if option.get("choices") else None


def is_taken(option: Mapping[str, Any], value: str) -> bool:
    known = values_of(option)
    words = re.findall(r"[^\[\],\s]+", value)
    return known is None or all(word in known or "{}" in word for word in words)


def specs_for(file: Path, text: str) -> list[dict[str, Any]]:
    """Of the modules that can give it, and of those that it sends to."""
    named = [name for name in re.findall(r"\btf_[a-z_]+", text) if name in ENTRIES]
    return [ENTRIES[name].spec for name in (*modules_of(file), *named)]


def problems_of(file: Path, tree: ast.AST | None = None) -> Iterator[str]:
    for text in texts_in(tree or tree_of(file)):
        if " " in text and "(?" not in text:  # neither a name nor a pattern
            yield from (f"{problem}: {text}" for problem in _problems_in(text, specs_for(file, text)))


def _problems_in(text: str, specs: list[dict[str, Any]]) -> Iterator[str]:
    for name, value in GIVEN.findall(text):
        options = [spec[name] for spec in specs if name in spec]
        is_word = "_" not in name and not any(name in entry.spec for entry in ENTRIES.values())
        is_prose = is_word or ("_" not in name and not value.startswith("[") and value not in words_elsewhere())
        if is_prose or name in OTHER_NAMES:
            continue
        if not options and name not in names_elsewhere():
            yield f"{name} is no option"
        elif options and not any(is_taken(option, value) for option in options):
            yield f"{name} does not take {value}"
        elif not options and value.startswith("["):
            yield f"{name} is no option of these modules"
    for name in NAME.findall(text):
        is_option = any(name in spec or name in _words_of(spec) for spec in specs)
        if not is_option and name not in {*OTHER_NAMES, *names_elsewhere()}:
            yield f"{name} is no option"


def _words_of(spec: Mapping[str, Any]) -> set[str]:
    return {str(word) for option in spec.values() for word in option.get("choices") or ()}


@cache
def words_elsewhere() -> frozenset[str]:
    """The values that options take."""
    return frozenset({word for entry in ENTRIES.values() for word in _words_of(entry.spec)})


@cache
def names_elsewhere() -> frozenset[str]:
    """Variables of the playbooks and of the role, and modules and playbooks."""
    playbooks = [*(ROOT / "playbooks").glob("*.yml")]
    options = {name for each in OPTIONS.values() for name in each}
    return frozenset({*options, *NAMES, *OF_PLAYBOOKS, *ENTRIES, *OTHER_MODULES, *(path.stem for path in playbooks)})


OTHER_MODULES = {path.stem for path in (PLUGINS / "modules").glob("tf_*.py")}
FILES = sorted(
    file
    for file in PLUGINS.rglob("*.py")
    if file.relative_to(PLUGINS).parts[0] in ("module_utils", "modules", "action", "plugin_utils") and modules_of(file)
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PLUGINS)))
def test_a_message_names_options_of_the_modules_that_give_it(file: Path) -> None:
    assert [*problems_of(file)] == []


@cache
def taken_by(playbook: str) -> frozenset[str]:
    return frozenset({*OPTIONS.get(playbook, ()), *NAMES})


def commands_in(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """The playbook that the fix of a finding names, and its variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            names = {str(each.arg) for each in node.keywords if each.arg} - {"note"}
            if node.func.attr in ("play", "play_on") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), names


def wrong_commands_in(tree: ast.AST) -> list[tuple[str, set[str]]]:
    found = [(playbook, names - taken_by(playbook)) for playbook, names in commands_in(tree)]
    return [(playbook, names) for playbook, names in found if names]


def test_a_fix_gives_a_playbook_what_it_takes() -> None:
    files = [
        PLUGINS / "module_utils" / "_audit" / f"{name}.py"
        for name in ("settings", "contents", "hazards", "expectations")
    ]
    assert [each for file in files for each in commands_in(tree_of(file))]
    assert [each for file in files for each in wrong_commands_in(tree_of(file))] == []
    assert wrong_commands_in(ast.parse("wanted.play('unlock', kye=path)")) == [("unlock", {"kye"})]
    assert wrong_commands_in(ast.parse("wanted.play_on('lock', path, kye=path)")) == [("lock", {"kye"})]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("modules/tf_state_lock.py", "AccessDenied, or leave it alone with unmanaged: [policy]"),
        ("modules/tf_state_bucket.py", "the policy would lose it: allow: [weaken_polcy]"),
        ("modules/tf_state_bucket.py", "one is deleted, so set force_delete: true"),
        ("modules/tf_state_lock.py", "it was deleted: run again with state: undeleted"),
        ("module_utils/_bucket/policy.py", "drop it with drop_statement: [Audit]"),
        ("module_utils/_bucket/ownership.py", "keep it with object_ownership: owner_preferred"),
        ("module_utils/_lock_mode/requirements.py", "run it with -e unseen_cod=true, please"),
    ],
)
def test_a_message_that_names_another_is_found(place: str, message: str) -> None:
    assert [*problems_of(PLUGINS / place, ast.parse(f"raise Refused({message!r})"))]


def tasks_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from tasks_in(each)


def executed() -> Iterator[tuple[str, str]]:
    """Each playbook with variables of its own, and the modules whose messages it shows."""
    for playbook in OPTIONS:
        for task in tasks_in(yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text())):
            names = [name.rpartition(".")[2] for name in task if name.startswith("cornerstone.tfstate.")]
            yield from ((playbook, name) for name in names if name in ENTRIES)


#: Messages about one state, where the playbook works on all of them; they are in a file that it shares. And those of
#: the other work of a module.
OF_ONE_STATE = {
    *(("rebuild", "tf_state_digest", name) for name in ("allow", "key_is_url_encoded")),
    ("thaw", "tf_backend_freeze", "allow"),
}


@pytest.mark.parametrize(("playbook", "module"), sorted({*executed()}))
def test_what_a_message_says_to_set_is_a_variable_of_each_playbook_that_shows_it(playbook: str, module: str) -> None:
    spec, said = ENTRIES[module].spec, set()
    texts = [text for file in FILES if module in modules_of(file) for text in texts_in(tree_of(file)) if " " in text]
    for text in texts:
        for name, value in GIVEN.findall(text) if "(?" not in text else ():
            option = spec.get(name, {})
            is_list = value.startswith("[") and is_taken(option, value)
            if name in spec and (is_list or value in ("true", "false")) and f"{PREFIX}{name}" not in NAMES:
                said.add(name)
                given = f"{name}: {value}"
                if (playbook, module, name) not in OF_ONE_STATE:
                    assert f"-e {PREFIX}{playbook}_{name}=" in in_variables(playbook, f"it needs {given}"), text
    assert {name for name in said if (playbook, module, name) not in OF_ONE_STATE} <= {*OPTIONS[playbook]}


def test_a_message_may_send_to_another_module() -> None:
    message = "it was deleted: undelete it first (tf_state_version with state: undeleted)"
    assert not [*problems_of(PLUGINS / "modules" / "tf_state_lock.py", ast.parse(f"x({message!r})"))]

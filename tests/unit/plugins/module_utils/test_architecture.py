# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packages of docs/architecture.md, held by a look at the source: who imports whom, and who does I/O."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).parents[4] / "plugins" / "module_utils"
#: A package imports only packages that stand above it.
PACKAGES = (
    *("_core", "_policy", "_bucket", "_table", "_terraform", "_aws", "_local", "_engine", "_locks", "_state"),
    *("_repair", "_migration", "_lock_mode", "_backup", "_freeze", "_teardown", "_audit", "_adoption", "_handover"),
    *("_cost",),
    *("_organization", "_modules"),
)
PURE = {"_core", "_policy", "_bucket", "_table", "_terraform", "_audit", "_adoption", "_handover", "_cost"}
FILES = sorted(MODULE_UTILS.rglob("*.py"))
MODULES = sorted(MODULE_UTILS.with_name("modules").glob("*.py"))
NO_FACETS = {"__init__.py", "acl_groups.py", "lifecycle_rules.py", "mfa_delete_probe.py"}
FACETS = [file for file in FILES if file.parent.name in ("_bucket", "_table") and file.name not in NO_FACETS]
IMPURE = {
    *("boto3", "botocore", "ansible", "ansible_collections", "requests", "urllib", "http", "socket", "ssl"),
    *("time", "os", "sys", "random", "secrets", "logging", "subprocess", "threading", "tempfile", "shutil", "asyncio"),
}


def files(chosen: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", chosen, ids=[name_of(file) for file in chosen])


def name_of(file: Path) -> str:
    return str(file.relative_to(MODULE_UTILS))


def package_of(file: Path) -> str:
    return file.relative_to(MODULE_UTILS).parts[0]


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text())))


@cache
def imports(file: Path) -> set[str]:
    """Every module that is imported: `botocore.config`, or `.._core.model` as it is written."""
    found = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            found |= {dots + node.module} if node.module else {dots + name.name for name in node.names}
    return found


def distributions(file: Path) -> set[str]:
    """Parsing a URL is no I/O."""
    found = {name for name in imports(file) if not name.startswith(".")} - {"urllib.parse"}
    return {name.partition(".")[0] for name in found}


def packages_used(file: Path) -> set[str]:
    return {name[2:].partition(".")[0] for name in imports(file) if name.startswith("..")}


def test_every_package_has_its_place() -> None:
    assert {package_of(file) for file in FILES} == {*PACKAGES}


@files(FILES)
def test_a_package_imports_only_packages_above_it(file: Path) -> None:
    allowed = {*PACKAGES[: PACKAGES.index(package_of(file))]} - ({"_bucket"} if package_of(file) == "_table" else set())
    assert packages_used(file) <= allowed


@files([file for file in FILES if package_of(file) in PURE])
def test_a_pure_package_does_no_io(file: Path) -> None:
    assert not distributions(file) & IMPURE
    assert packages_used(file) <= PURE
    called = {node.func.id for node in nodes(file) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    attributes = {node.attr for node in nodes(file) if isinstance(node, ast.Attribute)}
    assert not called & {"open", "print", "input", "eval", "exec", "__import__"}
    assert not attributes & {"now", "utcnow", "today", "read_text", "write_text"}


@files(FACETS)
def test_a_facet_knows_no_other_facet(file: Path) -> None:
    assert packages_used(file) <= {"_core", "_policy"}
    beside = {name for name in imports(file) if name.startswith(".") and not name.startswith("..")}
    assert beside <= {f".{name.removesuffix('.py')}" for name in NO_FACETS}


@files([file for file in FILES if package_of(file) != "_aws"])
def test_only_one_package_talks_to_aws(file: Path) -> None:
    assert not distributions(file) & {"boto3", "botocore"}


@files([file for file in FILES if name_of(file) not in ("_modules/entry.py", "_local/files.py")])
def test_only_the_entry_knows_ansible(file: Path) -> None:
    assert "ansible" not in distributions(file)


@files([file for file in FILES if name_of(file) != "_modules/entry.py"])
def test_no_file_speaks_of_another_collection(file: Path) -> None:
    assert "ansible_collections" not in distributions(file)


@files([file for file in FILES if name_of(file) != "_engine/reconcile.py"])
def test_only_the_loop_decides_by_check_mode(file: Path) -> None:
    """Others may hand it on."""
    check_that_check_mode_decides_nothing(file)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.stem)
def test_no_module_decides_by_check_mode(file: Path) -> None:
    check_that_check_mode_decides_nothing(file)


def check_that_check_mode_decides_nothing(file: Path) -> None:
    tests = [node.test for node in nodes(file) if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert))]
    decided = [node for test in tests for node in ast.walk(test)]
    names = {node.id for node in decided if isinstance(node, ast.Name)}
    assert "check_mode" not in names | {node.attr for node in decided if isinstance(node, ast.Attribute)}


@files([file for file in FILES if name_of(file) != "_engine/reconcile.py" and package_of(file) != "_modules"])
def test_only_modules_hand_check_mode_on(file: Path) -> None:
    names = {node.id for node in nodes(file) if isinstance(node, ast.Name)}
    arguments = {node.arg for node in nodes(file) if isinstance(node, ast.arg)}
    assert not {"check_mode", "supports_check_mode"} & (names | arguments)


@files([file for file in FILES if file.name == "__init__.py" and package_of(file) not in ("_bucket", "_table")])
def test_a_package_file_imports_nothing(file: Path) -> None:
    """AnsiballZ ships whatever it imports."""
    assert not imports(file)


@files(FILES)
def test_nobody_swallows_unknown_exceptions(file: Path) -> None:
    for node in nodes(file):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("Exception", "everything"), f"line {node.lineno}"


@files(FILES)
def test_names_say_what_a_file_is_about(file: Path) -> None:
    assert not {"utils", "common", "helpers", "manager", "misc"} & {*file.stem.strip("_").split("_")}

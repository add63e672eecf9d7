# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of docs/architecture.md, held by a look at the source: who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).parents[4] / "plugins" / "module_utils"
ROOMS = sorted(MODULE_UTILS.rglob("*.py"))
FACETS = [room for room in ROOMS if room.parent.name in ("_bucket", "_table") and room.name != "__init__.py"]
SHARED = {".._core", ".._tags", ".._policy_document", ".._own_statements", ".._lifecycle_rules", ".._mfa_delete"}
PURE_NAMES = (
    *("_core", "_guard", "_tags", "_policy_document", "_policy_reach", "_own_statements", "_lifecycle_rules"),
    *("_mfa_delete", "_backend_block", "_backend_reader", "_backend_config", "_hcl", "_summary", "_fleet"),
    "_fleet_file",
    *("_partitions", "_lock_record", "_arguments", "_identifiers"),
    *("_hcl_parser", "_globs", "_code_layer", "_code_known", "_code_blocks", "_code_terragrunt", "_code_partial"),
    *("_code_map", "_code_check", "_finding_kinds", "_findings", "_audit", "_report", "_report_page"),
    *("_handover", "_handover_settings", "_handover_readme", "_cost", "_cost_facts", "_prices", "_lock_steps"),
    *("_expectations", "_audit_contents", "_audit_hazards", "_no_log"),
    *("_expectations", "_audit_contents", "_audit_hazards", "_printable", "_commands", "_url_credentials"),
)
PURE = [MODULE_UTILS / f"{name}.py" for name in PURE_NAMES] + [
    room for room in ROOMS if room.parent.name in ("_bucket", "_table")
]
PURE += [MODULE_UTILS / "_state" / f"{name}.py" for name in ("scope", "reading", "document")]
PURE += [MODULE_UTILS / "_backup" / f"{name}.py" for name in ("manifest", "manifest_checks", "bodies")]
IMPURE = {
    *("boto3", "botocore", "ansible", "ansible_collections", "requests", "urllib", "http", "socket", "ssl"),
    *("time", "os", "sys", "random", "secrets", "logging", "subprocess", "threading", "tempfile", "shutil", "asyncio"),
}
#: Between the loop and Ansible: they hand on what the task says of check mode.
EDGES = (
    *("_reconcile.py", "_module.py", "_summary.py", "_backend_files.py", "_backend_info.py", "_backend_audit.py"),
    *("_state_lock.py", "_state_move.py", "_state_digest.py", "_state_version.py", "_handover_files.py"),
    *("_backend_backup.py", "_backend_teardown.py", "_backend_restore.py", "_lock_mode.py"),
)


def rooms(chosen: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("room", chosen, ids=[str(room.relative_to(MODULE_UTILS)) for room in chosen])


def nodes(room: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(room.read_text()))


def imports(room: Path) -> set[str]:
    """Every module that is imported: `botocore.config`, or `.._core` as it is written."""
    found = set()
    for node in nodes(room):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            found |= {dots + node.module} if node.module else {dots + name.name for name in node.names}
    return found


def packages(room: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(room) if not name.startswith(".")}


def reached_from(room: Path) -> Iterator[Path]:
    """The rooms that are imported. A folder stands for its first room."""
    for name in imports(room):
        bare = name.lstrip(".")
        folder = [room, *room.parents][len(name) - len(bare)]
        if name.startswith("."):
            path = folder.joinpath(*bare.split("."))
            yield path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@rooms(PURE)
def test_a_pure_room_reaches_for_nothing_outside(room: Path) -> None:
    assert not packages(room) & IMPURE
    assert not {*reached_from(room)} & {room for room in ROOMS if room not in PURE}


@rooms(PURE)
def test_a_pure_room_asks_neither_clock_nor_file(room: Path) -> None:
    called = {node.func.id for node in nodes(room) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    attributes = {node.attr for node in nodes(room) if isinstance(node, ast.Attribute)}
    assert not called & {"open", "print", "input", "eval", "exec", "__import__"}
    assert not attributes & {"now", "utcnow", "today", "read_text", "write_text"}


@rooms(FACETS)
def test_a_facet_knows_no_other_facet(room: Path) -> None:
    assert {name for name in imports(room) if name.startswith(".")} <= SHARED


@rooms([room for room in ROOMS if not room.name.startswith("_aws")])
def test_only_the_rooms_of_aws_talk_to_aws(room: Path) -> None:
    assert not packages(room) & {"boto3", "botocore"}


@rooms([room for room in ROOMS if room.name not in ("_module.py", "_files.py")])
def test_only_the_edge_knows_ansible(room: Path) -> None:
    assert "ansible" not in packages(room)


@rooms([room for room in ROOMS if room.name != "_module.py"])
def test_no_room_speaks_of_another_collection(room: Path) -> None:
    assert "ansible_collections" not in packages(room)


@rooms([room for room in ROOMS if room.name not in ("_reconcile.py", "_summary.py")])
def test_only_the_loop_decides_by_check_mode(room: Path) -> None:
    """Others may hand it on; the summary words it."""
    tests = [node.test for node in nodes(room) if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert))]
    decided = {name.id for test in tests for name in ast.walk(test) if isinstance(name, ast.Name)}
    assert "check_mode" not in decided


@rooms([room for room in ROOMS if room.name not in EDGES])
def test_below_the_edge_nobody_has_heard_of_check_mode(room: Path) -> None:
    names = {node.id for node in nodes(room) if isinstance(node, ast.Name)}
    arguments = {node.arg for node in nodes(room) if isinstance(node, ast.arg)}
    assert not {"check_mode", "supports_check_mode"} & (names | arguments)


@rooms(ROOMS)
def test_nobody_swallows_what_he_does_not_know(room: Path) -> None:
    for node in nodes(room):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("Exception", "everything"), f"line {node.lineno}"


@rooms(ROOMS)
def test_names_say_what_a_room_is_about(room: Path) -> None:
    assert not {"utils", "common", "helpers", "manager", "misc"} & {*room.stem.strip("_").split("_")}

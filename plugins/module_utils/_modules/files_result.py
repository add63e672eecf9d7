# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a module that writes files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.model import Call, Change, TfstateError, WriteCallback
from .._local.files import write_text
from .entry import done_before


def write_and_report(on_write: WriteCallback, path: str, text: str) -> None:
    write_text(path, text)
    on_write(Call("file", "write", {"path": path}))


def files_result(changes: Iterable[Change], files: Iterable[str], diff: bool) -> dict[str, Any]:
    changes = tuple(changes)
    result: dict[str, Any] = {"changed": bool(changes), "changes": _changes(changes), "files": list(files)}
    return {**result, "diff": [_diff(change) for change in changes]} if diff else result


def files_failure(error: TfstateError) -> dict[str, Any]:
    done = done_before(error)
    return {"changed": bool(done), "changes": _changes(done)}


def _changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [{"file": change.facet, "action": "create" if change.before is None else "update"} for change in changes]


def _diff(change: Change) -> dict[str, str]:
    return {
        "before_header": change.facet,
        "after_header": change.facet,
        "before": change.before or "",
        "after": change.after,
    }

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which modules take Terraform code, and what results repeat of them."""

from __future__ import annotations

from typing import Any

from .._core.model import Invalid, Params
from .._local.code_files import read_code
from .._terraform.code_known import known_of
from .._terraform.code_layer import unknown_in
from .._terraform.code_map import CodeMap, Settings
from .._terraform.globs import problem_of

CODE_KNOWN_OPTIONS: dict[str, dict[str, Any]] = {
    "code_known": {
        "type": "list",
        "elements": "dict",
        "options": {"paths": {"required": True}, "backend": {"type": "raw", "required": True}},
    },
}
CODE_OPTIONS: dict[str, dict[str, Any]] = {
    "code": {"type": "list", "elements": "path"},
    **CODE_KNOWN_OPTIONS,
    "code_backend_files": {"type": "list", "elements": "str"},
    "code_exclude": {"type": "list", "elements": "str"},
    "code_gitignore": {"type": "bool", "default": False},
}
_PATTERNS = ("code_backend_files", "code_exclude")


def code_of(params: Params) -> CodeMap | None:
    """The map of the directories that a task names; None if it names none. Raises Invalid."""
    known = known_of(params.get("code_known"))
    problems = [
        f"{name}: {each} is not a pattern: {problem}"
        for name in _PATTERNS
        for each in params.get(name) or ()
        if (problem := problem_of(each))
    ]
    if problems:
        raise Invalid("; ".join(problems))
    if not params.get("code"):
        given = [name for name in CODE_OPTIONS if name != "code" and params.get(name)]
        if given:
            raise Invalid(f"{given[0]} requires code: name the directories of your Terraform code")
        return None
    settings = Settings(known, tuple(params.get("code_backend_files") or ()))
    exclude, gitignore = params.get("code_exclude") or (), bool(params.get("code_gitignore"))
    return read_code(params["code"], settings, exclude, gitignore)


def code_result(code: CodeMap | None, region: str | None) -> dict[str, Any]:
    """What is unknown in the code, and what the task said of it; nothing without code."""
    if code is None:
        return {"unknown": None, "code_known": []}
    return {"unknown": unknown_in(code.unknown(region)), "code_known": [dict(each) for each in code.known]}

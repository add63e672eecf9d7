# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one backend block of a project: found in Terraform text, and replaced without touching a character beside it.

Whatever is less simple than one block that somebody wrote by hand is left to people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .code_blocks import GENERATED
from .parser import FoundBackend, NotSimple, backends_in

__all__ = ["NEW_FILE", "SUFFIXES", "Edit", "NotSimple", "found_in", "replaced", "says", "with_block"]

SUFFIXES = (".tf", ".tofu")
NEW_FILE = "backend.tf"

_TEMPLATES = (".j2", ".tmpl", ".tpl", ".tftpl", ".jinja", ".erb")


@dataclass(frozen=True)
class Edit:
    """A file, by name, and its whole new text; `before` is None for a new file."""

    name: str
    before: str | None
    after: str


def with_block(files: Mapping[str, str], block: str, new_file: str) -> Edit | NotSimple:
    """The edit after which `block` is the backend block of a project; `new_file` is what goes into a file of its own.

    `files` are those of the project's folder, by name; only Terraform's need to have their text.
    """
    reason = next(_reasons(files), None)
    if reason:
        return NotSimple(reason)
    found = found_in(files)
    if isinstance(found, NotSimple):
        return found
    if not found:
        taken = NEW_FILE in files
        return NotSimple(f"{NEW_FILE} is there, and holds no backend") if taken else Edit(NEW_FILE, None, new_file)
    if len(found) > 1:
        return NotSimple(f"there are {len(found)} backend or cloud blocks, in {', '.join(name for name, _b in found)}")
    ((name, one),) = found
    after = replaced(files[name], one, block)
    return NotSimple(f"{name}: {after.reason}") if isinstance(after, NotSimple) else Edit(name, files[name], after)


def says(files: Mapping[str, str], block: str) -> bool:
    """Whether `block` is the one backend block of a project, in whatever layout, and however it came there."""
    found = found_in(files)
    if isinstance(found, NotSimple) or len(found) != 1:
        return False
    ((name, one),) = found
    return files[name][one.start : one.end].split() == block.split()


def found_in(files: Mapping[str, str]) -> list[tuple[str, FoundBackend]] | NotSimple:
    """The backend and cloud blocks of a project, each with the name of its file."""
    found: list[tuple[str, FoundBackend]] = []
    for name in sorted(files):
        if name.endswith(SUFFIXES):
            blocks = backends_in(files[name])
            if isinstance(blocks, NotSimple):
                return NotSimple(f"{name}: {blocks.reason}")
            found += [(name, each) for each in blocks]
    return found


def _reasons(files: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(files):
        if name in ("terragrunt.hcl", "terragrunt.hcl.json", "terragrunt.stack.hcl") or name.startswith("cdktf."):
            yield f"{name} is there: what it generates is changed in its source"
        if name.endswith(tuple(suffix + end for suffix in SUFFIXES for end in _TEMPLATES)):
            yield f"{name} is a template: what comes of it is changed in the template"
        if name.endswith(tuple(f"{suffix}.json" for suffix in SUFFIXES)) and _has_backend(files[name]):
            yield f"{name} holds a backend in JSON syntax"


def _has_backend(text: str) -> bool:
    """Whether JSON configuration could name a backend; what cannot be read could."""
    try:
        settings = json.loads(text).get("terraform", {})
    except (ValueError, AttributeError, RecursionError):
        return True
    bodies = settings if isinstance(settings, list) else [settings]
    return any(not isinstance(body, dict) or {"backend", "cloud"} & set(body) for body in bodies)


def replaced(text: str, found: FoundBackend, block: str) -> str | NotSimple:
    """The text with `block` in the place of the one found, indented as that was, with the line ends of the text."""
    line = text.rfind("\n", 0, found.start) + 1
    indent = text[line : found.start]
    if found.type == "cloud":
        return NotSimple("its state lies in HCP Terraform, as its cloud block says")
    if found.has_template:
        return NotSimple("its backend block is made with variables or templates")
    if GENERATED.search(text):
        return NotSimple("a comment says that it was generated: change the source that it comes from")
    if indent.strip(" \t"):
        return NotSimple("its backend block does not begin a line")
    newline = "\r\n" if "\r\n" in text[found.start : found.end] or "\r\n" in text[:line] else "\n"
    lines = block.rstrip("\n").split("\n")
    indented = newline.join(each if place == 0 or not each else indent + each for place, each in enumerate(lines))
    return text[: found.start] + indented + text[found.end :]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about the backend files, which clients are initialised with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath

from .._core.commands import edit
from .expectations import Expectations
from .findings import Finding, finding_of

#: What is wrong with a file.
MISSING, DIFFERS = "is missing", "is not as bootstrap would write it"
FOREIGN = "was not written by cornerstone.tfstate for this backend"
_ONLY_FILES = ("--tags", "files")


def backend_files(found: Mapping[str, str | None], wanted: Expectations) -> Iterator[Finding]:
    """`found`: by path what is wrong with each file."""
    wrong = {path: what for path, what in found.items() if what}
    if not wrong:
        return
    folder = str(PurePath(next(iter(found))).parent)
    if {*found.values()} == {MISSING}:
        note = "writes them, if clients are initialised from here"
        fix = wanted.play("bootstrap", *_ONLY_FILES, "--diff", note=note)
        yield finding_of("code.backend_files", folder, "There are none.", fix, "info")
        return
    detail = f"{'; '.join(f'{PurePath(path).name} {what}' for path, what in sorted(wrong.items()))}."
    kept = next((path for path, what in wrong.items() if what == FOREIGN), None)
    if kept:
        fix = edit(kept, "nobody overwrites it: move what is needed out of it, delete it, and run bootstrap")
    elif DIFFERS in wrong.values():
        note = "shows the differences. Without --check it writes them back"
        fix = wanted.play("bootstrap", *_ONLY_FILES, "--check", "--diff", note=note)
    else:
        fix = wanted.play("bootstrap", *_ONLY_FILES, "--diff")
    yield finding_of("code.backend_files", folder, detail, fix)

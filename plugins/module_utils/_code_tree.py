# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directory trees of Terraform code: which files may hold a backend, and what they say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ._code_map import CodeMap, Unreadable, code_map, source_of
from ._core import Invalid

#: Nobody writes a longer backend block.
LARGEST_FILE_BYTES = 1_000_000
SKIPPED = {".git", ".terragrunt-cache", "node_modules", "__pycache__", ".venv"}
#: Of what `init` downloads, only the record of the backend is ours to read.
DATA_DIRECTORY = ".terraform"


def read_code(trees: Iterable[str]) -> CodeMap:
    """The map of these directories. A file that cannot be read is on it as such."""
    texts: list[tuple[str, str]] = []
    failed: list[Unreadable] = []
    for path in sorted({path for tree in trees for path in _files(tree) if path.is_file()}):
        try:
            if path.stat().st_size > LARGEST_FILE_BYTES:
                failed.append(Unreadable(str(path), f"it is larger than {LARGEST_FILE_BYTES} bytes"))
            else:
                texts.append((path.as_posix(), path.read_text(encoding="utf-8-sig")))
        except (OSError, UnicodeDecodeError) as error:
            failed.append(Unreadable(str(path), _said(error)))
    return code_map(texts, failed)


def _said(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror or error)


def _files(tree: str) -> Iterator[Path]:
    """Files that may hold a backend. Links to directories are not followed, so that none leads in a circle."""
    if not Path(tree).is_dir():
        raise Invalid(f"code: {tree} is no directory; name the directory of your Terraform code")
    for folder, directories, names in os.walk(tree):
        inside = Path(folder)
        if inside.name == DATA_DIRECTORY:
            directories.clear()
            names = [name for name in names if name == "terraform.tfstate"]
        directories[:] = sorted(name for name in directories if name not in SKIPPED)
        yield from (inside / name for name in names if source_of((inside / name).as_posix()))

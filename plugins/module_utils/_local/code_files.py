# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directory trees of Terraform code: which files may hold a backend, and what they say."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from posixpath import normpath

from .._core.model import Invalid
from .._terraform.code_map import CHECKOUT, SCRIPT, CodeMap, Collector, Settings, source_of
from .._terraform.globs import Ignored, covers, is_ignored

#: Nobody writes a longer file with a backend block.
LARGEST_FILE_BYTES = 8_000_000
#: What `init` leaves has a few hundred bytes; a terraform.tfstate that is larger is a state.
LARGEST_RECORD_BYTES = 100_000
LARGEST_SCRIPT_BYTES = 1_000_000
SKIPPED = {".git", ".terragrunt-cache", "node_modules", "__pycache__", ".venv"}
#: Of what `init` downloads, only the record of the backend is ours to read.
DATA_DIRECTORY = ".terraform"
#: By this the modules that `init` downloads are known, also where TF_DATA_DIR names another folder.
MODULES, MODULES_LIST = "modules", "modules.json"


class Tree:
    """The files of some directories, but for those that are left out."""

    def __init__(self, roots: Sequence[str], exclude: Sequence[str] = (), gitignore: bool = False) -> None:
        self.roots = [_normal(root) for root in roots]
        self._exclude, self._gitignore = exclude, gitignore
        #: Folders that cannot be read, and why.
        self.failed: dict[str, str] = {}
        self._seen: set[str] = set()
        self._real = [Path(root or ".").resolve() for root in self.roots]
        self._start = self._base = ""

    def files(self) -> Iterator[str]:
        """Links to directories outside of these are followed, each directory once."""
        for root in self.roots:
            self._start, self._base = root, Path(root or ".").resolve().as_posix()
            yield from self._walk(root, _above(self._base) if self._gitignore else [])

    def _walk(self, folder: str, ignored: list[Ignored]) -> Iterator[str]:
        if folder in self._seen:
            return
        self._seen.add(folder)
        try:
            with os.scandir(folder or ".") as entries:
                found = sorted(entries, key=lambda each: each.name)
        except OSError as error:
            self.failed[folder or "."] = str(error.strerror or error)
            return
        is_data = folder.rpartition("/")[2] == DATA_DIRECTORY
        if self._gitignore and any(each.name == ".gitignore" for each in found):
            ignored = [*ignored, *_rules(self._absolute(folder))]
        for entry in found:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = entry.is_dir()
            if self._is_left_out(path, is_folder, ignored) or (is_data and entry.name != "terraform.tfstate"):
                continue
            if not is_folder:
                yield path
            elif entry.name in SKIPPED or _holds_downloads(entry.name, path):
                continue
            elif not entry.is_symlink() or self._leads_out(path):
                yield from self._walk(path, ignored)

    def _leads_out(self, path: str) -> bool:
        """Whether a link leads to a directory that is not read otherwise. None is followed that leads in a circle."""
        target = Path(path).resolve()
        if not target.is_dir() or any(target in (root, *root.parents) or root in target.parents for root in self._real):
            return False
        self._real.append(target)
        return True

    def _is_left_out(self, path: str, is_folder: bool, ignored: list[Ignored]) -> bool:
        if self._exclude and any(covers(glob, path, self.roots) for glob in self._exclude):
            return True
        return bool(ignored) and is_ignored(ignored, self._absolute(path), is_folder)

    def _absolute(self, path: str) -> str:
        return f"{self._base}/{path[len(self._start) :].lstrip('/')}".rstrip("/")


def _normal(root: str) -> str:
    if not Path(root).is_dir():
        raise Invalid(f"code: {root} is no directory; name the directory of your Terraform code")
    return "" if Path(root) == Path() else normpath(root)


def _holds_downloads(name: str, path: str) -> bool:
    return name == MODULES and Path(path, MODULES_LIST).is_file()


def _above(root: str) -> list[Ignored]:
    """The rules of the folders that a tree is in, up to that of its repository."""
    found: list[Ignored] = []
    folder = Path(root)
    while not (folder / ".git").exists():
        if folder == folder.parent:
            return []
        folder = folder.parent
        found = [*_rules(folder.as_posix()), *found]
    return found


def _rules(folder: str) -> list[Ignored]:
    try:
        return [Ignored.parse(folder, Path(folder, ".gitignore").read_text(encoding="utf-8", errors="replace"))]
    except OSError:
        return []


def read_code(
    trees: Iterable[str], settings: Settings | None = None, exclude: Sequence[str] = (), gitignore: bool = False
) -> CodeMap:
    """The map of these directories. A file that cannot be read is on it as such."""
    tree = Tree(list(dict.fromkeys(trees)), exclude, gitignore)
    given = settings or Settings()
    settings = Settings(given.known, given.backend_files, tuple(tree.roots))
    collector = Collector()
    paths: list[str] = []
    for path in tree.files():
        paths.append(path)
        if source := source_of(path):
            _read(collector, path, source, None)
    for path, reason in tree.failed.items():
        collector.fail(path, reason)
    taken: set[str] = set()
    while wanted := {path: source for path, source in collector.wanted(paths, settings).items() if path not in taken}:
        for path, source in wanted.items():
            _read(collector, path, source, source)
        taken |= set(wanted)
    return collector.result(settings)


def _read(collector: Collector, path: str, source: str, role: str | None) -> None:
    """What is too large or no file counts as unreadable, unless it can only be something else."""
    try:
        about = os.stat(path)  # noqa: PTH116 - 12,000 Path objects cost a second
        if not stat.S_ISREG(about.st_mode):
            return
        limit = {CHECKOUT: LARGEST_RECORD_BYTES, SCRIPT: LARGEST_SCRIPT_BYTES}.get(source, LARGEST_FILE_BYTES)
        if about.st_size > limit:
            if source not in (CHECKOUT, SCRIPT):
                collector.fail(path, f"it is larger than {limit} bytes")
            return
        with open(path, "rb") as file:  # noqa: PTH123
            text = file.read().decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:  # a link that leads nowhere, or a file that went meanwhile
        return
    except OSError as error:
        if source != SCRIPT:
            collector.fail(path, str(error.strerror or error))
        return
    if "\0" in text and source not in (CHECKOUT, SCRIPT):  # UTF-16, or no text at all
        collector.fail(path, "it is not UTF-8")
        return
    collector.add(path, text, role)

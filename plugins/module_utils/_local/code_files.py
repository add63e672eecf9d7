# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directory trees of Terraform code: which files may hold a backend, and what they say."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from posixpath import normpath

from .._core.model import Invalid
from .._terraform.code_blocks import Declared, is_override
from .._terraform.code_map import CHECKOUT, NEARBY, SCRIPT, CodeMap, Collector, Settings, source_of
from .._terraform.globs import Ignored, covers, is_ignored

#: Nobody writes a longer file with a backend block.
LARGEST_FILE_BYTES = 8_000_000
#: What `init` leaves has a few hundred bytes; a terraform.tfstate that is larger is a state.
LARGEST_RECORD_BYTES = 100_000
LARGEST_SCRIPT_BYTES = 1_000_000
#: Of files beside a partial block whose names say nothing, those that may be made of arguments.
LARGEST_NEARBY_BYTES = 20_000
#: Without one of these, a longer script has nothing to say.
MARKS = (b"-backend-config", b'backend "s3"')
#: How files begin whose text is elsewhere.
STAND_INS = {"$ANSIBLE_VAULT;": "it is encrypted", "version https://git-lfs": "it is a pointer of Git LFS"}
SKIPPED = {".git", ".terragrunt-cache", "node_modules", "__pycache__", ".venv"}
#: Of what `init` downloads, only the record of the backend is ours to read.
DATA_DIRECTORY = ".terraform"
#: By this the modules that `init` downloads are known, also where TF_DATA_DIR names another folder.
MODULES, MODULES_LIST = "modules", "modules.json"
_SUBMODULE = re.compile(r"^[ \t]*path[ \t]*=[ \t]*\"?([^\"\n]+?)\"?[ \t]*\r?$", re.MULTILINE)


class Tree:
    """The files of some directories, but for those that are left out."""

    def __init__(self, roots: Sequence[str], exclude: Sequence[str] = (), gitignore: bool = False) -> None:
        self.roots = [_normal(root) for root in roots]
        self._exclude, self._gitignore = exclude, gitignore
        #: Folders that cannot be read, and why.
        self.failed: dict[str, str] = {}
        self._seen: set[str] = set()
        self._real = [Path(os.path.realpath(root or ".")) for root in self.roots]
        #: Links to directories that are in these.
        self._inner: list[str] = []
        self._start = self._base = ""

    def files(self) -> Iterator[str]:
        """Links to directories outside of these are followed, each directory once."""
        for root in self.roots:
            self._start, self._base = root, os.path.realpath(root or ".")
            yield from self._walk(root, _above(self._base) if self._gitignore else [])
        yield from self._unseen()

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
            is_folder = self._is_folder(entry, path)
            if self._is_left_out(path, is_folder, ignored) or (is_data and entry.name != "terraform.tfstate"):
                continue
            if not is_folder:
                self._check_link(entry, path)
                if entry.name == ".gitmodules":
                    self._check_submodules(folder, path, ignored)
                yield path
            elif entry.name in SKIPPED or _holds_downloads(entry.name, path):
                continue
            elif not entry.is_symlink() or self._leads_out(path):
                yield from self._walk(path, ignored)

    def _is_folder(self, entry: os.DirEntry[str], path: str) -> bool:
        try:
            return entry.is_dir()
        except OSError:  # a link in a circle, or to where nobody may look; reading it says why
            return False

    def _check_link(self, entry: os.DirEntry[str], path: str) -> None:
        """Of a link that leads nowhere its name tells whether a client could read it where it does not."""
        name = entry.name
        may_matter = source_of(path) not in (None, SCRIPT) or "." not in name
        if entry.is_symlink() and may_matter and not os.path.exists(path):  # noqa: PTH110
            self.failed[path] = "it is a link that leads nowhere"

    def _check_submodules(self, folder: str, path: str, ignored: list[Ignored]) -> None:
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self.failed[path] = str(error.strerror or error)
            return
        for name in _SUBMODULE.findall(text):
            place = normpath(f"{folder}/{name}" if folder else name)
            if not self._is_left_out(place, True, ignored) and not _holds_anything(place):
                self.failed[place] = "it is a submodule of Git that is not checked out"

    def _leads_out(self, path: str) -> bool:
        """Whether a link leads to a directory that is not read otherwise. None is followed that leads in a circle."""
        target = Path(os.path.realpath(path))
        if any(target == root or target in root.parents for root in self._real):
            return False
        if any(root in target.parents for root in self._real):
            self._inner.append(path)
            return False
        self._real.append(target)
        return True

    def _unseen(self) -> Iterator[str]:
        """Behind links that lead to where these directories are not read, as it is left out or downloaded."""
        if self._inner:
            read = {os.path.realpath(folder or ".") for folder in self._seen}
            while self._inner:
                path = self._inner.pop()
                target = os.path.realpath(path)
                if target not in read:
                    read.add(target)
                    yield from self._walk(path, [])

    def _is_left_out(self, path: str, is_folder: bool, ignored: list[Ignored]) -> bool:
        if self._exclude and any(covers(glob, path, self.roots) for glob in self._exclude):
            return True
        return bool(ignored) and is_ignored(ignored, self._absolute(path), is_folder)

    def _absolute(self, path: str) -> str:
        return f"{self._base}/{path[len(self._start) :].lstrip('/')}".rstrip("/")


def _holds_anything(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return False
    except OSError:  # which reading it says
        return True


def _normal(root: str) -> str:
    if not os.path.isdir(root):  # noqa: PTH112 - Path raises where nobody may look
        raise Invalid(f"code: {root} is no directory; name the directory of your Terraform code")
    return "" if Path(root) == Path() else normpath(root)


def _holds_downloads(name: str, path: str) -> bool:
    """Somebody may have a list of that name beside modules of their own."""
    if name != MODULES:
        return False
    try:
        listed = json.loads(Path(path, MODULES_LIST).read_bytes())
        return all({"Key", "Source", "Dir"} <= set(each) for each in listed["Modules"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _above(root: str) -> list[Ignored]:
    """The rules of the folders that a tree is in, up to that of its repository."""
    found: list[Ignored] = []
    folder = Path(root)
    while not os.path.exists(folder / ".git"):  # noqa: PTH110
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


def _private(declared: Iterable[Declared]) -> Iterator[str]:
    """Override files that Git ignores. Source: Terraform.gitignore of github/gitignore"""
    for path in {each.path for each in declared if is_override(each.path)}:
        real = Path(os.path.realpath(path))
        if is_ignored([*_above(real.parent.as_posix()), *_rules(real.parent.as_posix())], real.as_posix(), False):
            yield path


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
    collector.private |= {each for declared in collector.declared.values() for each in _private(declared)}
    taken: set[str] = set()
    while wanted := {path: source for path, source in collector.wanted(paths, settings).items() if path not in taken}:
        for path, source in wanted.items():
            _read(collector, path, source, source)
        taken |= set(wanted)
    return collector.result(settings)


def _read(collector: Collector, path: str, source: str, role: str | None) -> None:
    """Adds a file to the map. One that cannot be read is on it as such, unless its name says nothing."""
    try:
        text = _text(path, source)
    except FileNotFoundError:  # a dangling link was reported by its tree; any other file was deleted meanwhile
        return
    except (_Unread, OSError) as problem:
        if source != NEARBY:
            reason = problem.strerror if isinstance(problem, OSError) else None
            collector.fail(path, str(reason or problem))
        return
    if text is not None:
        collector.add(path, text, role)


def _text(path: str, source: str) -> str | None:
    """The text of a file; None if it can only be something else. Raises _Unread if it may matter and is not text."""
    about = os.stat(path)  # noqa: PTH116 - 12,000 Path objects cost a second
    if not stat.S_ISREG(about.st_mode):
        if source == SCRIPT:
            return None
        raise _Unread("it is no regular file")
    data = _bytes(path, source, about)
    if data is None:
        return None
    is_wide = source == SCRIPT and data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16", "replace") if is_wide else data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text and source not in (CHECKOUT, SCRIPT):
        raise _Unread("it is not UTF-8")
    for start, reason in STAND_INS.items():
        if text.startswith(start) and source != NEARBY:
            raise _Unread(reason)
    return text


class _Unread(Exception):
    """Why a file is not read that may matter."""


def _bytes(path: str, source: str, about: os.stat_result) -> bytes | None:
    """The bytes of a file; None if its size tells that it is something else."""
    sizes = {CHECKOUT: LARGEST_RECORD_BYTES, SCRIPT: LARGEST_SCRIPT_BYTES, NEARBY: LARGEST_NEARBY_BYTES}
    limit = sizes.get(source, LARGEST_FILE_BYTES)
    with open(path, "rb") as file:  # noqa: PTH123
        if about.st_size <= limit:
            return file.read()
        if source == SCRIPT:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as large:
                is_mute = b"\0" in large[:1024] or all(large.find(mark) < 0 for mark in MARKS)
        else:
            is_record = path.endswith(f"/{DATA_DIRECTORY}/terraform.tfstate")
            is_mute = source == NEARBY or (source == CHECKOUT and not is_record)
    if is_mute:
        return None
    raise _Unread(f"it is larger than {limit} bytes")

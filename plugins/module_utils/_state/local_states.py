# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states that a project keeps in its own folder, locked as the clients lock them, and set aside instead of deleted.

Source: internal/states/statemgr/filesystem.go and internal/backend/local of hashicorp/terraform.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .._core import TfstateError
from .._lock_record import DEFAULT_WORKSPACE, LockInfo, marshal

FILE, FOLDER = "terraform.tfstate", "terraform.tfstate.d"
BACKUP, ASIDE = ".backup", ".moved"


@dataclass
class LocalState:
    """A state in a file; once its project has followed it into a bucket, it is set aside, under a name beside it."""

    path: Path
    #: While it is locked. POSIX releases a lock once any descriptor of the file is closed: there is only this one.
    _file: BinaryIO | None = None

    @property
    def url(self) -> str:
        return str(self.path)

    @property
    def aside(self) -> Path:
        return self.path.with_name(self.path.name + ASIDE)

    @property
    def backup(self) -> Path:
        return self.path.with_name(self.path.name + BACKUP)

    def body(self) -> bytes | None:
        """That of the file in use, or else of the one that was set aside; None where there is none."""
        return self._in_use() or _read(self.aside)

    def digest(self) -> str | None:
        return None

    def mark(self) -> str | None:
        return None

    @property
    def bears_marks(self) -> bool:
        return False

    @property
    def is_in_use(self) -> bool:
        return self._in_use() is not None

    @property
    def is_set_aside(self) -> bool:
        return not self.is_in_use

    def set_aside(self) -> None:
        """So that clients no longer find it: they would want to move it themselves, and lose its lineage on the way."""
        before = _read(self.aside)
        if before not in (None, self._in_use()):
            raise TfstateError(f"{self.aside} is there from an earlier move: save it elsewhere, then run again")
        _tried(self.aside, lambda: self.path.replace(self.aside))

    @property
    def leftovers(self) -> list[Path]:
        """What holds states, and is of no more use once the move was proven."""
        return [path for path in (self.aside, self.backup) if path.exists()]

    @contextmanager
    def held(self, info: LockInfo) -> Iterator[None]:
        """The lock of the clients, if it is in use. It ends with the process, so nobody ever has to release it."""
        if not self.is_in_use:
            yield
            return
        told = self.path.with_name(f".{self.path.name}.lock.info")
        with self.path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TfstateError(f"somebody else holds the lock of {self.path}: wait until it is released") from None
            self._file = file
            try:
                _tried(told, lambda: told.write_text(marshal(info), encoding="utf-8"))
                yield
            finally:
                self._file = None
                told.unlink(missing_ok=True)

    def _in_use(self) -> bytes | None:
        if self._file is None:
            return _read(self.path)
        self._file.seek(0)
        return self._file.read() or None


def local_states(project: Path) -> dict[str, LocalState]:
    """By workspace: those of the folder that hold a state, or have held one that was set aside."""
    folders = sorted(each for each in (project / FOLDER).glob("*") if each.is_dir())
    places = {DEFAULT_WORKSPACE: project, **{each.name: each for each in folders}}
    found = {workspace: LocalState(folder / FILE) for workspace, folder in places.items()}
    return {workspace: state for workspace, state in found.items() if state.body() is not None}


def remove(paths: list[Path]) -> None:
    for path in paths:
        _tried(path, path.unlink)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TfstateError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _tried(path: Path, change: Callable[[], object]) -> None:
    try:
        change()
    except OSError as error:
        raise TfstateError(f"{path} cannot be changed: {error.strerror}; check its permissions") from None

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states that a project keeps in its own folder, locked as the clients lock them, and set aside instead of deleted.

Source: internal/states/statemgr/filesystem.go and internal/backend/local of hashicorp/terraform.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from .._core.model import TfstateError
from .._terraform.protocol import DEFAULT_WORKSPACE, LockInfo, marshal
from .files import write_bytes

FILE, FOLDER = "terraform.tfstate", "terraform.tfstate.d"
BACKUP, ASIDE = ".backup", ".moved"
#: What a state is overwritten with before its file goes. Terraform opens the file, and then waits for the lock: who
#: gets it afterwards finds no state that could be read, and stops, instead of going on with one that is gone.
TOMB = b"This state was moved into a bucket. If this file stays, run cornerstone.tfstate.tf_state_move once more.\n"

#: What POSIX says where somebody else holds the lock of a file.
HELD = {errno.EACCES, errno.EAGAIN}
T = TypeVar("T")


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

    def body(self) -> bytes | None:
        """That of the file in use, or else of the one that was set aside; None where there is none."""
        return self._in_use() or _read(self.aside)

    def digest(self) -> str | None:
        return None

    def mark(self) -> str | None:
        return None

    def tags(self) -> Mapping[str, str]:
        return {}

    @property
    def is_in_use(self) -> bool:
        return self._in_use() is not None

    @property
    def is_set_aside(self) -> bool:
        return not self.is_in_use

    def set_aside(self) -> None:
        """So that clients no longer find it: they would want to move it themselves, and lose its lineage on the way."""
        body = self._in_use()
        if body is not None:
            self._bury(body)
        if _is_tomb(_read(self.path)):
            _tried(self.path, self.path.unlink)

    def _bury(self, body: bytes) -> None:
        file = self._file
        if file is None:
            raise TfstateError(f"{self.path} was written while the others moved: run again")
        before = _read(self.aside)
        if before not in (None, body):
            raise TfstateError(f"{self.aside} is there from an earlier move: save it elsewhere, then run again")
        write_bytes(str(self.aside), body, os.fstat(file.fileno()).st_mode & 0o777)
        _tried(self.path, lambda: _overwrite(file, TOMB))

    def check(self) -> None:
        """Raises if it cannot be locked, or not be set aside."""
        for path in (self.path, self.path.parent) if self.is_in_use else ():
            if not os.access(path, os.W_OK):
                raise TfstateError(f"{path} cannot be changed, and the state has to be set aside: see to its owner")

    @property
    def leftovers(self) -> list[Path]:
        """What holds states, and is of no more use once the move was proven: by the last of them it is found again."""
        backups = sorted(self.path.parent.glob(f"{FILE}*{BACKUP}"))
        drafts = sorted(self.path.parent.glob(f".{FILE}*"))  # of a run that was killed while it wrote
        return [*drafts, *backups, self.aside]

    @contextmanager
    def held(self, info: LockInfo, retry_policy: Callable[[int], bool]) -> Iterator[None]:
        """The lock of the clients, if it is in use. It ends with the process, so nobody ever has to release it."""
        if not self.is_in_use:
            yield
            return
        told = self.path.with_name(f".{self.path.name}.lock.info")
        with _tried(self.path, lambda: self.path.open("r+b")) as file:
            self._lock(file, retry_policy)
            self._file = file
            try:
                _tried(told, lambda: told.write_text(marshal(info), encoding="utf-8"))
                yield
            finally:
                self._file = None
                _tried(told, lambda: told.unlink(missing_ok=True))

    def _lock(self, file: BinaryIO, retry_policy: Callable[[int], bool]) -> None:
        attempt = 0
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in HELD:
                    raise _unchanged(self.path, error) from None
                if not retry_policy(attempt):
                    told = f"somebody else holds the lock of {self.path}: wait until it is released"
                    raise TfstateError(told) from None
                attempt += 1

    def _in_use(self) -> bytes | None:
        if self._file is None:
            return _unless_tomb(_read(self.path))
        self._file.seek(0)
        return _unless_tomb(self._file.read())


def local_states(project: Path) -> dict[str, LocalState]:
    """By workspace: those of the folder that hold a state, or have held one that was set aside."""
    folders = sorted(each for each in (project / FOLDER).glob("*") if each.is_dir())
    places = {DEFAULT_WORKSPACE: project, **{each.name: each for each in folders}}
    found = {workspace: LocalState(folder / FILE) for workspace, folder in places.items()}
    return {workspace: state for workspace, state in found.items() if state.body() is not None}


def remove(path: Path) -> None:
    _tried(path, path.unlink)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TfstateError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _is_tomb(body: bytes | None) -> bool:
    return body is not None and body.startswith(TOMB)


def _unless_tomb(body: bytes | None) -> bytes | None:
    return None if _is_tomb(body) else body or None


def _overwrite(file: BinaryIO, body: bytes) -> None:
    """Whoever reads it meanwhile, or after a crash, sees these bytes first."""
    file.seek(0)
    file.write(body)
    file.flush()
    file.truncate()
    os.fsync(file.fileno())


def _tried(path: Path, change: Callable[[], T]) -> T:
    try:
        return change()
    except OSError as error:
        raise _unchanged(path, error) from None


def _unchanged(path: Path, error: OSError) -> TfstateError:
    return TfstateError(f"{path} cannot be changed: {error.strerror}; check its permissions and file system")

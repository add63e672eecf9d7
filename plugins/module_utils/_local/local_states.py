# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local states of a project: locked as the clients lock them, and renamed instead of deleted.

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
#: Overwrites a state before its file is deleted. Terraform opens the file and then waits for the lock: a client that
#: gets the lock afterwards cannot read this as a state, and stops instead of continuing with a state that has moved.
MOVED_NOTICE = (
    b"This state was moved into a bucket. If this file stays, run cornerstone.tfstate.tf_state_move once more.\n"
)

#: The error if another process holds the lock of a file.
HELD = {errno.EACCES, errno.EAGAIN}
T = TypeVar("T")


@dataclass
class LocalState:
    """A state in a file. After the move of its project to a bucket, the file is renamed (set aside)."""

    path: Path
    #: The file while it is locked. POSIX releases a lock when any descriptor of it is closed, so there is only one.
    _file: BinaryIO | None = None

    @property
    def url(self) -> str:
        return str(self.path)

    @property
    def aside(self) -> Path:
        return self.path.with_name(self.path.name + ASIDE)

    def body(self) -> bytes | None:
        """The state in the file or, if it was set aside, in the renamed file; None without either."""
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
        """Hides the state from clients, which would otherwise offer to move it themselves and lose its lineage."""
        body = self._in_use()
        if body is not None:
            self._overwrite(body)
        if _is_notice(_read(self.path)):
            _try(self.path, self.path.unlink)

    def _overwrite(self, body: bytes) -> None:
        file = self._file
        if file is None:
            raise TfstateError(f"{self.path} was written while the others moved: run again")
        before = _read(self.aside)
        if before not in (None, body):
            raise TfstateError(f"{self.aside} is there from an earlier move: save it elsewhere, then run again")
        write_bytes(str(self.aside), body, os.fstat(file.fileno()).st_mode & 0o777)
        _try(self.path, lambda: _overwrite(file, MOVED_NOTICE))

    def check(self) -> None:
        """Raises TfstateError if it cannot be locked or set aside."""
        for path in (self.path, self.path.parent) if self.is_in_use else ():
            if not os.access(path, os.W_OK):
                raise TfstateError(f"{path} cannot be changed, and the state has to be set aside: see to its owner")

    @property
    def obsolete_files(self) -> list[Path]:
        """The files to delete once the move was verified. The last one marks the project as moved."""
        backups = sorted(self.path.parent.glob(f"{FILE}*{BACKUP}"))
        drafts = sorted(self.path.parent.glob(f".{FILE}*"))  # of a run that was killed during a write
        return [*drafts, *backups, self.aside]

    @contextmanager
    def held(self, info: LockInfo, retry_policy: Callable[[int], bool]) -> Iterator[None]:
        """Holds the lock of the clients, if the state is in use. The lock ends with the process."""
        if not self.is_in_use:
            yield
            return
        info_file = self.path.with_name(f".{self.path.name}.lock.info")
        with _try(self.path, lambda: self.path.open("r+b")) as file:
            self._lock(file, retry_policy)
            self._file = file
            try:
                _try(info_file, lambda: info_file.write_text(marshal(info), encoding="utf-8"))
                yield
            finally:
                self._file = None
                _try(info_file, lambda: info_file.unlink(missing_ok=True))

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
                    reason = f"somebody else holds the lock of {self.path}: wait until it is released"
                    raise TfstateError(reason) from None
                attempt += 1

    def _in_use(self) -> bytes | None:
        if self._file is None:
            return _unless_notice(_read(self.path))
        self._file.seek(0)
        return _unless_notice(self._file.read())


def local_states(project: Path) -> dict[str, LocalState]:
    """By workspace: the states of a project, including those that were set aside."""
    folders = sorted(each for each in (project / FOLDER).glob("*") if each.is_dir())
    places = {DEFAULT_WORKSPACE: project, **{each.name: each for each in folders}}
    found = {workspace: LocalState(folder / FILE) for workspace, folder in places.items()}
    return {workspace: state for workspace, state in found.items() if state.body() is not None}


def remove(path: Path) -> None:
    _try(path, path.unlink)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TfstateError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _is_notice(body: bytes | None) -> bool:
    return body is not None and body.startswith(MOVED_NOTICE)


def _unless_notice(body: bytes | None) -> bytes | None:
    return None if _is_notice(body) else body or None


def _overwrite(file: BinaryIO, body: bytes) -> None:
    """Readers see the new bytes first, at any moment and after a crash."""
    file.seek(0)
    file.write(body)
    file.flush()
    file.truncate()
    os.fsync(file.fileno())


def _try(path: Path, change: Callable[[], T]) -> T:
    try:
        return change()
    except OSError as error:
        raise _unchanged(path, error) from None


def _unchanged(path: Path, error: OSError) -> TfstateError:
    return TfstateError(f"{path} cannot be changed: {error.strerror}; check its permissions and file system")

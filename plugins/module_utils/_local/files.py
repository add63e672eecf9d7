# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local files, which are written atomically."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._core.model import Invalid, TfstateError

#: The mode of new files, minus the umask.
USUAL_FILE = 0o666
#: The mode of new files about states and backends, whose contents are secret.
PRIVATE_FILE = 0o600


def expanded(path: str) -> Path:
    """The path with ~ expanded. Raises Invalid if the user does not exist."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Invalid(
            f"{path} begins with a user whom this machine does not know: name the folder as a whole"
        ) from None


def read_text(path: str) -> str | None:
    """The text of a file; None if it does not exist."""
    try:
        check_regular(path)
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TfstateError(f"{path} cannot be read: {reason}; choose another directory") from None


def check_regular(path: str) -> None:
    """Raises OSError on a device, a pipe or a socket, which may have no end, or never begin."""
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def check_writable(path: str) -> None:
    """Raises TfstateError if the file cannot be written: its folder, or the first above it that exists, is not ours."""
    try:
        folder = next(each for each in Path(path).absolute().parents if each.exists())
        code = None if folder.is_dir() else errno.ENOTDIR
        if code is None and not os.access(folder, os.W_OK | os.X_OK):
            code = errno.EACCES
    except OSError as error:
        code = error.errno
    if code is not None:
        raise _unwritable(path, os.strerror(code))


def _unwritable(path: str, reason: str) -> TfstateError:
    return TfstateError(f"{path} cannot be written: {reason}; choose another directory")


def write_private_text(path: str, text: str) -> None:
    """Like `write_text`; a new file is readable by its owner only."""
    write_text(path, text, PRIVATE_FILE)


def write_text(path: str, text: str, mode_if_new: int = USUAL_FILE) -> None:
    """Replaces the file atomically: a reader sees either the old or the new text."""
    write_bytes(path, text.encode(), mode_if_new)


def write_bytes(path: str, body: bytes, mode_if_new: int = USUAL_FILE) -> None:
    """Like `write_text`. An existing file keeps its mode; the umask applies to a new one."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        with _uninterrupted():
            _replace(target, body, mode, mode_if_new)
    except OSError as error:
        raise _unwritable(path, str(error.strerror)) from None


def _replace(target: Path, body: bytes, mode: int | None, mode_if_new: int) -> None:
    """The system applies the umask to the draft: reading the umask here would change it for other threads."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode_if_new if mode is None else PRIVATE_FILE)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            draft.chmod(mode)
        draft.replace(target)
    except BaseException:
        draft.unlink()
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C, which would leave the draft of a file behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

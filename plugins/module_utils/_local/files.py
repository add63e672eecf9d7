# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local files: read whole, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._core.model import Invalid, TfstateError

#: The most that a new file is opened to; the umask takes away from it, as from any file that a command creates.
USUAL_FILE = 0o666
#: For what is about states and backends: whose secrets, locks and weaknesses they are, is nobody else's business.
PRIVATE_FILE = 0o600


def expanded(path: str) -> Path:
    """With the home of whoever it begins with. Raises Invalid if there is nobody of that name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Invalid(
            f"{path} begins with a user whom this machine does not know: name the folder as a whole"
        ) from None


def read_text(path: str) -> str | None:
    """The text of a file; None if there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TfstateError(f"{path} cannot be read: {error}; choose another directory") from None


def write_private_text(path: str, text: str) -> None:
    """As `write_text`, for nobody but the user who runs it if the file is new."""
    write_text(path, text, PRIVATE_FILE)


def write_text(path: str, text: str, mode_if_new: int = USUAL_FILE) -> None:
    """Replaces the file in one step: whoever reads it sees the old text or the new one, never half of it."""
    write_bytes(path, text.encode(), mode_if_new)


def write_bytes(path: str, body: bytes, mode_if_new: int = USUAL_FILE) -> None:
    """As `write_text`. A file that is there keeps its mode; of a new one the umask is taken away."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        with _uninterrupted():
            _replace(target, body, mode, mode_if_new)
    except OSError as error:
        raise TfstateError(f"{path} cannot be written: {error.strerror}; choose another directory") from None


def _replace(target: Path, body: bytes, mode: int | None, mode_if_new: int) -> None:
    """The system takes the umask away where it makes the draft: asking for it would change it for other threads."""
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
    """Ctrl-C waits, as it would leave the draft of a file behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

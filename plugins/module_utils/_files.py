# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local files: read whole, written whole or not at all."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._core import Invalid, TfstateError


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


def write_text(path: str, text: str, mode_if_new: int = 0o644) -> None:
    """Replaces the file in one step: whoever reads it sees the old text or the new one, never half of it."""
    write_bytes(path, text.encode(), mode_if_new)


def write_bytes(path: str, body: bytes, mode_if_new: int = 0o644) -> None:
    """As `write_text`. A file that is there keeps its mode."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else mode_if_new
        with _uninterrupted():
            _replace(target, body, mode)
    except OSError as error:
        raise TfstateError(f"{path} cannot be written: {error.strerror}; choose another directory") from None


def _replace(target: Path, body: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
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

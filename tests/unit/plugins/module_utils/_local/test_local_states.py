# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A local state that cannot be locked or set aside is told, and why."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.local_states import FILE, LocalState
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo

INFO = LockInfo("id", "tf_state_move", "", "me@here", "cornerstone.tfstate", "2026-11-21T10:03:50Z", "")


def state_in(folder: Path) -> LocalState:
    (folder / FILE).write_text("{}")
    return LocalState(folder / FILE)


def failing(number: int) -> Any:
    def fails(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fails


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_told_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
):
    state = state_in(tmp_path)
    state.check()
    theirs = state.path if which == "file" else tmp_path
    monkeypatch.setattr(os, "access", lambda path, mode: path != theirs or mode != os.W_OK)
    with pytest.raises(TfstateError, match=f"^{theirs} cannot be changed, and the state has to be set aside"):
        state.check()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_file_that_nobody_may_open_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    state = state_in(tmp_path)
    opens, fails = Path.open, failing(number)
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **more: fails() if "+" in mode else opens(path, mode, **more)
    )
    with pytest.raises(TfstateError, match=f"{FILE} cannot be changed: {os.strerror(number)}"), state.held(INFO, bool):
        pass


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "somebody else holds the lock"),
        (errno.EAGAIN, "somebody else holds the lock"),
        (errno.ENOLCK, f"cannot be changed: {os.strerror(errno.ENOLCK)}; check its permissions and file system"),
    ],
)
def test_only_a_lock_of_somebody_else_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
):
    state = state_in(tmp_path)
    monkeypatch.setattr(fcntl, "lockf", failing(number))
    with pytest.raises(TfstateError, match=reason), state.held(INFO, lambda attempt: attempt < 2):
        pass


def test_what_cannot_be_removed_at_the_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    state = state_in(tmp_path)
    monkeypatch.setattr(Path, "unlink", failing(errno.EROFS))
    with pytest.raises(TfstateError, match=r"lock\.info cannot be changed"), state.held(INFO, bool):
        pass

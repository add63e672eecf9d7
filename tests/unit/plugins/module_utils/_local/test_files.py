# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files written whole or not at all, whatever comes in between."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import (
    check_writable,
    expanded,
    read_text,
    write_private_text,
    write_text,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_the_middle_of_a_file_leaves_it_whole_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    replace = Path.replace

    def interrupted(self: Path, target: Any) -> Path:
        os.kill(os.getpid(), number)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    child = os.fork()
    if child == 0:
        signal.signal(number, signal.SIG_DFL)
        write_text(str(tmp_path / "backend.tf"), "terraform {}\n")
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -number
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"backend.tf": "terraform {}\n"}


def test_what_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "backend.tf").mkdir()
    with pytest.raises(TfstateError, match=r"backend\.tf cannot be written"):
        write_text(str(tmp_path / "backend.tf"), "terraform {}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["backend.tf"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "backend.tf"
    path.write_text("")
    path.chmod(0o600)
    write_text(str(path), "terraform {}\n")
    assert (path.stat().st_mode & 0o777, read_text(str(path))) == (0o600, "terraform {}\n")


@pytest.mark.parametrize(("umask", "usual"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_is_opened_no_wider_than_the_umask_lets_it(tmp_path: Path, umask: int, usual: int) -> None:
    usual_file, private_file = tmp_path / "one" / "backend.tf", tmp_path / "two" / "audit.md"
    before = os.umask(umask)
    try:
        write_text(str(usual_file), "")
        write_private_text(str(private_file), "")
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in (usual_file, private_file)] == [oct(usual), oct(0o600)]
    assert oct(usual_file.parent.stat().st_mode & 0o777) == oct(0o777 & ~umask)


def test_a_user_whom_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    with pytest.raises(Invalid, match=r"~nobody-is-called-so/x begins with a user whom this machine does not know"):
        expanded("~nobody-is-called-so/x")


def test_a_folder_that_is_to_be_made_is_writable_where_the_one_above_it_is(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "new" / "newer" / "backend.tf"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["backend.tf", "new/backend.tf"])
def test_a_folder_of_somebody_else_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path)
    with pytest.raises(TfstateError, match=rf"{name} cannot be written: Permission denied; choose another directory"):
        check_writable(str(tmp_path / name))


def test_a_file_in_the_way_of_a_folder_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TfstateError, match="cannot be written: Not a directory"):
        check_writable(str(tmp_path / "file" / "new" / "backend.tf"))

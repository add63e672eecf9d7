# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state is restored from a file: a copy that somebody kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_state_repair import KEY, VERSION, Backend, backend, md5, state
from tests.support.relay import lose_reply

__all__ = ["backend"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "copy.tfstate"
    path.write_bytes(state(7, "a"))
    return path


def test_a_file_comes_back_byte_for_byte_where_only_the_digest_is_left(backend: Backend, copy: Path) -> None:
    backend.put_digest(md5(state(7, "a")))
    result = backend.done(VERSION, state="restored", src=str(copy))
    assert (result["serial"], result["serial_before"], result["version_id"]) == (7, None, None)
    assert result["msg"] == f"{KEY} has what {copy} has, with serial 7"
    assert result["added"] == ["terraform_data.a"] and not result["warnings"]
    assert (backend.body, backend.items) == (state(7, "a"), {f"{KEY}-md5": {"Digest": {"S": md5(state(7, "a"))}}})


def test_a_file_that_is_not_the_last_state_is_restored_with_a_warning(backend: Backend, copy: Path) -> None:
    backend.put_digest("0" * 32)
    result = backend.done(VERSION, state="restored", src=str(copy))
    (warning,) = result["warnings"]
    assert f"the lock table has the digest of another state than {copy}" in warning
    assert backend.items == {f"{KEY}-md5": {"Digest": {"S": md5(state(7, "a"))}}}


@pytest.mark.parametrize("table", [{}, {"table": None}], ids=["table", "lock files"])
def test_where_nothing_is_known_of_the_state_a_file_needs_the_word(
    backend: Backend, copy: Path, table: dict[str, Any]
) -> None:
    said = backend.refused(VERSION, state="restored", src=str(copy), **table)
    assert f"there is no version of {KEY}, and no digest of it: check key and workspace" in said
    backend.done(VERSION, state="restored", src=str(copy), allow=["new_state"], **table)
    assert backend.body == state(7, "a")


def test_a_similar_name_is_proposed_before_a_file_goes_to_a_new_one(backend: Backend, copy: Path) -> None:
    backend.put(state(7, "a"))
    said = backend.refused(VERSION, state="restored", src=str(copy), key=KEY.replace("one", "onee"))
    assert f"perhaps this is meant: key: {KEY}" in said
    backend.s3.put_object(Bucket=backend.bucket, Key=f"{KEY}e.tflock", Body=b"{}")
    said = backend.refused(VERSION, state="restored", src=str(copy), key=f"{KEY}e")
    assert f"perhaps this is meant: key: {KEY}" in said and f"key: {KEY}e" not in said
    said = backend.refused(VERSION, state="restored", src=str(copy), workspace="prd")
    assert f"perhaps this is meant: key: {KEY}, workspace: default" in said


def test_a_file_newer_than_all_versions_keeps_its_serial(backend: Backend, copy: Path) -> None:
    backend.put(state(5, "b"))
    result = backend.done(VERSION, state="restored", src=str(copy))
    assert (result["added"], result["removed"]) == (["terraform_data.a"], ["terraform_data.b"])
    assert backend.body == state(7, "a")


def test_an_older_file_gets_a_serial_above_all_versions(backend: Backend, copy: Path) -> None:
    backend.put(state(7, "a"), state(9, "b"))
    assert backend.done(VERSION, state="restored", src=str(copy))["serial"] == 10
    assert backend.body == state(10, "a")


def test_a_file_goes_over_a_delete_marker(backend: Backend, copy: Path) -> None:
    (only,) = backend.put(state(3, "a"))
    backend.delete()
    backend.s3.delete_object(Bucket=backend.bucket, Key=KEY, VersionId=only)
    backend.done(VERSION, state="restored", src=str(copy))
    assert backend.body == state(7, "a")


@pytest.mark.parametrize("operation", ["PutItem", "PutObject"])
def test_a_lost_reply_is_made_out(backend: Backend, copy: Path, operation: str) -> None:
    backend.put_digest("0" * 32)
    backend.relay.on(operation, reply=lose_reply, times=4)
    assert backend.task(VERSION, state="restored", src=str(copy))["changed"]
    assert (backend.body, backend.items[f"{KEY}-md5"]) == (state(7, "a"), {"Digest": {"S": md5(state(7, "a"))}})


def test_a_file_is_compared_with_the_state_now(backend: Backend, copy: Path) -> None:
    backend.put(state(9, "a", "b"))
    result = backend.task(VERSION, state="compared", src=str(copy))
    assert (result["changed"], result["removed"], result["serial"]) == (False, ["terraform_data.b"], 7)
    assert result["msg"].startswith(f"{copy}, compared with {KEY}, has 0 resources")


REFUSED: dict[str, tuple[bytes | None, dict[str, Any], str]] = {
    "another lineage": (state(7, lineage="other"), {}, "has the lineage other, and the state"),
    "cut off": (state(7, "a")[:-40], {}, "cannot be read by a client"),
    "empty": (b"", {}, "cannot be read by a client"),
    "no file": (None, {}, "src: {copy} cannot be read: No such file or directory"),
    "a version as well": (state(7), {"version_id": "x"}, "give version_id or src, not both"),
    "to undelete": (state(7), {"state": "undeleted"}, "version_id or src goes with state: restored"),
    "a word for a version": (
        state(7),
        {"src": None, "version_id": "x", "allow": ["new_state"]},
        "allow: [new_state] goes with src",
    ),
}


@pytest.mark.parametrize(("body", "asked", "said"), REFUSED.values(), ids=list(REFUSED))
def test_a_file_that_does_not_continue_the_state_is_refused(
    backend: Backend, copy: Path, body: bytes | None, asked: dict[str, Any], said: str
) -> None:
    backend.put(state(5, "a"))
    copy.unlink()
    if body is not None:
        copy.write_bytes(body)
    params = {"state": "restored", "src": str(copy), **asked}
    assert said.format(copy=copy) in backend.refused(VERSION, **params)


def test_a_locked_state_is_not_overwritten_by_a_file(backend: Backend, copy: Path) -> None:
    backend.put(state(5, "b"))
    backend.item(suffix="", Info={"S": "{}"})
    result = backend.task(VERSION, state="restored", src=str(copy))
    assert result["failed"] and backend.body == state(5, "b")
    assert backend.items.keys() == {KEY}


def test_a_device_or_a_pipe_is_no_state(backend: Backend, tmp_path: Path) -> None:
    """Reading it would never end."""
    os.mkfifo(tmp_path / "pipe")
    for src in (str(tmp_path / "pipe"), "/dev/zero"):
        assert "no regular file" in backend.refused(VERSION, state="restored", src=src, allow=["new_state"])

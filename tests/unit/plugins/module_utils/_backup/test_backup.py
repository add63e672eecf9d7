# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What backup costs, as far as it depends on how much there is. What it does is told by the integration tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.backup import Backup
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import Identity, Manifest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.storage import Folder
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Target

MOMENT = datetime(2026, 11, 28, tzinfo=timezone.utc)


class Bucket:
    """So many states of one version each, as AWS tells of them."""

    def __init__(self, count: int) -> None:
        self.bodies = {f"k{number}": b"%d" % number for number in range(count)}

    def pages(self, call: Call) -> Iterator[Any]:
        about = {"VersionId": "1", "LastModified": MOMENT, "IsLatest": True}
        yield {"Versions": [{"Key": key, "Size": len(body), **about} for key, body in self.bodies.items()]}

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Any:
        body = self.bodies[call.params["Key"]]
        begin()(body)
        return {"ETag": hashlib.md5(body, usedforsecurity=False).hexdigest()}

    def together(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        return [work() for work in works]

    def renew(self) -> None:
        pass


def test_what_is_known_is_gone_through_once_a_round_however_much_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    identities = Manifest.identities.fget

    def counted(self: Manifest) -> frozenset[Identity]:
        asked.append(len(self.entries))
        found: frozenset[Identity] = identities(self)
        return found

    monkeypatch.setattr(Manifest, "identities", property(counted))
    times = []
    for count in (2, 40):
        asked.clear()
        backup: Any = Backup(Bucket(count), Target("b", "eu-west-1"), None, Folder(tmp_path / str(count)))  # type: ignore[arg-type]
        backup.plan()
        assert len(backup.carry_out().entries) == count
        times.append(len(asked))
    assert times[0] == times[1] < 6


def test_each_version_is_told_once_it_was_saved(tmp_path: Path) -> None:
    told: list[Call] = []
    backup: Any = Backup(Bucket(2), Target("b", "eu-west-1"), None, Folder(tmp_path), on_saved=told.append)  # type: ignore[arg-type]
    backup.carry_out()
    assert [*map(str, told)] == ["save_version on b/k0", "save_version on b/k1"]
    told.clear()
    backup.carry_out()
    assert told == []

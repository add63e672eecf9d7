# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What relative paths are relative to."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import paths


@pytest.fixture(autouse=True)
def current(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_relative_paths_are_those_of_the_playbook(monkeypatch: pytest.MonkeyPatch, current: Path) -> None:
    monkeypatch.setenv("HOME", "/home/eve")
    given = {
        "directory": "backends/x",
        "project": ["../network", "/srv/dns"],
        "code": "a, ~/b",
        "backup": "s3://acme/x",
        "key": "relative/key",
    }
    assert paths.absolute_paths(given, {"playbook_dir": "/srv/plays"}) == {
        "directory": "/srv/plays/backends/x",
        "project": ["/srv/plays/../network", "/srv/dns"],
        "code": "/srv/plays/a,/home/eve/b",
        "backup": "s3://acme/x",
        "key": "relative/key",
    }


@pytest.mark.parametrize("folder", ["", "playbooks"])
def test_those_of_playbooks_of_the_collection_are_those_of_the_current_folder(current: Path, folder: str) -> None:
    installed = current / "ansible_collections"
    installed.symlink_to(paths.COLLECTION)
    for root in (paths.COLLECTION, installed):
        found = paths.absolute_paths({"directory": "backends/x"}, {"playbook_dir": str(root / folder)})
        assert found == {"directory": f"{current}/backends/x"}
    scenario = str(paths.COLLECTION / "extensions" / "molecule")
    assert paths.absolute_paths({"backup": "x"}, {"playbook_dir": scenario}) == {"backup": f"{scenario}/x"}


def test_files_of_0_1_0_stay_where_they_are(monkeypatch: pytest.MonkeyPatch, current: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr(paths.Display, "deprecated", lambda _self, msg, **_more: said.append(msg))
    before, after = current / "backends" / "x", current / "plays" / "backends" / "x"

    def directory() -> object:
        return paths.absolute_paths({"directory": "backends/x"}, {"playbook_dir": f"{current}/plays"})["directory"]

    assert directory() == str(after) and not said
    before.mkdir(parents=True)
    assert directory() == str(before)
    assert str(before) in said[0] and str(after) in said[0]
    after.mkdir(parents=True)
    assert directory() == str(after) and len(said) == 1


def test_a_path_of_a_user_whom_nobody_knows_is_left_to_whoever_reads_it(current: Path) -> None:
    given = {"directory": "~nobody-is-called-so/x", "project": ["x", "~nobody-is-called-so"]}
    found = paths.absolute_paths(given, {})
    assert found == {**given, "project": [f"{current}/x", "~nobody-is-called-so"]}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory of a run, as it is named again on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.inventory_sources import inventory_sources


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (None, []),
        (["{here}/inventories/mine"], ["inventories/mine"]),
        (["{here}"], ["."]),
        (["/etc/ansible/hosts", "{here}/a"], ["/etc/ansible/hosts", "a"]),
        (["{here}-else/a"], ["{here}-else/a"]),
        (["{here}/-x"], ["{here}/-x"]),
        (["us-east-1,"], ["us-east-1,"]),
        (("a,b",), ["a,b"]),
        ("{here}/hosts", ["hosts"]),
    ],
)
def test_a_source_is_named_as_in_the_current_folder(
    sources: Any, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(Path.cwd())
    given = sources.replace("{here}", here) if isinstance(sources, str) else sources
    if isinstance(given, list):
        given = [each.replace("{here}", here) for each in given]
    known = {} if given is None else {"ansible_inventory_sources": given}
    assert inventory_sources(known) == [each.replace("{here}", here) for each in expected]

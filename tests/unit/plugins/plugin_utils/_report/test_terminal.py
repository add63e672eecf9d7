# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for people: in colour on a terminal that has colours, and plain in a log."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.utils import color
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report import terminal


def test_colours_are_those_of_ansible_where_it_has_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "ANSIBLE_COLOR", True)
    assert [terminal.in_colour("x", status) for status in ("ok", "changed", "failed")] == [
        *("\x1b[0;32mx\x1b[0m", "\x1b[0;33mx\x1b[0m", "\x1b[0;31mx\x1b[0m"),
    ]
    monkeypatch.setattr(color, "ANSIBLE_COLOR", False)
    assert terminal.in_colour("x", "failed") == "x"


@pytest.mark.parametrize(
    ("painted", "expected"),
    [
        (None, [("x", {})]),
        ("x", [("x", {})]),
        ("<x>", [("<x>", {"screen_only": True}), ("x", {"log_only": True})]),
    ],
)
def test_no_colour_gets_into_the_log(painted: str | None, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[Any] = []

    class Display:
        def display(self, text: str, **more: bool) -> None:
            displayed.append((text, more))

    monkeypatch.setattr(terminal, "Display", Display)
    terminal.show("x", painted)
    assert displayed == expected

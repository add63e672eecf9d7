# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the terminal shows of a backup and a teardown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.backups import backup_line, teardown_line

BACKUP = {"url": "/backups/eu", "versions": 131, "bytes": 2313006, "new": {"versions": 7, "bytes": 1}}
COUNTS = {"versions": 1, "bytes": 0}
DESTROYS = {"bucket": "state-eu", "table": "locks-eu", "counts": COUNTS}
KEPT = {"bucket": "state-eu", "table": None, "counts": COUNTS}


@pytest.mark.parametrize(
    ("check_mode", "expected"),
    [
        (False, "eu: backup in /backups/eu: 131 versions, 2313006 bytes; 7 new, 1 byte"),
        (True, "eu: backup would be in /backups/eu: 131 versions, 2313006 bytes; 7 new, 1 byte"),
    ],
)
def test_a_backup_says_how_much_it_holds_and_where(check_mode: bool, expected: str) -> None:
    assert backup_line("eu", {"backup": BACKUP}, check_mode) == expected


TEARDOWNS: list[tuple[dict[str, Any], Any, bool, str]] = [
    (
        *(DESTROYS, BACKUP, False),
        "eu: deleted bucket state-eu and table locks-eu: 1 version, 0 bytes; backup in /backups/eu",
    ),
    (
        *(KEPT, BACKUP, True),
        "eu: would delete bucket state-eu: 1 version, 0 bytes; backup would be in /backups/eu",
    ),
    (KEPT, None, False, "eu: deleted bucket state-eu: 1 version, 0 bytes"),
    ({}, None, False, "eu: nothing to delete"),
]


@pytest.mark.parametrize(("destroys", "backup", "check_mode", "expected"), TEARDOWNS)
def test_a_teardown_says_what_it_deletes_and_where_the_backup_is(
    destroys: dict[str, Any], backup: Any, check_mode: bool, expected: str
) -> None:
    assert teardown_line("eu", {"destroys": destroys, "backup": backup}, check_mode) == expected


def test_no_control_character_reaches_the_terminal() -> None:
    assert "\x1b" not in backup_line("eu", {"backup": {**BACKUP, "url": "/\x1b[2J"}}, False)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import UNKNOWN, s3

OFF = {"enabled": False, "mode": None, "days": None}
ON = {**OFF, "enabled": True}
YEARS = {"enabled": True, "mode": "COMPLIANCE", "days": 730, "years": 2}
MONTH = {"enabled": True, "mode": "GOVERNANCE", "days": 30}


def lock(**retention: Any) -> dict[str, Any]:
    rule = {"Rule": {"DefaultRetention": retention}} if retention else {}
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", **rule}}


READS = {
    "on without retention": (lock(), ON),
    "days": (lock(Mode="GOVERNANCE", Days=30), MONTH),
    "years are days, too": (lock(Mode="COMPLIANCE", Years=2), YEARS),
}
DESIRES = {
    "off unless asked": ({}, OFF, OFF),
    "on for ever": ({"object_lock": False}, ON, ON),
    "retention stays when nothing is asked": ({}, MONTH, MONTH),
    "years are the days that they come to": ({"object_lock": True, "object_lock_days": 730}, YEARS, YEARS),
    "other days are no years": (
        {"object_lock": True, "object_lock_days": 731},
        YEARS,
        {"enabled": True, "mode": "COMPLIANCE", "days": 731},
    ),
    "retention as asked": ({"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 30}, OFF, MONTH),
}
CALLS = {
    "on": (OFF, ON, [s3("put_object_lock_configuration", **lock())]),
    "with years": (
        {**YEARS, "mode": "GOVERNANCE"},
        YEARS,
        [s3("put_object_lock_configuration", **lock(Mode="COMPLIANCE", Years=2))],
    ),
    "with retention": (OFF, MONTH, [s3("put_object_lock_configuration", **lock(Mode="GOVERNANCE", Days=30))]),
}
PROBLEMS = {
    "retention needs the lock": ({"object_lock_mode": "GOVERNANCE", "object_lock_days": 1}, "need object_lock: true"),
    "a mode needs days": ({"object_lock": True, "object_lock_mode": "GOVERNANCE"}, "go together"),
    "days need a mode": ({"object_lock": True, "object_lock_days": 1}, "go together"),
    "days are bounded": (
        {"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 36501},
        "AWS takes 1 to 36500",
    ),
    "no days are none": ({"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 0}, "AWS takes 1"),
    "a lock without versions is none": ({"object_lock": True, "versioning": False}, "object_lock needs versioning"),
}
#: What a later S3 may answer.
LATER_READ = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Maybe", **UNKNOWN}}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any


def described(status: str, **more: str) -> dict[str, Any]:
    return {"TimeToLiveDescription": {"TimeToLiveStatus": status, **more}}


READS = {
    "nothing said is none": ({}, None),
    "off": (described("DISABLED"), None),
    "on the way out": (described("DISABLING", AttributeName="Expires"), None),
    "on": (described("ENABLED", AttributeName="Expires"), "Expires"),
    "on the way there": (described("ENABLING", AttributeName="Expires"), "Expires"),
}
DESIRES = {"it is never ours": ({}, "Expires", "Expires")}
CALLS = {"it is never written": ("Expires", None, [])}

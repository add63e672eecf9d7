# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which findings count, and how much: the same in an audit and in the report of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from .._audit.findings import SEVERITIES, Tuning, reaches, waivers_of
from .._core.model import Invalid, Params
from .._core.printable import printable

TUNING_OPTIONS: dict[str, dict[str, Any]] = {
    "severities": {"type": "dict"},
    "disabled": {"type": "list", "elements": "str"},
    "waivers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"required": True},
            "reason": {"required": True},
            "until": {"required": True},
            "backend": {},
            "resource": {},
        },
    },
    "fail_on": {"choices": [*SEVERITIES, "never"]},
}
#: What a blank among them would do.
TUNING_NEVER_BLANK = {
    "fail_on": "nothing that is found would fail the task",
    "waivers.backend": "the waiver would hold for every backend",
    "waivers.resource": "the waiver would hold for every resource",
}


def tuning_of(params: Params) -> Tuning:
    """Raises Invalid on what no finding or severity is called."""
    tuning = Tuning(
        datetime.now(timezone.utc).date(),
        params.get("severities") or {},
        params.get("disabled") or (),
        waivers_of(params.get("waivers") or ()),
    )
    problems = list(tuning.problems())
    if problems:
        raise Invalid("; ".join(problems))
    return tuning


def too_bad(findings: Iterable[Mapping[str, Any]], limit: str | None) -> str | None:
    """What reaches the limit, in one sentence."""
    reached = [each for each in findings if not each["waived"] and reaches(each["severity"], limit)]
    shown = [f"{each['severity']}: {each['title']} ({printable(each['resource'])})" for each in reached[:5]]
    more = [f"and {len(reached) - 5} more"] if len(reached) > 5 else []
    return "; ".join([*shown, *more]) or None

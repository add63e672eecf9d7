# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings, and the user's settings for them. Pure: the date is a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from .._core.commands import edit
from .._core.model import Invalid
from .._core.printable import printable
from .catalogue import KINDS, runbook_url

#: The worst first.
SEVERITIES = ("critical", "high", "medium", "low", "info")


@dataclass(frozen=True)
class Finding:
    """A plan that nobody asked to carry out, or something in a backend that asks for attention."""

    id: str
    severity: str
    title: str
    #: What was found.
    detail: str
    resource: str
    why: str
    #: The command that fixes it.
    fix: str
    controls: tuple[str, ...] = ()
    #: The URL of the page that says more.
    runbook: str | None = None
    waived: Waiver | None = None

    def to_result(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "controls": list(self.controls),
            "waived": self.waived.to_result() if self.waived else None,
        }


def finding_of(kind: str, resource: str, detail: str, fix: str, severity: str | None = None) -> Finding:
    """`resource` stays exact, as waivers match it; the detail is made printable.

    `severity`: if it is not that of the kind.
    """
    what = KINDS[kind]
    runbook = runbook_url(what.runbook) if what.runbook else None
    return Finding(
        *(kind, severity or what.severity, what.title, printable(detail), resource, what.why, fix),
        controls=what.controls,
        runbook=runbook,
    )


@dataclass(frozen=True)
class Waiver:
    """A finding that the user accepts until a date; the patterns are shell patterns."""

    id: str
    reason: str
    until: date
    backend: str = "*"
    resource: str = "*"

    def covers(self, finding: Finding, backend: str) -> bool:
        pairs = ((finding.id, self.id), (backend, self.backend), (finding.resource, self.resource))
        return all(fnmatchcase(value, pattern) for value, pattern in pairs)

    def to_result(self) -> dict[str, str]:
        return {"reason": self.reason, "until": self.until.isoformat()}


def waivers_of(given: Iterable[Mapping[str, Any]]) -> tuple[Waiver, ...]:
    """Waivers from options. Raises Invalid."""
    waivers = []
    for each in given:
        try:
            until = date.fromisoformat(str(each["until"])[:10])
        except ValueError:
            raise Invalid(f"waiver of {each['id']}: until is {each['until']!r}, no date such as 2027-01-31") from None
        patterns = {name: str(each[name]) for name in ("backend", "resource") if each.get(name)}
        waivers.append(Waiver(str(each["id"]), str(each["reason"]), until, **patterns))
    return tuple(waivers)


@dataclass(frozen=True)
class Tuning:
    """The user's settings for findings."""

    #: The current date.
    day: date
    severities: Mapping[str, str] = field(default_factory=dict)
    disabled: Sequence[str] = ()
    waivers: Sequence[Waiver] = ()

    def problems(self) -> Iterator[str]:
        for name in (*self.severities, *self.disabled, *(waiver.id for waiver in self.waivers)):
            if not any(fnmatchcase(kind, name) for kind in KINDS):
                yield f"there is no finding {name!r}"
        for name, severity in self.severities.items():
            if severity not in SEVERITIES:
                yield f"severity of {name} is {severity!r}; choose one of {', '.join(SEVERITIES)}"


def evaluate(findings: Iterable[Finding], backend: str, tuning: Tuning) -> list[Finding]:
    """The findings with the user's settings applied, the worst first. An expired waiver is a finding itself."""
    kept = [each for each in findings if not any(fnmatchcase(each.id, name) for name in tuning.disabled)]
    out: dict[Finding, None] = {}
    for finding in kept:
        waivers = [each for each in tuning.waivers if each.covers(finding, backend)]
        valid = next((each for each in waivers if each.until >= tuning.day), None)
        out[_ranked(replace(finding, waived=valid), tuning)] = None
        for expired in waivers if not valid else ():
            detail = f"it expired on {expired.until.isoformat()}: {expired.reason}"
            fix = edit("group_vars/all.yml", f"fix {finding.id}, or set a later until with a reason of today")
            resource = f"waiver of {finding.id}"
            out[_ranked(finding_of("waiver.expired", resource, detail, fix), tuning)] = None
    return sorted(out, key=lambda each: (rank(each.severity), each.id, each.resource, each.detail))


def _ranked(finding: Finding, tuning: Tuning) -> Finding:
    severity = next((each for name, each in tuning.severities.items() if fnmatchcase(finding.id, name)), None)
    return replace(finding, severity=severity or finding.severity)


def rank(severity: str) -> int:
    """Zero is the worst."""
    return SEVERITIES.index(severity)


def worst(findings: Iterable[Mapping[str, Any]]) -> str | None:
    """The worst severity of the findings of a result that are not waived."""
    return min((each["severity"] for each in findings if not each["waived"]), key=rank, default=None)


def reaches(severity: str | None, limit: str | None) -> bool:
    return severity is not None and limit in SEVERITIES and rank(severity) <= rank(str(limit))

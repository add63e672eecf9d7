# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Version constraints of Terraform: which versions of a client or provider they admit.

Pure: no I/O. Source: https://developer.hashicorp.com/terraform/language/expressions/version-constraints
"""

from __future__ import annotations

import re
from typing import TypeAlias

Version: TypeAlias = tuple[int, int, int]

OLDEST: Version = (0, 0, 0)
#: No constraint has numbers of more than nine digits.
NEWEST: Version = (10**9, 0, 0)
_CONSTRAINT = re.compile(r"(=|!=|>=|<=|>|<|~>|)\s*v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})")
_GRAMMAR = (
    "write comma separated [= != > >= < <= ~>] MAJOR[.MINOR[.PATCH]], such as '>= 1.10, < 2.0'; "
    "Terraform takes no prerelease here"
)


def admits_older(constraint: str, than: Version) -> bool:
    """Whether it lets a version in that is older. Prereleases count as their release, as Terraform counts them.

    Raises ValueError naming the part it can't read.
    """
    first, end, excluded = _admitted(constraint)
    while first in excluded:
        first = _next(first)
    return first < min(end, than)


def admits_from(constraint: str, oldest: Version) -> bool:
    """Whether it lets a version in that is this one or newer. Raises ValueError naming the part it can't read."""
    first, end, excluded = _admitted(constraint)
    first = max(first, oldest)
    while first in excluded:
        first = _next(first)
    return first < end


def _admitted(constraint: str) -> tuple[Version, Version, set[Version]]:
    """The first version, the first after them all, and those between that are excluded."""
    parts = [_part(part) for part in constraint.split(",")]
    ranges = [_range(*part) for part in parts if part[0] != "!="]
    first = max((each for each, _end in ranges), default=OLDEST)
    end = min((each for _first, each in ranges), default=NEWEST)
    return first, end, {version for operator, version, _precision in parts if operator == "!="}


def _part(part: str) -> tuple[str, Version, int]:
    """Operator, version padded with zeros, and how many of its numbers were written."""
    match = _CONSTRAINT.fullmatch(part.strip())
    if not match:
        raise ValueError(f"cannot be read at {part.strip()!r}: {_GRAMMAR}")
    numbers = [int(number) for number in match[2].split(".")]
    major, minor, patch = (*numbers, 0, 0)[:3]
    return match[1], (major, minor, patch), len(numbers)


def _range(operator: str, version: Version, precision: int) -> tuple[Version, Version]:
    """The first version admitted, and the first one after them all."""
    major, minor, _patch = version
    same_release = {1: NEWEST, 2: (major + 1, 0, 0), 3: (major, minor + 1, 0)}[precision]
    return {
        "": (version, _next(version)),
        "=": (version, _next(version)),
        ">=": (version, NEWEST),
        ">": (_next(version), NEWEST),
        "<=": (OLDEST, _next(version)),
        "<": (OLDEST, version),
        "~>": (version, same_release),
    }[operator]


def _next(version: Version) -> Version:
    major, minor, patch = version
    return major, minor, patch + 1

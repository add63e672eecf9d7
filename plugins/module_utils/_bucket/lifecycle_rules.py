# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lifecycle rules in one form, and what they do to the old versions of a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What stands beside the rules: from which size on objects transition, by AWS's name for it.
SMALLEST = "TransitionDefaultMinimumObjectSize"


def canonical(rule: Any) -> dict[str, Any]:
    """With every default spelt out, and one form for all the ways to write a filter."""
    where = rule.get("Filter", {"Prefix": rule.get("Prefix", "")})
    both = where.get("And")
    if both:
        where = {**{name: value for name, value in both.items() if name != "Tags"}, "Tags": both.get("Tags", [])}
    elif "Tag" in where:
        where = {"Tags": [where["Tag"]]}
    kept = {name: _plain(value) for name, value in rule.items() if name not in ("ID", "Filter", "Prefix")}
    filters = {name: value for name, value in where.items() if value not in ("", [])}
    if "Tags" in filters:
        filters["Tags"] = sorted(filters["Tags"], key=lambda tag: str(tag.get("Key")))
    return {"Status": "Enabled", **kept, "Filter": filters}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def as_written(rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {**rule, "ID": name, "Filter": _filter_as_written(rule["Filter"])}
        for name, rule in sorted(rules.items())
        if name != SMALLEST
    ]


def _filter_as_written(where: dict[str, Any]) -> dict[str, Any]:
    tags = where.get("Tags", [])
    if len(where) + len(tags) > 1 + bool(tags):
        return {"And": where}
    if tags:
        return {"Tag": tags[0]}
    return where or {"Prefix": ""}


@dataclass(frozen=True)
class Expiry:
    """What a lifecycle rule does to non-current versions. Where no rule does anything, they stay for ever."""

    where: Mapping[str, Any]
    days: int
    newer: int

    def covers(self, other: Expiry) -> bool:
        """Whether everything that `other` expires is expired by this one no later."""
        mine, its = self.where, other.where
        reaches = (
            its.get("Prefix", "").startswith(mine.get("Prefix", ""))
            and all(tag in its.get("Tags", []) for tag in mine.get("Tags", []))
            and all(its.get(name) == mine[name] for name in mine.keys() - {"Prefix", "Tags"})
        )
        return reaches and self.days <= other.days and self.newer <= other.newer


def expiries(rules: Mapping[str, Any]) -> Iterator[Expiry]:
    for rule in (rule for name, rule in rules.items() if name != SMALLEST):
        expiration = rule.get("NoncurrentVersionExpiration")
        if expiration and rule.get("Status") == "Enabled":
            days, newer = expiration.get("NoncurrentDays", 0), expiration.get("NewerNoncurrentVersions", 0)
            yield Expiry(rule.get("Filter", {}), days, newer)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals that facets of buckets and of tables have in common. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .model import Invalid, Refusal

#: So many locks are named.
NAMED_LOCKS = 5


def held(locks: list[str]) -> Refusal:
    more = f" and {len(locks) - NAMED_LOCKS} more" if len(locks) > NAMED_LOCKS else ""
    return Refusal(f"somebody holds a lock: {', '.join(locks[:NAMED_LOCKS])}{more}", "break_lock")


def other_key(before: str, after: str | None) -> Refusal:
    return Refusal(
        f"the KMS key would go from {before} to {after or 'the key that AWS manages'}; "
        "whoever may use the old key only will be shut out",
        "change_kms_key",
    )


def check_known(what: str, parts: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises Invalid on what a Terraform project would not say."""
    unknown = sorted(parts.keys() - {*known})
    if unknown:
        raise Invalid(f"the {what} has {', '.join(unknown)}, which the aws provider has no words for")

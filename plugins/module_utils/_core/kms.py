# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What KMS keys of buckets and of tables have in common. Pure."""

from __future__ import annotations

#: Keys that AWS manages are free.
MANAGED = "alias/aws/"


def customer_keys(key: str | None) -> frozenset[str]:
    """The keys that the customer pays for. The ARN of a key that AWS manages for DynamoDB looks like any other."""
    return frozenset({key}) if key and not key.startswith(MANAGED) else frozenset()

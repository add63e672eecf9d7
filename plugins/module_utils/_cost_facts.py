# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules return of a backend, as what its cost is counted from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ._cost import Facts


def facts_at_rest(bucket: Mapping[str, Any], table: Mapping[str, Any] | None, lock_mode: str) -> Facts:
    """A backend without states and runs, from what tf_state_bucket and tf_lock_table return."""
    empty = Facts(bucket["region"], lock_mode, 0, 0, 0, runs_per_month=0, table_bytes=0)
    return replace(empty, **_settings(bucket, table))


def facts_of(
    backend: Mapping[str, Any],
    lock_mode: str,
    runs_per_month: int | None = None,
    noncurrent_bytes: int | None = None,
    table_bytes: int | None = None,
) -> Facts:
    """A backend in use, from what tf_backend_info returns. What was not gathered is not known."""
    states = backend.get("states")
    found = Facts(
        backend["region"],
        lock_mode,
        current_bytes=None if states is None else sum(each["size"] for each in states if not each["is_deleted"]),
        noncurrent_bytes=noncurrent_bytes,
        versions=None if states is None else sum(each["versions"] or 0 for each in states),
        runs_per_month=runs_per_month,
        table_bytes=table_bytes,
    )
    return replace(found, **_settings(backend["bucket"], backend["table"]))


def _settings(bucket: Mapping[str, Any], table: Mapping[str, Any] | None) -> dict[str, Any]:
    """A setting that nobody read is not known."""
    encryption: Mapping[str, Any] = bucket.get("encryption") or {}
    keys = [encryption, *([] if table is None else [table.get("encryption") or {}])]
    asks_kms = bool(encryption) and str(encryption["algorithm"]).startswith("aws:kms")
    settings = {
        "kms_keys": frozenset(each["kms_key_id"] for each in keys if _is_customers(each)) if all(keys) else None,
        "asks_kms": asks_kms and not encryption["bucket_key_enabled"] if encryption else None,
    }
    if table is None:
        return settings
    recovery = table.get("recovery")
    return {
        **settings,
        "billing": table.get("billing") or _UNREAD,
        "table_class": table.get("table_class") or "?",
        "has_recovery": recovery["enabled"] if recovery else None,
    }


#: Whatever it is, its price is not known.
_UNREAD = {"billing_mode": "PROVISIONED", "write_capacity": None, "read_capacity": None}


def _is_customers(encryption: Mapping[str, Any]) -> bool:
    """The ARN of a key that AWS manages for DynamoDB looks like any other: it counts as the customer's."""
    key = encryption["kms_key_id"]
    return bool(key) and not key.startswith("alias/aws/")

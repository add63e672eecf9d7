# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The KMS keys of a backend: whether they can be used, who manages them, and how often they were rotated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .._aws.client import Aws
from .._aws.kms import SYMMETRIC
from .._core.kms import customer_keys
from .._core.model import Call, Failure

#: Of a key that does not exist. KMS itself has no such state.
MISSING = "Missing"
NOT_FOUND = "NotFoundException"


def keys_of(resources: Iterable[Mapping[str, Any] | None]) -> list[str]:
    """Those of the customer, or of DynamoDB, whose key looks like any other."""
    settings = [(each or {}).get("encryption") or {} for each in resources]
    return sorted({key for each in settings for key in customer_keys(each.get("kms_key_id"))})


def kms_keys(
    aws: Aws, names: Collection[str], counts_rotations: bool
) -> tuple[dict[str, dict[str, Any]], list[Failure]]:
    """By key what is known of it, with None for what is not; and why keys could not be described."""
    found, failures = {}, []
    for name in names:
        answer = aws.described_key(name)
        if isinstance(answer, Failure) and not is_missing(answer):
            failures.append(answer)
        about = about_key(name, answer)
        rotations = _rotations(aws, name, answer) if counts_rotations else None
        found[name] = {**about, "rotations": 0 if about["manager"] == "AWS" else rotations}
    return found, failures


def is_missing(failure: Failure) -> bool:
    """Whether KMS knows that there is no such key."""
    return failure.code == NOT_FOUND


def about_key(name: str, answer: Any) -> dict[str, Any]:
    if isinstance(answer, Failure):
        state = MISSING if is_missing(answer) else None
        return {"manager": None, "state": state, "arn": None, "deletion_date": None, "is_symmetric": None}
    key = answer["KeyMetadata"]
    date = key.get("DeletionDate")
    kind = key.get("KeyUsage", SYMMETRIC[0]), key.get("KeySpec", SYMMETRIC[1])
    return {
        "manager": key.get("KeyManager"),
        "state": key.get("KeyState", "Enabled"),
        "arn": key.get("Arn", name),
        "deletion_date": f"{date:%Y-%m-%d}" if hasattr(date, "year") else None,
        "is_symmetric": kind == SYMMETRIC,
    }


def _rotations(aws: Aws, name: str, answer: Any) -> int | None:
    """For the cost alone."""
    key = {} if isinstance(answer, Failure) else answer["KeyMetadata"]
    if key.get("KeyManager") == "AWS" or (isinstance(answer, Failure) and is_missing(answer)):
        return None
    # It takes no alias.
    (rotated,) = aws.read([Call("kms", "list_key_rotations", {"KeyId": key.get("KeyId", name)})])
    return None if isinstance(rotated, Failure) else len(rotated.get("Rotations", ()))

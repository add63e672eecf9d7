# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who manages the KMS keys of a backend, and how often they were rotated: AWS is paid by both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._aws.client import Aws
from .._core.kms import customer_keys
from .._core.model import Call, Failure


def kms_keys(aws: Aws, resources: Iterable[Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """By key. What may not be read is None: a cost is then a lower bound, and nothing else depends on it."""
    settings = [(each or {}).get("encryption") or {} for each in resources]
    names = sorted({key for each in settings for key in customer_keys(each.get("kms_key_id"))})
    return {name: _about(aws, name) for name in names}


def _about(aws: Aws, name: str) -> dict[str, Any]:
    (described,) = aws.read([Call("kms", "describe_key", {"KeyId": name})])
    key = {} if isinstance(described, Failure) else described.get("KeyMetadata", {})
    manager = key.get("KeyManager")
    if manager == "AWS":
        return {"manager": manager, "rotations": 0}
    # It takes no alias.
    (rotated,) = aws.read([Call("kms", "list_key_rotations", {"KeyId": key.get("KeyId", name)})])
    rotations = None if isinstance(rotated, Failure) else len(rotated.get("Rotations", ()))
    return {"manager": manager, "rotations": rotations}

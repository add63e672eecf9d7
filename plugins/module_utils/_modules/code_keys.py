# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""KMS keys that only code names: whether they can be used, which KMS alone can tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .._aws.client import BOTOCORE_MISSING, Aws
from .._core.model import Failure, Params
from .._state.kms_keys import about_key, is_missing
from .entry import connection_of

RETRY_S = 60


def keys_there(params: Params, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """By name; `problem` says why nothing is known of a key. Raises TfstateError without credentials."""
    if not names or BOTOCORE_MISSING:
        return {}
    aws = Aws(connection_of(params), RETRY_S)
    answers = {name: aws.described_key(name) for name in names}
    return {
        name: {**about_key(name, answer), "problem": str(answer) if _is_unknown(answer) else None}
        for name, answer in answers.items()
    }


def _is_unknown(answer: Any) -> bool:
    return isinstance(answer, Failure) and not is_missing(answer)

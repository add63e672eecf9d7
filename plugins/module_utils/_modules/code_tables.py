# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables that only code names: whether they exist, which AWS alone can tell."""

from __future__ import annotations

from collections.abc import Collection

from .._aws.client import BOTOCORE_MISSING, Aws
from .._core.model import IDENTITY, Failure, Params, Target, Unknown
from .._table import TABLE
from .entry import connection_of

RETRY_S = 60


def tables_there(params: Params, names: Collection[str], account_id: str | None) -> dict[str, bool]:
    """By name, as far as it is known: another account's tables say nothing. Raises TfstateError without credentials."""
    if not names or BOTOCORE_MISSING:
        return {}
    existence, targets = TABLE.existence, [Target(name, params["region"]) for name in names]
    identity, *answers = Aws(connection_of(params), RETRY_S).read([IDENTITY, *map(existence.read, targets)])
    if isinstance(identity, Failure) or identity["Account"] != account_id:
        return {}
    values = [existence.value(answer, target) for answer, target in zip(answers, targets, strict=True)]
    found = zip(names, values, strict=True)
    return {name: value is not None for name, value in found if not isinstance(value, Unknown)}

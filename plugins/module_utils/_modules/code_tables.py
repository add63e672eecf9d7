# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables and buckets that only code names: whether they exist, which AWS alone can tell."""

from __future__ import annotations

import re
from collections.abc import Collection

from .._aws.client import BOTOCORE_MISSING, Aws
from .._aws.errors import NO_SUCH_BUCKET
from .._core.model import IDENTITY, Answer, Call, Failure, Params, Target, Unknown
from .._table import TABLE
from .entry import connection_of

RETRY_S = 60
#: What HeadBucket is asked about: botocore sends other names elsewhere, or nowhere.
_BUCKET = re.compile(r"(?!.*--(?:x|table)-s3$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: The most buckets of somebody else's that are looked up with one connection.
MOST = 200


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


def buckets_there(params: Params, names: Collection[str]) -> dict[str, bool | None]:
    """By name: True for a bucket of the account, None for one that is another's or may not be looked at.

    Of all accounts, none has a bucket that S3 does not find. Raises TfstateError without credentials.
    """
    if not names or BOTOCORE_MISSING:
        return {}
    names = [name for name in names if _BUCKET.fullmatch(name)][:MOST]
    calls = [Call("s3", "head_bucket", {"Bucket": name}) for name in names]
    answers = Aws(connection_of(params), RETRY_S).read(calls)
    found = zip(names, answers, strict=True)
    return {name: _is_there(answer) for name, answer in found}


def _is_there(answer: Answer) -> bool | None:
    if not isinstance(answer, Failure):
        return True
    return False if answer.code in NO_SUCH_BUCKET else None

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit asks of the account of a backend, once for all backends of a run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from .._aws.client import Aws
from .._aws.errors import NO_ANSWER, UNSUPPORTED
from .._aws.session import Remembered
from .._bucket import public_access
from .._core.model import Call, Failure, Target

WHAT = "account.public_access"
#: A run that begins later asks again: meanwhile, somebody may have changed it.
LASTS_S = 300


@dataclass(frozen=True)
class AccountBlock:
    """The public access block of the account, or why it could not be read; neither where a store has no accounts."""

    value: dict[str, bool] | None = None
    failure: Failure | None = None


def account_block(aws: Aws, target: Target, account: str | None) -> AccountBlock:
    if account is None or not aws.is_aws("s3"):
        return AccountBlock()
    cache = Remembered(f"account-{account}", aws.connection)
    known = _known(cache.read())
    if known is not None:
        return AccountBlock(known)
    asked = {"AccountId": account}
    call = Call("s3control", "get_public_access_block", asked, action="s3:GetAccountPublicAccessBlock")
    failure = _failure(cache.read(), call)
    (answer,) = (failure,) if failure else aws.read([call])
    if not isinstance(answer, Failure):
        value: dict[str, bool] = public_access.normalise(answer, target)
    elif answer.code in public_access.NOT_FOUND:
        value = dict(public_access.ABSENT)
    elif answer.code in UNSUPPORTED:  # of a partition that does not have it
        return AccountBlock()
    else:
        if answer.code == NO_ANSWER and not failure:  # a closed network may not reach it: the others need not wait
            cache.write({**_now(), "NoAnswer": answer.advice})
        return AccountBlock(failure=answer)
    cache.write({**_now(), "Block": value})
    return AccountBlock(value)


def _now() -> dict[str, Any]:
    """All backends of a run are audited by children of one process."""
    return {"Run": os.getppid(), "At": time.time()}


def _is_of_run(found: dict[str, Any]) -> bool:
    age_s = time.time() - found["At"] if isinstance(found.get("At"), float) else -1
    return found.get("Run") == os.getppid() and 0 <= age_s < LASTS_S


def _known(found: dict[str, Any]) -> dict[str, bool] | None:
    block = found.get("Block") if _is_of_run(found) else None
    is_whole = isinstance(block, dict) and block.keys() == public_access.FLAGS.keys()
    return {flag: block[flag] is True for flag in public_access.FLAGS} if block and is_whole else None


def _failure(found: dict[str, Any], call: Call) -> Failure | None:
    has_none = _is_of_run(found) and isinstance(found.get("NoAnswer"), str)
    return Failure(call, NO_ANSWER, "", found["NoAnswer"]) if has_none else None

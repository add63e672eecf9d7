# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes botocore, which limits only the number of its attempts, observe the deadline of a task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .errors import THROTTLED
from .session import BOTOCORE_MISSING

if not BOTOCORE_MISSING:
    import botocore.exceptions

_registering = threading.Lock()
EVENT, OURS = "needs-retry", "cornerstone.tfstate"
#: Codes that botocore retries, besides server errors.
#: Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRIED = THROTTLED | {"LimitExceededException", "RequestTimeout"}


def end_by(client: Any, left_s: Callable[[], float]) -> None:
    """Keeps the client from retries after the deadline. Replaces an earlier deadline."""

    def give_up(attempts: int, operation: Any, response: Any, caught_exception: Any, **_unused: Any) -> None:
        if left_s() > 2 ** (attempts - 1):  # the maximum wait of botocore, in seconds
            return
        if caught_exception:
            raise caught_exception
        answer = response[1]
        if _is_retried(answer):
            raise botocore.exceptions.ClientError(answer, operation.name)

    with _registering:  # threads may share a client
        client.meta.events.unregister(EVENT, unique_id=OURS)
        client.meta.events.register(EVENT, give_up, unique_id=OURS)


def _is_retried(answer: Any) -> bool:
    return answer["ResponseMetadata"]["HTTPStatusCode"] >= 500 or answer.get("Error", {}).get("Code") in RETRIED

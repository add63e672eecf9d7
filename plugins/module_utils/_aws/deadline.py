# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes botocore, which limits only the number of its attempts, observe the deadline of a task."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._core.url_credentials import without_credentials
from .errors import THROTTLED

with suppress(ImportError):  # session.BOTOCORE_MISSING tells
    import botocore.exceptions

    #: Nothing was sent.
    UNREACHABLE = (
        *(botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError),
        botocore.exceptions.ProxyConnectionError,
    )

_registering = threading.Lock()
EVENT, OURS = "needs-retry", "cornerstone.tfstate"
#: Codes that botocore retries, besides server errors.
#: Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRIED = THROTTLED | {"LimitExceededException", "RequestTimeout"}


#: How often a host is tried that has never answered: its name, the network or a proxy is wrong, and a person waits.
FIRST_CONTACT = 3
#: The most seconds of a connection attempt and of waiting for an answer, and the least, however short a deadline is.
CONNECT_S, READ_S = 5, 30
SHORTEST_CONNECT_S, SHORTEST_READ_S = 1, 5


def timeouts(wait_s: float) -> dict[str, float]:
    """The timeouts of a client, as far as a deadline makes them shorter: the last attempt may begin just before it."""
    connect, read = max(SHORTEST_CONNECT_S, wait_s), max(SHORTEST_READ_S, wait_s / 2)
    short = {"connect_timeout": connect} if connect < CONNECT_S else {}
    return {**short, "read_timeout": read} if read < READ_S else short


def end_by(client: Any, left_s: Callable[[], float]) -> None:
    """Keeps the client from retries after the deadline, or that could end after it. Replaces an earlier deadline."""
    answered: list[bool] = []
    is_told: list[bool] = []

    def give_up(attempts: int, operation: Any, response: Any, caught_exception: Any, **_unused: Any) -> None:
        if response is not None:
            answered[:] = [True]
        is_unreachable = isinstance(caught_exception, UNREACHABLE) and not answered and attempts >= FIRST_CONTACT
        # The maximum wait of botocore, in seconds, and as long as this attempt has taken.
        if not is_unreachable and left_s() > 2 ** (attempts - 1) + _took(client, caught_exception):
            if caught_exception and not is_told:
                is_told[:] = [True]
                _tell(client, left_s())
            return
        if caught_exception:
            raise caught_exception
        answer = response[1]
        if _is_retried(answer):
            raise botocore.exceptions.ClientError(answer, operation.name)

    with _registering:  # threads may share a client
        client.meta.events.unregister(EVENT, unique_id=OURS)
        client.meta.events.register(EVENT, give_up, unique_id=OURS)


#: Called with a sentence, once a client, if a host does not answer and is tried again: somebody may wait for it.
listeners: list[Callable[[str], None]] = []


def _tell(client: Any, left_s: float) -> None:
    where = without_credentials(client.meta.endpoint_url)
    for listener in listeners:
        listener(f"{where} does not answer; trying again{_at_most(left_s)}")


def _at_most(left_s: float) -> str:
    return f", for {left_s:.0f} seconds at most (wait_timeout)" if math.isfinite(left_s) else ""


def _took(client: Any, error: Exception | None) -> float:
    if isinstance(error, botocore.exceptions.ConnectTimeoutError):
        return float(client.meta.config.connect_timeout)
    return float(client.meta.config.read_timeout) if isinstance(error, botocore.exceptions.ReadTimeoutError) else 0


def _is_retried(answer: Any) -> bool:
    return answer["ResponseMetadata"]["HTTPStatusCode"] >= 500 or answer.get("Error", {}).get("Code") in RETRIED

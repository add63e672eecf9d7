# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client of an inspection, which only reads: what cannot be read is a failure, and ends nothing else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from .._core.model import IDENTITY, Answer, Call, CallFailed, Failure, Invalid, TfstateError, WriteCallback, no_op
from . import deadline
from .client import Aws, BeforeWrite, Connection
from .errors import BROKEN, NO_ANSWER, NOT_OF_AWS, OUT_OF_TIME, THROTTLED

#: How many seconds one read is repeated while AWS is busy or broken, or does not answer.
RETRY_S = 30
#: What stays so for that long: the service is asked once for each further read.
STAYS = {*THROTTLED, *BROKEN, NO_ANSWER}
NO_TIME = "audit_timeout was over before it was read: set it higher, or take fewer forks"


class _OutOfTime(Exception):
    """The budget was over in the middle of a body."""


class InspectionClient(Aws):
    """As `Aws`, but within `budget_s` in all, and a service that fails for `RETRY_S` is not waited for again."""

    def __init__(
        self,
        connection: Connection,
        timeout_s: float,
        budget_s: float | None = None,
        on_write: WriteCallback = no_op,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._end = math.inf if budget_s is None else now() + budget_s
        #: When the read of a thread gives up.
        self._limit = threading.local()
        self._failing: set[str] = set()
        #: The services that have answered, if only with an error; what was wrong with the others, since they did.
        self._answering: set[str] = set()
        self._unanswered: dict[str, list[TfstateError]] = {}
        super().__init__(connection, timeout_s if budget_s is None else min(timeout_s, budget_s), on_write, now, sleep)

    def left_s(self) -> float:
        return min(super().left_s(), self._end - self._now(), getattr(self._limit, "end", math.inf) - self._now())

    def check_reached(self) -> None:
        """Raises what is wrong if no service but STS has answered at all: then nothing is known."""
        problems = [each for found in self._unanswered.values() for each in found]
        if problems and not self._answering:
            raise problems[0]

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer:
        def begin_in_time() -> Callable[[bytes], object]:
            return partial(self._take_in_time, begin())

        try:
            return super().stream(call, begin_in_time)
        except _OutOfTime:
            return Failure(call, OUT_OF_TIME, "", NO_TIME)
        except (CallFailed, Invalid):
            raise
        except TfstateError as problem:  # the body broke off
            return Failure(call, NO_ANSWER, "", str(problem))

    def _take_in_time(self, take: Callable[[bytes], object], piece: bytes) -> None:
        if self._now() >= self._end:
            raise _OutOfTime
        take(piece)

    def _answer(self, call: Call, newly_created: bool, before_each: Sequence[BeforeWrite] = ()) -> Answer:
        if call.operation == IDENTITY.operation:
            return super()._answer(call, newly_created, before_each)
        if self._now() >= self._end:
            return Failure(call, OUT_OF_TIME, "", NO_TIME)
        problems = self._unanswered.setdefault(call.service, [])
        if _is_out_of_reach(problems):
            return Failure(call, NO_ANSWER, "", f"it was not asked again after {problems[0]}")
        before = getattr(self._limit, "end", math.inf)
        self._limit.end = min(before, self._now() + (0 if call.service in self._failing else RETRY_S))
        try:
            answer = super()._answer(call, newly_created, before_each)
        except (CallFailed, Invalid):
            raise
        except TfstateError as problem:
            self._failing.add(call.service)
            problems.append(problem)
            return Failure(call, NO_ANSWER, "", str(problem))
        finally:
            self._limit.end = before
        if isinstance(answer, Failure) and answer.code in STAYS:
            self._failing.add(call.service)
        if not (isinstance(answer, Failure) and answer.code == NOT_OF_AWS):
            self._answering.add(call.service)
            problems.clear()
        return answer


def _is_out_of_reach(problems: Sequence[TfstateError]) -> bool:
    """Whether a service cannot be reached, or has not answered so many reads in a row."""
    return len(problems) >= deadline.FIRST_CONTACT or any(
        isinstance(each.__context__, deadline.UNREACHABLE) for each in problems
    )

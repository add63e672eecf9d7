# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The faults of a run: some kinds, drawn at random, and the messages that name them as the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

ENDPOINT = "https://aws.test"


class Killed(BaseException):
    """The process died; our code must not catch it."""


class ErrorAnswer(Exception):
    """AWS answers with this error."""

    def __init__(self, code: str, status: int = 400, message: str = "a fault of the test") -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status, message


@dataclass(frozen=True)
class Request:
    """A request: its service and operation, whether it writes, its place in the run."""

    service: str
    operation: str
    is_write: bool
    place: int
    #: It reads a bucket that does not exist: AWS answers 404 to everybody.
    is_free: bool = False

    @property
    def is_s3(self) -> bool:
        return self.service == "s3"


@dataclass
class RandomFaults:
    """The faults of one run. `before` runs ahead of each call's effect, `after` behind it."""

    random: Random
    kinds: tuple[str, ...]
    sleep: Callable[[float], None]
    hits: Counter[str] = field(default_factory=Counter)
    #: The transient faults that are left: their number is limited.
    left: int = 40

    def __post_init__(self) -> None:
        self.rate = self.random.choice([0.03, 0.1, 0.3])
        self.fatal_place = self.random.randint(1, 30)
        self.denied_turn = self.random.randint(1, 12)
        self._denied: str | None = None
        self._seen = 0

    def before(self, request: Request) -> None:
        for kind in self.kinds:
            if kind in BEFORE:
                BEFORE[kind](self, request)

    def after(self, request: Request) -> None:
        for kind in self.kinds:
            if kind in AFTER:
                AFTER[kind](self, request)

    def happens(self, kind: str) -> bool:
        """Whether a transient fault happens now."""
        hit = self.left > 0 and self.random.random() < self.rate
        self.left -= hit
        self.hits[kind] += hit
        return hit

    def rounds(self, kind: str, most: int) -> int:
        """How many rounds a lasting fault takes, if this run has it."""
        rounds = self.random.randint(0, most) if kind in self.kinds else 0
        self.hits[kind] += bool(rounds)
        return rounds

    def denies(self, kind: str, request: Request) -> bool:
        """Permission is missing for one operation, chosen by its turn, from then on."""
        if self._denied is None:
            self._seen += 1
            self._denied = request.operation if self._seen == self.denied_turn else None
        hit = self._denied == request.operation
        self.hits[kind] += hit
        return hit


def _throttled(faults: RandomFaults, request: Request) -> None:
    if request.service != "sts" and faults.happens("throttled"):
        of_items = "ProvisionedThroughputExceededException" if request.operation == "scan" else "ThrottlingException"
        raise (
            ErrorAnswer("SlowDown", 503, "Please reduce your request rate.") if request.is_s3 else ErrorAnswer(of_items)
        )


def _server_error(faults: RandomFaults, request: Request) -> None:
    if faults.happens("server error"):
        server, busy = ("InternalError", "ServiceUnavailable") if request.is_s3 else ("InternalServerError",) * 2
        raise faults.random.choice([ErrorAnswer(server, 500), ErrorAnswer(busy, 503 if request.is_s3 else 500)])


def _aborted(faults: RandomFaults, request: Request) -> None:
    if request.is_s3 and request.is_write and faults.happens("conflict"):
        raise ErrorAnswer("OperationAborted", 409, "A conflicting conditional operation is currently in progress")


def _reset(faults: RandomFaults, request: Request) -> None:
    if faults.happens("reset"):
        raise ConnectionClosedError(endpoint_url=ENDPOINT)


def _reply_lost(faults: RandomFaults, request: Request) -> None:
    if request.is_write and faults.happens("lost reply"):
        raise ConnectionClosedError(endpoint_url=ENDPOINT)


def _slow(faults: RandomFaults, request: Request) -> None:
    if faults.happens("delay"):
        faults.sleep(faults.random.uniform(1, 10))


def _timed_out(faults: RandomFaults, request: Request) -> None:
    if faults.happens("timeout"):
        faults.sleep(30)
        raise ReadTimeoutError(endpoint_url=ENDPOINT)


def _unreachable(faults: RandomFaults, request: Request) -> None:
    if request.place >= faults.fatal_place:
        faults.hits["outage"] += 1
        faults.sleep(10)
        raise EndpointConnectionError(endpoint_url=ENDPOINT)


def _expired(faults: RandomFaults, request: Request) -> None:
    if request.place >= faults.fatal_place:
        faults.hits["expired"] += 1
        raise ErrorAnswer("ExpiredToken" if request.service in ("s3", "sts") else "ExpiredTokenException")


def _killed(faults: RandomFaults, request: Request) -> None:
    if request.place == faults.fatal_place:
        faults.hits["kill"] += 1
        raise Killed


def _read_denied(faults: RandomFaults, request: Request) -> None:
    if (
        not request.is_write
        and not request.is_free
        and request.service != "sts"
        and faults.denies("denied read", request)
    ):
        raise _denial(request)


def _write_denied(faults: RandomFaults, request: Request) -> None:
    if request.is_write and faults.denies("denied write", request):
        raise _denial(request)


def _denial(request: Request) -> ErrorAnswer:
    return ErrorAnswer("AccessDenied", 403) if request.is_s3 else ErrorAnswer("AccessDeniedException")


def _quota_reached(faults: RandomFaults, request: Request) -> None:
    if request.operation == "update_table":
        faults.hits["quota"] += 1
        raise ErrorAnswer("LimitExceededException", 400, "Subscriber limit exceeded: try again after midnight")


Fault = Callable[[RandomFaults, Request], None]
#: Ahead of the call's effect.
BEFORE: dict[str, Fault] = {
    "throttled": _throttled,
    "server error": _server_error,
    "conflict": _aborted,
    "reset": _reset,
    "delay": _slow,
    "outage": _unreachable,
    "expired": _expired,
    "denied read": _read_denied,
    "denied write": _write_denied,
    "quota": _quota_reached,
}
#: Behind it: the call took effect, and its reply is lost.
AFTER: dict[str, Fault] = {"lost reply": _reply_lost, "timeout": _timed_out, "kill": _killed}
#: What AWS completes late.
SLOW = ("invisible", "stale", "creating", "updating", "deleting", "backups later", "tag lock")
#: Kinds that end a run, of which there is at most one in it.
FATAL = ("kill", "outage", "expired", "denied read", "denied write", "quota")
TRANSIENT = tuple(kind for kind in (*BEFORE, *AFTER, *SLOW) if kind not in FATAL)

#: What the message must contain for each kind that may end a run. Two kinds in a row may look like a third.
MESSAGES: dict[str, tuple[str, ...]] = {
    "invisible": (r"NoSuchBucket|NotFoundException", r"made or deleted a moment ago", r"run again"),
    "stale": (r"made (or deleted a|this) moment|(the table is \w+,|still there) past wait_timeout", r"run again"),
    "throttled": (r"SlowDown|ThrottlingException|ThroughputExceeded|: 503", r"asked too much", r"run again"),
    "server error": (r"Internal\w*Error|ServiceUnavailable|: 50[03]", r"run again"),
    "conflict": (r"OperationAborted", r"another change of this bucket is under way"),
    "reset": (r"[Cc]onnection was closed", r"no answer came back", r"run again"),
    "lost reply": (r"[Cc]onnection was closed", r"no answer came back", r"run again"),
    "timeout": (r"[Rr]ead timeout|AlreadyOwnedByYou", r"no answer came back|made this moment", r"run again"),
    "outage": (r"cannot be reached", r"run again"),
    "expired": (r"credentials have expired",),
    "denied read": (r"Access ?Denied|: 403", r"needs? [\w-]+:\w+"),
    "denied write": (r"Access ?Denied", r"needs [\w-]+:\w+"),
    "quota": (r"a quota of AWS is used up|AWS takes \w+ changes",),
    "creating": (r"the table is CREATING, past wait_timeout|made or deleted a moment ago", r"run again"),
    "updating": (r"the table is UPDATING, past wait_timeout|busy with it", r"run again"),
    "deleting": (r"the table is DELETING, past wait_timeout; run again later",),
    "backups later": (r"ContinuousBackupsUnavailable", r"run again"),
    "tag lock": (r"LimitExceededException", r"run again"),
}


def draw_faults(random: Random, sleep: Callable[[float], None]) -> RandomFaults:
    """The faults of a run: some transient kinds, and in half of the runs a fatal one."""
    kinds = random.sample(TRANSIENT, random.randint(0, 7))
    if random.random() < 0.5:
        kinds.append(random.choice(FATAL))
    return RandomFaults(random, tuple(kinds), sleep)

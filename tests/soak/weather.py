# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong in a run: some kinds of faults, as often as dice say, and what messages may blame for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

ENDPOINT = "https://aws.test"


class Killed(BaseException):
    """The process died; no code of ours may catch it."""


class Said(Exception):
    """AWS answers this error instead."""

    def __init__(self, code: str, status: int = 400, message: str = "as the weather has it") -> None:
        super().__init__(code)
        self.code, self.status, self.message = code, status, message


@dataclass(frozen=True)
class Ask:
    """A request on its way: which service and operation, whether it writes, its place in the run."""

    service: str
    operation: str
    is_write: bool
    place: int
    #: It asks whether a bucket exists that does not: AWS says so to everybody.
    is_free: bool = False

    @property
    def is_s3(self) -> bool:
        return self.service == "s3"


@dataclass
class Weather:
    """The faults of one run. `before` is asked ahead of each call's effect, `after` behind it."""

    random: Random
    kinds: tuple[str, ...]
    sleep: Callable[[float], None]
    hits: Counter[str] = field(default_factory=Counter)
    #: How many more transient faults there are: a storm ends.
    left: int = 40

    def __post_init__(self) -> None:
        self.rate = self.random.choice([0.03, 0.1, 0.3])
        self.fatal_place = self.random.randint(1, 30)
        self.denied_turn = self.random.randint(1, 12)
        self._denied: str | None = None
        self._seen = 0

    def before(self, ask: Ask) -> None:
        for kind in self.kinds:
            if kind in BEFORE:
                BEFORE[kind](self, ask)

    def after(self, ask: Ask) -> None:
        for kind in self.kinds:
            if kind in AFTER:
                AFTER[kind](self, ask)

    def strikes(self, kind: str) -> bool:
        """Whether a transient fault happens now."""
        hit = self.left > 0 and self.random.random() < self.rate
        self.left -= hit
        self.hits[kind] += hit
        return hit

    def some(self, kind: str, most: int) -> int:
        """How many rounds a lasting fault takes, where it is in the air."""
        rounds = self.random.randint(0, most) if kind in self.kinds else 0
        self.hits[kind] += bool(rounds)
        return rounds

    def denies(self, kind: str, ask: Ask) -> bool:
        """Permission is missing for one operation, whichever comes at its turn, from then on."""
        if self._denied is None:
            self._seen += 1
            self._denied = ask.operation if self._seen == self.denied_turn else None
        hit = self._denied == ask.operation
        self.hits[kind] += hit
        return hit


def _throttled(weather: Weather, ask: Ask) -> None:
    if ask.service != "sts" and weather.strikes("throttled"):
        of_items = "ProvisionedThroughputExceededException" if ask.operation == "scan" else "ThrottlingException"
        raise Said("SlowDown", 503, "Please reduce your request rate.") if ask.is_s3 else Said(of_items)


def _broken(weather: Weather, ask: Ask) -> None:
    if weather.strikes("server error"):
        server, busy = ("InternalError", "ServiceUnavailable") if ask.is_s3 else ("InternalServerError",) * 2
        raise weather.random.choice([Said(server, 500), Said(busy, 503 if ask.is_s3 else 500)])


def _aborted(weather: Weather, ask: Ask) -> None:
    if ask.is_s3 and ask.is_write and weather.strikes("conflict"):
        raise Said("OperationAborted", 409, "A conflicting conditional operation is currently in progress")


def _reset(weather: Weather, ask: Ask) -> None:
    if weather.strikes("reset"):
        raise ConnectionClosedError(endpoint_url=ENDPOINT)


def _unheard(weather: Weather, ask: Ask) -> None:
    if ask.is_write and weather.strikes("lost reply"):
        raise ConnectionClosedError(endpoint_url=ENDPOINT)


def _slow(weather: Weather, ask: Ask) -> None:
    if weather.strikes("delay"):
        weather.sleep(weather.random.uniform(1, 10))


def _timed_out(weather: Weather, ask: Ask) -> None:
    if weather.strikes("timeout"):
        weather.sleep(30)
        raise ReadTimeoutError(endpoint_url=ENDPOINT)


def _gone(weather: Weather, ask: Ask) -> None:
    if ask.place >= weather.fatal_place:
        weather.hits["outage"] += 1
        weather.sleep(10)
        raise EndpointConnectionError(endpoint_url=ENDPOINT)


def _expired(weather: Weather, ask: Ask) -> None:
    if ask.place >= weather.fatal_place:
        weather.hits["expired"] += 1
        raise Said("ExpiredToken" if ask.service in ("s3", "sts") else "ExpiredTokenException")


def _killed(weather: Weather, ask: Ask) -> None:
    if ask.place == weather.fatal_place:
        weather.hits["kill"] += 1
        raise Killed


def _read_denied(weather: Weather, ask: Ask) -> None:
    if not ask.is_write and not ask.is_free and ask.service != "sts" and weather.denies("denied read", ask):
        raise _denial(ask)


def _write_denied(weather: Weather, ask: Ask) -> None:
    if ask.is_write and weather.denies("denied write", ask):
        raise _denial(ask)


def _denial(ask: Ask) -> Said:
    return Said("AccessDenied", 403) if ask.is_s3 else Said("AccessDeniedException")


def _limited(weather: Weather, ask: Ask) -> None:
    if ask.operation == "update_table":
        weather.hits["quota"] += 1
        raise Said("LimitExceededException", 400, "Subscriber limit exceeded: try again after midnight")


Strike = Callable[[Weather, Ask], None]
#: Ahead of the call's effect.
BEFORE: dict[str, Strike] = {
    "throttled": _throttled,
    "server error": _broken,
    "conflict": _aborted,
    "reset": _reset,
    "delay": _slow,
    "outage": _gone,
    "expired": _expired,
    "denied read": _read_denied,
    "denied write": _write_denied,
    "quota": _limited,
}
#: Behind it: done, and nobody hears of it.
AFTER: dict[str, Strike] = {"lost reply": _unheard, "timeout": _timed_out, "kill": _killed}
#: What the world itself does, slower than one thinks.
SLOW = ("invisible", "stale", "creating", "updating", "deleting", "backups later", "tag lock")
#: Kinds that end a run, of which there is at most one in it.
FATAL = ("kill", "outage", "expired", "denied read", "denied write", "quota")
TRANSIENT = tuple(kind for kind in (*BEFORE, *AFTER, *SLOW) if kind not in FATAL)

#: What a message has to say of each kind that may end a run. Two kinds of bad luck in a row may look like another.
BLAMES: dict[str, tuple[str, ...]] = {
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


def forecast(random: Random, sleep: Callable[[float], None]) -> Weather:
    """The weather of a run: some transient kinds, and now and then a fatal one."""
    kinds = random.sample(TRANSIENT, random.randint(0, 7))
    if random.random() < 0.5:
        kinds.append(random.choice(FATAL))
    return Weather(random, tuple(kinds), sleep)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An HTTP relay in front of an emulator: it logs every request by its AWS name, and answers as a scenario says.

    with Relay(emulator.url) as relay:
        relay.on("PutBucketPolicy", times=2, reply=error("OperationAborted", 409))
        relay.on("GetBucketPolicy", after="PutBucketPolicy", times=3, reply=stale)
        relay.on("PutObject", nth=2, reply=lose_reply)
        relay.on("*", nth=7, reply=then(lambda call: process.kill()))
        ...
        assert relay.writes == []

A reply is a function of the call and of `proceed`, which gets the answer of whatever lies behind: the next rule that
matches, then the lasting behaviours (`use`), then the emulator. Requests travel unchanged, Host and signature included,
each over a new connection; objects are streamed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from tests.support.aws_wire import Operation, error_answer, known_operations, recognise
from tests.support.http_relay import Answer, Body, HangUp, Request, Server, forward

_STREAMED = ("PutObject", "UploadPart")


@dataclass
class Call:
    """One request. `status` stays None when it was never answered."""

    number: int
    operation: Operation
    request: Request
    status: int | None = None

    @property
    def service(self) -> str:
        return self.operation.service

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def region(self) -> str:
        return self.operation.region

    @property
    def resource(self) -> str:
        return self.operation.resource

    @property
    def body(self) -> bytes:
        """What the client sent; an object's content only for a reply that asks before it proceeds."""
        return self.request.body.read()

    @property
    def params(self) -> Any:
        return self.operation.params

    @property
    def is_write(self) -> bool:
        return self.operation.is_write

    def __repr__(self) -> str:
        return f"<{self.number} {self.service} {self.name} {self.resource} -> {self.status}>"


Proceed = Callable[[], Answer]
Reply = Callable[[Call, Proceed], Answer]


def error(code: str, status: int = 400, message: str = "as scripted", headers: dict[str, str] | None = None) -> Reply:
    """Refuse, in the words of the call's own protocol; the emulator never hears of it."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        status_, standard, body = error_answer(call.operation, call.request.method, code, status, message)
        return Answer(status_, standard | (headers or {}), Body((body,)))

    return reply


def delay(seconds: float) -> Reply:
    def reply(call: Call, proceed: Proceed) -> Answer:
        time.sleep(seconds)
        return proceed()

    return reply


def then(hook: Callable[[Call], object]) -> Reply:
    """Run a hook once the call has had its effect, before the client hears of it."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        answer.body.read()
        hook(call)
        return answer

    return reply


def lose_reply(call: Call, proceed: Proceed) -> Answer:
    """Carry the call out, and hang up instead of answering."""
    proceed().body.read()
    raise HangUp


def reset_connection(call: Call, proceed: Proceed) -> Answer:
    """Break the connection; the emulator never hears of the call."""
    raise HangUp(reset=True)


def stale(call: Call, proceed: Proceed) -> Answer:
    """Answer what the same request was last answered in earnest. `Relay` supplies the memory."""
    return proceed()


@dataclass
class Rule:
    """From the `nth` matching call, `times` times; with `after`, counted anew from each such call on the resource."""

    operation: str
    reply: Reply
    nth: int = 1
    times: float = 1
    after: str | None = None
    resource: str | None = None
    fired: int = 0
    _seen: dict[str, int] = field(default_factory=dict)

    def matches(self, call: Call) -> bool:
        return fnmatchcase(call.name, self.operation) and self.resource in (None, call.resource)

    def is_due(self, call: Call) -> bool:
        scope = call.resource if self.after else ""
        if self.after and fnmatchcase(call.name, self.after):
            self._seen[scope] = 0
        if not self.matches(call) or (self.after and scope not in self._seen):
            return False
        self._seen[scope] = self._seen.get(scope, 0) + 1
        due = self.nth <= self._seen[scope] < self.nth + self.times
        self.fired += due
        return due


class Relay:
    """Listens on 127.0.0.1 while its `with` block lasts; raises at its end what a hook or behaviour raised."""

    def __init__(self, upstream: str) -> None:
        where = urlsplit(upstream)
        self._upstream = (where.hostname or "127.0.0.1", where.port or 80)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._behaviours: list[Reply] = []
        self._last_answers: dict[tuple[str, str, bytes], Answer] = {}
        self.calls: list[Call] = []
        self._server = Server(self._answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Relay:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        for failure in self._server.failures:
            raise failure

    def on(
        self,
        operation: str,
        *,
        reply: Reply,
        nth: int = 1,
        times: float = 1,
        after: str | None = None,
        resource: str | None = None,
    ) -> Rule:
        """Add a rule: `operation` and `after` are names or patterns; `times` may be math.inf."""
        for pattern in filter(None, (operation, after)):
            if not any(fnmatchcase(name, pattern) for name in known_operations()):
                raise ValueError(f"{pattern} matches no operation that AWS knows")
        rule = Rule(operation, reply, nth, times, after, resource)
        self._rules.append(rule)
        return rule

    def use(self, *behaviours: Reply) -> None:
        """Add lasting behaviours, the outermost first, behind all rules."""
        self._behaviours.extend(behaviours)

    def use_first(self, *behaviours: Reply) -> None:
        """Add lasting behaviours in front of those that are there."""
        self._behaviours[:0] = behaviours

    def drop_first(self) -> None:
        """End the outermost lasting behaviour."""
        del self._behaviours[0]

    def kill_after(self, k: int, callback: Callable[[Call], object]) -> Rule:
        """Call back once the k-th call, of any kind, has had its effect, whichever rule gave it that."""
        rule = self.on("*", nth=k, reply=then(callback))
        self._rules.insert(0, self._rules.pop())
        return rule

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    @property
    def operations(self) -> list[str]:
        return [call.name for call in self.calls]

    @property
    def unfired(self) -> list[Rule]:
        """Rules that never had their moment: a scenario that did not happen proves nothing."""
        return [rule for rule in self._rules if not rule.fired]

    def _answer(self, request: Request) -> Answer:
        operation = recognise(request.method, request.target, request.headers, request.body.read)
        if operation.name not in _STREAMED:
            request.body.read()
        call = Call(0, operation, request)
        answer = self._proceed(call, self._due(call))()
        call.status = answer.status
        return answer

    def _due(self, call: Call) -> list[Reply]:
        """The replies to a call, the outermost first. From now on it is one of the calls."""
        with self._lock:
            call.number = len(self.calls) + 1
            self.calls.append(call)
            due = [rule.reply for rule in self._rules if rule.is_due(call)]
            is_remembered = any(rule.reply is stale and rule.matches(call) for rule in self._rules)
        replies = [*due, self._in_earnest, *self._behaviours] if is_remembered else [*due, *self._behaviours]
        return [self._replay if reply is stale else reply for reply in replies]

    def _proceed(self, call: Call, replies: list[Reply]) -> Proceed:
        if not replies:
            return lambda: self._forward(call)
        return lambda: replies[0](call, self._proceed(call, replies[1:]))

    def _forward(self, call: Call) -> Answer:
        return forward(self._upstream, call.request)

    def _replay(self, call: Call, proceed: Proceed) -> Answer:
        return self._last_answers.get((call.name, call.request.target, call.body)) or proceed()

    def _in_earnest(self, call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        answer.body.read()
        self._last_answers[call.name, call.request.target, call.body] = answer
        return answer

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong with AWS, as replies for a relay."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from tests.support.aws_access import denials
from tests.support.http_relay import Answer, Body, HangUp
from tests.support.relay import Call, Proceed, Relay, Reply, error


def answering(content: Any) -> Reply:
    """Answer JSON; the emulator never hears of it."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        return Answer(200, {"content-type": "application/x-amz-json-1.1"}, Body((json.dumps(content).encode(),)))

    return reply


def scale(relay: Relay, *targets: str) -> None:
    """Say that autoscaling looks after these tables; an emulator that knows the service says less."""
    found = [{"ResourceId": f"table/{target}", "ServiceNamespace": "dynamodb"} for target in targets]
    relay.on("DescribeScalableTargets", reply=answering({"ScalableTargets": found}), times=math.inf)


def deny(relay: Relay, *operations: str) -> None:
    relay.use_first(denials(*operations))


def in_region(region: str) -> Reply:
    """HeadBucket found it, but over there."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        return Answer(answer.status, answer.headers | {"x-amz-bucket-region": region}, answer.body)

    return reply


def overtaken(code: str, status: int) -> Reply:
    """Somebody else is faster: the thing exists now, and the call fails for it."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        proceed().body.read()
        return error(code, status)(call, proceed)

    return reply


class Outage:
    """From the k-th write on nothing gets through: to AWS it looks as if the process had been killed."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if self.left <= 0:
            raise HangUp(reset=True)
        self.left -= call.is_write
        return proceed()


class LostReply:
    """The k-th write has its effect, but nobody hears of it."""

    def __init__(self, place: int) -> None:
        self.left = place

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        self.left -= call.is_write
        answer = proceed()
        if call.is_write and self.left == 0:
            answer.body.read()
            raise HangUp
        return answer


class Watch:
    """Looks after every write whether `harm` can be seen."""

    def __init__(self, harm: Callable[[], str | None]) -> None:
        self.harm = harm
        self.seen: list[str] = []

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        answer.body.read()
        harm = self.harm() if call.is_write else None
        if harm:
            self.seen.append(f"after {call.name}: {harm}")
        return answer

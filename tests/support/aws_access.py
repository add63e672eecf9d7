# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom AWS lets in, where, and how much at once: lasting behaviours by name, which go together like `aws_behaviours`.

relay.use(credentials_have_expired)
relay.use(denials("GetBucketPolicy", resource="tf-state"), not_enabled("af-south-1"), SlowsDown(2, of=3))
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from tests.support.aws_behaviours import setting
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Reply, error

#: What S3, STS and everybody else call the same trouble.
WORDS = {
    "denied": (("AccessDenied", 403), ("AccessDenied", 403), ("AccessDeniedException", 400)),
    "expired": (("ExpiredToken", 400), ("ExpiredToken", 403), ("ExpiredTokenException", 400)),
    "skewed": (("RequestTimeTooSkewed", 403), ("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 400)),
    "unknown": (("InvalidAccessKeyId", 403), ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 400)),
    "an unknown token": (("InvalidToken", 400), ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 400)),
    "too much": (("SlowDown", 503), ("Throttling", 400), ("ThrottlingException", 400)),
}
TOKEN_HEADER = "x-amz-security-token"


def saying(what: str, message: str = "as scripted", headers: dict[str, str] | None = None) -> Reply:
    """Refuse in the words of the service that is asked; HeadBucket has none but the number."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        code, status = WORDS[what][{"s3": 0, "sts": 1}.get(call.service, 2)]
        status = 400 if what == "expired" and call.name == "HeadBucket" else status
        return error(code, status, message, headers)(call, proceed)

    return reply


denied = saying("denied")
credentials_have_expired = saying("expired")


def denials(*operations: str, resource: str | None = None) -> Reply:
    """A service control policy that denies single operations, on everything or on one resource."""
    refuse = saying("denied", "with an explicit deny in a service control policy")

    def reply(call: Call, proceed: Proceed) -> Answer:
        is_meant = call.name in operations and resource in (None, call.resource)
        return refuse(call, proceed) if is_meant else proceed()

    return reply


def clock_is_off(hours: float) -> Reply:
    """The clock of AWS is so far ahead of ours, which it says with each refusal."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        theirs = datetime.now(timezone.utc) + timedelta(hours=hours)
        return saying("skewed", headers={"date": format_datetime(theirs, usegmt=True)})(call, proceed)

    return reply


def not_enabled(*regions: str) -> Reply:
    """Regions that the account did not opt into: good credentials are not known there."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        return saying("unknown")(call, proceed) if call.region in regions else proceed()

    return reply


def global_tokens_are_unknown_in(*regions: str) -> Reply:
    """Session tokens of the global STS endpoint (version 1) are not known in regions that have to be enabled."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        is_meant = call.region in regions and TOKEN_HEADER in call.request.headers
        return saying("an unknown token")(call, proceed) if is_meant else proceed()

    return reply


@dataclass
class SlowsDown:
    """So many of each `of` calls are too much, whoever asks."""

    times: int
    of: int
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        with self.lock:
            self.seen += 1
            is_too_much = (self.seen - 1) % self.of < self.times
        return saying("too much")(call, proceed) if is_too_much else proceed()


@dataclass
class ConcurrentPutsConflict:
    """While one setting of a bucket is being written, no other is. The first write takes until another one comes."""

    longest_s: float = 5
    met: threading.Event = field(default_factory=threading.Event)
    under_way: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if not (call.is_write and setting(call)):
            return proceed()
        with self.lock:
            is_first = not self.under_way[call.resource]
            self.under_way[call.resource] += is_first
        if not is_first:
            self.met.set()
            return error("OperationAborted", 409, "A conflicting conditional operation is in progress")(call, proceed)
        try:
            self.met.wait(self.longest_s)
            answer = proceed()
            answer.body.read()
            return answer
        finally:
            self.under_way[call.resource] -= 1


@dataclass(frozen=True)
class BucketsLieIn:
    """Who asks for a bucket in another region is sent where it lies, as S3 does it: 301, 307, or 400 to a signature."""

    region: str
    status: int = 301
    #: All buckets, or this one alone.
    resource: str | None = None

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        is_meant = call.service == "s3" and call.resource and self.resource in (None, call.resource)
        if not is_meant or call.name == "CreateBucket":
            return proceed()
        here = {"x-amz-bucket-region": self.region}
        if call.region == self.region:
            answer = proceed()
            return Answer(answer.status, answer.headers | here, answer.body)
        code = {301: "PermanentRedirect", 307: "TemporaryRedirect", 400: "AuthorizationHeaderMalformed"}[self.status]
        return error(code, self.status, headers=here)(call, proceed)

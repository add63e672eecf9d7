# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes over the wire: every request counted and timed, and each made as slow as a far region."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmark.wanted import BLOCKED
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed


@dataclass(frozen=True)
class Exchange:
    """One request with its answer. Credentials and region together name a backend, whatever the request is about."""

    operation: str
    is_write: bool
    backend: tuple[str, str]
    start: float
    end: float


class Wire:
    """The outermost behaviour of a relay."""

    def __init__(self) -> None:
        self._here = threading.local()
        self.reset(0)

    def reset(self, latency_ms: float) -> None:
        self.latency_s = latency_ms / 1000
        self.connections = 0
        self.exchanges: list[Exchange] = []

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        # The relay serves each connection by a thread of its own.
        if not hasattr(self._here, "known"):
            self._here.known = True
            self.connections += 1
        start = time.monotonic()
        time.sleep(self.latency_s)
        answer = proceed()
        answer.body.read()
        backend = (call.operation.access_key, call.region)
        operation = f"{call.service}:{call.name}"
        self.exchanges.append(Exchange(operation, call.is_write, backend, start, time.monotonic()))
        return answer

    def counts(self) -> dict[str, Any]:
        backends = defaultdict(list)
        for each in self.exchanges:
            if each.operation != "sts:AssumeRole":  # what a role gives is used by many backends
                backends[each.backend].append((each.start, each.end))
        depths = [depth(spans) for spans in backends.values()] or [0]
        operations = Counter(each.operation for each in self.exchanges)
        return {
            "requests": len(self.exchanges),
            "writes": sum(each.is_write for each in self.exchanges),
            "depth": median(depths),
            "depth_of_the_deepest": max(depths),
            "connections": self.connections,
            "assume_role": operations["sts:AssumeRole"],
            "operations": dict(operations.most_common()),
        }


class NewBuckets:
    """They block public access, as they do on AWS; the emulator leaves that to whoever creates them."""

    def __init__(self, emulator: RunningEmulator, accounts: Mapping[str, str]) -> None:
        self._emulator, self._accounts = emulator, accounts

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        if call.name == "CreateBucket" and answer.status == 200:
            # Not as the caller: the emulator knows the account of a role that was assumed, we know that of the bucket.
            s3 = self._emulator.client("s3", access_key=self._accounts[call.resource])
            s3.put_public_access_block(Bucket=call.resource, PublicAccessBlockConfiguration=BLOCKED)
        return answer


def depth(spans: Iterable[tuple[float, float]]) -> int:
    """How many round trips lie in sequence: the largest number of spans of which no two overlap."""
    count, free_at = 0, 0.0
    for start, end in sorted(spans, key=lambda span: span[1]):
        if start >= free_at:
            count, free_at = count + 1, end
    return count

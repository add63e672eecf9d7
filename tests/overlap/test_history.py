# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What counts as a fault: calls that were made up, and what the replay says of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.overlap.client import Site
from tests.overlap.history import TEARING_DOWN, Replay, State, Version

PATH, LINEAGE = "a.tfstate", "lineage"
SITE = Site("states", "locks")
ANN, BEN, RUN, OTHER = "client-ann", "client-ben", "run-1", "run-2"
MODES = {ANN: "both", BEN: "dynamodb"}


class Calls:
    """Calls as the recorder writes them down."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def call(self, who: str, op: str, **told: Any) -> dict[str, Any]:
        number = next(self._numbers)
        return {"n": number, "t": float(number), "who": who, "op": op, "status": 200, **told}

    def lock(self, who: str, store: str = "both", id: str = "", operation: str = "work") -> Iterator[dict[str, Any]]:
        about = {"lock": id or who, "operation": operation}
        if store != "table":
            yield self.call(who, "PutObject", bucket="states", key=f"{PATH}.tflock", version="l", etag="", **about)
        if store != "file":
            yield self.call(who, "PutItem", table="locks", item=f"states/{PATH}", **about)

    def unlock(self, who: str, store: str = "both") -> Iterator[dict[str, Any]]:
        if store != "table":
            yield self.call(who, "DeleteObject", bucket="states", key=f"{PATH}.tflock", version="m")
        if store != "file":
            yield self.call(who, "DeleteItem", table="locks", item=f"states/{PATH}")

    def read(self, who: str, version: str) -> dict[str, Any]:
        return self.call(who, "GetObject", bucket="states", key=PATH, version=version)

    def write(self, who: str, serial: int, lineage: str = LINEAGE, body: str = "") -> Iterator[dict[str, Any]]:
        told = {"version": f"v{serial}", "etag": body or f"body {serial}", "serial": serial, "lineage": lineage}
        yield self.call(who, "PutObject", bucket="states", key=PATH, **told)
        yield self.call(who, "PutItem", table="locks", item=f"states/{PATH}-md5", digest=told["etag"])

    def apply(self, who: str, serial: int) -> Iterator[dict[str, Any]]:
        store = "table" if who == BEN else "both"
        yield from self.lock(who, store)
        yield self.read(who, f"v{serial - 1}")
        yield from self.write(who, serial)
        yield from self.unlock(who, store)


def kinds(*lines: Any, wanted: list[str | None] | None = None) -> set[str]:
    """The kinds of faults in these calls; a state of serial 1 is there, unless it is to be restored."""
    state = State(PATH, LINEAGE, wanted)
    if wanted is None:
        state.stack = [Version("v1", "body 1", "setup", 1, LINEAGE)]
        state.digest = "body 1"
    replay = Replay(SITE, {PATH: state}, MODES, lambda who, moment: True)
    for each in lines:
        for line in [each] if isinstance(each, dict) else each:
            replay.take(line)
    return {fault.kind for fault in replay.faults}


C = Calls()
BEHIND_A_DENIAL = (
    C.call(RUN, "PutResourcePolicy", table="locks", denies=True),
    [*C.lock(ANN), C.read(ANN, "v1"), next(C.write(ANN, 2)), *C.unlock(ANN)],
)
FAULTS = {
    "as it should be": ([C.apply(ANN, 2), C.apply(BEN, 3), C.lock(RUN), C.write(RUN, 4), C.unlock(RUN)], set()),
    "no lock": ([C.read(ANN, "v1"), C.write(ANN, 2)], {"two holders", "wrong digest"}),
    "stolen": ([C.lock(ANN), C.unlock(RUN), C.read(ANN, "v1"), C.write(ANN, 2)], {"two holders", "wrong digest"}),
    "half stolen": ([C.lock(ANN), C.unlock(RUN, "file"), C.read(ANN, "v1"), C.write(ANN, 2)], {"two holders"}),
    "another run's": ([C.lock(RUN), C.write(OTHER, 2)], {"two holders"}),
    "another teardown's": (
        [C.lock(RUN, operation=TEARING_DOWN), C.call(OTHER, "DeleteObject", bucket="states", key=PATH, version="m")],
        {"two holders", "buried"},
    ),
    "another teardown's, which closed the bucket": (
        [
            C.lock(RUN, operation=TEARING_DOWN),
            C.call(RUN, "PutBucketPolicy", bucket="states", closes=True),
            C.call(OTHER, "DeleteObject", bucket="states", key=PATH, version="m"),
        ],
        {"buried"},
    ),
    "taken over from who is at work": ([C.lock(RUN), C.lock(OTHER)], {"two holders"}),
    "buried": ([C.apply(ANN, 2), C.apply(ANN, 3), C.lock(RUN), C.write(RUN, 2)], {"buried"}),
    "deleted": (
        [C.lock(RUN), C.call(RUN, "DeleteObject", bucket="states", key=PATH, version="m")],
        {"buried"},
    ),
    "stale": ([C.lock(ANN), C.read(ANN, "v0"), C.write(ANN, 2)], {"stale"}),
    "made anew": ([C.lock(ANN), C.read(ANN, "v1"), C.write(ANN, 1, "another", "body")], {"made anew"}),
    "twice": ([C.lock(RUN), C.write(RUN, 2), C.write(RUN, 3, body="body 2")], {"twice"}),
    "no digest in step": (
        [C.lock(RUN), next(C.write(RUN, 2)), C.unlock(RUN)],
        {"wrong digest"},
    ),
    "digests that nobody may read": ([*BEHIND_A_DENIAL], set()),
    "digests that may be read again": (
        [*BEHIND_A_DENIAL, C.call(RUN, "DeleteResourcePolicy", table="locks")],
        {"wrong digest"},
    ),
    "refused calls": ([C.call(RUN, "PutObject", bucket="states", key=PATH, status=412)], set()),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_seen_and_nothing_else(name: str):
    lines, expected = FAULTS[name]
    assert kinds(*lines) == expected


def test_a_history_that_is_restored_comes_in_order():
    wanted = ["body 1", "body 2", None]
    delete = C.call(RUN, "DeleteObject", bucket="states", key=PATH, version="m")
    assert kinds(C.lock(RUN), C.write(RUN, 1), C.write(RUN, 2), delete, wanted=wanted) == set()
    assert kinds(C.lock(RUN), C.write(RUN, 2), wanted=wanted) == {"out of order"}
    assert kinds(C.lock(RUN), C.write(RUN, 1), C.write(RUN, 2), C.write(RUN, 3), wanted=wanted) == {"out of order"}

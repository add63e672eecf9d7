# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The items of a lock table: read before it is deleted."""

from __future__ import annotations

from collections.abc import Iterator

from .._core.model import Call, Change, IamActions, Params, Refusal, Response, Target, Value
from .._core.refusals import held

NAME = "contents"
OPTIONS: dict[str, dict[str, object]] = {}
ABSENT: Value = {"locks": [], "digests": []}
NOT_FOUND: set[str] = set()
IAM_ACTIONS = IamActions(read=("dynamodb:Scan",))


def read(target: Target) -> Call:
    # Digest tells digests from locks. A lock's Info, which names people and machines, is not read.
    asked = {"ProjectionExpression": "LockID, Digest", "ConsistentRead": True}
    return Call("dynamodb", "scan", {"TableName": target.name, **asked}, paged=True)


def normalise(response: Response, target: Target) -> Value:
    items = response.get("Items", [])
    return {
        "locks": sorted(_lock_id(each) for each in items if "Digest" not in each),
        "digests": sorted(_lock_id(each) for each in items if "Digest" in each),
    }


def _lock_id(item: Response) -> str:
    """The table may not be a lock table; then the guard refuses, after this was read."""
    return str(item.get("LockID", {}).get("S", "?"))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()  # they go with the table


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    digests, locks = len(change.before["digests"]), change.before["locks"]
    reason = f"table {target.name} holds the digests of {digests} states and {len(locks)} locks, which would be lost"
    yield Refusal(reason, "delete_state")
    if locks:
        yield held(locks)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time to live: read before a change, as a lock table must have none; never written."""

from __future__ import annotations

from .._core.model import Call, FindingKind, IamActions, Params, Response, Target, Value

NAME = "time_to_live"
OPTIONS: dict[str, dict[str, object]] = {}
#: Without options it is never managed, so that a run goes on if it cannot be read.
OPT_IN = True
ABSENT: Value = None
NOT_FOUND: set[str] = set()
IAM_ACTIONS = IamActions(read=("dynamodb:DescribeTimeToLive",))
FINDING = FindingKind(
    "high",
    "The lock table forgets",
    "Locks and digests vanish when their time is over, while somebody applies.",
)


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_time_to_live", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    described = response.get("TimeToLiveDescription", {})
    on = described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return described.get("AttributeName") if on else ABSENT


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()

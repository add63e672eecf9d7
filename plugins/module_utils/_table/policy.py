# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy of the table itself: read for an audit. What a step of the lock mode writes is in `_lock_mode`."""

from __future__ import annotations

import json

from .._core.model import NOT_IMPLEMENTED, Call, IamActions, Params, Response, Target, Value
from .._policy.document import meaning, statements_of

NAME = "policy"
OPTIONS: dict[str, dict[str, object]] = {}
OPT_IN = True
ABSENT: Value = []
#: A service that does not know policies of tables has none.
NOT_FOUND = {"PolicyNotFoundException", "UnknownOperationException", "InvalidAction", *NOT_IMPLEMENTED}
IAM_ACTIONS = IamActions(read=("dynamodb:GetResourcePolicy",))


def read(target: Target) -> Call:
    return Call("dynamodb", "get_resource_policy", {"ResourceArn": target.arn})


def normalise(response: Response, target: Target) -> Value:
    found = statements_of(json.loads(response["Policy"]), target.partition)
    return sorted(found, key=lambda each: (str(each.get("Sid") or ""), meaning(each)))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()

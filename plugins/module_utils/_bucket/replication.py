# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where S3 copies new objects to: read for an audit, never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.model import NOT_IMPLEMENTED, Call, FindingKind, IamActions, Params, Response, Target, Value

NAME = "replication"
OPTIONS: dict[str, dict[str, object]] = {}
OPT_IN = True
ABSENT: Value = []
#: A store that does not know replication has none.
NOT_FOUND = {"ReplicationConfigurationNotFoundError", *NOT_IMPLEMENTED}
IAM_ACTIONS = IamActions(read=("s3:GetReplicationConfiguration",))
FINDING = FindingKind(
    "high",
    "States are copied to another account",
    "S3 copies each new state there, with the secrets in it. Its owner decides who reads the copies.",
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_replication", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    rules = response["ReplicationConfiguration"]["Rules"]
    found = [_rule(each) for each in rules if each.get("Status") == "Enabled"]
    return sorted(found, key=lambda each: (each["bucket"], each["rule"]))


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    destination = rule["Destination"]
    return {
        "rule": str(rule.get("ID") or ""),
        "bucket": str(destination["Bucket"]).rpartition(":::")[2],
        # Only a rule that makes the other account the owner of the copies names it.
        "account": destination.get("Account"),
        "prefix": _prefix(rule),
    }


def _prefix(rule: Mapping[str, Any]) -> str:
    """Of a rule of the first version, or of its filter."""
    where = rule.get("Filter") or {}
    found = (rule.get("Prefix"), where.get("Prefix"), (where.get("And") or {}).get("Prefix"))
    return next((str(each) for each in found if each), "")


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()

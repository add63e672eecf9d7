# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deletion protection: AWS itself refuses to delete the table."""

from __future__ import annotations

from .._core.model import Call, Params, Response, Target, Value

NAME = "deletion_protection"
OPTIONS = {"deletion_protection": {"type": "bool"}}
ABSENT = False
NOT_FOUND: set[str] = set()


def read(target: Target) -> Call:
    return Call("dynamodb", "describe_table", {"TableName": target.name})


def normalise(response: Response, target: Target) -> Value:
    return bool(response["Table"].get("DeletionProtectionEnabled"))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return params.get("deletion_protection") is not False


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return (Call("dynamodb", "update_table", {"TableName": target.name, **creation(after)}),)


def creation(after: Value) -> dict[str, object]:
    return {"DeletionProtectionEnabled": after}

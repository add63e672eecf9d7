# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versioning: what makes a lost or broken state recoverable."""

from __future__ import annotations

from .._core import Call, Params, Response, Target, Value

NAME = "versioning"
OPTIONS = {"versioning": {"type": "bool"}}
#: Never enabled; AWS has no way back to it.
ABSENT = "Disabled"
NOT_FOUND: set[str] = set()


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_versioning", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return response.get("Status") or ABSENT


def desired(params: Params, observed: Value, target: Target) -> Value:
    if params.get("versioning") is not False:
        return "Enabled"
    return ABSENT if observed == ABSENT else "Suspended"


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    status = {"Status": after}
    return (Call("s3", "put_bucket_versioning", {**target.bucket, "VersioningConfiguration": status}),)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""To whom the bucket's ACL grants something, besides its owner: read for an audit, never written."""

from __future__ import annotations

from .._core.model import NOT_IMPLEMENTED, Call, IamActions, Params, Response, Target, Value

NAME = "acl"
OPTIONS: dict[str, dict[str, object]] = {}
OPT_IN = True
ABSENT: Value = []
#: A store that does not know ACLs has none.
NOT_FOUND = {*NOT_IMPLEMENTED}
IAM_ACTIONS = IamActions(read=("s3:GetBucketAcl",))


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_acl", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    owner = response["Owner"]["ID"]
    granted = [(each["Grantee"], each.get("Permission")) for each in response.get("Grants") or ()]
    others = [
        {"grantee": str(who.get("URI") or who.get("ID") or who.get("EmailAddress") or "?"), "permission": str(what)}
        for who, what in granted
        if who.get("ID") != owner or who.get("URI")
    ]
    return sorted(others, key=lambda each: (each["grantee"], each["permission"]))


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who owns objects: with BucketOwnerEnforced no ACL can open the bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import (
    Answer,
    Call,
    Change,
    Failure,
    FindingKind,
    IamActions,
    Leave,
    Params,
    Probe,
    Refusal,
    Refuse,
    Response,
    Target,
    Value,
)
from .._core.provider import Block, ProviderArguments
from .acl_groups import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY

NAME = "ownership"
OPTIONS = {"object_ownership": {"choices": ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]}}
ABSENT = "ObjectWriter"
NEW = "BucketOwnerEnforced"
NOT_FOUND = {"OwnershipControlsNotFoundError"}
IAM_ACTIONS = IamActions(
    read=("s3:GetBucketOwnershipControls", "s3:GetBucketAcl"), write=("s3:PutBucketOwnershipControls",)
)
#: Everybody, and everybody who has an AWS account.
PUBLIC = {ALL_USERS, AUTHENTICATED_USERS}
#: What makes grants to them void.
IGNORED = ("public_access", "ignore_public_acls")
FINDING = FindingKind(
    "medium",
    "ACLs are in use",
    "Objects can belong to, or be opened to, other accounts where no policy says so.",
    ("S3.12", "CKV2_AWS_65"),
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_ownership_controls", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return response["OwnershipControls"]["Rules"][0]["ObjectOwnership"]


def desired(params: Params, observed: Value, target: Target) -> Value:
    return params.get("object_ownership") or "BucketOwnerEnforced"


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    controls = {"Rules": [{"ObjectOwnership": after}]}
    return (Call("s3", "put_bucket_ownership_controls", {**target.bucket, "OwnershipControls": controls}),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    if after == "BucketOwnerEnforced":  # AWS refuses it while the ACL grants anything to others
        yield Probe(Call("s3", "get_bucket_acl", target.bucket), _foreign_grants)


def _foreign_grants(answer: Answer) -> Refuse | Leave | None:
    if isinstance(answer, Failure):
        return Refuse(f"{answer}; it must be read before ACLs are switched off")
    owner = answer["Owner"]["ID"]
    grants = [each for each in answer.get("Grants", []) if each["Grantee"].get("ID") != owner]
    others = sorted({_name(each) for each in grants})
    if not others:
        return None
    granted = f"the bucket's ACL grants access to {', '.join(others)}"
    if {*others} <= PUBLIC:  # closed at once, without a change of the ACL
        return Leave(
            f"{granted}, which the public access block makes void. Reset the ACL to private, and run again", IGNORED
        )
    return Refuse(
        f"{granted}; turn those grants into policy statements ({'; '.join(sorted(map(_statement, grants)))}) and reset "
        "the ACL to private, or keep ACLs with object_ownership: BucketOwnerPreferred, which needs allow: [enable_acls]"
    )


#: What a permission of an ACL permits on a bucket, as actions of a policy.
_ACTIONS = {
    "READ": "s3:ListBucket, s3:ListBucketVersions",
    "WRITE": "s3:PutObject",
    "READ_ACP": "s3:GetBucketAcl",
    "WRITE_ACP": "s3:PutBucketAcl",
    "FULL_CONTROL": "s3:ListBucket, s3:ListBucketVersions, s3:PutObject",
}
#: Groups that ACLs name by a URI, and the principal of a statement for each.
_GROUPS = {
    LOG_DELIVERY: "{Service: logging.s3.amazonaws.com}",
    ALL_USERS: '"*", which is everybody: do not',
    AUTHENTICATED_USERS: '{AWS: "*"}, which is every AWS account: do not',
}


def _name(grant: Mapping[str, Any]) -> str:
    """Whom it lets in."""
    who = grant["Grantee"]
    return str(who.get("URI") or who.get("DisplayName") or who.get("ID", "?"))


def _statement(grant: Mapping[str, Any]) -> str:
    """What a policy says that lets in the same."""
    who = grant["Grantee"]
    principal = _GROUPS.get(str(who.get("URI"))) or f"{{CanonicalUser: {who.get('ID', '?')}}}"
    actions = _ACTIONS.get(str(grant.get("Permission")), "?")
    return f"Principal {principal}, Action [{actions}]"


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    if change.before == "BucketOwnerEnforced":
        yield Refusal(f"object_ownership {change.after} switches ACLs on again", "enable_acls")


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    rule = Block("rule", (), {"object_ownership": value})
    yield ProviderArguments("aws_s3_bucket_ownership_controls", {}, (rule,))

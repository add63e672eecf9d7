# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Our policy statements: the protections of the options and of the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._core.model import Params, Response, Target
from .analysis import Owner
from .document import OURS, Statement, canonical, tls_version

TLS, TLS_VERSION = f"{OURS}RequireTls", f"{OURS}MinimumTlsVersion"
KMS_ALGORITHM, KMS_KEY = f"{OURS}RequireKms", f"{OURS}RequireKmsKey"
ORGANIZATION, VPC_ENDPOINT = f"{OURS}OnlyOrganization", f"{OURS}OnlyVpcEndpoint"
#: The Sids of the statements that options of a bucket ask for.
BASELINE_SIDS = {TLS, TLS_VERSION, KMS_ALGORITHM, KMS_KEY, ORGANIZATION, VPC_ENDPOINT}
KMS_KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"
BASELINE_TLS_VERSION = "1.2"


def our_statements(params: Params, present: list[Statement], target: Target) -> Iterator[Statement]:
    everything = [bucket_arn(target), f"{bucket_arn(target)}/*"]
    objects = f"{bucket_arn(target)}/*"
    if params.get("require_tls") is not False:
        yield _deny(TLS, everything, {"Bool": {"aws:SecureTransport": "false"}})
        lowest = params.get("minimum_tls_version") or _tls_version(present)
        yield _deny(TLS_VERSION, everything, {"NumericLessThan": {"s3:TlsVersion": lowest}})
    if _requires_key(params, present):
        # An upload without these headers takes the bucket's default, which is right; only a wrong header is denied.
        algorithm, key = "s3:x-amz-server-side-encryption", KMS_KEY_HEADER
        right = {algorithm: ["aws:kms", "aws:kms:dsse"]}
        yield _deny(KMS_ALGORITHM, objects, {"Null": {algorithm: "false"}, "StringNotEquals": right}, "s3:PutObject")
        only = {key: target.key_arn(params["kms_key_id"])}
        yield _deny(KMS_KEY, objects, {"Null": {key: "false"}, "StringNotEquals": only}, "s3:PutObject")
    # Objects only: an administrator from elsewhere must still be able to fix the bucket policy.
    if params.get("allowed_organization_ids"):
        outside = {"aws:PrincipalOrgID": params["allowed_organization_ids"]}
        aws_itself = {"aws:PrincipalIsAWSService": "false"}
        yield _deny(ORGANIZATION, objects, {"StringNotEquals": outside, "Bool": aws_itself})
    if params.get("allowed_vpc_endpoint_ids"):
        outside = {"aws:SourceVpce": params["allowed_vpc_endpoint_ids"]}
        aws_itself = {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"}
        yield _deny(VPC_ENDPOINT, objects, {"StringNotEquals": outside, "Bool": aws_itself})


def _requires_key(params: Params, present: list[Statement]) -> bool:
    """As requested; by default, an existing statement is kept, with the requested key."""
    if params.get("require_kms_key") is None and any(each.get("Sid") == KMS_KEY for each in present):
        return bool(params.get("kms_key_id")) and not params["kms_key_id"].startswith("alias/aws/")
    return bool(params.get("require_kms_key"))


def switched_off(params: Params) -> set[str]:
    off = set()
    if params.get("require_tls") is False:
        off |= {TLS, TLS_VERSION}
    if params.get("require_kms_key") is False:
        off |= {KMS_ALGORITHM, KMS_KEY}
    if params.get("allowed_organization_ids") == []:
        off.add(ORGANIZATION)
    if params.get("allowed_vpc_endpoint_ids") == []:
        off.add(VPC_ENDPOINT)
    return off


def _deny(sid: str, resource: Any, condition: Any, action: str = "s3:*") -> Statement:
    written = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return canonical({**written, "Condition": condition}, "aws")


def _tls_version(present: list[Statement]) -> str:
    """The lowest version that the bucket takes today, so that no default lowers it, but at least the baseline."""
    today = [tls_version(each) for each in present if each.get("Sid") == TLS_VERSION]
    return max(version for version in [BASELINE_TLS_VERSION, *today] if version)


def is_own(statement: Statement, target: Target) -> bool:
    """Whether Sid and contents are ours: a foreign statement under a Sid of ours is not."""
    sid = str(statement.get("Sid") or "")
    if sid not in BASELINE_SIDS:  # of a move, a teardown or a lock mode, which say different things each time
        return sid.startswith(OURS)
    params = {
        "minimum_tls_version": tls_version(statement),
        "require_kms_key": True,
        "kms_key_id": "".join(_tested(statement, KMS_KEY_HEADER)),
        "allowed_organization_ids": _tested(statement, "aws:PrincipalOrgID"),
        "allowed_vpc_endpoint_ids": _tested(statement, "aws:SourceVpce"),
    }
    return statement in our_statements(params, [], target)


def owner_of(target: Target, statements: Iterable[Statement]) -> Owner:
    """Whose the bucket is. The organisations and endpoints of its owner are those that our own statements let in."""
    ours = {each["Sid"]: each for each in statements if each.get("Sid") in BASELINE_SIDS and is_own(each, target)}
    return Owner(
        account=target.owner or target.account_id,
        bucket_arn=bucket_arn(target),
        organizations=frozenset(_tested(ours.get(ORGANIZATION, {}), "aws:PrincipalOrgID")),
        vpc_endpoints=frozenset(_tested(ours.get(VPC_ENDPOINT, {}), "aws:SourceVpce")),
    )


def _tested(statement: Statement, key: str) -> list[str]:
    """The values of a key that a statement of ours leaves alone; it denies all others."""
    values: list[str] = statement.get("Condition", {}).get("StringNotEquals", {}).get(key, [])
    return values


def bucket_region(response: Response) -> str | None:
    """Where HeadBucket found a bucket; botocore before 1.36 leaves the answer in the headers."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region: str | None = response.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return region


def old_region(response: Response) -> str:
    """Where GetBucketLocation found it, which has other words for the oldest regions. Source: its API reference."""
    named = str(response.get("LocationConstraint") or "")
    return {"": "us-east-1", "EU": "eu-west-1"}.get(named, named)


def bucket_arn(target: Target) -> str:
    return f"arn:{target.partition}:s3:::{target.name}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy statements that are ours: which protections, as asked or by baseline, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._core import Params, Response, Target
from ._policy_document import OURS, Statement, canonical, tls_version

TLS, TLS_VERSION = f"{OURS}RequireTls", f"{OURS}MinimumTlsVersion"
KMS_ALGORITHM, KMS_KEY = f"{OURS}RequireKms", f"{OURS}RequireKmsKey"
ORGANIZATION, VPC_ENDPOINT = f"{OURS}OnlyOrganization", f"{OURS}OnlyVpcEndpoint"
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
        algorithm, key = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
        right = {algorithm: ["aws:kms", "aws:kms:dsse"]}
        yield _deny(KMS_ALGORITHM, objects, {"Null": {algorithm: "false"}, "StringNotEquals": right}, "s3:PutObject")
        only = {key: target.key_arn(params["kms_key_id"])}
        yield _deny(KMS_KEY, objects, {"Null": {key: "false"}, "StringNotEquals": only}, "s3:PutObject")
    # Objects only: whoever administers the bucket from elsewhere must still be able to mend its policy.
    if params.get("allowed_organization_ids"):
        outside = {"aws:PrincipalOrgID": params["allowed_organization_ids"]}
        aws_itself = {"aws:PrincipalIsAWSService": "false"}
        yield _deny(ORGANIZATION, objects, {"StringNotEquals": outside, "Bool": aws_itself})
    if params.get("allowed_vpc_endpoint_ids"):
        outside = {"aws:SourceVpce": params["allowed_vpc_endpoint_ids"]}
        aws_itself = {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"}
        yield _deny(VPC_ENDPOINT, objects, {"StringNotEquals": outside, "Bool": aws_itself})


def _requires_key(params: Params, present: list[Statement]) -> bool:
    """As asked; where nothing is asked, a statement that is there goes over to the key that is."""
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


def weakens(gone: Statement, after: list[Statement]) -> bool:
    """A statement of ours that comes back with a higher TLS version is stronger; another key has a word of its own."""
    successor = next((each for each in after if each.get("Sid") == gone.get("Sid")), None)
    if successor is None:
        return True
    if gone.get("Sid") == KMS_KEY:
        return False
    before, now = tls_version(gone), tls_version(successor)
    return before is not None and (now is None or now < before)


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

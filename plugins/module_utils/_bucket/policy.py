# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket policy: our protections and the operator's statements, merged into what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .._core import Call, Params, Response, Target, Value
from .._policy_document import (
    MAX_BYTES,
    OURS,
    VERSION,
    Statement,
    canonical,
    faults,
    meaning,
    merge,
    statements_of,
    tls_version,
)

NAME = "policy"
OPTIONS: dict[str, dict[str, object]] = {
    "require_tls": {"type": "bool"},
    "minimum_tls_version": {"choices": ["1.2", "1.3"]},
    "require_kms_key": {"type": "bool"},
    "allowed_organization_ids": {"type": "list", "elements": "str"},
    "allowed_vpc_endpoint_ids": {"type": "list", "elements": "str"},
    "policy_statements": {"type": "list", "elements": "dict"},
    "purge_policy_statements": {"type": "bool"},
}
ABSENT: Value = {"version": VERSION, "id": None, "statements": []}
NOT_FOUND = {"NoSuchBucketPolicy"}

TLS, TLS_VERSION = f"{OURS}RequireTls", f"{OURS}MinimumTlsVersion"
KMS_ALGORITHM, KMS_KEY = f"{OURS}RequireKms", f"{OURS}RequireKmsKey"
ORGANIZATION, VPC_ENDPOINT = f"{OURS}OnlyOrganization", f"{OURS}OnlyVpcEndpoint"
BASELINE_TLS_VERSION = "1.2"


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_policy", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    document = json.loads(response["Policy"])
    statements = statements_of(document, target.partition)
    return {
        "version": document.get("Version", "2008-10-17"),
        "id": document.get("Id"),
        "statements": sorted(statements, key=lambda each: (each.get("Sid", ""), meaning(each))),
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    present = observed["statements"]
    asked = [canonical(each, target.partition) for each in params.get("policy_statements") or []]
    wanted = [*_ours(params, present, target), *asked]
    dropped = _switched_off(params)
    kept = [] if params.get("purge_policy_statements") else [each for each in present if each.get("Sid") not in dropped]
    statements = merge(kept, wanted)
    if not statements:
        return ABSENT
    return {**observed, "statements": sorted(statements, key=lambda each: (each.get("Sid", ""), meaning(each)))}


def _ours(params: Params, present: list[Statement], target: Target) -> Iterator[Statement]:
    everything = [arn(target), f"{arn(target)}/*"]
    objects = f"{arn(target)}/*"
    if params.get("require_tls") is not False:
        yield _deny(TLS, everything, {"Bool": {"aws:SecureTransport": "false"}})
        lowest = params.get("minimum_tls_version") or _tls_version(present)
        yield _deny(TLS_VERSION, everything, {"NumericLessThan": {"s3:TlsVersion": lowest}})
    if params.get("require_kms_key"):
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


def _switched_off(params: Params) -> set[str]:
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


def arn(target: Target) -> str:
    return f"arn:{target.partition}:s3:::{target.name}"


def document(value: Value) -> str:
    out = {"Version": value["version"], "Statement": value["statements"]}
    return json.dumps({**out, "Id": value["id"]} if value["id"] else out)


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if not after["statements"]:
        return (Call("s3", "delete_bucket_policy", target.bucket),)
    return (Call("s3", "put_bucket_policy", {**target.bucket, "Policy": document(after)}),)


def asked_keys(params: Params) -> Iterator[str]:
    if params.get("require_kms_key") and params.get("kms_key_id"):
        yield params["kms_key_id"]


def problems(params: Params, target: Target) -> Iterator[str]:
    asked = params.get("policy_statements") or []
    for statement in asked:
        yield from faults(statement, arn(target))
    sids = [each.get("Sid") for each in asked]
    for sid in sorted({str(sid) for sid in sids if sids.count(sid) > 1 or str(sid).startswith(OURS)}):
        yield f"policy statement {sid!r}: the Sid is taken; choose another"
    if params.get("minimum_tls_version") and params.get("require_tls") is False:
        yield "minimum_tls_version needs require_tls"
    if params.get("require_kms_key") and not params.get("kms_key_id"):
        yield "require_kms_key needs kms_key_id"
    elif params.get("require_kms_key") and params["kms_key_id"].startswith("alias/aws/"):
        yield "require_kms_key needs a key of your own as kms_key_id: uploads name keys by ARN, not by alias"
    elif len(document({**ABSENT, "statements": [*_ours(params, [], target), *asked]})) > MAX_BYTES:
        yield f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes"

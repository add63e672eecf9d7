# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket policy: our protections and the operator's statements, merged into what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .._core.model import Call, Params, Response, Target, Value
from .._policy.baseline import bucket_arn, our_statements, switched_off
from .._policy.document import MAX_BYTES, OURS, VERSION, canonical, faults, meaning, merge, statements_of

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
    wanted = [*our_statements(params, present, target), *asked]
    dropped = switched_off(params)
    kept = [] if params.get("purge_policy_statements") else [each for each in present if each.get("Sid") not in dropped]
    statements = merge(kept, wanted)
    if not statements:
        return ABSENT
    return {**observed, "statements": sorted(statements, key=lambda each: (each.get("Sid", ""), meaning(each)))}


def document(value: Value) -> str:
    out = {"Version": value["version"], "Statement": value["statements"]}
    return json.dumps({**out, "Id": value["id"]} if value["id"] else out)


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if not after["statements"]:
        return (Call("s3", "delete_bucket_policy", target.bucket),)
    return (Call("s3", "put_bucket_policy", {**target.bucket, "Policy": document(after)}),)


def asked_keys(params: Params) -> Iterator[str]:
    key = params.get("kms_key_id")
    if key and params.get("require_kms_key") is not False and not key.startswith("alias/aws/"):
        yield key


def problems(params: Params, target: Target) -> Iterator[str]:
    asked = params.get("policy_statements") or []
    for statement in asked:
        yield from faults(statement, bucket_arn(target))
    sids = [each.get("Sid") for each in asked]
    for sid in sorted({str(sid) for sid in sids if sids.count(sid) > 1 or str(sid).startswith(OURS)}):
        yield f"policy statement {sid!r}: the Sid is taken; choose another"
    if params.get("minimum_tls_version") and params.get("require_tls") is False:
        yield "minimum_tls_version needs require_tls"
    if params.get("require_kms_key") and not params.get("kms_key_id"):
        yield "require_kms_key needs kms_key_id"
    elif params.get("require_kms_key") and params["kms_key_id"].startswith("alias/aws/"):
        yield "require_kms_key needs a key of your own as kms_key_id: uploads name keys by ARN, not by alias"
    elif len(document({**ABSENT, "statements": [*our_statements(params, [], target), *asked]})) > MAX_BYTES:
        yield f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes"

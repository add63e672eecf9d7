# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS's own defaults for new resources, in front of an emulator that lacks them.

    with Relay(emulator.url) as relay:
        relay.use(*aws_defaults(emulator))

Each behaviour is named in `emulators.AWS_BEHAVIOURS` and works only where the emulator lacks it: either the shim
writes to the emulator behind the scenes, or it remembers what was put and lays that over what is read. What was made
before the shim, or behind its back, keeps the emulator's answers, as an old bucket would.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from xml.sax.saxutils import unescape

from botocore.exceptions import ClientError

from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Reply

NEW_BUCKET_ENCRYPTION = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
    b"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    b"<BucketKeyEnabled>false</BucketKeyEnabled>"
    b"<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
    b"</Rule></ServerSideEncryptionConfiguration>"
)
_BLOCKED = re.compile(rb"<BlockedEncryptionTypes>.*?</BlockedEncryptionTypes>", re.DOTALL)
_AES256 = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
_ALL_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


@dataclass
class Shim:
    """What the shim remembers: documents by bucket, and differences of tables by region and name."""

    emulator: RunningEmulator
    encryption: dict[str, bytes] = field(default_factory=dict)
    lifecycle: dict[str, bytes] = field(default_factory=dict)
    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    recovery_days: dict[tuple[str, str], int] = field(default_factory=dict)

    def client(self, service: str, call: Call, region: str | None = None) -> Any:
        """As the caller's account: emulators take a key of digits for an account, and every other key for their own."""
        key = call.operation.access_key
        return self.emulator.client(service, region=region or call.region, access_key=key if key.isdigit() else "test")


def aws_defaults(emulator: RunningEmulator) -> list[Reply]:
    """The behaviours that this emulator needs, for `Relay.use`."""
    shim = Shim(emulator)
    needed = [behaviour for behaviour, names in BEHAVIOURS if any(map(emulator.lacks, names))]
    return [partial(behaviour, shim) for behaviour in needed]


def new_buckets(shim: Shim, call: Call, proceed: Proceed) -> Answer:
    if call.name != "CreateBucket":
        return proceed()
    constraint = re.search(rb"<LocationConstraint>(.+?)<", call.body)
    s3 = shim.client("s3", call, constraint.group(1).decode() if constraint else None)
    existed = _exists(s3, call.resource)
    answer = proceed()
    if answer.status == 200 and not existed:
        shim.encryption[call.resource] = NEW_BUCKET_ENCRYPTION
        for name, give in NEW_BUCKET_GIFTS.items():
            if shim.emulator.lacks(name):
                give(s3, call)
    return answer


def _exists(s3: Any, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] != "404")
    return True


def _encrypt(s3: Any, call: Call) -> None:
    s3.put_bucket_encryption(Bucket=call.resource, ServerSideEncryptionConfiguration=_AES256)


def _block_public_access(s3: Any, call: Call) -> None:
    s3.put_public_access_block(Bucket=call.resource, PublicAccessBlockConfiguration=_ALL_BLOCKED)


def _enforce_owner(s3: Any, call: Call) -> None:
    ownership = call.request.headers.get("x-amz-object-ownership", "BucketOwnerEnforced")
    s3.put_bucket_ownership_controls(
        Bucket=call.resource, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]}
    )


def _tag(s3: Any, call: Call) -> None:
    tags = re.findall(r"<Tag><Key>(.*?)</Key><Value>(.*?)</Value></Tag>", call.body.decode(), re.DOTALL)
    if tags:
        tag_set = [{"Key": unescape(key), "Value": unescape(value)} for key, value in tags]
        s3.put_bucket_tagging(Bucket=call.resource, Tagging={"TagSet": tag_set})


NEW_BUCKET_GIFTS: dict[str, Callable[[Any, Call], None]] = {
    "new_buckets_are_encrypted": _encrypt,
    "new_buckets_block_public_access": _block_public_access,
    "new_buckets_enforce_the_owner": _enforce_owner,
    "tags_on_create_are_kept": _tag,
}


def encryption(shim: Shim, call: Call, proceed: Proceed) -> Answer:
    """The rule is replaced as a whole, but blocked types stay until they are named, and deletion means AES256."""
    known = shim.encryption
    answer = proceed()
    if call.name == "GetBucketEncryption" and answer.status == 200 and call.resource in known:
        return answer.with_body(known[call.resource])
    if call.name == "PutBucketEncryption" and answer.status == 200:
        known[call.resource] = _as_read(call.body, known.get(call.resource, b""))
    if call.name == "DeleteBucketEncryption" and answer.status == 204:
        known[call.resource] = _as_read(NEW_BUCKET_ENCRYPTION, known.get(call.resource, b""))
        _encrypt(shim.client("s3", call), call)
    if call.name == "DeleteBucket" and answer.status == 204:
        known.pop(call.resource, None)
    return answer


def _as_read(put: bytes, before: bytes) -> bytes:
    blocked = _BLOCKED.search(put) or _BLOCKED.search(before)
    rule = _BLOCKED.sub(b"", put)
    if b"<BucketKeyEnabled>" not in rule:
        rule = rule.replace(b"</Rule>", b"<BucketKeyEnabled>false</BucketKeyEnabled></Rule>")
    return rule.replace(b"</Rule>", (blocked.group() if blocked else b"") + b"</Rule>")


def lifecycle(shim: Shim, call: Call, proceed: Proceed) -> Answer:
    """What was put is what is read."""
    answer = proceed()
    if call.name == "GetBucketLifecycleConfiguration" and answer.status == 200 and call.resource in shim.lifecycle:
        return answer.with_body(shim.lifecycle[call.resource])
    if call.name == "PutBucketLifecycleConfiguration" and answer.status == 200:
        shim.lifecycle[call.resource] = call.body
    if call.name in ("DeleteBucketLifecycle", "DeleteBucket") and answer.status == 204:
        shim.lifecycle.pop(call.resource, None)
    return answer


TABLE_MEMBERS = {
    "CreateTable": "TableDescription",
    "UpdateTable": "TableDescription",
    "DeleteTable": "TableDescription",
    "DescribeTable": "Table",
}


def tables(shim: Shim, call: Call, proceed: Proceed) -> Answer:
    """Lay what the emulator forgot over each table description; None takes a member away."""
    answer = proceed()
    if call.name not in TABLE_MEMBERS or answer.status != 200:
        return answer
    member = TABLE_MEMBERS[call.name]
    content = json.loads(answer.body.read())
    key = (call.region, call.resource)
    if call.name == "CreateTable":
        shim.tables[key] = {}
    overlay = shim.tables.setdefault(key, {})
    for name, note in TABLE_NOTES.items():
        if shim.emulator.lacks(name):
            overlay.update(note(shim, call, content[member]))
    described = {**content[member], **overlay}
    kept = {name: value for name, value in described.items() if value is not None}
    return answer.with_body(json.dumps({**content, member: kept}).encode())


def _billing_summary(shim: Shim, call: Call, described: dict[str, Any]) -> dict[str, Any]:
    asked = call.params.get("BillingMode", "PROVISIONED")
    if call.name == "CreateTable" and asked == "PROVISIONED":
        return {"BillingModeSummary": None}
    if call.name == "UpdateTable" and "BillingMode" in call.params:
        since = {"LastUpdateToPayPerRequestDateTime": time.time()}
        return {"BillingModeSummary": {**described.get("BillingModeSummary", {}), **since, "BillingMode": asked}}
    return {}


def _table_class(shim: Shim, call: Call, described: dict[str, Any]) -> dict[str, Any]:
    return {"TableClassSummary": {"TableClass": call.params["TableClass"]}} if "TableClass" in call.params else {}


def _sse_update(shim: Shim, call: Call, described: dict[str, Any]) -> dict[str, Any]:
    if call.name != "UpdateTable" or "SSESpecification" not in call.params:
        return {}
    asked = call.params["SSESpecification"]
    if not asked.get("Enabled"):
        return {"SSEDescription": None}
    key = shim.client("kms", call).describe_key(KeyId=asked.get("KMSMasterKeyId", "alias/aws/dynamodb"))
    return {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key["KeyMetadata"]["Arn"]}}


def _absent_sse(shim: Shim, call: Call, described: dict[str, Any]) -> dict[str, Any]:
    if described.get("SSEDescription", {}).get("Status") == "DISABLED":
        described.pop("SSEDescription")
    return {}


TABLE_NOTES: dict[str, Callable[[Shim, Call, dict[str, Any]], dict[str, Any]]] = {
    "billing_summary_is_absent_until_on_demand": _billing_summary,
    "table_class_updates_are_kept": _table_class,
    "sse_updates_are_kept": _sse_update,
    "absent_sse_means_the_aws_owned_key": _absent_sse,
}


def recovery_period(shim: Shim, call: Call, proceed: Proceed) -> Answer:
    """Point-in-time recovery reaches back as many days as were asked for last, and 35 when none were."""
    answer = proceed()
    if not call.name.endswith("ContinuousBackups") or answer.status != 200:
        return answer
    key = (call.region, call.resource)
    if call.name == "UpdateContinuousBackups":
        shim.recovery_days[key] = call.params["PointInTimeRecoverySpecification"].get("RecoveryPeriodInDays", 35)
    content = json.loads(answer.body.read())
    recovery = content["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        recovery["RecoveryPeriodInDays"] = shim.recovery_days.get(key, 35)
    return answer.with_body(json.dumps(content).encode())


Behaviour = Callable[[Shim, Call, Proceed], Answer]

# Behaviour, and the names of what it gives: it is used where the emulator lacks one of them.
BEHAVIOURS: tuple[tuple[Behaviour, tuple[str, ...]], ...] = (
    (new_buckets, (*NEW_BUCKET_GIFTS, "new_buckets_block_sse_c")),
    (
        encryption,
        (
            "new_buckets_are_encrypted",
            "new_buckets_block_sse_c",
            "blocked_encryption_types_are_kept",
            "bucket_key_is_kept",
            "deleted_encryption_is_aes256",
        ),
    ),
    (lifecycle, ("newer_noncurrent_versions_are_kept",)),
    (tables, tuple(TABLE_NOTES)),
    (recovery_period, ("recovery_period_is_kept",)),
)
SHIMMED = frozenset(name for _unused, names in BEHAVIOURS for name in names)

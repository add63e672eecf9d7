# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What "safe" is: harm that somebody else sees, with botocore alone and straight at the emulator.

A run must never add harm, wherever it dies. What was harmed before it (a bucket that is being adopted) may be harmed
still. An operation that a resource lacks reads as None, which counts as harm wherever something has to be there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from tests.integration.subject import READERS
from tests.support.emulators import RunningEmulator

REGION = "us-east-1"
STATE = {"Bucket": "", "Key": "prod/terraform.tfstate"}
ITEMS: tuple[dict[str, Any], ...] = (
    {"LockID": {"S": "states/prod/terraform.tfstate-md5"}, "Digest": {"S": "d41d8cd98f00b204e9800998ecf8427e"}},
    {"LockID": {"S": "states/prod/terraform.tfstate"}, "Info": {"S": '{"ID":"1"}'}},
)
FOREIGN_STATEMENT = {
    "Sid": "Auditor",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": "s3:GetBucketPolicy",
}
FOREIGN_RULE = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
}


def harm_to_bucket(emulator: RunningEmulator, name: str, held: Any = None) -> set[str]:
    """`held`: what `held_by_bucket` saw before the run; None for a bucket that was not there.

    - Closed at every moment: whoever finds the bucket, a client that is pointed at it early included, may use it.
    - Versioned and encrypted as soon as there is a state in it: else the next write destroys the state before it. A
      bucket without a state may be unversioned for the moment, because its lifecycle has to be set before.
    - Every version of every state is there, byte for byte. Nothing else can bring one back.
    - What others wrote into policy, lifecycle and tags is there: it guards what we do not know of.
    """
    s3 = emulator.client("s3", region=REGION)
    now = {facet: read(s3, name) for facet, read in READERS["bucket"].items()}
    objects = _versions(s3, name)
    if objects is None:
        return {"the bucket is gone"} if held else set()
    found = set(_openings(s3, name, now))
    if objects and now["versioning"] != "Enabled":
        found.add("a state is not versioned")
    if not now["encryption"]:
        found.add("not encrypted")
    if held:
        found |= {f"lost: {what}" for what in held - _holdings(objects, now)}
    return found


def _openings(s3: Any, name: str, now: dict[str, Any]) -> Iterator[str]:
    if not now["public_access"] or not all(now["public_access"].values()):
        yield "public access is not blocked"
    if any("URI" in grant["Grantee"] for grant in s3.get_bucket_acl(Bucket=name)["Grants"]):
        yield "the ACL lets others in"
    if any(each["Effect"] == "Allow" and each["Principal"] in ("*", {"AWS": "*"}) for each in now["policy"] or []):
        yield "the policy lets anybody in"


def held_by_bucket(emulator: RunningEmulator, name: str) -> set[str]:
    """What a bucket holds that must not be lost, each as a line of text."""
    s3 = emulator.client("s3", region=REGION)
    now = {facet: read(s3, name) for facet, read in READERS["bucket"].items()}
    return _holdings(_versions(s3, name) or [], now)


def _holdings(objects: list[str], now: dict[str, Any]) -> set[str]:
    statements = [f"statement {each.get('Sid')}" for each in now["policy"] or []]
    rules = [f"rule {json.dumps(each, sort_keys=True)}" for each in now["lifecycle"] or []]
    tags = [f"tag {key}={value}" for key, value in now["tags"].items()]
    return {*objects, *statements, *rules, *tags}


def _versions(s3: Any, name: str) -> list[str] | None:
    try:
        listed = s3.list_object_versions(Bucket=name)
    except ClientError:
        return None
    where = [
        {"Bucket": name, "Key": each["Key"], "VersionId": each["VersionId"]} for each in listed.get("Versions", [])
    ]
    return [f"version {each['Key']} {each['VersionId']} {s3.get_object(**each)['Body'].read()!r}" for each in where]


def harm_to_table(emulator: RunningEmulator, name: str, held: Any = None) -> set[str]:
    """`held`: what `held_by_table` saw before the run; None for a table that was not there.

    - Protected from deletion at every moment: it is in use as soon as it is there, and CreateTable can carry this.
    - With the key that clients write to, on demand or provisioned: else no lock could be taken.
    - Every lock and digest is there: without its lock two people write at once, without its digest nobody writes.
    - The number of days that it can be restored from, and its tags, do not shrink.
    """
    dynamodb = emulator.client("dynamodb", region=REGION)
    now = {facet: read(dynamodb, name) for facet, read in READERS["table"].items()}
    items = _items(dynamodb, name)
    if items is None:
        return {"the table is gone"} if held else set()
    found = set() if now["deletion_protection"] else {"not protected from deletion"}
    if now["key"] != [
        [{"AttributeName": "LockID", "KeyType": "HASH"}],
        [{"AttributeName": "LockID", "AttributeType": "S"}],
    ]:
        found.add(f"no key of a lock table: {now['key']}")
    return found | {f"lost: {what}" for what in (held or set()) - _table_holdings(items, now)}


def held_by_table(emulator: RunningEmulator, name: str) -> set[str]:
    dynamodb = emulator.client("dynamodb", region=REGION)
    now = {facet: read(dynamodb, name) for facet, read in READERS["table"].items()}
    return _table_holdings(_items(dynamodb, name) or [], now)


def _table_holdings(items: list[str], now: dict[str, Any]) -> set[str]:
    tags = [f"tag {key}={value}" for key, value in now["tags"].items()]
    return {*items, *tags, *(["recovery"] if now["recovery"] else [])}


def _items(dynamodb: Any, name: str) -> list[str] | None:
    try:
        found = dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]
    except ClientError:
        return None
    return [f"item {json.dumps(item, sort_keys=True)}" for item in found]

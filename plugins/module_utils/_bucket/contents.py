# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of a bucket: read before it is deleted, and deleted with it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .._core.commands import command
from .._core.model import (
    Answer,
    Call,
    Caution,
    Change,
    Failure,
    IamActions,
    Params,
    Probe,
    Refusal,
    Refuse,
    Response,
    Target,
    Value,
)
from .._core.printable import shortened
from .mfa_delete_probe import mfa_delete

NAME = "contents"
OPTIONS: dict[str, dict[str, object]] = {}
ABSENT: Value = {"versions": [], "more": False}
NOT_FOUND = {"NoSuchBucket"}  # deleted by somebody else
IAM_ACTIONS = IamActions(
    read=("s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"),
    delete=("s3:DeleteObjectVersion", "s3:ListAccessPoints"),
)

#: The limit of DeleteObjects, and of a page of ListObjectVersions.
PAGE = 1000
#: How many access points are named.
NAMED = 5


def read(target: Target) -> Call:
    return Call("s3", "list_object_versions", {**target.bucket, "MaxKeys": PAGE})


def normalise(response: Response, target: Target) -> Value:
    everything = [*response.get("Versions", []), *response.get("DeleteMarkers", [])]
    return {
        "versions": [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in everything],
        "more": bool(response.get("IsTruncated")),
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    """Deletes the page that was read; settling plans the next one."""
    return (Call("s3", "delete_objects", {**target.bucket, "Delete": {"Objects": before["versions"], "Quiet": True}}),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    yield mfa_delete(target, "let that user switch it off first")
    yield Probe(Call("s3", "get_object_lock_configuration", target.bucket), _retained)
    attached = {"Bucket": target.name, "MaxResults": PAGE}
    yield Probe(Call("s3control", "list_access_points", attached), partial(_access_points, target))


def _retained(answer: Answer) -> Refuse | None:
    """AWS would delete expired versions, keep the rest, and leave half a bucket."""
    if isinstance(answer, Failure):
        if answer.code == "ObjectLockConfigurationNotFoundError" or answer.is_unsupported:
            return None
        return Refuse(f"{answer}; with object lock, which this would tell, a deletion would stop half way")
    retention = answer["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention")
    if not retention:
        return None
    return Refuse(
        f"object lock keeps every version for its time ({retention.get('Mode')}): remove the default retention, wait "
        "until the last version is past its time, and delete the bucket then"
    )


def _access_points(target: Target, answer: Answer) -> Refuse | Caution | None:
    """S3 would delete every version, and then not the bucket."""
    if isinstance(answer, Failure):
        if answer.is_unsupported:
            return None
        return Caution(
            f"whether it has access points is not known: {answer}; if it has, S3 deletes its versions and then not the "
            "bucket"
        )
    names = [str(each["Name"]) for each in answer.get("AccessPointList", [])]
    if not names:
        return None
    named = ", ".join(map(shortened, names[:NAMED])) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
    account = target.account_id or target.owner or "ACCOUNT"
    where = ("--account-id", account, "--region", target.region, "--name", names[0])
    return Refuse(
        f"S3 deletes no bucket that has access points, and it has {named}: delete each of them first "
        f"({command('aws', 's3control', 'delete-access-point', *where)}), then run again"
    )


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    count = f"{len(change.before['versions'])}{' or more' if change.before['more'] else ''}"
    yield Refusal(f"bucket {target.name} holds {count} object versions, which would be lost", "delete_state")

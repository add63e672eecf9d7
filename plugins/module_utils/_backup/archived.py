# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archived versions: S3 does not return them before they are restored.

A restored copy of GLACIER or DEEP_ARCHIVE is kept for some days, and the storage class stays. From an archive tier of
INTELLIGENT_TIERING an object moves back for good.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from .._aws.errors import NO_SUCH_VERSION
from .._aws.protocols import BackendClient
from .._core.model import Call, Failure, Target, TfstateError
from .._core.storage_classes import ARCHIVES, RESTORE_HOURS, TIERED
from .manifest import Listed, some

#: How long S3 keeps a restored copy.
DAYS = 7
LONGEST_HOURS = max(RESTORE_HOURS.values())


@dataclass(frozen=True)
class Archived:
    """`tier`: its storage class, or archive tier. `is_requested`: its restore is in progress."""

    version: Listed
    tier: str
    is_requested: bool = False

    def __str__(self) -> str:
        return f"{self.version} ({self.tier})"


def archived_among(aws: BackendClient, bucket: Target, listed: Iterable[Listed]) -> list[Archived]:
    """The versions that cannot be read now. Raises TfstateError if S3 does not tell."""
    asked = [each for each in listed if each.storage_class in {*ARCHIVES, TIERED}]
    found = aws.together([partial(_archived, aws, bucket, each) for each in asked]) if asked else []
    return [each for each in found if each]


def _archived(aws: BackendClient, bucket: Target, each: Listed) -> Archived | None:
    (head,) = aws.read([Call("s3", "head_object", _named(bucket, each))])
    if isinstance(head, Failure):
        if head.code in NO_SUCH_VERSION:
            return None
        raise TfstateError(f"whether {each} can be read is not known: {head}")
    tier = head.get("ArchiveStatus") or (each.storage_class if each.storage_class in ARCHIVES else None)
    restore = str(head.get("Restore", ""))
    if not tier or 'ongoing-request="false"' in restore or _is_read_at_once(aws, _named(bucket, each)):
        return None
    return Archived(each, tier, 'ongoing-request="true"' in restore)


def _is_read_at_once(aws: BackendClient, named: dict[str, str]) -> bool:
    """Whether it is in another store, whose class of that name is no archive."""
    if aws.is_aws("s3"):
        return False
    first_byte = Call("s3", "get_object", {**named, "Range": "bytes=0-0"})
    return not isinstance(aws.stream(first_byte, lambda: lambda _piece: None), Failure)


#: A warning, as all else is told in the words of the run that check mode foresees.
NOT_REQUESTED = "check mode requests no restore of archived versions: run without it to request that"


def request_restores(aws: BackendClient, bucket: Target, archived: Sequence[Archived]) -> None:
    """A restore that is in progress already is no failure."""
    calls = [Call("s3", "restore_object", {**_named(bucket, each.version), **_terms(each)}) for each in archived]
    if calls:
        aws.together([partial(aws.write, call) for call in calls])


def _terms(each: Archived) -> dict[str, dict[str, int]]:
    """S3 takes no `Days` for what moves back for good."""
    return {"RestoreRequest": {} if each.version.storage_class == TIERED else {"Days": DAYS}}


def _named(bucket: Target, each: Listed) -> dict[str, str]:
    return {**bucket.bucket, "Key": each.key, "VersionId": each.version_id}


def hours_of(tiers: Iterable[str]) -> int:
    """How many hours S3 takes at most to restore versions in these storage classes or archive tiers."""
    return max(RESTORE_HOURS.get(each, LONGEST_HOURS) for each in tiers)


def unreadable(archived: Sequence[Archived], how_to_leave_out: str) -> str:
    """Why the backup cannot be made, and what to do."""
    hours, what = (
        hours_of(each.tier for each in archived),
        f"archived versions cannot be saved: {some([str(each) for each in archived])}",
    )
    if all(each.is_requested for each in archived):
        return f"{what}. Their restore is requested, which takes up to {hours} hours: run again then"
    current = [str(each.version) for each in archived if each.version.is_latest]
    otherwise = f". What is current is not left out: {some(current)}" if current else f", or {how_to_leave_out}"
    return f"{what}. Set restore_archived: true to request their restore, which takes up to {hours} hours{otherwise}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes digests, each under the locks of its state.

They are read by Scan and removed only if unchanged: the digest policy permits both. A digest without a state is never
removed: without it, clients would take the lost state for an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendClient, LockClient
from .._core.model import Call, CallFailed, Failure, TfstateError
from .._locks.holders import sentence
from .._locks.locking import UNMET, AlreadyLocked, RetryPolicy, check_held, held
from .._locks.maintenance import operation_lock
from .._locks.stores import Lock, Place, place_in
from .._repair.digest_item import DigestItem, removal
from .._state.inspection import fingerprint
from .._state.listing import item_of
from .._terraform.scope import Scope

#: The operation in our locks.
OPERATION = "lock mode"


@dataclass(frozen=True)
class DigestRemovalResult:
    """The result for one state."""

    path: str
    is_removed: bool = False
    problem: str | None = None


def digest_items(aws: BackendClient, scope: Scope) -> dict[str, DigestItem]:
    """The digests of a bucket, by the paths of their states."""
    asked = {"TableName": scope.table, "ConsistentRead": True, "ProjectionExpression": "LockID, Info, Digest"}
    found: dict[str, DigestItem] = {}
    for page in aws.pages(Call("dynamodb", "scan", asked)):
        if isinstance(page, Failure):
            raise CallFailed(page)
        for raw in page.get("Items", []):
            bucket, item = item_of(raw)
            if bucket == scope.bucket.name and item.is_digest:
                found[item.path] = DigestItem(True, raw.get("Digest"))
    return found


def is_ours(lock: Lock, place: Place) -> bool:
    """Whether a run of ours took it."""
    return lock.id == operation_lock(place, OPERATION, datetime.now(timezone.utc)).id


@dataclass(frozen=True)
class DigestRemoval:
    """`takes_all`: not only digests that do not match."""

    aws: BackendClient
    scope: Scope
    takes_all: bool
    retry_policy: RetryPolicy

    def carry_out(self, items: Mapping[str, DigestItem], paths: Iterable[str]) -> list[DigestRemovalResult]:
        """Removes the digests of these states. Locks that a killed run left on a state without one are released."""
        works: list[Callable[[], DigestRemovalResult]] = [
            partial(self._carried, path, items.get(path, DigestItem(False))) for path in sorted(paths)
        ]
        return self.aws.together(works) if works else []

    def _carried(self, path: str, seen: DigestItem) -> DigestRemovalResult:
        place = place_in(self.scope, path)
        now, is_removed, problem = datetime.now(timezone.utc), False, None
        try:
            with held(self.aws, place, operation_lock(place, OPERATION, now), self.retry_policy) as locks:
                is_removed = seen.exists and self._is_removed(place, seen, locks)
        except AlreadyLocked as error:
            problem = sentence(path, (error.lock,), now)
        except TfstateError as error:
            problem = str(error)
        return DigestRemovalResult(path, is_removed, problem)

    def _is_removed(self, place: Place, seen: DigestItem, locks: Sequence[Lock]) -> bool:
        answer = fingerprint(self.aws, self.scope, place.path)
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
            raise CallFailed(answer)
        md5 = None if isinstance(answer, Failure) else answer["md5"]
        if md5 is None or (not self.takes_all and seen.text in (None, md5)):
            return False
        check_held(self.aws, place, locks)
        remove_as_seen(self.aws, place, seen)
        return True


def remove_as_seen(aws: LockClient, place: Place, seen: DigestItem) -> None:
    """The digest policy denies to read the item afterwards."""
    try:
        aws.write(removal(place, seen))
    except CallFailed as refused:
        if refused.failure.code not in UNMET:
            raise
        raise TfstateError(f"somebody else changed the digest of {place.path} meanwhile: run again") from None

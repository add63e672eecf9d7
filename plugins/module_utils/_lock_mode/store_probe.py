# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a store supports the conditional writes that lock files need: tested with an object of our own.

A store that ignores conditions answers like one that supports them, and gives the lock to everybody.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone

from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendClient
from .._core.model import Call, CallFailed, Failure, TfstateError
from .._locks.locking import UNCONDITIONAL, UNMET
from .._state.inspection import fingerprint
from .._state.listing import versions_under
from .._terraform.scope import Scope

PREFIX = "cornerstone.tfstate/probe/"
#: Error codes of a condition that does not hold, and of one that the store does not support.
REFUSED = UNMET | UNCONDITIONAL | {"ConditionalRequestConflict", "409"}
NO_ETAG = '"00000000000000000000000000000000"'
#: Older objects were left by a probe that was killed.
LITTER_AGE = timedelta(hours=1)


@dataclass(frozen=True)
class StoreProbe:
    """The result. Clients do not need the last one; modules of this collection do, to release a lock."""

    creates_once: bool
    creates_again: bool
    deletes_if_unchanged: bool

    def to_result(self) -> dict[str, bool]:
        return asdict(self)

    @property
    def problem(self) -> str | None:
        """Why lock files would exclude nobody."""
        if not self.creates_once:
            return "the store ignores If-None-Match, so that everybody would get the lock: lock in the table"
        if not self.creates_again:
            return "the store creates no object where one was deleted, so that no lock could be taken twice"
        return None


@dataclass(frozen=True)
class _Trial:
    """One object for conditional writes."""

    aws: BackendClient
    scope: Scope
    key: str

    def begin(self) -> None:
        """Raises TfstateError if the store cannot be tested."""
        self._create("first")
        if self._etag() is None:
            raise TfstateError(f"{self.key} was not created: the store knows no If-None-Match")

    def creates_once(self) -> bool:
        before = self._etag()
        self._create("second")
        return self._etag() == before

    def deletes_if_unchanged(self) -> bool:
        """Leaves no object, whatever the result."""
        self._delete(IfMatch=NO_ETAG)
        seen = self._etag()
        if seen:
            self._delete(IfMatch=seen)
        is_kept = seen is not None and self._etag() is None
        self._delete()
        return is_kept

    def creates_again(self) -> bool:
        self._create("third")
        return self._etag() is not None

    def clean_up(self) -> None:
        """Deletes the versions that probes created. Warns of those that cannot be deleted."""
        until = datetime.now(timezone.utc) - LITTER_AGE
        try:
            found = versions_under(self.aws, self.scope, PREFIX)
            if isinstance(found, Failure):
                raise CallFailed(found)
            for key, version in found:
                if key == self.key or version.last_modified < until:
                    self.aws.write(Call("s3", "delete_object", {**self._object(key), "VersionId": version.version_id}))
        except TfstateError as error:
            self.aws.warnings.append(f"what the probe made in {PREFIX} was left behind: {error}")

    def _object(self, key: str) -> dict[str, str]:
        return {**self.scope.bucket.bucket, "Key": key}

    def _create(self, text: str) -> None:
        content = {"Body": text.encode(), "ContentType": "text/plain", "ChecksumAlgorithm": "SHA256"}
        content |= self.scope.encryption
        self._try(Call("s3", "put_object", {**self._object(self.key), **content, "IfNoneMatch": "*"}))

    def _delete(self, **condition: str) -> None:
        self._try(Call("s3", "delete_object", {**self._object(self.key), **condition}))

    def _try(self, call: Call) -> None:
        """The reply may be lost, and the reply to its repetition is misleading: the object is read afterwards."""
        try:
            self.aws.write(call)
        except CallFailed as refused:
            if refused.failure.code not in REFUSED:
                raise

    def _etag(self) -> str | None:
        """None if there is no object."""
        answer = fingerprint(self.aws, self.scope, self.key, reads=True)
        if isinstance(answer, Failure) and answer.code in NO_SUCH_OBJECT:
            return None
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        return str(answer["head"]["ETag"])


def probe(aws: BackendClient, scope: Scope) -> StoreProbe:
    """Tests the bucket as it is, versioned or not."""
    trial = _Trial(aws, scope, f"{PREFIX}{os.urandom(8).hex()}")
    try:
        trial.begin()
        creates_once = trial.creates_once()
        deletes_if_unchanged = trial.deletes_if_unchanged()
        return StoreProbe(creates_once, trial.creates_again(), deletes_if_unchanged)
    finally:
        trial.clean_up()

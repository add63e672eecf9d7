# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a store supports the conditional writes that lock files need: tested with an object of our own.

A store that ignores conditions answers like one that supports them, and gives the lock to everybody. A tag of the
bucket records the result, so that the next run writes nothing and an audit can report it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendClient
from .._bucket import tags
from .._core.model import Call, CallFailed, Change, Failure, TfstateError, Unknown, Values, facet_of
from .._core.tags import LOCK_FILES, SUPPORTED, UNSUPPORTED
from .._locks.locking import UNCONDITIONAL, UNMET
from .._state.inspection import fingerprint
from .._state.listing import versions_under
from .._terraform.scope import Scope

PREFIX = "cornerstone.tfstate/probe/"
#: Error codes of a condition that does not hold, and of one that the store does not support.
REFUSED = UNMET | UNCONDITIONAL | {"ConditionalRequestConflict", "409"}
NO_ETAG = '"00000000000000000000000000000000"'
#: A probe removes what others have left, so two at once may disturb each other: a bad result is tried again. None of
#: that can hide that a store ignores conditions.
ATTEMPTS = 3
INSTEAD = "lock in a table only (lock mode dynamodb), or use another store"


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
            return f"the store ignores If-None-Match, so that everybody would get the lock: {INSTEAD}"
        if not self.creates_again:
            return f"the store creates no object where one was deleted, so that no lock could be taken twice: {INSTEAD}"
        return None


class UnsupportedStore(TfstateError):
    """The store refuses the condition."""


@dataclass(frozen=True)
class _Trial:
    """One object for conditional writes."""

    aws: BackendClient
    scope: Scope
    key: str

    def begin(self) -> None:
        """Raises TfstateError if the store cannot be tested."""
        for _unused in range(ATTEMPTS):
            self._create("first")
            if self._etag() is not None:
                return
        raise UnsupportedStore(f"{self.key} was not created: the store does not support If-None-Match: {INSTEAD}")

    def creates_once(self) -> bool:
        before = self._etag()
        self._create("second")
        return before is not None and self._etag() == before

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
        """Deletes the versions that probes created, and killed ones have left. Warns of those that stay."""
        try:
            found = versions_under(self.aws, self.scope, PREFIX)
            if isinstance(found, Failure):
                raise CallFailed(found)
            for key, version in found:
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
    for _unused in range(ATTEMPTS):
        found = _probe_once(aws, scope)
        if found.problem is None:
            break
    return found


def _probe_once(aws: BackendClient, scope: Scope) -> StoreProbe:
    trial = _Trial(aws, scope, f"{PREFIX}{os.urandom(8).hex()}")
    try:
        trial.begin()
        creates_once = trial.creates_once()
        deletes_if_unchanged = trial.deletes_if_unchanged()
        return StoreProbe(creates_once, trial.creates_again(), deletes_if_unchanged)
    finally:
        trial.clean_up()


@dataclass(frozen=True)
class LockFileSupport:
    """Whether a store supports lock files, by its record or by a probe."""

    probe: StoreProbe | None = None
    problem: str | None = None
    #: The record that is written.
    changes: tuple[Change, ...] = ()
    #: What was not tested.
    caution: str | None = None


# `before` are the tags of the bucket; None if no record can be written.


def is_known(before: Values | None) -> bool:
    """Whether it is on record that the store supports lock files."""
    return (before or {}).get(LOCK_FILES) == SUPPORTED


def planned_support(scope: Scope, before: Values | None) -> LockFileSupport:
    """By the record alone."""
    if before and before.get(LOCK_FILES) == UNSUPPORTED:
        return LockFileSupport(problem=f"the last test found that the store does not support lock files: {INSTEAD}")
    caution = (
        f"{scope.bucket.name}: check mode writes nothing, so it does not test whether the store supports lock files"
    )
    is_due = before is not None and not is_known(before)
    return LockFileSupport(changes=(_change(scope, before or {}, SUPPORTED),) if is_due else (), caution=caution)


def tested_support(aws: BackendClient, scope: Scope, before: Values | None) -> LockFileSupport:
    """By a probe, whose result is recorded."""
    try:
        found, problem = probe(aws, scope), None
    except UnsupportedStore as error:
        found, problem = None, str(error)
    problem = found.problem if found else problem
    result = UNSUPPORTED if problem else SUPPORTED
    return LockFileSupport(found, problem, _record(aws, scope, before, result))


def recorded_tags(aws: BackendClient, scope: Scope) -> Values | None:
    """The tags of the bucket. None if they cannot be read."""
    (answer,) = aws.read([tags.read(scope.bucket)])
    value = facet_of(tags).value(answer, scope.bucket)
    if isinstance(value, Unknown):
        aws.warnings.append(_unrecorded(scope, value.failure))
        return None
    return dict(value)


def _unrecorded(scope: Scope, why: object) -> str:
    return f"{scope.bucket.name}: whether the store supports lock files is not recorded in its tags: {why}"


def _record(aws: BackendClient, scope: Scope, before: Values | None, result: str) -> tuple[Change, ...]:
    if before is None or before.get(LOCK_FILES) == result:
        return ()
    change = _change(scope, before, result)
    try:
        for call in change.calls:
            aws.write(call)
    except TfstateError as error:
        aws.warnings.append(_unrecorded(scope, error))
        return ()
    return (change,)


def _change(scope: Scope, before: Values, result: str) -> Change:
    after = {**before, LOCK_FILES: result}
    return Change(tags.NAME, before, after, tags.calls(scope.bucket, before, after))

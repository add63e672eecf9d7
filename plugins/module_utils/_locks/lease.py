# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease of an operation on all states of a bucket: one run at a time holds it, renews it and releases it.

The lease is a lock file with the same record as those of states: who holds it, since when, and for what. The run that
holds it rewrites it every RENEW_S seconds. A run that finds it waits until it is released or its holder is gone: its
process on this machine has ended, or the lease was not renewed for LEASE_S seconds by the clock of S3. Then it replaces
the lease that it read. Before each write of the operation, the holder checks that the lease is still its own.

The locks of the states, each taken over in the same way, and writes that depend on what was there, protect the states
where a run was stopped for longer than LEASE_S between that check and its write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from .._aws.clock import clock
from .._aws.errors import DENIED
from .._aws.protocols import LeaseClient
from .._aws.write_tracker import releases_lock
from .._core.model import Call, CallFailed, TfstateError
from .._core.printable import shortened
from .._engine.guard import Refused
from .._terraform.protocol import LockInfo, lock_file, marshal
from .._terraform.scope import LEASE, Scope
from .locking import UNCONDITIONAL, UNMET, release
from .maintenance import our_lock, with_id
from .process import held_here, is_running, this_process
from .stores import FileStore, Lock, Place, lock_of_file

LEASE_S, RENEW_S, LOOK_S = 60, 15, 2
#: How long after a renewal writes are made. The rest of LEASE_S is for a write that has begun.
TRUSTED_S = 40


@dataclass
class Lease:
    """`work` is the operation, `info` its subject."""

    aws: LeaseClient
    scope: Scope
    work: str
    info: str
    now: Callable[[], float] = time.monotonic
    _lock: Lock | None = None
    _renewed_at: float = 0.0
    _lost_to: str | None = None
    _file: FileStore = field(init=False)

    def __post_init__(self) -> None:
        self._place = Place(self.scope.bucket.name, LEASE, None, self.scope.bucket.owner, self.scope.encryption)
        self._file = FileStore(self._place)

    def check(self) -> None:
        """Raises Refused if another run holds the lease. It only reads, and waits to see whether it is renewed."""
        with self._explained():
            self._lease_of_gone_holder()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lease. Writes inside are made only while it is held."""
        with self._explained():
            self._take()
        stop = threading.Event()
        renewing = threading.Thread(target=self._keep, args=(stop,), daemon=True)
        renewing.start()
        self.aws.before_write.append(self._check_before)
        try:
            yield
        finally:
            stop.set()
            renewing.join()
            self.aws.before_write.remove(self._check_before)
            self._release_lease()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Adds advice to a denial: a policy that permits only the keys of states does not permit this one."""
        try:
            yield
        except CallFailed as refused:
            if refused.failure.code not in DENIED:
                raise
            advice = (
                f"{self.work} says in {lock_file(LEASE)} that it is at work: allow s3:GetObject, s3:PutObject and "
                f"s3:DeleteObject there, and s3:ListBucket on {self.scope.bucket.name}, in IAM and in the bucket's "
                f"policy; {refused.failure.advice}"
            )
            raise CallFailed(replace(refused.failure, advice=advice)) from refused

    # Acquisition.

    def _take(self) -> None:
        record = with_id(our_lock(self._place, self.work, f"{self.info}; {this_process()}", datetime.now(timezone.utc)))
        text = marshal(record)
        held_here.add(record.id)
        try:
            self._lock = self._taken(text)
        finally:
            if self._lock is None:
                held_here.discard(record.id)
        self._renewed_at = self.now()

    def _taken(self, text: str) -> Lock:
        while True:
            seen = self._lease_of_gone_holder()
            try:
                self.aws.write(self._file.take_over(seen, text) if seen else self._file.take(text))
            except CallFailed as refused:
                if seen and refused.failure.code in UNCONDITIONAL:
                    self.aws.warnings.extend(release(self.aws, self._place, [seen]).problems)
                elif refused.failure.code not in UNMET:
                    raise
            now = self._file.read_lock(self.aws)
            if now and now.text == text:
                return now

    def _lease_of_gone_holder(self) -> Lock | None:
        """The lease of a holder that is gone; None if there is no lease. Raises Refused if its holder is running."""
        first: datetime | None = None
        while True:
            found = self._file.read(self.aws)
            if found is None:
                return None
            answer, body = found
            lock = lock_of_file(LEASE, answer, body)
            unrenewed_s = (clock(answer) - answer["LastModified"]).total_seconds()
            runs = is_running(lock)
            # The clock of S3 has whole seconds.
            if runs is False or unrenewed_s > LEASE_S + 1:
                return lock
            first = first or answer["LastModified"]
            if runs or answer["LastModified"] != first:
                raise Refused(self._at_work(lock))
            self.aws.renew()
            self.aws.rest(LOOK_S)

    def _at_work(self, lock: Lock) -> str:
        return (
            f"another run is at work on the states of {self.scope.bucket.name}: {_describe(lock)}; "
            "run again once it has ended"
        )

    # Renewal.

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_S):
            with suppress(TfstateError):  # a failure is noticed before the next write
                self._renew()

    def _renew(self) -> None:
        """Writes the same record again, which changes its LastModified."""
        lock = self._lock
        if lock is None or self._lost_to:
            return
        before = self.now()
        try:
            answer = self.aws.write(self._file.take_over(lock, str(lock.text)))
            etag = answer.get("ETag")
        except CallFailed as refused:
            if refused.failure.code not in UNMET | UNCONDITIONAL:
                raise
            etag = None
        if etag is None:
            now = self._file.read_lock(self.aws)
            if now is None or now.text != lock.text:
                self._lost_to = _describe(now) if now else f"{lock_file(LEASE)} was deleted"
                return
            etag = now.condition
        self._lock = Lock(lock.store, lock.path, lock.record, lock.text, etag, lock.since)
        self._renewed_at = before

    def _check_before(self, call: Call) -> None:
        """Called before a write. The lease itself and conditional releases of locks need no lease."""
        if releases_lock(call) or call.params.get("Key") == lock_file(LEASE):
            return
        if self.now() - self._renewed_at > TRUSTED_S:
            self._renew()
        if self._lost_to or self.now() - self._renewed_at > TRUSTED_S:
            why = self._lost_to or f"{lock_file(LEASE)} could not be renewed for {TRUSTED_S} s"
            raise TfstateError(
                f"this run is no longer the only one at work on the states of {self.scope.bucket.name}, so nothing "
                f"more is written: {why}; run again once nobody else is at work"
            )

    def _release_lease(self) -> None:
        if self._lock:
            held_here.discard(self._lock.id)
            if not self._lost_to:
                self.aws.warnings.extend(release(self.aws, self._place, [self._lock]).problems)
            self._lock = None


def _describe(lock: Lock) -> str:
    if not isinstance(lock.record, LockInfo):
        return f"what {lock_file(LEASE)} says of it cannot be read: {lock.record.reason}"
    operation, who, info = map(shortened, (lock.record.operation, lock.record.who, lock.record.info))
    return f"{operation} by {who} since {lock.record.since_in_words} ({info})"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One operation at a time works on all states of a bucket: the lease that it holds, renews, and gives back.

The lease is a lock file beside the states, with the same record as theirs: who is at work, since when, on what. The
run that holds it writes it again every RENEW_S seconds. A run that finds it waits until it is given back or clear that
its holder is gone: because its process is gone, on this machine, or because it was not renewed for LEASE_S seconds by
the clock of S3. Then it takes the lease over in exchange for what it saw. Before each write of the operation, the
holder makes sure that the lease is still its own.

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
#: After so long without a renewal nothing more is written. It leaves time for a write that has begun.
TRUSTED_S = 40


@dataclass
class Lease:
    """`work` is the operation, and `info` says on what it works."""

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
        """Raises Refused if another run is at work. It only reads, and waits where it cannot be told otherwise."""
        with self._explained():
            self._holder_that_is_gone()

    @contextmanager
    def held(self) -> Iterator[None]:
        """This run alone is at work inside. What it writes there, it writes only while that is so."""
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
            self._give_back()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A policy that lets only some keys be written is made for states, and does not know of this one."""
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

    # Taking it.

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
            seen = self._holder_that_is_gone()
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

    def _holder_that_is_gone(self) -> Lock | None:
        """The lease as a run left it that is gone; None if there is none. Raises Refused if its holder is at work."""
        first: datetime | None = None
        while True:
            found = self._file.read(self.aws)
            if found is None:
                return None
            answer, body = found
            lock = lock_of_file(LEASE, answer, body)
            unrenewed_s = (clock(answer) - answer["LastModified"]).total_seconds()
            runs = is_running(lock)
            # The clock of S3 tells whole seconds.
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
            "wait until it has ended, and run again"
        )

    # Keeping it.

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(RENEW_S):
            with suppress(TfstateError):  # what could not be renewed is noticed before the next write
                self._renew()

    def _renew(self) -> None:
        """Writes the same record over itself: what changes is when S3 says that it was written."""
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
        """Of a write. The lease itself, and locks that are released, which depends on what they are, need no lease."""
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

    def _give_back(self) -> None:
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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a version of a state: as a new version with the highest serial, or by removing the delete marker.

A version whose serial cannot be changed is restored byte for byte, if that is allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._aws.errors import DENIED, MAYBE_UNSEEN
from .._aws.protocols import BackendClient
from .._core.model import Call, CallFailed, Failure, Invalid, TfstateError
from .._engine.guard import Refused
from .._locks.locking import UNMET
from .._locks.maintenance import exclusive
from .._locks.stores import Place
from .._state.errors import NoState
from .._state.history import Content, History, content_of, history_of
from .._state.inspection import fingerprint
from .._state.listing import Version, versions_of
from .._terraform.scope import Scope
from .._terraform.state_document import Document, with_serial
from .._terraform.state_parser import CURRENT
from .digest_item import DigestItem, digest_of, put_digest

#: The operation in its locks.
OPERATION = "restore"
CHANGE_LINEAGE = "change_lineage"
#: Permits to restore a version with the serial that it had, if it cannot be given a new one.
REUSE_SERIAL = "reuse_serial"
#: The encryption parameters of GetObject and PutObject.
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")


@dataclass(frozen=True)
class RestorePlan:
    """How the state gets the content of a version. `before`, `after`: addresses of instances; None: not known."""

    version_id: str
    lineage: str | None
    serial: int | None
    serial_before: int | None
    before: frozenset[str] | None
    after: frozenset[str] | None
    #: The new digest; None without a table.
    digest: str | None
    #: The existing digest.
    item: DigestItem | None
    #: The body to write; None: it exists, or `markers` hide it.
    body: bytes | None = None
    markers: tuple[Version, ...] = ()
    #: Condition and encryption of the write.
    terms: Mapping[str, Any] | None = None

    @property
    def is_done(self) -> bool:
        return not self.markers and self.body is None and (self.item is None or self.item.text == self.digest)


@dataclass(frozen=True)
class VersionRestore:
    """The state of a task, what the task may do, and what it did."""

    aws: BackendClient
    scope: Scope
    place: Place
    allow: frozenset[str]
    done: list[str]

    def plan(self, version_id: str | None) -> RestorePlan:
        """Plans to restore a version, or without one, to undelete the state. Raises TfstateError if it is refused."""
        history = history_of(self.aws, self.scope, self.place.path)
        if history.newest is None:
            raise NoState(f"there is no version of {self.place.path}: is the key right, and the workspace?")
        current = content_of(self.aws, self.scope, self.place.path)
        item = digest_of(self.aws, self.place) if self.place.table else None
        if version_id is None:
            return self._plan_undelete(history, current, item)
        return self._plan_restore(history, current, item, version_id)

    def compared(self, version_id: str, with_id: str | None) -> RestorePlan:
        """Compares a version with another one, or with the current state. It needs no lock."""
        wanted = self._version(version_id, keeps=False)
        other = self._version(with_id, keeps=False) if with_id else content_of(self.aws, self.scope, self.place.path)
        document, known = _addressed(wanted, version_id), other and _addressed(other, with_id or "now")
        before = other.addresses if other else frozenset()
        serial_before = known.serial if known else None
        return RestorePlan(
            version_id, document.lineage, document.serial, serial_before, before, wanted.addresses, None, None
        )

    def _plan_undelete(self, history: History, current: Content | None, item: DigestItem | None) -> RestorePlan:
        newest = history.versions[len(history.markers)]
        content = current or self._version(newest.version.version_id, keeps=False)
        document = None if content.is_unjudged else _readable(content, newest.version.version_id)
        lineage, serial = (document.lineage, document.serial) if document else (None, None)
        return RestorePlan(
            newest.version.version_id,
            lineage,
            serial,
            serial if current else None,
            _addresses(current),
            _addresses(content),
            content.md5 if item else None,
            item,
            markers=() if current else history.markers,
        )

    def _plan_restore(
        self, history: History, current: Content | None, item: DigestItem | None, version_id: str
    ) -> RestorePlan:
        wanted = self._version(version_id, keeps=True)
        document = _readable(wanted, version_id)
        self._check_lineage(history, current, document)
        body, serial = self._body_and_serial(history, current, wanted, document, version_id)
        condition = {"IfMatch": current.answer["ETag"]} if current else {"IfNoneMatch": "*"}
        return RestorePlan(
            version_id,
            document.lineage,
            serial,
            _serial_of(current),
            _addresses(current),
            _addresses(wanted),
            (current.md5 if current and body is None else _md5(body or b"")) if item else None,
            item,
            body,
            terms=condition | self._encrypted_like(current or wanted),
        )

    def _body_and_serial(
        self, history: History, current: Content | None, wanted: Content, document: Document, version_id: str
    ) -> tuple[bytes | None, int | None]:
        """The body to write and its serial; no body if the state has that content already."""
        known, highest = _serial_of(current), history.highest_serial
        try:
            if current and known == highest and current.md5 == _md5(_numbered(wanted, known)):
                return None, known
            return _numbered(wanted, highest + 1), highest + 1
        except Invalid as reason:  # its serial cannot be changed
            if current and current.md5 == wanted.md5:
                return None, document.serial
            if REUSE_SERIAL not in self.allow:
                raise Refused(
                    f"version {version_id} cannot be given a new serial: {reason}. allow: [{REUSE_SERIAL}] restores it "
                    f"byte for byte, with the serial {document.serial}; the highest serial of the state is {highest}. "
                    "Clients then take a plan that was saved at that serial for a current one, and refuse plans that "
                    "were saved later: delete all saved plans first"
                ) from None
            return wanted.body, document.serial

    def _check_lineage(self, history: History, current: Content | None, wanted: Document) -> None:
        newest = history.newest.document if history.newest else None
        known = newest or next((document for _unused, document in history.documents), None)
        lineage = current.document.lineage if current and current.document else known and known.lineage
        if lineage != wanted.lineage and CHANGE_LINEAGE not in self.allow:
            raise Refused(
                f"the version has the lineage {wanted.lineage}, and the state {self.place.path} has {lineage}: they "
                f"are different states, or one was created again; allow: [{CHANGE_LINEAGE}] permits it"
            )

    def _version(self, version_id: str, keeps: bool) -> Content:
        content = content_of(self.aws, self.scope, self.place.path, version_id, keeps)
        if content is None:
            kind = Refused if versions_of(self.aws, self.scope, self.place.path, 1) else NoState
            raise kind(f"{self.place.path} has no version {version_id}: tf_backend_info lists its versions")
        return content

    def carry_out(self, version_id: str | None, lock_id: str | None) -> RestorePlan:
        with exclusive(self.aws, self.place, OPERATION, lock_id) as exclusion:
            plan = self.plan(version_id)
            exclusion.check()
            try:
                if plan.markers:
                    self._undelete(plan)
                elif plan.body is not None:
                    self._write(plan.body, plan.terms or {})
                exclusion.check()
                self._update_digest(plan)
            except BaseException:  # else a client would find a state that does not match its digest
                exclusion.keeps_lock = bool(self.done) and plan.item is not None
                raise
        return plan

    def _undelete(self, plan: RestorePlan) -> None:
        """Removes markers until the state exists: the order of markers of the same second is unknown."""
        markers = plan.markers
        try:
            while markers:
                self._remove(markers)
                is_there = not isinstance(fingerprint(self.aws, self.scope, self.place.path), Failure)
                markers = () if is_there else history_of(self.aws, self.scope, self.place.path).markers
        except CallFailed as refused:
            if refused.failure.code not in DENIED:
                raise
            self.aws.warnings.append(f"the delete marker stays, and a copy was written over it: {refused}")
            content = self._version(plan.version_id, keeps=True)
            self._write(content.body or b"", {"IfNoneMatch": "*", **self._encrypted_like(content)})

    def _remove(self, markers: Iterable[Version]) -> None:
        for marker in markers:
            self.aws.write(Call("s3", "delete_object", {**self._object, "VersionId": marker.version_id}))
            self.done.append(f"delete marker {marker.version_id} removed")

    def _encrypted_like(self, content: Content) -> dict[str, Any]:
        """The requested encryption, or that of the content."""
        answer = content.answer
        return dict(self.place.encryption) or {name: answer[name] for name in ENCRYPTION if answer.get(name)}

    def _write(self, body: bytes, terms: Mapping[str, Any]) -> None:
        content = {"Body": body, "ContentType": "application/json", "ChecksumAlgorithm": "SHA256"}
        asked = {**self._object, **content, **terms}
        try:
            self.aws.write(Call("s3", "put_object", asked))
        except CallFailed as refused:
            if refused.failure.code not in UNMET or self._md5_now() != _md5(body):  # else a reply was lost
                raise
        self.done.append("state written")

    def _update_digest(self, plan: RestorePlan) -> None:
        """Writes the digest of the state that is read back."""
        if plan.item is None or plan.item.text == plan.digest:
            return
        md5 = self._md5_now()
        if md5 is None or md5 != plan.digest:
            raise TfstateError(
                f"a client without a lock has written {self.place.path} meanwhile: run again{MAYBE_UNSEEN}"
            )
        put_digest(self.aws, self.place, plan.item, md5)
        self.done.append("digest written")

    def _md5_now(self) -> str | None:
        content = content_of(self.aws, self.scope, self.place.path)
        return content.md5 if content else None

    @property
    def _object(self) -> dict[str, Any]:
        return {**self.scope.bucket.bucket, "Key": self.place.path}


def _readable(content: Content, version_id: str) -> Document:
    if content.document is None:
        reason = getattr(content.parsed, "reason", "")
        raise Refused(f"version {version_id} cannot be read by a client: {reason}; restore another one")
    return content.document


def _addressed(content: Content, version_id: str) -> Document:
    document = _readable(content, version_id)
    if document.version != CURRENT:
        raise Refused(f"what version {version_id} holds is not known: a client encrypted it, or an old client wrote it")
    return document


def _serial_of(content: Content | None) -> int | None:
    return content.document.serial if content and content.document else None


def _addresses(content: Content | None) -> frozenset[str] | None:
    """None if they cannot be known: a client encrypted the state, an old client wrote it, or it is too large."""
    if content is None:
        return frozenset()
    is_unknown = content.is_unjudged or (content.document and content.document.version != CURRENT)
    return None if is_unknown else content.addresses


def _numbered(content: Content, serial: int | None) -> bytes:
    return with_serial(content.body or b"", serial or 0)


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a version of a state, or a file: as a new version with the highest serial, or by removing the delete marker.

What has a serial that cannot be changed is restored byte for byte, if that is allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._aws.errors import DENIED, MAYBE_UNSEEN
from .._aws.protocols import BackendClient
from .._core.model import Call, CallFailed, Failure, Invalid, TfstateError
from .._core.printable import printable
from .._engine.guard import Refused
from .._locks.locking import UNMET
from .._locks.maintenance import exclusive
from .._locks.stores import Place
from .._state.errors import NoState
from .._state.history import Content, History, StateVersion, content_of, content_of_file, history_of
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
#: Permits to write a file where there is no version and no digest of a state.
NEW_STATE = "new_state"
#: Permits to leave a state of another lineage than that of the deleted one.
KEEP_CURRENT = "keep_current"
#: The encryption parameters of GetObject and PutObject.
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")


@dataclass(frozen=True)
class Wanted:
    """What a task names: a version, or a file. None of both: the version that was deleted."""

    version_id: str | None = None
    src: str | None = None

    def __str__(self) -> str:
        return printable(self.src) if self.src else f"version {self.version_id}"


@dataclass(frozen=True)
class RestorePlan:
    """How the state gets the content that is wanted. `before`, `after`: addresses of instances; None: not known."""

    #: None: a file.
    version_id: str | None
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
    #: Of a comparison: the lineage of the other version, and the instances that are in both and differ.
    lineage_before: str | None = None
    modified: frozenset[str] = frozenset()
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

    def plan(self, wanted: Wanted) -> RestorePlan:
        """Plans to restore what is wanted. Raises TfstateError if it is refused."""
        history = history_of(self.aws, self.scope, self.place.path)
        if history.newest is None and not wanted.src:
            raise NoState(f"there is no version of {self.place.path}: is the key right, and the workspace?")
        current = content_of(self.aws, self.scope, self.place.path)
        item = digest_of(self.aws, self.place) if self.place.table else None
        if wanted.src and not history.versions:
            self._check_new(item)
        if wanted.version_id or wanted.src:
            return self._plan_restore(history, current, item, wanted)
        return self._plan_undelete(history, current, item)

    def compared(self, wanted: Wanted, with_id: str | None) -> RestorePlan:
        """Compares a version or file with a version, or with the current state. It needs no lock."""
        content = self._content(wanted, keeps=False)
        other = self._version(with_id, keeps=False) if with_id else content_of(self.aws, self.scope, self.place.path)
        document = _addressed(content, wanted)
        known = other and _addressed(other, Wanted(with_id or "now"))
        before = other.addresses if other else frozenset()
        serial_before = known.serial if known else None
        instances = other.instances if other else {}
        modified = frozenset(
            each for each in instances if each in content.instances and instances[each] != content.instances[each]
        )
        plan = RestorePlan(
            wanted.version_id, document.lineage, document.serial, serial_before, before, content.addresses, None, None
        )
        return replace(plan, lineage_before=known.lineage if known else None, modified=modified)

    def _check_new(self, item: DigestItem | None) -> None:
        """There is no version of the state: its digest, or the user, says that the name is right."""
        if (item is None or item.text is None) and NEW_STATE not in self.allow:
            raise NoState(
                f"there is no version of {self.place.path}, and no digest of it: check key and workspace. If they are "
                f"right, allow: [{NEW_STATE}] writes the state there"
            )

    def _plan_undelete(self, history: History, current: Content | None, item: DigestItem | None) -> RestorePlan:
        newest = history.versions[len(history.markers)]
        content = current or self._version(newest.version.version_id, keeps=False)
        document = None if content.is_unjudged else _readable(content, Wanted(newest.version.version_id))
        self._check_fork(history, newest, content)
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

    def _check_fork(self, history: History, newest: StateVersion, content: Content) -> None:
        """Raises Refused if another state was created after the deletion: which of the two is right is not known."""
        if not content.document or KEEP_CURRENT in self.allow:
            return
        deleted = history.deleted_before(content.document.lineage)
        if deleted is None:
            return
        old_id = deleted.version.version_id
        old, path = self._version(old_id, keeps=False), self.place.path
        raise Refused(
            f"{path} was deleted, and another state was created under its key. Deleted: version {old_id}, "
            f"{_described(old, deleted.version)}. Created since: version {newest.version.version_id}, "
            f"{_described(content, newest.version)}. Compare them (state: compared). To have the deleted one, use "
            f"state: restored, version_id: {old_id} and allow: [{CHANGE_LINEAGE}]; what was created since then is in "
            f"no state. To keep the other one, use allow: [{KEEP_CURRENT}]"
        )

    def _plan_restore(
        self, history: History, current: Content | None, item: DigestItem | None, wanted: Wanted
    ) -> RestorePlan:
        content = self._content(wanted, keeps=True)
        document = _readable(content, wanted)
        if history.newest:
            self._check_lineage(history, current, document, wanted)
            body, serial = self._body_and_serial(history, current, content, document, wanted)
        else:
            body, serial = content.body, document.serial
        if item and item.text and not current and item.text != content.md5:
            self._warn_of_digest(wanted)
        condition = {"IfMatch": current.answer["ETag"]} if current else {"IfNoneMatch": "*"}
        return RestorePlan(
            wanted.version_id,
            document.lineage,
            serial,
            _serial_of(current),
            _addresses(current),
            _addresses(content),
            (current.md5 if current and body is None else _md5(body or b"")) if item else None,
            item,
            body,
            terms=condition | self._encrypted_like(current or content),
        )

    def _warn_of_digest(self, wanted: Wanted) -> None:
        warning = (
            f"the lock table has the digest of another state than {wanted}: what was applied after that was written is "
            "missing from it. Let a plan show the difference before anybody applies"
        )
        if warning not in self.aws.warnings:  # a plan is made again under the lock
            self.aws.warnings.append(warning)

    def _body_and_serial(
        self, history: History, current: Content | None, content: Content, document: Document, wanted: Wanted
    ) -> tuple[bytes | None, int | None]:
        """The body to write and its serial; no body if the state has that content already."""
        known, highest = _serial_of(current), history.highest_serial
        next_serial = max(highest + 1, document.serial or 0)  # a file may be newer than all versions
        try:
            if current and known == highest and current.md5 == _md5(_numbered(content, known)):
                return None, known
            return _numbered(content, next_serial), next_serial
        except Invalid as reason:  # its serial cannot be changed
            if current and current.md5 == content.md5:
                return None, document.serial
            if REUSE_SERIAL not in self.allow:
                raise Refused(
                    f"{wanted} cannot be given a new serial: {reason}. allow: [{REUSE_SERIAL}] restores it "
                    f"byte for byte, with the serial {document.serial}; the highest serial of the state is {highest}. "
                    "Clients then take a plan that was saved at that serial for a current one, and refuse plans that "
                    "were saved later: delete all saved plans first"
                ) from None
            return content.body, document.serial

    def _check_lineage(self, history: History, current: Content | None, document: Document, wanted: Wanted) -> None:
        newest = history.newest.document if history.newest else None
        known = newest or next((each for _unused, each in history.documents), None)
        lineage = current.document.lineage if current and current.document else known and known.lineage
        if lineage != document.lineage and CHANGE_LINEAGE not in self.allow:
            raise Refused(
                f"{wanted} has the lineage {document.lineage}, and the state {self.place.path} has {lineage}: they "
                f"are different states, or one was created again; allow: [{CHANGE_LINEAGE}] permits it"
            )

    def _content(self, wanted: Wanted, keeps: bool) -> Content:
        return content_of_file(wanted.src) if wanted.src else self._version(wanted.version_id or "", keeps)

    def _version(self, version_id: str, keeps: bool) -> Content:
        content = content_of(self.aws, self.scope, self.place.path, version_id, keeps)
        if content is None:
            kind = Refused if versions_of(self.aws, self.scope, self.place.path, 1) else NoState
            raise kind(f"{self.place.path} has no version {version_id}: tf_backend_info lists its versions")
        return content

    def carry_out(self, wanted: Wanted, lock_id: str | None) -> RestorePlan:
        with exclusive(self.aws, self.place, OPERATION, lock_id) as exclusion:
            plan = self.plan(wanted)
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
            content = self._version(plan.version_id or "", keeps=True)
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


def _described(content: Content, version: Version) -> str:
    document = content.document
    about = f"lineage {document.lineage}, serial {document.serial}" if document else "no lineage that can be read"
    return f"{about}, {len(content.addresses)} resources, last modified {version.last_modified:%Y-%m-%dT%H:%M:%SZ}"


def _readable(content: Content, wanted: Wanted) -> Document:
    if content.document is None:
        reason = getattr(content.parsed, "reason", "")
        raise Refused(f"{wanted} cannot be read by a client: {reason}; restore another one")
    return content.document


def _addressed(content: Content, wanted: Wanted) -> Document:
    document = _readable(content, wanted)
    if document.version != CURRENT:
        raise Refused(f"what {wanted} holds is not known: a client encrypted it, or an old client wrote it")
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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The versions of one state: the head of each, and the whole content of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .._aws.errors import NO_SUCH_OBJECT, NO_SUCH_VERSION, cause_of
from .._aws.protocols import BackendClient, BackendReader
from .._core.model import CallFailed, Failure, Invalid, Response
from .._core.printable import printable
from .._local.files import check_regular
from .._terraform.scope import Scope
from .._terraform.state_document import Document, UnreadableState, addresses_of
from .._terraform.state_parser import Reading
from .inspection import EMPTY, Inspection, fingerprint, get, inspect
from .listing import Version, every_version_of

#: A state that is written again is held in memory more than once.
LARGEST = 128 * 1024 * 1024
PIECE = 1024 * 1024


@dataclass(frozen=True)
class StateVersion:
    """A version and its content; None for a delete marker."""

    version: Version
    parsed: Document | UnreadableState | None

    @property
    def document(self) -> Document | None:
        return self.parsed if isinstance(self.parsed, Document) else None


@dataclass(frozen=True)
class History:
    """The versions of one state, the newest first."""

    versions: tuple[StateVersion, ...]

    @property
    def markers(self) -> tuple[Version, ...]:
        """The delete markers that hide the state."""
        hiding = []
        for each in self.versions:
            if not each.version.is_delete_marker:
                break
            hiding.append(each.version)
        return tuple(hiding)

    @property
    def newest(self) -> StateVersion | None:
        """The newest version that is not a delete marker."""
        return next((each for each in self.versions if not each.version.is_delete_marker), None)

    @property
    def documents(self) -> list[tuple[Version, Document]]:
        return [(each.version, each.document) for each in self.versions if each.document]

    @property
    def highest_serial(self) -> int:
        return max((document.serial or 0 for _unused, document in self.documents), default=0)

    def deleted_before(self, lineage: str | None) -> StateVersion | None:
        """The newest version of another lineage that was deleted before this one was created; None: there is none.

        Of versions and delete markers of one second the order is not known. A lineage that is older than the other one
        was there before it.
        """
        below = self.versions[len(self.markers) + 1 :]
        known = [(each, each.document.lineage) for each in below if each.document]
        place = next((place for place, (_each, other) in enumerate(known) if other != lineage), None)
        if place is None or any(other == lineage for _each, other in known[place:]):
            return None
        found = known[place][0]
        deletions = [each.version for each in below if each.version.is_delete_marker]
        is_deleted = any(each.last_modified >= found.version.last_modified for each in deletions)
        return found if is_deleted else None

    def like(self, wanted: Document) -> list[Version]:
        """The versions before the newest one with this lineage and serial."""
        older = [(each.version, each.document) for each in self.versions[len(self.markers) + 1 :]]
        numbers = (wanted.lineage, wanted.serial)
        return [version for version, document in older if document and (document.lineage, document.serial) == numbers]

    def disagreement(self) -> str | None:
        """Why the newest version does not continue the versions before it."""
        newest, *older = self.versions[len(self.markers) :]
        known = [(each.version, each.document) for each in older if each.document]
        if not newest.document or not known:
            return None
        lineage, serial = newest.document.lineage, newest.document.serial or 0
        version, before = known[0]
        if before.lineage != lineage:
            return (
                f"its lineage is {lineage}, and that of the version before it, {version.version_id}, {before.lineage}"
            )
        for version, document in known:
            if document.lineage == lineage and (document.serial or 0) > serial:
                return f"its serial is {serial}, and that of an older version, {version.version_id}, {document.serial}"
        return None


@dataclass(frozen=True)
class Content:
    """A state that was read to its end. `answer`: the answer of S3; empty for a file."""

    parsed: Document | UnreadableState
    md5: str
    addresses: frozenset[str]
    #: A hash of each instance, by its address. No value leaves this.
    instances: Mapping[str, str]
    answer: Response
    #: None unless it was requested.
    body: bytes | None

    @property
    def is_unjudged(self) -> bool:
        return isinstance(self.parsed, UnreadableState) and self.parsed.is_unjudged

    @property
    def document(self) -> Document | None:
        return self.parsed if isinstance(self.parsed, Document) else None


def history_of(aws: BackendClient, scope: Scope, path: str) -> History:
    versions = every_version_of(aws, scope, path)
    if isinstance(versions, Failure):
        raise CallFailed(versions)
    inspections = aws.together([partial(_inspect, aws, scope, path, each) for each in versions])
    return History(
        tuple(
            _state_version(aws, version, inspection)
            for version, inspection in zip(versions, inspections, strict=True)
            if inspection
        )
    )


def _inspect(aws: BackendReader, scope: Scope, path: str, version: Version) -> Inspection | None:
    """None for a version that was deleted meanwhile."""
    if version.is_delete_marker:
        return Inspection(None, None, version.version_id)
    inspection = inspect(aws, scope, path, version.size, False, VersionId=version.version_id)
    return (
        None
        if inspection.is_gone or (inspection.failure and inspection.failure.code == "NoSuchVersion")
        else inspection
    )


def _state_version(aws: BackendClient, version: Version, inspection: Inspection) -> StateVersion:
    if inspection.failure and cause_of(inspection.failure) != "archived":
        raise CallFailed(inspection.failure)
    if inspection.failure:
        aws.warnings.append(f"version {version.version_id} is archived: its serial is not known")
    return StateVersion(version, UnreadableState("it is archived") if inspection.failure else inspection.document)


class _Body:
    """A body as it is streamed: parsed, hashed, and kept only if requested."""

    def __init__(self, keeps: bool) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.addresses: set[str] = set()
        self.instances: dict[str, str] = {}
        self.reading = Reading(self._resource)
        self.kept = bytearray() if keeps else None
        self.length = 0

    def _resource(self, resource: Mapping[str, Any]) -> None:
        addresses = [*addresses_of(resource)]
        self.addresses.update(addresses)
        for address, instance in zip(addresses, resource.get("instances") or (), strict=True):
            text = json.dumps(instance, sort_keys=True, default=str)
            self.instances[address] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def take(self, piece: bytes) -> None:
        self.length += len(piece)
        self.md5.update(piece)
        self.reading.feed(piece)
        if self.kept is not None:
            self.kept += piece
            if len(self.kept) > LARGEST:
                raise Invalid(f"the state has more than {LARGEST // 1048576} MiB, and would have to be held in memory")

    def content(self, answer: Response) -> Content:
        parsed = self.reading.end() if self.length else EMPTY
        kept = None if self.kept is None else bytes(self.kept)
        return Content(parsed, self.md5.hexdigest(), frozenset(self.addresses), self.instances, answer, kept)


def content_of(
    aws: BackendClient, scope: Scope, path: str, version_id: str | None = None, keeps: bool = False
) -> Content | None:
    """The content of the state, or of a version; None if it does not exist."""
    bodies: list[_Body] = []

    def begin() -> Callable[[bytes], object]:
        bodies[:] = [_Body(keeps)]
        return bodies[0].take

    answer = aws.stream(get(scope, path, **({"VersionId": version_id} if version_id else {})), begin)
    if isinstance(answer, Failure) and answer.code in (NO_SUCH_VERSION if version_id else NO_SUCH_OBJECT):
        return None
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    return bodies[0].content(answer)


def content_of_file(path: str) -> Content:
    """The content of a state on the disk of this machine. Raises Invalid."""
    body = _Body(keeps=True)
    try:
        check_regular(path)
        with Path(path).open("rb") as stream:
            while piece := stream.read(PIECE):
                body.take(piece)
    except OSError as error:
        raise Invalid(f"src: {printable(path)} cannot be read: {error.strerror}") from None
    return body.content({})


def versions_of_same_serial(
    aws: BackendClient, scope: Scope, path: str, history: History, content: Content
) -> dict[str, str | None]:
    """The MD5 of each older version, by its id, with the serial of the state and other content."""
    found = {}
    for version in history.like(content.document) if content.document else ():
        answer = fingerprint(aws, scope, path, version.version_id, reads=True)
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        found[version.version_id] = answer["md5"]
    return {version_id: md5 for version_id, md5 in found.items() if md5 != content.md5}

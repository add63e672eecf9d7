# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Older versions of what is no state any more: an object that was one was overwritten or deleted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from .._aws.errors import NO_SUCH_VERSION
from .._aws.protocols import BackendReader
from .._core.model import Failure
from .._terraform.scope import Scope
from .._terraform.state_document import Document
from .inspection import inspect
from .kind import Kind
from .listing import Version, Versions

#: So many older versions of an object are read, the newest first, until one is a state.
MOST_READ = 3


@dataclass(frozen=True)
class OlderState:
    """The newest older version that is a state; without one, why it is not known, if it is not."""

    version_id: str | None = None
    document: Document | None = None
    failure: Failure | None = None

    @property
    def was_state(self) -> bool:
        return self.version_id is not None

    @property
    def resources(self) -> int | None:
        """How many managed resources it held; None if that is not known, or too many to have been counted."""
        return self.document.resources if self.document and not self.document.is_encrypted else None


def older_states(aws: BackendReader, scope: Scope, paths: Collection[str], versions: Versions) -> dict[str, OlderState]:
    """By path; those without older versions are left out."""
    older = {path: _older(versions.newest.get(path, [])) for path in sorted(paths)}
    works = {path: partial(_newest_state, aws, scope, path, kept) for path, kept in older.items() if kept}
    return dict(zip(works, aws.together([*works.values()]), strict=True)) if works else {}


def _older(kept: list[Version]) -> list[Version]:
    """Those that may be states, behind the current version or its delete marker."""
    return [each for each in kept if not each.is_latest and not each.is_delete_marker and each.size][:MOST_READ]


def _newest_state(aws: BackendReader, scope: Scope, path: str, kept: list[Version]) -> OlderState:
    failure = None
    for version in kept:
        look = inspect(aws, scope, path, version.size, False, VersionId=version.version_id)
        if look.kind() in (Kind.STATE, Kind.ENCRYPTED) and isinstance(look.document, Document):
            return OlderState(version.version_id, look.document)
        if look.failure and look.failure.code not in NO_SUCH_VERSION:
            failure = failure or look.failure
    return OlderState(failure=failure)

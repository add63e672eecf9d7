# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was found in a backend, as rows of a task's result: never a body, nor a value of a state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from .._aws.errors import cause_of
from .._core.storage_classes import ARCHIVES
from .._repair.digest_check import Digest
from .._state.inspection import Inspection, ObservedLock
from .._state.listing import Object, Objects, Version, Versions
from .._state.older_states import OlderState
from .._terraform.protocol import LockInfo, id_hash
from .._terraform.scope import Scope
from .._terraform.state_document import Document, UnreadableState


def state_row(
    scope: Scope,
    found: Objects,
    path: str,
    look: Inspection | None,
    versions: Versions | None,
    older: OlderState | None = None,
) -> dict[str, Any]:
    document = look.document if look and isinstance(look.document, Document) else None
    problem = (
        look.failure or (look.document.reason if isinstance(look.document, UnreadableState) else None) if look else None
    )
    each = found.states[path]
    return {
        **_about(scope, path, versions),
        "size": each.size,
        "last_modified": _iso(each.last_modified),
        **({"version_id": look.version_id} if look and look.version_id else {}),
        "lineage": document and document.lineage,
        "serial": document and document.serial,
        "md5": look and look.md5,
        "terraform_version": document and document.terraform_version,
        "resources": document and document.resources,
        "data_resources": document and document.data_resources,
        "is_encrypted": document and document.is_encrypted,
        "is_deleted": False,
        "is_readable": look and look.is_readable,
        "is_archived": _is_archived(each, look),
        "storage_class": each.storage_class,
        "problem": str(problem) if problem else None,
        **_older(older),
    }


def _older(older: OlderState | None) -> dict[str, Any]:
    """Only of what was looked for."""
    return {"older_version_id": older.version_id} if older else {}


def _is_archived(each: Object, look: Inspection | None) -> bool:
    """Whether it is in an archive. It can then be read for as long as a restored copy of it is there."""
    return each.storage_class in ARCHIVES or bool(look and look.failure and cause_of(look.failure) == "archived")


_UNREAD = dict.fromkeys(
    ("lineage", "serial", "md5", "terraform_version", "resources", "data_resources", "is_encrypted")
)
_NOWHERE = {"is_archived": False, "storage_class": None}


def deleted_row(
    scope: Scope, path: str, kept: Sequence[Version], versions: Versions | None, older: OlderState | None = None
) -> dict[str, Any]:
    """With `older`, `resources` are those that it held."""
    about = {**_about(scope, path, versions), "size": None, "last_modified": _iso(kept[0].last_modified)}
    held = {"resources": older.resources, **_older(older)} if older else {}
    return {**about, **_UNREAD, "is_deleted": True, "is_readable": None, **_NOWHERE, "problem": None, **held}


def _about(scope: Scope, path: str, versions: Versions | None) -> dict[str, Any]:
    key, workspace = scope.split(path)
    is_listed = versions and (versions.stopped_at is None or path < versions.stopped_at)
    kept = versions.newest.get(path, []) if versions and is_listed else None
    return {
        "path": path,
        "key": key,
        "workspace": workspace,
        "version_id": kept[0].version_id if kept else None,
        "version_count": versions.counts.get(path, 0) if versions and is_listed else None,
        "versions": None if kept is None else [_version(version) for version in kept],
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "last_modified": _iso(version.last_modified),
        "size": None if version.is_delete_marker else version.size,
        "is_latest": version.is_latest,
        "is_delete_marker": version.is_delete_marker,
        "storage_class": version.storage_class,
    }


def lock_row(lock: ObservedLock) -> dict[str, Any]:
    info = lock.info if isinstance(lock.info, LockInfo) else None
    name = info.id if info else lock.seen and lock.seen.strip('"')
    return {
        "path": lock.path,
        "store": lock.store,
        "lock_id": info and info.id,
        "lock_id_sha256": id_hash(name) if name else None,
        "operation": info and info.operation,
        "info": info and info.info,
        "who": info and info.who,
        "client": info and info.version,
        "created": info and info.created_if_known,
        "age_s": lock.age_s,
        "is_wedged": None if lock.failure else info is None,
        "is_canonical": None if lock.failure else lock.is_canonical,
        "problem": lock.problem,
        "fingerprint": lock.seen,
    }


def digest_row(each: Digest) -> dict[str, Any]:
    return {
        "path": each.path,
        "status": each.status,
        "digest": each.digest,
        "actual": each.actual,
        "matches_version": each.matches_version,
        "conflict": each.conflict,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a teardown would delete: states and other objects by name, and the number of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from .._aws.protocols import BackendClient
from .._backup.inventory import of_bucket
from .._backup.manifest import Listed, RawItem
from .._core.model import Target
from .._state.inspection import Inspection, inspect_states
from .._state.listing import Object, Objects, TableItem
from .._terraform.scope import SUFFIX, Scope
from .._terraform.state_document import Document

#: At most this many states and other objects are named.
NAMED = 50


@dataclass(frozen=True)
class Impact:
    bucket: Target
    versions: Sequence[Listed]
    items: Sequence[RawItem]
    looks: dict[str, Inspection]

    @property
    def current(self) -> list[Listed]:
        """The current objects that are not lock files."""
        return [
            each
            for each in self.versions
            if _is_object(each) and (each.key in self.looks or not each.key.endswith(SUFFIX))
        ]

    @property
    def own(self) -> list[TableItem]:
        return of_bucket(self.items, self.bucket.name)

    @property
    def is_empty(self) -> bool:
        return not self.versions and not self.own

    def to_result(self) -> dict[str, Any]:
        counts = Counter(each.key for each in self.versions)
        rows = [self._row(each, counts[each.key]) for each in self.current]
        states = [row for row in rows if "serial" in row]
        others = [row for row in rows if "serial" not in row]
        markers = [each for each in self.versions if each.is_delete_marker]
        return {
            "states": states[:NAMED],
            "objects": others[:NAMED],
            "counts": {
                "states": len(states),
                "objects": len(others),
                "versions": len(self.versions) - len(markers),
                "delete_markers": len(markers),
                "bytes": sum(each.size for each in self.versions),
                "locks": len([item for item in self.own if not item.is_digest]),
                "digests": len([item for item in self.own if item.is_digest]),
            },
        }

    def _row(self, each: Listed, count: int) -> dict[str, Any]:
        look = self.looks.get(each.key)
        document = look.document if look and isinstance(look.document, Document) else None
        about = {"key": each.key, "size": each.size, "versions": count}
        return {**about, "lineage": document.lineage, "serial": document.serial} if document else about


def impact_of(aws: BackendClient, bucket: Target, versions: Sequence[Listed], items: Sequence[RawItem]) -> Impact:
    found = inspect_states(aws, Scope(bucket), objects_in(versions), wants_counts=False)
    return Impact(bucket, versions, items, found | misnamed_states(aws, bucket, versions))


def misnamed_states(aws: BackendClient, bucket: Target, versions: Sequence[Listed]) -> dict[str, Inspection]:
    """By key: the states whose name is that of a lock file, if the state of that lock file does not exist."""
    found = objects_in(versions)
    alone = {f"{path}{SUFFIX}": each for path, each in found.lock_files.items() if path not in found.states}
    named = Objects(found.now, {key: replace(each, path=key) for key, each in alone.items()})
    states = inspect_states(aws, Scope(bucket), named, wants_counts=False) if alone else {}
    return {
        key: each for key, each in states.items() if isinstance(each.document, Document) and not each.document.is_bare
    }


def objects_in(versions: Sequence[Listed]) -> Objects:
    """The current objects, as a listing without versions would show them."""
    found = Objects(datetime.now(timezone.utc))
    for each in versions:
        path = each.key.removesuffix(SUFFIX)
        if _is_object(each):
            place = found.lock_files if each.key != path else found.states
            place[path] = Object(path, each.size, datetime.fromisoformat(each.last_modified))
    return found


def _is_object(each: Listed) -> bool:
    return each.is_latest and not each.is_delete_marker

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two backends of a move: the one that states come from, and the one that they go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .._aws.client import Aws
from .._aws.write_tracker import WriteTracker
from .._core.model import Target
from .._locks.stores import Place
from .._terraform.protocol import state_path
from .._terraform.scope import Scope
from .._terraform.state_name import StateName
from .project_update import NamedBackend
from .stored_state import StoredState


@dataclass(frozen=True)
class Endpoint:
    """A backend that states come from or go to. Without a `key`, all states of the bucket."""

    aws: Aws
    bucket: Target
    #: None: unknown whether there is one; empty: there is none.
    table: str | None
    key: str | None
    workspace_key_prefix: str
    written: WriteTracker

    @property
    def name(self) -> StateName:
        return StateName(self.bucket.name, self.key or "", workspace_key_prefix=self.workspace_key_prefix)

    def path(self, workspace: str) -> str:
        return state_path(self.key or "", workspace, self.workspace_key_prefix)

    @property
    def named(self) -> NamedBackend:
        return NamedBackend(
            self.bucket.name, self.key, self.workspace_key_prefix, self.bucket.region, self.table or None
        )

    def scope(self, keys: tuple[str, ...] = ()) -> Scope:
        return Scope(self.bucket, self.table or None, keys, self.workspace_key_prefix)

    def stored(self, path: str, encryption: Mapping[str, str]) -> StoredState:
        place = Place(self.bucket.name, path, self.table or None, self.bucket.owner, encryption)
        return StoredState(self.aws, place, encryption)

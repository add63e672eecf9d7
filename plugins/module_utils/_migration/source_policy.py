# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy of the source bucket: which states it denies, and which it is going to deny."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._core.model import Failure
from .._state import listing
from .deny_policy import EVERYTHING, check_names, denied_states, deny, not_denied
from .endpoints import Endpoint


@dataclass
class SourcePolicy:
    """`is_whole`: everything in the bucket moves, so that the whole bucket can be denied."""

    side: Endpoint
    is_whole: bool
    #: The states that this run denies: planned, and done.
    planned: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def denied(self) -> set[str]:
        return denied_states(self.side.aws, self.side.bucket)

    def plan(self, paths: set[str]) -> None:
        """Raises Invalid if these states cannot be denied."""
        self.planned = not_denied(self.side.aws, self.side.bucket, self._wanted(paths))

    def put(self, paths: set[str]) -> None:
        self.done = deny(self.side.aws, self.side.bucket, self._wanted(paths))

    def _wanted(self, paths: set[str]) -> set[str]:
        """The whole bucket if it holds nothing else, as clients that started there meanwhile must be able to finish.

        Raises Invalid for names that cannot be denied one by one.
        """
        if self.is_whole and self._holds_only(paths):
            return {EVERYTHING}
        check_names(paths)
        return paths

    def _holds_only(self, paths: set[str]) -> bool:
        """Whether there is no other object and no other lock. False if that cannot be read."""
        scope = self.side.scope()
        found = listing.objects(self.side.aws, scope)
        items = listing.items(self.side.aws, scope, scope.table) if scope.table else []
        if isinstance(found, Failure) or isinstance(items, Failure):
            return False
        locked = {item.path for item in items if not item.is_digest}
        return {*found.states, *found.lock_files} | locked <= paths

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which states of a backend are asked about, and how their paths are to be read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .._core.model import Target
from .protocol import DEFAULT_WORKSPACE, WORKSPACE_KEY_PREFIX

SUFFIX = ".tflock"
#: Not a state: its lock file is the lease of the operation that works on all states of the bucket.
LEASE = "cornerstone.tfstate/operation"


@dataclass(frozen=True)
class Scope:
    """A backend, or the part of it whose states have such keys or paths."""

    bucket: Target
    table: str | None = None
    #: Shell patterns; none means all.
    keys: tuple[str, ...] = ()
    workspace_key_prefix: str = WORKSPACE_KEY_PREFIX
    #: What uploads of lock files say of theirs.
    encryption: Mapping[str, str] = field(default_factory=dict)

    def takes(self, path: str) -> bool:
        names = {path, self.split(path)[0]}
        return not self.keys or any(fnmatchcase(name, pattern) for name in names for pattern in self.keys)

    def unmatched(self, paths: Collection[str]) -> list[str]:
        """The keys that are no patterns, and that none of these paths has."""
        names = {name for path in paths for name in (path, self.split(path)[0])}
        return [key for key in self.keys if not re.search(r"[*?\[]", key) and key not in names]

    def split(self, path: str) -> tuple[str, str]:
        """Key and workspace of a state's path.

        Without a prefix every folder looks like a workspace: only a key that was asked for by its whole name tells.
        """
        prefix = f"{self.workspace_key_prefix}/" if self.workspace_key_prefix else ""
        workspace, slash, key = path.removeprefix(prefix).partition("/")
        is_one = path.startswith(prefix) and workspace and key and slash and (prefix or key in self.keys)
        return (key, workspace) if is_one else (path, DEFAULT_WORKSPACE)

    def prefixes(self) -> list[str]:
        """What to list so as to see all that is in scope, without seeing anything twice."""
        literal = {re.split(r"[*?\[]", pattern, maxsplit=1)[0] for pattern in self.keys} or {""}
        workspaces = f"{self.workspace_key_prefix}/" if self.workspace_key_prefix else ""
        wanted = sorted(literal | {workspaces})
        return [each for each in wanted if not any(each != other and each.startswith(other) for other in wanted)]

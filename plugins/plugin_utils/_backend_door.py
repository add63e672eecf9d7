# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of modules that are about a whole backend: without a bucket, that of the role's variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup_options import SCHEME
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import Invalid, Wrote, unheard
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils import _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._door import Door


class BackendDoor(Door):
    def work(self, wrote: Wrote = unheard) -> dict[str, Any]:
        try:
            return super().work(wrote)
        except Invalid as problem:
            return {"failed": True, "msg": str(problem)}

    def arguments(self) -> dict[str, Any]:
        given = self._from_the_shell(super().arguments())
        if given.get("bucket") or not self.is_of_the_role():
            return given
        with self.environment():
            found = _role.typed(_role.given(self.known, self._templar))
        return {**_role.whereabouts(found), **given}

    def is_of_the_role(self) -> bool:
        """Whether the role's variables say what is meant where the task names no bucket."""
        return True

    def _from_the_shell(self, given: dict[str, Any]) -> dict[str, Any]:
        """A relative directory is that of the shell, as for any command, and not where a module happens to run."""
        backup = given.get("backup")
        if isinstance(backup, str) and backup and not backup.startswith(SCHEME) and self._is_local():
            return {**given, "backup": str(Path(backup).expanduser().absolute())}
        return given

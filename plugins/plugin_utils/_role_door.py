# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of modules that are, without a bucket, about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import Invalid, Wrote, unheard
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils import _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._door import Door


class RoleDoor(Door):
    def work(self, wrote: Wrote = unheard) -> dict[str, Any]:
        try:
            return super().work(wrote)
        except Invalid as problem:
            return {"failed": True, "msg": str(problem)}

    def arguments(self) -> dict[str, Any]:
        given = super().arguments()
        if not self.is_of_the_role(given):
            return given
        with self.environment():
            told = self.of_the_role(_role.typed(_role.given(self.known, self._templar)))
        return {**{name: value for name, value in told.items() if name in self.EDGE.spec}, **given}

    def is_of_the_role(self, given: Mapping[str, Any]) -> bool:
        """Whether the role's variables say which backend is meant."""
        return not given.get("bucket")

    def of_the_role(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The role's variables as options of the module."""
        return _role.whereabouts(found)

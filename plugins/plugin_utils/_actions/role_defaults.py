# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In-process runs of modules that are, without a bucket, about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op

from . import role_variables
from .in_process import ModuleAction
from .module_defaults import ModuleDefaults, over


class RoleModuleAction(ModuleAction):
    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        try:
            return super().work(on_write)
        except Invalid as problem:
            return {"failed": True, "msg": str(problem)}

    def arguments(self) -> dict[str, Any]:
        given = self.MODULE.without_blanks(super().arguments())
        if not self.uses_role_variables(given):
            return given
        module, spec = self.module, self.MODULE.spec
        defaults = ModuleDefaults(self._task, self._templar, self.task_vars.get("omit"))
        with self.environment():
            variables = role_variables.read_variables(self.task_vars, self._templar)
            from_role = self.role_options(
                role_variables.typed(role_variables.with_defaults(variables, defaults, module, spec))
            )
        own = over(defaults.of_groups(module, spec), defaults.of_module(module, spec))
        from_role = {name: value for name, value in from_role.items() if name in spec}
        return over(over(own, from_role), self.MODULE.without_blanks(defaults.explicit(module, spec)))

    def uses_role_variables(self, given: Mapping[str, Any]) -> bool:
        """Whether the role's variables say which backend is meant."""
        return not given.get("bucket")

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The role's variables as options of the module."""
        return role_variables.backend_options(values)

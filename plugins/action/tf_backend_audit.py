# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without options audits the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_audit
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import options_of
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.inventory_sources import inventory_sources
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_audit.MODULE

    def arguments(self) -> dict[str, Any]:
        sources = inventory_sources(self.task_vars)
        return {**({"inventory": sources} if sources else {}), **super().arguments()}

    def uses_role_variables(self, given: Mapping[str, Any]) -> bool:
        return super().uses_role_variables(given) and not given.get("facts")

    def _config_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the role gives to tf_backend_config, but for what the audit finds out."""
        known = role_variables.with_role_defaults(values, self.task_vars["inventory_hostname"])
        options = role_variables.arguments("config", known)
        return self.absolute_paths({name: value for name, value in options.items() if name != "allow"})

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The backend as the role would make it: what it would change is what is values."""
        bucket = role_variables.arguments("bucket", values)
        table = role_variables.arguments("table", values) if role_variables.has_table(values) else {}
        shared = {name: bucket[name] for name in role_variables.SHARED if name in bucket}
        more = {name: values.get(f"{role_variables.PREFIX}{name}") for name in ("workspace_key_prefix", "lock_mode")}
        return {
            **shared,
            **{name: value for name, value in more.items() if value is not None},
            "name": self.task_vars["inventory_hostname"],
            "bucket": bucket["name"],
            **({"table": table["name"]} if table else {}),
            "bucket_options": {name: bucket[name] for name in options_of(BUCKET) if name in bucket},
            "table_options": {name: table[name] for name in options_of(TABLE) if name in table},
            "config_options": self._config_options(values),
        }

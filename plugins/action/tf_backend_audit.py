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
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables as _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_audit.MODULE

    def is_of_the_role(self, given: Mapping[str, Any]) -> bool:
        return super().is_of_the_role(given) and not given.get("facts")

    def of_the_role(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The backend as the role would make it: what it would change is what is found."""
        bucket = _role.arguments("bucket", found)
        table = _role.arguments("table", found) if _role.has_table(found) else {}
        shared = {name: bucket[name] for name in _role.SHARED if name in bucket}
        more = {name: found.get(f"{_role.PREFIX}{name}") for name in ("workspace_key_prefix", "lock_mode")}
        return {
            **shared,
            **{name: value for name, value in more.items() if value is not None},
            "name": self.known["inventory_hostname"],
            "bucket": bucket["name"],
            **({"table": table["name"]} if table else {}),
            "bucket_options": {name: bucket[name] for name in options_of(BUCKET) if name in bucket},
            "table_options": {name: table[name] for name in options_of(TABLE) if name in table},
        }

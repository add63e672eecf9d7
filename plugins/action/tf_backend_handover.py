# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_handover
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX, backend_options

#: Options of which the role has variables, besides those of the whole backend.
OWN = ("name", "client", "client_version", "bucket_unmanaged", "table_unmanaged")


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_handover.MODULE

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: values[PREFIX + name] for name in OWN if PREFIX + name in values}
        defaults = {"name": self.task_vars["inventory_hostname"], "lock_mode": values.get(f"{PREFIX}lock_mode", "both")}
        return {**backend_options(values), **defaults, **own}

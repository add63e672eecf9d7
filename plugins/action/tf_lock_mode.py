# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_lock_mode
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX, backend_options


class ActionModule(RoleModuleAction):
    MODULE = tf_lock_mode.MODULE

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The table is named whatever the lock mode is: a step away from lock files leads to it."""
        table = values.get(f"{PREFIX}table_name")
        if not table:
            raise Invalid(f"{PREFIX}table_name is not set: name the lock table, in lock mode lockfile, too")
        return {
            **backend_options(values),
            "table": table,
            "current_lock_mode": values.get(f"{PREFIX}lock_mode", "both"),
        }

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process. Without a bucket, the role's variables may name one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import is_blank
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_restore
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_restore.MODULE
    progress = ("put_object", "restored")

    def uses_role_variables(self, given: Mapping[str, Any]) -> bool:
        return super().uses_role_variables(given) and not is_blank(self.task_vars.get(f"{PREFIX}bucket_name"))

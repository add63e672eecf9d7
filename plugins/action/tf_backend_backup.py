# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.backup import SAVED
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_backup
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.backups import backup_line


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_backup.MODULE
    progress = (SAVED, "saved")

    def line(self, result: Mapping[str, Any]) -> str:
        return backup_line(self.task_vars["inventory_hostname"], result, self._task.check_mode)

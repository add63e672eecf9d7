# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.modules import tf_state_move
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX, backend_options


class ActionModule(RoleModuleAction):
    MODULE = tf_state_move.MODULE
    progress = ("put_object_tagging", "moved")  # the mark comes last: its state has arrived

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Without a lock mode, that of the project stays."""
        lock_mode = values.get(f"{PREFIX}lock_mode")
        return {**backend_options(values), **({"lock_mode": lock_mode} if lock_mode else {})}

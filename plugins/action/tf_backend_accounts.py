# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_accounts
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import ModuleAction


class ActionModule(ModuleAction):
    MODULE = tf_backend_accounts.MODULE

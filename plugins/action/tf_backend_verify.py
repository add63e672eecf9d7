# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_verify
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_verify.MODULE

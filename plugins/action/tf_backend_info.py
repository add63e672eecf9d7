# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of the module of the same name, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tf_backend_info import INFO
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleDoor


class ActionModule(RoleDoor):
    EDGE = INFO

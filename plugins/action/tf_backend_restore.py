# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of the module of the same name. Without a bucket, the role's variables may name one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import tf_backend_restore as _backend_restore
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import is_blank
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleDoor
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX


class ActionModule(RoleDoor):
    EDGE = _backend_restore.EDGE

    def is_of_the_role(self, given: Mapping[str, Any]) -> bool:
        return super().is_of_the_role(given) and not is_blank(self.known.get(f"{PREFIX}bucket_name"))

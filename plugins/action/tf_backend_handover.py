# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_handover
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX, whereabouts

#: Options of which the role has variables, besides those of the whole backend.
OWN = ("name", "client", "client_version", "bucket_unmanaged", "table_unmanaged")


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_handover.MODULE

    def of_the_role(self, found: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: found[PREFIX + name] for name in OWN if PREFIX + name in found}
        defaults = {"name": self.known["inventory_hostname"], "lock_mode": found.get(f"{PREFIX}lock_mode", "both")}
        return {**whereabouts(found), **defaults, **given}

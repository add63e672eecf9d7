# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in-process, which without a bucket is about the backend of the role's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_adopt
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_defaults import RoleModuleAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import PREFIX, backend_options

#: Options of which the role has variables, besides those of the whole backend.
OWN = {
    "key": "state_key",
    "lock_mode": "lock_mode",
    "workspace_key_prefix": "workspace_key_prefix",
    "bucket_unmanaged": "bucket_unmanaged",
    "table_unmanaged": "table_unmanaged",
}


class ActionModule(RoleModuleAction):
    MODULE = tf_backend_adopt.MODULE

    def role_options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = {option: values[PREFIX + name] for option, name in OWN.items() if PREFIX + name in values}
        said = {
            f"{resource.kind}_options": {
                name: value
                for name, value in role_variables.arguments(resource.kind, values).items()
                if name in tf_backend_adopt.options_of(resource)
            }
            for resource in (BUCKET, TABLE)
        }
        return {**backend_options(values), **own, **said}

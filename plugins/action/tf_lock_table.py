# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of the module of the same name."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import edge_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import Door


class ActionModule(Door):
    EDGE = edge_of(TABLE)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of the module of the same name."""

from __future__ import annotations

from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import tf_state_move as _state_move
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import Door


class ActionModule(Door):
    EDGE = _state_move.EDGE

    def heard(self, written: str) -> None:
        """The mark comes last: its state has arrived. Whoever moves a big bucket sees it go on."""
        operation, _on, place = written.partition(" on ")
        if operation == "put_object_tagging":
            Display().display(f"moved: s3://{printable(place)}", stderr=True)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fast door of the module of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover_files import EDGE
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._door import Door


class ActionModule(Door):
    EDGE = EDGE

    def arguments(self) -> dict[str, Any]:
        """A relative directory is that of the shell, as for any command, and not where a module happens to run."""
        given = super().arguments()
        directory = given.get("directory")
        if isinstance(directory, str) and self._is_local():
            return {**given, "directory": str(Path(directory).expanduser().absolute())}
        return given

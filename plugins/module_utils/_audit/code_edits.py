# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edits of code that findings print. Pure."""

from __future__ import annotations

from .._core.commands import command, edit
from .._terraform.code_layer import CHECKOUT, Layer


def edit_layer(layer: Layer, note: str) -> str:
    """Generated code has to be changed in its source: an edit would be lost. A checkout is what its init wrote."""
    if layer.source == CHECKOUT:
        folder = [f"-chdir={layer.directory}"] if layer.directory else []
        note = f"with the backend configuration of its code, which needs: {note}"
        return command("terraform", *folder, "init", "-reconfigure", note=note)
    return edit(layer.path, f"it is generated, so in its source: {note}" if layer.is_generated else note)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals that several operations on states share."""

from __future__ import annotations

from .._engine.guard import Refused


class NotAState(Refused):
    """The object is not a state."""


class NoState(Refused):
    """There is no state under the name that was given."""

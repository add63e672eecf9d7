# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emulator and relay of these tests are the fake."""

from __future__ import annotations

from tests.unit.plugins.module_utils.fake_fixtures import emulator, project, relay, world

__all__ = ["emulator", "project", "relay", "world"]

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import dynamodb

READS = {
    "nothing said is off": ({"Table": {}}, False),
    "on": ({"Table": {"DeletionProtectionEnabled": True}}, True),
}
DESIRES = {"the baseline is on": ({}, False, True), "off if asked": ({"deletion_protection": False}, True, False)}
CALLS = {"on": (False, True, [dynamodb("update_table", DeletionProtectionEnabled=True)])}

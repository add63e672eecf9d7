# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import dynamodb

RARE = "STANDARD_INFREQUENT_ACCESS"

READS = {
    "nothing said is standard": ({"Table": {}}, "STANDARD"),
    "said": ({"Table": {"TableClassSummary": {"TableClass": RARE}}}, RARE),
}
DESIRES = {"nothing asked leaves it": ({}, RARE, RARE), "as asked": ({"table_class": RARE}, "STANDARD", RARE)}
CALLS = {"alone in its call": ("STANDARD", RARE, [dynamodb("update_table", TableClass=RARE)])}

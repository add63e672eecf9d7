# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import s3

READS = {
    "no status means that it never was on": ({}, "Disabled"),
    "suspended is not the same": ({"Status": "Suspended"}, "Suspended"),
    "MFA delete is not ours to manage": ({"Status": "Enabled", "MFADelete": "Enabled"}, "Enabled"),
}
DESIRES = {
    "the baseline is on": ({}, "Disabled", "Enabled"),
    "suspended is resumed": ({}, "Suspended", "Enabled"),
    "what is on can only be suspended": ({"versioning": False}, "Enabled", "Suspended"),
    "what never was on can stay so": ({"versioning": False}, "Disabled", "Disabled"),
}
CALLS = {
    "on": ("Disabled", "Enabled", [s3("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})]),
    "off": ("Enabled", "Suspended", [s3("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})]),
}
#: What a later S3 may answer.
LATER_READ = {"Status": "Reversed"}

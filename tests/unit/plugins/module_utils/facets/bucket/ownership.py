# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import UNKNOWN, s3


def rules(ownership: str) -> dict[str, object]:
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]}}


READS = {"the one rule counts": (rules("BucketOwnerPreferred"), "BucketOwnerPreferred")}
DESIRES = {
    "the baseline switches ACLs off": ({}, "ObjectWriter", "BucketOwnerEnforced"),
    "ACLs stay only if asked for": ({"object_ownership": "ObjectWriter"}, "ObjectWriter", "ObjectWriter"),
}
CALLS = {
    "ACLs go": (
        "ObjectWriter",
        "BucketOwnerEnforced",
        [s3("put_bucket_ownership_controls", **rules("BucketOwnerEnforced"))],
    )
}
#: What a later S3 may answer.
LATER_READ = {"OwnershipControls": {"Rules": [{"ObjectOwnership": "Everybody", **UNKNOWN}]}}

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import s3

ALL = {
    "block_public_acls": True,
    "ignore_public_acls": True,
    "block_public_policy": True,
    "restrict_public_buckets": True,
}
NONE = dict.fromkeys(ALL, False)
OPEN = {**ALL, "block_public_policy": False}

READS = {
    "what is not named is off": (
        {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}},
        {**NONE, "block_public_acls": True},
    )
}
DESIRES = {
    "the baseline blocks everything": ({}, NONE, ALL),
    "naming one flag leaves the others on": ({"public_access": {"block_public_policy": False}}, NONE, OPEN),
    "an opened flag closes when nothing is asked": ({}, OPEN, ALL),
    "a null flag is not asked": ({"public_access": dict.fromkeys(ALL)}, NONE, ALL),
}
CALLS = {
    "all four are sent, because a missing one would be off": (
        NONE,
        OPEN,
        [
            s3(
                "put_public_access_block",
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": False,
                    "RestrictPublicBuckets": True,
                },
            )
        ],
    )
}
#: What a later S3 may answer.
LATER_READ = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockMoon": True}}

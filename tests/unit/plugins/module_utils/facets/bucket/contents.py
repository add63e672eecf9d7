# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import s3

STATE = {"Key": "k", "VersionId": "null", "IsLatest": True}
RELEASED = {"Key": "k.tflock", "VersionId": "3", "IsLatest": True}
BOTH = [{"Key": "k", "VersionId": "null"}, {"Key": "k.tflock", "VersionId": "3"}]

READS = {
    "nothing": ({}, {"versions": [], "more": False}),
    "the version null is a version": (
        {"Versions": [STATE], "IsTruncated": True},
        {"versions": BOTH[:1], "more": True},
    ),
    "delete markers go, too": (
        {"Versions": [STATE], "DeleteMarkers": [RELEASED]},
        {"versions": BOTH, "more": False},
    ),
}
DESIRES = {"only the end of the bucket ends it": ({}, {"versions": BOTH}, {"versions": BOTH})}
CALLS = {
    "every version by its id": (
        {"versions": BOTH},
        {"versions": []},
        [s3("delete_objects", Delete={"Objects": BOTH, "Quiet": True})],
    )
}

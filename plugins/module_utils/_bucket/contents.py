# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies in a bucket: looked at before it is deleted, and deleted with it."""

from __future__ import annotations

from .._core import Call, Params, Response, Target, Value

NAME = "contents"
OPTIONS: dict[str, dict[str, object]] = {}
ABSENT: Value = {"versions": [], "more": False}
NOT_FOUND: set[str] = set()

#: DeleteObjects takes no more, and a page of ListObjectVersions holds as many.
PAGE = 1000


def read(target: Target) -> Call:
    return Call("s3", "list_object_versions", {**target.bucket, "MaxKeys": PAGE})


def normalise(response: Response, target: Target) -> Value:
    everything = [*response.get("Versions", []), *response.get("DeleteMarkers", [])]
    return {
        "versions": [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in everything],
        "more": bool(response.get("IsTruncated")),
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    """Deletes the page that was seen; settling plans the next one."""
    return (Call("s3", "delete_objects", {**target.bucket, "Delete": {"Objects": before["versions"], "Quiet": True}}),)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this task has put, and S3 may not show yet: for 15 minutes after versioning was first switched on.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
"""

from __future__ import annotations

from .._core.model import Call, Failure

#: So often in a row it is asked for: it may really be gone, and whoever took it away must not keep us for minutes.
LOOKS = 8
UNSEEN = {"NoSuchKey", "NoSuchVersion", "404"}


class OwnObjects:
    """The objects that we have put and not deleted since."""

    def __init__(self) -> None:
        self._put: set[tuple[str, str]] = set()

    def note(self, call: Call) -> None:
        """A write that succeeded."""
        if call.operation == "put_object":
            self._put.add(_object(call))
        if call.operation == "delete_object":
            self._put.discard(_object(call))
        if call.operation == "delete_objects":
            self._put -= {(call.params["Bucket"], each["Key"]) for each in call.params["Delete"]["Objects"]}

    def may_show(self, failure: Failure, looks: int) -> bool:
        """Whether what was not there after so many looks may be seen by another one."""
        is_ours = failure.call.service == "s3" and _object(failure.call) in self._put
        return is_ours and failure.code in UNSEEN and looks < LOOKS


def _object(call: Call) -> tuple[str, str]:
    return str(call.params.get("Bucket")), str(call.params.get("Key"))

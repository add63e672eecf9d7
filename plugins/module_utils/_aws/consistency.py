# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects that this task wrote and S3 may not show yet, for 15 minutes after versioning was first enabled.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
"""

from __future__ import annotations

from .._core.model import Call, Failure
from .errors import NO_SUCH_VERSION

#: The maximum number of attempts: if somebody really deleted the object, a longer wait would be in vain.
ATTEMPTS = 8


class OwnObjects:
    """The objects that this task has written and not deleted."""

    def __init__(self) -> None:
        self._put: set[tuple[str, str]] = set()

    def note(self, call: Call) -> None:
        """Records a successful write."""
        if call.operation == "put_object":
            self._put.add(_object(call))
        if call.operation == "delete_object":
            self._put.discard(_object(call))
        if call.operation == "delete_objects":
            self._put -= {(call.params["Bucket"], each["Key"]) for each in call.params["Delete"]["Objects"]}

    def may_show(self, failure: Failure, attempts: int) -> bool:
        """Whether an object that was not found after so many attempts may be found by the next one."""
        is_ours = failure.call.service == "s3" and _object(failure.call) in self._put
        return is_ours and failure.code in NO_SUCH_VERSION and attempts < ATTEMPTS


def _object(call: Call) -> tuple[str, str]:
    return str(call.params.get("Bucket")), str(call.params.get("Key"))

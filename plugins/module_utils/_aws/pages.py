# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the next page of an answer begins."""

from __future__ import annotations

from dataclasses import replace

from .._core.model import Call, Response

#: operation -> where the next page begins: what is asked, by what was answered.
NEXT_PAGE = {
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
    "list_object_versions": {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
    "scan": {"ExclusiveStartKey": "LastEvaluatedKey"},
}


def page_after(call: Call, answer: Response) -> Call | None:
    """The call for the page that follows; None after the last one."""
    marks = {asked: answer[told] for asked, told in NEXT_PAGE[call.operation].items() if answer.get(told)}
    is_last = not marks or answer.get("IsTruncated") is False
    return None if is_last else replace(call, params={**call.params, **marks})

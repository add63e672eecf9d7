# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pagination of answers."""

from __future__ import annotations

from dataclasses import replace

from .._core.model import Call, Response

#: operation -> parameters of the next page, and the members of the answer that they come from.
NEXT_PAGE = {
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
    "list_object_versions": {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
    "scan": {"ExclusiveStartKey": "LastEvaluatedKey"},
}


def page_after(call: Call, answer: Response) -> Call | None:
    """The call for the next page; None after the last one."""
    marks = {name: answer[member] for name, member in NEXT_PAGE[call.operation].items() if answer.get(member)}
    is_last = not marks or answer.get("IsTruncated") is False
    return None if is_last else replace(call, params={**call.params, **marks})

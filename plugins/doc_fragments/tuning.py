# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Which findings count, and how much."""

    DOCUMENTATION = r"""
options:
  severities:
    description:
      - The severity of findings, by id. Shell patterns match several. Severities are V(critical), V(high), V(medium),
        V(low) and V(info).
      - If omitted, each finding has the severity in the table of C(docs/audit.md).
    type: dict
  disabled:
    description:
      - Ids of findings to leave out, or shell patterns of ids.
      - If omitted, every finding is reported.
    type: list
    elements: str
  waivers:
    description:
      - Findings that you accept until a day. They are reported, but do not count.
      - A waiver that has expired does not apply, and is a finding itself.
    type: list
    elements: dict
    suboptions:
      id:
        description: The id of the finding, or a shell pattern of ids.
        type: str
        required: true
      reason:
        description: Why you accept it. The report shows it.
        type: str
        required: true
      until:
        description: The last day on which it is accepted, as V(2027-01-31).
        type: str
        required: true
      backend:
        description: The backend, or a shell pattern. If omitted, all of them.
        type: str
      resource:
        description: The bucket, table, state, lock or file, or a shell pattern. If omitted, all of them.
        type: str
  fail_on:
    description:
      - Fail on findings at or above this severity that are not waived.
      - If omitted, or V(never), no finding makes the task fail.
    type: str
    choices: [critical, high, medium, low, info, never]
"""

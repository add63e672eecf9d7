# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for people on the terminal, where the standard output is theirs."""

from __future__ import annotations

from ansible import constants
from ansible.utils.display import Display

#: The message of a task whose reason is in the summary.
SEE_SUMMARY = "see the summary"


def is_for_people() -> bool:
    """Whether the callback of the run writes for people: not JSON, which any further line on the output would break."""
    return "json" not in str(constants.DEFAULT_STDOUT_CALLBACK).lower()


def show(text: str) -> None:
    """Prints a text for people. A program has the same in the result of the task."""
    if is_for_people():
        Display().display(text)

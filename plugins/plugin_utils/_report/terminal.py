# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text for people on the terminal, where the standard output is theirs."""

from __future__ import annotations

from ansible import constants
from ansible.utils.color import stringc
from ansible.utils.display import Display

from .painted import Painted


def is_for_people() -> bool:
    """Whether the callback of the run writes for people.

    Any further line would break the output of one that writes JSON. The one called `null` is asked for to say nothing.
    """
    name = str(constants.DEFAULT_STDOUT_CALLBACK).lower()
    return "json" not in name and name.rpartition(".")[2] != "null"


def show(text: str, painted: str | None = None) -> None:
    """Prints a text for people, in colours if there are any. A program has the same in the result of the task."""
    if not is_for_people():
        return
    if painted is None and isinstance(text, Painted):
        painted, text = text.render(in_colour), str(text)
    if painted in (None, text):
        Display().display(text)
    else:  # as Ansible does it with its recap: no colours in the log
        Display().display(painted, screen_only=True)
        Display().display(text, log_only=True)


def in_colour(text: str, status: str) -> str:
    """The text in Ansible's colour of a status, where Ansible has colours (ANSIBLE_NOCOLOR, NO_COLOR, no terminal)."""
    colours = {"ok": constants.COLOR_OK, "changed": constants.COLOR_CHANGED, "failed": constants.COLOR_ERROR}
    return str(stringc(text, colours[status]))

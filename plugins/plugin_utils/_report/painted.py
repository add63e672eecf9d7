# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text that knows how it looks in colours. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: Gives a text the colour of a status: ok, changed or failed.
Paint = Callable[[str, str], str]


class Painted(str):
    """The text without colours; `render` makes it with some."""

    render: Callable[[Paint], str]

    @classmethod
    def of(cls, render: Callable[[Paint], str]) -> Painted:
        text = cls(render(lambda plain, _status: plain))
        text.render = render
        return text

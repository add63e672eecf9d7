# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The known names that a misspelt one may mean. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

#: How alike two names are that may be one name misspelt, from 0 to 1.
ALIKE = 0.75


def nearest(name: str, known: Iterable[str], alike: float = ALIKE) -> list[str]:
    """The known name that is most like this one, if any is."""
    return get_close_matches(name, [*known], 1, alike)


def suggestion(names: Iterable[str]) -> str:
    """The end of a sentence about an unknown name; empty without names."""
    meant = " or ".join(names)
    return f" (did you mean {meant}?)" if meant else ""


def suggestion_for(unknown: Iterable[str], known: Collection[str]) -> str:
    """The end of a sentence about unknown names, with the known ones that they may mean."""
    return suggestion(each for name in unknown for each in nearest(name, known))

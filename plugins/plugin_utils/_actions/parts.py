# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a backend that the tags of a run choose, as if each were a task of its own."""

from __future__ import annotations

from collections.abc import Set

from .._report.outcome import PARTS

#: Words for tags of any name.
_ANY = {"all", "tagged"}


def parts_by_tags(run: Set[str], skipped: Set[str], own: Set[str]) -> list[str]:
    """The parts to do. `own`: the tags of the task; one of them among those of the run chooses all parts."""
    chosen = run & {*PARTS}
    others = (own - {*PARTS}) | _ANY
    is_for_all = not chosen or run & others or "always" in own
    return [part for part in PARTS if (is_for_all or part in chosen) and part not in skipped]

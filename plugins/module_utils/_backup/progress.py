# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the versions of an object in the destination of a restore relate to the versions in the backup. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Relation(Enum):
    #: The destination has the first `count` versions of the backup and nothing else.
    PREFIX = "prefix"
    #: The destination had the whole history, and somebody changed it after that.
    AHEAD = "ahead"
    #: The destination has other versions than the backup.
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Progress:
    """`count`: how many versions of the backup need not be written any more."""

    relation: Relation
    count: int = 0
    #: The destination has the newest versions of the backup, and the older ones are gone.
    lacks_older: bool = False

    @property
    def is_diverged(self) -> bool:
        return self.relation is Relation.DIVERGED

    @property
    def is_ahead(self) -> bool:
        return self.relation is Relation.AHEAD


DIVERGED = Progress(Relation.DIVERGED)


def prefix(count: int) -> Progress:
    return Progress(Relation.PREFIX, count)


def progress(there: Sequence[str], markers: int, is_deleted: bool, wanted: Sequence[str | None]) -> Progress:
    """Compares `there`, the hashes of the versions in the destination, with `wanted`; None is a delete marker.

    A listing does not tell the order of versions and markers within one second. So they are compared separately:
    `markers` is their number, and `is_deleted` tells whether the latest version is one. A version that occurs twice in
    a row is one whose reply was lost.
    """
    bodies = [each for each in wanted if each]
    count, is_prefix = _matching(there, bodies)
    is_whole = count == len(bodies) > 0
    ahead = Progress(Relation.AHEAD, len(wanted))
    if not is_prefix and _is_end(there, bodies) and is_deleted == (wanted[-1] is None):
        return Progress(Relation.AHEAD, len(wanted), lacks_older=True)
    if not is_prefix:
        return ahead if is_whole and markers >= len(wanted) - count else DIVERGED
    first, last = _markers_after(wanted, count)
    earlier = first - count
    if markers < earlier:
        # The newest version was permanently deleted before the backup: if it still is, nothing has to be restored.
        return ahead if is_whole and wanted[-1] and not is_deleted else DIVERGED
    if not is_deleted:
        return prefix(first)
    if first == last:
        return ahead if is_whole else DIVERGED
    return prefix(min(last, first + max(1, markers - earlier)))


def _matching(there: Sequence[str], bodies: Sequence[str]) -> tuple[int, bool]:
    """How many of the bodies are there, in order, and whether there is nothing else."""
    count = 0
    for hashed in there:
        if count < len(bodies) and bodies[count] == hashed:
            count += 1
        elif count == 0 or bodies[count - 1] != hashed:
            return count, False
    return count, True


def _is_end(there: Sequence[str], bodies: Sequence[str]) -> bool:
    return 0 < len(there) < len(bodies) and [*bodies[-len(there) :]] == [*there]


def _markers_after(wanted: Sequence[str | None], count: int) -> tuple[int, int]:
    """The range of the delete markers that follow the first `count` bodies."""
    places: Iterator[int] = (place for place, each in enumerate(wanted) if each)
    first = 0
    for _unused in range(count):
        first = next(places) + 1
    last = first
    while last < len(wanted) and wanted[last] is None:
        last += 1
    return first, last

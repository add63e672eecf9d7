# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How clients lock, and where states are, by what they left behind and what their code says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

BOTH, DYNAMODB, LOCKFILE = "both", "dynamodb", "lockfile"
#: So many keys are listed in a comment.
MOST_KEYS = 20


@dataclass(frozen=True)
class Locking:
    """The lock mode that fits the clients, and why; None where nothing shows one."""

    mode: str | None
    reason: str


def locking_of(
    has_items: bool, has_lock_files: bool, recorded: str | None, in_code: Collection[tuple[bool, bool]]
) -> Locking:
    """`has_items`: digests or locks of this bucket in the table. `in_code`: for each layer, whether it names a table,
    and whether it locks by file. `recorded`: the tag of the bucket.
    """
    table, files = any(each[0] for each in in_code), any(each[1] for each in in_code)
    shown = [
        *(["the table holds digests or locks of this bucket"] if has_items else []),
        *(["the bucket holds lock files, or versions of them"] if has_lock_files else []),
        *([f"the tag of the bucket says {recorded}"] if recorded else []),
        *(["the code names a lock table"] if table else []),
        *(["the code has use_lockfile"] if files else []),
    ]
    table = table or has_items or recorded == BOTH
    files = files or has_lock_files or recorded in (LOCKFILE, BOTH)
    if recorded == LOCKFILE and not any(each[0] for each in in_code):
        table = False  # digests that a step has left are not those of clients
    mode = {(True, True): BOTH, (True, False): DYNAMODB, (False, True): LOCKFILE}.get((table, files))
    return Locking(mode, ", ".join(shown) or "nothing shows how clients lock")


def key_of(asked: str | None, in_code: Iterable[str], there: Collection[str]) -> tuple[str | None, str]:
    """The key for the files, and why; None where somebody has to say it."""
    found = sorted(there)
    listed = ", ".join(found[:MOST_KEYS]) + (f" and {len(found) - MOST_KEYS} more" if len(found) > MOST_KEYS else "")
    if not found:
        return None, "The bucket has no state yet."
    named = sorted({*in_code} & {*there})
    if len(named) == 1:
        return asked or named[0], f"The key that the code names. States: {listed}."
    if len(found) == 1:
        return asked or found[0], "The only state that is there."
    if asked:
        return asked, f"The key that was given. States: {listed}."
    return None, (
        f"States: {listed}. Set the key of the one that the files of this host are for: with any other key, a plan "
        "creates everything again."
    )

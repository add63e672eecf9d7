# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was found of a backend, as the parts of its file of variables, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.makers import SHARED_MANAGEMENT, Recognised
from .strength import Strength
from .variables import Part

PREFIX = "terraform_backend_"
#: Why a facet is written down, by kind and name.
_WHY = {
    "bucket.encryption": "New objects are encrypted with KMS. The files for clients name the same key.",
    "bucket.lifecycle": "How long old versions stay. Rules of others are held as they are.",
    "bucket.object_lock": "Object lock protects versions, lock files included.",
    "bucket.tags": "Tags that are neither AWS's nor those of the tool that made the bucket.",
    "bucket.logging": "Access logs go to another bucket.",
    "bucket.policy": "Policy statements of others. One without a Sid of its own is known here by what it does.",
    "table.recovery": "Point-in-time recovery, with its period.",
    "table.billing": "How the table is paid for.",
    "table.encryption": "The table is encrypted with a key of this account.",
    "table.table_class": "The class of the table.",
    "table.tags": "Tags that are neither AWS's nor those of the tool that made the table.",
}


@dataclass(frozen=True)
class Side:
    """The bucket, or the table."""

    kind: str
    name: str
    strength: Strength
    maker: Recognised | None
    #: What bootstrap changes, and the maker sets back.
    disputed: Sequence[str]
    #: What was left to others before.
    unmanaged: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    resources: Sequence[Side]
    account_id: str | None
    lock_mode: str | None
    lock_reason: str
    key: str | None
    key_reason: str
    keys: Sequence[str]
    #: Whether a key was found, or asked for.
    has_key: bool


def parts_of(found: Found, leaves_to_maker: bool) -> list[Part]:
    return [
        *([Part(("The account of the backend.",), _named(account_id=found.account_id))] if found.account_id else []),
        Part(
            (f"How clients lock: {found.lock_reason}.",),
            _named(lock_mode=found.lock_mode) if found.lock_mode else {},
        ),
        Part((found.key_reason,), _named(state_key=found.key) if found.key else {}),
        *(part for side in found.resources for part in _of_side(side, leaves_to_maker)),
    ]


def _named(**values: Any) -> dict[str, Any]:
    return {f"{PREFIX}{name}": value for name, value in values.items()}


def _of_side(side: Side, leaves_to_maker: bool) -> Iterator[Part]:
    yield from _of_maker(side, leaves_to_maker)
    for facet, options in side.strength.options.items():
        variables = {f"{PREFIX}{side.kind}_{name}": value for name, value in options.items()}
        yield Part((_WHY[f"{side.kind}.{facet}"],), variables)
    for what, why in side.strength.left_out.items():
        yield Part((f"Not held here: {what} of the {side.kind}: {why}.",), {})


def _of_maker(side: Side, leaves_to_maker: bool) -> Iterator[Part]:
    name = f"{PREFIX}{side.kind}_unmanaged"
    comments = [f"The {side.kind}: {side.maker.message(side.disputed)}."] if side.maker else []
    left = [*dict.fromkeys([*side.unmanaged, *(side.disputed if leaves_to_maker else ())])]
    if left:
        comments.append("Left to somebody else, and not protected from here.")
    if comments:
        yield Part(tuple(comments), {name: left} if left else {})
    if side.disputed and not leaves_to_maker:
        how = (
            f"To leave that to it, take the comment off the next lines. Otherwise a run of bootstrap that changes "
            f"something needs {PREFIX}{side.kind}_allow with {SHARED_MANAGEMENT}, for that run."
        )
        yield Part((how,), {name: [*left, *side.disputed]}, is_offered=True)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of one state, from a task's options to a task's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from .._aws.client import Aws
from .._core.model import Invalid, Params, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.location import check_bucket
from .._engine.reconcile import unless_checking
from .._locks.holders import age_s, seconds, sentence, told
from .._locks.locking import REPEAT_S, Released, Taken, foreseen, look, release, take
from .._locks.maintenance import named, ours
from .._locks.stores import Lock, Place
from .._terraform.protocol import HASH, MOVING, LockInfo, Wedged, is_named, lock_name
from .entry import Edge, connection_of, target_of
from .state_options import STATE_SPEC, TABLE_NEVER_BLANK, place_of

SPEC: dict[str, dict[str, Any]] = {
    **STATE_SPEC,
    "state": {"choices": ["held", "released"], "required": True},
    "lock_id": {},
    "older_than": {},
    "operation": {"default": "maintenance"},
    "info": {"default": ""},
    "wait_timeout": {"type": "int", "default": 60},
}


STATE = "and a state is never released: move it to another key"


@dataclass(frozen=True)
class Settled:
    """The locks of a state before and after a task, and what went wrong."""

    before: tuple[Lock, ...]
    after: tuple[Lock, ...]
    is_changed: bool = False
    problem: str | None = None


def lock_state(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    now = datetime.now(timezone.utc)
    try:
        place = place_of(params)
        world = Aws(connection_of(params), params["wait_timeout"], wrote)
        check_bucket(world, target_of(params, "bucket"), params["table"])
        settle = _hold if params["state"] == "held" else _free
        settled = settle(world, place, params, now, check_mode)
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False}
    return _result(place, settled, params, now, diff) | {"warnings": list(world.warnings)}


EDGE = Edge(
    SPEC,
    lock_state,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank={
        **TABLE_NEVER_BLANK,
        "lock_id": "a lock of any id would be meant",
        "older_than": "a lock of any age would be meant",
    },
)


def _hold(world: Aws, place: Place, params: Params, now: datetime, check_mode: bool) -> Settled:
    """Takes what is missing of the lock, or finds out that it is held by somebody else."""
    if params["older_than"]:
        raise Invalid("older_than goes with state: released")
    if (params["lock_id"] or "").startswith(HASH):
        raise Invalid(f"lock_id begins with {HASH}, which names a lock by the hash of its id: give the id itself")
    before, wanted_id = look(world, place), params["lock_id"]
    mine = [lock for lock in before if lock.id == wanted_id and isinstance(lock.record, LockInfo)]
    if len(mine) < len(before):
        return Settled(before, before, problem=_held_by_others(place, before, now))
    info = next((lock.record for lock in mine if isinstance(lock.record, LockInfo)), None)
    info = info or ours(place, params["operation"], params["info"], now, wanted_id or "")
    wanted = foreseen(place, info)
    if len(mine) == len(wanted):
        return Settled(before, before)
    try:
        after = unless_checking(check_mode, wanted, partial(_taken_to_stay, world, place, named(info), before))
    except Taken as error:
        return Settled(before, (error.lock,), problem=_held_by_others(place, (error.lock,), now))
    return Settled(before, after, is_changed=True)


def _taken_to_stay(world: Aws, place: Place, info: LockInfo, have: Sequence[Lock]) -> tuple[Lock, ...]:
    """Looked at again after a while, and taken again if a client's repeated release took it away."""
    taken = [lock for lock in take(world, place, info, have) if lock not in have]
    try:
        world.rest(REPEAT_S)
        return take(world, place, info, look(world, place))
    except BaseException:
        world.warnings.extend(release(world, place, taken).problems)
        raise


def _held_by_others(place: Place, locks: Sequence[Lock], now: datetime) -> str:
    return f"{sentence(place.path, locks, now)}; wait until it is released, or see to it that its holder is gone"


def _free(world: Aws, place: Place, params: Params, now: datetime, check_mode: bool) -> Settled:
    """Releases the locks that are meant, whoever's they are."""
    older_than_s = seconds(params["older_than"]) if params["older_than"] else None
    before = look(world, place)
    if before and not (params["lock_id"] or params["older_than"]):
        ids = " or ".join(dict.fromkeys(lock_name(lock.id) for lock in before if not _is_state(lock)))
        if not ids:
            return _refused(place, before, now, STATE)
        return _refused(place, before, now, f"if its holder is gone for sure, release it with lock_id: {ids}")
    meant_id = (params["lock_id"] or "").strip('"')  # such as ETags have
    named = [lock for lock in before if not meant_id or is_named(lock.id, meant_id)]
    if before and not named:
        return _refused(place, before, now, f"and not under the lock_id {params['lock_id']}, so it was left alone")
    if any(_is_state(lock) for lock in named):
        return _refused(place, before, now, STATE)
    meant = []
    for lock in named:
        if not meant_id and isinstance(lock.record, LockInfo) and lock.record.operation == MOVING:
            return _refused(
                place, before, now, f"and is the fence of a state that moved: name it, lock_id: {lock_name(lock.id)}"
            )
        age = age_s(lock, before, now)
        if older_than_s is not None and age is None:
            return _refused(
                place,
                before,
                now,
                f"and nothing says since when the lock in the {lock.store} is held, so older_than cannot judge it: if "
                f"its holder is gone for sure, release it with lock_id: {lock_name(lock.id)}, without older_than",
            )
        if older_than_s is None or (age is not None and age >= older_than_s):
            meant.append(lock)
    released = unless_checking(check_mode, Released(tuple(meant), ()), partial(release, world, place, meant))
    after = tuple(lock for lock in before if lock not in released.done)
    return Settled(before, after, bool(released.done), "; ".join(released.problems) or None)


def _is_state(lock: Lock) -> bool:
    """Whether what lies in the place of the lock file is a state."""
    return isinstance(lock.record, Wedged) and lock.record.is_state


def _refused(place: Place, locks: tuple[Lock, ...], now: datetime, why: str) -> Settled:
    return Settled(locks, locks, problem=f"{sentence(place.path, locks, now)}; {why}")


def _result(place: Place, settled: Settled, params: Params, now: datetime, diff: bool) -> dict[str, Any]:
    is_now = sentence(place.path, settled.after, now)
    result: dict[str, Any] = {
        "changed": settled.is_changed,
        "msg": settled.problem or is_now,
        "path": place.path,
        "before": told(settled.before, now),
        "after": told(settled.after, now),
    }
    if settled.problem:
        result["failed"] = True
    elif params["state"] == "held":
        result["lock_id"] = settled.after[0].id or None
    if diff:
        was = sentence(place.path, settled.before, now)
        result["diff"] = {"before": f"{printable(was)}\n", "after": f"{printable(is_now)}\n"}
    return result

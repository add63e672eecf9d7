# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions of one state: one made its current one, or two compared, from a task's options to a task's result."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._aws.client import Aws
from .._core.model import Invalid, Params, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.location import check_bucket
from .._engine.reconcile import unless_checking
from .._locks.maintenance import check_free, left_locks
from .._repair.version_restore import CHANGE_LINEAGE, OPERATION, Plan, Restoring
from .entry import Edge, connection_of, target_of
from .state_options import STATE_SPEC, TABLE_NEVER_BLANK, place_of, scope_of

COMPARED = "compared"
SPEC: dict[str, dict[str, Any]] = {
    **STATE_SPEC,
    "state": {"choices": ["restored", "undeleted", COMPARED], "required": True},
    "version_id": {},
    "with_version_id": {},
    "lock_id": {},
    "allow": {"type": "list", "elements": "str", "choices": [CHANGE_LINEAGE]},
    "wait_timeout": {"type": "int", "default": 300},
}


def bring_back(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    done: list[str] = []
    aws = None
    try:
        place = place_of(params)
        _check(params)
        aws = Aws(connection_of(params), params["wait_timeout"], wrote)
        check_bucket(aws, target_of(params, "bucket"), params["table"])
        work = Restoring(aws, scope_of(params), place, frozenset(params["allow"] or ()), done)
        if params["state"] == COMPARED:
            plan = work.compared(params["version_id"], params["with_version_id"])
        else:
            plan = work.plan(params["version_id"])
        is_left = params["state"] != COMPARED and not params["lock_id"] and bool(left_locks(aws, place, OPERATION))
        is_changed = not plan.is_done or is_left
        if is_changed:
            check_free(aws, place, OPERATION, params["lock_id"])
            plan = unless_checking(check_mode, plan, partial(work.carry_out, params["version_id"], params["lock_id"]))
    except TfstateError as error:
        so_far = f" (done before: {', '.join(done)}; run again to go on)" if done else ""
        warnings = list(aws.warnings) if aws else []
        return {"failed": True, "msg": f"{error}{so_far}", "changed": bool(done), "warnings": warnings}
    told = _difference(place.path, plan, params["with_version_id"]) if params["state"] == COMPARED else {}
    return _result(place.path, plan, is_changed, diff) | told | {"warnings": list(aws.warnings)}


def _check(params: Params) -> None:
    """Raises Invalid."""
    if (params["state"] == "undeleted") == bool(params["version_id"]):
        raise Invalid("version_id goes with state: restored and compared, which cannot do without it")
    if params["with_version_id"] and params["state"] != COMPARED:
        raise Invalid("with_version_id goes with state: compared")


EDGE = Edge(
    SPEC,
    bring_back,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank=TABLE_NEVER_BLANK,
)


def _result(path: str, plan: Plan, is_changed: bool, diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": is_changed,
        "msg": f"{path} has what its version {plan.version_id} has, with serial {plan.serial}",
        "path": path,
        "version_id": plan.version_id,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "serial_before": plan.serial_before,
        "added": sorted(plan.after - plan.before),
        "removed": sorted(plan.before - plan.after),
        "digest": plan.digest,
    }
    if diff:
        result["diff"] = {"before": _lines(plan.serial_before, plan.before), "after": _lines(plan.serial, plan.after)}
    return result


def _difference(path: str, plan: Plan, with_version_id: str | None) -> dict[str, Any]:
    other = f"version {with_version_id}" if with_version_id else "the state now"
    more, fewer = len(plan.after - plan.before), len(plan.before - plan.after)
    msg = (
        f"version {plan.version_id} of {path} has {more} resources that {other} has not, and lacks {fewer} that it has"
    )
    return {"msg": msg}


def _lines(serial: int | None, addresses: frozenset[str]) -> str:
    head = "no state" if serial is None else f"serial {serial}"
    return "".join(f"{printable(line)}\n" for line in (head, *sorted(addresses)))

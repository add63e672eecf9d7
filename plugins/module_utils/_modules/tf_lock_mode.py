# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A step from lock mode to lock mode, from a task's options to a task's result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from .._aws.client import Aws
from .._core.model import EXISTENCE, CallFailed, Invalid, Params, Resource, TfstateError, Wrote, unheard
from .._engine.guard import Refused
from .._engine.location import check_bucket
from .._engine.reconcile import Interrupted, reconcile, unless_checking
from .._engine.reconcile import Outcome as Reconciled
from .._lock_mode.requirements import (
    DYNAMODB,
    LOCKFILE,
    MODES,
    UNFENCED,
    UNPROTECT,
    UNSEEN_CODE,
    Backend,
    Step,
    can_miss_table,
    namings,
    next_step,
    reasons,
    several,
    unseen_neighbours,
)
from .._lock_mode.store_probe import Probe, probe
from .._lock_mode.table_removal import Emptying
from .._lock_mode.transition import Crossing, Outcome
from .._table import TABLE
from .._terraform.code_map import CodeMap
from .._terraform.scope import Scope
from .code_options import CODE_SPEC, code_of, code_result
from .entry import CONNECTION_SPEC, Edge, connection_of, target_of
from .state_options import ENCRYPTION_SPEC, encryption_of

SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "account_id": {},
    "bucket": {"required": True},
    "table": {"required": True},
    **ENCRYPTION_SPEC,
    "lock_mode": {"choices": list(MODES), "required": True},
    "declared": {"choices": list(MODES)},
    **CODE_SPEC,
    "soak": {"type": "int", "default": 5},
    "probe": {"type": "bool", "default": False},
    "remove_table": {"type": "bool", "default": False},
    "allow": {"type": "list", "elements": "str", "choices": [UNSEEN_CODE, UNFENCED, UNPROTECT]},
    "lock_timeout": {"type": "int", "default": 0},
    "wait_timeout": {"type": "int", "default": 60},
}

#: What permits to touch a table that another tool manages, and is no word of this task.
_TAKE_OVER = "take_over_resource"
_REMOVED = "if it was removed on purpose, neither declared nor code may still need it: set both to lockfile first"


def change_lock_mode(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    crossing: Crossing | None = None
    code: CodeMap | None = None
    try:
        code = code_of(params)
        crossing = _crossing(params, wrote)
        found = unless_checking(check_mode or not params["probe"], None, partial(probe, crossing.aws, crossing.scope))
        crossing.look(params["soak"])
        step = _step(params, crossing, code)
        if crossing.gone and not can_miss_table(step):
            raise TfstateError(f"{CallFailed(crossing.gone)}; {_REMOVED}")
        missing = [*_of_probe(step, found), *reasons(step, _allowed(params)), *crossing.reasons()]
        missing += _of_removal(step, crossing, _allowed(params)) if params["remove_table"] else []
        work = _removed_table if params["remove_table"] else _taken
        outcome = Outcome() if missing else work(params, crossing, check_mode)
    except TfstateError as error:
        return {"failed": True, "msg": str(error), **_done(crossing), **code_result(code, params["region"])}
    return _result(step, crossing, missing, outcome, found, diff)


def _crossing(params: Params, wrote: Wrote) -> Crossing:
    if not params["table"]:
        raise Invalid("table is empty: every step has a lock table on one of its sides")
    if params["remove_table"] and params["lock_mode"] != LOCKFILE:
        raise Invalid("remove_table goes with lock_mode: lockfile")
    scope = Scope(target_of(params, "bucket"), params["table"], encryption=encryption_of(params))
    timeout_s = params["wait_timeout"] + params["soak"] + params["lock_timeout"]
    aws = Aws(connection_of(params), timeout_s, wrote)
    check_bucket(aws, scope.bucket, scope.table)
    return Crossing(aws, scope, params["lock_mode"], params["lock_timeout"], UNFENCED in _allowed(params))


def _step(params: Params, crossing: Crossing, code: CodeMap | None) -> Step:
    backend = Backend(crossing.scope.bucket.name, params["table"], crossing.scope.bucket.region)
    return Step(backend, params["lock_mode"], params["declared"], code, crossing.is_fenced)


EDGE = Edge(
    SPEC,
    change_lock_mode,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank={"probe": "nobody would find out whether the bucket takes lock files"},
)


def _allowed(params: Params) -> frozenset[str]:
    return frozenset(params["allow"] or ())


def _of_probe(step: Step, found: Probe | None) -> list[str]:
    is_harmful = found and found.problem and step.target != DYNAMODB
    return [f"{step.backend.bucket} takes no lock files: {found.problem}"] if found and is_harmful else []


def _of_removal(step: Step, crossing: Crossing, allow: Iterable[str]) -> list[str]:
    """What would be lost with the table. Nobody sees whether a step that is still to be taken empties it."""
    first = ["there is something left to do before the table can go: take the step without remove_table first"]
    users = [*namings(step), *unseen_neighbours(step, crossing.fenced_buckets, allow)]
    return [*several(users), *(first if crossing.foreseen().is_changed else Emptying(crossing).kept())]


def _taken(params: Params, crossing: Crossing, check_mode: bool) -> Outcome:
    return unless_checking(check_mode, crossing.foreseen(), crossing.carry_out)


def _removed_table(params: Params, crossing: Crossing, check_mode: bool) -> Outcome:
    """Refused before it is emptied, though nobody sees it empty yet: that nothing else is in it was seen."""
    emptied = replace(TABLE, teardown=TABLE.teardown[1:])
    foreseen, outcome = _removal(params, crossing, emptied, True), Emptying(crossing).foreseen()
    if outcome.is_changed or foreseen.changes:
        outcome = unless_checking(check_mode, outcome, partial(_emptied_and_removed, params, crossing))
    outcome.removes_table = bool(foreseen.changes)
    return outcome


def _emptied_and_removed(params: Params, crossing: Crossing) -> Outcome:
    """Under one lease, so that no other run takes the step back in between."""
    with crossing.alone():
        outcome = Emptying(crossing).carry_out()
        try:
            _removal(params, crossing, TABLE, False)
        except Interrupted as error:
            outcome.removes_table = error.has_written
            raise TfstateError(f"{error}; {_done_to(params['table'], error)}") from error
    return outcome


def _removal(params: Params, crossing: Crossing, table: Resource, is_foreseen: bool) -> Reconciled:
    words = {"allow": [each for each in _allowed(params) if each == UNPROTECT], "confirm_name": None}
    asked = {"state": "absent", "unmanaged": None, **words}
    crossing.aws.renew()
    try:
        return reconcile(crossing.aws, table, target_of(params, "table"), asked, is_foreseen)
    except Refused as refused:
        told = (
            f"{each.reason}; remove it there" if each.word == _TAKE_OVER else str(each) for each in refused.refusals
        )
        raise Refused(". ".join(f"table {params['table']}: {each}" for each in told) or str(refused)) from None


def _done_to(table: str, error: Interrupted) -> str:
    """What came of the removal so far. The last of it is the deletion."""
    done = [change.facet for change in error.done if change.calls]
    if EXISTENCE in done:
        return f"AWS was told to delete the table {table}, and may still be at it"
    return f"the table {table} is there{', without its deletion protection' if done else ' as it was'}: run again"


def _done(crossing: Crossing | None) -> dict[str, Any]:
    """What is known of a step that was cut short."""
    if crossing is None:
        return {"changed": False, "digests": []}
    outcome, warnings = crossing.outcome, list(crossing.aws.warnings)
    return {"changed": outcome.is_changed, "digests": sorted(outcome.removed), "warnings": warnings}


def _result(
    step: Step, crossing: Crossing, missing: list[str], outcome: Outcome, found: Probe | None, diff: bool
) -> dict[str, Any]:
    problems = [*missing, *outcome.problems]
    origin = step.origin
    result: dict[str, Any] = {
        "changed": outcome.is_changed,
        "msg": "; ".join(problems) or _said(step, crossing, outcome),
        "from": origin,
        "to": step.target,
        "missing": missing,
        "fence": crossing.shown_fence(outcome),
        "digests": sorted(outcome.removed),
        "layers": len(step.layers) if step.code else None,
        **code_result(step.code, step.backend.region),
        "probe": found and found.told,
        "table_removed": outcome.removes_table,
        "warnings": [*crossing.aws.warnings, *crossing.cautions()],
    }
    if problems:
        result["failed"] = True
    if diff:
        result["diff"] = crossing.diff(outcome)
    return result


def _said(step: Step, crossing: Crossing, outcome: Outcome) -> str:
    if outcome.removes_table or crossing.gone:
        return f"{step.backend.bucket} is locked by file alone, and the table {step.backend.table} is gone"
    return f"{step.backend.bucket} is ready for {step.target}: {next_step(step.target)}"

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The digest of one state, or those that are missing, from a task's options to a task's result."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._aws.client import Aws
from .._core.model import Invalid, Params, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.location import check_bucket
from .._engine.reconcile import unless_checking
from .._locks.maintenance import check_free, left_locks
from .._locks.stores import Place
from .._repair.digest_rebuild import Rebuilding, Row
from .._repair.digest_repair import ACCEPT, FORGET, OPERATION, Plan, StateDigest
from .._terraform.protocol import DEFAULT_WORKSPACE
from .entry import Edge, connection_of, target_of
from .state_options import KEYS_NEVER_BLANK, STATE_SPEC, place_of, scope_of

SPEC: dict[str, dict[str, Any]] = {
    **STATE_SPEC,
    "table": {"required": True},
    "key": {"no_log": False},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "lock_id": {},
    "allow": {"type": "list", "elements": "str", "choices": [ACCEPT, FORGET]},
    "wait_timeout": {"type": "int", "default": 60},
}


def mend(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    work = mend_digest if params["key"] else rebuild_digests
    aws = None
    try:
        if not params["table"]:
            raise Invalid("table is empty: digests lie in the lock table")
        aws = Aws(connection_of(params), params["wait_timeout"], wrote)
        check_bucket(aws, target_of(params, "bucket"), params["table"])
        return work(aws, params, check_mode, diff) | {"warnings": list(aws.warnings)}
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False, "warnings": list(aws.warnings) if aws else []}


def mend_digest(aws: Aws, params: Params, check_mode: bool, diff: bool) -> dict[str, Any]:
    place = place_of(params)
    state = StateDigest(aws, scope_of(params), place, frozenset(params["allow"] or ()))
    plan = state.plan(params["state"])
    is_changed = not plan.is_done or (not params["lock_id"] and bool(left_locks(aws, place, OPERATION)))
    if is_changed:
        check_free(aws, place, OPERATION, params["lock_id"])
        try:
            plan = unless_checking(check_mode, plan, partial(state.mend, params["state"], params["lock_id"]))
        except TfstateError as error:
            if not state.done:
                raise
            return {"failed": True, "msg": f"{error} (done before: {', '.join(state.done)})", "changed": True}
    return _result(place, plan, is_changed, diff)


def rebuild_digests(aws: Aws, params: Params, check_mode: bool, diff: bool) -> dict[str, Any]:
    if params["state"] == "absent" or params["lock_id"] or params["workspace"] != DEFAULT_WORKSPACE:
        raise Invalid("key is missing: state: absent, lock_id and workspace are about one state")
    rebuilding = Rebuilding(aws, scope_of(params), frozenset(params["allow"] or ()))
    rebuilding.foresee()
    unless_checking(check_mode, None, rebuilding.carry_out)
    return _told(rebuilding, diff)


EDGE = Edge(
    SPEC,
    mend,
    mutually_exclusive=(("profile", "access_key"), ("key", "keys")),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank=KEYS_NEVER_BLANK,
)


def _result(place: Place, plan: Plan, is_changed: bool, diff: bool) -> dict[str, Any]:
    document = plan.content and plan.content.document
    is_now = "has no digest" if plan.wanted is None else f"has the digest {plan.wanted}, which fits"
    result: dict[str, Any] = {
        "changed": is_changed,
        "msg": f"{place.path} {is_now}",
        "path": place.path,
        "status": plan.status,
        "before": plan.item.shown,
        "digest": plan.wanted,
        "version_id": plan.content and plan.content.answer.get("VersionId"),
        "lineage": document and document.lineage,
        "serial": document and document.serial,
    }
    if diff:
        result["diff"] = {"before": f"{printable(plan.item.shown or '')}\n", "after": f"{plan.wanted or ''}\n"}
    return result


def _told(rebuilding: Rebuilding, diff: bool) -> dict[str, Any]:
    rows = rebuilding.rows
    written = [row for row in rows if row.is_due and not row.problem]
    problems = [row for row in rows if row.problem and not row.is_foreign]
    rebuilding.aws.warnings.extend(f"left alone: {row.problem}" for row in rows if row.is_foreign)
    result: dict[str, Any] = {
        "changed": bool(written or rebuilding.ours),
        "msg": "; ".join(str(row.problem) for row in problems) or f"{len(rows)} states have digests that fit",
        "states": [row.told() for row in rows],
        "progress": _progress(rows, written, problems),
    }
    if problems:
        result["failed"] = True
    if diff:
        after = "".join(f"{printable(row.path)} {row.digest}\n" for row in written)
        result["diff"] = {"before": "", "after": after}
    return result


def _progress(rows: list[Row], written: list[Row], problems: list[Row]) -> dict[str, int]:
    foreign = [row for row in rows if row.is_foreign]
    unchanged = len(rows) - len(written) - len(problems) - len(foreign)
    counts = {"written": len(written), "unchanged": unchanged, "failed": len(problems), "foreign": len(foreign)}
    return {"states": len(rows), **counts}

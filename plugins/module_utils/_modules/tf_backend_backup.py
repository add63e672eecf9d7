# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup of a backend, from a task's options to a task's result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._aws.client import Aws
from .._backup.backup import Saved, Saving
from .._backup.inventory import whereabouts
from .._backup.write_block import check_open
from .._bucket import BUCKET
from .._core.model import Params, Target, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.guard import Refused
from .._engine.reconcile import unless_checking
from .._table import TABLE
from .backup_options import SPEC as BACKUP_SPEC
from .backup_options import named_target, told, vault_of
from .entry import CONNECTION_SPEC, Edge, connection_of

SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "bucket": {},
    "table": {},
    "account_id": {},
    **BACKUP_SPEC,
    "wait_timeout": {"type": "int", "default": 300},
}


def back_up(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    try:
        bucket = named_target(params, "bucket")
        vault = vault_of(params, wrote)
        aws = Aws(connection_of(params), params["wait_timeout"], wrote)
        saving = Saving(aws, _found(aws, bucket), params["table"] or None, vault)
        check_open(aws, saving.bucket)
        if params["table"]:
            whereabouts(aws, TABLE, named_target(params, "table"))
        saved = unless_checking(check_mode, None, saving.carry_out) or saving.foresee()
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False}
    result = {"changed": saved.is_changed, "backup": told(vault, saved), "warnings": [*aws.warnings, *_missed(saved)]}
    return {**result, "diff": _diff(saved)} if diff else result


def _found(aws: Aws, bucket: Target) -> Target:
    found, exists = whereabouts(aws, BUCKET, bucket)
    if not exists:
        raise Refused(f"bucket {bucket.name} does not exist, so that there is nothing to save")
    return found


def _missed(saved: Saved) -> Iterator[str]:
    if saved.missed:
        yield f"{saved.missed} versions were written while the others were saved: run again to save them, too"


def _diff(saved: Saved) -> dict[str, str]:
    rows = [f"{printable(each.key)} {printable(each.version_id)}\n" for each in saved.entries]
    return {"before": "", "after": "".join(sorted(rows))}


EDGE = Edge(
    SPEC,
    back_up,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank={"table": "the table would not be saved"},
)

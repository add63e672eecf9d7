# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend taken away, from a task's options to a task's result."""

from __future__ import annotations

from typing import Any

from .._aws.client import Aws
from .._aws.write_tracker import Lasting
from .._core.model import Params, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.guard import Refused
from .._engine.reconcile import unless_checking
from .._teardown.checks import Word, objections
from .._teardown.plan import Doomed, doomed
from .._teardown.teardown import Teardown
from .._terraform.code_map import CodeMap
from .backup_options import SPEC as BACKUP_SPEC
from .backup_options import named_target, told, vault_of
from .code_options import CODE_SPEC, code_of, code_result
from .entry import CONNECTION_SPEC, Edge, connection_of
from .state_options import ENCRYPTION_SPEC, TABLE_NEVER_BLANK, encryption_of

#: Those of either that have to do with an end.
WORDS = ("delete_state", "break_lock", "disable_deletion_protection", "take_over_resource")
SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "bucket": {},
    "table": {},
    "keep_table": {"type": "bool", "default": False},
    "account_id": {},
    **BACKUP_SPEC,
    **ENCRYPTION_SPEC,
    **CODE_SPEC,
    "allow": {"type": "list", "elements": "str", "choices": list(WORDS)},
    "confirm_name": {},
    "wait_timeout": {"type": "int", "default": 300},
}


def tear_down(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    teardown: Teardown | None = None
    code: CodeMap | None = None
    written = Lasting(wrote)
    try:
        code = code_of(params)
        teardown = _teardown(params, code or CodeMap(), written)
        teardown.check()
        unless_checking(check_mode, None, teardown.carry_out)
        saved = teardown.saved or teardown.foresee()
    except TfstateError as error:
        done, warnings = (teardown.done, _warnings(teardown)) if teardown else ([], [])
        of_code = code_result(code, params["region"])
        return {
            "failed": True,
            "msg": str(error),
            "changed": bool(written),
            "done": done,
            "warnings": warnings,
            **of_code,
        }
    found = teardown.found
    backup = told(teardown.vault, saved) if teardown.vault and saved else None
    warnings = _warnings(teardown)
    result = {"changed": found.is_due, "destroys": _destroys(found), "backup": backup, "warnings": warnings}
    result |= code_result(code, found.bucket.region)
    return {**result, "diff": _diff(found)} if diff else result


def _teardown(params: Params, code: CodeMap, wrote: Wrote) -> Teardown:
    """Raises TfstateError on whatever speaks against it."""
    bucket = named_target(params, "bucket")
    table = named_target(params, "table") if params["table"] else None
    vault = vault_of(params, wrote) if params["backup"] else None
    aws = Aws(connection_of(params), params["wait_timeout"], wrote)
    allow = frozenset(params["allow"] or ())
    found = doomed(aws, bucket, table, params["keep_table"], encryption_of(params))
    against = [*objections(found, Word(allow, params["confirm_name"], vault is not None, code))]
    if against:
        raise Refused(". ".join(dict.fromkeys(against)))
    return Teardown(found, allow, vault)


def _warnings(teardown: Teardown) -> list[str]:
    return [*dict.fromkeys(teardown.aws.warnings)]


def _destroys(found: Doomed) -> dict[str, Any]:
    goes = found.table and found.has_table and not found.keeps_table
    return {
        "bucket": found.bucket.name if found.has_bucket else None,
        "table": found.table_name if goes else None,
        **found.losses.told(),
    }


def _diff(found: Doomed) -> dict[str, str]:
    told = _destroys(found)
    names = [f"{kind} {printable(told[kind])}\n" for kind in ("bucket", "table") if told[kind]]
    rows = [f"{printable(each['key'])}, versions: {each['versions']}\n" for each in (*told["states"], *told["objects"])]
    return {"before": "".join([*names, *rows]), "after": ""}


EDGE = Edge(
    SPEC,
    tear_down,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank={
        **TABLE_NEVER_BLANK,
        "keep_table": "the table would be deleted",
        "code": "code that still uses the backend would not be looked for",
    },
)

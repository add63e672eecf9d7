# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup brought back, from a task's options to a task's result."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .._aws.client import Aws
from .._aws.write_tracker import Lasting
from .._backup.inventory import whereabouts
from .._backup.manifest import MANIFEST, Manifest, manifest_of
from .._backup.restore import NOTHING, Restoring
from .._backup.restore_target import Destination
from .._backup.write_block import check_open
from .._bucket import BUCKET, versioning
from .._core.model import CallFailed, Failure, Invalid, Params, Resource, Target, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.guard import Refused
from .._engine.reconcile import unless_checking
from .._table import TABLE
from .backup_options import SPEC as BACKUP_SPEC
from .backup_options import vault_of
from .entry import CONNECTION_SPEC, Edge, connection_of, target_of
from .state_options import ENCRYPTION_SPEC, encryption_of

SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    **BACKUP_SPEC,
    "bucket": {},
    "table": {},
    "account_id": {},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    **ENCRYPTION_SPEC,
    "wait_timeout": {"type": "int", "default": 300},
}


def restore(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    restoring: Restoring | None = None
    written = Lasting(wrote)
    try:
        restoring = _restoring(params, written)
        restoring.look()
        unless_checking(check_mode, None, restoring.carry_out)
        restoring.verify()
    except TfstateError as error:
        warnings = [*dict.fromkeys(restoring.to.aws.warnings)] if restoring else []
        return {"failed": True, "msg": str(error), "changed": bool(written), "warnings": warnings}
    return _told(restoring, diff)


def _restoring(params: Params, wrote: Wrote) -> Restoring:
    vault = vault_of(params, wrote)
    text = vault.manifest()
    if text is None:
        raise Invalid(f"{vault.url} holds no {MANIFEST}, and so no backup that was finished")
    manifest = manifest_of(text, vault.url)
    params = _completed(params, manifest)
    aws = Aws(connection_of(params), params["wait_timeout"], wrote)
    bucket = _existing(aws, BUCKET, target_of(params, "bucket"))
    _check_bucket(aws, bucket)
    if params["table"]:
        _existing(aws, TABLE, target_of(params, "table"))
    to = Destination(aws, bucket, params["table"] or None, vault, _encryption(aws, params))
    return Restoring(to, manifest, tuple(params["keys"] or ()))


def _completed(params: Params, manifest: Manifest) -> dict[str, Any]:
    """Where nothing is said, a backup goes back to where it was taken."""
    table = params["table"] if params["table"] is not None or params["bucket"] else manifest.table
    where = {"bucket": params["bucket"] or manifest.bucket, "region": params["region"] or manifest.region}
    return {**params, **where, "table": table}


def _existing(aws: Aws, resource: Resource, target: Target) -> Target:
    found, exists = whereabouts(aws, resource, target)
    if not exists:
        raise Refused(f"{resource.kind} {target.name} does not exist: make it first, with the role or its module")
    return found


def _check_bucket(aws: Aws, bucket: Target) -> None:
    check_open(aws, bucket)
    (answer,) = aws.read([versioning.read(bucket)])
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    if versioning.normalise(answer, bucket) != "Enabled":
        raise Refused(f"bucket {bucket.name} is not versioned, so that each version would overwrite the one before it")


def _encryption(aws: Aws, params: Params) -> dict[str, str]:
    """With the ARN of the key, which is what policies compare."""
    key = params["kms_key_id"] and aws.key_arn(params["kms_key_id"], must_exist=True)
    return encryption_of({**params, "kms_key_id": key})


def _told(restoring: Restoring, diff: bool) -> dict[str, Any]:
    rows = [row.told() for row in restoring.rows]
    due = [row for row in rows if row["action"] != NOTHING]
    actions = Counter(row["action"] for row in rows)
    result: dict[str, Any] = {
        "changed": bool(due),
        "objects": rows,
        "progress": {
            "objects": len(rows),
            "restored": actions["restore"],
            "finished": actions["finish"],
            "unchanged": actions[NOTHING],
            "versions": sum(row["written"] for row in rows),
            "bytes": sum(row["bytes"] for row in rows),
            "other_digests": restoring.foreign,
            "left_out": restoring.left_out,
        },
        "left_out": restoring.left_behind,
        "backup": {"url": restoring.to.vault.url, **restoring.manifest.told()},
        "warnings": [*dict.fromkeys(restoring.to.aws.warnings)],
    }
    names = "".join(f"{printable(row['key'])}, versions: {row['written']}\n" for row in due)
    return {**result, "diff": {"before": "", "after": names}} if diff else result


EDGE = Edge(
    SPEC,
    restore,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank={
        "table": "digests would not be restored, nor locks taken in the table",
        "keys": "every state of the backup would be restored",
    },
)

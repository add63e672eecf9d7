# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that name a backup, and the result that describes one."""

from __future__ import annotations

from typing import Any

from .._aws.client import Aws
from .._backup.backup import BackupResult
from .._backup.storage import Folder, Prefix, Storage
from .._core.model import Invalid, Params, Target, WriteCallback
from .._local.files import expanded
from .entry import connection_of, target_of

SCHEME = "s3://"
BACKUP_OPTIONS: dict[str, dict[str, Any]] = {"backup": {}, "backup_region": {}, "backup_account_id": {}}
RESTORE_ARCHIVED: dict[str, dict[str, Any]] = {"restore_archived": {"type": "bool", "default": False}}


def storage_of(params: Params, on_write: WriteCallback) -> Storage:
    """Raises Invalid if the options do not name a storage."""
    named = params["backup"] or ""
    if not named:
        raise Invalid("backup is not set: name a directory, or s3://bucket/prefix")
    if not named.startswith(SCHEME):
        return Folder(expanded(named))
    bucket, _slash, prefix = named.removeprefix(SCHEME).partition("/")
    if not bucket or bucket == params["bucket"]:
        raise Invalid(f"backup {named!r} lies in no other bucket than the one that is saved: name s3://bucket/prefix")
    region = params["backup_region"] or params["region"]
    there = {**params, "region": region, "account_id": params["backup_account_id"], "name": bucket}
    aws = Aws(connection_of(there), params["wait_timeout"], on_write)
    return Prefix(aws, target_of(there), f"{prefix.strip('/')}/" if prefix.strip("/") else "")


def named_target(params: Params, option: str) -> Target:
    """The bucket or table of a task. Raises Invalid."""
    if not params[option]:
        raise Invalid(f"{option} is not set: name the {'state bucket' if option == 'bucket' else 'lock table'}")
    return target_of(params, option)


def backup_result(storage: Storage, saved: BackupResult) -> dict[str, Any]:
    """A backup in results: where it is stored, what is in it, and how much of that is new."""
    return {"url": storage.url, **saved.manifest.to_result(), "new": saved.fetched}

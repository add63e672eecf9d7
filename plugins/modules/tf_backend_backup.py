#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_backup
short_description: Save every version of every state of a backend, and its lock table
version_added: 0.2.0
description:
  - Saves all versions and delete markers of a state bucket, and all items of its lock table.
  - Every body is read back and compared with what S3 says of it. C(backup.json) is written last, so where it is the
    backup is whole, but for versions that O(skip_archived) has left out.
  - Where two runs save into one place at the same time, the later one fails rather than drop what the other one has
    saved. Run it again.
  - A bucket that is being torn down is saved by that alone.
  - A backup only grows. Run again, it fetches what is new, keeps what AWS no longer has, and reads every body again.
    The items are those that the table had last.
  - Without O(bucket), the backend is that of the variables of P(cornerstone.tfstate.terraform_backend#role).
  - M(cornerstone.tfstate.tf_backend_restore) brings it back, and M(cornerstone.tfstate.tf_backend_teardown) makes one
    by itself.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backup
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.connection
options:
  table:
    description:
      - The lock table. Not given, none is saved.
  restore_archived:
    description:
      - What to do if versions are archived, in C(GLACIER), C(DEEP_ARCHIVE) or an archive tier of
        C(INTELLIGENT_TIERING), where S3 does not return them.
      - If V(true), S3 is asked to restore those that are not in the backup, by a standard retrieval, and the task fails
        and says after how many hours to run it again. S3 takes up to 5 hours for C(GLACIER) and up to 12 hours for
        C(DEEP_ARCHIVE), keeps the restored copies for 7 days, and charges for each retrieval.
      - If V(false), the task fails and names them, unless O(skip_archived=true).
      - With O(skip_archived=true) the restore is requested, and everything else is saved meanwhile.
    type: bool
    default: false
  skip_archived:
    description:
      - Save everything but archived versions. C(backup.json) names them, and a warning says that the backup is not
        complete. The next run saves those that can be read by then.
      - The current version of an object is never left out, as an older one would take its place when the backup is
        restored.
    type: bool
    default: false
notes:
  - Versions in C(GLACIER_IR) are read at once.
  - What cannot be read, as where a KMS key denies it, makes the task fail. What was saved before stays.
  - It takes no locks. A digest that a client writes during the backup may belong to the next version. Restoring tells.
  - In a bucket, a version of more than 5 GiB is refused, as AWS takes no more at once. A directory holds it.
  - Tags are those that a version had when it was saved.
seealso:
  - module: cornerstone.tfstate.tf_backend_restore
  - module: cornerstone.tfstate.tf_backend_teardown
"""

EXAMPLES = r"""
- name: Save a backend into a directory
  cornerstone.tfstate.tf_backend_backup:
    bucket: retired-terraform-state
    table: retired-terraform-locks
    region: eu-west-1
    backup: backups/retired
"""

RETURN = r"""
backup:
  description: The backup. In check mode, as it would be.
  returned: success
  type: dict
  contains:
    url: {description: Where it lies., type: str, sample: /home/me/backups/retired}
    bucket: {description: The bucket that was saved., type: str, sample: retired-terraform-state}
    region: {description: Its region., type: str, sample: eu-west-1}
    account_id: {description: The account. None if nothing told it., type: str, sample: "111122223333"}
    table: {description: The table that was saved. None without one., type: str, sample: retired-terraform-locks}
    versions: {description: How many versions it holds., type: int, sample: 131}
    delete_markers: {description: How many delete markers it holds., type: int, sample: 40}
    bytes: {description: The size of all versions., type: int, sample: 2313006}
    items: {description: How many items of the table it holds., type: int, sample: 12}
    skipped:
      description: How many archived versions it lacks. C(backup.json) names them. Only with 0 it is complete.
      type: int
      sample: 0
    new:
      description: How many versions and markers, and bytes, of that are new.
      type: dict
      sample: {versions: 7, bytes: 120114}
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.archived import (
    NOT_REQUESTED,
    hours_of,
    request_restores,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.backup import Backup, BackupResult
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.inventory import locate
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import some
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.write_block import check_no_write_block
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Target,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import (
    unless_checking,
    when_checking,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backup_options import (
    BACKUP_OPTIONS,
    RESTORE_ARCHIVED,
    backup_result,
    named_target,
    storage_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import BACKEND_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    "bucket": {},
    **BACKUP_OPTIONS,
    **RESTORE_ARCHIVED,
    "skip_archived": {"type": "bool", "default": False},
}


def back_up(run: ModuleRun) -> dict[str, Any]:
    params = run.params
    bucket = named_target(params, "bucket")
    storage = storage_of(params, run.on_write)
    written = WriteTracker(run.on_write)
    aws = run.client(on_write=written)
    run.failure = lambda _error: {"changed": bool(written)}
    backup = Backup(
        aws,
        _existing(aws, bucket),
        params["table"] or None,
        storage,
        on_saved=run.on_write,
        skips_archived=params["skip_archived"],
    )
    check_no_write_block(aws, backup.bucket)
    if params["table"]:
        locate(aws, TABLE, named_target(params, "table"))
    if params["restore_archived"]:
        archived = backup.plan_restores()
        unless_checking(run.check_mode, None, partial(request_restores, aws, backup.bucket, archived))
        aws.warnings.extend(when_checking(run.check_mode, [], lambda: [NOT_REQUESTED] if archived else []))
    saved = unless_checking(run.check_mode, None, backup.carry_out) or backup.plan()
    aws.warnings.extend([*_missed(saved), *_skipped(saved, params["restore_archived"])])
    result = {"changed": saved.is_changed or bool(backup.requested), "backup": backup_result(storage, saved)}
    return {**result, "diff": _diff(saved)} if run.diff else result


def _existing(aws: Aws, bucket: Target) -> Target:
    found, exists = locate(aws, BUCKET, bucket)
    if not exists:
        raise Refused(f"bucket {bucket.name} does not exist, so that there is nothing to save")
    return found


def _missed(saved: BackupResult) -> Iterator[str]:
    if saved.missed:
        yield f"{saved.missed} versions were written while the others were saved: run again to save them, too"


def _skipped(saved: BackupResult, is_requested: bool) -> Iterator[str]:
    skipped = [str(each) for each in saved.manifest.skipped]
    if skipped:
        hours = hours_of(each.storage_class for each in saved.manifest.skipped)
        requested = f"their restore is requested, which takes up to {hours} hours: run again then to save them"
        way = requested if is_requested else "restore_archived: true requests their restore"
        yield f"the backup is not complete: archived versions are not in it: {some(skipped)}; {way}"


def _diff(saved: BackupResult) -> dict[str, str]:
    rows = [f"{printable(each.key)} {printable(each.version_id)}\n" for each in saved.entries]
    return {"before": "", "after": "".join(sorted(rows))}


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    back_up,
    never_blank={"table": "the table would not be saved"},
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

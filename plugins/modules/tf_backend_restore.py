#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_restore
short_description: Bring a backup of a backend back, every version in order
version_added: 0.2.0
description:
  - Writes the versions and delete markers of a backup into a bucket, oldest first, with their exact bytes, content
    types, metadata and tags, and the digests of its states into a lock table. The bucket may bear another name.
  - All states are locked first, in both stores, so that no client finds one that is still to come absent and unlocked.
    Then every body is read and compared with its hash, and only then the first version is written.
  - Each state stays locked until its last version and its digest are in and were read back. If the run is cut short,
    locks stay, so that no client takes an older version for the current one. Run it again. If it fails, those are
    released of which no version was written.
  - Nothing is overwritten. What is there of a state is the beginning of what has to be there, or all of it, or the
    task fails. Where somebody went on from the newest version of the backup, there is nothing to do.
  - Where somebody went back to an older version, the task fails, too. A part of a history is only gone on with under
    the lock of the run that wrote it.
  - A digest is that of the version which becomes the current one, where the backup has a digest of the state. One
    that fits already is left alone.
  - Lock files, locks that were held when the backup was made, and digests of other buckets are left out.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backup
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
options:
  state:
    description:
      - V(checked) only reads the backup, and fails if it is missing, unfinished or damaged, or if a key in O(keys) that
        is no pattern is not in it. The bucket and the table need not exist. Use it before something is made that is of
        no use without the backup.
      - V(restored) restores it.
    type: str
    choices: [restored, checked]
    default: restored
    version_added: 0.2.0
  bucket:
    description:
      - Where the versions go. The role or M(cornerstone.tfstate.tf_state_bucket) makes it before. It must be versioned.
      - Not given, it is that of the variables of P(cornerstone.tfstate.terraform_backend#role), or else the one that
        was saved, with the table and, without O(region), the region that it had.
  table:
    description:
      - Where digests go, and where states are locked besides their lock files. If omitted, it is the table that was
        saved, or, with O(bucket), none.
  keys:
    description:
      - Shell patterns of the keys or paths to restore, such as V(network/*). Not given, everything is.
      - A key that is no pattern must be in the backup. Otherwise the task fails, and names similar ones.
    type: list
    elements: str
  lock_id:
    description:
      - The id of a freeze of the backend, by M(cornerstone.tfstate.tf_backend_freeze). The restore works under its
        locks, takes those that are missing, such as lock files of a new bucket, and keeps all of them.
      - If omitted, the restore takes locks of its own and releases them at the end.
    type: str
  encryption:
    description:
      - What uploads say of their encryption. Not given, they are encrypted as the bucket says.
  kms_key_id:
    description:
      - The KMS key that goes with O(encryption).
notes:
  - Versions get new ids and times.
  - A client that only reads takes no lock, and sees older versions while they are being restored.
  - Between the making of the bucket and the locks, clients find neither states nor locks. Stop pipelines before.
  - A version of more than 5 GiB is refused, as AWS takes no more at once.
seealso:
  - module: cornerstone.tfstate.tf_backend_backup
  - module: cornerstone.tfstate.tf_state_version
"""

EXAMPLES = r"""
- name: Ensure the bucket that gets the states
  cornerstone.tfstate.tf_state_bucket:
    name: restored-terraform-state
    region: eu-west-1

- name: Restore the states of one project from the backup into it, locked by files alone
  cornerstone.tfstate.tf_backend_restore:
    backup: backups/retired
    bucket: restored-terraform-state
    region: eu-west-1
    keys:
      - network/*
"""

RETURN = r"""
objects:
  description: Each state, and each other object, of the backup. The same in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    key: {description: Its path in the bucket., type: str, sample: network/terraform.tfstate}
    action:
      description:
        - V(restore) if versions are written, V(finish) if only its digest or our lock was left of a run before,
          V(none) if all of it is there.
      type: str
      sample: restore
    versions: {description: How many versions and markers the backup has of it., type: int, sample: 14}
    written: {description: How many of them are written., type: int, sample: 14}
    bytes: {description: The bytes of those., type: int, sample: 255220}
progress:
  description:
    - How many objects were restored, finished and unchanged, and how many versions and bytes were written. How many
      digests of other buckets, and how many versions of lock files and held locks, were left out.
  returned: success
  type: dict
  sample:
    objects: 3
    restored: 2
    finished: 0
    unchanged: 1
    versions: 28
    bytes: 510440
    other_digests: 0
    left_out: 40
left_out:
  description:
    - Everything in the backup that is not restored, although O(keys) does not exclude it. Lock files and locks that
      were held when the backup was made, digests without a state, items of other buckets, and without O(table) all
      items.
    - An object whose name ends in C(.tflock) is a lock file if it holds a lock record, or if there is a state of that
      name without C(.tflock). Otherwise it is restored as any other object.
    - A state under the name of the lock file of another state that is restored, or is there, is named in a warning,
      too.
  returned: success
  type: list
  elements: dict
  contains:
    key: {description: Of an object., type: str, sample: network/terraform.tfstate.tflock}
    item:
      description: Of an item of the lock table, its C(LockID).
      type: str
      sample: retired-terraform-state/network/terraform.tfstate
    versions: {description: How many versions and markers there are of it., type: int, sample: 40}
backup:
  description: The backup, as M(cornerstone.tfstate.tf_backend_backup) tells it.
  returned: success
  type: dict
  sample: {url: /home/me/backups/retired, bucket: retired-terraform-state, versions: 131}
"""

from collections import Counter
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.inventory import locate
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import (
    MANIFEST,
    Manifest,
    manifest_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.restore import NOTHING, Restore
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.restore_target import Destination
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.storage import Storage
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.write_block import check_no_write_block
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, versioning
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    CallFailed,
    Failure,
    Invalid,
    Params,
    Resource,
    Target,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._freeze.survey import record_of_freeze
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backup_options import (
    BACKUP_OPTIONS,
    storage_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    KEYS_OPTIONS,
    UPLOAD_OPTIONS,
    encryption_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope

RESTORED = "restored"
CHECKED = "checked"
OPTIONS: dict[str, dict[str, Any]] = {
    "state": {"choices": [RESTORED, CHECKED], "default": RESTORED},
    **BACKEND_OPTIONS,
    "bucket": {},
    **BACKUP_OPTIONS,
    **KEYS_OPTIONS,
    **UPLOAD_OPTIONS,
    "lock_id": {},
}


def restore(run: ModuleRun) -> dict[str, Any]:
    run.on_write = written = WriteTracker(run.on_write)
    run.failure = lambda _error: {"changed": bool(written), "warnings": [*dict.fromkeys(run.warnings)]}
    if run.params["state"] == CHECKED:
        return {**_result(_checked(run), run.diff), "warnings": [*dict.fromkeys(run.warnings)]}
    work = _restore_of(run)
    work.plan()
    unless_checking(run.check_mode, None, work.carry_out)
    work.verify()
    return {**_result(work, run.diff), "warnings": [*dict.fromkeys(run.warnings)]}


def _backup(run: ModuleRun) -> tuple[Storage, Manifest]:
    storage = storage_of(run.params, run.on_write)
    text = storage.manifest()
    if text is None:
        raise Invalid(f"{storage.url} holds no {MANIFEST}, and so no backup that was finished")
    return storage, manifest_of(text, storage.url)


def _checked(run: ModuleRun) -> Restore:
    """The restore, of which no more is planned than that the backup can be read."""
    storage, manifest = _backup(run)
    params = _completed(run.params, manifest)
    to = Destination(run.client(params), target_of(params, "bucket"), params["table"] or None, storage, {})
    work = Restore(to, manifest, tuple(params["keys"] or ()))
    work.check_backup()
    return work


def _restore_of(run: ModuleRun) -> Restore:
    storage, manifest = _backup(run)
    params = _completed(run.params, manifest)
    aws = run.client(params)
    bucket = _existing(aws, BUCKET, target_of(params, "bucket"))
    _check_bucket(aws, bucket)
    if params["table"]:
        _existing(aws, TABLE, target_of(params, "table"))
    to = Destination(aws, bucket, params["table"] or None, storage, _encryption(aws, params))
    frozen = record_of_freeze(aws, Scope(bucket, to.table), params["lock_id"]) if params["lock_id"] else None
    return Restore(to, manifest, tuple(params["keys"] or ()), frozen)


def _completed(params: Params, manifest: Manifest) -> dict[str, Any]:
    """Where nothing is said, a backup goes back to where it was taken."""
    table = params["table"] if params["table"] is not None or params["bucket"] else manifest.table
    where = {"bucket": params["bucket"] or manifest.bucket, "region": params["region"] or manifest.region}
    return {**params, **where, "table": table}


def _existing(aws: Aws, resource: Resource, target: Target) -> Target:
    found, exists = locate(aws, resource, target)
    if not exists:
        raise Refused(f"{resource.kind} {target.name} does not exist: make it first, with the role or its module")
    return found


def _check_bucket(aws: Aws, bucket: Target) -> None:
    check_no_write_block(aws, bucket)
    (answer,) = aws.read([versioning.read(bucket)])
    if isinstance(answer, Failure):
        raise CallFailed(answer)
    if versioning.normalise(answer, bucket) != "Enabled":
        raise Refused(f"bucket {bucket.name} is not versioned, so that each version would overwrite the one before it")


def _encryption(aws: Aws, params: Params) -> dict[str, str]:
    """With the ARN of the key, which is what policies compare."""
    key = params["kms_key_id"] and aws.key_arn(params["kms_key_id"], must_exist=True)
    return encryption_of({**params, "kms_key_id": key})


def _result(work: Restore, diff: bool) -> dict[str, Any]:
    rows = [row.to_result() for row in work.objects]
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
            "other_digests": work.foreign,
            "left_out": work.left_out,
        },
        "left_out": work.left_behind,
        "backup": {"url": work.to.storage.url, **work.manifest.to_result()},
    }
    names = "".join(f"{printable(row['key'])}, versions: {row['written']}\n" for row in due)
    return {**result, "diff": {"before": "", "after": names}} if diff else result


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    restore,
    never_blank={
        "table": "digests would not be restored, nor locks taken in the table",
        "keys": "every state of the backup would be restored",
    },
    takes_profile_region=False,  # that of the backup holds
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_teardown
short_description: Take a backend away, once all of it was saved
version_added: 0.2.0
description:
  - Empties and deletes a state bucket, and deletes its lock table. It says before, also in check mode, what that would
    destroy, and it refuses unless everything speaks for it.
  - It locks every state, makes a complete backup and reads it back (O(backup)), and then deletes exactly what the
    backup has, by version. What somebody wrote meanwhile is not deleted, and stops it.
  - Before it denies all writing, it looks once more. It refuses if somebody has taken a lock meanwhile, and locks what
    has come.
  - Its locks stay until the bucket is gone, and a statement in its policy denies all writing, so that no client ever
    finds an empty state and plans to create everything anew. If it fails before the policy denies that, or may deny it,
    they are released.
  - A run that is cut short at any point is completed by the next one with the same options. States that are not locked
    in the table by then are locked there first.
  - Without O(bucket), the backend is that of the variables of P(cornerstone.tfstate.terraform_backend#role).
  - M(cornerstone.tfstate.tf_backend_restore) brings the backup back.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backup
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.code
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
options:
  table:
    description:
      - The lock table. Name it wherever clients lock there, as they are else not kept out.
      - Not given, none is deleted.
  state:
    description:
      - V(absent) takes the backend away.
      - V(cancelled) ends a teardown that was begun, at any moment. If nothing was deleted yet, it releases the locks of
        the teardown. After that, it removes the statement from the policy, and its locks become those of a freeze, by
        M(cornerstone.tfstate.tf_backend_freeze), as states may be gone. Restore the backup with RV(lock_id), then thaw.
      - V(cancelled) neither deletes nor restores anything, and minds no locks of others.
    type: str
    choices: [absent, cancelled]
    default: absent
    version_added: 0.2.0
  keep_table:
    description:
      - Leave the table to other buckets, and take only the digests of O(bucket) out of it.
      - A table with items of other buckets is never deleted.
    type: bool
    default: false
  code:
    description:
      - Directories of Terraform or OpenTofu code, read as M(cornerstone.tfstate.tf_backend_audit) reads them.
        As long as a backend block or an initialised checkout names the bucket or the table, nothing is deleted.
      - Nor is anything deleted while code may name them and does not say for certain, unless its region is another
        one, or O(code_known) says what it is.
      - A C(terraform_remote_state) that reads from the bucket counts as code that names it.
      - If omitted, no code is checked.
  restore_archived:
    description:
      - If versions are archived, in C(GLACIER), C(DEEP_ARCHIVE) or an archive tier of C(INTELLIGENT_TIERING), ask S3 to
        restore them. Before anything else is written the task then fails, and says after how many hours to run it
        again. See M(cornerstone.tfstate.tf_backend_backup).
      - If V(false), the task fails and names them, unless O(allow=delete_archived).
    type: bool
    default: false
  allow:
    description:
      - What may be done although something may be lost by it.
    type: list
    elements: str
    choices:
      delete_state: Delete a bucket that holds states, or a table that holds digests. It needs O(confirm_name), too.
      delete_archived: Delete archived versions that cannot be saved now. The backup lacks them, and names them in
        C(backup.json). It does not apply to what is current.
      break_lock: Do it though somebody holds a lock. That is released first. Whoever held it may be at work still.
      disable_deletion_protection: Switch off the deletion protection of the table.
      shared_management: Delete what another tool manages, such as Terraform or CloudFormation, as tags or names say.
      take_over_resource: B(Deprecated) name of V(shared_management).
  confirm_name:
    description:
      - The name of the bucket once more, also where it is empty, so that a deletion is never the work of a variable or
        an inventory that leads elsewhere than one thinks.
    type: str
notes:
  - Where object lock is enabled, AWS is asked of each version whether it is kept. If that may not be known, nothing is
    deleted.
  - Object lock, MFA delete, replicas of the table, and items of other buckets in it are not overruled by any word.
  - AWS charges for 90 days of C(GLACIER) and for 180 days of C(DEEP_ARCHIVE), also for what is deleted before.
  - Once a bucket is gone, anybody may take its name, and gets what clients still send there.
seealso:
  - module: cornerstone.tfstate.tf_backend_backup
  - module: cornerstone.tfstate.tf_backend_restore
"""

EXAMPLES = r"""
- name: See what would be destroyed
  cornerstone.tfstate.tf_backend_teardown:
    bucket: retired-terraform-state
    table: retired-terraform-locks
    region: eu-west-1
    backup: backups/retired
    allow: [delete_state, disable_deletion_protection]
    confirm_name: retired-terraform-state
  check_mode: true

- name: Take a backend away, unless the code of a project still names it
  cornerstone.tfstate.tf_backend_teardown:
    bucket: retired-terraform-state
    table: retired-terraform-locks
    region: eu-west-1
    backup: backups/retired
    code: ["{{ playbook_dir }}/billing"]
    allow: [delete_state, disable_deletion_protection]
    confirm_name: retired-terraform-state
"""

RETURN = r"""
destroys:
  description: What is taken away, or in check mode would be. Empty where there is nothing any more.
  returned: success
  type: dict
  contains:
    bucket: {description: The bucket., type: str, sample: retired-terraform-state}
    table: {description: The table. None if it stays., type: str, sample: retired-terraform-locks}
    states:
      description: The current states, fifty at most, with lineage, serial, size and number of versions.
      type: list
      elements: dict
      sample:
        - key: network/terraform.tfstate
          size: 18230
          versions: 14
          lineage: 2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56
          serial: 14
    objects: {description: "Other objects that are there, fifty at most.", type: list, elements: dict, sample: []}
    counts:
      description: How many there are of everything.
      type: dict
      sample: {states: 1, objects: 0, versions: 54, delete_markers: 40, bytes: 510440, locks: 0, digests: 1}
backup:
  description:
    - The backup, as M(cornerstone.tfstate.tf_backend_backup) tells it. None where there was nothing to lose.
  returned: success
  type: dict
  sample: {url: /home/me/backups/retired, bucket: retired-terraform-state, versions: 54}
unknown:
  description:
    - Places in the code that may be clients of the backend, and do not say for certain. None without O(code).
  returned: always
  type: list
  elements: dict
  sample: [{path: network/main.tf, reason: "it names no bucket: only the command line of its init does"}]
code_known:
  description: O(code_known) as it was given, with the number of unknown backends that each entry was used for.
  returned: always
  type: list
  elements: dict
  sample: [{paths: network/**, backend: none, used: 1}]
msg:
  description: What is so now, and what is left to do. After a failure, what went wrong.
  returned: failure, or success with O(state=cancelled)
  type: str
  sample: "no teardown of retired-terraform-state was begun: there is nothing to cancel"
lock_id:
  description: The id of the freeze under which the backup is restored. None if nothing is frozen.
  returned: success, with O(state=cancelled)
  type: str
  sample: 008fc466-9743-e5aa-475a-7589773aa3fd
done:
  description: What was done before it failed. Versions are counted as they are deleted, a thousand at most at once.
  returned: failure
  type: list
  elements: str
  sample: [the policy denies writing, 1000 versions, 54 versions]
"""

from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.archived import NOT_REQUESTED
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import manifest_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import MANAGED_ELSEWHERE, Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import (
    unless_checking,
    when_checking,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._freeze.survey import backend_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backup_options import (
    BACKUP_OPTIONS,
    RESTORE_ARCHIVED,
    backup_result,
    named_target,
    storage_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import (
    CODE_OPTIONS,
    code_of,
    code_result,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    TABLE_NEVER_BLANK,
    UPLOAD_OPTIONS,
    encryption_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.kind import is_named_as_state as kind_by_name
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.listing import item_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.cancel import Cancellation
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.checks import TeardownRequest, failed_checks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.plan import TeardownPlan, plan_teardown
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.teardown import DELETE_ARCHIVED, Teardown
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope

#: Those of either that have to do with an end.
CANCELLED = "cancelled"
WORDS = ("delete_state", DELETE_ARCHIVED, "break_lock", "disable_deletion_protection", *MANAGED_ELSEWHERE)
OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    "bucket": {},
    "state": {"choices": ["absent", CANCELLED], "default": "absent"},
    "keep_table": {"type": "bool", "default": False},
    **BACKUP_OPTIONS,
    **RESTORE_ARCHIVED,
    **UPLOAD_OPTIONS,
    **CODE_OPTIONS,
    "allow": {"type": "list", "elements": "str", "choices": list(WORDS)},
    "confirm_name": {},
}


def tear_down(run: ModuleRun) -> dict[str, Any]:
    run.on_write = written = WriteTracker(run.on_write)
    done: list[str] = []
    code: CodeMap | None = None

    def failure(_error: TfstateError) -> dict[str, Any]:
        about = {"changed": bool(written), "done": done, "warnings": [*dict.fromkeys(run.warnings)]}
        return {**about, **code_result(code, run.params["region"])}

    run.failure = failure
    if run.params["state"] == CANCELLED:
        cancellation = _cancellation(run)
        done = cancellation.done
        unless_checking(run.check_mode, None, cancellation.carry_out)
        return _cancelled(run, cancellation)
    code = code_of(run.params)
    teardown = _teardown(run, code or CodeMap())
    done = teardown.done
    if run.params["restore_archived"]:
        archived = teardown.plan_restores()
        unless_checking(run.check_mode, None, partial(teardown.request_restores, archived))
        warnings = run.clients[0].warnings
        warnings.extend(when_checking(run.check_mode, [], lambda: [NOT_REQUESTED] if archived else []))
    teardown.check()
    unless_checking(run.check_mode, None, teardown.carry_out)
    saved = teardown.saved or teardown.plan_backup()
    plan = teardown.plan
    result = {
        "changed": plan.is_due,
        "destroys": _destroys(plan),
        "backup": backup_result(teardown.storage, saved) if teardown.storage and saved else None,
        "warnings": [*dict.fromkeys(run.warnings)],
        **code_result(code, plan.bucket.region),
    }
    return {**result, "diff": _diff(plan)} if run.diff else result


def _cancellation(run: ModuleRun) -> Cancellation:
    params = run.params
    table = named_target(params, "table").name if params["table"] else None
    scope = Scope(named_target(params, "bucket"), table, encryption=encryption_of(params))
    text = storage_of(params, run.on_write).manifest() if params["backup"] else None
    saved = manifest_of(text, params["backup"]) if text else None
    histories = saved.histories() if saved and saved.bucket == params["bucket"] else {}
    digests = [item_of(raw)[1].path for raw in saved.items if item_of(raw)[1].is_digest] if saved and histories else []
    states = {path for path in histories if kind_by_name(scope, path)} | {*digests}
    return Cancellation(backend_of(run.client(), scope), frozenset(states))


def _cancelled(run: ModuleRun, cancellation: Cancellation) -> dict[str, Any]:
    is_frozen = cancellation.is_due and cancellation.is_freezing
    result = {
        "changed": cancellation.is_due,
        "msg": cancellation.sentence,
        "lock_id": cancellation.id if is_frozen else None,
        "warnings": [*dict.fromkeys(run.warnings)],
    }
    return {**result, "diff": {"before": "", "after": f"{cancellation.sentence}\n"}} if run.diff else result


def _teardown(run: ModuleRun, code: CodeMap) -> Teardown:
    """Raises TfstateError unless every check passes."""
    params = run.params
    bucket = named_target(params, "bucket")
    table = named_target(params, "table") if params["table"] else None
    storage = storage_of(params, run.on_write) if params["backup"] else None
    allow = frozenset(params["allow"] or ())
    plan = plan_teardown(run.client(), bucket, table, params["keep_table"], encryption_of(params))
    failures = [*failed_checks(plan, TeardownRequest(allow, params["confirm_name"], storage is not None, code))]
    if failures:
        raise Refused(". ".join(dict.fromkeys(failures)))
    return Teardown(plan, allow, storage)


def _destroys(plan: TeardownPlan) -> dict[str, Any]:
    goes = plan.table and plan.has_table and not plan.keeps_table
    return {
        "bucket": plan.bucket.name if plan.has_bucket else None,
        "table": plan.table_name if goes else None,
        **plan.impact.to_result(),
    }


def _diff(plan: TeardownPlan) -> dict[str, str]:
    destroyed = _destroys(plan)
    names = [f"{kind} {printable(destroyed[kind])}\n" for kind in ("bucket", "table") if destroyed[kind]]
    rows = [
        f"{printable(each['key'])}, versions: {each['versions']}\n"
        for each in (*destroyed["states"], *destroyed["objects"])
    ]
    return {"before": "".join([*names, *rows]), "after": ""}


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    tear_down,
    never_blank={
        **TABLE_NEVER_BLANK,
        "keep_table": "the table would be deleted",
        "code": "code that still uses the backend would not be looked for",
    },
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_freeze
short_description: Hold the locks of all Terraform or OpenTofu states of a backend, or release them
version_added: 0.2.0
description:
  - Takes the locks of all states of a backend under one id, so that no client writes while people repair something.
    Clients that meet such a lock show the operation C(freeze), who holds it, since when, and the O(reason).
  - It takes all locks or none. A lock of somebody else makes the task fail, and show who holds it. Nothing that this
    run took is then left.
  - The locks are those of clients, the lock file beside each state and the item in O(table). Where the bucket or the
    table is gone, the locks in the other one are held, and RV(not_held) says what is not.
  - Modules that repair a state work under the freeze if they are given its O(lock_id).
  - V(thawed) releases the locks of the freeze that O(lock_id) names, and no others.
  - Nothing ends a client that is already at work without a lock.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
options:
  bucket:
    required: true
  state:
    description:
      - V(frozen) holds the locks of all states, including those that were deleted and can be restored, and those of
        which only a digest or a lock in O(table) is left.
      - V(thawed) releases them. If nothing is frozen, it changes nothing.
    type: str
    choices: [frozen, thawed]
    default: frozen
  keys:
    description:
      - Shell patterns. Only states whose key or whole path matches one of them are frozen or thawed.
      - A key without its workspace matches the states of all its workspaces.
      - A key without C(*), C(?) and C([) that no state has is refused. See O(allow).
      - If omitted, all states are meant.
    type: list
    elements: str
  workspace_key_prefix:
    description:
      - What precedes the states of other workspaces than C(default), as clients have it configured.
    type: str
    default: "env:"
  lock_id:
    description:
      - The id of the locks. With V(thawed) it can also be C(sha256:) and at least the first 12 hexadecimal digits of
        the SHA-256 of the id.
      - If omitted with V(frozen), a new id is made, unless you froze the backend for the same O(reason) already. Then
        the task continues that freeze.
      - If omitted with V(thawed), the task fails if anything is frozen, and shows the id, who froze it, since when and
        why.
    type: str
  reason:
    description:
      - Why it is frozen, such as the name of a ticket. Everybody who meets a lock is shown it.
    type: str
    default: ""
  lock_timeout:
    description:
      - For how many seconds to wait until others release their locks. With 0 the task fails at once.
    type: int
    default: 0
  allow:
    description:
      - What may be done although it was refused.
      - V(new_state) holds the lock of a state in O(keys) that does not exist, to keep clients from creating it.
    type: list
    elements: str
    choices: [new_state]
  wait_timeout:
    default: 60
notes:
  - A state that has no object, no version, no lock and no digest yet cannot be seen, although code or the inventory may
    name its key. Name it in O(keys), with O(allow=new_state), to hold its lock.
  - States that have moved, by M(cornerstone.tfstate.tf_state_move), are protected already, and left as they are.
  - Two runs do not work at once on one bucket. The second one fails and says who is at work.
  - Safe to interrupt. Run again to complete, or thaw what is held.
  - "Permissions: C(s3:ListBucket) and C(s3:ListBucketVersions) on the bucket, C(s3:GetObject) on all objects,
    C(s3:PutObject) and C(s3:DeleteObject) on lock files, C(s3:GetBucketPolicy), and C(dynamodb:DescribeTable),
    C(dynamodb:Scan), C(dynamodb:GetItem), C(dynamodb:PutItem) and C(dynamodb:DeleteItem) on the table."
seealso:
  - module: cornerstone.tfstate.tf_state_lock
  - module: cornerstone.tfstate.tf_backend_verify
"""

EXAMPLES = r"""
- name: Keep all clients out while something is repaired
  cornerstone.tfstate.tf_backend_freeze:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    reason: OPS-42, the table is restored
    lock_timeout: 600
  register: freeze

- name: Let them in again
  cornerstone.tfstate.tf_backend_freeze:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    state: thawed
    lock_id: "{{ freeze.lock_id }}"
"""

RETURN = r"""
changed:
  description: Whether locks were taken or released, or in check mode would be.
  returned: always
  type: bool
  sample: true
msg:
  description: What is frozen now, by whom, since when and why. After a failure, what went wrong.
  returned: always
  type: str
  sample: 3 states are frozen by me@here since 2026-11-30T10:00:00Z because 'OPS-42' (lock id 008fc466-9743-e5aa)
lock_id:
  description: The id of the locks. None in check mode, if a run would make a new one, and if nothing is frozen.
  returned: success
  type: str
  sample: 008fc466-9743-e5aa-475a-7589773aa3fd
states:
  description: The states that are frozen now, or with O(state=thawed) were, by their path in the bucket.
  returned: success
  type: list
  elements: str
  sample: [network/terraform.tfstate, "env:/qa/network/terraform.tfstate"]
moved:
  description: The states that have moved, whose protection was left as it is.
  returned: success
  type: list
  elements: str
  sample: []
not_held:
  description: A sentence for each store in which no lock can be held, as the bucket or the table is gone.
  returned: success
  type: list
  elements: str
  sample: ["table terraform-locks-us-east-1 does not exist, so no lock can be held there"]
"""

from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._freeze.freeze import (
    Freeze,
    FreezePlan,
    Thaw,
    check_options,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._freeze.survey import (
    backend_of,
    check_any_store,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    KEYS_OPTIONS,
    STATE_OPTIONS,
    TABLE_NEVER_BLANK,
    UPLOAD_OPTIONS,
    scope_of,
)

#: The value of `allow` for states that do not exist.
NEW_STATE = "new_state"
UNSEEN = "states without an object, a lock or a digest cannot be seen, and are not held"
OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    **KEYS_OPTIONS,
    "workspace_key_prefix": STATE_OPTIONS["workspace_key_prefix"],
    **UPLOAD_OPTIONS,
    "state": {"choices": ["frozen", "thawed"], "default": "frozen"},
    "lock_id": {},
    "reason": {"default": ""},
    "lock_timeout": {"type": "int", "default": 0},
    "allow": {"type": "list", "elements": "str", "choices": [NEW_STATE]},
}


def set_freeze(run: ModuleRun) -> dict[str, Any]:
    run.on_write = written = WriteTracker(run.on_write)
    run.failure = lambda _error: {"changed": bool(written)}
    params = run.params
    check_options(params["state"], params["lock_id"], params["reason"], params["allow"], params["lock_timeout"])
    aws = run.client()
    backend = backend_of(aws, scope_of(params))
    if params["state"] == "thawed":
        return _thaw(run, Thaw(backend, params["lock_id"]))
    check_any_store(backend)
    is_new = NEW_STATE in (params["allow"] or ())
    freeze = Freeze(backend, params["reason"], params["lock_id"], is_new, params["lock_timeout"])
    aws.warnings.extend(backend.missing)
    before, after = unless_checking(run.check_mode, None, freeze.carry_out) or [freeze.plan()] * 2
    return _frozen_result(before, after, run)


def _frozen_result(before: FreezePlan, after: FreezePlan, run: ModuleRun) -> dict[str, Any]:
    is_changed = not before.is_done
    is_now = f"{after.sentence}; {UNSEEN}"
    result: dict[str, Any] = {
        "changed": is_changed,
        "msg": is_now,
        "lock_id": after.record.id or None,
        "states": [*after.paths],
        "moved": sorted(after.moved),
        "not_held": [*after.backend.missing],
    }
    if run.diff:
        new = "".join(f"{printable(path)} is frozen\n" for path in before.missing)
        result["diff"] = {"before": "", "after": new}
    return result


def _thaw(run: ModuleRun, thaw: Thaw) -> dict[str, Any]:
    thaw.check()
    unless_checking(run.check_mode, None, thaw.carry_out)
    if thaw.problems:
        raise TfstateError("; ".join(thaw.problems))
    paths = sorted({lock.path for lock in thaw.locks})
    result: dict[str, Any] = {
        "changed": bool(paths),
        "msg": thaw.sentence(),
        "lock_id": thaw.locks[0].id if thaw.locks else None,
        "states": paths,
        "moved": sorted(thaw.found.moved),
        "not_held": [*thaw.backend.missing],
    }
    if run.diff:
        result["diff"] = {"before": "".join(f"{printable(path)} is frozen\n" for path in paths), "after": ""}
    return result


MODULE = ModuleEntry(
    with_connection(OPTIONS, wait_timeout=60),
    set_freeze,
    never_blank={
        **TABLE_NEVER_BLANK,
        "keys": "every state of the bucket would be meant",
    },
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

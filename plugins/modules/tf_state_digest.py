#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_state_digest
short_description: Repair the digest of a Terraform or OpenTofu state, or write all that are missing
version_added: 0.2.0
description:
  - "Mends what stops clients with C(state data in S3 does not have the expected content). In the lock table lies a
    digest of each state. If it does not fit, clients refuse to work, and none of them can repair it."
  - The state is read whole, under lock, and judged by its older versions. Only then is the digest made to fit it.
  - A state that was deleted is not given a digest. It must be undeleted first, by
    M(cornerstone.tfstate.tf_state_version).
  - Of a state that was written a moment ago, the digest may be on its way. It is looked at again after 12 seconds.
  - Without O(key) it writes a digest for every state of the bucket that has none, as after the table was lost, each
    under the locks of its state. Digests that are there stay as they are; wrong ones are told, and the task fails.
  - The digest is written only over the one that was seen. Nothing of the state is returned but its lineage and serial.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.state
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
options:
  bucket:
    required: true
  table:
    description:
      - The lock table, in which the digest lies.
    required: true
  key:
    description:
      - Where the state lies in the bucket, as O(cornerstone.tfstate.tf_backend_config#module:key) and as the C(key) of
        a C(backend) block. The rest of the path of another workspace is added.
      - If there is nothing under this key, it can also be what clients, consoles and tables show of a state, as in
        O(cornerstone.tfstate.tf_state_lock#module:key).
      - Not given, it is about all states of the bucket, of all workspaces.
  keys:
    description:
      - Instead of O(key), shell patterns of the keys or paths of the states that it is about, such as V(network/*).
        A key that is no pattern and that no state has is warned of.
    type: list
    elements: str
  state:
    description:
      - V(present) makes the digest fit the state, whether it is wrong, missing or malformed.
      - V(absent) removes the digest. Clients then do not check the state until one of them writes it again. That is
        for a table that is not to be used any more.
    type: str
    choices: [present, absent]
    default: present
  lock_id:
    description:
      - The id of a lock that you hold already, by M(cornerstone.tfstate.tf_state_lock) or
        M(cornerstone.tfstate.tf_backend_freeze). It is used, and kept.
      - Without O(key) it is that of a freeze. Locks of it that are missing, such as those in a new table, are taken.
      - Not given, a lock is taken in both stores and released at the end.
    type: str
  allow:
    description:
      - What may be done although it was refused.
      - V(accept_state) takes the state for right although its lineage is not that of the version before it, its
        serial is below that of an older one, an older one bears the same serial with other content, as after two
        clients wrote at the same time, or it tells neither.
      - V(forget_state) removes the digest of a state that does not exist, with O(state=absent). Clients then take the
        state for empty, and plan to create everything. Use it only if nothing that the state managed exists any more,
        as after C(terraform destroy). If the state was lost, restore it from a backup with
        M(cornerstone.tfstate.tf_backend_restore), or put a copy of it back and let this module write its digest.
    type: list
    elements: str
    choices: [accept_state, forget_state]
  wait_timeout:
    default: 60
notes:
  - "Permissions: C(s3:ListBucket) and C(s3:ListBucketVersions) on the bucket, C(s3:GetObject) and
    C(s3:GetObjectVersion) on the state, C(dynamodb:GetItem), C(dynamodb:PutItem) and C(dynamodb:DeleteItem) on the
    table, and what M(cornerstone.tfstate.tf_state_lock) needs to hold the lock."
  - A digest that fits is found by two requests, and then no lock is taken.
  - The first bytes of all versions of the state are read, to find their lineages and serials.
seealso:
  - module: cornerstone.tfstate.tf_state_version
  - module: cornerstone.tfstate.tf_backend_info
"""

EXAMPLES = r"""
- name: Mend "state data in S3 does not have the expected content"
  cornerstone.tfstate.tf_state_digest:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: network/terraform.tfstate

- name: See whether the digest of another workspace fits
  cornerstone.tfstate.tf_state_digest:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: network/terraform.tfstate
    workspace: qa
  check_mode: true
  register: digest

- name: Write the digests that are missing, of all states
  cornerstone.tfstate.tf_state_digest:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1

- name: Say it
  ansible.builtin.debug:
    var: digest.status
"""

RETURN = r"""
changed:
  description:
    - Whether the digest was written or removed, or in check mode would be. After a failure, whether it was before that.
  returned: always
  type: bool
  sample: true
msg:
  description: What is true now, in a sentence. After a failure, what went wrong, and what was done before.
  returned: always
  type: str
  sample: network/terraform.tfstate has the digest 28b36030a7887f4c55d8ea4c7670499a, which fits
path:
  description: Where the state lies in the bucket, with the path of its workspace.
  returned: success, with O(key)
  type: str
  sample: network/terraform.tfstate
status:
  description:
    - How the digest was found. V(match), V(mismatch), V(missing), V(malformed), or of a state that does not exist
      V(deleted) and V(orphan), as in the result of M(cornerstone.tfstate.tf_backend_info).
  returned: success, with O(key)
  type: str
  sample: mismatch
before:
  description: The digest that was there. None if there was none.
  returned: success, with O(key)
  type: str
  sample: "00000000000000000000000000000000"
digest:
  description: The digest that is there now, the MD5 of the state. None with O(state=absent).
  returned: success, with O(key)
  type: str
  sample: 28b36030a7887f4c55d8ea4c7670499a
version_id:
  description: The version of the state that was read. None if it was not read whole, as the digest fitted it.
  returned: success, with O(key)
  type: str
  sample: 3HL4kqtJvjVBH40Nrjfkd
lineage:
  description: The lineage of the state, if it was read.
  returned: success, with O(key)
  type: str
  sample: 2d29fd45-64c5-43d3-9c37-3ff2e1a4e7d2
serial:
  description: The serial of the state, if it was read.
  returned: success, with O(key)
  type: int
  sample: 12
states:
  description: The states of the bucket, and digests without a state.
  returned: success, without O(key)
  type: list
  elements: dict
  contains:
    path:
      description: Where it lies.
      type: str
      sample: network/terraform.tfstate
    status:
      description: How the digest was found, as RV(status), or V(unknown) and V(in_progress).
      type: str
      sample: missing
    action:
      description: V(write), or V(none).
      type: str
      sample: write
    digest:
      description: The digest that fits, if it is there now.
      type: str
      sample: 28b36030a7887f4c55d8ea4c7670499a
    problem:
      description: Why it was left alone.
      type: str
      sample: null
progress:
  description:
    - How many states there are, of how many the digest was written, how many needed nothing, how many failed, and how
      many objects are empty or certainly not states.
  returned: success, without O(key)
  type: dict
  sample:
    states: 12
    written: 10
    unchanged: 1
    failed: 0
    foreign: 1
"""

from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Invalid,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._freeze.survey import record_of_freeze
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import check_free, leftover_locks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    KEYS_NEVER_BLANK,
    KEYS_OPTIONS,
    STATE_OPTIONS,
    UPLOAD_OPTIONS,
    name_of,
    scope_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._repair.digest_rebuild import (
    DigestRebuild,
    RebuildRow,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._repair.digest_repair import (
    ACCEPT,
    FORGET,
    OPERATION,
    DigestPlan,
    StateDigest,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.state_lookup import with_state
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import DEFAULT_WORKSPACE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_name import StateName

OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    **STATE_OPTIONS,
    **UPLOAD_OPTIONS,
    "table": {"required": True},
    "key": {"no_log": False},
    **KEYS_OPTIONS,
    "state": {"choices": ["present", "absent"], "default": "present"},
    "lock_id": {},
    "allow": {"type": "list", "elements": "str", "choices": [ACCEPT, FORGET]},
}


def repair(run: ModuleRun) -> dict[str, Any]:
    if not run.params["table"]:
        raise Invalid("table is empty: digests lie in the lock table")
    name = name_of(run.params) if run.params["key"] else None
    aws = run.client()
    check_bucket(aws, target_of(run.params, "bucket"), run.params["table"])
    return repair_digest(aws, run, name) if name else rebuild_digests(aws, run)


def repair_digest(aws: Aws, run: ModuleRun, name: StateName) -> dict[str, Any]:
    params, scope, allow = run.params, scope_of(run.params), frozenset(run.params["allow"] or ())
    done: list[str] = []
    run.failure = lambda error: _failure(done, error)

    def planned(place: Place) -> tuple[StateDigest, DigestPlan]:
        state = StateDigest(aws, scope, place, allow, done=done)
        return state, state.plan(params["state"])

    def is_missing(found: tuple[StateDigest, DigestPlan]) -> bool:
        return not found[1].has_state

    place, (state, plan) = with_state(aws, scope, name, planned, is_missing, FORGET in allow)
    is_changed = not plan.is_done or (not params["lock_id"] and bool(leftover_locks(aws, place, OPERATION)))
    if is_changed:
        check_free(aws, place, OPERATION, params["lock_id"])
        plan = unless_checking(run.check_mode, plan, partial(state.repair, params["state"], params["lock_id"]))
    return _result(place, plan, is_changed, run.diff)


def _failure(done: list[str], error: TfstateError) -> dict[str, Any]:
    return {"msg": f"{error} (done before: {', '.join(done)})", "changed": True} if done else {}


def rebuild_digests(aws: Aws, run: ModuleRun) -> dict[str, Any]:
    params = run.params
    if params["workspace"] != DEFAULT_WORKSPACE:
        raise Invalid(
            "key is missing: workspace goes with key. A key in keys means the states of all workspaces; a path, such "
            f"as {params['workspace_key_prefix'].rstrip('/')}/{params['workspace']}/*, those of one workspace"
        )
    if params["state"] == "absent":
        raise Invalid("key is missing: state: absent is about one state")
    scope, lock_id = scope_of(params), params["lock_id"]
    frozen = record_of_freeze(aws, replace(scope, keys=()), lock_id) if lock_id else None
    rebuild = DigestRebuild(aws, scope, frozenset(params["allow"] or ()), frozen)
    rebuild.plan()
    unless_checking(run.check_mode, None, rebuild.carry_out)
    return _rebuild_result(rebuild, run.diff)


MODULE = ModuleEntry(
    with_connection(OPTIONS, wait_timeout=60),
    repair,
    mutually_exclusive=(("key", "keys"),),
    never_blank=KEYS_NEVER_BLANK,
)


def _result(place: Place, plan: DigestPlan, is_changed: bool, diff: bool) -> dict[str, Any]:
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


def _rebuild_result(rebuild: DigestRebuild, diff: bool) -> dict[str, Any]:
    rows = rebuild.rows
    written = [row for row in rows if row.is_due and not row.problem]
    problems = [row for row in rows if row.problem and not row.is_other]
    rebuild.aws.warnings.extend(f"left alone: {row.problem}" for row in rows if row.is_other)
    result: dict[str, Any] = {
        "changed": bool(written or rebuild.ours),
        "msg": "; ".join(str(row.problem) for row in problems) or f"{len(rows)} states have digests that fit",
        "states": [row.to_result() for row in rows],
        "progress": _progress(rows, written, problems),
    }
    if problems:
        result["failed"] = True
    if diff:
        after = "".join(f"{printable(row.path)} {row.digest}\n" for row in written)
        result["diff"] = {"before": "", "after": after}
    return result


def _progress(rows: list[RebuildRow], written: list[RebuildRow], problems: list[RebuildRow]) -> dict[str, int]:
    foreign = [row for row in rows if row.is_other]
    unchanged = len(rows) - len(written) - len(problems) - len(foreign)
    counts = {"written": len(written), "unchanged": unchanged, "failed": len(problems), "foreign": len(foreign)}
    return {"states": len(rows), **counts}


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

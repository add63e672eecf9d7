#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_state_version
short_description: Restore an older version of a Terraform or OpenTofu state, undelete it, or compare versions
version_added: 0.2.0
description:
  - Makes an older version of a state the current one. It is written as a new version with a serial above that of all
    others, so no client and no saved plan takes it for one that it knew. Everything else in it stays, byte for byte.
  - A version that cannot be given a new serial, such as one that OpenTofu encrypted, is restored byte for byte if
    O(allow=reuse_serial).
  - The content can also come from a file on the disk, O(src), such as one that C(terraform state pull) wrote. It then
    works for a bucket that was lost and made again, too.
  - Or brings back a state that was deleted, by removing its delete marker.
  - Or only tells by which resources two versions differ.
  - The first two are done while every client is kept out by its lock, and the digest of the state follows.
  - The addresses of resources that come back and that vanish are shown, also in check mode. Values never are.
  - Nothing is removed but delete markers. What was the current version is the one before, and can be restored as well.
  - Versions are listed by M(cornerstone.tfstate.tf_backend_info).
  - What was created since is in AWS still, and not in the restored state. Let C(terraform plan) show the difference
    before anybody applies it.
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
  key:
    required: true
  encryption:
    description:
      - What the upload of a lock file and of a state asks for, as C(encrypt) and C(kms_key_id) of a C(backend) block
        do. A bucket whose policy demands that needs it.
      - Not given, lock files take the bucket's default, and a state keeps what it had.
  state:
    description:
      - V(restored) makes the content of the version O(version_id) current, whether the state exists or was deleted.
        If it is current already, with the highest serial, nothing is changed. Nor is it if it is current already and
        its serial cannot be changed.
      - V(undeleted) brings back the version that was deleted, as it was. A state that exists is left as it is.
        Where removing the delete marker is denied, a copy is written over it.
      - V(compared) tells by which resources the version O(version_id) differs from another, and writes nothing. It
        takes no lock and minds none, so it works while somebody applies.
    type: str
    choices: [restored, undeleted, compared]
    required: true
  version_id:
    description:
      - The version to restore or to compare. Either it or O(src) is required with O(state=restored) and
        O(state=compared), and only then.
    type: str
  src:
    description:
      - A file with a state, instead of O(version_id).
      - If the bucket has no version of the state, the file is written byte for byte, with its lineage and serial.
        Otherwise it is restored as a version is. It keeps its serial where that is above all others.
    type: path
  with_version_id:
    description:
      - The version to compare with, for O(state=compared).
      - Not given, it is the state as it is now.
    type: str
  lock_id:
    description:
      - The id of a lock that you hold already, by M(cornerstone.tfstate.tf_state_lock) or
        M(cornerstone.tfstate.tf_backend_freeze). It is used, and kept.
      - Not given, a lock is taken in both stores and released at the end.
    type: str
  allow:
    description:
      - What may be done although it was refused.
      - V(change_lineage) restores a version of another lineage than that of the state. So it is when a state was
        overwritten by one of something else.
      - V(reuse_serial) restores a version that cannot be given a new serial, with the serial that it had. This is
        needed for a version that OpenTofu encrypted, as its serial is encrypted, too. A version that can be given a
        new serial gets one all the same. The serial of the state then goes back, or is one that another version has.
        So clients take a plan that was saved at that serial for a current one, and refuse plans that were saved later.
        Delete all saved plans, and let C(tofu plan) show the difference before anybody applies it.
      - V(new_state) writes O(src) where there is no version of a state, and the lock table has no digest of one. It is
        refused otherwise, as a wrong O(key) looks the same.
      - V(keep_current) lets O(state=undeleted) keep a state that was created under the key after the deletion, with
        another lineage. Otherwise the task fails and shows both, with lineage, serial, number of resources and time.
    type: list
    elements: str
    choices: [change_lineage, reuse_serial, new_state, keep_current]
notes:
  - O(state=compared) needs C(s3:GetObjectVersion) on the state, and C(s3:GetObject) to compare with what it is now.
  - "Permissions: C(s3:ListBucket) and C(s3:ListBucketVersions) on the bucket, C(s3:GetObject), C(s3:GetObjectVersion)
    and C(s3:PutObject) on the state, to undelete C(s3:DeleteObjectVersion) on it, C(dynamodb:GetItem) and
    C(dynamodb:PutItem) on the table, and what M(cornerstone.tfstate.tf_state_lock) needs to hold the lock."
  - A version of more than 128 MiB is not restored, as it is held in memory. It can be undeleted.
  - A state that OpenTofu encrypted has its serial inside as well. It is restored only with O(allow=reuse_serial). Which
    resources it has is not known.
  - Without O(encryption) the new version is encrypted as the current one was, or if that was deleted, as the restored
    one.
  - Run again after it was cut short, it goes on. Its lock may have to be released first.
seealso:
  - module: cornerstone.tfstate.tf_backend_info
  - module: cornerstone.tfstate.tf_state_digest
"""

EXAMPLES = r"""
- name: List the versions of a state
  cornerstone.tfstate.tf_backend_info:
    bucket: harmed-terraform-state
    region: eu-west-1
    gather: [states, versions]
    keys: [network/terraform.tfstate]
  register: info

- name: Show which resources come back and which vanish if the version before is restored
  cornerstone.tfstate.tf_state_version:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: network/terraform.tfstate
    state: restored
    version_id: "{{ (info.backend.states | selectattr('workspace', 'eq', 'default') | first).versions[1].version_id }}"
  check_mode: true
  diff: true

- name: Restore it
  cornerstone.tfstate.tf_state_version:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: network/terraform.tfstate
    state: restored
    version_id: "{{ (info.backend.states | selectattr('workspace', 'eq', 'default') | first).versions[1].version_id }}"

- name: Show which resources the last run made and removed
  cornerstone.tfstate.tf_state_version:
    bucket: harmed-terraform-state
    region: eu-west-1
    key: network/terraform.tfstate
    state: compared
    version_id: "{{ versions[0].version_id }}"
    with_version_id: "{{ versions[1].version_id }}"
  vars:
    versions: "{{ (info.backend.states | selectattr('workspace', 'eq', 'default') | first).versions }}"
  register: compared

- name: Write a copy of a state into a bucket that was lost and made again
  cornerstone.tfstate.tf_state_version:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: storage/terraform.tfstate
    state: restored
    src: storage.tfstate
    allow: [new_state]

- name: Undelete the state of another workspace
  cornerstone.tfstate.tf_state_version:
    bucket: harmed-terraform-state
    table: harmed-terraform-locks
    region: eu-west-1
    key: network/terraform.tfstate
    workspace: qa
    state: undeleted
"""

RETURN = r"""
changed:
  description: Whether anything was written, or in check mode would be. After a failure, whether it was before that.
  returned: always
  type: bool
  sample: true
msg:
  description: What is true now, in a sentence. After a failure, what went wrong, and what was done before.
  returned: always
  type: str
  sample: network/terraform.tfstate has what its version 3HL4kqtJvjVBH40Nrjfkd has, with serial 14
path:
  description: Where the state lies in the bucket, with the path of its workspace.
  returned: success
  type: str
  sample: network/terraform.tfstate
version_id:
  description: The version that was brought back, or compared. None with O(src).
  returned: success
  type: str
  sample: 3HL4kqtJvjVBH40Nrjfkd
lineage:
  description: The lineage of the state now, or of the version that was compared.
  returned: success
  type: str
  sample: 2d29fd45-64c5-43d3-9c37-3ff2e1a4e7d2
serial:
  description: The serial of the state now, or of the version that was compared.
  returned: success
  type: int
  sample: 14
serial_before:
  description:
    - The serial that it had, or of what was compared with. None if it was deleted, or could not be read.
  returned: success
  type: int
  sample: 13
added:
  description:
    - The addresses of resources that the state has now and had not before. With O(state=compared) those that
      O(version_id) has and the other has not.
    - None if the addresses are not known, as where OpenTofu encrypted the state.
  returned: success
  type: list
  elements: str
  sample: [aws_instance.bastion]
modified:
  description: The addresses of resources that are in both versions and differ.
  returned: success, with O(state=compared)
  type: list
  elements: str
  sample: [aws_instance.web]
lineage_before:
  description: The lineage of the version that O(version_id) is compared with. None if there is none.
  returned: success, with O(state=compared)
  type: str
  sample: 2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56
removed:
  description:
    - The addresses of resources that the state had before and has not now. With O(state=compared) those that the other
      has and O(version_id) has not.
    - None if the addresses are not known, as where OpenTofu encrypted the state.
  returned: success
  type: list
  elements: str
  sample: ['module.app["blue"].aws_lb.this[0]']
digest:
  description: The digest in the table now. None without O(table), and with O(state=compared).
  returned: success
  type: str
  sample: 28b36030a7887f4c55d8ea4c7670499a
"""

from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Invalid,
    Params,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import check_free, leftover_locks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    STATE_OPTIONS,
    TABLE_NEVER_BLANK,
    UPLOAD_OPTIONS,
    name_of,
    scope_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._repair.version_restore import (
    CHANGE_LINEAGE,
    KEEP_CURRENT,
    NEW_STATE,
    OPERATION,
    REUSE_SERIAL,
    RestorePlan,
    VersionRestore,
    Wanted,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.state_lookup import with_state

COMPARED = "compared"
#: Messages name at most so many resources.
NAMED = 5
OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    **STATE_OPTIONS,
    **UPLOAD_OPTIONS,
    "state": {"choices": ["restored", "undeleted", COMPARED], "required": True},
    "version_id": {},
    "src": {"type": "path"},
    "with_version_id": {},
    "lock_id": {},
    "allow": {"type": "list", "elements": "str", "choices": [CHANGE_LINEAGE, REUSE_SERIAL, NEW_STATE, KEEP_CURRENT]},
}


def restore_version(run: ModuleRun) -> dict[str, Any]:
    done: list[str] = []
    run.failure = partial(_failure, done)
    params, name, scope = run.params, name_of(run.params), scope_of(run.params)
    _check(params)
    aws = run.client()
    check_bucket(aws, scope.bucket, params["table"])

    def work_on(place: Place) -> VersionRestore:
        return VersionRestore(aws, scope, place, frozenset(params["allow"] or ()), done)

    place, plan = with_state(aws, scope, name, lambda place: _planned(work_on(place), params))
    work, is_changed = work_on(place), not plan.is_done
    if params["state"] != COMPARED and not is_changed and not params["lock_id"]:
        is_changed = bool(leftover_locks(aws, place, OPERATION))
    if is_changed:
        check_free(aws, place, OPERATION, params["lock_id"])
        plan = unless_checking(run.check_mode, plan, partial(work.carry_out, _wanted(params), params["lock_id"]))
    comparison = _comparison(place.path, plan, params) if params["state"] == COMPARED else {}
    return _result(place.path, plan, params, is_changed, run.diff) | comparison


def _wanted(params: Params) -> Wanted:
    return Wanted(params["version_id"], params["src"])


def _planned(work: VersionRestore, params: Params) -> RestorePlan:
    if params["state"] == COMPARED:
        return work.compared(_wanted(params), params["with_version_id"])
    return work.plan(_wanted(params))


def _failure(done: list[str], error: TfstateError) -> dict[str, Any]:
    so_far = f" (done before: {', '.join(done)}; run again to go on)" if done else ""
    return {"msg": f"{error}{so_far}", "changed": bool(done)}


def _check(params: Params) -> None:
    """Raises Invalid."""
    if params["version_id"] and params["src"]:
        raise Invalid("give version_id or src, not both: each names what to restore")
    if (params["state"] == "undeleted") == bool(params["version_id"] or params["src"]):
        raise Invalid("version_id or src goes with state: restored and compared, which need one of them")
    if params["allow"] and NEW_STATE in params["allow"] and not params["src"]:
        raise Invalid(f"allow: [{NEW_STATE}] goes with src")
    if params["with_version_id"] and params["state"] != COMPARED:
        raise Invalid("with_version_id goes with state: compared")


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    restore_version,
    never_blank=TABLE_NEVER_BLANK,
)


def _result(path: str, plan: RestorePlan, params: Params, is_changed: bool, diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": is_changed,
        "msg": f"{path} has what {_source(plan, params)} has, with serial {plan.serial}",
        "path": path,
        "version_id": plan.version_id,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "serial_before": plan.serial_before,
        "added": _difference(plan.after, plan.before),
        "removed": _difference(plan.before, plan.after),
        "digest": plan.digest,
    }
    if diff:
        result["diff"] = {"before": _lines(plan.serial_before, plan.before), "after": _lines(plan.serial, plan.after)}
    return result


def _source(plan: RestorePlan, params: Params) -> str:
    return printable(params["src"]) if params["src"] else f"its version {plan.version_id}"


def _difference(some: frozenset[str] | None, others: frozenset[str] | None) -> list[str] | None:
    return None if some is None or others is None else sorted(some - others)


def _comparison(path: str, plan: RestorePlan, params: Params) -> dict[str, Any]:
    other = f"version {params['with_version_id']}" if params["with_version_id"] else "the state now"
    which = (
        f"{_source(plan, params)}, compared with {path}," if params["src"] else f"version {plan.version_id} of {path}"
    )
    before, after = plan.before or frozenset(), plan.after or frozenset()
    more, fewer, modified = len(after - before), len(before - after), sorted(plan.modified)
    named = f": {', '.join(modified[:NAMED])}" + (f" and {len(modified) - NAMED} more" if modified[NAMED:] else "")
    lineage = (
        f"lineage {plan.lineage}"
        if plan.lineage == plan.lineage_before
        else f"lineage {plan.lineage}, and that of {other} is {plan.lineage_before}: they are different states"
    )
    msg = (
        f"{which} has {more} resources that {other} has not, and lacks {fewer} that it has"
        f"; {len(modified)} differ{named if modified else ''}; serial {plan.serial}, the other {plan.serial_before}; "
        f"{lineage}"
    )
    return {"msg": msg, "lineage_before": plan.lineage_before, "modified": modified}


def _lines(serial: int | None, addresses: frozenset[str] | None) -> str:
    head = "no state" if serial is None else f"serial {serial}"
    told = ["its resources are not known"] if addresses is None else sorted(addresses)
    return "".join(f"{printable(line)}\n" for line in (head, *told))


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

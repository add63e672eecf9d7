#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_state_lock
short_description: Hold or release the lock of a Terraform or OpenTofu state
version_added: 0.2.0
description:
  - Takes the lock of a state as Terraform and OpenTofu do, so that neither of them writes while something else is done
    to the state. Or releases a lock whose holder is gone.
  - It works on both kinds of locks. The lock file lies beside the state, the lock item in O(table).
  - A lock is released only as it was seen. If it changes hands in the meantime, it is left alone and the task fails.
  - Locks that no client can read or release, because they are empty or not JSON, are shown and released as well.
  - Nothing ends a client that is still at work. It goes on writing after its lock was released, and so does whoever
    gets the lock next. See to it that the holder is gone first.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.state
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
attributes:
  idempotent:
    support: partial
    details:
      - With O(state=held) only with the O(lock_id) of the lock that is held. Without it the second run finds the lock
        of the first one, and fails.
      - With O(state=released) only without O(lock_id). With it the second run finds no such lock, and fails.
options:
  bucket:
    required: true
  key:
    required: true
  state:
    description:
      - V(held) takes the lock in both stores, or in none. It does not wait. A lock of somebody else makes the task
        fail, and show who holds it.
        The lock file is taken for clients that lock by O(table) alone as well, as nobody knows of all clients.
      - V(released) releases the lock that O(lock_id) or O(older_than) means, in both stores. Without either of them
        the task fails if there is a lock, and shows who holds it.
      - Without O(lock_id), no lock is no error, and V(released) changes nothing. A O(lock_id) under which the state is
        not locked is one, and the task names the state that is locked under it, if any is.
      - If there is no state, lock or digest under O(key), a warning says so. If states with similar names exist, the
        task fails instead, and names them. See O(allow).
    type: str
    choices: [held, released]
    required: true
  lock_id:
    description:
      - The id of the lock, as in RV(before) of this module and in the error of a client that does not get it.
      - Or V(sha256:) and at least the first 12 hexadecimal digits of the SHA-256 of that id, as in RV(before).
        Use it in commands. Anybody who can write a lock chooses its id, and an id can hold text that a shell
        or Ansible runs. Messages show an id so if it has other characters than letters, digits and C(_./:@+=,-).
      - A wedged lock has no id of its own. For it take what RV(before) shows instead, which means exactly what was
        found there. It is C(fingerprint) in the result of M(cornerstone.tfstate.tf_backend_info).
      - With O(state=released) a lock with another id is left alone, and the task fails.
      - With O(state=held) the lock is taken under this id, unless it is held under it already.
        Not given, a new one is made.
    type: str
  older_than:
    description:
      - Release the lock, whatever its id, if it has been held for so long, as V(2h), V(90m), V(1d12h) or a number of
        seconds. A younger one is left alone, and the task ends well.
      - The age of a lock file is that of the object, by the clock of S3. The age of an item is by the clock of the
        client that made it, as its C(Created) says.
      - If an item does not say since when it is held, its age is unknown and the task fails and releases nothing. That
        is so without C(Created), with the zero time of Go or Unix there, and with any other time before 2014. Release
        such a lock by its O(lock_id).
      - Together with O(lock_id) both must be true.
      - The lock by which M(cornerstone.tfstate.tf_state_move) protects the source of a state that moved, and those of
        M(cornerstone.tfstate.tf_backend_freeze), are only released by their O(lock_id).
      - Choose it longer than any apply can take.
    type: str
  operation:
    description:
      - What the lock is held for, in a word or two, as others are shown it.
    type: str
    default: maintenance
  info:
    description:
      - More about it, such as the name of a ticket. Everybody who meets the lock is shown it.
    type: str
    default: ""
  allow:
    description:
      - What may be done although it was refused.
      - V(new_state) takes the lock of a state that does not exist, or releases nothing, although states with similar
        names exist. Use it to lock a state before it is created.
    type: list
    elements: str
    choices: [new_state]
  wait_timeout:
    default: 60
notes:
  - "Permissions: C(s3:GetObject), C(s3:PutObject) and C(s3:DeleteObject) on the lock file, C(s3:ListBucket) on the
    bucket, and C(dynamodb:GetItem), C(dynamodb:PutItem) and C(dynamodb:DeleteItem) on the table. Where a KMS key of
    your own encrypts the bucket, C(kms:Decrypt) and C(kms:GenerateDataKey). Whoever only releases locks needs
    neither those that put nor C(kms:GenerateDataKey)."
  - Without C(s3:ListBucket) AWS does not say whether there is no lock file, and the task fails.
  - If there is no lock, one more request finds out whether there is a state. Similar names are looked for only if there
    is none, among the first 5,000 keys of its folder, then of the bucket, then in the table, which needs
    C(dynamodb:Scan). If they cannot be listed, a warning says so.
  - A store other than AWS may not know conditional deletes. Its lock file is then read once more just before it is
    deleted, and a warning says so.
seealso:
  - module: cornerstone.tfstate.tf_lock_table
  - name: terraform force-unlock
    description: What Terraform itself has for it. It knows only the kinds of locks that are configured.
    link: https://developer.hashicorp.com/terraform/cli/commands/force-unlock
"""

EXAMPLES = r"""
- name: Keep Terraform away from a state
  cornerstone.tfstate.tf_state_lock:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: network/terraform.tfstate
    state: held
    operation: restore
    info: OPS-42
  register: lock

- name: Let it in again
  cornerstone.tfstate.tf_state_lock:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: network/terraform.tfstate
    state: released
    lock_id: "{{ lock.lock_id }}"

- name: See who holds the lock of another workspace, if anybody does
  cornerstone.tfstate.tf_state_lock:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: network/terraform.tfstate
    workspace: qa
    state: released
  check_mode: true
  register: lock
  failed_when: false

- name: Say it
  ansible.builtin.debug:
    var: lock.msg

- name: Release a lock file that a pipeline left behind yesterday
  cornerstone.tfstate.tf_state_lock:
    bucket: usest1-terraform-state-ezra
    region: us-east-1
    key: network/terraform.tfstate
    state: released
    older_than: 12h
"""

RETURN = r"""
changed:
  description: Whether a lock was taken or released, or in check mode would be.
  returned: always
  type: bool
  sample: true
msg:
  description: Who holds the lock now, in a sentence. After a failure, what went wrong.
  returned: always
  type: str
  sample: network/terraform.tfstate is not locked
path:
  description: Where the state lies in the bucket, with the path of its workspace.
  returned: when the locks could be read
  type: str
  sample: env:/qa/network/terraform.tfstate
lock_id:
  description: The id of the lock that is held. None in check mode, if a run would make a new one.
  returned: success, with O(state=held)
  type: str
  sample: 008fc466-9743-e5aa-475a-7589773aa3fd
before:
  description: The locks as they were found, at most one in each store.
  returned: when the locks could be read
  type: list
  elements: dict
  contains:
    store:
      description: Where the lock lies, V(file) for the lock file and V(table) for the item.
      type: str
      sample: file
    path:
      description: The state that is locked.
      type: str
      sample: network/terraform.tfstate
    lock_id:
      description: Its id, or what to give as O(lock_id) to release a wedged lock.
      type: str
      sample: 008fc466-9743-e5aa-475a-7589773aa3fd
    lock_id_sha256:
      description:
        - V(sha256:) and the SHA-256 of RV(before[].lock_id), in hexadecimal digits. O(lock_id) takes it instead of the
          id. It is safe in a command, whatever the id is.
      type: str
      sample: sha256:464107b67634598b5363cafabccc938fa4182e546fead6a0f61c62b2d38fe768
    operation:
      description: What it is held for. None for a wedged lock.
      type: str
      sample: OperationTypeApply
    info:
      description: More about it. Clients leave it empty.
      type: str
      sample: ""
    who:
      description: Who holds it, as user and host. None for a wedged lock.
      type: str
      sample: ci@runner-7
    client:
      description: The version of Terraform or OpenTofu. Locks of this collection have its name there.
      type: str
      sample: 1.11.4
    created:
      description: Since when, by the clock of the client, in RFC 3339. None if that is unknown.
      type: str
      sample: "2026-11-21T10:03:50.178060054Z"
    age_s:
      description: For how many seconds. None if that is unknown. Negative if a clock is wrong.
      type: int
      sample: 7260
    is_wedged:
      description: Whether no client can read it, wait for it or release it.
      type: bool
      sample: false
    is_canonical:
      description: Whether OpenTofu can release it from a table, which it can only if it would have written the same.
      type: bool
      sample: true
    problem:
      description: Why it is wedged. None if it is not.
      type: str
      sample: it is not JSON
after:
  description: The locks as they are now, in check mode as they would be, each as in RV(before).
  returned: when the locks could be read
  type: list
  elements: dict
  sample: []
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Invalid,
    Params,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, shortened
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.holders import (
    age_s,
    seconds,
    sentence,
    to_result,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.locking import (
    REPEAT_S,
    AlreadyLocked,
    Released,
    planned_locks,
    read_locks,
    release,
    take,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import our_lock, with_id
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Lock, Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    STATE_OPTIONS,
    TABLE_NEVER_BLANK,
    UPLOAD_OPTIONS,
    name_of,
    place_of,
    scope_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.errors import NoState
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.state_lookup import (
    FoundState,
    find_state,
    where_held,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    HASH,
    MOVING,
    LockInfo,
    Wedged,
    is_frozen_by,
    is_named,
    lock_name,
)

#: The value of `allow` for a state that is not there yet.
NEW_STATE = "new_state"
OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    **STATE_OPTIONS,
    **UPLOAD_OPTIONS,
    "state": {"choices": ["held", "released"], "required": True},
    "lock_id": {},
    "older_than": {},
    "operation": {"default": "maintenance"},
    "info": {"default": ""},
    "allow": {"type": "list", "elements": "str", "choices": [NEW_STATE]},
}


STATE = "and a state is never released: move it to another key"


@dataclass(frozen=True)
class Settled:
    """The locks of a state before and after a task, and what went wrong."""

    before: tuple[Lock, ...]
    after: tuple[Lock, ...]
    is_changed: bool = False
    problem: str | None = None


def set_lock(run: ModuleRun) -> dict[str, Any]:
    now, params = datetime.now(timezone.utc), run.params
    place = place_of(params)
    _check(params)
    aws = run.client()
    check_bucket(aws, target_of(params, "bucket"), params["table"])
    found = _find(aws, place, params)
    apply = _hold if params["state"] == "held" else _release
    return _result(found.place, apply(aws, found, params, now, run.check_mode), params, now, run.diff)


MODULE = ModuleEntry(
    with_connection(OPTIONS, wait_timeout=60),
    set_lock,
    never_blank={
        **TABLE_NEVER_BLANK,
        "lock_id": "a lock of any id would be meant",
        "older_than": "a lock of any age would be meant",
    },
)


def _check(params: Params) -> None:
    """Raises Invalid on options that do not go together."""
    if params["older_than"]:
        seconds(params["older_than"])
    if params["state"] == "released":
        return
    if params["older_than"]:
        raise Invalid("older_than goes with state: released")
    if (params["lock_id"] or "").startswith(HASH):
        raise Invalid(f"lock_id begins with {HASH}, which names a lock by the hash of its id: give the id itself")


def _find(aws: Aws, place: Place, params: Params) -> FoundState:
    """The state that is meant, which may not exist yet, and its locks."""
    locks = read_locks(aws, place)
    if locks:
        return FoundState(place, locks)
    try:
        found = find_state(aws, scope_of(params), name_of(params), NEW_STATE in (params["allow"] or ()))
    except NoState as error:
        raise NoState(f"{error}; allow: [{NEW_STATE}] permits it if the state is new") from None
    aws.warnings += [found.warning] if found.warning else []
    return found


def _hold(aws: Aws, found: FoundState, params: Params, now: datetime, check_mode: bool) -> Settled:
    """Takes what is missing of the lock, or finds out that it is held by somebody else."""
    place, before, wanted_id = found.place, found.locks, params["lock_id"]
    mine = [lock for lock in before if lock.id == wanted_id and isinstance(lock.record, LockInfo)]
    if len(mine) < len(before):
        return Settled(before, before, problem=_held_by_others(place, before, now))
    info = next((lock.record for lock in mine if isinstance(lock.record, LockInfo)), None)
    info = info or our_lock(place, params["operation"], params["info"], now, wanted_id or "")
    wanted = planned_locks(place, info)
    if len(mine) == len(wanted):
        return Settled(before, before)
    try:
        after = unless_checking(check_mode, wanted, partial(_taken_to_stay, aws, place, with_id(info), before))
    except AlreadyLocked as error:
        return Settled(before, (error.lock,), problem=_held_by_others(place, (error.lock,), now))
    return Settled(before, after, is_changed=True)


def _taken_to_stay(aws: Aws, place: Place, info: LockInfo, have: Sequence[Lock]) -> tuple[Lock, ...]:
    """Looked at again after a while, and taken again if a client's repeated release took it away."""
    taken = [lock for lock in take(aws, place, info, have) if lock not in have]
    try:
        aws.rest(REPEAT_S)
        return take(aws, place, info, read_locks(aws, place))
    except BaseException:
        aws.warnings.extend(release(aws, place, taken).problems)
        raise


def _held_by_others(place: Place, locks: Sequence[Lock], now: datetime) -> str:
    return f"{sentence(place.path, locks, now)}; wait until it is released, or see to it that its holder is gone"


def _release(aws: Aws, found: FoundState, params: Params, now: datetime, check_mode: bool) -> Settled:
    """Releases the locks that the task names, whoever holds them."""
    older_than_s = seconds(params["older_than"]) if params["older_than"] else None
    place, locks = found.place, found.locks
    try:
        selected = _selected(locks, params, older_than_s, now)
    except _NotSelected as reason:
        elsewhere = f"; {where_held(aws, scope_of(params), reason.name)}" if reason.name else ""
        return Settled(locks, locks, problem=f"{sentence(place.path, locks, now)}; {reason}{elsewhere}")
    released = unless_checking(check_mode, Released(tuple(selected), ()), partial(release, aws, place, selected))
    after = tuple(lock for lock in locks if lock not in released.done)
    return Settled(locks, after, bool(released.done), "; ".join(released.problems) or None)


class _NotSelected(Exception):
    """Why no lock of the state is released."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(reason)
        #: The id that was given, if the state is not locked under it.
        self.name = name


def _selected(locks: Sequence[Lock], params: Params, older_than_s: float | None, now: datetime) -> list[Lock]:
    """The locks that the task names. Raises _NotSelected."""
    if locks and not (params["lock_id"] or params["older_than"]):
        ids = " or ".join(dict.fromkeys(lock_name(lock.id) for lock in locks if not _is_state(lock)))
        raise _NotSelected(f"{_question(locks)}, release it with lock_id: {ids}" if ids else STATE)
    lock_id = (params["lock_id"] or "").strip('"')  # such as ETags have
    named = [lock for lock in locks if not lock_id or is_named(lock.id, lock_id)]
    if lock_id and not named:
        left = f"and not under the lock_id {params['lock_id']}, so it was left alone" if locks else ""
        raise _NotSelected(left or f"the lock_id {params['lock_id']} was given, and nothing was released", lock_id)
    if any(_is_state(lock) for lock in named):
        raise _NotSelected(STATE)
    for lock in named:
        _check_selection(lock, bool(lock_id), older_than_s is not None, age_s(lock, locks, now))
    return [lock for lock in named if older_than_s is None or (age_s(lock, locks, now) or 0) >= older_than_s]


def _question(locks: Sequence[Lock]) -> str:
    """What to find out before a lock is released."""
    record = next((lock.record for lock in locks if isinstance(lock.record, LockInfo)), None)
    if record is None:
        return "if its holder is gone for sure"
    if is_frozen_by(record):
        return f"it is frozen on purpose: ask {shortened(record.who)}. If the repair is complete, thaw it, or"
    who, operation = shortened(record.who), shortened(record.operation)
    return (
        f"ask {who}, and look at your pipelines: does {operation} still run? It would go on writing without its lock. "
        "If its holder is gone for sure"
    )


def _check_selection(lock: Lock, is_by_id: bool, is_by_age: bool, age: float | None) -> None:
    """Raises _NotSelected."""
    name = lock_name(lock.id)
    if not is_by_id and isinstance(lock.record, LockInfo) and lock.record.operation == MOVING:
        raise _NotSelected(f"and protects the source of a state that moved: name it, lock_id: {name}")
    if not is_by_id and is_frozen_by(lock.record):
        raise _NotSelected(f"and frozen on purpose: thaw it, or name it, lock_id: {name}")
    if is_by_age and age is None:
        raise _NotSelected(
            f"and nothing says since when the lock in the {lock.store} is held, so older_than cannot judge it: if "
            f"its holder is gone for sure, release it with lock_id: {name}, without older_than"
        )


def _is_state(lock: Lock) -> bool:
    """Whether what lies in the place of the lock file is a state."""
    return isinstance(lock.record, Wedged) and lock.record.is_state


def _result(place: Place, settled: Settled, params: Params, now: datetime, diff: bool) -> dict[str, Any]:
    is_now = sentence(place.path, settled.after, now)
    result: dict[str, Any] = {
        "changed": settled.is_changed,
        "msg": settled.problem or is_now,
        "path": place.path,
        "before": to_result(settled.before, now),
        "after": to_result(settled.after, now),
    }
    if settled.problem:
        result["failed"] = True
    elif params["state"] == "held":
        result["lock_id"] = settled.after[0].id or None
    if diff:
        was = sentence(place.path, settled.before, now)
        result["diff"] = {"before": f"{printable(was)}\n", "after": f"{printable(is_now)}\n"}
    return result


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

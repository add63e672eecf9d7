#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_lock_mode
short_description: Take a backend from lock mode to lock mode
version_added: 0.2.0
description:
  - Takes one step, from V(dynamodb) to V(both), from V(both) to V(lockfile), or back. Clients that know only the table
    and clients that know only lock files do not keep each other out, so V(both) is always in between.
  - "What is missing for the step is told all at once, alike in check mode: who holds a lock, who still locks the old
    way, which code is not ready, which digests stop clients. Nothing is written as long as anything is missing."
  - "On the way to V(lockfile) it adds a statement to the policy of the table that keeps clients from digests, the
    I(digest policy), and removes the digests, each under the locks of its state. Clients that still lock both ways log
    that, and work. On the way back no digest that is out of date is left when the digest policy goes."
  - It changes neither code nor the files of the backend. Those come before and after it.
  - Killed at any moment it leaves nothing that harms, and the next run completes it.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.code
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
options:
  bucket:
    description:
      - The state bucket.
      - Not given, as far as the task runs on the controller, the backend is that of the role's variables, and
        O(current_lock_mode) is C(terraform_backend_lock_mode).
    required: true
  table:
    description:
      - The lock table. Every step has it on one of its sides.
    required: true
  lock_mode:
    description:
      - The mode that is to be reached.
      - V(both) makes the backend ready for clients that lock both ways, and from V(lockfile) for clients with digests.
      - V(lockfile) makes it ready for clients that lock by file alone.
      - V(dynamodb) makes it ready for clients that lock in the table alone.
    type: str
    choices: [dynamodb, both, lockfile]
    required: true
  current_lock_mode:
    description:
      - The mode that the files of the backend are written with. A step from it that leaves V(both) out is refused.
      - A table that is not found is taken for one that was removed only with V(lockfile), or without this, and if no
        O(code) names it.
    type: str
    choices: [dynamodb, both, lockfile]
  code:
    description:
      - Directories of the Terraform or Terragrunt code that uses the backend, with its checkouts. They are searched
        for backend blocks, C(*.tfbackend) files and initialised checkouts, as M(cornerstone.tfstate.tf_backend_audit)
        does.
      - What may be a client of the backend, and does not say for certain, is in the way, too, until O(code_known)
        says what it is. C(docs/code.md) lists what is read.
      - The project of M(cornerstone.tfstate.tf_backend_handover) is such code, too.
  observe_seconds:
    description:
      - For so many seconds it is looked again and again for clients that lock the old way, and for locks that stay.
        Who runs meanwhile is seen, and nobody else. The longest run of a client is a good value.
    type: int
    default: 5
  probe:
    description:
      - Whether to test that the store supports the conditional writes that lock files depend on. The test writes an
        object under C(cornerstone.tfstate/probe/) and deletes all of its versions.
      - If omitted, a step to V(both) or V(lockfile) tests a store that is not AWS, unless the tag
        C(cornerstone.tfstate:lock_files) of the bucket says V(supported). The result is recorded in this tag.
      - The test comes last, and only if nothing else is missing. In check mode it is left out, which a warning says.
    type: bool
  remove_table:
    description:
      - Removes the table, once the step to V(lockfile) was taken, no code names it, and nothing is left in it. It goes
        with O(lock_mode=lockfile), and, as tables are protected, V(disable_deletion_protection) of O(allow).
      - What states that have moved away left in it is removed first, their digests, and locks that are lock files, too.
    type: bool
    default: false
  allow:
    description:
      - What may be done although it was refused.
      - V(unseen_code) goes without code, or with code that does not name the bucket; with O(remove_table), nor other
        buckets that have taken the step with the same table.
      - V(without_digest_policy) goes without the digest policy. Clients that lock both ways then go on to write
        digests, and stop with an error once a client of lock files alone has written the same state, until the step is
        taken again.
      - V(disable_deletion_protection) switches off what keeps the table from being removed.
    type: list
    elements: str
    choices: [unseen_code, without_digest_policy, disable_deletion_protection]
  lock_timeout:
    description:
      - For so many seconds the lock of a state that has a digest is waited for.
    type: int
    default: 0
  wait_timeout:
    description:
      - How many seconds AWS gets to stop answering that it is busy. It takes a change of a table's policy only every 15
        seconds.
    default: 60
notes:
  - "Permissions: see the page on permissions of this collection, section Change the lock mode."
  - Stores without policies of tables get no digest policy. A warning says so.
  - A step to V(lockfile) sets the tag C(cornerstone.tfstate:lock_mode) of the bucket, and other steps remove it.
    M(cornerstone.tfstate.tf_state_bucket) goes by it. Without the permission to read or write tags a warning says so.
  - States that have moved away are left alone, whether the locks of M(cornerstone.tfstate.tf_state_move) keep clients
    from them or the policy of the bucket. A step to V(lockfile) asks that such locks are lock files, one to
    V(dynamodb) that they are in the table.
  - A state whose path ends in C(-md5) has a lock that is named like a digest. With one, the digest policy is refused.
seealso:
  - module: cornerstone.tfstate.tf_state_digest
  - module: cornerstone.tfstate.tf_state_lock
  - module: cornerstone.tfstate.tf_lock_table
"""

EXAMPLES = r"""
- name: See what is missing before everybody locks both ways
  cornerstone.tfstate.tf_lock_mode:
    bucket: stepping-terraform-state
    table: stepping-terraform-locks
    region: eu-west-1
    lock_mode: both
    code:
      - stepping/code
  check_mode: true

- name: Make the backend ready for clients that lock by file alone
  cornerstone.tfstate.tf_lock_mode:
    bucket: stepping-terraform-state
    table: stepping-terraform-locks
    region: eu-west-1
    lock_mode: lockfile
    observe_seconds: 1
    probe: true
    allow:
      - unseen_code

- name: Go back
  cornerstone.tfstate.tf_lock_mode:
    bucket: stepping-terraform-state
    table: stepping-terraform-locks
    region: eu-west-1
    lock_mode: both
    observe_seconds: 1
    code:
      - stepping/code
"""

RETURN = r"""
changed:
  description:
    - Whether the digest policy was added or removed, digests were removed, or the lock mode or the result of a probe
      was recorded in a tag of the bucket, or in check mode would be.
  returned: always
  type: bool
  sample: true
msg:
  description: What comes next, in a sentence. After a failure, what is missing or went wrong.
  returned: always
  type: str
  sample: acme-state is ready for lockfile; code may drop dynamodb_table; the table can go once nothing names it
from:
  description: The mode furthest from O(lock_mode) that is known to be in use. None if nothing tells.
  returned: success
  type: str
  sample: both
to:
  description: The mode that was asked for.
  returned: success
  type: str
  sample: lockfile
missing:
  description: What is in the way of the step, a sentence each. Empty if it was taken.
  returned: success
  type: list
  elements: str
  sample: ["network/backend.tf locks in the table alone: give it both use_lockfile and dynamodb_table, and init again"]
digest_policy:
  description:
    - V(active) if the policy of the table keeps clients from its digests, V(inactive) if not. None where tables have no
      policies.
  returned: success
  type: str
  sample: active
digests:
  description: The states whose digests were removed, or in check mode would be, also with the table.
  returned: always
  type: list
  elements: str
  sample: [network/terraform.tfstate]
layers:
  description: How many backends in the code use the bucket. None if no code was given.
  returned: success
  type: int
  sample: 12
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
table_removed:
  description: Whether the table was removed, or in check mode would be.
  returned: success
  type: bool
  sample: false
probe:
  description: What the probe found. None without a probe, and where the store refuses the condition.
  returned: success
  type: dict
  contains:
    creates_once:
      description: Whether an object that must not be there yet is created only if it is not. Lock files rest on it.
      returned: success
      type: bool
      sample: true
    creates_again:
      description: Whether it is created again once it was deleted, in the bucket's own state of versioning.
      returned: success
      type: bool
      sample: true
    deletes_if_unchanged:
      description: Whether it is deleted only if it has not changed. Modules of this collection release lock files so.
      returned: success
      type: bool
      sample: true
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.makers import SHARED_MANAGEMENT
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    CallFailed,
    Change,
    Invalid,
    Params,
    Resource,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import (
    Interrupted,
    reconcile,
    unless_checking,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Outcome as Reconciled
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.mode_check import (
    record,
    record_step,
    tags_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.requirements import (
    DYNAMODB,
    LOCKFILE,
    MODES,
    UNPROTECT,
    UNSEEN_CODE,
    WITHOUT_POLICY,
    LockedBackend,
    Step,
    can_miss_table,
    namings,
    next_step,
    reasons,
    several,
    unseen_neighbours,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.store_probe import (
    LockFileSupport,
    is_known,
    planned_support,
    recorded_tags,
    tested_support,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.table_removal import TableRemoval
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.transition import (
    Transition,
    TransitionOutcome,
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
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    UPLOAD_OPTIONS,
    encryption_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope

OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    "table": {"required": True},
    **UPLOAD_OPTIONS,
    "lock_mode": {"choices": list(MODES), "required": True},
    "current_lock_mode": {"choices": list(MODES)},
    **CODE_OPTIONS,
    "observe_seconds": {"type": "int", "default": 5},
    "probe": {"type": "bool"},
    "remove_table": {"type": "bool", "default": False},
    "allow": {"type": "list", "elements": "str", "choices": [UNSEEN_CODE, WITHOUT_POLICY, UNPROTECT]},
    "lock_timeout": {"type": "int", "default": 0},
}

#: What permits to touch a table that another tool manages, and is no word of this task.
_TAKE_OVER = SHARED_MANAGEMENT
_REMOVED = (
    "if it was removed on purpose, neither current_lock_mode nor code may still need it: set both to lockfile first"
)


def change_lock_mode(run: ModuleRun) -> dict[str, Any]:
    params = run.params
    transition: Transition | None = None
    code: CodeMap | None = None
    run.failure = lambda _error: _failure(params, transition, code)
    code = code_of(params)
    transition = _transition(run)
    transition.inspect(params["observe_seconds"])
    step = _step(params, transition, code)
    if transition.missing_table and not can_miss_table(step):
        raise TfstateError(f"{CallFailed(transition.missing_table)}; {_REMOVED}")
    missing = [*reasons(step, _allowed(params)), *transition.reasons()]
    missing += _of_removal(step, transition, _allowed(params)) if params["remove_table"] else []
    support = LockFileSupport() if missing else _lock_file_support(params, transition, run.check_mode)
    if support.problem and step.target != DYNAMODB:
        missing.append(f"{step.backend.bucket} cannot be locked by files: {support.problem}")
    work = _remove_table if params["remove_table"] else _take_step
    outcome = TransitionOutcome() if missing else work(params, transition, run.check_mode)
    is_taken = not (missing or outcome.problems)
    recorded = _recorded(transition, support, run.check_mode) if is_taken else ()
    return _result(step, transition, missing, outcome, (*support.changes, *recorded), support, run.diff)


def _recorded(transition: Transition, support: LockFileSupport, check_mode: bool) -> tuple[Change, ...]:
    """Whether clients may lock by file alone from now on, in a tag of the bucket: a run of the role looks at it."""
    aws, scope = transition.aws, transition.scope
    before = support.changes[-1].after if support.changes else tags_of(aws, scope)
    change = record_step(scope, transition.target, before)
    planned: tuple[Change, ...] = (change,) if change else ()
    return unless_checking(check_mode, planned, partial(record, aws, scope, change))


def _transition(run: ModuleRun) -> Transition:
    params = run.params
    if not params["table"]:
        raise Invalid("table is empty: every step has a lock table on one of its sides")
    if params["remove_table"] and params["lock_mode"] != LOCKFILE:
        raise Invalid("remove_table goes with lock_mode: lockfile")
    scope = Scope(target_of(params, "bucket"), params["table"], encryption=encryption_of(params))
    aws = run.client(timeout_s=params["wait_timeout"] + params["observe_seconds"] + params["lock_timeout"])
    check_bucket(aws, scope.bucket, scope.table)
    return Transition(aws, scope, params["lock_mode"], params["lock_timeout"], WITHOUT_POLICY in _allowed(params))


def _step(params: Params, transition: Transition, code: CodeMap | None) -> Step:
    backend = LockedBackend(transition.scope.bucket.name, params["table"], transition.scope.bucket.region)
    return Step(backend, params["lock_mode"], params["current_lock_mode"], code, transition.has_digest_policy)


MODULE = ModuleEntry(with_connection(OPTIONS, wait_timeout=60), change_lock_mode)


def _allowed(params: Params) -> frozenset[str]:
    return frozenset(params["allow"] or ())


def _lock_file_support(params: Params, transition: Transition, check_mode: bool) -> LockFileSupport:
    aws, scope = transition.aws, transition.scope
    is_other_store = not aws.is_aws("s3")
    wanted = params["probe"]
    if wanted is None:
        wanted = is_other_store and params["lock_mode"] != DYNAMODB
    if not wanted:
        return LockFileSupport()
    before = recorded_tags(aws, scope) if is_other_store else None
    if is_known(before) and not params["probe"]:
        return LockFileSupport()
    return unless_checking(check_mode, planned_support(scope, before), partial(tested_support, aws, scope, before))


def _of_removal(step: Step, transition: Transition, allow: Iterable[str]) -> list[str]:
    """What would be lost with the table. Nobody sees whether a step that is still to be taken empties it."""
    first = ["there is something left to do before the table can go: take the step without remove_table first"]
    users = [*namings(step), *unseen_neighbours(step, transition.buckets_in_policy, allow)]
    return [*several(users), *(first if transition.planned().is_changed else TableRemoval(transition).kept())]


def _take_step(params: Params, transition: Transition, check_mode: bool) -> TransitionOutcome:
    return unless_checking(check_mode, transition.planned(), transition.carry_out)


def _remove_table(params: Params, transition: Transition, check_mode: bool) -> TransitionOutcome:
    """Refused before it is emptied, though nobody sees it empty yet: that nothing else is in it was seen."""
    emptied = replace(TABLE, teardown=TABLE.teardown[1:])
    planned, outcome = _removal(params, transition, emptied, True), TableRemoval(transition).planned()
    if outcome.is_changed or planned.changes:
        outcome = unless_checking(check_mode, outcome, partial(_empty_and_remove, params, transition))
    outcome.removes_table = bool(planned.changes)
    return outcome


def _empty_and_remove(params: Params, transition: Transition) -> TransitionOutcome:
    """Under one lease, so that no other run takes the step back in between."""
    with transition.exclusive():
        outcome = TableRemoval(transition).carry_out()
        try:
            _removal(params, transition, TABLE, False)
        except Interrupted as error:
            outcome.removes_table = error.has_written
            raise TfstateError(f"{error}; {_done_to(params['table'], error)}") from error
    return outcome


def _removal(params: Params, transition: Transition, table: Resource, is_foreseen: bool) -> Reconciled:
    words = {"allow": [each for each in _allowed(params) if each == UNPROTECT], "confirm_name": None}
    options = {"state": "absent", **words}
    transition.aws.renew()
    try:
        return reconcile(transition.aws, table, target_of(params, "table"), options, is_foreseen)
    except Refused as refused:
        problems = (
            f"{each.reason}; remove it there" if each.word == _TAKE_OVER else str(each) for each in refused.refusals
        )
        raise Refused(". ".join(f"table {params['table']}: {each}" for each in problems) or str(refused)) from None


def _done_to(table: str, error: Interrupted) -> str:
    """What came of the removal so far. The last of it is the deletion."""
    done = [change.facet for change in error.done if change.calls]
    if EXISTENCE in done:
        return f"AWS was told to delete the table {table}, and may still be at it"
    return f"the table {table} is there{', without its deletion protection' if done else ' as it was'}: run again"


def _failure(params: Params, transition: Transition | None, code: CodeMap | None) -> dict[str, Any]:
    """What is known of a step that was cut short."""
    outcome = transition.outcome if transition else TransitionOutcome()
    digests = sorted(outcome.removed)
    return {"changed": outcome.is_changed, "digests": digests, **code_result(code, params["region"])}


def _result(
    step: Step,
    transition: Transition,
    missing: list[str],
    outcome: TransitionOutcome,
    recorded: tuple[Change, ...],
    support: LockFileSupport,
    diff: bool,
) -> dict[str, Any]:
    problems = [*missing, *outcome.problems]
    transition.aws.warnings.extend([*transition.cautions(), *filter(None, [support.caution])])
    origin = step.origin
    result: dict[str, Any] = {
        "changed": outcome.is_changed or bool(recorded),
        "msg": "; ".join(problems) or _message(step, transition, outcome),
        "from": origin,
        "to": step.target,
        "missing": missing,
        "digest_policy": transition.policy_state(outcome),
        "digests": sorted(outcome.removed),
        "layers": len(step.layers) if step.code else None,
        **code_result(step.code, step.backend.region),
        "probe": support.probe and support.probe.to_result(),
        "table_removed": outcome.removes_table,
    }
    if problems:
        result["failed"] = True
    if diff:
        result["diff"] = transition.diff(outcome)
    return result


def _message(step: Step, transition: Transition, outcome: TransitionOutcome) -> str:
    if outcome.removes_table or transition.missing_table:
        return f"{step.backend.bucket} is locked by file alone, and the table {step.backend.table} is gone"
    return f"{step.backend.bucket} is ready for {step.target}: {next_step(step.target)}"


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

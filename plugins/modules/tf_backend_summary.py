#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_summary
short_description: Print what became of every backend
version_added: 0.1.0
description:
  - Prints a table with a line for each backend of the play, in the colours of Ansible if there are any; past 40
    backends only counts and the exceptions. The table is RV(msg), too.
    If the callback plugin of the run writes JSON (such as C(ansible.posix.json) and C(ansible.posix.jsonl)) or is
    C(community.general.null), nothing is printed beside it.
  - Below the table, in which accounts and by which credentials the work was done. The account is V(unknown) if neither
    C(account_id) nor an answer of AWS says it.
  - Fails for each backend whose convergence failed, with the reason, so that the exit code of the playbook says so. A
    backend that the role was not applied to in this run is V(not run), which is a failure, too. A role that C(when)
    skipped is V(skipped), which is none.
  - Of a preflight, a failure is V(refused). The custom stat counts it as failed.
  - Sets the custom stat C(terraform_backend_summary), with C(backends), C(changed), C(failed) and C(not_run) as counts,
    C(changed_backends), C(failed_backends) and C(not_run_backends) as lists of names, and C(check_mode). In check mode,
    C(changed) counts what would change.
  - It reads the variable C(terraform_backend), which P(cornerstone.tfstate.terraform_backend#role) registers. A host
    that has converged several backends, such as in a loop, has a line for each.
  - In a play with C(serial), the table of each batch is about all hosts that had their turn. With a strategy such as
    C(free), each host prints a table of itself.
  - This is an action plugin; nothing runs on the host.
options:
  print:
    description: Whether to print the table. The first host does it, or the first that does not fail.
    type: bool
    default: true
    version_added: 0.2.0
  fail:
    description:
      - Whether to fail for each backend whose convergence failed.
      - To print the table even if all fail, let one task with V(false) and C(run_once) print it, and another one fail,
        as in the example.
    type: bool
    default: true
    version_added: 0.2.0
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
attributes:
  check_mode:
    description: Can run in check mode and says what would change.
    support: full
  diff_mode:
    description: Shows what would change.
    support: none
  platform:
    description: Where it runs.
    platforms: posix
    support: full
  idempotent:
    description: Running it again changes nothing.
    support: full
  action:
    description: Has an action plugin of its name.
    support: full
"""

EXAMPLES = r"""
- name: Converge the backend
  ansible.builtin.import_role:
    name: cornerstone.tfstate.terraform_backend
  vars:
    terraform_backend_region: us-east-1
    terraform_backend_bucket_name: usest1-terraform-state-ezra
    terraform_backend_table_name: terraform-locks-us-east-1

- name: Print one line for each backend
  cornerstone.tfstate.tf_backend_summary:
    fail: false
  run_once: true

- name: Fail for each backend that was not converged
  cornerstone.tfstate.tf_backend_summary:
    print: false
"""

RETURN = r"""
msg:
  description:
    - Why the backend of this host failed; of several backends, with their names.
    - Otherwise the table, if this host prints it, or the V(status) of each of its backends.
  returned: always
  type: str
  sample: ok
converged:
  description: Whether no backend of this host failed.
  returned: always
  type: bool
  sample: true
backends:
  description: The lines of the table.
  returned: if this host prints the table, and does not fail
  type: list
  elements: dict
  contains:
    name:
      description: The name of the backend.
      type: str
      sample: us-east-1
    bucket:
      description: The name of the state bucket.
      type: str
      sample: usest1-terraform-state-ezra
    table:
      description: The name of the lock table. It is null in lock mode V(lockfile).
      type: str
      sample: terraform-locks-us-east-1
    lock_mode:
      description: How clients lock a state.
      type: str
      sample: both
    changed:
      description: What was changed, or in check mode would be. It is null if nothing was.
      type: str
      sample: "bucket: versioning; files"
    status:
      description: V(ok), V(changed), V(would change), V(failed), V(refused), V(not run), V(skipped) or
        V(nothing to do). Of a run whose tags choose parts, the parts follow in parentheses.
      type: str
      sample: ok
    reason:
      description: Why it failed or was not run. It is null otherwise.
      type: str
      sample: "put_bucket_versioning on acme-state: AccessDenied"
    cost:
      description:
        - US dollars of a month at rest, without states and runs. It is null if they are not known.
        - V(at least 1.00) or V(unknown) for a bucket that was there before, as nobody looked what it holds.
      type: str
      sample: "0.00"
    account_id:
      description: The account in which the work was done. It is null if it is not known.
      type: str
      sample: "111122223333"
    credentials:
      description: By which credentials the work was done. It is null if none were used.
      type: str
      sample: profile ops
"""

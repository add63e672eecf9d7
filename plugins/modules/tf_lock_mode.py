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
  - "On the way to V(lockfile) it puts a statement into the policy of the table behind which clients find no digests,
    the I(fence), and removes the digests, each under the locks of its state. Clients that still lock both ways log
    that, and work. On the way back no digest that is out of date is left when the fence goes."
  - It changes neither code nor the files of the backend. Those come before and after it.
  - Killed at any moment it leaves nothing that harms, and the next run completes it.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.code
  - cornerstone.tfstate.connection
  - cornerstone.tfstate.lock_file
options:
  bucket:
    description:
      - The state bucket.
      - Not given, as far as the task runs on the controller, the backend is that of the role's variables, and
        O(declared) is C(terraform_backend_lock_mode).
    type: str
    required: true
  account_id:
    description:
      - The 12 digits of the account that must own the bucket. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
      - The bucket of another account can be named on purpose, but not with O(table), as that is always one of the
        credentials' account. The task then fails before it looks at any lock or state.
    type: str
  table:
    description:
      - The lock table. Every step has it on one of its sides.
    type: str
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
  declared:
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
      - The project of M(cornerstone.tfstate.tf_backend_handover), which locks by a file on purpose, stays out of it.
    type: list
    elements: path
  soak:
    description:
      - For so many seconds it is looked again and again for clients that lock the old way, and for locks that stay.
        Who runs meanwhile is seen, and nobody else. The longest run of a client is a good value.
    type: int
    default: 5
  probe:
    description:
      - Tries out first whether the store means what lock files rest on, on an object of its own under
        C(cornerstone.tfstate/probe/), all versions of which it removes again. For stores besides AWS.
      - In check mode it is left out, as it writes.
    type: bool
    default: false
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
      - V(unfenced) goes without a fence. Clients that lock both ways then go on to write digests, and stop with an
        error once a client of lock files alone has written the same state, until the step is taken again.
      - V(disable_deletion_protection) switches off what keeps the table from being removed.
    type: list
    elements: str
    choices: [unseen_code, unfenced, disable_deletion_protection]
  lock_timeout:
    description:
      - For so many seconds the lock of a state that has a digest is waited for.
    type: int
    default: 0
  wait_timeout:
    description:
      - How many seconds AWS gets to stop answering that it is busy. It takes a change of a table's policy only every 15
        seconds.
    type: int
    default: 60
notes:
  - "Permissions: see the page on permissions of this collection, section Change the lock mode."
  - On stores that know no policies of tables there is no fence, which a warning tells.
  - States that have moved away are left alone, whether the locks of M(cornerstone.tfstate.tf_state_move) keep clients
    from them or the policy of the bucket. A step to V(lockfile) asks that such locks are lock files, one to
    V(dynamodb) that they are in the table.
  - A state whose path ends in C(-md5) has a lock that is named like a digest. With one, the fence is refused.
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
    soak: 1
    probe: true
    allow:
      - unseen_code

- name: Go back
  cornerstone.tfstate.tf_lock_mode:
    bucket: stepping-terraform-state
    table: stepping-terraform-locks
    region: eu-west-1
    lock_mode: both
    soak: 1
    code:
      - stepping/code
"""

RETURN = r"""
changed:
  description: Whether the fence was moved or digests were removed, or in check mode would be.
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
fence:
  description: Whether clients find no digests, V(up), or find them, V(down). None where tables have no policies.
  returned: success
  type: str
  sample: up
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
  description: What the probe found. None if there was none.
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
    deletes_as_seen:
      description: Whether it is deleted only as it was seen. Modules of this collection release lock files so.
      returned: success
      type: bool
      sample: true
"""

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tf_lock_mode import EDGE


def main() -> None:
    run_module(EDGE)


if __name__ == "__main__":
    main()

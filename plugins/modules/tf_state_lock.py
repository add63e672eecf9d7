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
  - cornerstone.tfstate.connection
  - cornerstone.tfstate.lock_file
  - cornerstone.tfstate.state_key
attributes:
  idempotent:
    support: partial
    details:
      - With O(state=held) only with the O(lock_id) of the lock that is held. Without it the second run finds the lock
        of the first one, and fails.
options:
  bucket:
    description:
      - The state bucket.
      - If omitted and the task runs on the controller, the backend is that of the role's variables.
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
      - The lock table.
      - Not given, there are only lock files. Then a client that locks by a table alone is neither seen nor kept out.
    type: str
  key:
    description:
      - Where the state lies in the bucket, as O(cornerstone.tfstate.tf_backend_config#module:key) and as the C(key) of
        a C(backend) block. The rest of the path of another workspace is added.
    type: str
    required: true
  workspace:
    description:
      - The workspace whose state it is.
    type: str
    default: default
  workspace_key_prefix:
    description:
      - What comes before the states of other workspaces than V(default), as clients have it configured.
    type: str
    default: "env:"
  state:
    description:
      - V(held) takes the lock in both stores, or in none. It does not wait. A lock of somebody else makes the task
        fail, and show who holds it.
        The lock file is taken for clients that lock by O(table) alone as well, as nobody knows of all clients.
      - V(released) releases the lock that O(lock_id) or O(older_than) means, in both stores. Without either of them
        the task fails if there is a lock, and shows who holds it.
      - No lock is no error. Then V(released) changes nothing.
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
        seen there. It is C(seen) in the result of M(cornerstone.tfstate.tf_backend_info).
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
      - The lock by which M(cornerstone.tfstate.tf_state_move) fences a state that moved is only released by its
        O(lock_id).
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
  wait_timeout:
    description:
      - How many seconds AWS gets to stop answering that it is busy.
    type: int
    default: 60
notes:
  - "Permissions: C(s3:GetObject), C(s3:PutObject) and C(s3:DeleteObject) on the lock file, C(s3:ListBucket) on the
    bucket, and C(dynamodb:GetItem), C(dynamodb:PutItem) and C(dynamodb:DeleteItem) on the table. Where a KMS key of
    your own encrypts the bucket, C(kms:Decrypt) and C(kms:GenerateDataKey). Whoever only releases locks needs
    neither those that put nor C(kms:GenerateDataKey)."
  - Without C(s3:ListBucket) AWS does not say whether there is no lock file, and the task fails.
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

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tf_state_lock import EDGE


def main() -> None:
    run_module(EDGE)


if __name__ == "__main__":
    main()

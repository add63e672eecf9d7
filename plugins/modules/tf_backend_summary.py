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
    backends only counts and the exceptions.
    If the callback plugin of the run writes JSON (such as C(ansible.posix.json) and C(ansible.posix.jsonl)), nothing is
    printed, as the same is in the result of each backend.
  - Below the table, in which accounts and by which credentials the work was done. The account is V(unknown) if neither
    C(account_id) nor an answer of AWS says it.
  - Fails for each backend whose convergence failed, so that the exit code of the playbook says so.
  - It reads what P(cornerstone.tfstate.terraform_backend#role) left behind in the same run, and takes no options.
  - This is an action plugin; nothing runs on the host.
options: {}
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
"""

RETURN = r"""
msg:
  description: V(ok), or why this backend failed. Where the table is printed for people, it says that once.
  returned: always
  type: str
  sample: ok
backend:
  description: The line of this backend.
  returned: always
  type: dict
  contains:
    name:
      description: The name of the host.
      returned: always
      type: str
      sample: us-east-1
    bucket:
      description: The name of the state bucket.
      returned: always
      type: str
      sample: usest1-terraform-state-ezra
    table:
      description: The name of the lock table. It is null in lock mode V(lockfile).
      returned: always
      type: str
      sample: terraform-locks-us-east-1
    lock_mode:
      description: How clients lock a state.
      returned: always
      type: str
      sample: both
    changed:
      description: What was changed, or in check mode would be. It is null if nothing was.
      returned: always
      type: str
      sample: "bucket: versioning; files"
    status:
      description: V(ok), or why this backend failed. Where the table is printed for people, it says that once.
      returned: always
      type: str
      sample: ok
    cost:
      description:
        - US dollars of a month at rest, without states and runs. It is null if they are not known.
        - V(at least 1.00) or V(unknown) for a bucket that was there before, as nobody looked what it holds.
      returned: always
      type: str
      sample: "0.00"
    account_id:
      description: The account in which the work was done. It is null if it is not known.
      returned: always
      type: str
      sample: "111122223333"
    credentials:
      description: By which credentials the work was done. It is null if none were used.
      returned: always
      type: str
      sample: profile ops
"""

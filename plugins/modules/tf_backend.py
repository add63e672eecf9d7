#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend
short_description: Ensure one backend, as the role's variables describe it
version_added: 0.2.0
description:
  - The one task of P(cornerstone.tfstate.terraform_backend#role), which describes the variables that it reads.
    It takes no options.
  - Checks what was asked, all of it, before anything is changed.
  - Then it does what M(cornerstone.tfstate.tf_state_bucket), M(cornerstone.tfstate.tf_lock_table) and
    M(cornerstone.tfstate.tf_backend_config) do, in that order. The first failure ends it.
  - One task in place of three, because each task of each host costs Ansible more than the work itself.
  - This is an action plugin. Where the connection is C(local) it does the work itself; otherwise the modules run on
    the host.
options: {}
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
attributes:
  check_mode:
    description: Can run in check mode and says what would change.
    support: full
  diff_mode:
    description: Shows what would change.
    support: full
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
  cornerstone.tfstate.tf_backend:
  vars:
    terraform_backend_name: us-east-1
    terraform_backend_region: us-east-1
    terraform_backend_bucket_name: usest1-terraform-state-ezra
    terraform_backend_table_name: terraform-locks-us-east-1
    terraform_backend_config_directory: backends/us-east-1
"""

RETURN = r"""
bucket:
  description: What M(cornerstone.tfstate.tf_state_bucket) returned; after a failure only its C(changes).
  returned: once it was reached
  type: dict
  sample: {changed: false, changes: []}
table:
  description: What M(cornerstone.tfstate.tf_lock_table) returned; after a failure only its C(changes).
  returned: once it was reached, unless the lock mode is V(lockfile)
  type: dict
  sample: {changed: false, changes: []}
config:
  description: What M(cornerstone.tfstate.tf_backend_config) returned; after a failure only its C(changes).
  returned: once it was reached
  type: dict
  sample: {changed: false, changes: []}
"""

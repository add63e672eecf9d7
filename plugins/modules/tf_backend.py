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
  - Its options are those of the whole backend. Each is also a variable of the role. The option wins over the
    variable, and the variable over C(module_defaults).
  - It takes the C(module_defaults) of C(group/cornerstone.tfstate.tfstate), of its own name, and of the three modules
    that it stands for. The defaults of one of those modules win over its own, and its own over those of the group.
    A bucket and a table with different connections are refused.
  - Checks what was asked, all of it, before anything is changed.
  - Then it does what M(cornerstone.tfstate.tf_state_bucket), M(cornerstone.tfstate.tf_lock_table) and
    M(cornerstone.tfstate.tf_backend_config) do, in that order. The first failure ends it.
  - One task in place of three, because each task of each host costs Ansible more than the work itself.
  - This is an action plugin. Where the connection is C(local) it does the work itself; otherwise the modules run on
    the host.
extends_documentation_fragment:
  - cornerstone.tfstate.connection
  - cornerstone.tfstate.attributes.action_group
options:
  account_id:
    description:
      - The 12 digits of the account that must own the bucket and the table. Quote them in YAML.
      - If omitted, the variable C(terraform_backend_account_id) of the role.
    type: str
  wait_timeout:
    description:
      - How many seconds AWS may take for each of bucket and table.
    type: int
    default: 300
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
resource_actions:
  description: Which actions AWS was asked for, each once.
  returned: when O(debug_botocore_endpoint_logs) is true
  type: list
  elements: str
  sample: [s3:GetBucketVersioning, s3:HeadBucket]
region_source:
  description: From which profile the region came, if no option and no environment variable named it.
  returned: when the region came from a profile
  type: str
  sample: profile prod
account_id:
  description: The account that the work was done in. None if neither O(account_id) nor an answer of AWS says it.
  returned: always, unless the variables are refused
  type: str
  sample: "111122223333"
credentials:
  description:
    - By which credentials the work was done, without any secret. C(profile NAME), C(access key AKIA...WXYZ) with the
      ends of the key ID, C(role ARN), C(environment), C(instance role), C(container role) or C(web identity).
    - None if AWS was not called.
  returned: always, unless the variables are refused
  type: str
  sample: profile prod
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

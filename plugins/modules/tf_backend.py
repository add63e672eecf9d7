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
  - The role registers its result as the variable C(terraform_backend), which is described below. A task of your own
    needs C(register).
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
  check_permissions:
    description:
      - In check mode, and with O(preflight), ask IAM whether it would permit the planned requests on bucket and table.
      - If omitted, the variable C(terraform_backend_check_permissions) of the role. Without it, V(true) with
        O(preflight) and V(false) otherwise.
    type: bool
    version_added: 0.2.0
  preflight:
    description:
      - Only find what would be refused, of bucket, table and files alike. Nothing is written, in check mode or not.
      - The task fails with all the reasons. It never returns C(changed) as true, as nothing was changed; RV(changes)
        has what a run would change.
    type: bool
    default: false
    version_added: 0.2.0
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
  async:
    description: Supports the keyword C(async). The modules that it stands for do.
    support: none
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
  register: terraform_backend

- name: Show what has changed
  ansible.builtin.debug:
    msg: "{{ terraform_backend.changes | map(attribute='resource') | unique }}"
"""

RETURN = r"""
converged:
  description:
    - Whether the backend is as asked; in check mode, whether it can be made so.
    - In the playbook C(cornerstone.tfstate.bootstrap), the task does not fail if this is V(false). The last task of the
      playbook does, with the same C(msg).
  returned: always
  type: bool
  sample: true
msg:
  description:
    - Why the task failed. With O(preflight), all the reasons. With an empty RV(parts), why nothing was to do.
  returned: failure, or if nothing was to do
  type: str
  sample: "put_bucket_versioning on acme-state: AccessDenied; needs s3:PutBucketVersioning"
changes:
  description:
    - What was changed, in order. In check mode, what a run would change. After a failure, what was changed before it.
  returned: once AWS was called
  type: list
  elements: dict
  contains:
    resource: {description: "V(bucket), V(table) or V(files).", type: str, sample: bucket}
    facet:
      description: The setting of a bucket or a table, as in RV(cornerstone.tfstate.tf_state_bucket#module:changes).
      type: str
      sample: versioning
    before: {description: What it was., type: raw, sample: Suspended}
    after: {description: What it is now., type: raw, sample: Enabled}
    calls:
      description: The requests that were made for it.
      type: list
      elements: str
      sample: [put_bucket_versioning]
    file: {description: The path of a file., type: str, sample: backends/us-east-1/backend.tf}
    action: {description: "V(create) or V(update), of a file.", type: str, sample: create}
name: {description: What the backend is called., returned: always, type: str, sample: us-east-1}
region: {description: Its region., returned: success, type: str, sample: us-east-1}
account_id:
  description: The account that must own it, as in C(backend-config.json). None if any may.
  returned: success
  type: str
  sample: "111122223333"
bucket:
  description: Name and ARN of the bucket.
  returned: success
  type: dict
  sample: {name: usest1-terraform-state-ezra, arn: "arn:aws:s3:::usest1-terraform-state-ezra"}
table:
  description: Name and ARN of the lock table. None if no table takes locks.
  returned: success
  type: dict
  sample:
    name: terraform-locks-us-east-1
    arn: arn:aws:dynamodb:us-east-1:111122223333:table/terraform-locks-us-east-1
lock_mode: {description: How clients lock., returned: success, type: str, sample: both}
encryption: {description: The default encryption of the bucket., returned: success, type: str, sample: AES256}
kms_key_id:
  description: The KMS key of the bucket. None without one.
  returned: success
  type: str
  sample: alias/terraform-state
key:
  description: Where the state lies.
  returned: success
  type: str
  sample: platform/network/prod/terraform.tfstate
client: {description: Who uses it., returned: success, type: str, sample: terraform}
client_version: {description: Which clients may use it., returned: success, type: str, sample: ">= 1.10"}
s3:
  description: The arguments of the backend block.
  returned: success
  type: dict
  sample: {encrypt: true, use_lockfile: true}
directory: {description: Where the files lie., returned: success, type: str, sample: backends/us-east-1}
files:
  description: The paths of the files for clients.
  returned: success
  type: list
  elements: str
  sample: [backends/us-east-1/backend.tf]
parts:
  description:
    - The parts that the tags of the run chose, of V(bucket), V(table) and V(files). They choose parts of the
      role's task only.
    - Empty if nothing was to do. RV(msg) then says why.
  returned: when the tags do not choose all of them
  type: list
  elements: str
  sample: [files]
backends:
  description:
    - A few facts of each backend that this host has converged in this run, by name, the last one last. So a role that
      is included in a loop leaves all of them.
    - Of two with one name and different buckets, the second one has its bucket behind the name, in parentheses.
    - After a failure, facts that are not known are left out.
  returned: always
  type: dict
  contains:
    host: {description: The host that converged it., type: str, sample: us-east-1}
    region: {description: Its region., type: str, sample: us-east-1}
    bucket: {description: The name of the bucket., type: str, sample: usest1-terraform-state-ezra}
    table: {description: The name of the table. None if no table takes locks., type: str, sample: terraform-locks}
    lock_mode: {description: How clients lock., type: str, sample: both}
    directory: {description: Where the files lie., type: str, sample: backends/us-east-1}
    account_id:
      description: The account that the work was done in. None if neither O(account_id) nor an answer of AWS says it.
      type: str
      sample: "111122223333"
    credentials: {description: As RV(credentials)., type: str, sample: profile prod}
    check_mode: {description: "Whether nothing was written, as by O(preflight).", type: bool, sample: false}
    parts: {description: "As RV(parts). Left out if it is all of them.", type: list, elements: str, sample: [files]}
    preflight: {description: "V(true) for O(preflight), and left out otherwise.", type: bool, sample: true}
    changed: {description: Whether anything changed., type: bool, sample: true}
    changes: {description: "What changed, in words. None if nothing did.", type: str, sample: "bucket: versioning"}
    cost: {description: "US dollars of a month at rest, without states and runs.", type: str, sample: "0.00"}
    failed: {description: Whether it failed., type: bool, sample: false}
    msg:
      description: Why it failed. If the last one did, RV(msg) says why.
      type: str
      sample: "put_bucket_versioning on acme-state: AccessDenied; needs s3:PutBucketVersioning"
  sample:
    us-east-1: {bucket: usest1-terraform-state-ezra, changed: true, failed: false}
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
credentials:
  description:
    - By which credentials the work was done, without any secret. C(profile NAME), C(access key AKIA...WXYZ) with the
      ends of the key ID, C(role ARN), C(environment), C(instance role), C(container role) or C(web identity).
    - None if AWS was not called.
  returned: success
  type: str
  sample: profile prod
"""

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_handover
short_description: Write the Terraform project that takes over a bootstrapped backend
version_added: 0.2.0
description:
  - Reads every setting of a state bucket and its lock table, and writes a Terraform project that says the same.
    One that adopts them by import blocks, or one that describes a production backend beside them (O(mode)).
  - The project keeps its own state in the bootstrapped backend, under a O(key) of its own.
  - It has a resource for each setting, C(prevent_destroy) on all of them, outputs, and a C(README.md) with the exact
    steps and the way back. It is in the form of C(terraform fmt), and uses no deprecated argument unless
    O(lock_mode=dynamodb) asks for one.
  - It only reads. Terraform is not needed here, and nothing is taken over until somebody applies the project.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.connection
options:
  directory:
    description:
      - Where the project is written. It is made if it is missing.
      - A file that was edited, or that was never written by this module, is not overwritten unasked.
    type: path
    required: true
  name:
    description:
      - What the backend is called, such as V(us-east-1). Only the C(README.md) names it.
    type: str
    required: true
  bucket:
    description:
      - The state bucket.
      - If omitted and the task runs on the controller, the backend is that of the role's variables.
    type: str
    required: true
  table:
    description:
      - The lock table. Not given, the project has none.
    type: str
  account_id:
    description:
      - The account that must own the backend. The project then refuses to work with credentials of another one.
    type: str
  mode:
    description:
      - V(adopt) takes over O(bucket) and O(table) themselves.
      - V(two_phase) describes O(production_bucket) and O(production_table) with the same settings, which Terraform
        creates. The bootstrapped backend keeps only the state of this project.
    type: str
    choices: [adopt, two_phase]
    default: adopt
  production_bucket:
    description:
      - The bucket that Terraform shall create, for O(mode=two_phase).
    type: str
  production_table:
    description:
      - The lock table that Terraform shall create, for O(mode=two_phase). Not given, it creates none.
    type: str
  key:
    description:
      - Where the project's own state lies in the bootstrapped bucket.
    type: str
    default: terraform-backend/terraform.tfstate
  lock_mode:
    description:
      - How the projects of this backend lock, which the output C(backend) tells them. See
        M(cornerstone.tfstate.tf_backend_config).
      - This project itself locks by a file alone, unless it is V(dynamodb). Nobody else uses its O(key), and
        C(dynamodb_table) is deprecated.
      - Not given, V(both) with a O(table), V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  provider_version:
    description:
      - Which versions of the C(aws) provider may be used. The arguments were compared with the schema of 6.62.
    type: str
    default: ">= 6.62, < 7.0"
  bucket_unmanaged:
    description:
      - Settings of the bucket that somebody else manages. They are not read, and the project says nothing of them, but
        for V(encryption), which clients have to ask for.
    type: list
    elements: str
    choices: [ownership, public_access, encryption, lifecycle, versioning, object_lock, tags, logging, policy]
  table_unmanaged:
    description:
      - Settings of the table that somebody else manages, such as V(billing) where autoscaling moves the capacity.
        They are not read, and the project ignores changes of them.
    type: list
    elements: str
    choices: [billing, encryption, deletion_protection, recovery, table_class, tags]
  client:
    description:
      - Whose commands the C(README.md) shows. The project fits both.
    type: str
    choices: [terraform, opentofu]
    default: terraform
  client_version:
    description:
      - Which clients may use the project, as C(required_version). Import blocks need 1.5, lock files 1.10.
    type: str
    default: ">= 1.10"
  client_profile:
    description:
      - The AWS profile that the project uses. Not given, clients find credentials themselves.
    type: str
  client_assume_role_arn:
    description:
      - The role that the project assumes, for its resources and for its state.
    type: str
  client_assume_role_external_id:
    description:
      - The external id that this role asks for. It is written to the files.
    type: str
  client_assume_role_session_name:
    description:
      - The name of the sessions of this role.
    type: str
  wait_timeout:
    description:
      - How many seconds reading may take, including retries and a table that is being changed.
    type: int
    default: 300
  allow:
    description:
      - What may be done although something may be lost by it.
    type: list
    elements: str
    choices:
      overwrite_files: Overwrite files that were edited, or that were not written by this module.
seealso:
  - module: cornerstone.tfstate.tf_state_bucket
  - module: cornerstone.tfstate.tf_lock_table
  - module: cornerstone.tfstate.tf_backend_config
"""

EXAMPLES = r"""
- name: Ensure the state bucket
  cornerstone.tfstate.tf_state_bucket:
    name: acme-handed-over-state
    region: eu-west-1

- name: Ensure the lock table
  cornerstone.tfstate.tf_lock_table:
    name: acme-handed-over-locks
    region: eu-west-1

- name: Write the project by which Terraform takes both over
  cornerstone.tfstate.tf_backend_handover:
    directory: handover/eu-west-1
    name: eu-west-1
    region: eu-west-1
    bucket: acme-handed-over-state
    table: acme-handed-over-locks

- name: Write the project by which Terraform makes a production backend beside them
  cornerstone.tfstate.tf_backend_handover:
    directory: production/eu-west-1
    name: eu-west-1
    region: eu-west-1
    bucket: acme-handed-over-state
    table: acme-handed-over-locks
    mode: two_phase
    production_bucket: acme-production-state
    production_table: acme-production-locks
"""

RETURN = r"""
changes:
  description: The files that were written, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    file:
      description: Its path.
      type: str
      sample: handover/eu-west-1/bucket.tf
    action:
      description: V(create) or V(update).
      type: str
      sample: create
files:
  description: The paths of all files of the project.
  returned: success
  type: list
  elements: str
  sample: [handover/eu-west-1/terraform.tf, handover/eu-west-1/bucket.tf, handover/eu-west-1/README.md]
project:
  description: What the project is about.
  returned: success
  type: dict
  contains:
    directory: {description: Where it lies., type: str, sample: handover/eu-west-1}
    mode: {description: As O(mode)., type: str, sample: adopt}
    bucket: {description: The bucket that it manages., type: str, sample: acme-handed-over-state}
    table: {description: The table that it manages. None without one., type: str, sample: acme-handed-over-locks}
    key: {description: Where its own state lies., type: str, sample: terraform-backend/terraform.tfstate}
"""

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tf_backend_handover import EDGE


def main() -> None:
    run_module(EDGE)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_lock_table
short_description: Keep a DynamoDB table fit for Terraform and OpenTofu state locks
version_added: 0.1.0
description:
  - Creates a lock table, or makes an existing table what a lock table has to be.
  - Without further options a table gets the baseline, which is deletion protection and point-in-time recovery.
    A new table is paid per request.
  - The baseline is a floor. What is stronger already stays as it is.
  - Settings of an existing table that are no protections, and tags, change only when an option names them.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.guard
  - cornerstone.tfstate.connection
options:
  name:
    description:
      - The name of the table. It is unique in its account and region.
    type: str
    required: true
  state:
    description:
      - V(present) creates the table where it is missing, and brings its settings to what is asked.
        Its key is C(LockID), a string, as Terraform and OpenTofu need it.
        A table with another key is refused, and never replaced.
      - V(absent) deletes the table, with its locks and the digests of states in it.
        A table that is not empty needs O(allow=delete_state) and O(confirm_name).
        One with deletion protection needs O(allow=disable_deletion_protection).
        A table with replicas in other regions is not deleted.
    type: str
    choices: [present, absent]
    default: present
  billing_mode:
    description:
      - How the table is paid for. V(PAY_PER_REQUEST) costs next to nothing for locks. V(PROVISIONED) costs by the
        hour, and needs O(read_capacity) and O(write_capacity). With too little capacity locks fail.
      - Not given, an existing table keeps its mode, unless capacities are given. A new one gets V(PAY_PER_REQUEST).
      - AWS allows 4 changes to V(PAY_PER_REQUEST) in 24 hours. A change takes minutes.
      - A table with autoscaling is left alone, with a warning.
    type: str
    choices: [PAY_PER_REQUEST, PROVISIONED]
  read_capacity:
    description:
      - Read capacity units, from V(1) to V(40000).
      - Goes together with O(write_capacity), and makes the table V(PROVISIONED).
      - Not given, a table keeps its capacity.
    type: int
  write_capacity:
    description:
      - Write capacity units, from V(1) to V(40000).
      - Goes together with O(read_capacity), and makes the table V(PROVISIONED).
      - Not given, a table keeps its capacity.
    type: int
  encryption:
    description:
      - Whose key encrypts the table. DynamoDB always encrypts.
      - V(aws_owned_key) belongs to AWS, and costs nothing. V(aws_managed_key) is the key C(aws/dynamodb) of the
        account. V(customer_managed_key) is the one that O(kms_key_id) names. These two cost KMS requests.
      - Not given, an existing table keeps its key. A new one gets V(aws_owned_key), or what O(kms_key_id) names.
      - To go from a key of the account to V(aws_owned_key) needs O(allow=weaken_encryption).
    type: str
    choices: [aws_owned_key, aws_managed_key, customer_managed_key]
  kms_key_id:
    description:
      - The KMS key, by id, alias or ARN. It names the key and is no secret.
      - The key must exist in O(region), be enabled, and be symmetric. This is checked before the first write.
      - Not given, an existing table keeps its key.
      - Another key than the table has needs O(allow=change_kms_key).
      - If the key is ever disabled or deleted, nobody gets a lock any more. After a week AWS archives the table.
    type: str
  deletion_protection:
    description:
      - Let AWS itself refuse to delete the table.
      - Not given, V(true) for new and existing tables. It costs nothing.
      - V(false) on a table that has it, or that is new, needs O(allow=disable_deletion_protection).
    type: bool
  point_in_time_recovery:
    description:
      - Let AWS restore the table as it was at any second of the last O(recovery_period_days).
        It is paid by the size of the table, which is next to nothing for locks and digests.
      - Not given, V(true) for new and existing tables.
      - V(false) on a table that has it, or that is new, needs O(allow=disable_recovery). Everything before is then lost
        to recovery.
    type: bool
  recovery_period_days:
    description:
      - How many days back the table can be restored, from V(1) to V(35).
      - Not given, an existing table keeps its period. A new one gets V(35).
      - A shorter period than the table has, or than V(35) for a new table, needs O(allow=disable_recovery).
    type: int
  table_class:
    description:
      - V(STANDARD_INFREQUENT_ACCESS) has cheaper storage and dearer requests. It never pays for a lock table.
      - Not given, an existing table keeps its class. A new one gets V(STANDARD).
      - AWS allows 2 changes in 30 days.
    type: str
    choices: [STANDARD, STANDARD_INFREQUENT_ACCESS]
  tags:
    description:
      - Tags of the table. They are added to those that are there. Names that begin with C(aws:) are
        AWS's own and never touched.
      - A new table is created with its tags.
      - Not given, tags are left alone. A new table then has none.
    type: dict
  purge_tags:
    description:
      - V(true) removes all tags that O(tags) does not name, except those that begin with C(aws:).
      - Not given, or V(false), they stay.
    type: bool
  unmanaged:
    description:
      - Settings that are somebody else's. They are neither read nor written, and need no permission.
      - A protection that is left out is not checked, either.
      - On a new table nobody sets them. AWS itself encrypts it, but gives it neither deletion protection, which then
        needs O(allow=disable_deletion_protection), nor point-in-time recovery, which needs O(allow=disable_recovery).
      - Not given, all settings are looked after.
    type: list
    elements: str
    choices:
      billing: O(billing_mode) and the capacities.
      encryption: O(encryption) and O(kms_key_id).
      deletion_protection: O(deletion_protection).
      recovery: O(point_in_time_recovery) and O(recovery_period_days).
      table_class: O(table_class).
      tags: O(tags).
  allow:
    description:
      - What may be done although it takes away a protection or cannot be undone.
        A refusal names the word that it needs.
      - Give a word to the one task that needs it. A word that stays in a variable permits the next accident.
      - An option that keeps an existing resource below the baseline needs its word in each run, changes or not.
      - Not given, all of it is refused, in check mode too.
    type: list
    elements: str
    choices:
      weaken_encryption: Go from a key of the account to the key that AWS owns.
        Nobody can then withdraw or log its use.
      change_kms_key: Take another KMS key. Whoever may use the old one only is shut out, and gets no lock.
      disable_deletion_protection: Switch deletion protection off, or create a table without it.
        Anybody with the permission can then delete the table.
      disable_recovery: Switch point-in-time recovery off, or shorten its period, also for a new table.
        What lies before can no longer be restored.
      shared_management: Change a table that another tool manages, as its tags or its name say.
        The next run of that tool may set back what this one changes. See C(docs/makers.md).
      take_over_resource: B(Deprecated) name of V(shared_management).
      delete_state: Delete a table with the digests and locks in it.
        Terraform then no longer notices a stale state. Needs O(confirm_name) besides.
      break_lock: Delete a table while somebody holds a lock in it. A second writer can then corrupt the state.
notes:
  - Terraform calls DynamoDB locking deprecated. OpenTofu, and Terraform from 1.10 on, can lock by a file in the
    bucket, C(use_lockfile).
  - A table is deleted by steps. Deletion protection goes, then the table, and each step is seen to be done before
    the next.
  - "To read, it needs C(dynamodb:DescribeTable), C(dynamodb:DescribeContinuousBackups) and
    C(dynamodb:ListTagsOfResource). In places it also needs C(application-autoscaling:DescribeScalableTargets),
    before capacity changes, C(dynamodb:DescribeTimeToLive), before any change, and C(kms:DescribeKey), where there is
    a key."
  - Before a change, it warns of replicas and of a time to live, by which locks get lost. It changes neither.
  - "To write, it needs C(dynamodb:CreateTable), C(dynamodb:UpdateTable), C(dynamodb:UpdateContinuousBackups),
    C(dynamodb:TagResource) and C(dynamodb:UntagResource). With a key of the account also C(kms:CreateGrant),
    C(kms:Encrypt), C(kms:Decrypt) and C(kms:DescribeKey), which DynamoDB uses in the name of the caller."
  - "To delete, it needs C(dynamodb:DescribeTable), C(dynamodb:Scan), C(dynamodb:UpdateTable) and
    C(dynamodb:DeleteTable). Of the items only C(LockID) and C(Digest) are read."
seealso:
  - module: cornerstone.tfstate.tf_state_bucket
  - module: cornerstone.tfstate.tf_backend_config
  - module: community.aws.dynamodb_table
  - name: S3 backend, DynamoDB state locking
    description: What Terraform needs of the table.
    link: https://developer.hashicorp.com/terraform/language/backend/s3#dynamodb-state-locking
"""

EXAMPLES = r"""
- name: Ensure a lock table
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-af-south
    region: af-south-1
    tags:
      environment: production

- name: See whether the table has drifted
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-af-south
    region: af-south-1
  check_mode: true
  diff: true
  register: table

- name: Fail if it has
  ansible.builtin.assert:
    that: table is not changed
    fail_msg: "{{ table.changes | map(attribute='facet') | join(', ') }}"

- name: Encrypt with a key of your own
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-us-east-1
    region: us-east-1
    encryption: customer_managed_key
    kms_key_id: alias/terraform-state

- name: Pay for fixed capacity, and remove all other tags
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-eu-central
    region: eu-central-1
    billing_mode: PROVISIONED
    read_capacity: 5
    write_capacity: 5
    tags:
      environment: production
    purge_tags: true

- name: Look after all but the billing and the tags, which others manage
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-eu-central
    region: eu-central-1
    unmanaged:
      - billing
      - tags

- name: Delete a table with its locks and digests
  cornerstone.tfstate.tf_lock_table:
    name: terraform-locks-af-south
    region: af-south-1
    state: absent
    allow:
      - delete_state
      - disable_deletion_protection
    confirm_name: terraform-locks-af-south
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
credentials:
  description:
    - By which credentials the work was done, without any secret. C(profile NAME), C(access key AKIA...WXYZ) with the
      ends of the key ID, C(role ARN), C(environment), C(instance role), C(container role) or C(web identity).
    - None if AWS was not called.
  returned: always
  type: str
  sample: profile prod
changed:
  description: Whether something was written, or in check mode would be.
  returned: always
  type: bool
  sample: true
changes:
  description:
    - What was changed, in order. In check mode, what a run would change.
    - After a failure, what was changed before it.
  returned: always
  type: list
  elements: dict
  contains:
    facet:
      description: The setting, by its name in O(unmanaged). The table itself is V(existence), what lies in it
        V(contents).
      type: str
      sample: deletion_protection
    before:
      description: What it was. Its form is that of the same setting in RV(table).
      type: raw
      sample: false
    after:
      description: What it is now.
      type: raw
      sample: true
    calls:
      description: The requests that were made for it. None, if the request that created the table carried it.
      type: list
      elements: str
      sample: [update_table]
  sample:
    - facet: deletion_protection
      before: false
      after: true
      calls: [update_table]
table:
  description: The table as it is now, in check mode as it would be. A setting in O(unmanaged) is left out.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: terraform-locks-af-south
    arn:
      description: Its ARN.
      type: str
      sample: arn:aws:dynamodb:af-south-1:111122223333:table/terraform-locks-af-south
    region:
      description: Its region.
      type: str
      sample: af-south-1
    account_id:
      description: The account that owns it. None if nothing says it.
      type: str
      sample: "111122223333"
    exists:
      description: Whether it exists. If not, what follows is left out.
      type: bool
      sample: true
    billing:
      description: How it is paid for.
      returned: when the table exists
      type: dict
      contains:
        billing_mode:
          description: The billing mode.
          type: str
          sample: PAY_PER_REQUEST
        read_capacity:
          description: Read capacity units. None, if it is paid per request.
          type: int
          sample: 5
        write_capacity:
          description: Write capacity units. None, if it is paid per request.
          type: int
          sample: 5
    encryption:
      description: Whose key encrypts it.
      returned: when the table exists
      type: dict
      contains:
        kms_key_id:
          description: The ARN of the KMS key. None, if it is the key that AWS owns.
            It names the key and is no secret.
          type: str
          sample: arn:aws:kms:af-south-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
    deletion_protection:
      description: Whether AWS refuses to delete it.
      returned: when the table exists
      type: bool
      sample: true
    recovery:
      description: The point-in-time recovery.
      returned: when the table exists
      type: dict
      contains:
        enabled:
          description: Whether it is on.
          type: bool
          sample: true
        period_days:
          description: How many days back it reaches. None, if it is off.
          type: int
          sample: 35
    table_class:
      description: The table class.
      returned: when the table exists
      type: str
      sample: STANDARD
    tags:
      description: The tags.
      returned: when the table exists
      type: dict
      sample: {environment: production}
"""

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import resource_module, run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

MODULE = resource_module(TABLE)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_audit
short_description: Find what is wrong with a Terraform or OpenTofu backend
version_added: 0.2.0
description:
  - Looks at a backend as M(cornerstone.tfstate.tf_backend_info) does, and tells what is missing, unprotected, stuck or
    broken, how bad that is, why it matters, and the command that mends it.
  - Settings are held against what a run would make of them. The baseline of M(cornerstone.tfstate.tf_state_bucket) and
    M(cornerstone.tfstate.tf_lock_table), and whatever O(bucket_options) and O(table_options) ask besides, are what is
    right. What a run would change is a finding.
  - Without O(bucket) and O(facts), the backend is that of the variables of
    P(cornerstone.tfstate.terraform_backend#role). They then also say how to reach it and what it shall be like.
  - It only reads. The playbook C(cornerstone.tfstate.audit) runs it over an inventory and writes a report.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.code
  - cornerstone.tfstate.connection
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
attributes:
  check_mode:
    description: Can run in check mode, and then writes nothing.
    support: full
    details:
      - It never writes anything.
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: none
    details:
      - It changes nothing.
options:
  name:
    description:
      - What the inventory calls the backend. It stands in commands and is what waivers name.
      - Not given, it is the host, where the backend is that of the role's variables, or else the region.
    type: str
  bucket:
    description:
      - The state bucket.
    type: str
  table:
    description:
      - The lock table. That it is missing is critical.
      - Not given, the backend locks by files alone.
    type: str
  account_id:
    description:
      - The 12 digits of the account that must own everything. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
    type: str
  lock_mode:
    description:
      - How clients of the backend shall lock, which O(code) is held against.
      - Not given, it is V(both) with a table, and V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  bucket_options:
    description:
      - What the bucket shall be like beyond the baseline, as options of M(cornerstone.tfstate.tf_state_bucket).
        Settings in its C(unmanaged) are not looked at.
      - Not given, it is the baseline alone.
    type: dict
  table_options:
    description:
      - What the table shall be like beyond the baseline, as options of M(cornerstone.tfstate.tf_lock_table).
      - Not given, it is the baseline alone.
    type: dict
  facts:
    description:
      - What M(cornerstone.tfstate.tf_backend_info) returned as RV(cornerstone.tfstate.tf_backend_info#module:backend).
        Nothing is read from AWS then. Whether a KMS key is the one that an alias stands for is unknown.
      - Not given, it is gathered.
    type: dict
  gather:
    description:
      - What to look at, as in O(cornerstone.tfstate.tf_backend_info#module:gather). What is not looked at is not
        found wanting.
      - Not given, it is V(settings), V(states), V(locks), V(digests) and V(usage). Without a table it is V(versions)
        besides, as there are no digests that tell of deleted states.
    type: list
    elements: str
    choices: [settings, states, resources, versions, locks, digests, usage]
  keys:
    description:
      - Shell patterns. Only states whose key fits one of them are looked at.
      - Not given, all states are.
    type: list
    elements: str
  workspace_key_prefix:
    description:
      - What the states of other workspaces than C(default) begin with.
      - Not given, it is C(env:).
    type: str
  stale_lock_minutes:
    description:
      - A lock that is held for longer is stale. Choose it longer than your longest apply.
    type: int
    default: 240
  runs_per_month:
    description:
      - How often clients run in a month, which is a part of what the backend costs.
      - Not given, as often as in the last 30 days, by the versions of lock files and states in them. Where versions do
        not stay for so long, or V(usage) is not gathered, it is unknown.
    type: int
  wait_timeout:
    description:
      - How many seconds reading may take, including retries.
    type: int
    default: 300
  severities:
    description:
      - How bad findings are to you, by id. Shell patterns fit many. Severities are V(critical), V(high), V(medium),
        V(low) and V(info).
      - Not given, each finding is as bad as the table in C(docs/audit.md) says.
    type: dict
  disabled:
    description:
      - Ids, or shell patterns of ids, of findings that do not matter to you at all. They are not told.
      - Not given, everything is told.
    type: list
    elements: str
  waivers:
    description:
      - Findings that you accept until a day. They are told, but count for nothing.
      - A waiver that has expired counts as none, and is a finding itself.
    type: list
    elements: dict
    suboptions:
      id:
        description: The id of the finding, or a shell pattern of ids.
        type: str
        required: true
      reason:
        description: Why it is accepted. It stands in the report.
        type: str
        required: true
      until:
        description: The last day on which it is accepted, as V(2027-01-31).
        type: str
        required: true
      backend:
        description: The backend, or a shell pattern. Not given, all of them.
        type: str
      resource:
        description: The bucket, table, state, lock or file, or a shell pattern. Not given, all of them.
        type: str
  code:
    description:
      - Directories of Terraform, OpenTofu and Terragrunt code. Every backend in them that names this bucket is compared
        with it, and every initialised checkout. C(docs/code.md) lists what is read.
        The directories are read where the task runs. Links to directories outside of them are followed.
      - A table that the code names beside O(table) is looked up, unless there are O(facts).
      - What could be a backend and cannot be read for certain is unknown, and is a finding.
      - If omitted, no code is read. In a play over many backends let M(cornerstone.tfstate.tf_backend_report) read it
        once instead.
    type: list
    elements: path
  fail_on:
    description:
      - Fail if something as bad, or worse, is found that is not waived.
      - Not given, or V(never), nothing that is found makes the task fail.
    type: str
    choices: [critical, high, medium, low, info, never]
notes:
  - It needs what M(cornerstone.tfstate.tf_backend_info) needs, for what it gathers.
seealso:
  - module: cornerstone.tfstate.tf_backend_report
  - module: cornerstone.tfstate.tf_backend_info
"""

EXAMPLES = r"""
- name: Audit one backend
  cornerstone.tfstate.tf_backend_audit:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
  register: audit

- name: Show what is critical
  ansible.builtin.debug:
    msg: "{{ item.title }}: {{ item.fix }}"
  loop: "{{ audit.findings | selectattr('severity', 'eq', 'critical') }}"
  loop_control:
    label: "{{ item.id }}"

- name: Ask for more than the baseline, and accept something for now
  cornerstone.tfstate.tf_backend_audit:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
    bucket_options:
      encryption: aws:kms
      logging_target_bucket: acme-access-logs
    severities:
      bucket.lifecycle: info
    disabled:
      - table.tags
    waivers:
      - id: bucket.missing
        reason: Ordered, and built next week
        until: "2999-12-31"

- name: Gather first
  cornerstone.tfstate.tf_backend_info:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
  register: info

- name: Audit what was gathered
  cornerstone.tfstate.tf_backend_audit:
    facts: "{{ info.backend }}"
"""

RETURN = r"""
findings:
  description: What was found, the worst first.
  returned: once the backend was looked at
  type: list
  elements: dict
  contains:
    id:
      description: What kind of finding it is.
      type: str
      sample: table.missing
    severity:
      description: How bad it is.
      type: str
      sample: critical
    title:
      description: The kind of finding in words.
      type: str
      sample: "No state locking: the lock table does not exist"
    detail:
      description: What exactly was found.
      type: str
      sample: There is no table terraform-locks-us-east-1 in us-east-1.
    resource:
      description: The bucket, table, state, lock or file.
      type: str
      sample: terraform-locks-us-east-1
    why:
      description: Why it matters.
      type: str
      sample: Clients that name the table cannot lock, so every plan and apply fails.
    fix:
      description: The command that mends it, for a POSIX shell.
      type: str
      sample: ansible-playbook cornerstone.tfstate.bootstrap -l us-east-1
    controls:
      description: Who else asks for it, as ids of AWS Security Hub, the CIS AWS Foundations Benchmark, and Checkov.
      type: list
      elements: str
      sample: [S3.14, CKV_AWS_21]
    waived:
      description: The reason and the last day of the waiver. None, if it is not waived.
      type: dict
      sample: {reason: Being emptied, until: "2027-01-31"}
  sample:
    - id: bucket.versioning
      severity: high
      resource: usest1-terraform-state-ezra
worst:
  description: The worst severity that is not waived. None, if there is none.
  returned: once the backend was looked at
  type: str
  sample: critical
backend:
  description: The backend in short. Its name, region, account, bucket, table, and how many states and locks it has.
  returned: once the backend was looked at
  type: dict
  sample: {name: us-east-1, region: us-east-1}
  contains:
    paths:
      description:
        - The states of default workspaces, for comparison with code. None if they were not looked at, if O(keys) leaves
          states out, or if there are more than 5000.
      type: list
      elements: str
      sample: [network/terraform.tfstate]
    cost:
      description:
        - What it costs in a month, as C(docs/cost.md) explains. What is unknown is left out of the sum, and named.
        - None without a bucket, or if nothing of it is known.
      type: dict
      contains:
        usd: {description: The sum in US dollars., type: str, sample: "1.09"}
        as_of: {description: The oldest date of a price that went in., type: str, sample: "2025-01-31"}
        unknown: {description: The parts that are not known., type: list, elements: str, sample: [recovery]}
        parts:
          description: Each part with its quantity, its dollars and the date of its price.
          type: list
          elements: dict
          sample: [{item: keys, quantity: "1", usd: "1.00", as_of: "2026-06-13"}]
        lock_mode: {description: How clients lock there., type: str, sample: both}
        runs_per_month: {description: How often they run. None if that is unknown., type: int, sample: 88}
layers:
  description: How many backend blocks and checkouts in O(code) use the bucket. None without O(code).
  returned: once the backend was looked at
  type: int
  sample: 3
unknown:
  description:
    - Places in the code that may be clients of the backend, and do not say for certain. None without O(code).
  returned: once the backend was looked at
  type: list
  elements: dict
  sample: [{path: network/main.tf, reason: "it names no bucket: only the command line of its init does"}]
code_known:
  description: O(code_known) as it was given, with the number of unknown backends that each entry was used for.
  returned: once the backend was looked at
  type: list
  elements: dict
  sample: [{paths: network/**, backend: none, used: 1}]
"""

from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tf_backend_audit import AUDIT


def main() -> None:
    run_module(AUDIT)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_orphans
short_description: List buckets and tables of backends that no host of the inventory names
version_added: 0.2.0
description:
  - A region or an account that leaves the inventory leaves its backends behind, and no audit looks at them any more.
    This finds them in the accounts that hosts of the play still enter. It changes nothing.
  - There is no tag that all backends have. It goes by names. A name of a bucket or table in the inventory becomes a
    pattern, with the region and the account id of its host left open. What fits a pattern, and no host of the whole
    inventory names, is listed.
  - It lists buckets once for each account, in all regions (C(s3:ListAllMyBuckets)). Tables are looked for by name
    (C(dynamodb:DescribeTable)) in the regions of the hosts, and of the buckets that were found. Of hosts without a
    table (V(lockfile)), that finds the table of before.
  - What cannot be read is RV(unknown), and no account without orphans.
  - It does not see accounts that no host enters any more, buckets whose names fit no pattern, and tables alone in a
    region that no host has.
  - This is an action plugin. AWS is asked from the controller, by the role's variables of one host for each account.
    Run it once for all hosts.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
attributes:
  check_mode:
    description: Can run in check mode, and then does the same.
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
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
options: {}
requirements:
  - botocore >= 1.40
seealso:
  - plugin: cornerstone.tfstate.fleet
    plugin_type: inventory
  - module: cornerstone.tfstate.tf_backend_audit
"""

EXAMPLES = r"""
- name: List backends that no host names
  cornerstone.tfstate.tf_backend_orphans:
  register: found
  run_once: true

- name: Stop if there are any
  ansible.builtin.assert:
    that: found.orphans == [] and found.unknown == []
"""

RETURN = r"""
orphans:
  description: Buckets and tables that no host names.
  returned: success
  type: list
  elements: dict
  contains:
    kind: {description: V(bucket) or V(table)., type: str, sample: bucket}
    name: {description: Its name., type: str, sample: acme-terraform-state-111122223333-eu-west-1}
    region: {description: Its region. Null if S3 does not say it., type: str, sample: eu-west-1}
    account_id: {description: Its account., type: str, sample: "111122223333"}
unknown:
  description: What could not be read.
  returned: success
  type: list
  elements: dict
  contains:
    account: {description: "The account, or a host of it if its id is not known.", type: str, sample: "111122223333"}
    reason: {description: Why., type: str, sample: "list_buckets: AccessDenied; needs s3:ListAllMyBuckets"}
accounts:
  description: The ids of the accounts that were entered.
  returned: success
  type: list
  elements: str
  sample: ["111122223333"]
"""

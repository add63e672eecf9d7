#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_info
short_description: Tell everything about a Terraform or OpenTofu backend
version_added: 0.2.0
description:
  - Tells the settings of a state bucket and its lock table, and what lies in them. That is states and their versions,
    locks of both kinds, and digests that fit or do not.
  - It only reads. A state's body, and any value in it, is never returned, logged or kept.
  - What cannot be read is null, and RV(backend.unknown) says what and why. It is never taken for absent.
  - States are read side by side over three connections, in pieces, so that neither many states nor large ones need
    much memory. Each state costs a request, and each page of a thousand objects or versions another.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.backend
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
  bucket:
    required: true
  table:
    description:
      - The lock table. It may serve other buckets too, whose items are passed over.
      - Not given, the backend locks by files alone, and has no digests.
  account_id:
    description:
      - The 12 digits of the account that must own everything. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
      - With a table, the task fails with credentials of another account, as it is always theirs.
  gather:
    description:
      - What to find out. Less takes fewer requests. What is not asked for is null.
    type: list
    elements: str
    choices:
      settings: Every setting of bucket and table.
      states: Key, workspace, lineage, serial and client of each state. Of states above 64 KiB only the first 64 and the
        last 8 KiB are read, in two requests.
      resources: How many resources each state holds. Each state is then read to its end.
      versions: The versions of each state, and states that were deleted and can be brought back.
      locks: Locks in the table and lock files.
      digests: Whether states are what the table's digests say.
      usage: How many bytes there are, and how often clients wrote, which is what a backend costs by. It takes a request
        for each page of a thousand versions, those of lock files included.
    default: [settings, states, resources, versions, locks, digests, usage]
  keys:
    description:
      - Shell patterns. Only states whose key or whole path fits one of them are told of, with their locks and digests.
      - A key without its workspace fits the states of all its workspaces.
      - What a pattern begins with, up to its first C(*), C(?) or C([), is all that is listed, besides the other
        workspaces.
      - Not given, all states are told of.
    type: list
    elements: str
  workspace_key_prefix:
    description:
      - What the states of other workspaces than C(default) begin with.
      - With an empty one every folder looks like a workspace. Then only states whose key stands in O(keys) by its whole
        name are taken for one of a workspace.
    type: str
    default: "env:"
  max_versions:
    description:
      - How many versions of each state are told of, the newest first. All are counted.
      - With O(keys), a warning says of which states there are more.
    type: int
    default: 10
  wait_timeout:
    description:
      - How many seconds reading may take, including retries.
notes:
  - A digest is said to be a V(mismatch) only after its state was read and hashed, and both were looked at again. Where
    the state is younger than 12 seconds, or missing, that is done once more 12 seconds later, as clients do. While
    somebody holds the lock it is V(in_progress).
  - Ages are told by the clock of AWS. That of a lock in the table begins when the client's own clock said, and may be
    negative.
  - Of the versions of a bucket at most 500,000 are listed, those of lock files included. Then RV(backend.unknown) says
    which O(keys) to name, and RV(backend.usage) is null.
seealso:
  - module: cornerstone.tfstate.tf_state_bucket
  - module: cornerstone.tfstate.tf_lock_table
"""

EXAMPLES = r"""
- name: Look into a backend
  cornerstone.tfstate.tf_backend_info:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
  register: found

- name: Show who holds a lock
  ansible.builtin.debug:
    msg: >-
      {{ item.path }}: {{ item.who }} since {{ item.created | default('an unknown time', true) }}
      ({{ item.store }}, {{ item.lock_id }})
  loop: "{{ found.backend.locks or [] }}"
  loop_control:
    label: "{{ item.path }}"

- name: Look only for locks of one project
  cornerstone.tfstate.tf_backend_info:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    gather: [locks]
    keys: ["network/*"]
"""

RETURN = r"""
backend:
  description: What was found. Lists are sorted by path. A list that was not asked for or could not be read is null.
  returned: success
  type: dict
  contains:
    region: {description: The region that was asked., type: str, sample: us-east-1}
    account_id: {description: The account. Null if it is unknown., type: str, sample: "111122223333"}
    bucket:
      description:
        - The bucket. With V(settings) its facets too, as M(cornerstone.tfstate.tf_state_bucket) returns them, each null
          that could not be read. A bucket that is missing has none.
      type: dict
      sample: {name: usest1-terraform-state-ezra, arn: "arn:aws:s3:::usest1-terraform-state-ezra", exists: true}
      contains:
        name: {description: Its name., type: str, sample: usest1-terraform-state-ezra}
        arn: {description: Its ARN., type: str, sample: "arn:aws:s3:::usest1-terraform-state-ezra"}
        exists: {description: Whether it exists. Null if that is unknown., type: bool, sample: true}
        region: {description: Where it lies., type: str, sample: us-east-1}
        lock_files:
          description:
            - With V(settings), whether the store supports lock files, by the tag C(cornerstone.tfstate:lock_files).
              V(supported), V(unsupported) or V(not tested).
          returned: when the bucket exists at a store that is not AWS
          type: str
          sample: supported
        maker: &maker
          description:
            - With V(settings), another tool that made or manages it, as tags, policy or name say.
              Null if nothing shows one.
            - See C(docs/makers.md).
          returned: when it exists
          type: dict
          sample: {name: Terraform, evidence: the tag ManagedBy=Terraform, sets_back: [tags, policy]}
          contains:
            name: {description: The tool., type: str, sample: Terraform}
            evidence: {description: What shows it., type: str, sample: the tag ManagedBy=Terraform}
            sets_back:
              description: The facets that its next run may set back.
              type: list
              elements: str
              sample: [tags, policy]
        mfa_delete: {description: With V(settings) whether MFA delete is on., type: bool, sample: false}
        acl:
          description:
            - With V(settings), to whom the ACL grants something besides the owner. Empty where ACLs are off.
          type: list
          elements: dict
          sample: []
          contains:
            grantee: {description: The canonical ID of an account or the URI of a group., type: str, sample: 79a59df9}
            permission: {description: What it may do., type: str, sample: READ}
        replication:
          description: With V(settings), the rules by which S3 copies objects to another bucket.
          type: list
          elements: dict
          sample: []
          contains:
            rule: {description: The ID of the rule., type: str, sample: all}
            bucket: {description: The bucket that the copies go to., type: str, sample: acme-copies}
            account: {description: Its account. Null if it is unknown., type: str, sample: "111122223333"}
            prefix: {description: What the names of copied objects begin with., type: str, sample: ""}
    table:
      description:
        - The lock table in the same form, with the facets of M(cornerstone.tfstate.tf_lock_table).
        - Null without O(table).
      type: dict
      sample: {name: terraform-locks-us-east-1, exists: true, key: {LockID: S HASH}}
      contains:
        name: {description: Its name., type: str, sample: terraform-locks-us-east-1}
        arn: {description: Its ARN. Null if it is unknown., type: str, sample: null}
        exists: {description: Whether it exists. Null if that is unknown., type: bool, sample: true}
        key: {description: Its primary key., type: dict, sample: {LockID: S HASH}}
        maker: *maker
        size_bytes: {description: Its bytes by the last count of AWS., type: int, sample: 4096}
        status: {description: Its status., type: str, sample: ACTIVE}
        archival_backup_arn:
          description: The backup that AWS made of a table before it archived it. Absent if it is not archived.
          type: str
          sample: arn:aws:dynamodb:us-east-1:111122223333:table/locks/backup/01489602797149-73d8d5bc
        policy:
          description: With V(settings), the statements of the policy of the table itself.
          type: list
          elements: dict
          sample: []
        time_to_live:
          description: With V(settings) the attribute that says when items vanish. Null if none does.
          type: str
          sample: null
        time_to_live_items:
          description:
            - With RV(backend.table.time_to_live), how many items of the table have a number in that attribute. DynamoDB
              deletes no others. Absent if the items were not read.
          type: int
          sample: 0
    account:
      description: What protects the whole account. Null without V(settings).
      type: dict
      sample: {public_access: null}
      contains:
        public_access:
          description: The public access block of the account. Null if it is unknown, or at a store that is not AWS.
          type: dict
          sample: null
    states:
      description:
        - Every object in scope but lock files and RV(backend.others).
      type: list
      elements: dict
      contains:
        path: {description: Where it lies in the bucket., type: str, sample: "env:/dev/network/terraform.tfstate"}
        key: {description: The path without workspace., type: str, sample: network/terraform.tfstate}
        workspace: {description: Its workspace., type: str, sample: dev}
        size: {description: Its bytes., type: int, sample: 18231}
        last_modified: {description: When it was changed last., type: str, sample: "2026-11-21T01:18:05Z"}
        version_id: {description: The id of the current version., type: str, sample: 3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY}
        version_count: {description: How many versions and delete markers it has., type: int, sample: 12}
        versions:
          description: The newest of them.
          type: list
          elements: dict
          contains:
            version_id: {description: Its id., type: str, sample: 3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY}
            last_modified: {description: When it was written., type: str, sample: "2026-11-21T01:18:05Z"}
            size: {description: Its bytes. Null for a delete marker., type: int, sample: 18231}
            is_latest: {description: Whether it is the current one., type: bool, sample: true}
            is_delete_marker: {description: Whether the state was deleted by it., type: bool, sample: false}
            storage_class: {description: Its storage class. Null for a delete marker., type: str, sample: STANDARD}
        lineage: {description: Its lineage., type: str, sample: 2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56}
        serial: {description: Its serial., type: int, sample: 7}
        md5:
          description: The MD5 of its body. Null if it was not read whole.
          type: str
          sample: 28b36030a7887f4c55d8ea4c7670499a
        terraform_version: {description: The client that wrote it., type: str, sample: 1.11.4}
        resources: {description: Instances of managed resources., type: int, sample: 42}
        data_resources: {description: Instances of data sources., type: int, sample: 3}
        is_encrypted: {description: Whether OpenTofu encrypted it., type: bool, sample: false}
        is_deleted: {description: Whether it was deleted and may be brought back., type: bool, sample: false}
        is_readable: {description: Whether it is a state. Null if that is unknown., type: bool, sample: true}
        is_archived:
          description:
            - Whether it is in C(GLACIER), C(DEEP_ARCHIVE) or an archive tier of C(INTELLIGENT_TIERING), where it cannot
              be read until S3 has restored it.
          type: bool
          sample: false
        storage_class: {description: Its storage class. Null if it was deleted., type: str, sample: STANDARD}
        problem: {description: Why it cannot be read as a state. Null if it can., type: str, sample: "it is not JSON"}
        older_version_id:
          description:
            - The newest older version that is a state. Null if none of the last three is one.
            - Only an audit looks for it, and only for what is no state any more. Of a deleted state, C(resources) are
              those of this version.
          type: str
          sample: 3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY
    others:
      description:
        - The objects in scope that are certainly not states, such as a source map, C(package.json), HTML or an archive.
        - An object whose name ends in C(.tfstate), or that has a lock, a digest or a workspace, is always one of
          RV(backend.states), and so is what may be a damaged state. Known only if states were read.
      type: list
      elements: str
      sample: [modules/vpc.zip]
    locks:
      description: Every lock on a state in scope. A client of lock mode V(both) holds two with the same id.
      type: list
      elements: dict
      contains:
        path: {description: The state that is locked., type: str, sample: network/terraform.tfstate}
        store: {description: V(table) or V(file)., type: str, sample: table}
        lock_id: {description: Its id., type: str, sample: b1c095f2-855b-d3a8-2d5d-50f638809c5c}
        lock_id_sha256:
          description:
            - V(sha256:) and the SHA-256 of its id, in hexadecimal digits. Of a wedged lock, of C(fingerprint).
              The C(lock_id) of M(cornerstone.tfstate.tf_state_lock) takes it, and it is safe in a command.
          type: str
          sample: sha256:4c064cc387ce73af968e25fb65de47b3d841aef9e8ce9761eb20e5722916dcab
        operation: {description: What its holder does., type: str, sample: OperationTypeApply}
        info: {description: What else its holder says., type: str, sample: ""}
        who: {description: Its holder., type: str, sample: deploy@runner-7}
        client: {description: The version of the client., type: str, sample: 1.11.4}
        created:
          description: Since when by the holder's clock. Null if that is unknown.
          type: str
          sample: "2026-11-21T01:18:05.568742401Z"
        age_s: {description: How old it is in seconds. Null if that is unknown., type: int, sample: 1820}
        is_wedged: {description: Whether no client can read and so none can release it., type: bool, sample: false}
        is_canonical: {description: Whether OpenTofu could release it from the table., type: bool, sample: true}
        problem: {description: Why it cannot be read. Null if it can., type: str, sample: "it is not JSON"}
        fingerprint:
          description:
            - Changes with every byte of the lock. A wedged one is released by it, as the C(lock_id) of
              M(cornerstone.tfstate.tf_state_lock).
          type: str
          sample: 8f14e45fceea167a5a36dedd4bea2543
    frozen:
      description: Who holds the locks of states by M(cornerstone.tfstate.tf_backend_freeze). Empty if nobody does.
      type: list
      elements: dict
      contains:
        lock_id: {description: The id that thaws them., type: str, sample: b1c095f2-855b-d3a8-2d5d-50f638809c5c}
        lock_id_sha256:
          description: V(sha256:) and the SHA-256 of the id. It is safe in a command.
          type: str
          sample: sha256:4c064cc387ce73af968e25fb65de47b3d841aef9e8ce9761eb20e5722916dcab
        who: {description: Who froze them., type: str, sample: me@laptop}
        created:
          description: Since when, by the clock of who froze them. Null if that is unknown.
          type: str
          sample: "2026-11-21T01:18:05.568742Z"
        reason: {description: Why., type: str, sample: OPS-42}
        states: {description: How many states are held., type: int, sample: 34}
    digests:
      description: Every digest of a state in scope, and states without one.
      type: list
      elements: dict
      contains:
        path: {description: The state., type: str, sample: network/terraform.tfstate}
        status:
          description:
            - V(match). V(mismatch) blocks every client with the table. V(missing) and V(malformed) block none.
            - V(deleted) when the state was deleted and can be brought back, V(orphan) when nothing of it is left.
            - V(in_progress) while somebody holds the lock, V(unknown) when state or digest cannot be read.
          type: str
          sample: match
        digest: {description: The MD5 in the table., type: str, sample: 28b36030a7887f4c55d8ea4c7670499a}
        actual: {description: The MD5 of the state. Null if it was not read., type: str, sample: null}
        matches_version: {description: The version of the state that a wrong digest fits., type: str, sample: null}
        conflict:
          description:
            - Why a state with a wrong digest does not continue the version before it. A repair then refuses it without
              a word of yours.
          type: str
          sample: null
    orphan_lock_files:
      description: The states that have had a lock file for more than an hour and do not exist.
      type: list
      elements: str
      sample: [network/old/terraform.tfstate]
    usage:
      description:
        - What lies in the whole bucket, lock files and old versions included, and how many were written in the last 30
          days. A run of a client leaves a version of its lock file, or of the state, unless a lifecycle rule removed it
          or versioning is off.
        - Null with O(keys), which leave something out.
      type: dict
      contains:
        current_bytes: {description: The bytes of current versions., type: int, sample: 182310}
        noncurrent_bytes: {description: The bytes of older versions., type: int, sample: 2187720}
        version_count: {description: How many versions and delete markers there are., type: int, sample: 240}
        state_writes: {description: How many versions of states the last 30 days brought., type: int, sample: 31}
        lock_writes: {description: How many versions of lock files the last 30 days brought., type: int, sample: 88}
        state_puts:
          description: In how many requests these states were written. Terraform writes what is above 5 MiB in parts.
          type: int
          sample: 31
        multipart_writes: {description: How many of these states were written in parts., type: int, sample: 0}
    kms_keys:
      description:
        - By the keys of bucket and table, V(manager), which is V(AWS) or V(CUSTOMER), V(state) as KMS says it, or
          V(Missing), V(arn), V(deletion_date), V(is_symmetric), whether it can encrypt for S3 and DynamoDB, and
          V(rotations), how often it was rotated. Null for what may not be read.
        - Null unless V(settings) are gathered. Rotations are null unless V(usage) is gathered, too.
      type: dict
      sample:
        arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab: {manager: CUSTOMER, rotations: 0}
    unknown:
      description: What could not be found out.
      type: list
      elements: dict
      contains:
        what: {description: Of what., type: str, sample: bucket.policy}
        why: {description: Why., type: str, sample: "get_bucket_policy on x: AccessDenied; needs s3:GetBucketPolicy"}
        cause:
          description:
            - The cause in a word. V(denied) for a missing permission, V(denied_policy) for a policy of the bucket or
              table, V(denied_endpoint) for that of a VPC endpoint, V(denied_organization) for one that no permission
              outweighs, V(denied_kms) for a KMS key that may not be used.
            - V(unsupported) for a store that does not have it, V(archived) for an object that has to be restored first,
              V(customer_key) for one that its writer has encrypted with a key of its own, V(kms_key) for a KMS key that
              cannot be used, V(busy) for throttling and errors of AWS.
            - V(no_answer) if no answer came back, V(not_aws) if something else than AWS answered, V(out_of_time) if the
              O(cornerstone.tfstate.tf_backend_audit#module:audit_timeout) was over, V(other) for all others.
          type: str
          sample: denied
"""

from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Params
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_facts import FACTS_SPEC, gathered
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
)

#: Of how many states a warning says that not all of their versions are shown.
NAMED = 5


def inspect(run: ModuleRun) -> dict[str, Any]:
    """It only reads, so that check mode is no different."""
    found = gathered(run.params, on_write=run.on_write)
    return {"changed": False, "backend": found, "warnings": _hidden_versions(run.params, found)}


def _hidden_versions(params: Params, found: Params) -> list[str]:
    """A warning for states that were asked for, and that have more versions than are told of."""
    if not params["keys"]:
        return []
    cut = [row for row in found["states"] or () if row["versions"] and row["version_count"] > len(row["versions"])]
    return [
        f"{len(row['versions'])} of {row['version_count']} versions of {row['path']} are shown: set max_versions to "
        "see more"
        for row in cut[:NAMED]
    ]


MODULE = ModuleEntry(
    FACTS_SPEC,
    inspect,
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

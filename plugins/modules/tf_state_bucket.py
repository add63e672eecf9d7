#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_state_bucket
short_description: Keep an S3 bucket fit for Terraform and OpenTofu state
version_added: 0.1.0
description:
  - Creates a state bucket, or makes an existing bucket what a state bucket has to be.
  - Without further options a bucket gets the baseline. Its versions are kept, its objects are encrypted, no ACL
    and no policy opens it to the public, and it answers to TLS only.
  - The baseline is a floor. What is stronger already stays as it is.
  - Settings of an existing bucket that are no protections, and tags, change only when an option names them.
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
      - The name of the bucket. Bucket names are unique in the world, so put something of yours into it.
      - A name of the form C(<prefix>-<account id>-<region>-an) makes a bucket in the account's own namespace.
    type: str
    required: true
  state:
    description:
      - V(present) creates the bucket where it is missing, and brings its settings to what is asked.
      - V(absent) deletes the bucket. Everything in it is deleted first, all versions and lock files included.
        A bucket that is not empty needs O(allow=delete_state) and O(confirm_name). Nothing brings the states back.
      - The name is then free for anybody, who would get what clients still send there. A warning says so. A bucket in
        the account's own namespace has no such risk, as nobody else can take its name.
      - A bucket that has access points is refused, as S3 would not delete it once it is empty.
      - Locks in a DynamoDB table cannot be seen from here. Delete the table first, which refuses while there are any.
      - While object lock has a default retention, the deletion is refused. Legal holds, and retention of single
        versions, show only when AWS refuses to delete those. Everything else in the bucket is gone then.
    type: str
    choices: [present, absent]
    default: present
  object_ownership:
    description:
      - Who owns the objects, and whether ACLs count.
      - V(BucketOwnerEnforced) switches ACLs off. Only policies grant access then.
        It is refused while the bucket's ACL grants access to other accounts, because they would lose it. An ACL that
        lets in everybody is left with a warning, as the public access block makes that void.
      - Not given, V(BucketOwnerEnforced) for new and existing buckets.
      - Any other value brings ACLs back and needs O(allow=enable_acls), also for a new bucket.
    type: str
    choices: [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter]
  public_access:
    description:
      - The public access block. What is not given is on, for new and existing buckets.
      - V(false) opens a way to make states public. It needs O(allow=open_public_access).
    type: dict
    suboptions:
      block_public_acls:
        description: Refuse new ACLs that make the bucket or an object public. Not given, it is on.
        type: bool
      ignore_public_acls:
        description: Ignore public ACLs that are there. Not given, it is on.
        type: bool
      block_public_policy:
        description: Refuse bucket policies that make the bucket public. Not given, it is on.
        type: bool
      restrict_public_buckets:
        description: While the policy is public, let in only AWS services and the owner's account.
          Not given, it is on.
        type: bool
  encryption:
    description:
      - How S3 encrypts new objects. Objects that are there stay as they are.
      - V(AES256) takes keys of S3's own and costs nothing.
        V(aws:kms) takes a KMS key, and V(aws:kms:dsse) encrypts twice. Both cost KMS requests,
        and whoever reads or writes state needs permission for the key.
      - Not given, an existing bucket keeps its algorithm. A new one gets V(AES256), or V(aws:kms) where O(kms_key_id)
        is given.
      - A weaker algorithm than the bucket has needs O(allow=weaken_encryption).
      - AWS blocks uploads with customer keys in new buckets, so a client with C(sse_customer_key) gets a 403. Which
        encryption types are blocked is never changed here.
    type: str
    choices: [AES256, aws:kms, aws:kms:dsse]
  kms_key_id:
    description:
      - The KMS key, by id, alias or ARN. It names the key and is no secret.
      - The key must exist in O(region), be enabled, and be symmetric. This is checked before the first write,
        because S3 itself accepts any name and then fails every upload.
      - A key of another account has to be given by its ARN. If it may not be looked at, there is a warning.
      - Not given, an existing bucket keeps its key. With V(aws:kms) and no key at all, it is the C(aws/s3) key of the
        account, which other accounts cannot use.
      - Another key than the bucket has needs O(allow=change_kms_key). Old objects still need the old key.
    type: str
  bucket_key_enabled:
    description:
      - Let S3 derive the keys of objects from one bucket key. It saves nearly all KMS requests and their cost.
        KMS then logs the use of the bucket key, not of each object.
      - Not given, a bucket that already uses KMS keeps what it has. One that goes to V(aws:kms) gets it.
      - Only O(encryption=aws:kms) has it.
    type: bool
  noncurrent_version_expiration_days:
    description:
      - After how many days an old version of an object is deleted. V(0) keeps all of them for ever.
      - Not given, V(90) for a new bucket. An existing bucket keeps its retention.
      - A shorter time than the bucket has, or than V(90) for a new bucket, needs O(allow=shorten_retention). No rule
        counts as for ever.
      - Old versions cost storage. They are the way back from a broken state.
    type: int
  newer_noncurrent_versions:
    description:
      - How many old versions of each object stay, however old they are. At most V(100).
      - It counts only together with O(noncurrent_version_expiration_days).
      - Not given, V(20) for a new bucket. An existing bucket keeps its number.
      - Fewer than the bucket keeps, or than V(20) for a new bucket, needs O(allow=shorten_retention).
    type: int
  abort_incomplete_multipart_upload_days:
    description:
      - After how many days the parts of an upload that never ended are deleted. V(0) keeps them, and their cost.
      - Not given, V(7) for a new bucket. An existing bucket keeps what it has.
    type: int
  expired_object_delete_marker:
    description:
      - Delete the markers that are left when all versions of an object have expired.
        Lock files leave one behind for every state.
      - Not given, V(true) for a new bucket. An existing bucket keeps what it has.
    type: bool
  lifecycle_rules:
    description:
      - Lifecycle rules of others by their ids, as C(bucket.lifecycle) of the result has them. A rule that differs
        or is missing is set to what is said here. All other rules stay as they are.
      - It keeps a retention that another tool made from being shortened unseen.
        M(cornerstone.tfstate.tf_backend_adopt) writes it.
      - A rule that keeps old versions for a shorter time than the bucket needs O(allow=shorten_retention).
      - Not given, rules of others stay as they are, and nobody notices that they change.
    type: dict
    version_added: 0.2.0
  versioning:
    description:
      - Keep the old version when an object is overwritten or deleted.
      - Not given, V(true) for new and existing buckets. Every version costs its storage.
      - When versioning is first switched on, AWS asks to wait 15 minutes before objects are written, because it can
        answer for a short while that an object is not there. So do not run C(terraform init) at once.
      - V(false) suspends it and needs O(allow=suspend_versioning). The next write then destroys the state before it.
        A new bucket that is created without it needs the word too, and so does an existing bucket in each run.
    type: bool
  object_lock:
    description:
      - Switch object lock on, so that versions can be protected from deletion. It can never be switched off again,
        so V(true) needs O(allow=enable_object_lock). It needs versioning.
      - Not given, or V(false), it is left as it is. A new bucket has none.
    type: bool
  object_lock_mode:
    description:
      - How new versions are protected by default. Under V(GOVERNANCE) an administrator with a special permission can
        still delete them. Under V(COMPLIANCE) nobody can, not even AWS, and it needs O(allow=enforce_compliance) too.
      - Lock files are protected, too, so they pile up until their time is over. You pay for everything until then.
      - Not given, it is left as it is. A new bucket protects nothing by default.
      - Goes together with O(object_lock_days), and needs O(object_lock=true).
    type: str
    choices: [GOVERNANCE, COMPLIANCE]
  object_lock_days:
    description:
      - For how many days new versions are protected, from V(1) to V(36500). Goes together with O(object_lock_mode).
      - Not given, it is left as it is.
    type: int
  tags:
    description:
      - Tags of the bucket. They are added to those that are there. Names that begin with C(aws:) are
        AWS's own. They are sent back to S3 unchanged, which takes no set of tags without them.
      - A new bucket is created with its tags, which needs C(s3:TagResource). Where AWS denies that, the bucket is
        created without them and tagged at once.
      - A bucket whose tags grant access (ABAC) is tagged by C(s3:TagResource) and C(s3:UntagResource).
      - Not given, tags are left alone. A new bucket then has none.
    type: dict
  purge_tags:
    description:
      - V(true) removes all tags that O(tags) does not name, except those that begin with C(aws:).
      - Not given, or V(false), they stay.
    type: bool
  logging_target_bucket:
    description:
      - The bucket that receives the server access logs. It must exist in the same region and account, be encrypted
        with V(AES256), and let C(logging.s3.amazonaws.com) write. It must have neither a default retention of object
        lock nor Requester Pays. None of this is touched. Logs cost storage there.
      - V(none) switches logging off. If the bucket logs today, this, and any other bucket than today's, needs
        O(allow=change_logging).
      - Not given, logging is left as it is. A new bucket has none.
    type: str
  logging_target_prefix:
    description:
      - What the names of log objects begin with.
      - Not given, a prefix that is there stays. Otherwise it is the name of the bucket and a slash.
    type: str
  require_tls:
    description:
      - Deny all requests that do not use TLS, by statements in the bucket policy.
      - Not given, V(true) for new and existing buckets.
      - V(false) removes these statements and needs O(allow=weaken_policy). So does a new bucket, which is then created
        without them.
      - Over an C(http://) O(endpoint_url) it must be V(false), because your own requests would be denied. Emulators,
        which enforce no policy, are known by their STS at the same endpoint.
    type: bool
  minimum_tls_version:
    description:
      - The oldest version of TLS that is accepted. Clients that do not speak it are shut out.
      - Not given, V(1.2), or what the bucket demands already.
      - An older version than the bucket demands needs O(allow=weaken_policy).
    type: str
    choices: ["1.2", "1.3"]
  require_kms_key:
    description:
      - Deny uploads that ask for another key than O(kms_key_id), or for no KMS encryption.
        Uploads that ask for nothing take the default of the bucket, which is right.
      - Where it is there already, it goes over to another O(kms_key_id) together with the bucket.
      - A backend configuration with another C(kms_key_id), or with C(encrypt = true) alone, is shut out then.
      - Not given, it is left as it is. A new bucket does not have it.
      - V(false) removes these statements and needs O(allow=weaken_policy).
    type: bool
  allowed_organization_ids:
    description:
      - Deny access to objects for everybody outside these AWS organisations, such as V(o-exampleorgid).
        AWS services are let in. Whoever administers the bucket from elsewhere can still mend its policy.
      - Not given, it is left as it is. A new bucket does not have it.
      - An organisation that the statement does not let in yet needs O(allow=weaken_policy). An empty list removes the
        statement and needs it, too.
    type: list
    elements: str
  allowed_vpc_endpoint_ids:
    description:
      - Deny access to objects from anywhere but these VPC endpoints. Terraform then works only there,
        and so does O(state=absent).
      - Not given, it is left as it is. A new bucket does not have it.
      - An endpoint that the statement does not let in yet needs O(allow=weaken_policy). An empty list removes the
        statement and needs it, too.
    type: list
    elements: str
  policy_statements:
    description:
      - Statements of your own for the bucket policy, as in the JSON of AWS. Each needs a C(Sid), which must not begin
        with C(CornerstoneTfstate), and a C(Resource) within the bucket. A new C(Sid) has letters and digits only.
      - Where a statement has a policy variable, a policy of version 2008-10-17, in which that is literal text, goes
        over to 2012-10-17. This is refused if it would change what a statement of others does.
      - A statement takes the place of the one with its C(Sid), or joins those that are there.
        One that is there already under another C(Sid) is not written twice.
      - A role or user that it names may have been made a moment ago. AWS is given about a minute to know it.
      - Not given, statements that are there stay.
      - To replace a statement is to drop it. It needs O(allow=drop_policy_statements), and for a statement that denies
        O(allow=weaken_policy) too, unless the new one allows or denies at least as much.
      - One that lets anybody in needs O(allow=open_public_access).
        One that keeps everybody from the policy needs O(allow=lock_out_operator).
      - One that lets another account change the policy, the ACLs or the encryption needs
        O(allow=grant_foreign_access). So does one for everybody whose conditions do not keep out everybody but the
        owner, such as C(aws:PrincipalAccount) with the number of another account. Organisations and VPC endpoints
        count as the owner's if O(allowed_organization_ids) and O(allowed_vpc_endpoint_ids) name them. What cannot be
        told, such as the owner of an IP address, counts as somebody else's.
      - Another account that only uses objects needs no word if the statement names it as C(Principal).
    type: list
    elements: dict
  purge_policy_statements:
    description:
      - V(true) removes all statements that neither O(policy_statements) nor the other options ask for.
        Somebody may rely on them, so it needs O(allow=drop_policy_statements).
      - Not given, or V(false), they stay.
    type: bool
  drop_statements:
    description:
      - Statements to remove from the bucket policy, each by its C(Sid), or by the C(sha256:) that messages show for one
        without a plain C(Sid). In check mode, O(purge_policy_statements=true) names all.
      - There are no numbers, as another edit of the policy could give a number to another statement.
      - Somebody may rely on them, so it needs O(allow=drop_policy_statements), and for a statement that denies
        O(allow=weaken_policy) too. A name that is not in the policy is ignored.
      - If omitted, they stay.
    type: list
    elements: str
  probe_lock_files:
    description:
      - Whether to test, at a store that is not AWS, that it supports the conditional writes that lock files depend on.
        A store that ignores them gives every client the lock. The task then fails.
      - The test writes an object under C(cornerstone.tfstate/probe/) and deletes all of its versions. The tag
        C(cornerstone.tfstate:lock_files) of the bucket records the result, and with V(supported) there is no further
        test. Remove the tag to test again. If tags are in O(unmanaged), each run tests.
      - Check mode does not test, which a warning says. A recorded V(unsupported) fails it.
      - The role sets it in lock mode V(lockfile), where no table keeps clients out.
    type: bool
    default: false
    version_added: 0.2.0
  lock_mode:
    description:
      - How clients are to lock states in the bucket. With V(lockfile) or V(dynamodb) the task looks for clients that
        lock in the other of these modes, and fails before the first write, as the two do not exclude each other.
      - For V(lockfile) it looks whether O(table) holds digests or locks of this bucket, in one C(Scan). Then the tag
        C(cornerstone.tfstate:lock_mode) of the bucket records the mode, and there is no further look. The module
        M(cornerstone.tfstate.tf_lock_mode) records it, too.
      - For V(dynamodb) it looks for that tag, also if tags are in O(unmanaged), and for lock files whose lock is not in
        O(table).
      - States that have moved away do not count. What cannot be read is not taken for absent, unless the bucket is new
        or empty.
      - The role sets it to C(terraform_backend_lock_mode). If omitted, or with V(both), nothing is looked for.
      - V(both) changes that tag from V(lockfile) to V(both), as clients that lock by file alone may be left. Then the
        task looks for clients before V(lockfile) as well as before V(dynamodb). The steps of
        M(cornerstone.tfstate.tf_lock_mode) to V(both) and V(dynamodb) remove the tag.
    type: str
    choices: [dynamodb, lockfile, both]
    version_added: 0.2.0
  table:
    description:
      - The lock table that O(lock_mode) is about. If omitted, only the bucket is looked at.
    type: str
    version_added: 0.2.0
  key:
    description:
      - Where the files for clients will say that the state is. If the bucket has states and none there, the task warns.
      - If omitted, nothing is looked at.
    type: str
    version_added: 0.2.0
  unmanaged:
    description:
      - Settings that are somebody else's. They are neither read nor written, and need no permission.
      - A protection that is left out is not checked, either.
      - On a new bucket nobody sets them. AWS itself gives it encryption, blocked public access and no ACLs, but neither
        versioning, which then needs O(allow=suspend_versioning), nor TLS, which needs O(allow=weaken_policy).
      - Not given, all settings are looked after.
    type: list
    elements: str
    choices:
      ownership: O(object_ownership).
      public_access: O(public_access).
      encryption: O(encryption), O(kms_key_id) and O(bucket_key_enabled).
      lifecycle: How long old versions and other leftovers stay.
      versioning: O(versioning).
      object_lock: O(object_lock) and its defaults.
      tags: O(tags).
      logging: O(logging_target_bucket).
      policy: The bucket policy. TLS is not required then, unless somebody else requires it.
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
      suspend_versioning: Stop keeping old versions, or create a bucket without versioning.
        The next write destroys the state before it.
      shorten_retention: Keep old versions for a shorter time, in a new bucket than the baseline does.
        AWS deletes those past it within a day or two, for good. Or lock new versions for a shorter time.
      weaken_encryption: Take a weaker algorithm. New states no longer need the permission for a KMS key to be read.
      change_kms_key: Take another KMS key. Whoever may use the old one only is shut out from new states.
      open_public_access: Switch a public access block off, or let anybody in by the policy. States hold secrets.
      enable_acls: Let ACLs count again. Anybody who may write ACLs can then open an object past the policy.
      change_logging: Switch access logs off, or send them to another bucket. Readers of the old bucket
        no longer see new logs.
      weaken_policy: Remove or loosen a policy statement that this module made, such as that for TLS, or remove one
        of others that denies something. Or create a bucket that does not require TLS.
      drop_policy_statements: Remove or replace policy statements that others made. Who relied on them loses access,
        or gains it.
      grant_foreign_access: Let another account change what protects the bucket or delete old versions, or let others
        than the owner in by
        the conditions of a statement that is for everybody. States hold secrets.
      lock_out_operator: Write a policy that keeps everybody from changing it.
        Only the account's root user can remove it.
      enable_object_lock: Switch object lock on, or set its default. What is locked cannot be deleted, and costs,
        until its time is over.
      enforce_compliance: Let object lock protect in COMPLIANCE mode. Not even the root user can delete a version, or
        what a lock file leaves behind, before its time.
      shared_management: Change a bucket that another tool manages, as its tags, its policy or its name say.
        The next run of that tool may set back what this one changes. See C(docs/makers.md).
      take_over_resource: B(Deprecated) name of V(shared_management).
      delete_state: Delete a bucket with all that is in it. Needs O(confirm_name) besides.
      break_lock: Delete a bucket while somebody holds a lock in it. Their work in progress is lost from the state.
      change_lock_mode: Go from V(dynamodb) to V(lockfile) or back in one step, by O(lock_mode). Clients of the two do
        not exclude each other, so no client may use the bucket meanwhile.
notes:
  - Settings are written in the order ownership, public access, encryption, lifecycle, versioning, object lock, tags,
    logging, policy. A run that was cut short goes on from there.
  - "To read, it needs C(s3:ListBucket), C(s3:GetBucketOwnershipControls), C(s3:GetBucketPublicAccessBlock),
    C(s3:GetEncryptionConfiguration), C(s3:GetLifecycleConfiguration), C(s3:GetBucketVersioning),
    C(s3:GetBucketObjectLockConfiguration), C(s3:GetBucketTagging), C(s3:GetBucketLogging) and C(s3:GetBucketPolicy).
    In places it also needs C(s3:GetBucketAcl), before ACLs are switched off, C(s3:ListBucketVersions), where there
    never was versioning, and C(kms:DescribeKey), where there is a key."
  - "To write, it needs C(s3:CreateBucket) and the C(Put) permissions of the settings that change.
    They are C(s3:PutBucketOwnershipControls), C(s3:PutBucketPublicAccessBlock), C(s3:PutEncryptionConfiguration),
    C(s3:PutLifecycleConfiguration), C(s3:PutBucketVersioning), C(s3:PutBucketObjectLockConfiguration),
    C(s3:PutBucketTagging), C(s3:TagResource), C(s3:UntagResource), C(s3:PutBucketLogging), C(s3:PutBucketPolicy) and
    C(s3:DeleteBucketPolicy)."
  - "To delete, it needs C(s3:ListBucket), C(s3:ListBucketVersions), C(s3:ListAccessPoints), C(s3:DeleteObject),
    C(s3:DeleteObjectVersion) and C(s3:DeleteBucket). It reads and writes no object."
seealso:
  - module: cornerstone.tfstate.tf_lock_table
  - module: cornerstone.tfstate.tf_backend_config
  - module: amazon.aws.s3_bucket
  - name: S3 backend
    description: What Terraform needs of the bucket.
    link: https://developer.hashicorp.com/terraform/language/backend/s3
"""

EXAMPLES = r"""
- name: Ensure a state bucket
  cornerstone.tfstate.tf_state_bucket:
    name: cptwn-terraform-state-ezra
    region: af-south-1
    tags:
      environment: production

- name: See whether the bucket has drifted
  cornerstone.tfstate.tf_state_bucket:
    name: cptwn-terraform-state-ezra
    region: af-south-1
  check_mode: true
  diff: true
  register: bucket

- name: Fail if it has
  ansible.builtin.assert:
    that: bucket is not changed
    fail_msg: "{{ bucket.changes | map(attribute='facet') | join(', ') }}"

- name: Keep old versions for a year, and the newest 50 for ever
  cornerstone.tfstate.tf_state_bucket:
    name: cptwn-terraform-state-ezra
    region: af-south-1
    noncurrent_version_expiration_days: 365
    newer_noncurrent_versions: 50

- name: Encrypt with a KMS key, and accept no other
  cornerstone.tfstate.tf_state_bucket:
    name: usest1-terraform-state-ezra
    region: us-east-1
    kms_key_id: alias/terraform-state
    require_kms_key: true
    minimum_tls_version: "1.3"

- name: Let another account read one state, and nobody outside the organisation anything
  cornerstone.tfstate.tf_state_bucket:
    name: usest1-terraform-state-ezra
    region: us-east-1
    allowed_organization_ids:
      - o-exampleorgid
    policy_statements:
      - Sid: ReadNetworkState
        Effect: Allow
        Principal:
          AWS: arn:aws:iam::111122223333:root
        Action: s3:GetObject
        Resource: arn:aws:s3:::usest1-terraform-state-ezra/network/terraform.tfstate

- name: Ensure a bucket for access logs
  cornerstone.tfstate.tf_state_bucket:
    name: usest1-access-logs-ezra
    region: us-east-1
    policy_statements:
      - Sid: WriteAccessLogs
        Effect: Allow
        Principal:
          Service: logging.s3.amazonaws.com
        Action: s3:PutObject
        Resource: arn:aws:s3:::usest1-access-logs-ezra/*
        Condition:
          ArnLike:
            aws:SourceArn: arn:aws:s3:::usest1-terraform-state-ezra

- name: Log who reads states
  cornerstone.tfstate.tf_state_bucket:
    name: usest1-terraform-state-ezra
    region: us-east-1
    logging_target_bucket: usest1-access-logs-ezra

- name: Look after all but the policy and the tags, which others manage
  cornerstone.tfstate.tf_state_bucket:
    name: cptwn-terraform-state-ezra
    region: af-south-1
    unmanaged:
      - policy
      - tags

- name: Protect every version from deletion for 30 days, for good
  cornerstone.tfstate.tf_state_bucket:
    name: frkft-terraform-state-ezra
    region: eu-central-1
    object_lock: true
    object_lock_mode: GOVERNANCE
    object_lock_days: 30
    allow:
      - enable_object_lock

- name: Delete a bucket with all states in it
  cornerstone.tfstate.tf_state_bucket:
    name: cptwn-terraform-state-ezra
    region: af-south-1
    state: absent
    allow:
      - delete_state
    confirm_name: cptwn-terraform-state-ezra
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
      description: The setting, by its name in O(unmanaged). The bucket itself is V(existence), what lies in it
        V(contents).
      type: str
      sample: versioning
    before:
      description: What it was. Its form is that of the same setting in RV(bucket).
      type: raw
      sample: Suspended
    after:
      description: What it is now.
      type: raw
      sample: Enabled
    calls:
      description: The requests that were made for it. None, if the request that created the bucket carried it.
      type: list
      elements: str
      sample: [put_bucket_versioning]
  sample:
    - facet: versioning
      before: Suspended
      after: Enabled
      calls: [put_bucket_versioning]
bucket:
  description: The bucket as it is now, in check mode as it would be. A setting in O(unmanaged) is left out.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: cptwn-terraform-state-ezra
    arn:
      description: Its ARN.
      type: str
      sample: arn:aws:s3:::cptwn-terraform-state-ezra
    region:
      description: Its region.
      type: str
      sample: af-south-1
    account_id:
      description: The account that must own it, O(account_id) or that of the credentials. None at a store without STS.
      type: str
      sample: "111122223333"
    exists:
      description: Whether it exists. If not, what follows is left out.
      type: bool
      sample: true
    ownership:
      description: Who owns the objects.
      returned: when the bucket exists
      type: str
      sample: BucketOwnerEnforced
    public_access:
      description: The public access block.
      returned: when the bucket exists
      type: dict
      contains:
        block_public_acls:
          description: Whether new public ACLs are refused.
          type: bool
          sample: true
        ignore_public_acls:
          description: Whether public ACLs are ignored.
          type: bool
          sample: true
        block_public_policy:
          description: Whether public policies are refused.
          type: bool
          sample: true
        restrict_public_buckets:
          description: Whether a public policy lets in only AWS services and the account.
          type: bool
          sample: true
    encryption:
      description: How new objects are encrypted.
      returned: when the bucket exists
      type: dict
      contains:
        algorithm:
          description: The algorithm.
          type: str
          sample: aws:kms
        kms_key_id:
          description: The ARN of the KMS key. None, if it is a key that AWS manages.
            It names the key and is no secret.
          type: str
          sample: arn:aws:kms:af-south-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
        bucket_key_enabled:
          description: Whether object keys come from a bucket key.
          type: bool
          sample: true
        blocked_encryption_types:
          description: Encryption types that AWS refuses for uploads. None, if there are none.
          type: list
          elements: str
          sample: [SSE-C]
    lifecycle:
      description: The lifecycle rules by their ids, as AWS writes them. Ours has the id C(cornerstone.tfstate).
        C(TransitionDefaultMinimumObjectSize) stands beside them where it is not AWS's default.
      returned: when the bucket exists
      type: dict
      sample:
        cornerstone.tfstate:
          Status: Enabled
          Filter: {}
          NoncurrentVersionExpiration:
            NoncurrentDays: 90
            NewerNoncurrentVersions: 20
          AbortIncompleteMultipartUpload:
            DaysAfterInitiation: 7
          Expiration:
            ExpiredObjectDeleteMarker: true
    versioning:
      description: V(Enabled), V(Suspended), or V(Disabled) where it never was enabled.
      returned: when the bucket exists
      type: str
      sample: Enabled
    object_lock:
      description: The object lock.
      returned: when the bucket exists
      type: dict
      contains:
        enabled:
          description: Whether it is on.
          type: bool
          sample: false
        mode:
          description: The default mode of new versions, if any.
          type: str
          sample: GOVERNANCE
        days:
          description: The default days of new versions, if any.
          type: int
          sample: 30
        years:
          description: The years that these days are, where the default is one of years.
          returned: where somebody else set it in years
          type: int
          sample: 1
    tags:
      description: The tags.
      returned: when the bucket exists
      type: dict
      sample: {environment: production}
    logging:
      description: Where access logs go, as AWS writes it. Empty, if nowhere.
      returned: when the bucket exists
      type: dict
      sample: {TargetBucket: usest1-access-logs-ezra, TargetPrefix: usest1-terraform-state-ezra/}
    policy:
      description: The bucket policy, its statements in one spelling.
      returned: when the bucket exists
      type: dict
      contains:
        version:
          description: The version of the policy language.
          type: str
          sample: "2012-10-17"
        id:
          description: The id of the policy, if it has one.
          type: str
          sample: terraform-state
        statements:
          description: The statements. The Sids of ours begin with C(CornerstoneTfstate).
          type: list
          elements: dict
          sample:
            - Sid: CornerstoneTfstateRequireTls
              Effect: Deny
              Principal: {AWS: ["*"]}
              Action: ["s3:*"]
              Resource: ["arn:aws:s3:::cptwn-terraform-state-ezra", "arn:aws:s3:::cptwn-terraform-state-ezra/*"]
              Condition: {Bool: {"aws:SecureTransport": ["false"]}}
"""

from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket.tags import NAME as TAGS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    Call,
    Change,
    Failure,
    Params,
    Target,
    TfstateError,
    Values,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import (
    Interrupted,
    Outcome,
    unless_checking,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.mode_check import (
    CHANGE_LOCK_MODE,
    OTHER,
    ModeCheck,
    record,
    record_mode,
    tags_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.requirements import (
    BOTH,
    DYNAMODB,
    LOCKFILE,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.store_probe import (
    is_known,
    planned_support,
    tested_support,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    argument_spec,
    converge,
    run_module,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope

_SPEC = argument_spec(BUCKET)
OPTIONS: dict[str, dict[str, Any]] = {
    **_SPEC,
    "allow": {**_SPEC["allow"], "choices": [*_SPEC["allow"]["choices"], CHANGE_LOCK_MODE]},
    "probe_lock_files": {"type": "bool", "default": False},
    "lock_mode": {"choices": [DYNAMODB, LOCKFILE, BOTH]},
    "table": {},
    "key": {"no_log": False},
}


#: So many objects are looked at for states, and so many of these are named.
MOST_LISTED = 1000
MOST_NAMED = 5


def _check_lock_mode(params: Params, aws: Aws, target: Target, before: Values) -> None:
    """Raises Refused if clients may lock in a mode that the wanted one does not exclude."""
    if params["lock_mode"] not in OTHER or CHANGE_LOCK_MODE in (params["allow"] or ()):
        return
    exists = before[EXISTENCE] is not None
    ModeCheck(aws, Scope(target, params["table"]), params["lock_mode"], exists, before.get(TAGS)).check()


def _with_lock_mode(params: Params, check_mode: bool, aws: Aws, outcome: Outcome) -> Outcome:
    """Records that clients lock by file alone, or that they do not."""
    if params["lock_mode"] is None or not outcome.exists:
        return outcome
    scope, before = Scope(outcome.target), outcome.after.get(TAGS)
    if before is None and CHANGE_LOCK_MODE in (params["allow"] or ()):  # or the next run would refuse it
        before = tags_of(aws, scope)
    change = record_mode(scope, params["lock_mode"], before)
    planned: tuple[Change, ...] = (change,) if change else ()
    changes = unless_checking(check_mode, planned, partial(record, aws, scope, change))
    after = {**outcome.after, **{each.facet: each.after for each in changes}}
    return replace(outcome, changes=(*outcome.changes, *changes), after=after, warnings=tuple(aws.warnings))


def _with_lock_files(params: Params, check_mode: bool, aws: Aws, outcome: Outcome) -> Outcome:
    """Tests whether another store than AWS supports lock files. Raises TfstateError if not."""
    if not (params["probe_lock_files"] and outcome.exists) or aws.is_aws("s3"):
        return outcome
    scope, before = Scope(outcome.target), outcome.after.get(TAGS)
    if is_known(before):
        return outcome
    nothing: tuple[Change, ...] = ()
    done = unless_checking(check_mode, nothing, lambda: outcome.changes)
    try:
        support = unless_checking(
            check_mode, planned_support(scope, before), partial(tested_support, aws, scope, before)
        )
        aws.warnings.extend(filter(None, [support.caution]))
        done += support.changes
        if support.problem:
            raise Refused(f"bucket {outcome.target.name} cannot be locked by files: {support.problem}")
    except TfstateError as cause:
        raise Interrupted(cause, done) from cause
    after = {**outcome.after, **{change.facet: change.after for change in support.changes}}
    return replace(outcome, changes=(*outcome.changes, *support.changes), after=after, warnings=tuple(aws.warnings))


def _warn_of_key(params: Params, aws: Aws, outcome: Outcome) -> Outcome:
    """Warns if the bucket has states, and none where the files for clients say that it is."""
    key = params["key"]
    if not key or outcome.before.get(EXISTENCE) is None:
        return outcome
    asked = dict(outcome.target.bucket)
    here, all_of_them = aws.read(
        [
            Call("s3", "list_objects_v2", {**asked, "Prefix": key, "MaxKeys": 1}),
            Call("s3", "list_objects_v2", {**asked, "MaxKeys": MOST_LISTED}),
        ]
    )
    if isinstance(here, Failure) or isinstance(all_of_them, Failure):
        return outcome
    if any(each["Key"] == key for each in here.get("Contents", ())):
        return outcome
    names = [each["Key"] for each in all_of_them.get("Contents", ()) if each["Key"].endswith(".tfstate")]
    if not names:
        return outcome
    more = ", ..." if len(names) > MOST_NAMED else ""
    aws.warnings.append(
        f"bucket {outcome.target.name}: the files for clients will say that the state is {key}, and there is none. A "
        "plan with them creates everything again. Set terraform_backend_state_key to the state that is meant: "
        f"{printable(', '.join(names[:MOST_NAMED]))}{more}"
    )
    return replace(outcome, warnings=tuple(aws.warnings))


def ensure_bucket(run: ModuleRun) -> dict[str, object]:
    def then(aws: Aws, outcome: Outcome) -> Outcome:
        tested = _with_lock_files(run.params, run.check_mode, aws, outcome)
        return _warn_of_key(run.params, aws, _with_lock_mode(run.params, run.check_mode, aws, tested))

    return converge(BUCKET, run, then, partial(_check_lock_mode, run.params))


MODULE = ModuleEntry(OPTIONS, ensure_bucket)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()

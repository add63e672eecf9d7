# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For each kind of finding a healthy backend that is made wrong in just that way, by raw calls or by other code.

Add a `Mutation` for each new kind of finding, or a second one where a kind has several causes or fixes.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import lifecycle
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.tags import LOCK_FILES, UNSUPPORTED

from tests.support.relay import error
from tests.unit.plugins.module_utils._audit.backends import (
    ARN,
    BUCKET,
    FOREIGN_ARN,
    LOGS,
    OTHER_ARN,
    STATES,
    TABLE,
    Backend,
    code,
    state,
)
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, FLAGS, Table

FOREIGN = "arn:aws:iam::444455556666:root"
CANONICAL = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OPEN = {"Principal": "*", "Action": "s3:GetObject"}
READS = {"Sid": "More", "Effect": "Allow", "Principal": {"AWS": FOREIGN}, "Action": "s3:GetObject"}
READS["Resource"] = f"arn:aws:s3:::{BUCKET}/*"
PARTS = f'bucket = "{BUCKET}"\nkey = "b"\nregion = "us-east-1"\ndynamodb_table = "{TABLE}"\nuse_lockfile = true\n'
#: The files of a folder whose backend is completed for each environment.
ENVIRONMENTS = {
    "main.tf": 'terraform {\n  backend "s3" {}\n}\n',
    "dev.tfbackend": PARTS,
    "prod.tfbackend": PARTS,
}
MANAGED = "shared_management"
Act = Callable[[Backend], Any]


@dataclass(frozen=True)
class Mutation:
    """One fault. Without `words`, all that is printed for it is pasted, which brings back what was before."""

    id: str
    make: Act
    #: Which of the healthy backends.
    base: str = "adopted"
    #: If it is not that of the kind.
    severity: str = ""
    #: Findings that the same fault is, too.
    beside: tuple[str, ...] = ()
    #: What differs from the healthy backend in the end, as it was meant to.
    differs: frozenset[str] = frozenset()
    #: What is said of what a person has to decide or do, in the fix.
    words: tuple[str, ...] = ()
    #: Whether the fix is a question, and the command for whoever has decided stands behind it.
    decides: bool = False
    #: What a person who follows these words does, after whatever was pasted. None: nothing that would end the finding.
    person: Act | None = None
    #: Whether what is printed is pasted all the same.
    pastes: bool = True
    #: Findings that are still there in the end.
    stays: tuple[str, ...] = ()


def asks(**variables: Any) -> Act:
    """The inventory asks for something else from now on."""
    return lambda b: b.host.update({f"terraform_backend_{name}": value for name, value in variables.items()})


def writes(path: str, text: str) -> Act:
    return lambda b: b.write(path, text)


def replaces(old: str, new: str, path: str = "code/app/main.tf") -> Act:
    return lambda b: b.replace(path, old, new)


def both(*acts: Act) -> Act:
    return lambda b: [act(b) for act in acts]


def versioning(b: Backend) -> None:
    b.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def public_access(**flags: bool) -> Act:
    block = {**dict.fromkeys(FLAGS, True), **flags}
    return lambda b: b.s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)


def encryption(algorithm: str, key: str | None = None) -> Act:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": algorithm == "aws:kms"}]
    where = {"Bucket": BUCKET, "ServerSideEncryptionConfiguration": {"Rules": rules}}
    return lambda b: b.s3.put_bucket_encryption(**where)


def ownership(b: Backend, rule: str = "ObjectWriter") -> None:
    b.s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": rule}]})


def without_tls(b: Backend) -> None:
    policy = json.loads(b.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    policy["Statement"] = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    b.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def statement(**about: Any) -> Act:
    """Made while public policies are not blocked."""

    def act(b: Backend) -> None:
        public_access(BlockPublicPolicy=False)(b)
        b.statement(Sid="More", **{"Action": "s3:GetObject", **about})
        public_access()(b)

    return act


def drops(*words: str) -> Act:
    """Nobody needs the statement."""
    asked = {"drop_statements": ["More"], "allow": [*words]}
    return lambda b: b.run("bootstrap", {f"terraform_backend_bucket_{name}": value for name, value in asked.items()})


def acl(**grantee: str) -> Act:
    grants = [{"Grantee": grantee, "Permission": "READ"}]
    return lambda b: b.s3.put_bucket_acl(Bucket=BUCKET, AccessControlPolicy={"Grants": grants, "Owner": {"ID": "me"}})


def replicates(**destination: str) -> Act:
    rules = [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Destination": destination}]
    asked = {"Role": f"arn:aws:iam::{ACCOUNT}:role/copies", "Rules": rules}
    return lambda b: b.s3.put_bucket_replication(Bucket=BUCKET, ReplicationConfiguration=asked)


def arn_of_table(b: Backend) -> str:
    return str(b.dynamodb.describe_table(TableName=TABLE)["Table"]["TableArn"])


def table_policy(**about: Any) -> Act:
    def act(b: Backend) -> None:
        arn = arn_of_table(b)
        statement = {"Sid": "More", "Effect": "Allow", "Resource": arn, **about}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        b.dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)

    return act


def no_table_policy(b: Backend) -> None:
    b.dynamodb.delete_resource_policy(ResourceArn=arn_of_table(b))


def tags(**values: str) -> Act:
    tag_set = [{"Key": name, "Value": value} for name, value in values.items()]
    return lambda b: b.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tag_set})


def table(**update: Any) -> Act:
    return lambda b: b.dynamodb.update_table(TableName=TABLE, **update)


def recovery(b: Backend) -> None:
    off = {"PointInTimeRecoveryEnabled": False}
    b.dynamodb.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=off)


def table_tag(b: Backend) -> None:
    arn = b.dynamodb.describe_table(TableName=TABLE)["Table"]["TableArn"]
    b.dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])


def table_of_terraform(b: Backend) -> None:
    arn = b.dynamodb.describe_table(TableName=TABLE)["Table"]["TableArn"]
    b.dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "managed-by", "Value": "terraform"}])


def no_table(b: Backend) -> None:
    table(DeletionProtectionEnabled=False)(b)
    b.dynamodb.delete_table(TableName=TABLE)


def another_table(b: Backend) -> None:
    """Of the same name, settings and tags."""
    there = b.aws.tables[TABLE]
    there.items = []
    there.key = [{"AttributeName": "Id", "KeyType": "HASH"}]
    there.attributes = [{"AttributeName": "Id", "AttributeType": "S"}]


def in_another_table(b: Backend) -> None:
    b.host["terraform_backend_table_name"] = "acme-locks-2"
    b.run("rebuild", {"terraform_backend_rebuild_location": "none"})


def no_bucket(b: Backend) -> None:
    del b.aws.buckets[BUCKET]


def no_states(b: Backend) -> None:
    b.aws.buckets[BUCKET].objects.clear()


def nothing(b: Backend) -> None:
    """As before the first bootstrap."""
    shutil.rmtree(b.home / "code")
    no_bucket(b)
    no_table(b)


def archived(b: Backend) -> None:
    (kept,) = b.s3.list_object_versions(Bucket=BUCKET, Prefix="net/a.tfstate")["Versions"][:1]
    b.aws.archive(BUCKET, "net/a.tfstate", kept["VersionId"], "GLACIER")


def unarchive(b: Backend) -> None:
    """The hours pass, and the copy is made that the note names."""
    b.aws.complete_restores(BUCKET)
    where = {"Bucket": BUCKET, "Key": "net/a.tfstate"}
    b.s3.copy_object(**where, CopySource=f"{BUCKET}/net/a.tfstate", StorageClass="STANDARD")


def saved(b: Backend) -> None:
    b.run("backup")


def half_moved(b: Backend) -> None:
    about: dict[str, Any] = {"operation": "tf_state_move", "info": "moved to s3://elsewhere/app.tfstate", "id": "m-1"}
    b.lock("app.tfstate", "file", **about)


def moved(b: Backend) -> None:
    about: dict[str, Any] = {"operation": "tf_state_move", "info": "moved to s3://elsewhere/app.tfstate", "id": "m-1"}
    b.lock("app.tfstate", "file", "table", **about)


def orphan(b: Backend) -> None:
    b.lock("x.tfstate", "file", age_s=9_000)
    b.aws.buckets[BUCKET].objects[0]["LastModified"] -= timedelta(hours=3)


def release(path: str) -> Act:
    """Whoever wrote it was asked, and takes it away."""

    def act(b: Backend) -> None:
        b.s3.delete_object(Bucket=BUCKET, Key=f"{path}.tflock")
        b.dynamodb.delete_item(TableName=TABLE, Key={"LockID": {"S": f"{BUCKET}/{path}"}})

    return act


def denied(b: Backend) -> None:
    b.aws.relay.on("GetBucketPolicy", reply=error("AccessDenied", 403), times=math.inf)


def spaced(b: Backend) -> str:
    """A lock of now, as no client writes it."""
    b.lock("app.tfstate", "table")
    (item,) = (each for each in b.aws.tables[TABLE].items if each["LockID"]["S"] == f"{BUCKET}/app.tfstate")
    return str(item["Info"]["S"]).replace(",", ", ")


def no_state(b: Backend) -> None:
    objects = b.aws.buckets[BUCKET].objects
    objects[:] = [each for each in objects if each["Key"] != "app.tfstate"]


def key(**about: str) -> Act:
    """What KMS says of the key of bucket and table."""
    return lambda b: b.aws.keys.update({ARN: about})


def out_of_reach(b: Backend) -> None:
    key(KeyState="Disabled")(b)
    b.aws.tables[TABLE].status = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"


def in_reach(b: Backend) -> None:
    """Some minutes later."""
    assert ARN not in b.aws.keys
    b.aws.tables[TABLE].status = "ACTIVE"


def logs_into(name: str) -> Act:
    status = {"LoggingEnabled": {"TargetBucket": name, "TargetPrefix": "logs/"}}
    return lambda b: b.s3.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus=status)


def our_rule(**part: Any) -> Act:
    """What somebody has made of the rule of this collection."""

    def act(b: Backend) -> None:
        rules = b.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        rules = [{**each, **part} if each["ID"] == lifecycle.RULE_ID else each for each in rules]
        b.s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})

    return act


def recovery_of(days: int) -> Act:
    asked = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
    return lambda b: b.dynamodb.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=asked)


def holding(size: int = 0) -> bytes:
    """A state with a resource, as Terraform writes it."""
    one = {"mode": "managed", "type": "null_resource", "name": "a", "instances": [{"attributes": {"id": "x" * size}}]}
    return json.dumps({**json.loads(state()), "resources": [one]}, indent=2).encode()


def another_store(b: Backend) -> None:
    b.aws.serves_like_aws = False


def waives(id: str, until: str) -> Act:
    return lambda b: b.asked.update(waivers=[{"id": id, "reason": "being emptied", "until": until}])


#: The backend files.
FILES = tuple(f"backends/prod/{name}" for name in ("backend-config.json", "prod.s3.tfbackend", "backend.tf"))
#: What is not brought back where all of it is made anew.
EMPTIED = frozenset({"file code/app/main.tf"}) | {
    f"{kind} {key}{suffix}" for key in STATES for kind, suffix in (("object", ""), ("item", "-md5"))
}
ITEMS = frozenset(f"item {key}-md5" for key in STATES)
OBJECTS = frozenset({"object app.tfstate"})
MUTATIONS: dict[str, Mutation] = {
    # The bucket.
    "versioning is suspended": Mutation("bucket.versioning", versioning),
    "public ACLs are not blocked": Mutation("bucket.public_access", public_access(BlockPublicAcls=False)),
    "public policies are not blocked": Mutation("bucket.public_access", public_access(BlockPublicPolicy=False)),
    "nothing public is blocked": Mutation("bucket.public_access", public_access(**dict.fromkeys(FLAGS, False))),
    "another algorithm": Mutation("bucket.encryption", encryption("AES256")),
    "ACLs": Mutation("bucket.ownership", ownership),
    "plain HTTP": Mutation("bucket.policy", without_tls),
    "no lifecycle": Mutation("bucket.lifecycle", lambda b: b.s3.delete_bucket_lifecycle(Bucket=BUCKET), "plain"),
    "states expire": Mutation("bucket.expiration", lambda b: b.rule("old", Expiration={"Days": 30})),
    "states are archived": Mutation(
        "bucket.archiving", lambda b: b.rule("cold", Transitions=[{"Days": 30, "StorageClass": "GLACIER"}])
    ),
    "states that grow expire": Mutation(
        "bucket.expiration",
        lambda b: b.rule("big", Expiration={"Days": 30}, Filter={"ObjectSizeGreaterThan": 1_000_000}),
        severity="high",
    ),
    "states with a tag expire": Mutation(
        "bucket.expiration",
        lambda b: b.rule("tagged", Expiration={"Days": 30}, Filter={"Tag": {"Key": "team", "Value": "net"}}),
        severity="medium",
    ),
    "old versions go after a day": Mutation(
        "bucket.history",
        lambda b: b.rule("short", NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        severity="high",
    ),
    "our rule deletes old versions after two weeks": Mutation(
        "bucket.history", our_rule(NoncurrentVersionExpiration={"NoncurrentDays": 14})
    ),
    "our rule is disabled": Mutation("bucket.lifecycle", our_rule(Status="Disabled")),
    "all that a lifecycle can do wrong": Mutation(
        "bucket.archiving",
        both(
            lambda b: b.rule("cold", Transitions=[{"Days": 30, "StorageClass": "GLACIER"}], Expiration={"Days": 60}),
            lambda b: b.rule("short", NoncurrentVersionExpiration={"NoncurrentDays": 14}),
        ),
        beside=("bucket.expiration", "bucket.history"),
    ),
    "lock files expire": Mutation(
        "bucket.lock_expiration",
        lambda b: b.rule("locks", Expiration={"Days": 1}, Filter={"Prefix": "app.tfstate.tflock"}),
    ),
    "a policy for everybody": Mutation("bucket.policy_public", statement(Principal="*")),
    "a policy for another account": Mutation(
        "bucket.policy_foreign",
        statement(Principal={"AWS": FOREIGN}, Action="s3:PutBucketPolicy"),
        words=(f"# Decide first: does {FOREIGN} need the statement More?",),
        decides=True,
    ),
    "a policy for an organization": Mutation(
        "bucket.policy_condition",
        statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        words=("# Decide first: does ... need the statement More?",),
        decides=True,
    ),
    "a policy for a role and another account": Mutation(
        "bucket.policy_foreign",
        statement(Principal={"AWS": [FOREIGN, f"arn:aws:iam::{ACCOUNT}:role/ci"]}, Action="s3:PutBucketPolicy"),
        words=("# Decide first: does each of the 2 principals need the statement More?",),
        decides=True,
    ),
    "a policy for a role and everybody": Mutation(
        "bucket.policy_public",
        statement(Principal={"AWS": ["*", f"arn:aws:iam::{ACCOUNT}:role/ci"]}),
        words=(f"# Decide first: does arn:aws:iam::{ACCOUNT}:role/ci need the statement More?",),
        decides=True,
    ),
    "a policy for everybody beside plain HTTP": Mutation(
        "bucket.policy_public", both(without_tls, statement(Principal="*")), beside=("bucket.policy",)
    ),
    "a rule that deletes and one that archives": Mutation(
        "bucket.expiration",
        both(
            lambda b: b.rule("old", Expiration={"Days": 30}),
            lambda b: b.rule("cold", Transitions=[{"Days": 30, "StorageClass": "GLACIER"}]),
        ),
        beside=("bucket.archiving",),
    ),
    "a rule that deletes, and a longer history": Mutation(
        "bucket.expiration",
        both(
            lambda b: b.rule("old", Expiration={"Days": 30}),
            asks(bucket_noncurrent_version_expiration_days=400),
        ),
        beside=("bucket.lifecycle",),
        differs=frozenset({"bucket_lifecycle_configuration"}),
    ),
    "another key": Mutation(
        "bucket.encryption",
        encryption("aws:kms", OTHER_ARN),
        words=("# Decide first: ", "change_kms_key"),
        decides=True,
    ),
    "another key beside suspended versions": Mutation(
        "bucket.encryption",
        both(encryption("aws:kms", OTHER_ARN), versioning),
        beside=("bucket.versioning",),
        words=("# Decide first: ", "change_kms_key"),
        decides=True,
    ),
    "a table with another key of KMS": Mutation(
        "table.encryption",
        table(SSESpecification={"Enabled": True, "KMSMasterKeyId": OTHER_ARN}),
        words=("# Decide first: ", "change_kms_key"),
        decides=True,
    ),
    "a bucket of another tool": Mutation(
        "bucket.versioning",
        both(versioning, tags(**{"team": "platform", "managed-by": "terraform"})),
        beside=("bucket.shared_management",),
        words=("# Decide first: the tag managed-by=terraform says that another tool manages it: Terraform.", MANAGED),
        stays=("bucket.shared_management",),
        decides=True,
        differs=frozenset({"bucket_tagging"}),
    ),
    "a bucket of another tool, and its table": Mutation(
        "table.recovery",
        both(recovery, versioning, tags(**{"team": "platform", "managed-by": "terraform"})),
        beside=("bucket.versioning", "bucket.shared_management"),
        words=("--tags table", MANAGED),
        stays=("bucket.shared_management",),
        decides=True,
        differs=frozenset({"bucket_tagging"}),
    ),
    "a policy for everybody, which nothing blocks": Mutation(
        "bucket.policy_public",
        both(public_access(**dict.fromkeys(FLAGS, False)), lambda b: b.statement(Sid="More", **OPEN)),
        severity="critical",
        beside=("bucket.public_access",),
    ),
    "everything for an organization": Mutation(
        "bucket.policy_foreign",
        statement(Principal="*", Action="s3:*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        words=("need the statement More?",),
        person=drops("drop_policy_statements"),
    ),
    "another account reads": Mutation(
        "bucket.policy_read",
        statement(Principal={"AWS": FOREIGN}),
        words=("does 444455556666 need it?", "terraform_backend_bucket_drop_statements"),
        person=drops("drop_policy_statements"),
    ),
    "a canonical user reads": Mutation(
        "bucket.policy_read",
        statement(Principal={"CanonicalUser": CANONICAL}),
        words=(f"does {CANONICAL} need it?",),
        person=drops("drop_policy_statements"),
    ),
    "another account reads, as the inventory says": Mutation(
        "bucket.policy_read",
        statement(Principal={"AWS": FOREIGN}),
        words=("declare the statement in terraform_backend_bucket_policy_statements",),
        person=asks(bucket_policy_statements=[READS]),
        differs=frozenset({"bucket_policy"}),
    ),
    "another account writes": Mutation(
        "bucket.policy_write",
        statement(Principal={"AWS": FOREIGN}, Action=["s3:PutObject", "s3:DeleteObject"]),
        words=("does 444455556666 need it?", "terraform_backend_bucket_drop_statements"),
        person=drops("drop_policy_statements"),
    ),
    "nobody deletes lock files": Mutation(
        "bucket.policy_denies",
        statement(Effect="Deny", Principal="*", Action="s3:DeleteObject"),
        words=("who wrote More, and what for?", "weaken_policy"),
        person=drops("drop_policy_statements", "weaken_policy"),
    ),
    "nobody reads": Mutation(
        "bucket.policy_denies",
        statement(Effect="Deny", Principal="*"),
        "dynamodb",
        words=("who wrote More, and what for?",),
        person=drops("drop_policy_statements", "weaken_policy"),
    ),
    "an ACL for everybody": Mutation(
        "bucket.acl_public",
        both(public_access(**dict.fromkeys(FLAGS, False)), ownership, acl(URI=ALL_USERS, Type="Group")),
        beside=("bucket.ownership", "bucket.public_access"),
    ),
    "an ACL for another account": Mutation(
        "bucket.acl_foreign",
        both(ownership, acl(ID=CANONICAL, Type="CanonicalUser")),
        beside=("bucket.ownership",),
        words=(f"does {CANONICAL} need it?", "which aws s3api get-bucket-acl shows"),
        person=both(lambda b: b.s3.put_bucket_acl(Bucket=BUCKET, ACL="private"), lambda b: b.run("bootstrap")),
    ),
    "copies in another account": Mutation(
        "bucket.replication",
        replicates(Bucket="arn:aws:s3:::elsewhere", Account="444455556666"),
        words=("is elsewhere meant to have all states?",),
        person=lambda b: b.s3.delete_bucket_replication(Bucket=BUCKET),
    ),
    "copies that nobody knows the owner of": Mutation(
        "bucket.replication",
        replicates(Bucket="arn:aws:s3:::elsewhere"),
        severity="medium",
        words=("is elsewhere meant to have all states?",),
        person=lambda b: b.s3.delete_bucket_replication(Bucket=BUCKET),
    ),
    "an account that blocks nothing public": Mutation(
        "account.public_access",
        lambda b: setattr(b.aws, "account_block", None),
        words=(f"is any bucket of account {ACCOUNT} public on purpose?",),
        person=lambda b: setattr(b.aws, "account_block", dict.fromkeys(FLAGS, True)),
    ),
    "another tool manages the bucket": Mutation(
        "bucket.shared_management",
        tags(**{"team": "platform", "managed-by": "terraform"}),
        words=("list in terraform_backend_bucket_unmanaged what it is to go on managing",),
        differs=frozenset({"bucket_tagging"}),
    ),
    "another tool manages the table": Mutation(
        "table.shared_management",
        table_of_terraform,
        words=("list in terraform_backend_table_unmanaged what it is to go on managing",),
        differs=frozenset({"list_tags_of_resource"}),
    ),
    "no logs": Mutation("bucket.logging", lambda b: b.s3.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={})),
    "logs into the bucket itself": Mutation(
        "bucket.logging_itself",
        logs_into(BUCKET),
        "plain",
        words=("set terraform_backend_bucket_logging_target_bucket to another bucket, permit that change",),
        person=both(
            asks(bucket_logging_target_bucket=LOGS, bucket_allow=["change_logging"]), lambda b: b.run("bootstrap")
        ),
        differs=frozenset({"bucket_logging"}),
    ),
    "logs into a bucket that is gone": Mutation(
        "bucket.logging_target",
        lambda b: b.aws.buckets.pop(LOGS),
        words=(f"to a bucket that exists, or make {LOGS} again",),
        person=lambda b: b.s3.create_bucket(Bucket=LOGS),
    ),
    "a tag is gone": Mutation("bucket.tags", tags(owner="ana"), differs=frozenset({"bucket_tagging"})),
    # The table.
    "no deletion protection": Mutation("table.deletion_protection", table(DeletionProtectionEnabled=False)),
    "no recovery": Mutation("table.recovery", recovery),
    "a recovery of a day": Mutation("table.recovery_period", recovery_of(1)),
    "a table without its key": Mutation(
        "table.inaccessible",
        out_of_reach,
        beside=("key.disabled",),
        words=("aws kms enable-key",),
        person=in_reach,
    ),
    # Keys.
    "a disabled key": Mutation("key.disabled", key(KeyState="Disabled")),
    "a key about to be deleted": Mutation("key.pending_deletion", key(KeyState="PendingDeletion")),
    "a key that is gone": Mutation(
        "key.missing", key(KeyState="Missing"), words=("Decide on another key", "runbooks/kms-key.md")
    ),
    "a key that cannot encrypt": Mutation(
        "key.unusable", key(KeyUsage="SIGN_VERIFY"), words=("Decide on another key, a symmetric one of this region",)
    ),
    "a key of another account": Mutation(
        "key.foreign",
        encryption("aws:kms", FOREIGN_ARN),
        "plain",
        words=("set kms_key_id to it if 444455556666 may decide over it, or to another key",),
        beside=("code.backend_files",),
        person=both(asks(bucket_kms_key_id=FOREIGN_ARN), lambda b: b.run("bootstrap")),
        differs=frozenset({"bucket_encryption", *(f"file {each}" for each in FILES)}),
    ),
    "a table tag is gone": Mutation("table.tags", table_tag),
    "provisioned capacity": Mutation(
        "table.billing",
        both(
            table(BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}),
            asks(table_billing_mode="PAY_PER_REQUEST"),
        ),
    ),
    "another table class": Mutation(
        "table.table_class",
        both(table(TableClass="STANDARD_INFREQUENT_ACCESS"), asks(table_table_class="STANDARD")),
        differs=frozenset({"describe_table"}),
    ),
    "items expire": Mutation(
        "table.time_to_live",
        lambda b: b.dynamodb.update_time_to_live(
            TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
        ),
        severity="info",
    ),
    "a replica": Mutation(
        "table.replicas",
        table(ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}]),
        words=("# Decide first: do clients lock in the table of eu-west-1? Let them use that of us-east-1.",),
        decides=True,
    ),
    "a table for everybody": Mutation(
        "table.policy_public",
        table_policy(Principal="*", Action="dynamodb:*"),
        words=("who needs the statement More of the policy of acme-locks?",),
        person=no_table_policy,
    ),
    "a table for another account": Mutation(
        "table.policy_foreign",
        table_policy(Principal={"AWS": FOREIGN}, Action="dynamodb:PutItem"),
        words=("who needs the statement More of the policy of acme-locks?",),
        person=no_table_policy,
    ),
    "a table in which nobody releases a lock": Mutation(
        "table.policy_denies",
        table_policy(Effect="Deny", Principal="*", Action="dynamodb:DeleteItem"),
        words=("who needs the statement More of the policy of acme-locks?",),
        person=no_table_policy,
    ),
    "no table": Mutation("table.missing", no_table, beside=("code.table_missing",)),
    # Locks.
    "an old lock": Mutation("lock.stale", lambda b: b.lock("app.tfstate", "table", "file", age_s=90_000)),
    "a lock file without a state": Mutation("lock.orphan_file", orphan),
    "a host that locks elsewhere": Mutation(
        "lock.modes_differ",
        lambda b: b.twins.append("lockfile"),
        "dynamodb",
        words=("give all hosts of this bucket one lock_mode and table_name",),
        person=lambda b: b.twins.clear(),
    ),
    "a host that locks in one of two ways": Mutation(
        "lock.modes_differ",
        lambda b: b.twins.extend(("both", "dynamodb")),
        severity="medium",
        words=("give all hosts of this bucket one lock_mode and table_name",),
        person=lambda b: b.twins.remove("dynamodb"),
    ),
    "half of the locks of a state that moved": Mutation(
        "lock.half_moved_state",
        half_moved,
        beside=("lock.moved_state",),
        stays=("lock.moved_state",),
        words=("terraform init -reconfigure  # in each checkout of it",),
        differs=frozenset({"object app.tfstate.tflock", "item app.tfstate"}),
    ),
    "a young lock in another form": Mutation(
        "lock.not_canonical",
        lambda b: b.lock("app.tfstate", "table", text=spaced(b)),
        words=("Leave it while its holder may be at work",),
        person=release("app.tfstate"),
    ),
    "a note in place of a lock": Mutation(
        "lock.wedged",
        lambda b: b.lock("app.tfstate", "table", text="do not touch"),
        words=("this shows the lock", "Ask first: is the holder still at work?"),
        person=release("app.tfstate"),
    ),
    "a freeze": Mutation(
        "lock.frozen",
        lambda b: b.lock("app.tfstate", "table", "file", operation="freeze", info="OPS-42"),
        words=("Ask who froze them first",),
        decides=True,
    ),
    "a lock without its time": Mutation(
        "lock.unknown_age",
        lambda b: b.lock("app.tfstate", "table", created="0001-01-01T00:00:00Z"),
        words=("this shows the lock", "Ask first: is the holder still at work?"),
        person=release("app.tfstate"),
    ),
    "a state that moved": Mutation(
        "lock.moved_state", moved, words=("terraform init -reconfigure  # in each checkout of it",)
    ),
    # Digests and states.
    "a state written past the table": Mutation(
        "digest.mismatch",
        lambda b: b.put("app.tfstate", state(5), digest=state(1)),
        differs=OBJECTS | {"item app.tfstate-md5"},
    ),
    "a deleted state with a digest": Mutation("digest.deleted", lambda b: b.put("app.tfstate", None, digest="")),
    "all states are gone, and there is a backup": Mutation(
        "digest.states_lost",
        both(saved, no_states),
        words=("stop pipelines, then run it again without --check",),
        person=lambda b: b.run("restore_backup"),
    ),
    "all states are gone": Mutation(
        "digest.states_lost", no_states, words=("With no backup follow docs/runbooks/lost-bucket.md",), pastes=False
    ),
    "a digest without a state, and there is a backup": Mutation(
        "digest.orphan",
        both(saved, no_state),
        words=("stop pipelines, then run it again without --check",),
        person=lambda b: b.run("restore_backup"),
    ),
    "a digest that is no text": Mutation("digest.malformed", lambda b: b.put("app.tfstate", digest="none of yours")),
    "a state without a digest": Mutation(
        "digest.missing",
        lambda b: b.dynamodb.delete_item(TableName=TABLE, Key={"LockID": {"S": f"{BUCKET}/app.tfstate-md5"}}),
    ),
    "a deleted state": Mutation(
        "state.deleted", lambda b: b.s3.delete_object(Bucket=BUCKET, Key="app.tfstate"), "lockfile", severity="info"
    ),
    "a deleted state with resources, of files": Mutation(
        "state.deleted",
        lambda b: b.put("held.tfstate", holding(), None),
        "lockfile",
        differs=frozenset({"object held.tfstate"}),
    ),
    "a deleted state with resources, and without a digest": Mutation(
        "state.deleted",
        lambda b: b.put("held.tfstate", holding(), None, digest=""),
        differs=frozenset({"object held.tfstate", "item held.tfstate-md5"}),
    ),
    "a long state that is cut off": Mutation(
        "state.unreadable",
        lambda b: b.put("app.tfstate", holding(100_000), holding(100_000)[:-200]),
        "lockfile",
        differs=OBJECTS,
    ),
    "a state without suffix that a page overwrote": Mutation(
        "state.unreadable",
        lambda b: b.put("app/prod", holding(), b"<html>502 Bad Gateway</html>"),
        "lockfile",
        differs=frozenset({"object app/prod"}),
    ),
    "a state written past the table behind a lock that was left": Mutation(
        "digest.mismatch",
        lambda b: [
            b.put("app.tfstate", state(5), digest=state(1)),
            b.lock("app.tfstate", "table", age_s=90_000),
        ],
        beside=("lock.stale",),
        words=("First release the lock, as its own finding says",),
        stays=("digest.mismatch",),
        differs=OBJECTS,
    ),
    "half of a state": Mutation(
        "state.unreadable", lambda b: b.put("app.tfstate", state()[:40]), "lockfile", differs=OBJECTS
    ),
    "an archived state": Mutation(
        "state.archived",
        archived,
        words=(
            "then, in 5 hours, after the lifecycle rule is gone (bucket.archiving), and while nobody applies, copy",
        ),
        person=unarchive,
        differs=frozenset({"object net/a.tfstate"}),
    ),
    "a state named like a lock": Mutation(
        "state.lock_file_name",
        lambda b: b.put("x.tfstate.tflock", state(), digest=""),
        words=("then move it to another key, with tf_state_move",),
    ),
    # What is not there.
    "nothing is there": Mutation("bucket.missing", nothing, "plain", beside=("table.missing",), differs=EMPTIED),
    "the bucket is gone": Mutation(
        "bucket.missing", no_bucket, beside=("code.bucket_missing",), words=("Make no empty bucket", "lost-bucket")
    ),
    "the bucket is gone, and there is a backup": Mutation(
        "bucket.missing", both(saved, no_bucket), "plain", beside=("code.bucket_missing",)
    ),
    "code of a bucket that is gone": Mutation(
        "code.bucket_missing", no_bucket, beside=("bucket.missing",), words=("Make no empty bucket", "lost-bucket")
    ),
    "another region": Mutation(
        "bucket.region",
        asks(region="eu-west-1"),
        "lockfile",
        words=("correct the region to us-east-1",),
        person=asks(region="us-east-1"),
    ),
    "a table with another key": Mutation(
        "table.key",
        another_table,
        "plain",
        words=("# It is of something else: set another terraform_backend_table_name for prod. Then: ",),
        person=in_another_table,
        stays=("code.table_differs",),
        differs=frozenset(
            {
                "file backends/prod/backend.tf",
                "file backends/prod/backend-config.json",
                "file backends/prod/prod.s3.tfbackend",
            }
        )
        | ITEMS
        | {"describe_table"},
    ),
    "no table, of code": Mutation("code.table_missing", no_table, "dynamodb", beside=("table.missing",)),
    "no table and no bucket": Mutation(
        "code.table_missing",
        both(no_table, no_bucket),
        beside=("table.missing", "bucket.missing", "code.bucket_missing"),
        words=("# If the bucket never existed, run the playbook bootstrap.",),
    ),
    "a newer state": Mutation(
        "state.unreadable",
        lambda b: b.put("app.tfstate", state().replace(b'"version": 4', b'"version": 5')),
        words=("# A newer client wrote it",),
    ),
    "half of a state, written past the table": Mutation(
        "state.unreadable",
        lambda b: b.put("app.tfstate", state()[:40], digest=state(1)),
        beside=("digest.mismatch",),
        differs=OBJECTS | {"item app.tfstate-md5"},
    ),
    "a state that two wrote at once": Mutation(
        "digest.mismatch",
        lambda b: b.put("app.tfstate", state(2), state(2, size=9), digest=state(2)),
        words=("# Decide first: ", "If an older version is right"),
        decides=True,
        differs=OBJECTS | {"item app.tfstate-md5"},
    ),
    "an older state written again": Mutation(
        "digest.mismatch",
        lambda b: b.put("app.tfstate", state(7), state(3), digest=state(7)),
        words=("# Decide first: ", "If an older version is right"),
        decides=True,
        differs=OBJECTS | {"item app.tfstate-md5"},
    ),
    # Files.
    "an edited backend file": Mutation(
        "code.backend_files",
        replaces("use_lockfile", "use_lockfiles", "backends/prod/backend.tf"),
        words=("Without --check it writes them back",),
        person=lambda b: b.run("bootstrap"),
    ),
    "a deleted backend file": Mutation(
        "code.backend_files", lambda b: (b.home / "backends/prod/prod.s3.tfbackend").unlink()
    ),
    "a backend file of somebody": Mutation(
        "code.backend_files",
        writes("backends/prod/backend.tf", "# mine\n"),
        words=("nobody overwrites it: move what is needed out of it, delete it, and run bootstrap",),
        person=lambda b: [(b.home / "backends/prod/backend.tf").unlink(), b.run("bootstrap")],
    ),
    "no backend files": Mutation(
        "code.backend_files",
        lambda b: [path.unlink() for path in (b.home / "backends/prod").iterdir()],
        severity="info",
    ),
    # Code.
    "code of nobody": Mutation(
        "code.missing",
        writes("code/app/main.tf", code("lockfile", bucket=LOGS)),
        beside=("code.not_audited",),
        words=("# Decide first: does other code use it?", "If not, this writes backend.tf for it: "),
    ),
    "code of another bucket": Mutation(
        "code.not_audited",
        both(
            writes("code/other/main.tf", code("lockfile", bucket="other-states")),
            lambda b: b.s3.create_bucket(Bucket="other-states"),
        ),
        words=("add a host for the bucket other-states",),
    ),
    "code of a table that is gone": Mutation(
        "code.table_missing",
        replaces(f'"{TABLE}"', '"acme-lock"'),
        words=(f'dynamodb_table = "{TABLE}", as the backend has it',),
        person=replaces('"acme-lock"', f'"{TABLE}"'),
    ),
    "code of another region": Mutation(
        "code.region",
        replaces('region = "us-east-1"', 'region = "eu-west-1"'),
        words=('region = "us-east-1"',),
        person=replaces('region = "eu-west-1"', 'region = "us-east-1"'),
    ),
    "one key twice": Mutation(
        "code.shared_key",
        writes("code/b/main.tf", code()),
        words=("a key of its own, then: terraform init -migrate-state",),
        person=replaces("app.tfstate", "b.tfstate", "code/b/main.tf"),
        differs=frozenset({"file code/b/main.tf"}),
    ),
    "a key among workspaces": Mutation(
        "code.nested_key",
        writes("code/b/main.tf", code(key="env:/qa/app.tfstate")),
        words=("a key that does not begin with env:/qa/",),
        person=replaces("env:/qa/app.tfstate", "b.tfstate", "code/b/main.tf"),
        differs=frozenset({"file code/b/main.tf"}),
    ),
    "code without locks": Mutation(
        "code.no_locking",
        writes("code/app/main.tf", code("")),
        words=(f'dynamodb_table = "{TABLE}", use_lockfile = true',),
        person=writes("code/app/main.tf", code("both")),
    ),
    "code without locks, of a table": Mutation(
        "code.no_locking",
        writes("code/app/main.tf", code("")),
        "dynamodb",
        words=(f'dynamodb_table = "{TABLE}" alone',),
        person=writes("code/app/main.tf", code("dynamodb")),
    ),
    "code without locks, of files": Mutation(
        "code.no_locking",
        writes("code/app/main.tf", code("")),
        "lockfile",
        words=("use_lockfile = true alone",),
        person=writes("code/app/main.tf", code("lockfile")),
    ),
    "code that locks by file alone": Mutation(
        "code.lock_mode",
        writes("code/app/main.tf", code("lockfile")),
        "dynamodb",
        words=(f'dynamodb_table = "{TABLE}" alone',),
        person=writes("code/app/main.tf", code("dynamodb")),
    ),
    "code one step before": Mutation(
        "code.lock_mode_step",
        writes("code/app/main.tf", code("dynamodb")),
        words=(f'dynamodb_table = "{TABLE}", use_lockfile = true',),
        person=writes("code/app/main.tf", code("both")),
    ),
    "code that locks in two ways": Mutation(
        "code.mixed_locking",
        both(writes("code/b/main.tf", code("dynamodb", key="b")), writes("code/c/main.tf", code("lockfile", key="c"))),
        beside=("code.lock_mode_step", "code.lock_mode_differs"),
        words=(f'dynamodb_table = "{TABLE}", use_lockfile = true, until all have it',),
        person=both(writes("code/b/main.tf", code("both", key="b")), writes("code/c/main.tf", code("both", key="c"))),
        differs=frozenset({"file code/b/main.tf", "file code/c/main.tf"}),
    ),
    "code with an ACL": Mutation(
        "code.acl",
        writes("code/app/main.tf", code(more='    acl = "private"')),
        words=('leave acl out, or acl = "bucket-owner-full-control"',),
        person=writes("code/app/main.tf", code()),
    ),
    "code of another table": Mutation(
        "code.table_differs",
        both(
            replaces(f'"{TABLE}"', '"acme-others"'), lambda b: b.aws.tables.update({"acme-others": b.aws.tables[TABLE]})
        ),
        words=(f'dynamodb_table = "{TABLE}"',),
        person=replaces('"acme-others"', f'"{TABLE}"'),
    ),
    "code with another key": Mutation(
        "code.encrypt",
        writes("code/app/main.tf", code(more="    encrypt = true")),
        words=(f'kms_key_id = "{ARN}", or leave encrypt out',),
        person=writes("code/app/main.tf", code()),
    ),
    "code of a key that is disabled": Mutation(
        "code.kms_key",
        both(
            lambda b: b.aws.keys.update({OTHER_ARN: {"KeyState": "Disabled"}}),
            writes("code/app/main.tf", code(more=f'    encrypt = true\n    kms_key_id = "{OTHER_ARN}"')),
        ),
        words=(f'kms_key_id = "{ARN}", as the bucket has it, or make this key usable',),
        person=writes("code/app/main.tf", code()),
    ),
    "code of a key of another account": Mutation(
        "code.kms_key",
        writes("code/app/main.tf", code(more=f'    encrypt = true\n    kms_key_id = "{FOREIGN_ARN}"')),
        severity="medium",
        words=(f'kms_key_id = "{ARN}", as the bucket has it, or make this key usable',),
        person=writes("code/app/main.tf", code()),
    ),
    "code with the key of another": Mutation(
        "code.kms_key_differs",
        writes("code/app/main.tf", code(more=f'    encrypt = true\n    kms_key_id = "{OTHER_ARN}"')),
        words=(f'kms_key_id = "{ARN}"',),
        person=writes("code/app/main.tf", code()),
    ),
    "code with a key that the policy denies": Mutation(
        "code.kms_key_differs",
        writes("code/app/main.tf", code("dynamodb", more=f'    encrypt = true\n    kms_key_id = "{OTHER_ARN}"')),
        "a required key",
        severity="high",
        words=(f'kms_key_id = "{ARN}"',),
        person=writes("code/app/main.tf", code("dynamodb")),
    ),
    "code with a key of its own": Mutation(
        "code.customer_key",
        writes("code/app/main.tf", code(more=f'    sse_customer_key = "{SECRET}"')),
        beside=("code.credentials",),
        words=("leave sse_customer_key out, and write the state again without it",),
        person=writes("code/app/main.tf", code()),
    ),
    "code with credentials": Mutation(
        "code.credentials",
        writes("code/app/main.tf", code(more=f'    access_key = "AKIA"\n    secret_key = "{SECRET}"')),
        words=("leave access_key, secret_key out, deactivate what was in there",),
        person=writes("code/app/main.tf", code()),
    ),
    "code that checks no certificate": Mutation(
        "code.insecure",
        writes("code/app/main.tf", code(more="    insecure = true")),
        words=("leave insecure out, and name a private authority in custom_ca_bundle",),
        person=writes("code/app/main.tf", code()),
    ),
    "code that speaks plain HTTP": Mutation(
        "code.insecure",
        writes("code/app/main.tf", code(more='    endpoints = { s3 = "http://s3.example.com" }')),
        words=("https:// addresses",),
        person=writes("code/app/main.tf", code()),
    ),
    "a misspelt bucket": Mutation(
        "code.bucket_missing",
        writes("code/b/main.tf", code(bucket="acme-stats", key="b")),
        words=(f'bucket = "{BUCKET}"',),
        person=replaces('"acme-stats"', f'"{BUCKET}"', "code/b/main.tf"),
        differs=frozenset({"file code/b/main.tf"}),
    ),
    "two environments on one key": Mutation(
        "code.shared_key",
        both(*(writes(f"code/b/{name}", text) for name, text in ENVIRONMENTS.items())),
        words=("a key of its own for that which has not made what is in the state",),
        person=replaces('"b"', '"prod"', "code/b/prod.tfbackend"),
        differs=frozenset({f"file code/b/{name}" for name in ENVIRONMENTS}),
    ),
    "code with what is gone": Mutation(
        "code.removed",
        writes("code/app/main.tf", code(more=f'    role_arn = "arn:aws:iam::{ACCOUNT}:role/x"')),
        words=("role_arn and its like go into assume_role = {}",),
        person=writes(
            "code/app/main.tf", code(more=f'    assume_role = {{ role_arn = "arn:aws:iam::{ACCOUNT}:role/x" }}')
        ),
        differs=frozenset({"file code/app/main.tf"}),
    ),
    "code with what is deprecated": Mutation(
        "code.deprecated",
        writes("code/app/main.tf", code(more="    force_path_style = true")),
        words=("use_path_style = true",),
        person=writes("code/app/main.tf", code(more="    use_path_style = true")),
        differs=frozenset({"file code/app/main.tf"}),
    ),
    "code that locks in a table, too": Mutation(
        "code.lock_mode_differs",
        both(writes("code/app/main.tf", code("both")), lambda b: b.aws.tables.update({TABLE: Table()})),
        "lockfile",
        beside=("code.deprecated",),
        words=("use_lockfile = true alone",),
        person=both(writes("code/app/main.tf", code("lockfile")), lambda b: b.aws.tables.clear()),
    ),
    "code that names no bucket": Mutation(
        "code.unknown",
        writes("code/b/main.tf", 'terraform {\n  backend "s3" {}\n}\n'),
        words=("or complete it with code_backend_files, or say in code_known what it is",),
        person=writes("code/b/main.tf", code(key="b")),
        differs=frozenset({"file code/b/main.tf"}),
    ),
    "code that nobody can read": Mutation(
        "code.unreadable",
        writes("code/b/main.tf.json", '{"terraform": {"backend": {'),
        words=("or leave it out of code",),
        person=lambda b: (b.home / "code/b/main.tf.json").unlink(),
    ),
    # Another store.
    "a store without lock files": Mutation(
        "bucket.lock_files",
        both(another_store, tags(**{LOCK_FILES: UNSUPPORTED})),
        "lockfile",
        words=("set terraform_backend_lock_mode to dynamodb, or use another store",),
    ),
    "a store that nobody tested": Mutation(
        "bucket.lock_files_not_tested", another_store, "lockfile", differs=frozenset({"bucket_tagging"})
    ),
    # What was asked for.
    "MFA delete": Mutation(
        "bucket.mfa_delete",
        both(
            asks(**dict.fromkeys((f"bucket_{name}" for name in lifecycle.OPTIONS if name != lifecycle.RULES), 0)),
            lambda b: b.s3.delete_bucket_lifecycle(Bucket=BUCKET),
        ),
        "plain",
        words=("as the root user of the account",),
    ),
    "object lock": Mutation(
        "bucket.object_lock",
        asks(bucket_object_lock=True),
        words=("# Decide first: object lock can never be switched off again: it stays on.", "enable_object_lock"),
        decides=True,
        differs=frozenset({"object_lock_configuration"}),
    ),
    "another table key": Mutation("table.encryption", table(SSESpecification={"Enabled": False})),
    # The audit itself.
    "no answer": Mutation(
        "audit.failed", lambda b: setattr(b, "is_reached", False), words=("cornerstone.tfstate.audit", "-vvv")
    ),
    "a denied read": Mutation(
        "audit.unknown", denied, severity="high", words=("then give this identity what docs/permissions.md says",)
    ),
    "an old waiver": Mutation(
        "waiver.expired",
        both(versioning, waives("bucket.versioning", "2026-11-01")),
        beside=("bucket.versioning",),
        words=("fix bucket.versioning, or set a later until with a reason of today",),
        person=lambda b: b.asked.clear(),
    ),
}

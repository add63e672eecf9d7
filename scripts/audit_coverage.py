# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes docs/audit-coverage.md: the checks of scanners, and the finding of the audit for each, or why there is none.

    .venv/bin/python scripts/audit_coverage.py

With --check it writes nothing, and fails if the page would change. A test compares it with the catalogue of findings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS

PAGE = Path(__file__).parent.parent / "docs" / "audit-coverage.md"


@dataclass(frozen=True)
class Check:
    """One check of a scanner."""

    id: str
    what: str
    #: Ids of other scanners for the same, which the catalogue has, or kinds of findings.
    same: tuple[str, ...] = ()
    #: Why there is no finding. What the catalogue has counts first.
    why: str = ""

    def kinds(self) -> list[str]:
        names = {self.id, *self.same}
        return [kind for kind, about in KINDS.items() if kind in names or names & {*about.controls}]


def check(id: str, what: str, same: str = "", why: str = "") -> Check:
    return Check(id, what, tuple(same.split()), why)


COPIES = (
    "A copy in another region is late, and no client may use it. `backup` keeps copies, and `bucket.replication` says "
    "who gets them."
)
EVENTS = "A notification tells somebody of a write and protects nothing."
TRAILS = "A trail belongs to the account, not to the bucket."
ACCESS_POINTS = "An access point lets in nobody whom the policy or the public access block of the bucket keeps out."
AWS_BACKUP = "Plans of AWS Backup are not read: `backup` keeps states, and `rebuild` writes the digests again."
DAX = "No client of a backend uses DAX."
POLICY_OF_KEY = "The policy of a key belongs to the owner of the key, and is not read."
ROTATION = "A rotation changes nothing for a state: old key material stays in use for it."
OF_KEYS = "The keys of a backend are not looked at for it."
IDENTITIES = "It is about identities, whose policies are not read: docs/permissions.md has the policies for each task."
ENCLAVES = "No client of a backend runs in an enclave."
EXPRESS = "A directory bucket is no state bucket, and is refused."
OF_CODE = "It reads code that makes the bucket. The audit reads the bucket."
CAPACITY = "It is about the quota of the account."

SCANNERS: dict[str, tuple[str, tuple[Check, ...]]] = {
    "AWS Security Hub": (
        "https://docs.aws.amazon.com/securityhub/latest/userguide/s3-controls.html",
        (
            check("S3.1", "The account blocks public access"),
            check("S3.2", "Nobody reads without an account"),
            check("S3.3", "Nobody writes without an account"),
            check("S3.5", "Requests need TLS"),
            check("S3.6", "Other accounts do not change what protects the bucket"),
            check("S3.7", "Objects are copied to another region", why=COPIES),
            check("S3.8", "The bucket blocks public access"),
            check("S3.9", "Access is logged"),
            check("S3.10", "A bucket with versions has a lifecycle"),
            check("S3.11", "Events are notified", why=EVENTS),
            check("S3.12", "ACLs are not in use"),
            check("S3.13", "The bucket has a lifecycle"),
            check("S3.14", "Versions are kept"),
            check("S3.15", "Object lock is on"),
            check("S3.17", "A KMS key encrypts at rest"),
            check("S3.19", "Access points block public access", why=ACCESS_POINTS),
            check("S3.20", "MFA delete is on"),
            check("S3.22", "CloudTrail logs writes of objects", why=TRAILS),
            check("S3.23", "CloudTrail logs reads of objects", why=TRAILS),
            check("S3.24", "Multi-Region Access Points block public access", why=ACCESS_POINTS),
            check("S3.25", "Directory buckets have a lifecycle", why=EXPRESS),
            check("DynamoDB.1", "The table scales with demand"),
            check("DynamoDB.2", "Point-in-time recovery is on"),
            check("DynamoDB.3", "DAX clusters are encrypted", why=DAX),
            check("DynamoDB.4", "The table is in a backup plan", why=AWS_BACKUP),
            check("DynamoDB.5", "The table is tagged"),
            check("DynamoDB.6", "Deletion protection is on"),
            check("DynamoDB.7", "DAX clusters use TLS", why=DAX),
            check("KMS.1", "Managed policies do not allow decryption with all keys", why=IDENTITIES),
            check("KMS.2", "Inline policies do not allow decryption with all keys", why=IDENTITIES),
            check("KMS.3", "Keys are not about to be deleted", why=OF_KEYS),
            check("KMS.4", "Keys rotate", why=ROTATION),
            check("KMS.5", "Keys are not public", why=POLICY_OF_KEY),
        ),
    ),
    "AWS Config": (
        "https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html",
        (
            check("s3-account-level-public-access-blocks", "The account blocks public access", "S3.1"),
            check("s3-account-level-public-access-blocks-periodic", "The same, by time", "S3.1"),
            check("s3-bucket-level-public-access-prohibited", "The bucket blocks public access", "S3.8"),
            check("s3-bucket-public-read-prohibited", "Nobody reads without an account", "S3.2"),
            check("s3-bucket-public-write-prohibited", "Nobody writes without an account", "S3.3"),
            check("s3-bucket-acl-prohibited", "ACLs are not in use", "S3.12"),
            check(
                "s3-bucket-blacklisted-actions-prohibited",
                "Other accounts do not have certain actions",
                "bucket.policy_foreign bucket.policy_write",
            ),
            check(
                "s3-bucket-policy-grantee-check",
                "The policy lets in those only whom you name",
                "bucket.policy_foreign bucket.policy_write bucket.policy_read bucket.policy_condition",
            ),
            check(
                "s3-bucket-policy-not-more-permissive",
                "The policy lets in no more than one that you give",
                "bucket.policy_foreign bucket.policy_write bucket.policy_read bucket.policy_condition",
            ),
            check("s3-bucket-ssl-requests-only", "Requests need TLS", "S3.5"),
            check("s3-bucket-server-side-encryption-enabled", "The bucket encrypts", "CKV_AWS_19"),
            check("s3-default-encryption-kms", "A KMS key encrypts at rest", "bucket.encryption"),
            check("s3-bucket-versioning-enabled", "Versions are kept", "CKV_AWS_21"),
            check("s3-bucket-mfa-delete-enabled", "MFA delete is on", "S3.20"),
            check("s3-bucket-default-lock-enabled", "Object lock is on", "S3.15"),
            check("s3-bucket-logging-enabled", "Access is logged", "S3.9"),
            check("s3-lifecycle-policy-check", "The bucket has a lifecycle", "S3.13"),
            check("s3-version-lifecycle-policy-check", "A bucket with versions has a lifecycle", "S3.10"),
            check("s3-bucket-replication-enabled", "Objects are copied", why=COPIES),
            check("s3-bucket-cross-region-replication-enabled", "Objects are copied to another region", why=COPIES),
            check("s3-event-notifications-enabled", "Events are notified", why=EVENTS),
            check("s3-access-point-public-access-blocks", "Access points block public access", why=ACCESS_POINTS),
            check("s3-access-point-in-vpc-only", "Access points are for a VPC", why=ACCESS_POINTS),
            check("s3-resources-protected-by-backup-plan", "The bucket is in a backup plan", why=AWS_BACKUP),
            check("s3-last-backup-recovery-point-created", "AWS Backup has saved it lately", why=AWS_BACKUP),
            check("s3-meets-restore-time-target", "AWS Backup restores it in time", why=AWS_BACKUP),
            check("s3-resources-in-logically-air-gapped-vault", "AWS Backup keeps it apart", why=AWS_BACKUP),
            check("cloudtrail-s3-dataevents-enabled", "CloudTrail logs reads and writes of objects", why=TRAILS),
            check("dynamodb-autoscaling-enabled", "The table scales with demand", "DynamoDB.1"),
            check("dynamodb-pitr-enabled", "Point-in-time recovery is on", "DynamoDB.2"),
            check("dynamodb-table-deletion-protection-enabled", "Deletion protection is on", "DynamoDB.6"),
            check("dynamodb-table-encrypted-kms", "A KMS key encrypts the table", "CKV_AWS_119"),
            check("dynamodb-table-encryption-enabled", "The table is encrypted", why="DynamoDB encrypts every table."),
            check("dynamodb-in-backup-plan", "The table is in a backup plan", why=AWS_BACKUP),
            check("dynamodb-resources-protected-by-backup-plan", "The same, of resources", why=AWS_BACKUP),
            check("dynamodb-last-backup-recovery-point-created", "AWS Backup has saved it lately", why=AWS_BACKUP),
            check("dynamodb-meets-restore-time-target", "AWS Backup restores it in time", why=AWS_BACKUP),
            check("dynamodb-throughput-limit-check", "The capacity is below the quota", why=CAPACITY),
            check("dax-encryption-enabled", "DAX clusters are encrypted", why=DAX),
            check("kms-cmk-not-scheduled-for-deletion", "Keys are not about to be deleted", "KMS.3", OF_KEYS),
            check("cmk-backing-key-rotation-enabled", "Keys rotate", why=ROTATION),
            check("kms-key-policy-no-public-access", "Keys are not public", why=POLICY_OF_KEY),
            check("kms-key-tagged", "Keys are tagged", why="Tags of a key protect nothing."),
        ),
    ),
    "AWS Trusted Advisor": (
        "https://docs.aws.amazon.com/awssupport/latest/user/trusted-advisor-check-reference.html",
        (
            check("Pfx0RwqBli", "Amazon S3 Bucket Permissions", "S3.2 S3.3"),
            check("R365s2Qddf", "Amazon S3 Bucket Versioning", "CKV_AWS_21"),
            check("c1fd6b96l4", "Amazon S3 access logs", "S3.9"),
            check("c18d2gz100", "Amazon S3 bucket lifecycle", "S3.13"),
            check("c18d2gz171", "Amazon S3 version-enabled buckets without lifecycle", "S3.10"),
            check("c1cj39rr6v", "Amazon S3 incomplete multipart uploads", "CKV_AWS_300"),
            check("c18d2gz138", "Amazon DynamoDB Point-in-time Recovery", "DynamoDB.2"),
            check("c18d2gz107", "Amazon DynamoDB table not in a backup plan", why=AWS_BACKUP),
            check("Hs4Ma3G323", "DynamoDB tables have deletion protection", "DynamoDB.6"),
        ),
    ),
    "Prowler": (
        "https://hub.prowler.com",
        (
            check("s3_account_level_public_access_blocks", "The account blocks public access", "S3.1"),
            check("s3_bucket_level_public_access_block", "The bucket blocks public access", "S3.8"),
            check("s3_bucket_public_access", "The bucket is not public", "S3.2 S3.3"),
            check("s3_bucket_public_list_acl", "No ACL lets everybody list", "CKV_AWS_20"),
            check("s3_bucket_public_write_acl", "No ACL lets everybody write", "CKV_AWS_57"),
            check("s3_bucket_policy_public_write_access", "No policy lets everybody write", "CKV_AWS_70"),
            check(
                "s3_bucket_cross_account_access",
                "No other account is let in",
                "bucket.policy_foreign bucket.policy_write bucket.policy_read bucket.policy_condition",
            ),
            check("s3_bucket_acl_prohibited", "ACLs are not in use", "S3.12"),
            check("s3_bucket_object_public", "No object is public by its ACL", "bucket.ownership"),
            check("s3_bucket_object_acl_ghost", "No object has an ACL that would come back", "bucket.ownership"),
            check("s3_bucket_secure_transport_policy", "Requests need TLS", "S3.5"),
            check("s3_bucket_default_encryption", "The bucket encrypts", "CKV_AWS_19"),
            check("s3_bucket_kms_encryption", "A KMS key encrypts at rest", "bucket.encryption"),
            check("s3_bucket_object_versioning", "Versions are kept", "CKV_AWS_21"),
            check("s3_bucket_no_mfa_delete", "MFA delete is on", "S3.20"),
            check("s3_bucket_object_lock", "Object lock is on", "S3.15"),
            check("s3_bucket_server_access_logging_enabled", "Access is logged", "S3.9"),
            check("s3_bucket_lifecycle_enabled", "The bucket has a lifecycle", "S3.13"),
            check("s3_bucket_cross_region_replication", "Objects are copied to another region", why=COPIES),
            check("s3_bucket_event_notifications_enabled", "Events are notified", why=EVENTS),
            check("s3_access_point_public_access_block", "Access points block public access", why=ACCESS_POINTS),
            check("s3_multi_region_access_point_public_access_block", "The same, of many regions", why=ACCESS_POINTS),
            check(
                "s3_bucket_shadow_resource_vulnerability",
                "No bucket has a name that a service of AWS would take",
                why="It is about buckets that services of AWS make. Each request says which account must own a bucket.",
            ),
            check("dynamodb_table_autoscaling_enabled", "The table scales with demand", "DynamoDB.1"),
            check("dynamodb_tables_pitr_enabled", "Point-in-time recovery is on", "DynamoDB.2"),
            check("dynamodb_table_deletion_protection_enabled", "Deletion protection is on", "DynamoDB.6"),
            check("dynamodb_tables_kms_cmk_encryption_enabled", "A KMS key encrypts the table", "CKV_AWS_119"),
            check(
                "dynamodb_table_cross_account_access",
                "No other account is let in",
                "table.policy_public table.policy_foreign",
            ),
            check("dynamodb_table_protected_by_backup_plan", "The table is in a backup plan", why=AWS_BACKUP),
            check("dynamodb_accelerator_cluster_encryption_enabled", "DAX clusters are encrypted", why=DAX),
            check("dynamodb_accelerator_cluster_in_transit_encryption_enabled", "DAX clusters use TLS", why=DAX),
            check("dynamodb_accelerator_cluster_multi_az", "DAX clusters are in several zones", why=DAX),
            check("kms_cmk_not_deleted_unintentionally", "Keys are not about to be deleted", "KMS.3", OF_KEYS),
            check("kms_cmk_are_used", "Keys are enabled", "CKV_AWS_227", OF_KEYS),
            check("kms_cmk_rotation_enabled", "Keys rotate", why=ROTATION),
            check("kms_key_not_publicly_accessible", "Keys are not public", why=POLICY_OF_KEY),
            check("kms_cmk_not_multi_region", "Keys are of one region", why="A key of several regions is no fault."),
            check("kms_key_enclave_attestation_not_enforced", "Enclaves prove what they are", why=ENCLAVES),
        ),
    ),
    "Trivy": (
        "https://avd.aquasec.com/misconfig/aws",
        (
            check("AVD-AWS-0086", "Public ACLs are blocked", "CKV_AWS_53"),
            check("AVD-AWS-0087", "Public policies are blocked", "CKV_AWS_54"),
            check("AVD-AWS-0091", "Public ACLs are ignored", "CKV_AWS_55"),
            check("AVD-AWS-0093", "Public buckets are restricted", "CKV_AWS_56"),
            check("AVD-AWS-0094", "There is a public access block", "CKV2_AWS_6"),
            check("AVD-AWS-0092", "No ACL is public", "CKV_AWS_20"),
            check("AVD-AWS-0088", "The bucket encrypts", "CKV_AWS_19"),
            check("AVD-AWS-0132", "A customer key encrypts at rest", "bucket.encryption"),
            check("AVD-AWS-0090", "Versions are kept", "CKV_AWS_21"),
            check("AVD-AWS-0170", "MFA delete is on", "S3.20"),
            check("AVD-AWS-0089", "Access is logged", "S3.9"),
            check("AVD-AWS-0171", "CloudTrail logs writes of objects", why=TRAILS),
            check("AVD-AWS-0172", "CloudTrail logs reads of objects", why=TRAILS),
            check(
                "AVD-AWS-0320",
                "The name has no dots",
                why="The name of a bucket that is there cannot change, and clients address one with dots by path.",
            ),
            check("AVD-AWS-0024", "Point-in-time recovery is on", "CKV_AWS_28"),
            check("AVD-AWS-0025", "A customer key encrypts the table", "CKV_AWS_119"),
            check("AVD-AWS-0023", "DAX clusters are encrypted", why=DAX),
            check("AVD-AWS-0065", "Keys rotate", why=ROTATION),
        ),
    ),
    "Checkov": (
        "https://www.checkov.io/5.Policy%20Index/terraform.html",
        (
            check("CKV_AWS_18", "Access is logged"),
            check("CKV_AWS_19", "The bucket encrypts"),
            check("CKV_AWS_20", "No ACL lets everybody read"),
            check("CKV_AWS_21", "Versions are kept"),
            check("CKV_AWS_28", "Point-in-time recovery is on"),
            check("CKV_AWS_53", "Public ACLs are blocked"),
            check("CKV_AWS_54", "Public policies are blocked"),
            check("CKV_AWS_55", "Public ACLs are ignored"),
            check("CKV_AWS_56", "Public buckets are restricted"),
            check("CKV_AWS_57", "No ACL lets everybody write"),
            check("CKV_AWS_70", "No policy lets everybody in"),
            check("CKV_AWS_93", "The policy locks nobody out"),
            check("CKV_AWS_119", "A customer key encrypts the table"),
            check("CKV_AWS_143", "Object lock is on"),
            check("CKV_AWS_144", "Objects are copied to another region", why=COPIES),
            check("CKV_AWS_145", "A KMS key encrypts at rest"),
            check("CKV_AWS_300", "Multipart uploads that nobody completes are aborted"),
            check("CKV_AWS_375", "No ACL shows the bucket to everybody"),
            check("CKV_AWS_379", "Requests need TLS"),
            check("CKV_AWS_7", "Keys rotate", why=ROTATION),
            check("CKV_AWS_33", "The policy of a key is not for everybody", why=POLICY_OF_KEY),
            check("CKV_AWS_165", "Global tables have point-in-time recovery", "table.replicas"),
            check("CKV_AWS_227", "Keys are enabled", why=OF_KEYS),
            check("CKV_AWS_271", "A customer key encrypts replicas", "table.replicas"),
            check("CKV2_AWS_6", "There is a public access block"),
            check("CKV2_AWS_16", "The table scales with demand"),
            check("CKV2_AWS_43", "No ACL lets in everybody who has an account"),
            check("CKV2_AWS_61", "The bucket has a lifecycle"),
            check("CKV2_AWS_62", "Events are notified", why=EVENTS),
            check("CKV2_AWS_64", "The code of a key has a policy", why=OF_CODE),
            check("CKV2_AWS_65", "ACLs are not in use"),
            check("CKV_TF_3", "States are locked"),
        ),
    ),
}

INTRODUCTION = """\
<!-- Written by scripts/audit_coverage.py from the catalogue of findings. A test compares them. -->
# The audit and other scanners

For each check of these scanners that concerns a state bucket, a lock table, its KMS key or a backend block, this page
names the [finding](audit.md#findings) of the audit, or says why there is none. Use it to find the counterpart of an
entry in your scanner's report.

- What the inventory does not ask for is no finding: customer keys, logs, object lock. Ask for it, and it is one.
- The audit finds more than this page: contents, locks, digests, and code. No scanner of settings sees these.
- Trusted Advisor repeats checks of Security Hub under ids that begin with `Hs4Ma3G`.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *(line for name in SCANNERS for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    source, checks = SCANNERS[name]
    yield f"## {name}\n"
    yield f"Its checks: <{source}>\n"
    yield "| check | what it asks | finding, or why there is none |"
    yield "|---|---|---|"
    for each in checks:
        found = ", ".join(f"`{kind}`" for kind in each.kinds())
        yield f"| `{each.id}` | {each.what} | {found or each.why} |"
    yield ""


def main(is_check: bool) -> int:
    text = page()
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    if is_check:
        print(f"{PAGE.name} is not what scripts/audit_coverage.py says: run it")
        return 1
    PAGE.write_text(text)
    print(f"{PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

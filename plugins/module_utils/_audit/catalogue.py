# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What there is to find in a backend and in the code that uses it: how bad it is, why it matters, who asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What is the same of all findings of one id."""

    severity: str
    title: str
    why: str
    #: Ids of AWS Security Hub (S3.n, DynamoDB.n), of the CIS AWS Foundations Benchmark, and of Checkov.
    controls: tuple[str, ...] = ()


#: By id.
KINDS: dict[str, Kind] = {
    "bucket.missing": Kind(
        "critical", "The state bucket does not exist", "There is nowhere to keep the state: Terraform cannot even init."
    ),
    "bucket.region": Kind(
        "high", "The bucket lies in another region", "Clients are told a region, and fail when it is not the bucket's."
    ),
    "bucket.versioning": Kind(
        "high",
        "Old states are not kept",
        "Without versioning the next write destroys the state before it, and a deleted state is gone.",
        ("S3.14", "CKV_AWS_21"),
    ),
    "bucket.public_access": Kind(
        "high",
        "Public access is not blocked",
        "A state holds secrets in clear text. One wrong policy or ACL shows them to everybody.",
        ("S3.2", "S3.3", "S3.8", "CIS 2.1.4", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "CKV2_AWS_6"),
    ),
    "bucket.encryption": Kind(
        "medium",
        "Default encryption is not what it should be",
        "What is stored without the right key can be read by whoever gets at the object.",
        ("S3.17", "CKV_AWS_19", "CKV_AWS_145"),
    ),
    "bucket.ownership": Kind(
        "medium",
        "ACLs are in use",
        "Objects can belong to, or be opened to, other accounts where no policy says so.",
        ("S3.12", "CKV2_AWS_65"),
    ),
    "bucket.policy": Kind(
        "medium",
        "The bucket policy lacks protection",
        "States, with the secrets in them, can be asked for over plain HTTP or outdated TLS.",
        ("S3.5", "CIS 2.1.1", "CKV_AWS_379"),
    ),
    "bucket.lifecycle": Kind(
        "low",
        "Litter is never removed",
        "Each lock file leaves a version and a delete marker: listings grow slow, and old versions cost for ever.",
        ("S3.10", "S3.13", "CKV_AWS_300", "CKV2_AWS_61"),
    ),
    "bucket.expiration": Kind(
        "critical",
        "A lifecycle rule deletes states",
        "When its time is over a state is gone, and the next plan wants to create everything again.",
    ),
    "bucket.policy_public": Kind(
        "high",
        "The bucket policy lets everybody in",
        "A state holds secrets in clear text. Blocked public access may keep people out, until somebody lifts it.",
        ("S3.2", "S3.3", "CKV_AWS_70"),
    ),
    "bucket.policy_foreign": Kind(
        "high",
        "Another account may change what protects the bucket",
        "It can write the policy, ACLs, encryption, versioning, lifecycle or replication, or delete old versions.",
        ("S3.6",),
    ),
    "bucket.policy_condition": Kind(
        "high",
        "A condition of the bucket policy lets others in",
        "The statement is for everybody, and its conditions do not keep out everybody but the owner: they name another "
        "account, or an organization, network or endpoint that is not known to be the owner's.",
        ("S3.6",),
    ),
    "bucket.mfa_delete": Kind(
        "info",
        "MFA delete is off",
        "Versions can be deleted without a second factor. Only the account's root user can switch it on, and AWS takes "
        "it only where there is no lifecycle.",
        ("S3.20", "CIS 2.1.2"),
    ),
    "bucket.object_lock": Kind(
        "low",
        "Object lock is not what was asked",
        "Versions can be deleted before their time.",
        ("S3.15", "CKV_AWS_143"),
    ),
    "bucket.logging": Kind(
        "low", "Access is not logged as asked", "Nobody can tell who read a state.", ("S3.9", "CKV_AWS_18")
    ),
    "bucket.tags": Kind("low", "Tags of the bucket differ", "Owner and cost cannot be told by its tags."),
    "table.missing": Kind(
        "critical",
        "No state locking: the lock table does not exist",
        "Clients that name the table cannot lock, so every plan and apply fails, and with -lock=false two people "
        "overwrite each other's state.",
    ),
    "table.key": Kind(
        "critical", "The table is no lock table", "Its key is not LockID, a string: no client can take a lock in it."
    ),
    "table.deletion_protection": Kind(
        "medium",
        "The lock table can be deleted by accident",
        "Without the table nobody gets a lock, and the digests that guard states are gone.",
        ("DynamoDB.6",),
    ),
    "table.recovery": Kind(
        "medium",
        "The lock table has no point-in-time recovery",
        "Locks and digests that were overwritten or deleted cannot be had back.",
        ("DynamoDB.2", "CKV_AWS_28"),
    ),
    "table.billing": Kind(
        "low",
        "The table is not paid for as asked",
        "With too little capacity locks fail when many apply.",
        ("DynamoDB.1", "CKV2_AWS_16"),
    ),
    "table.encryption": Kind(
        "low", "The table's key is not the one asked for", "Use of the key is neither yours to log.", ("CKV_AWS_119",)
    ),
    "table.table_class": Kind("info", "The table class is not the one asked for", "It costs more than it has to."),
    "table.tags": Kind(
        "low", "Tags of the table differ", "Owner and cost cannot be told by its tags.", ("DynamoDB.5",)
    ),
    "table.time_to_live": Kind(
        "high",
        "The lock table forgets",
        "Locks and digests vanish when their time is over, while somebody applies.",
    ),
    "table.replicas": Kind(
        "medium",
        "The lock table has replicas",
        "Two regions may both get one lock. Every client has to use the table of one region.",
    ),
    "lock.wedged": Kind(
        "high",
        "A lock cannot be read",
        "Neither waiting nor force-unlock gets past it: every plan and apply of this state fails until it is removed.",
    ),
    "lock.stale": Kind(
        "high",
        "A lock is held for very long",
        "Locks never expire. A client that was killed leaves its lock behind, and nobody else can apply.",
    ),
    "lock.unknown_age": Kind(
        "medium",
        "A lock does not say since when it is held",
        "Nobody can tell whether its holder is still at work. older_than does not release it, and lock_id does.",
    ),
    "lock.fence": Kind(
        "info",
        "A state has moved, and its old place is fenced",
        "Whoever went on here would work with a state that nobody else sees: the lock keeps them from it.",
    ),
    "lock.half_fence": Kind(
        "high",
        "A moved state is locked in one store only",
        "Clients that lock in the other store get in, and work with a state that nobody else sees.",
    ),
    "lock.not_canonical": Kind(
        "low", "A lock is written in an unusual form", "OpenTofu cannot release a lock that differs from its own JSON."
    ),
    "lock.orphan_file": Kind(
        "low", "A lock file has no state", "It stays until somebody removes it, and blocks the first apply of that key."
    ),
    "digest.mismatch": Kind(
        "high",
        "A digest does not match its state",
        'Every client fails with "state data in S3 does not have the expected content": the state was written past '
        "the table, or half.",
    ),
    "digest.deleted": Kind(
        "high",
        "A state was deleted, and its digest is still there",
        "Terraform refuses to work on it. If the digest went too, it would plan to create everything again.",
    ),
    "digest.states_lost": Kind(
        "critical",
        "The states of the digests in the lock table are gone",
        "The bucket was emptied, or deleted and created again. Their digests are all that keeps clients from creating "
        "everything again: restore or rebuild the states first.",
    ),
    "digest.orphan": Kind(
        "high",
        "A digest has no state",
        "If the state was lost, its digest is all that keeps clients from creating everything again: restore or "
        "rebuild the state first. If it was deleted on purpose, its digest does no harm until the key is used again.",
    ),
    "digest.malformed": Kind(
        "low", "A digest cannot be read", "Clients ignore it without a word: the state is not checked."
    ),
    "digest.missing": Kind(
        "info", "A state has no digest", "It is not checked until a client that uses the table writes it."
    ),
    "state.unreadable": Kind(
        "high", "A state cannot be read", "What no client can parse, none can plan on. An older version may be whole."
    ),
    "state.lock_file_name": Kind(
        "high",
        "A state bears the name of a lock file",
        "Clients that lock by file take it for the lock of the state beside it, which they then neither lock nor "
        "write. Who deletes lock files deletes a state.",
    ),
    "state.deleted": Kind(
        "info", "A state was deleted", "If nobody meant to, it can be had back while its versions last."
    ),
    "code.missing": Kind(
        "medium",
        "No Terraform code points at this backend",
        "Either the backend is not used, or its code is elsewhere.",
    ),
    "code.bucket_missing": Kind(
        "critical", "Code expects a bucket that does not exist", "Init fails with: S3 bucket does not exist."
    ),
    "code.table_missing": Kind(
        "critical", "Code expects a lock table that does not exist", "Every plan and apply fails: it gets no lock."
    ),
    "code.not_audited": Kind(
        "low", "Code uses a backend that is not audited", "Nobody has looked whether it exists, and what protects it."
    ),
    "code.region": Kind(
        "high", "Code names another region than the bucket's", "Clients ask the wrong region, and init fails."
    ),
    "code.shared_key": Kind(
        "critical",
        "Two configurations keep their state under one key",
        "Each plans to destroy what the other has made.",
    ),
    "code.nested_key": Kind(
        "high",
        "A key lies among the workspaces of another configuration",
        "As soon as that has a workspace of this name, both keep their state under one key.",
    ),
    "code.no_locking": Kind("high", "Code locks nothing", "Two people who apply at once overwrite each other's state."),
    "code.mixed_locking": Kind(
        "high",
        "Code locks one bucket in ways that do not exclude each other",
        "A client that locks in the table only, and one that locks by file only, do not see each other's locks.",
    ),
    "code.lock_mode": Kind(
        "high",
        "Code locks where the backend's clients do not look",
        "A client that locks in the table only, and one that locks by file only, do not see each other's locks.",
    ),
    "code.lock_mode_differs": Kind(
        "medium",
        "Code locks in another way than the backend's",
        "They still exclude each other. But whoever writes past the table leaves a digest that stops those who use it.",
    ),
    "code.table_differs": Kind(
        "medium", "Code locks in another table than the backend's", "Clients of two tables do not exclude each other."
    ),
    "code.encrypt": Kind(
        "medium",
        "Code does not use the bucket's key",
        "encrypt without kms_key_id asks for AES256 by header, and kms_key_id without encrypt is ignored.",
        ("S3.17", "CKV_AWS_145"),
    ),
    "code.removed": Kind("medium", "Code uses arguments that are gone", "Terraform from 1.10 on refuses them."),
    "code.deprecated": Kind("info", "Code uses deprecated arguments", "A later Terraform will refuse them."),
    "code.unknown": Kind(
        "medium",
        "Code does not say which backend it uses",
        "It may be a client of any backend: steps of the lock mode, removal of a table and teardown are refused.",
    ),
    "code.unreadable": Kind("medium", "A file cannot be read", "Nobody knows whether a backend is in it."),
    "audit.failed": Kind("critical", "The backend could not be audited", "What nobody looked at may be anything."),
    "audit.unknown": Kind("medium", "Something could not be read", "Unknown is not the same as fine."),
    "waiver.expired": Kind("medium", "A waiver has expired", "Somebody wanted to look again by that day."),
}

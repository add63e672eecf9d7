# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All kinds of findings about a backend and the code that uses it: severity, title, reason, controls, runbook."""

from __future__ import annotations

from .._bucket import BUCKET, mfa_delete, replication
from .._core.model import Facet, FindingKind, Resource, facet_of
from .._table import TABLE, time_to_live

RUNBOOKS = "https://github.com/cornerstone-tfstate/cornerstone.tfstate/blob/main/docs/runbooks"


def runbook_url(name: str) -> str:
    return f"{RUNBOOKS}/{name}.md"


def _of_facets(resource: Resource, *others: Facet) -> dict[str, FindingKind]:
    facets = (*resource.facets, *others)
    return {f"{resource.kind}.{facet.name}": facet.finding for facet in facets if facet.finding}


#: By id.
KINDS: dict[str, FindingKind] = {
    **_of_facets(BUCKET, facet_of(mfa_delete), facet_of(replication)),
    **_of_facets(TABLE, facet_of(time_to_live)),
    "bucket.missing": FindingKind(
        "critical",
        "The state bucket does not exist",
        "There is nowhere to keep the state: Terraform cannot even init.",
        runbook="lost-bucket",
    ),
    "bucket.region": FindingKind(
        "high", "The bucket lies in another region", "Clients are told a region, and fail when it is not the bucket's."
    ),
    "bucket.expiration": FindingKind(
        "critical",
        "A lifecycle rule deletes states",
        "When its time is over a state is gone, and the next plan wants to create everything again.",
    ),
    "bucket.archiving": FindingKind(
        "critical",
        "A lifecycle rule archives states",
        "Nobody can read an archived object until it is restored, which takes hours: every plan and apply fails.",
    ),
    "bucket.history": FindingKind(
        "medium",
        "Old versions of states are deleted early",
        "Only older versions bring back a state that was damaged, overwritten or deleted, and only until they expire.",
        ("S3.14",),
    ),
    "bucket.logging_itself": FindingKind(
        "medium",
        "Access to the bucket is logged into the bucket itself",
        "Every log that is delivered makes another one: the logs grow for ever, and bury the states.",
    ),
    "bucket.logging_target": FindingKind(
        "low",
        "Access is logged into a bucket that does not exist",
        "S3 drops the logs without a word, and nobody can tell who read a state.",
        ("S3.9", "CKV_AWS_18"),
    ),
    "bucket.lock_expiration": FindingKind(
        "high",
        "A lifecycle rule deletes lock files",
        "A lock file that is held for longer than the rule allows is deleted, and a second client gets the lock.",
    ),
    "bucket.lock_files": FindingKind(
        "critical",
        "The store does not support lock files",
        "It ignores or refuses the condition under which clients create a lock file: two get one lock, or nobody does.",
    ),
    "bucket.lock_files_not_tested": FindingKind(
        "low",
        "Nobody tested whether the store supports lock files",
        "Some stores ignore the condition under which clients create a lock file, and give the lock to everybody.",
    ),
    "bucket.policy_public": FindingKind(
        "high",
        "The bucket policy lets everybody in",
        "A state holds secrets in clear text. Blocked public access may keep people out, until somebody lifts it.",
        ("S3.2", "S3.3", "CKV_AWS_70"),
    ),
    "bucket.policy_foreign": FindingKind(
        "high",
        "Another account may change what protects the bucket",
        "It can write the policy, ACLs, encryption, versioning, lifecycle or replication, or delete old versions.",
        ("S3.6",),
    ),
    "bucket.policy_condition": FindingKind(
        "high",
        "A condition of the bucket policy lets others in",
        "The statement is for everybody, and its conditions do not keep out everybody but the owner: they name another "
        "account, or an organization, network or endpoint that is not known to be the owner's.",
        ("S3.6",),
    ),
    "bucket.policy_write": FindingKind(
        "high",
        "Another account may write or delete states",
        "What it writes is what the next plan takes for real. It can delete lock files, too, so that two clients apply "
        "at once.",
    ),
    "bucket.policy_read": FindingKind(
        "medium",
        "Another account may read states",
        "A state holds secrets in clear text. If the account is meant to read them, declare or waive it.",
    ),
    "bucket.policy_denies": FindingKind(
        "high",
        "The bucket policy denies what clients need",
        "Clients list the bucket, read and write states, and create and delete lock files. What is denied to everybody "
        "fails for all of them.",
        ("CKV_AWS_93",),
    ),
    "bucket.acl_public": FindingKind(
        "critical",
        "The bucket's ACL lets everybody in",
        "Everybody lists the bucket, or writes into it, or changes who may. As long as ACLs are in use, those of "
        "states can show them to everybody, too.",
        ("S3.2", "S3.3", "CKV_AWS_20", "CKV_AWS_57", "CKV_AWS_375", "CKV2_AWS_43"),
    ),
    "bucket.acl_foreign": FindingKind(
        "high",
        "The bucket's ACL lets another account in",
        "A grant of an ACL is in no policy, and keeps ACLs from being switched off.",
        ("S3.12", "CKV2_AWS_65"),
    ),
    "account.public_access": FindingKind(
        "low",
        "The account does not block public access",
        "The block of the bucket protects its states. The block of the account also protects them if somebody removes "
        "that of the bucket, and it protects all other buckets.",
        ("S3.1", "CIS 2.1.4"),
    ),
    "table.policy_public": FindingKind(
        "high",
        "The policy of the lock table lets everybody in",
        "Everybody with an AWS account can take or release locks, or read which states there are.",
    ),
    "table.policy_foreign": FindingKind(
        "high",
        "Another account may use the lock table",
        "It can take locks and never release them, or release those of others, so that two clients apply at once.",
    ),
    "table.policy_denies": FindingKind(
        "high",
        "The policy of the lock table denies what clients need",
        "Clients read, write and delete items. What is denied to everybody fails for all of them: no lock is taken, or "
        "none is released.",
    ),
    **dict.fromkeys(
        ("bucket.shared_management", "table.shared_management"),
        FindingKind(
            "low",
            "Another tool manages it, too",
            "Its next run may set back what bootstrap changes, or delete it: two tools undo each other's work.",
        ),
    ),
    "table.missing": FindingKind(
        "critical",
        "No state locking: the lock table does not exist",
        "Clients that name the table cannot lock, so every plan and apply fails, and with -lock=false two people "
        "overwrite each other's state.",
        runbook="lost-table",
    ),
    "table.key": FindingKind(
        "critical", "The table is no lock table", "Its key is not LockID, a string: no client can take a lock in it."
    ),
    "table.recovery_period": FindingKind(
        "low",
        "The lock table can be restored for a few days only",
        "A loss that is noticed later, such as after a weekend, cannot be restored.",
    ),
    "table.inaccessible": FindingKind(
        "critical",
        "The lock table is out of reach",
        "No client gets a lock, so every plan and apply fails. AWS archives a table whose key was out of reach for a "
        "week: only its backup is left then.",
        runbook="kms-key",
    ),
    "table.replicas": FindingKind(
        "medium",
        "The lock table has replicas",
        "Two regions may both get one lock. Every client has to use the table of one region.",
    ),
    "key.missing": FindingKind(
        "critical",
        "A KMS key does not exist",
        "What was encrypted with it is lost, and nothing new can be written: an apply cannot save its state, or gets "
        "no lock.",
        runbook="kms-key",
    ),
    "key.disabled": FindingKind(
        "critical",
        "A KMS key is disabled",
        "What is encrypted with it can be neither read nor written: every plan and apply fails.",
        ("CKV_AWS_227",),
        "kms-key",
    ),
    "key.pending_deletion": FindingKind(
        "critical",
        "A KMS key is about to be deleted",
        "Nothing can be read or written with it now, and once it is deleted, all that it has encrypted is lost.",
        ("KMS.3",),
        "kms-key",
    ),
    "key.unusable": FindingKind(
        "critical",
        "A KMS key cannot be used",
        "S3 takes any name for a key, and then refuses each upload: an apply cannot save its state.",
        runbook="kms-key",
    ),
    "key.foreign": FindingKind(
        "medium",
        "A KMS key is another account's",
        "Administrators of that account can disable or delete it. Then nobody can read what it encrypted.",
    ),
    "lock.modes_differ": FindingKind(
        "high",
        "Two hosts of the inventory lock one bucket in different ways",
        "Their clients do not see each other's locks, and overwrite each other's state. If they share one way to lock, "
        "some still write past the table, which leaves digests that stop the others.",
    ),
    "lock.wedged": FindingKind(
        "high",
        "A lock cannot be read",
        "Neither waiting nor force-unlock gets past it: every plan and apply of this state fails until it is removed.",
        runbook="stuck-lock",
    ),
    "lock.stale": FindingKind(
        "high",
        "A lock is held for very long",
        "Locks never expire. A client that was killed leaves its lock behind, and nobody else can apply.",
        runbook="stuck-lock",
    ),
    "lock.frozen": FindingKind(
        "info",
        "States are frozen",
        "Somebody holds their locks while something is repaired: every plan and apply fails until they are thawed.",
    ),
    "lock.unknown_age": FindingKind(
        "medium",
        "A lock does not say since when it is held",
        "Nobody can tell whether its holder is still at work. older_than does not release it, and lock_id does.",
        runbook="stuck-lock",
    ),
    "lock.moved_state": FindingKind(
        "info",
        "A state has moved, and its old place is locked",
        "A client that continued here would work with a state that nobody else sees. The lock prevents that.",
    ),
    "lock.half_moved_state": FindingKind(
        "high",
        "A moved state is locked in one store only",
        "Clients that lock in the other store get in, and work with a state that nobody else sees.",
    ),
    "lock.not_canonical": FindingKind(
        "low",
        "A lock is written in an unusual form",
        "OpenTofu cannot release a lock that differs from its own JSON.",
        runbook="stuck-lock",
    ),
    "lock.orphan_file": FindingKind(
        "low",
        "A lock file has no state",
        "It stays until somebody removes it, and blocks the first apply of that key.",
        runbook="stuck-lock",
    ),
    "digest.mismatch": FindingKind(
        "high",
        "A digest does not match its state",
        'Every client fails with "state data in S3 does not have the expected content": the state was written past '
        "the table, or half.",
        runbook="digest-mismatch",
    ),
    "digest.deleted": FindingKind(
        "high",
        "A state was deleted, and its digest is still there",
        "Terraform refuses to work on it. If the digest went too, it would plan to create everything again.",
        runbook="deleted-state",
    ),
    "digest.states_lost": FindingKind(
        "critical",
        "The states of the digests in the lock table are gone",
        "The bucket was emptied, or deleted and created again. Their digests are all that keeps clients from creating "
        "everything again: restore or rebuild the states first.",
        runbook="lost-bucket",
    ),
    "digest.orphan": FindingKind(
        "high",
        "A digest has no state",
        "If the state was lost, its digest is all that keeps clients from creating everything again: restore or "
        "rebuild the state first. If it was deleted on purpose, its digest does no harm until the key is used again.",
        runbook="lost-bucket",
    ),
    "digest.malformed": FindingKind(
        "low",
        "A digest cannot be read",
        "Clients ignore it without a word: the state is not checked.",
        runbook="digest-mismatch",
    ),
    "digest.missing": FindingKind(
        "info", "A state has no digest", "It is not checked until a client that uses the table writes it."
    ),
    "state.unreadable": FindingKind(
        "high",
        "A state cannot be read",
        "What no client can parse, none can plan on. An older version may be whole.",
        runbook="overwritten-state",
    ),
    "state.archived": FindingKind(
        "high",
        "A state is archived",
        "Nobody can read it until S3 has restored it, which takes hours: every plan and apply fails. What is restored "
        "from GLACIER or DEEP_ARCHIVE is a copy for some days.",
    ),
    "state.lock_file_name": FindingKind(
        "high",
        "A state bears the name of a lock file",
        "Clients that lock by file take it for the lock of the state beside it, which they then neither lock nor "
        "write. Who deletes lock files deletes a state.",
    ),
    "state.deleted": FindingKind(
        "high",
        "A state was deleted",
        "Its resources are not managed any more, and the next apply would create them again. It can be restored until "
        "its versions expire. A state without resources is not a loss.",
        runbook="deleted-state",
    ),
    "code.backend_files": FindingKind(
        "medium",
        "Backend files are not as bootstrap writes them",
        "Clients are initialised with these files: with another bucket, key or lock mode in them, they use another "
        "state, or lock where others do not look.",
    ),
    "code.missing": FindingKind(
        "medium",
        "No Terraform code points at this backend",
        "Either the backend is not used, or its code is elsewhere.",
    ),
    "code.bucket_missing": FindingKind(
        "critical",
        "Code expects a bucket that does not exist",
        "Init fails with: S3 bucket does not exist.",
        runbook="lost-bucket",
    ),
    "code.table_missing": FindingKind(
        "critical", "Code expects a lock table that does not exist", "Every plan and apply fails: it gets no lock."
    ),
    "code.not_audited": FindingKind(
        "low", "Code uses a backend that is not audited", "Nobody looks at what protects it."
    ),
    "code.region": FindingKind(
        "high", "Code names another region than the bucket's", "Clients ask the wrong region, and init fails."
    ),
    "code.shared_key": FindingKind(
        "critical",
        "Two configurations keep their state under one key",
        "Each plans to destroy what the other has made.",
    ),
    "code.nested_key": FindingKind(
        "high",
        "A key lies among the workspaces of another configuration",
        "As soon as that has a workspace of this name, both keep their state under one key.",
    ),
    "code.no_locking": FindingKind(
        "high", "Code locks nothing", "Two people who apply at once overwrite each other's state.", ("CKV_TF_3",)
    ),
    "code.mixed_locking": FindingKind(
        "high",
        "Code locks one bucket in ways that do not exclude each other",
        "A client that locks in the table only, and one that locks by file only, do not see each other's locks.",
    ),
    "code.lock_mode": FindingKind(
        "high",
        "Code locks where the backend's clients do not look",
        "A client that locks in the table only, and one that locks by file only, do not see each other's locks.",
    ),
    "code.lock_mode_differs": FindingKind(
        "medium",
        "Code locks in another way than the backend's",
        "They still exclude each other. But a client that writes past the table leaves a digest that stops the others.",
    ),
    "code.lock_mode_step": FindingKind(
        "info",
        "Code is one step away from the backend's lock mode",
        "Its clients and the backend's exclude each other, and all of them keep the digests in the table.",
    ),
    "code.acl": FindingKind(
        "high",
        "Code uploads with an ACL that S3 refuses",
        "Where ACLs are off (BucketOwnerEnforced), S3 answers AccessControlListNotSupported, and an apply cannot save "
        "its state.",
    ),
    "code.kms_key": FindingKind(
        "high",
        "Code names a KMS key that its clients cannot rely on",
        "Without its key an apply cannot save its state. If the key belongs to another account, its administrators can "
        "take it away.",
        runbook="kms-key",
    ),
    "code.table_differs": FindingKind(
        "medium", "Code locks in another table than the backend's", "Clients of two tables do not exclude each other."
    ),
    "code.encrypt": FindingKind(
        "medium",
        "Code does not use the bucket's key",
        "encrypt without kms_key_id asks for AES256 by header, and kms_key_id without encrypt is ignored.",
        ("S3.17", "CKV_AWS_145"),
    ),
    "code.kms_key_differs": FindingKind(
        "medium",
        "Code encrypts with another key than the bucket's",
        "Who may use the bucket's key cannot read these states: backups, moves, and clients whose code is right.",
        ("S3.17", "CKV_AWS_145"),
    ),
    "code.customer_key": FindingKind(
        "high",
        "Code encrypts states with a key of its own",
        "Nobody can read the states without that key: not this audit, not a backup, and not the team if the key is "
        "lost. Buckets that block SSE-C refuse it.",
    ),
    "code.credentials": FindingKind(
        "critical",
        "Code has credentials in clear text",
        "Everybody who can read the code has them, and init writes them into .terraform and into plan files.",
    ),
    "code.insecure": FindingKind(
        "high",
        "Code reaches the backend without TLS, or checks no certificate",
        "Anybody on the network path can read states, with the secrets in them, or change them.",
        ("S3.5",),
    ),
    "code.removed": FindingKind("medium", "Code uses arguments that are gone", "Terraform from 1.10 on refuses them."),
    "code.deprecated": FindingKind("info", "Code uses deprecated arguments", "A later Terraform will refuse them."),
    "code.unknown": FindingKind(
        "medium",
        "Code does not say which backend it uses",
        "It may be a client of any backend: steps of the lock mode, removal of a table and teardown are refused.",
    ),
    "code.unreadable": FindingKind("medium", "A file cannot be read", "Nobody knows whether a backend is in it."),
    "audit.failed": FindingKind(
        "critical", "The backend could not be audited", "What nobody looked at may be anything."
    ),
    "audit.unknown": FindingKind(
        "critical",
        "Something could not be read",
        "Unknown is not the same as fine: it is as bad as the worst that it may hide.",
    ),
    "waiver.expired": FindingKind("medium", "A waiver has expired", "Somebody wanted to look again by that day."),
}

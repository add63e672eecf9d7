# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes docs/protections.md: every protection, the ways to lower it, and the word of `allow` that each way needs.

    .venv/bin/python scripts/protections.py

With --check it writes nothing, and fails if the page would change. A test runs each row against the guard.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "protections.md"

#: Names that stand in the statements and in the resources that the test starts from.
BUCKET, ACCOUNT, OTHER_ACCOUNT = "tf-state", "111122223333", "444455556666"
ARN = f"arn:aws:s3:::{BUCKET}"
OTHER = {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
READ: dict[str, Any] = {"Sid": "New", "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
READER = {**READ, "Principal": OTHER}
EVERYBODY = {**READ, "Principal": "*"}

#: What an existing bucket has besides the baseline: statements of others.
AUDITOR = {**READ, "Sid": "Auditor", "Principal": OTHER, "Action": ["s3:GetObject", "s3:GetObjectVersion"]}
BARRED = {**READ, "Sid": "Barred", "Effect": "Deny", "Principal": OTHER}
FOREIGN_TLS = {
    "Sid": "OnlyTls",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}

OPTION, STATEMENT, UNMANAGED, STATE = "option", "statement", "unmanaged", "state"


@dataclass(frozen=True)
class Way:
    """One way to lower a protection; `new` and `existing`: the words that it needs, none if it needs none."""

    name: str
    asks: Mapping[str, Any]
    new: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    note: str = ""
    #: In place of the options, where these are long.
    told: str = ""

    def __str__(self) -> str:
        return self.told or ", ".join(f"`{name}: {_yaml(value)}`" for name, value in self.asks.items())


@dataclass(frozen=True)
class Protection:
    """What a facet protects, and all ways to lower that."""

    kind: str
    facet: str
    what: str
    ways: tuple[Way, ...]


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_yaml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(each) for each in value) + "]"
    return json.dumps(value) if isinstance(value, bool) else str(value)


def protection(kind: str, facet: str, what: str, *ways: Way) -> Protection:
    return Protection(kind, facet, what, ways)


def way(name: str, asks: Mapping[str, Any], new: str = "", existing: str = "", note: str = "", told: str = "") -> Way:
    return Way(name, asks, tuple(new.split()), tuple(existing.split()), note, told)


def unmanaged(facet: str, new: str = "", note: str = "") -> Way:
    return way(UNMANAGED, {"unmanaged": [facet]}, new, "", note)


def statement(told: str, asked: Any, existing: str = "", note: str = "", both: str = "", **more: Any) -> Way:
    return way(STATEMENT, {"policy_statements": [asked], **more}, both, existing or both, note, told)


def under(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {**EVERYBODY, "Condition": condition}


AWS_GIVES_IT = "AWS gives it to new buckets"
NOT_BASELINE = "the baseline does not have it"

PROTECTIONS = (
    protection(
        "bucket",
        "versioning",
        "Old versions are kept",
        way(OPTION, {"versioning": False}, "suspend_versioning", "suspend_versioning"),
        unmanaged("versioning", "suspend_versioning", "AWS does not switch it on"),
    ),
    protection(
        "bucket",
        "lifecycle",
        "Old versions stay for 90 days, and the newest 20 for ever",
        way(OPTION, {"noncurrent_version_expiration_days": 30}, "shorten_retention", "shorten_retention"),
        way(
            OPTION,
            {"newer_noncurrent_versions": 5},
            "shorten_retention",
            "shorten_retention",
            "none if the bucket has no rule, as all of them then stay",
        ),
        way(OPTION, {"noncurrent_version_expiration_days": 0}, note="all of them stay for ever"),
        unmanaged("lifecycle", note="without a rule all of them stay for ever"),
    ),
    protection(
        "bucket",
        "policy",
        "Requests without TLS are denied",
        way(OPTION, {"require_tls": False}, "weaken_policy", "weaken_policy"),
        statement(
            "a statement with the `Sid` of somebody else's that denies them",
            {**READER, "Sid": FOREIGN_TLS["Sid"]},
            note="ours takes its place in the same request",
        ),
        unmanaged("policy", "weaken_policy", "AWS denies nothing by itself"),
    ),
    protection(
        "bucket",
        "policy",
        "TLS 1.3 is required",
        way(OPTION, {"minimum_tls_version": "1.2"}, "", "weaken_policy", "the baseline is 1.2"),
    ),
    protection(
        "bucket",
        "policy",
        "Uploads take one KMS key",
        way(OPTION, {"require_kms_key": False}, "", "weaken_policy", NOT_BASELINE),
        way(
            OPTION,
            {"kms_key_id": "alias/other", "unmanaged": ["encryption"]},
            "",
            "change_kms_key",
            NOT_BASELINE,
        ),
    ),
    protection(
        "bucket",
        "policy",
        "Other organisations are denied objects",
        way(OPTION, {"allowed_organization_ids": []}, "", "weaken_policy", NOT_BASELINE),
        way(
            OPTION,
            {"allowed_organization_ids": ["o-ownown1234", "o-another123"]},
            "",
            "weaken_policy",
            "one more is let in",
        ),
    ),
    protection(
        "bucket",
        "policy",
        "Other VPC endpoints are denied objects",
        way(OPTION, {"allowed_vpc_endpoint_ids": []}, "", "weaken_policy", NOT_BASELINE),
        way(
            OPTION,
            {"allowed_vpc_endpoint_ids": ["vpce-0a1b2c3d", "vpce-1a2b3c4d"]},
            "",
            "weaken_policy",
            "one more is let in",
        ),
    ),
    protection(
        "bucket",
        "policy",
        "What others wrote into the policy stays",
        way(
            OPTION,
            {"purge_policy_statements": True},
            "",
            "drop_policy_statements weaken_policy",
            "the second word if a statement that denies is among them, or one of ours",
        ),
        way(OPTION, {"drop_statements": [AUDITOR["Sid"]]}, "", "drop_policy_statements"),
        statement(
            "a statement with the `Sid` of one that allows more",
            {**AUDITOR, "Action": "s3:GetObject"},
            existing="drop_policy_statements",
            note="none is needed if the new one allows as much",
        ),
        statement(
            "a statement with the `Sid` of one that denies",
            {**READER, "Sid": BARRED["Sid"]},
            existing="drop_policy_statements weaken_policy",
            note="none is needed if the new one denies as much",
        ),
    ),
    protection(
        "bucket",
        "policy",
        "Nobody else gets in by the policy",
        statement(
            "a statement for everybody (AWS takes it only while `block_public_policy` is off)",
            EVERYBODY,
            both="open_public_access",
            public_access={"block_public_policy": False},
        ),
        statement(
            "a statement for everybody, under a condition that names another account",
            under({"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}}),
            both="grant_foreign_access",
        ),
        statement(
            "… that names an organisation that is not among `allowed_organization_ids`",
            under({"StringEquals": {"aws:PrincipalOrgID": "o-another123"}}),
            both="grant_foreign_access",
        ),
        statement(
            "… that names several accounts or organisations, of which one is not the owner's",
            under({"StringEquals": {"aws:PrincipalAccount": [ACCOUNT, OTHER_ACCOUNT]}}),
            both="grant_foreign_access",
        ),
        statement(
            "… that names a VPC endpoint that is not among `allowed_vpc_endpoint_ids`",
            under({"StringEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}),
            both="grant_foreign_access",
        ),
        statement(
            "… that names an IP address, a VPC or a session",
            under({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
            both="grant_foreign_access",
            note="nobody can tell whose these are",
        ),
        statement(
            "… that names the owner's account and nothing else",
            under({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}),
        ),
        statement(
            "a statement by which another account changes what protects the bucket, such as policy or versioning, or "
            "deletes old versions",
            {**READER, "Action": "s3:*"},
            both="grant_foreign_access",
        ),
        statement(
            "a statement by which another account, named as `Principal`, uses objects",
            READER,
            note="its number stands where one looks for it",
        ),
    ),
    protection(
        "bucket",
        "policy",
        "The policy can be changed again",
        statement(
            "a statement that denies `s3:PutBucketPolicy` to everybody",
            {**EVERYBODY, "Effect": "Deny", "Action": "s3:PutBucketPolicy", "Resource": ARN},
            both="lock_out_operator",
        ),
    ),
    protection(
        "bucket",
        "public_access",
        "Public access is blocked",
        way(
            OPTION,
            {"public_access": {"restrict_public_buckets": False}},
            "open_public_access",
            "open_public_access",
            "any of the four",
        ),
        unmanaged("public_access", note=AWS_GIVES_IT),
    ),
    protection(
        "bucket",
        "ownership",
        "ACLs open nothing",
        way(OPTION, {"object_ownership": "ObjectWriter"}, "enable_acls", "enable_acls"),
        unmanaged("ownership", note=AWS_GIVES_IT),
    ),
    protection(
        "bucket",
        "encryption",
        "New objects are encrypted with your key",
        way(OPTION, {"encryption": "AES256"}, "", "weaken_encryption", "it is the baseline, and AWS's own"),
        way(OPTION, {"kms_key_id": "alias/other"}, "", "change_kms_key"),
        unmanaged("encryption", note="AWS encrypts with AES256"),
    ),
    protection(
        "bucket",
        "object_lock",
        "Versions cannot be deleted before their time",
        way(
            OPTION,
            {"object_lock": True, "object_lock_mode": "GOVERNANCE", "object_lock_days": 1},
            "enable_object_lock",
            "enable_object_lock shorten_retention",
            "to have it at all can never be undone",
        ),
        way(
            OPTION,
            {"object_lock": True, "object_lock_mode": "COMPLIANCE", "object_lock_days": 30},
            "enable_object_lock enforce_compliance",
            "enable_object_lock enforce_compliance",
        ),
        unmanaged("object_lock", note=NOT_BASELINE),
    ),
    protection(
        "bucket",
        "logging",
        "Access is logged, where the bucket is configured to",
        way(OPTION, {"logging_target_bucket": "none"}, "", "change_logging", NOT_BASELINE),
        way(OPTION, {"logging_target_bucket": "tf-logs"}, "", "change_logging"),
        unmanaged("logging", note=NOT_BASELINE),
    ),
    protection(
        "bucket",
        "contents",
        "States are not deleted",
        way(STATE, {"state": "absent"}, "", "delete_state", "needs `confirm_name`, too"),
    ),
    protection(
        "bucket",
        "lock_files",
        "A bucket is not deleted while somebody holds a lock in it",
        way(STATE, {"state": "absent"}, "", "delete_state break_lock"),
    ),
    protection(
        "table",
        "deletion_protection",
        "AWS refuses to delete the table",
        way(OPTION, {"deletion_protection": False}, "disable_deletion_protection", "disable_deletion_protection"),
        way(STATE, {"state": "absent"}, "", "disable_deletion_protection"),
        unmanaged("deletion_protection", "disable_deletion_protection", "AWS does not switch it on"),
    ),
    protection(
        "table",
        "recovery",
        "The table can be restored as it was in the last 35 days",
        way(OPTION, {"point_in_time_recovery": False}, "disable_recovery", "disable_recovery"),
        way(OPTION, {"recovery_period_days": 7}, "disable_recovery", "disable_recovery"),
        unmanaged("recovery", "disable_recovery", "AWS does not switch it on"),
    ),
    protection(
        "table",
        "encryption",
        "The table is encrypted with your key",
        way(OPTION, {"encryption": "aws_owned_key"}, "", "weaken_encryption", "it is the baseline, and AWS's own"),
        way(OPTION, {"kms_key_id": "alias/other"}, "", "change_kms_key"),
        unmanaged("encryption", note="AWS encrypts with a key of its own"),
    ),
    protection(
        "table",
        "contents",
        "Locks and digests are not deleted",
        way(STATE, {"state": "absent"}, "", "delete_state break_lock", "needs `confirm_name`, too"),
    ),
)

#: Facets by kind that hold no protection, and why no word is needed to change them.
UNPROTECTED = {
    ("bucket", "existence"): "a bucket without objects protects nothing; a region is never changed",
    (
        "bucket",
        "tags",
    ): "tags protect nothing, but for those by which another tool claims a bucket: `shared_management`",
    ("table", "existence"): "a table without items protects nothing; a key is never changed",
    ("table", "billing"): "it is about cost",
    ("table", "table_class"): "it is about cost",
    ("table", "tags"): "tags protect nothing, but for those by which another tool claims a table: `shared_management`",
}

INTRODUCTION = """\
<!-- Written by scripts/protections.py. A test compares it with the guard. -->
# Protections

What lowers a protection is refused, in check mode too, until `allow` names the word for it. This page lists every
protection, the ways to lower it, and the words that each way needs: for a resource that the run creates (new), and for
one that has the protection (existing). A dash means that it is carried out without a word.

- A new resource is measured by the baseline. An existing one is measured by what it has, and by what it would have if
  nothing were asked.
- An option that keeps an existing resource below the baseline needs the words of a new one, in each run, even in one
  that changes nothing. For example, `versioning: false` needs `suspend_versioning` on a bucket that never had
  versioning. Keep the word beside the option. If you omit the option, no word is needed, and the protection is added.
- An empty bucket that never had versioning counts as new, because its creation may have been interrupted.
- `unmanaged` leaves a setting of an existing resource as it is. Of a new resource nobody sets it, so that it needs the
  word of each protection that AWS does not give by itself.
- A statement is lost when it goes or is replaced, unless another statement allows or denies at least as much.
- What cannot be judged, such as whose an IP address is, counts as somebody else's.
"""
TITLES = {"bucket": "State buckets", "table": "Lock tables"}


def page() -> str:
    return "\n".join([INTRODUCTION, *(part for kind in TITLES for part in _section(kind))])


def _section(kind: str) -> Iterator[str]:
    yield f"## {TITLES[kind]}\n"
    yield "| protection | what is asked | new | existing | |"
    yield "|---|---|---|---|---|"
    for each in (each for each in PROTECTIONS if each.kind == kind):
        for place, asked in enumerate(each.ways):
            what = each.what if place == 0 else ""
            yield f"| {what} | {asked} | {_words(asked.new)} | {_words(asked.existing)} | {asked.note} |"
    yield "\nThese settings hold no protection:\n"
    yield "| setting | why it needs no word |"
    yield "|---|---|"
    yield from (f"| `{facet}` | {why} |" for (of_kind, facet), why in UNPROTECTED.items() if of_kind == kind)
    yield ""


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "-"


def main(is_check: bool) -> int:
    text = page()
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    if is_check:
        print(f"{PAGE.name} is not what scripts/protections.py says: run it")
        return 1
    PAGE.write_text(text)
    print(f"{PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about who else gets at states and locks, and whom a policy keeps out who needs them. Pure.

The statements and grants are somebody else's. So no command takes them away before a person has decided: it stands
behind a question, as a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._bucket import public_access
from .._bucket.acl_groups import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY
from .._core.commands import edit, in_note
from .._core.model import Values
from .._core.printable import shortened
from .._policy.analysis import (
    Owner,
    account_in,
    denies_everybody,
    is_about,
    is_about_any,
    is_public,
    lends_control,
    lets_others_in,
    others_named,
)
from .._policy.baseline import bucket_arn, is_own, owner_of
from .._policy.document import OURS, Statement, canonical, exact_name, label, meaning
from .._terraform.protocol import lock_file
from .convergence import DECIDE, Convergence
from .expectations import Expectations, Facts, target_of
from .findings import Finding, finding_of

#: What shows states, and what overwrites or deletes them and the lock files beside them.
READING = ("s3:GetObject", "s3:GetObjectVersion")
WRITING = ("s3:PutObject", "s3:DeleteObject", "s3:ReplicateObject", "s3:ReplicateDelete")
#: What shows, takes or releases locks, or changes what protects the table.
OF_TABLES = (
    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"),
    *("dynamodb:Scan", "dynamodb:Query", "dynamodb:UpdateTable", "dynamodb:DeleteTable"),
    *("dynamodb:BatchGetItem", "dynamodb:ExportTableToPointInTime", "dynamodb:UpdateContinuousBackups"),
    *("dynamodb:PartiQLSelect", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"),
    *("dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy", "dynamodb:UpdateTimeToLive"),
)
#: What each client does in the lock table.
OF_LOCKS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
#: Stands for a key that no state has yet.
ANY_KEY = "any/terraform.tfstate"

#: Groups of ACLs. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
EVERYBODY = {
    ALL_USERS: "everybody",
    AUTHENTICATED_USERS: "everybody who has an AWS account",
}


def access(facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    bucket, table = ({"name": "", **(facts.get(kind) or {})} for kind in ("bucket", "table"))
    left_alone = wanted.bucket.get("unmanaged") or ()
    if "policy" not in left_alone:
        yield from _shares(bucket, facts, wanted, convergence)
        yield from _denials(bucket, facts, wanted, convergence)
    if "ownership" not in left_alone:
        yield from _grants(bucket, facts, wanted, convergence)
    yield from _copies(bucket, facts, wanted)
    yield from _table(table, facts, wanted)
    yield from _account(facts, wanted)


def _statements(bucket: Values) -> list[Statement]:
    return list((bucket.get("policy") or {}).get("statements") or ())


def _declared(facts: Facts, wanted: Expectations) -> set[str]:
    """The statements that the inventory itself asks for."""
    partition = target_of("", facts, wanted).partition
    return {meaning(canonical(each, partition)) for each in wanted.bucket.get("policy_statements") or ()}


def _shares(bucket: Values, facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    """Other accounts that a statement names, one finding for each, so that a waiver of one lets in no other."""
    present, declared = _statements(bucket), _declared(facts, wanted)
    owner = owner_of(target_of(bucket["name"], facts, wanted), present)
    lent: dict[tuple[str, str], list[Statement]] = {}
    for statement in present:
        if meaning(statement) in declared or statement.get("Effect") != "Allow" or _has_own_finding(statement, owner):
            continue
        kind = "write" if is_about_any(statement, WRITING) else "read" if is_about_any(statement, READING) else ""
        for who in dict.fromkeys(account_in(each) or each for each in others_named(statement, owner)) if kind else ():
            lent.setdefault((kind, who), []).append(statement)
    for (kind, who), statements in lent.items():
        yield _share(kind, who, statements, bucket, owner, convergence)


def _has_own_finding(statement: Statement, owner: Owner) -> bool:
    alone = replace(owner, organizations=frozenset())
    return is_public(statement) or lends_control(statement, alone) or lets_others_in(statement, owner)


def _share(
    kind: str, who: str, statements: Sequence[Statement], bucket: Values, owner: Owner, convergence: Convergence
) -> Finding:
    named = ", ".join(shortened(label(each)) for each in statements)
    what = shortened(", ".join(sorted({action for each in statements for action in each.get("Action", ["more"])})))
    unknown = "" if owner.account else " The account that owns the bucket is not known."
    detail = f"{named} allows {shortened(who)}: {what}.{unknown}"
    alone = [each for each in statements if {account_in(name) or name for name in _principals(each)} == {who}]
    question = (
        f"does {in_note(who)} need it? If so, declare the statement in terraform_backend_bucket_policy_statements, or "
        f"waive bucket.policy_{kind} for it. If not"
    )
    fix = _decision(question, statements, alone, convergence, "drop_policy_statements")
    return finding_of(f"bucket.policy_{kind}", f"{bucket['name']}: {who}", detail, fix)


def _principals(statement: Statement) -> list[str]:
    return [who for many in statement.get("Principal", {}).values() for who in many]


def _decision(
    question: str,
    statements: Sequence[Statement],
    droppable: Sequence[Statement],
    convergence: Convergence,
    *words: str,
) -> str:
    """A question to a person, and what carries out the answer: the removal of statements that say nothing else."""
    if len(droppable) < len(statements):
        return f"{DECIDE} {question}, take it out of the statement, which is for others, too."
    names = [exact_name(each) for each in statements]
    fix = convergence.command("bucket", "policy", drop_statements=names, allow=list(words))
    if fix.startswith("#") and not fix.startswith(DECIDE):
        return fix
    return f"{DECIDE} {question}: {fix.removeprefix(f'{DECIDE} ')}"


def _denials(bucket: Values, facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    target = target_of(bucket["name"], facts, wanted)
    owner = owner_of(target, _statements(bucket))
    for statement in _statements(bucket):
        if is_own(statement, target) or not denies_everybody(statement, owner):
            continue
        harm = list(_harm(statement, bucket_arn(target), facts, wanted))
        if harm:
            detail = f"{shortened(label(statement))} denies everybody {'; '.join(harm)}."
            question = f"who wrote {in_note(exact_name(statement))}, and what for? If it is a mistake"
            words = ("drop_policy_statements", "weaken_policy")
            fix = _decision(question, [statement], [statement], convergence, *words)
            if meaning(statement) in _declared(facts, wanted):
                note = f"take {in_note(label(statement))} out of terraform_backend_bucket_policy_statements"
                fix = edit("group_vars/all.yml", note)
            yield finding_of("bucket.policy_denies", bucket["name"], detail, fix)


def _harm(statement: Statement, arn: str, facts: Facts, wanted: Expectations) -> Iterator[str]:
    """What a statement that denies keeps clients from, in words."""
    there = [str(each["path"]) for each in facts.get("states") or () if not each.get("is_deleted")]
    states = [f"{arn}/{path}" for path in (ANY_KEY, *there)]
    locks = [f"{arn}/{lock_file(path)}" for path in (ANY_KEY, *there)]
    in_files = wanted.lock_mode in ("lockfile", "both")
    needs = [
        ("s3:ListBucket", [arn], "s3:ListBucket, so that init fails"),
        ("s3:GetObject", states, "s3:GetObject, so that no client reads its state"),
        ("s3:PutObject", states, "s3:PutObject, so that an apply cannot save its state"),
        ("s3:PutObject", locks if in_files else [], "s3:PutObject of lock files, so that nobody gets a lock"),
        ("s3:DeleteObject", locks if in_files else [], "s3:DeleteObject of lock files, so that no lock is released"),
    ]
    for action, resources, what in needs:
        if any(is_about(statement, action, each) for each in resources):
            yield what


def _grants(bucket: Values, facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    grants = [each for each in bucket.get("acl") or () if each["grantee"] != LOG_DELIVERY]
    public = [each for each in grants if each["grantee"] in EVERYBODY]
    is_ignored = (bucket.get("public_access") or {}).get("ignore_public_acls") is True
    if public and not is_ignored:
        told = ", ".join(f"{EVERYBODY[each['grantee']]} ({each['permission']})" for each in public)
        block = ",".join(f"{name}=true" for name in public_access.FLAGS.values())
        asked = ("--bucket", bucket["name"], "--public-access-block-configuration", block)
        note = "from then on S3 ignores these grants"
        fix = convergence.command("bucket", public_access.NAME, note=note)
        if public_access.NAME in (wanted.bucket.get("unmanaged") or ()):
            fix = wanted.aws(facts, "s3api", "put-public-access-block", *asked, note=note)
        yield finding_of("bucket.acl_public", bucket["name"], f"The ACL lets in {told}.", fix)
    for who in dict.fromkeys(each["grantee"] for each in grants if each["grantee"] not in EVERYBODY):
        may = ", ".join(each["permission"] for each in grants if each["grantee"] == who)
        detail = f"The ACL grants {may} to {shortened(who)}."
        fix = (
            f"{DECIDE} does {in_note(who)} need it? If so, let its account in by a statement in "
            "terraform_backend_bucket_policy_statements. Then set the ACL to private (aws s3api put-bucket-acl --acl "
            "private), and run the playbook bootstrap, which switches ACLs off."
        )
        yield finding_of("bucket.acl_foreign", f"{bucket['name']}: {who}", detail, fix)


def _copies(bucket: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    owner = wanted.account_id or facts.get("account_id")
    for rule in bucket.get("replication") or ():
        if rule["account"] and rule["account"] == owner:
            continue
        of = f"of account {rule['account']}" if rule["account"] else "whose account is not known"
        which = f"objects under {rule['prefix']}" if rule["prefix"] else "new objects"
        detail = f"The rule {shortened(rule['rule'] or 'without ID')} copies {which} to {rule['bucket']}, {of}."
        fix = (
            f"{DECIDE} is {in_note(rule['bucket'])} meant to have all states? If so, protect it as this bucket, and "
            "waive bucket.replication for it. If not, delete the rule (aws s3api get-bucket-replication shows all)."
        )
        severity = None if rule["account"] else "medium"
        yield finding_of("bucket.replication", f"{bucket['name']}: {rule['bucket']}", detail, fix, severity)


def _table(table: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    target = target_of(table["name"], facts, wanted)
    arn = str(table.get("arn") or "")
    account = account_in(arn) or target.owner or target.account_id
    known = owner_of(target, _statements(facts.get("bucket") or {}))
    owner = replace(known, account=account, bucket_arn=arn)
    for statement in table.get("policy") or ():
        named = others_named(statement, owner)
        name = in_note(exact_name(statement))
        about = (table["name"], f"{shortened(label(statement))} allows")
        told = shortened(", ".join(statement.get("Action", ["more"])))
        fix = (
            f"{DECIDE} who needs the statement {name} of the policy of {in_note(table['name'])}? If nobody does, "
            "take it out (aws dynamodb get-resource-policy shows all; put-resource-policy replaces them)."
        )
        if statement.get("Effect") == "Allow" and is_about_any(statement, OF_TABLES):
            if is_public(statement):
                yield finding_of("table.policy_public", about[0], f"{about[1]} everybody: {told}.", fix)
            elif named or lets_others_in(statement, owner):
                who = ", ".join(account_in(each) or each for each in named) or "who meets its conditions"
                yield finding_of("table.policy_foreign", about[0], f"{about[1]} {shortened(who)}: {told}.", fix)
        elif not str(statement.get("Sid") or "").startswith(OURS) and denies_everybody(statement, owner):
            denied = [each for each in OF_LOCKS if is_about(statement, each, arn)]
            if denied and wanted.lock_mode != "lockfile":
                detail = f"{shortened(label(statement))} denies everybody {', '.join(denied)}."
                yield finding_of("table.policy_denies", table["name"], detail, fix)


def _account(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    block: Mapping[str, Any] = (facts.get("account") or {}).get("public_access") or {}
    off = [name for flag, name in public_access.FLAGS.items() if block.get(flag) is False]
    account = wanted.account_id or facts.get("account_id")
    if off and account:
        block_all = ",".join(f"{name}=true" for name in public_access.FLAGS.values())
        asked = ("--account-id", str(account), "--public-access-block-configuration", block_all)
        fix = wanted.aws(facts, "s3control", "put-public-access-block", *asked)
        question = f"is any bucket of account {account} public on purpose?"
        fix = fix if fix.startswith("#") else f"{DECIDE} {question} If none is: {fix}"
        yield finding_of("account.public_access", str(account), f"Off for the account: {', '.join(off)}.", fix)


def grants_in_the_way(facts: Facts) -> str:
    """Why a run would not switch ACLs off, in words of no statement; empty if it would."""
    others = [each["grantee"] for each in _grants_of(facts) if each["grantee"] not in EVERYBODY]
    if not others:
        return ""
    named = ", ".join(in_note(each) for each in dict.fromkeys(others))
    return (
        f"the ACL grants something to {named}, which aws s3api get-bucket-acl shows. Give access to those who need it "
        "by statements in terraform_backend_bucket_policy_statements, and set the ACL to private (aws s3api "
        "put-bucket-acl --acl private)"
    )


def with_private_acl(fix: str, facts: Facts, wanted: Expectations) -> str:
    """The command that switches ACLs off, after one that resets an ACL for everybody, as a run leaves that alone."""
    grants = _grants_of(facts)
    if fix.startswith("#") or not grants or any(each["grantee"] not in EVERYBODY for each in grants):
        return fix
    reset = wanted.aws(facts, "s3api", "put-bucket-acl", "--bucket", facts["bucket"]["name"], "--acl", "private")
    line, begin, before = reset.partition("  # ")  # a comment would end both
    return reset if reset.startswith("#") else f"{line} && {fix}{begin}{before}"


def _grants_of(facts: Facts) -> Sequence[Mapping[str, str]]:
    return (facts.get("bucket") or {}).get("acl") or ()

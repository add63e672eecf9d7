# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals: plans that are not carried out without the operator's explicit word, in check mode either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .._bucket import lifecycle
from .._bucket.lifecycle_rules import Expiry, expiries
from .._bucket.policy import document
from .._core.model import EXISTENCE, Change, Params, Resource, Target, TfstateError, Value, Values
from .._core.printable import shortened
from .._core.tags import MOST_TAGS, tag_list
from .._policy.analysis import Owner, contains, is_public, lends_control, lets_others_in, locks_out
from .._policy.baseline import KMS_KEY, is_own, our_statements, owner_of
from .._policy.document import MAX_BYTES, Statement, deleted_principals, meaning
from .._table.existence import KEY
from .._table.recovery import LONGEST_DAYS

#: What a new bucket does to old versions if nothing is asked.
BASELINE_EXPIRY = Expiry({}, *(lifecycle.BASELINE[name] for name in [*lifecycle.OPTIONS][:2]))

#: What `allow` takes: a verb and its object each. See the module documentation for what they risk.
ALLOW = {
    "bucket": (
        "suspend_versioning",
        "shorten_retention",
        "weaken_encryption",
        "change_kms_key",
        "open_public_access",
        "enable_acls",
        "weaken_policy",
        "drop_policy_statements",
        "grant_foreign_access",
        "lock_out_operator",
        "enable_object_lock",
        "enforce_compliance",
        "take_over_resource",
        "delete_state",
        "break_lock",
    ),
    "table": (
        "weaken_encryption",
        "change_kms_key",
        "disable_deletion_protection",
        "disable_recovery",
        "take_over_resource",
        "delete_state",
        "break_lock",
    ),
}


@dataclass(frozen=True)
class Refusal:
    """Why a plan is not carried out. Without `word`, nothing permits it."""

    reason: str
    word: str | None = None

    def __str__(self) -> str:
        return f"{self.reason}; if that is what you want: allow: [{self.word}]" if self.word else self.reason


class Refused(TfstateError):
    """The plan is not carried out; nothing was written. `refusals`: what the guard has against it, if it has."""

    def __init__(self, message: str, refusals: Iterable[Refusal] = ()) -> None:
        super().__init__(message)
        self.refusals = tuple(refusals)


Rule = Callable[[Change, Target], Iterable[Refusal]]


def refusals(
    resource: Resource,
    target: Target,
    changes: Iterable[Change],
    observed: Values,
    params: Params,
    is_creation: bool = False,
    instead: Iterable[Change] = (),
) -> list[Refusal]:
    """What stands against these changes, less what `allow` permits.

    `is_creation`: they are all that it takes to make the resource, so that what is not among them will be missing.
    `instead`: each facet that would be something else if nothing were asked, from that to what it will be.
    """
    changes = tuple(changes)
    found = [refusal for change in changes for refusal in _of_change(resource, change, target)]
    found += _settled_for_less(resource, target, instead, {refusal.word for refusal in found})
    if changes:
        found += _other_manager(observed.get("tags"), params)
        found += _between_facets(changes, observed)
    if changes and is_creation:
        found += _at_creation(resource, target, changes, observed)
    allowed = set(params.get("allow") or ())
    kept = [refusal for refusal in found if refusal.word not in allowed]
    deletes_state = any(refusal.word == "delete_state" for refusal in found)
    if deletes_state and params.get("confirm_name") != target.name:
        kept.append(Refusal(f"deleting state needs confirm_name: {target.name} besides"))
    return kept


def _of_change(resource: Resource, change: Change, target: Target) -> Iterable[Refusal]:
    rule = RULES.get((resource.kind, change.facet))
    return rule(change, target) if rule else ()


def _settled_for_less(
    resource: Resource, target: Target, instead: Iterable[Change], named: set[str | None]
) -> Iterator[Refusal]:
    """Protections of the baseline that an existing resource lacks, and is asked to go on lacking."""
    for change in instead:
        for refusal in _of_change(resource, change, target):
            if refusal.word not in {None, *named}:
                reason = f"the {resource.kind} would stay without a protection of the baseline: {refusal.reason}"
                yield Refusal(reason, refusal.word)


def _bucket_existence(change: Change, target: Target) -> Iterator[Refusal]:
    found = change.before["region"] if change.before else target.region
    if found != target.region:
        yield Refusal(
            f"bucket {target.name} lies in {found}, not in {target.region}; correct region, or choose another name"
        )


def _table_existence(change: Change, target: Target) -> Iterator[Refusal]:
    if change.before and change.before["key"] != KEY:
        yield Refusal(
            f"table {target.name} has the key {change.before['key']}, but a lock table has {KEY}; "
            "a key cannot be changed, and the table is neither replaced nor deleted: choose another name"
        )
    if change.before and change.after is None and change.before.get("replicas"):
        yield Refusal(f"table {target.name} has replicas in {', '.join(change.before['replicas'])}: remove them first")


def _bucket_contents(change: Change, target: Target) -> Iterator[Refusal]:
    count = f"{len(change.before['versions'])}{' or more' if change.before['more'] else ''}"
    yield Refusal(f"bucket {target.name} holds {count} object versions, which would be lost", "delete_state")


def _bucket_locks(change: Change, target: Target) -> Iterator[Refusal]:
    yield held(change.before)


def _table_contents(change: Change, target: Target) -> Iterator[Refusal]:
    digests, locks = len(change.before["digests"]), change.before["locks"]
    reason = f"table {target.name} holds the digests of {digests} states and {len(locks)} locks, which would be lost"
    yield Refusal(reason, "delete_state")
    if locks:
        yield held(locks)


def held(locks: list[str]) -> Refusal:
    more = f" and {len(locks) - 5} more" if len(locks) > 5 else ""
    return Refusal(f"somebody holds a lock: {', '.join(locks[:5])}{more}", "break_lock")


def _ownership(change: Change, target: Target) -> Iterator[Refusal]:
    if change.before == "BucketOwnerEnforced":
        yield Refusal(f"object_ownership {change.after} switches ACLs on again", "enable_acls")


def _public_access(change: Change, target: Target) -> Iterator[Refusal]:
    opened = [flag for flag, on in change.before.items() if on and not change.after[flag]]
    if opened:
        yield Refusal(f"public_access would switch off {', '.join(opened)}", "open_public_access")


def _versioning(change: Change, target: Target) -> Iterator[Refusal]:
    if change.after != "Enabled":
        yield Refusal("without versioning the next write destroys the state before it", "suspend_versioning")


def _bucket_encryption(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before, change.after
    if _strength(after["algorithm"]) < _strength(before["algorithm"]):
        reason = f"encryption would go from {before['algorithm']} down to {after['algorithm']}"
        yield Refusal(reason, "weaken_encryption")
    elif before["kms_key_id"] and before["kms_key_id"] != after["kms_key_id"]:
        yield _other_key(before["kms_key_id"], after["kms_key_id"])


def _strength(algorithm: str | None) -> int:
    """An algorithm that we do not know counts as the strongest."""
    known = (None, "AES256", "aws:kms", "aws:kms:dsse")
    return known.index(algorithm) if algorithm in known else len(known)


def _table_encryption(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["kms_key_id"], change.after["kms_key_id"]
    if before and not after:
        yield Refusal(f"encryption would go from the key {before} to the key that AWS owns", "weaken_encryption")
    elif before:
        yield _other_key(before, after)


def _other_key(before: str, after: str | None) -> Refusal:
    return Refusal(
        f"the KMS key would go from {before} to {after or 'the key that AWS manages'}; "
        "whoever may use the old key only will be shut out",
        "change_kms_key",
    )


def _object_lock(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before, change.after
    if (before["days"] or 0) > (after["days"] or 0) or (before["mode"], after["mode"]) == ("COMPLIANCE", "GOVERNANCE"):
        reason = f"new versions would be locked for less than {before['days']} days in mode {before['mode']}"
        yield Refusal(reason, "shorten_retention")
    what = "no version, lock files included, can be deleted before its time" if change.after["mode"] else "it stays on"
    yield Refusal(f"object lock can never be switched off again: {what}", "enable_object_lock")
    if change.after["mode"] == "COMPLIANCE":
        reason = "in COMPLIANCE mode not even the account's root user can delete a version, or a lock file, early"
        yield Refusal(reason, "enforce_compliance")


def _lifecycle(change: Change, target: Target) -> Iterator[Refusal]:
    today = [*expiries(change.before), *([BASELINE_EXPIRY] if target.fresh else [])]
    than = "the baseline of a new bucket" if target.fresh else "today"
    for after in expiries(change.after):
        if not any(before.covers(after) for before in today):
            reason = (
                f"old versions would be kept less long than {than}: {after.days} days, newest {after.newer} besides"
            )
            yield Refusal(reason, "shorten_retention")


def _policy(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["statements"], change.after["statements"]
    yield from _lost_statements(before, after, target)
    for statement in after:
        for who in deleted_principals(statement):
            yield Refusal(
                f"policy statement {_sid(statement)} names {who}, which is what AWS makes of a role or user that was "
                "deleted, and AWS takes no policy that names it: replace the statement by one of policy_statements "
                "with its Sid, or drop it with purge_policy_statements"
            )
    if (size := len(document(change.after))) > MAX_BYTES:
        yield Refusal(f"the policy, with the statements that are there, would have {size} bytes; AWS takes {MAX_BYTES}")
    owner = owner_of(target, after)
    known = {meaning(each) for each in before}
    for statement in (each for each in after if meaning(each) not in known):
        yield from _reach(statement, owner)


def _lost_statements(before: list[Statement], after: list[Statement], target: Target) -> Iterator[Refusal]:
    """Statements that go, or are replaced, without another that allows or denies at least as much."""
    kept = {meaning(each) for each in after}
    gone = [each for each in before if meaning(each) not in kept]
    lost = [each for each in gone if not any(contains(other, each) for other in after)]
    sids = {each.get("Sid") for each in after}
    ours = [each for each in lost if is_own(each, target)]
    keys = [each for each in ours if each.get("Sid") == KMS_KEY and KMS_KEY in sids]
    foreign = [each for each in lost if each not in ours]
    if weakened := [_sid(each) for each in ours if each not in keys]:
        yield Refusal(f"the policy would lose or weaken {', '.join(weakened)}", "weaken_policy")
    if keys:
        yield Refusal("the policy would require another KMS key for uploads than today", "change_kms_key")
    if foreign:
        named = ", ".join(f"{_sid(each)} (replaced)" if each.get("Sid") in sids else _sid(each) for each in foreign)
        reason = f"the policy would lose statements that are not ours: {named}"
        yield Refusal(reason, "drop_policy_statements")
    if denials := [_sid(each) for each in foreign if each.get("Effect") == "Deny"]:
        yield Refusal(f"the policy would no longer deny what {', '.join(denials)} denies", "weaken_policy")


def _reach(statement: Statement, owner: Owner) -> Iterator[Refusal]:
    """Whom a statement that is new lets in, or keeps out."""
    sid = _sid(statement)
    if is_public(statement):
        yield Refusal(f"policy statement {sid} lets anybody in", "open_public_access")
    elif lends_control(statement, owner):
        reason = f"policy statement {sid} lets {_others(owner)} change what protects the bucket"
        yield Refusal(reason, "grant_foreign_access")
    elif lets_others_in(statement, owner):
        reason = (
            f"policy statement {sid} has conditions that let in {_others(owner)}: let one account in by its number as "
            "Principal, and say which organisations and VPC endpoints are yours with allowed_organization_ids and "
            "allowed_vpc_endpoint_ids"
        )
        yield Refusal(reason, "grant_foreign_access")
    if locks_out(statement, owner.bucket_arn, owner.account):
        yield Refusal(f"policy statement {sid} could lock you out of the policy itself", "lock_out_operator")


def _others(owner: Owner) -> str:
    """Who is not known to be the owner."""
    return (
        f"others than account {owner.account}" if owner.account else "others, as far as can be told without account_id"
    )


def _tags(change: Change, target: Target) -> Iterator[Refusal]:
    if (count := len(tag_list(change.after))) > MOST_TAGS:
        yield Refusal(f"with those that are there it would have {count} tags; AWS takes {MOST_TAGS}")


def _sid(statement: Statement) -> str:
    return shortened(statement.get("Sid") or "(without Sid)")


def _between_facets(changes: Iterable[Change], observed: Values) -> Iterator[Refusal]:
    """What AWS would reject because of two facets together, the second of them when the first is written already."""
    after = {change.facet: change.after for change in changes}
    public = [_sid(each) for each in after.get("policy", {}).get("statements", []) if is_public(each)]
    if public and {**observed, **after}.get("public_access", {}).get("block_public_policy"):
        yield Refusal(
            f"AWS takes no policy with {', '.join(public)}, which lets anybody in, while block_public_policy is on: "
            "name its principals, or leave the policy alone with unmanaged: [policy]"
        )


def _deletion_protection(change: Change, target: Target) -> Iterator[Refusal]:
    if not change.after:
        reason = f"deletion protection of table {target.name} would be switched off"
        yield Refusal(reason, "disable_deletion_protection")


def _recovery(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["period_days"] or 0, change.after["period_days"] or 0
    if after < before:
        yield Refusal(f"point-in-time recovery would go from {before} days to {after or 'none'}", "disable_recovery")


def _at_creation(resource: Resource, target: Target, changes: Iterable[Change], observed: Values) -> Iterator[Refusal]:
    """Protections that a new resource would lack, because AWS does not give them by itself.

    What is unmanaged counts only if the resource is missing: whoever made it may have set that.
    """
    wanted = {**observed, **{change.facet: change.after for change in changes}}
    is_missing = observed.get(EXISTENCE) is None
    for protection in NOT_GIVEN_BY_AWS:
        is_managed = protection.facet in wanted
        if protection.kind != resource.kind or not (is_managed or is_missing):
            continue
        if not is_managed or not protection.is_given(wanted[protection.facet], target):
            why = "" if is_managed else f" ({protection.facet} is unmanaged, and AWS does not give it)"
            reason = f"the new {resource.kind} would be made without {protection.what}{why}"
            yield Refusal(reason, protection.word)


def _requires_tls(policy: Value, target: Target) -> bool:
    baseline = our_statements({}, [], target)
    return all(any(contains(each, ours) for each in policy["statements"]) for ours in baseline)


@dataclass(frozen=True)
class Protection:
    """A protection of the baseline that AWS does not give to what it creates."""

    kind: str
    facet: str
    what: str
    word: str
    is_given: Callable[[Value, Target], bool]


NOT_GIVEN_BY_AWS = (
    Protection(
        "bucket",
        "versioning",
        "versioning, so that the next write destroys the state before it",
        "suspend_versioning",
        lambda value, _target: bool(value == "Enabled"),
    ),
    Protection(
        "bucket",
        "policy",
        "a policy that requires TLS",
        "weaken_policy",
        _requires_tls,
    ),
    Protection(
        "table",
        "deletion_protection",
        "deletion protection",
        "disable_deletion_protection",
        lambda value, _target: bool(value),
    ),
    Protection(
        "table",
        "recovery",
        f"point-in-time recovery of {LONGEST_DAYS} days",
        "disable_recovery",
        lambda value, _target: (value["period_days"] or 0) >= LONGEST_DAYS,
    ),
)

MANAGER_TAGS = ("managed-by", "managed_by", "managedby", "provisioner", "created-by")
OTHER_MANAGERS = ("terraform", "opentofu", "terragrunt", "cloudformation", "cdk", "pulumi", "crossplane", "terraspace")


def _other_manager(tags: Any, params: Params) -> Iterator[Refusal]:
    """A tag by which another tool claims the resource, unless the operator asks for that very tag."""
    asked = params.get("tags") or {}
    for key, value in (tags or {}).items() if isinstance(tags, dict) else ():
        by_cloudformation = key == "aws:cloudformation:stack-name"
        by_name = key.lower() in MANAGER_TAGS and str(value).lower() in OTHER_MANAGERS and asked.get(key) != value
        if by_cloudformation or by_name:
            yield Refusal(f"the tag {key}={value} says that another tool manages it", "take_over_resource")


RULES: dict[tuple[str, str], Rule] = {
    ("bucket", EXISTENCE): _bucket_existence,
    ("bucket", "contents"): _bucket_contents,
    ("bucket", "lock_files"): _bucket_locks,
    ("bucket", "ownership"): _ownership,
    ("bucket", "public_access"): _public_access,
    ("bucket", "versioning"): _versioning,
    ("bucket", "encryption"): _bucket_encryption,
    ("bucket", "object_lock"): _object_lock,
    ("bucket", "lifecycle"): _lifecycle,
    ("bucket", "tags"): _tags,
    ("bucket", "policy"): _policy,
    ("table", EXISTENCE): _table_existence,
    ("table", "contents"): _table_contents,
    ("table", "encryption"): _table_encryption,
    ("table", "deletion_protection"): _deletion_protection,
    ("table", "recovery"): _recovery,
    ("table", "tags"): _tags,
}

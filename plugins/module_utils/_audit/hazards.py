# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about settings that no run writes and that lose or expose states. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .._bucket import policy
from .._bucket.lifecycle_rules import SMALLEST, as_written
from .._core.commands import NO_COMMAND, Word, edit
from .._core.model import Target, Values
from .._core.printable import shortened
from .._core.regions import partition_of
from .._core.storage_classes import ARCHIVES
from .._core.tags import NOT_TESTED, UNSUPPORTED
from .._policy.analysis import Owner, is_public, lends_control, lets_others_in
from .._policy.baseline import owner_of
from .._policy.document import Statement
from .._terraform.protocol import lock_file
from .expectations import Expectations, Facts, words_in_note
from .findings import Finding, finding_of

#: The sizes of lock files in bytes: some 200 to 400, and more with a long name or working directory.
SMALLEST_LOCK, LARGEST_LOCK = 100, 1000


def hazards(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    bucket, table = ({"name": "", **(facts.get(kind) or {})} for kind in ("bucket", "table"))
    left_alone = wanted.bucket.get("unmanaged") or ()
    if "lifecycle" not in left_alone:
        yield from _expirations(bucket, facts, wanted)
        yield from _lock_expirations(bucket, facts, wanted)
        yield from _archivings(bucket, facts, wanted)
    if "policy" not in left_alone:
        yield from _open_statements(bucket, facts, wanted)
    yield from _lock_files(bucket, wanted)
    # AWS takes either MFA delete or a lifecycle.
    if bucket.get("mfa_delete") is False and bucket.get("lifecycle") == {}:
        options = ("--versioning-configuration", "Status=Enabled,MFADelete=Enabled", "--mfa", "SERIAL CODE")
        fix = _s3("put-bucket-versioning", bucket, facts, wanted, *options, note="as the root user of the account")
        yield finding_of("bucket.mfa_delete", bucket["name"], "It is off, and there is no lifecycle.", fix)
    yield from _forgetting(table, facts, wanted)


def _lock_files(bucket: Values, wanted: Expectations) -> Iterator[Finding]:
    """Only facts of another store than AWS have the result of the probe."""
    if wanted.lock_mode == "dynamodb":
        return
    if bucket.get("lock_files") == UNSUPPORTED:
        fix = edit("group_vars/all.yml", "set terraform_backend_lock_mode to dynamodb, or use another store")
        yield finding_of("bucket.lock_files", bucket["name"], "The test of bootstrap or lock_mode found it.", fix)
    elif bucket.get("lock_files") == NOT_TESTED and wanted.lock_mode == "lockfile":
        yield finding_of(
            "bucket.lock_files_not_tested", bucket["name"], "No test is recorded.", wanted.play("bootstrap")
        )


def _expirations(bucket: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    rules = bucket.get("lifecycle") or {}
    losing = {name: rule for name, rule in rules.items() if name != SMALLEST and _loses(rule, facts)}
    for name, rule in losing.items():
        detail = f"The rule {name} deletes states {_when(rule['Expiration'])}."
        yield finding_of(
            "bucket.expiration", bucket["name"], detail, _without("Expiration", bucket, facts, wanted, losing)
        )


def _lock_expirations(bucket: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    """Rules that spare the states and delete the lock files beside them."""
    if wanted.lock_mode not in ("lockfile", "both"):
        return
    rules = {name: rule for name, rule in (bucket.get("lifecycle") or {}).items() if name != SMALLEST}
    losing = {name: each for name, each in rules.items() if _frees_locks(each, facts) and not _loses(each, facts)}
    for name, rule in losing.items():
        detail = f"The rule {name} deletes lock files {_when(rule['Expiration'])}, held or not."
        fix = _without("Expiration", bucket, facts, wanted, losing)
        yield finding_of("bucket.lock_expiration", bucket["name"], detail, fix)


def _when(expiration: Mapping[str, Any]) -> str:
    days, day = (expiration.get(unit) for unit in ("Days", "Date"))
    return f"{days} days after they were written" if days else f"on {day}"


def _frees_locks(rule: Mapping[str, Any], facts: Facts) -> bool:
    where = rule.get("Filter", {})
    if rule.get("Status") != "Enabled" or not {"Days", "Date"} & {*rule.get("Expiration", {})} or where.get("Tags"):
        return False
    least, most = where.get("ObjectSizeGreaterThan", -1), where.get("ObjectSizeLessThan", float("inf"))
    prefix = where.get("Prefix", "")
    beside = [lock_file(state["path"]) for state in facts.get("states") or () if not state.get("is_deleted")]
    is_near = not prefix or any(path.startswith(prefix) for path in beside)
    return is_near and least < LARGEST_LOCK and most > SMALLEST_LOCK


def archiving_rules(facts: Facts, state: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of the lifecycle that archive this state."""
    rules = (facts.get("bucket") or {}).get("lifecycle") or {}
    about = {**facts, "states": [state]}
    return {name: rule for name, rule in rules.items() if name != SMALLEST and _archives(rule, about)}


def _archivings(bucket: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    rules = bucket.get("lifecycle") or {}
    archiving = {name: rule for name, rule in rules.items() if name != SMALLEST and _archives(rule, facts)}
    for name, rule in archiving.items():
        into, *_more = (each for each in rule["Transitions"] if each.get("StorageClass") in ARCHIVES)
        detail = f"The rule {name} moves states to {into['StorageClass']} {_when(into)}."
        fix = _without("Transitions", bucket, facts, wanted, archiving)
        yield finding_of("bucket.archiving", bucket["name"], detail, fix)


def _archives(rule: Mapping[str, Any], facts: Facts) -> bool:
    """Whether it makes current versions of states unreadable."""
    classes = {each.get("StorageClass") for each in rule.get("Transitions") or ()}
    return bool(classes & ARCHIVES) and rule.get("Status") == "Enabled" and _reaches_states(rule, facts)


def _loses(rule: Mapping[str, Any], facts: Facts) -> bool:
    """Whether it deletes current versions of states. States have no tags, except those of OpenTofu."""
    expires = bool({"Days", "Date"} & {*rule.get("Expiration", {})})
    return expires and rule.get("Status") == "Enabled" and _reaches_states(rule, facts)


def _reaches_states(rule: Mapping[str, Any], facts: Facts) -> bool:
    where = rule.get("Filter", {})
    if where.get("Tags"):
        return False
    least, most = where.get("ObjectSizeGreaterThan", -1), where.get("ObjectSizeLessThan", float("inf"))
    states = [state for state in facts.get("states") or () if least < (state.get("size") or 0) < most]
    return not where or any(state["path"].startswith(where.get("Prefix", "")) for state in states)


def _without(part: str, bucket: Values, facts: Facts, wanted: Expectations, losing: Mapping[str, Any]) -> str:
    """The command that takes a part out of rules of the lifecycle."""
    bare = {name: {key: each for key, each in rule.items() if key != part} for name, rule in losing.items()}
    rules = {name: rule for name, rule in {**bucket["lifecycle"], **bare}.items() if {*rule} - {"Status", "Filter"}}
    size = rules.pop(SMALLEST, None)
    if not rules:
        return _s3("delete-bucket-lifecycle", bucket, facts, wanted)
    kept = ("--transition-default-minimum-object-size", size) if size else ()
    configuration = {"Rules": as_written(rules)}
    option = ("--lifecycle-configuration", configuration)
    fix = _s3("put-bucket-lifecycle-configuration", bucket, facts, wanted, *option, *kept)
    return (
        fix if fix != NO_COMMAND else _by_file("lifecycle-configuration", bucket, facts, wanted, f"{part} of the rules")
    )


def _reaches(statement: Statement, owner: Owner) -> Iterator[str]:
    """The ID of the finding, if the statement lets in others than the owner."""
    if is_public(statement):
        yield "bucket.policy_public"
    elif lends_control(statement, owner):
        yield "bucket.policy_foreign"
    elif lets_others_in(statement, owner):
        yield "bucket.policy_condition"


def _open_statements(bucket: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    present = (bucket.get("policy") or policy.ABSENT)["statements"]
    target = Target(
        bucket["name"],
        facts["region"],
        partition=partition_of(facts["region"]).name,
        account_id=facts.get("account_id"),
        owner=wanted.account_id,
    )
    owner = owner_of(target, present)
    opened = [(kind, each) for each in present for kind in _reaches(each, owner)]
    kept = [each for each in present if each not in [statement for _kind, statement in opened]]
    document = json.loads(policy.document({**(bucket.get("policy") or policy.ABSENT), "statements": kept}))
    fix = _s3("delete-bucket-policy", bucket, facts, wanted)
    if kept:
        fix = _s3("put-bucket-policy", bucket, facts, wanted, "--policy", document)
    if fix == NO_COMMAND:
        fix = _by_file("policy", bucket, facts, wanted, "statement", "--query", "Policy", "--output", "text")
    for kind, each in opened:
        what = shortened(", ".join(each.get("Action", ["it"])))
        detail = f"The statement {shortened(each.get('Sid') or json.dumps(each))} allows {what}."
        if kind != "bucket.policy_public" and not owner.account:
            detail += " The account that owns the bucket is not known."
        yield finding_of(kind, bucket["name"], detail, fix)


def _forgetting(table: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    name, here = table["name"], ("--table-name", table["name"])
    if attribute := table.get("time_to_live"):
        off = {"Enabled": False, "AttributeName": attribute}
        fix = wanted.aws(facts, "dynamodb", "update-time-to-live", *here, "--time-to-live-specification", off)
        if fix == NO_COMMAND:
            fix = wanted.aws(
                facts, "dynamodb", "describe-time-to-live", *here, note="then switch it off in the console"
            )
        yield finding_of("table.time_to_live", name, *_expiry(table, attribute, fix))
    for region in table.get("replicas") or ():
        update = [{"Delete": {"RegionName": region}}]
        fix = wanted.aws(facts, "dynamodb", "update-table", *here, "--replica-updates", update)
        yield finding_of("table.replicas", name, f"It has a replica in {region}.", fix)


def _expiry(table: Values, attribute: str, fix: str) -> tuple[str, str, str | None]:
    """Detail, fix and severity. DynamoDB expires by numbers only; unless the items were read, there may be some."""
    count = table.get("time_to_live_items")
    if count == 0:
        nothing = f"It is on for {attribute}, in which no item has a number: nothing goes, and no client writes one."
        return nothing, fix, "info"
    of = "Items go" if count is None else "1 item goes" if count == 1 else f"{count} items go"
    return f"{of} when the time in {attribute} is over.", fix, None


def _s3(
    operation: str, bucket: Values, facts: Facts, wanted: Expectations, *more: Word, note: str = "", into: str = ""
) -> str:
    return wanted.aws(facts, "s3api", operation, "--bucket", bucket["name"], *more, note=note, into=into)


def _by_file(what: str, bucket: Values, facts: Facts, wanted: Expectations, part: str, *more: str) -> str:
    """For a document with text that is not safe in a command: edit it in a file."""
    where = words_in_note(("--bucket", bucket["name"], *wanted.aws_options(facts)))
    option = f"--{what} file://{what}.json"
    note = f"take out the {part} that the finding names, then aws s3api put-bucket-{what} {where} {option}"
    return _s3(f"get-bucket-{what}", bucket, facts, wanted, *more, note=note, into=f"{what}.json")

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about settings that no run writes and that lose or expose states. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .._bucket import policy
from .._core.commands import NO_COMMAND, edit, in_note
from .._core.model import Values
from .._core.printable import shortened
from .._core.tags import NOT_TESTED, UNSUPPORTED
from .._policy.analysis import Owner, is_public, lends_control, lets_others_in
from .._policy.baseline import owner_of
from .._policy.document import Statement, exact_name
from .aws_commands import by_file, s3_command
from .convergence import DECIDE, Convergence
from .expectations import Expectations, Facts, target_of
from .findings import Finding, finding_of


def hazards(facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    bucket, table = ({"name": "", **(facts.get(kind) or {})} for kind in ("bucket", "table"))
    left_alone = wanted.bucket.get("unmanaged") or ()
    if "policy" not in left_alone:
        yield from _open_statements(bucket, facts, wanted, convergence)
    yield from _lock_files(bucket, wanted)
    # AWS takes either MFA delete or a lifecycle.
    if bucket.get("mfa_delete") is False and bucket.get("lifecycle") == {}:
        options = ("--versioning-configuration", "Status=Enabled,MFADelete=Enabled", "--mfa", "SERIAL CODE")
        note = "as the root user of the account"
        fix = s3_command("put-bucket-versioning", bucket, facts, wanted, *options, note=note)
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


def _reaches(statement: Statement, owner: Owner) -> Iterator[str]:
    """The ID of the finding, if the statement lets in others than the owner."""
    if is_public(statement):
        yield "bucket.policy_public"
    elif lends_control(statement, replace(owner, organizations=frozenset())):  # not even to all of one's own
        yield "bucket.policy_foreign"
    elif lets_others_in(statement, owner):
        yield "bucket.policy_condition"


def _open_statements(bucket: Values, facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    there = bucket.get("policy") or policy.ABSENT
    present = there["statements"]
    owner = owner_of(target_of(bucket["name"], facts, wanted), present)
    opened = [(kind, each) for each in present for kind in _reaches(each, owner)]
    is_restricted = (bucket.get("public_access") or {}).get("restrict_public_buckets")
    for kind, each in opened:
        what = shortened(", ".join(each.get("Action", ["it"])))
        who = _others_than_everybody(each) if kind == "bucket.policy_public" else _principals(each)
        to = f" to {shortened(', '.join(who))}" if who and kind != "bucket.policy_public" else ""
        detail = f"The statement {shortened(each.get('Sid') or json.dumps(each))} allows {what}{to}."
        if kind == "bucket.policy_public" and who:
            detail += f" It names {shortened(', '.join(who))}, too."
        if kind != "bucket.policy_public" and not owner.account:
            detail += " The account that owns the bucket is not known."
        # AWS takes no policy with a statement for everybody while that is blocked: they go together.
        fix = dropping(public_statements(there) if kind == "bucket.policy_public" else [each], convergence)
        if wanted.inventory is None:
            fix = _put_without([every for _kind, every in opened], bucket, facts, wanted)
        is_open = kind == "bucket.policy_public" and is_restricted is False
        yield finding_of(kind, bucket["name"], detail, fix, "critical" if is_open else None)


def _principals(statement: Statement) -> list[str]:
    named = statement.get("Principal") or {}
    return sorted(str(who) for many in named.values() for who in many) if isinstance(named, dict) else [str(named)]


def _others_than_everybody(statement: Statement) -> list[str]:
    return [who for who in _principals(statement) if who != "*"]


def public_statements(there: Values) -> list[Statement]:
    return [each for each in there["statements"] if is_public(each)]


def dropping(statements: Sequence[Statement], convergence: Convergence) -> str:
    """The run that drops statements from the policy as it is then. Those whom they let in have to be asked about."""
    names = [exact_name(each) for each in statements]
    who = sorted({each for statement in statements for each in _named(statement)})
    fix = convergence.command("bucket", "policy", drop_statements=names, allow=["drop_policy_statements"])
    is_conditional = any(each.get("Condition") for each in statements)
    if not (who or is_conditional) or fix.startswith("#"):
        return fix
    if not who:
        known = "anybody who meets its conditions"
    else:
        known = in_note(who[0]) if len(who) == 1 else f"each of the {len(who)} principals"
    return (
        f"{DECIDE} does {known} need the statement {', '.join(map(in_note, names))}? If so, let it in by a narrower "
        f"one in terraform_backend_bucket_policy_statements. Then drop this one: {fix}"
    )


def _named(statement: Statement) -> list[str]:
    """Whom a statement lets in, besides everybody without a condition."""
    return _others_than_everybody(statement) if is_public(statement) else _principals(statement)


def _put_without(opened: Sequence[Statement], bucket: Values, facts: Facts, wanted: Expectations) -> str:
    """For a bucket of no inventory: the policy as it is, without these statements."""
    there = bucket.get("policy") or policy.ABSENT
    kept = [each for each in there["statements"] if each not in opened]
    fix = s3_command("delete-bucket-policy", bucket, facts, wanted)
    if kept:
        document = json.loads(policy.document({**there, "statements": kept}))
        fix = s3_command("put-bucket-policy", bucket, facts, wanted, "--policy", document)
    if fix == NO_COMMAND:
        return by_file("policy", bucket, facts, wanted, "statement", "--query", "Policy", "--output", "text")
    return fix if fix.startswith("#") else f"{DECIDE} do those whom the statement names need it? If not: {fix}"


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
        if not fix.startswith("#"):
            question = (
                f"do clients lock in the table of {in_note(region)}? Let them use that of {in_note(facts['region'])}"
            )
            fix = f"{DECIDE} {question}. Then: {fix}"
        yield finding_of("table.replicas", name, f"It has a replica in {region}.", fix)


def _expiry(table: Values, attribute: str, fix: str) -> tuple[str, str, str | None]:
    """Detail, fix and severity. DynamoDB expires by numbers only; unless the items were read, there may be some."""
    count = table.get("time_to_live_items")
    if count == 0:
        nothing = f"It is on for {attribute}, in which no item has a number: nothing goes, and no client writes one."
        return nothing, fix, "info"
    of = "Items go" if count is None else "1 item goes" if count == 1 else f"{count} items go"
    return f"{of} when the time in {attribute} is over.", fix, None

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about settings that no run writes and that lose or expose states. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .._bucket import policy
from .._core.commands import NO_COMMAND, edit
from .._core.model import Target, Values
from .._core.printable import shortened
from .._core.regions import partition_of
from .._core.tags import NOT_TESTED, UNSUPPORTED
from .._policy.analysis import Owner, is_public, lends_control, lets_others_in
from .._policy.baseline import owner_of
from .._policy.document import Statement
from .aws_commands import by_file, s3_command
from .expectations import Expectations, Facts
from .findings import Finding, finding_of


def hazards(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    bucket, table = ({"name": "", **(facts.get(kind) or {})} for kind in ("bucket", "table"))
    left_alone = wanted.bucket.get("unmanaged") or ()
    if "policy" not in left_alone:
        yield from _open_statements(bucket, facts, wanted)
    yield from _lock_files(bucket, wanted)
    # AWS takes either MFA delete or a lifecycle.
    if bucket.get("mfa_delete") is False and bucket.get("lifecycle") == {}:
        options = ("--versioning-configuration", "Status=Enabled,MFADelete=Enabled", "--mfa", "SERIAL CODE")
        fix = s3_command(
            "put-bucket-versioning", bucket, facts, wanted, *options, note="as the root user of the account"
        )
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
    fix = s3_command("delete-bucket-policy", bucket, facts, wanted)
    if kept:
        fix = s3_command("put-bucket-policy", bucket, facts, wanted, "--policy", document)
    if fix == NO_COMMAND:
        fix = by_file("policy", bucket, facts, wanted, "statement", "--query", "Policy", "--output", "text")
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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about KMS keys that cannot encrypt or decrypt, and about tables that are out of reach without theirs. Pure.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._bucket import BUCKET
from .._core.commands import edit, in_note
from .._core.model import Params, Resource, of_arn
from .._core.printable import shortened
from .._table import LOST, TABLE
from .catalogue import runbook_url
from .expectations import Expectations, Facts, requested_keys
from .findings import Finding, finding_of

KeyFacts = Mapping[str, Any]

#: Updating: another replica of a key of several regions becomes its primary.
USABLE = ("Enabled", "Updating")
#: The finding, by the state of a key; all other states have `key.unusable`.
KINDS_OF = {
    "Missing": "key.missing",
    "Disabled": "key.disabled",
    "PendingDeletion": "key.pending_deletion",
    "PendingReplicaDeletion": "key.pending_deletion",
}
_FOLLOW = f"follow {runbook_url('kms-key')}"
#: Nobody gets back what was encrypted with a key that is gone.
ANOTHER_KEY = f"# Decide on another key: nothing makes this one again, and what it has encrypted is lost. {_FOLLOW}"
REPLACE = f"# Decide on another key, a symmetric one of this region that is enabled: {_FOLLOW}"
ASK_OWNER = f"# Ask the account of the key to make it usable, or decide on a key of your own: {_FOLLOW}"
RESTORE_TABLE = f"# Restore the table from the backup that AWS made of it, under its name: {_FOLLOW}"


def keys(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for name, key in (facts.get("kms_keys") or {}).items():
        using = [kind.kind for kind in (BUCKET, TABLE) if _key_in_use(kind, facts) == name]
        users = [f"the {kind} {facts[kind]['name']}" for kind in using]
        by = f"It is the key of {' and '.join(users)}."
        if trouble := trouble_of(key, facts["region"]):
            kind, what = trouble
            yield finding_of(kind, name, f"{what} {by}", key_fix(name, key, kind, facts, wanted))
        elif _is_foreign(name, key, facts, wanted) and not _is_asked_for(name, key, facts, wanted):
            owner = in_note(of_arn(str(key.get("arn") or name)))
            detail = f"It is of the account {owner}. {by}"
            fix = edit("group_vars/all.yml", f"set kms_key_id to it if {owner} may decide over it, or to another key")
            yield finding_of("key.foreign", name, detail, fix)
    yield from _table_status(facts, wanted)


def trouble_of(key: KeyFacts, region: str) -> tuple[str, str] | None:
    """The finding and what is wrong; None for a key that can be used, or of which nothing is known."""
    state, arn = key.get("state"), str(key.get("arn") or "")
    if state is None:
        return None
    if state not in USABLE:
        date = f", on {key['deletion_date']}" if key.get("deletion_date") else ""
        what = "There is no such key." if state == "Missing" else f"It is {state}{date}."
        return KINDS_OF.get(state, "key.unusable"), what
    if key.get("is_symmetric") is False:
        return "key.unusable", "It is no symmetric encryption key."
    if arn.count(":") > 4 and arn.split(":")[3] != region:
        return "key.unusable", f"It lies in {arn.split(':')[3]}, and not in {region}."
    return None


def key_fix(name: str, key: KeyFacts, kind: str, facts: Facts, wanted: Expectations) -> str:
    """The command that makes a key of the own account usable; what a person has to decide otherwise."""
    arn, account = str(key.get("arn") or name), wanted.account_id or facts.get("account_id")
    named = ("--key-id", arn)
    if kind == "key.missing":
        return ANOTHER_KEY
    if kind in ("key.disabled", "key.pending_deletion") and of_arn(arn) != account:
        return ASK_OWNER
    if kind == "key.disabled":
        note = "ask before who has disabled it, and why"
        return wanted.aws(facts, "kms", "enable-key", *named, note=note)
    if kind == "key.pending_deletion":
        enable = ("aws", "kms", "enable-key", *wanted.aws_options(facts), *named)
        return wanted.aws(facts, "kms", "cancel-key-deletion", *named, then=enable)
    return REPLACE


def _key_in_use(resource: Resource, facts: Facts) -> str | None:
    about = facts.get(resource.kind) or {}
    return (about.get("encryption") or {}).get("kms_key_id")


def _is_foreign(name: str, key: KeyFacts, facts: Facts, wanted: Expectations) -> bool:
    owner, account = of_arn(str(key.get("arn") or name)), wanted.account_id or facts.get("account_id")
    return bool(owner and account and owner != account)


def _is_asked_for(name: str, key: KeyFacts, facts: Facts, wanted: Expectations) -> bool:
    """Whether the inventory names it, or leaves the encryption of all that uses it alone."""
    options: list[tuple[Resource, Params]] = [(BUCKET, wanted.bucket), (TABLE, wanted.table)]
    using = [(kind, given) for kind, given in options if _key_in_use(kind, facts) == name]
    return all(
        "encryption" in (given.get("unmanaged") or ()) or _names(kind, given, facts) & {name, key.get("arn")}
        for kind, given in using
    )


def _names(resource: Resource, given: Params, facts: Facts) -> set[str]:
    known = (facts.get(resource.kind) or {}).get("keys") or {}
    names = requested_keys(resource, given)
    return {*names, *(str(known[name]) for name in names if name in known)}


def _table_status(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    table = facts.get("table") or {}
    status = str(table.get("status"))
    if status not in LOST:
        return
    key = (table.get("encryption") or {}).get("kms_key_id")
    what = LOST[status].format(key=f" {key}" if key else "")
    backup = table.get("archival_backup_arn")
    detail = f"It is {status}: {what}.{f' Its backup is {shortened(backup)}.' if backup else ''}"
    about = (facts.get("kms_keys") or {}).get(key) or {}
    trouble = trouble_of(about, facts["region"])
    if status.startswith("ARCHIV"):
        fix = RESTORE_TABLE
    elif trouble:
        fix = key_fix(str(key), about, trouble[0], facts, wanted)
    else:
        note = "AWS needs some minutes once the key can be used. Its key policy must permit DynamoDB"
        fix = wanted.aws(facts, "dynamodb", "describe-table", "--table-name", str(table["name"]), note=note)
    yield finding_of("table.inaccessible", str(table["name"]), detail, fix)

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about a missing bucket or table. In an empty bucket clients create everything again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core.commands import in_note
from .catalogue import runbook_url
from .expectations import Expectations, Facts, play

_FOLLOW = f"follow {runbook_url('lost-bucket')}"
#: Where nobody has seen a backup.
BY_HAND = f"# Make no empty bucket, as clients would create everything again in it: {_FOLLOW}"
#: Where code alone names the bucket, or the lock table or the backup could not be read.
DECIDE = f"# If the bucket never existed, run the playbook bootstrap. If it did, make no empty one: {_FOLLOW}"


def had_states(facts: Facts, wanted: Expectations) -> bool | None:
    """Whether something shows that a bucket that does not exist has had states; None if that is not known."""
    in_table = [each for each in facts.get("locks") or () if each["store"] == "table"]
    if wanted.has_backup or in_table or any(each.get("digest") for each in facts.get("digests") or ()):
        return True
    has_table = (facts.get("table") or {}).get("exists") is not False and facts.get("table")
    is_unknown = wanted.has_backup is None or (has_table and facts.get("digests") is None)
    return None if wanted.is_in_code or is_unknown else False


def recreation(host: str, inventory: Sequence[str] | None, has_backup: bool | None, evidence: bool | None) -> str:
    """The command for a backend whose bucket does not exist. `evidence`: as `had_states` has it."""
    if has_backup:
        note = "stop pipelines before: until it has ended, clients find no states"
        return play(host, inventory, "rebuild", note=note)
    if evidence is False:
        return play(host, inventory, "bootstrap")
    return BY_HAND if evidence else DECIDE


def unknown_bucket(name: str) -> str:
    """What to do about a bucket that code alone names, and that does not exist."""
    return (
        f"# Correct its name there, or add a host for {in_note(name)} and run the playbook bootstrap. If the bucket "
        f"was lost, {_FOLLOW}"
    )


def creation(facts: Facts, wanted: Expectations) -> str:
    """The command for the bucket or the table that does not exist."""
    if facts["bucket"].get("exists") is False:
        return recreation(wanted.name, wanted.inventory, wanted.has_backup, had_states(facts, wanted))
    return table(wanted.name, wanted.inventory, facts.get("states") == [])


def table(host: str, inventory: Sequence[str] | None, is_empty: bool) -> str:
    """The command for a table beside a bucket, which is empty or has states."""
    if is_empty:
        return play(host, inventory, "bootstrap")
    note = "stop pipelines before. It writes the digests, too"
    return play(host, inventory, "rebuild", note=note, backup="none")


def fix_with_code(finding: Mapping[str, Any], backend: Mapping[str, Any], inventory: Sequence[str]) -> str:
    """The fix of a finding, once code is known that names the bucket of the backend."""
    if finding["id"] not in MISSING or backend["bucket"]["exists"] is not False:
        return str(finding["fix"])
    return recreation(backend["name"], inventory, backend.get("backup"), backend.get("had_states") or None)


#: The findings about what does not exist.
MISSING = ("bucket.missing", "table.missing")

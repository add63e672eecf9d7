# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about how long states, their old versions and lock files stay, and where. Pure.

A rule of the lifecycle need not reach a state today: states grow and shrink, and workspaces come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._bucket import lifecycle
from .._bucket.lifecycle_rules import SMALLEST, as_written
from .._core.commands import NO_COMMAND
from .._core.model import Params, Target, Values
from .._core.printable import shortened
from .._core.storage_classes import ARCHIVES
from .._table import recovery
from .._terraform.protocol import lock_file
from .aws_commands import by_file, s3_command
from .convergence import Convergence
from .expectations import Expectations, Facts
from .findings import Finding, finding_of

#: The sizes of lock files in bytes: some 200 to 400, and more with a long name or working directory.
SMALLEST_LOCK, LARGEST_LOCK = 100, 1000
#: The sizes of states in bytes: one without resources has some 180.
SMALLEST_STATE, LARGEST_STATE = 150, 100 * 1024 * 1024
#: Old versions that go after fewer days, and of which fewer of the newest stay, are no history to go back in.
SHORT_DAYS, FEW_NEWER = 30, 10
#: Within a week somebody may be away.
VERY_SHORT_DAYS, VERY_FEW_NEWER = 8, 3
SHORT_RECOVERY_DAYS = 7


@dataclass(frozen=True)
class Reach:
    """That a rule reaches states: today, or some day."""

    #: None: that of the kind of finding, as it does today.
    severity: str | None = None
    detail: str = ""


TODAY = Reach()


@dataclass(frozen=True)
class Trouble:
    """What a rule does that it should not, and by which of its parts."""

    kind: str
    rule: str
    part: str
    detail: str
    severity: str | None = None


def retention(facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    bucket = {"name": "", **(facts.get("bucket") or {})}
    if lifecycle.NAME not in (wanted.bucket.get("unmanaged") or ()):
        found = list(_troubles(facts, wanted))
        fix = _fix(found, bucket, facts, wanted, convergence) if found else ""
        for each in found:
            yield finding_of(each.kind, bucket["name"], each.detail, fix, each.severity)
    yield from _recovery_period(facts, wanted, convergence)


def _fix(found: Sequence[Trouble], bucket: Values, facts: Facts, wanted: Expectations, convergence: Convergence) -> str:
    """One command for all of them, as each puts the whole lifecycle: with what a run would change of it, too."""
    ours, others = ([each for each in found if _is_ours(each) is is_it] for is_it in (True, False))
    days, newer = (lifecycle.BASELINE[name] for name in list(lifecycle.OPTIONS)[:2])
    note = f"then old versions go after {days} days, but for the newest {newer}" if ours else ""
    if not others:
        # A rule that is disabled deletes nothing today.
        allow = {"allow": ["shorten_retention"]} if any(each.part == "Status" for each in ours) else {}
        return convergence.command("bucket", lifecycle.NAME, note=note, **lifecycle.BASELINE, **allow)
    parts: dict[str, set[str]] = {}
    for each in others:
        parts.setdefault(each.rule, set()).add(each.part)
    there = dict(convergence.after(lifecycle.NAME) or bucket["lifecycle"])
    if ours:
        there |= lifecycle.desired(lifecycle.BASELINE, {}, Target(bucket["name"], facts["region"]))
    return _without(parts, there, bucket, facts, wanted, note)


def _troubles(facts: Facts, wanted: Expectations) -> Iterator[Trouble]:
    for name, rule in _rules(facts).items():
        if rule.get("Status") == "Enabled":
            yield from _expiration(name, rule, facts, wanted)
            yield from _archiving(name, rule, facts, wanted)
            yield from _history(name, rule, facts, wanted)
        elif name == lifecycle.RULE_ID and not asks_for_lifecycle(wanted.bucket):
            yield Trouble("bucket.lifecycle", name, "Status", f"The rule {name} is disabled.")


def _rules(facts: Facts) -> dict[str, Mapping[str, Any]]:
    rules = (facts.get("bucket") or {}).get("lifecycle") or {}
    return {name: rule for name, rule in rules.items() if name != SMALLEST}


def asks_for_lifecycle(params: Params) -> bool:
    return any(params.get(name) is not None for name in lifecycle.OPTIONS)


def _is_ours(trouble: Trouble) -> bool:
    """Whether a run writes the part, of the rule that this collection manages."""
    return trouble.rule == lifecycle.RULE_ID and trouble.part in ("Status", "NoncurrentVersionExpiration")


def _expiration(name: str, rule: Mapping[str, Any], facts: Facts, wanted: Expectations) -> Iterator[Trouble]:
    if not {"Days", "Date"} & {*rule.get("Expiration", {})}:
        return
    when, reach = _when(rule["Expiration"]), reach_of(rule, facts, wanted)
    if reach is not TODAY and _frees_locks(rule, facts, wanted):
        detail = f"The rule {name} deletes lock files {when}, held or not."
        yield Trouble("bucket.lock_expiration", name, "Expiration", detail)
    elif reach:
        detail = f"The rule {name} deletes states {when}.{reach.detail}"
        yield Trouble("bucket.expiration", name, "Expiration", detail, reach.severity)


def _archiving(name: str, rule: Mapping[str, Any], facts: Facts, wanted: Expectations) -> Iterator[Trouble]:
    into = next((each for each in rule.get("Transitions") or () if each.get("StorageClass") in ARCHIVES), None)
    reach = reach_of(rule, facts, wanted)
    if into and reach:
        detail = f"The rule {name} moves states to {into['StorageClass']} {_when(into)}.{reach.detail}"
        yield Trouble("bucket.archiving", name, "Transitions", detail, reach.severity)


def _history(name: str, rule: Mapping[str, Any], facts: Facts, wanted: Expectations) -> Iterator[Trouble]:
    expiration = rule.get("NoncurrentVersionExpiration")
    if not expiration or (name == lifecycle.RULE_ID and asks_for_lifecycle(wanted.bucket)):
        return
    days, newer = expiration.get("NoncurrentDays", 0), expiration.get("NewerNoncurrentVersions", 0)
    reach = reach_of(rule, facts, wanted)
    if days >= SHORT_DAYS or newer >= FEW_NEWER or not reach:
        return
    is_short = days < VERY_SHORT_DAYS and newer < VERY_FEW_NEWER and reach.severity is None
    kept = f"all but the newest {newer}" if newer else "all of them"
    detail = f"The rule {name} deletes old versions {_days(days)} after they were replaced, {kept}.{reach.detail}"
    yield Trouble("bucket.history", name, "NoncurrentVersionExpiration", detail, "high" if is_short else None)


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _when(expiration: Mapping[str, Any]) -> str:
    days, day = (expiration.get(unit) for unit in ("Days", "Date"))
    return f"{_days(days)} after they were written" if days else f"on {day}"


def reach_of(rule: Mapping[str, Any], facts: Facts, wanted: Expectations) -> Reach | None:
    """Whether a rule reaches current states. Terraform writes them without tags, and OpenTofu can give them some."""
    where = rule.get("Filter", {})
    prefix, least, most = where.get("Prefix", ""), *_sizes(where)
    if (prefix and not _is_place_of_states(prefix, facts, wanted)) or least >= LARGEST_STATE or most <= SMALLEST_STATE:
        return None
    if tags := where.get("Tags"):
        named = ", ".join(f"{shortened(tag.get('Key'))}={shortened(tag.get('Value'))}" for tag in tags)
        return Reach("medium", f" It is for objects with the tag {named}, which OpenTofu can give to states.")
    states = [state for state in facts.get("states") or () if not state.get("is_deleted")]
    there = [state for state in states if str(state["path"]).startswith(prefix)]
    if not where or any(least < (state.get("size") or 0) < most for state in there):
        return TODAY
    has_size = (least, most) != _sizes({})
    what = "No state is of such a size today, but states grow and shrink." if has_size else "No state is there today."
    return Reach("high", f" {what}")


def _sizes(where: Mapping[str, Any]) -> tuple[float, float]:
    return where.get("ObjectSizeGreaterThan", -1), where.get("ObjectSizeLessThan", float("inf"))


def _is_place_of_states(prefix: str, facts: Facts, wanted: Expectations) -> bool:
    """Whether states are there or were, or those of other workspaces will be."""
    rows = (each for kind in ("states", "digests", "locks") for each in facts.get(kind) or ())
    workspaces = f"{wanted.workspace_key_prefix}/" if wanted.workspace_key_prefix else ""
    is_of_workspaces = bool(workspaces) and (workspaces.startswith(prefix) or prefix.startswith(workspaces))
    return is_of_workspaces or any(str(each["path"]).startswith(prefix) for each in rows)


def _frees_locks(rule: Mapping[str, Any], facts: Facts, wanted: Expectations) -> bool:
    where = rule.get("Filter", {})
    if wanted.lock_mode not in ("lockfile", "both") or where.get("Tags"):
        return False
    prefix, least, most = where.get("Prefix", ""), *_sizes(where)
    beside = [lock_file(state["path"]) for state in facts.get("states") or () if not state.get("is_deleted")]
    is_near = not prefix or any(path.startswith(prefix) for path in beside)
    return is_near and least < LARGEST_LOCK and most > SMALLEST_LOCK


def archiving_rules(facts: Facts, state: Mapping[str, Any], wanted: Expectations) -> list[str]:
    """The rules of the lifecycle that archive this state."""
    about = {**facts, "states": [state]}
    enabled = {name: rule for name, rule in _rules(facts).items() if rule.get("Status") == "Enabled"}
    moving = {
        name: rule
        for name, rule in enabled.items()
        if any(each.get("StorageClass") in ARCHIVES for each in rule.get("Transitions") or ())
    }
    return [name for name, rule in moving.items() if reach_of(rule, about, wanted) is TODAY]


def _without(
    parts: Mapping[str, set[str]], there: Values, bucket: Values, facts: Facts, wanted: Expectations, note: str
) -> str:
    """The command that puts this lifecycle, without these parts of its rules."""
    rules = {
        name: {key: each for key, each in rule.items() if key not in parts.get(name, ())}
        for name, rule in there.items()
        if name != SMALLEST
    }
    rules = {name: rule for name, rule in rules.items() if {*rule} - {"Status", "Filter"}}
    if not rules:
        return s3_command("delete-bucket-lifecycle", bucket, facts, wanted)
    kept = ("--transition-default-minimum-object-size", there[SMALLEST]) if SMALLEST in there else ()
    option = ("--lifecycle-configuration", {"Rules": as_written(rules)})
    fix = s3_command("put-bucket-lifecycle-configuration", bucket, facts, wanted, *option, *kept, note=note)
    names = sorted({part for each in parts.values() for part in each})
    what = f"{' and '.join(names)} of the rules"
    return fix if fix != NO_COMMAND else by_file("lifecycle-configuration", bucket, facts, wanted, what)


def _recovery_period(facts: Facts, wanted: Expectations, convergence: Convergence) -> Iterator[Finding]:
    table = facts.get("table") or {}
    seen = table.get(recovery.NAME) or {}
    days = seen.get("period_days") or recovery.LONGEST_DAYS
    is_asked_for = wanted.table.get("recovery_period_days") is not None
    is_unmanaged = recovery.NAME in (wanted.table.get("unmanaged") or ())
    if seen.get("enabled") and days < SHORT_RECOVERY_DAYS and not (is_asked_for or is_unmanaged):
        fix = convergence.command("table", recovery.NAME, recovery_period_days=recovery.LONGEST_DAYS)
        detail = f"It can be restored as it was in the last {_days(days)}, and could be for {recovery.LONGEST_DAYS}."
        yield finding_of("table.recovery_period", str(table["name"]), detail, fix)

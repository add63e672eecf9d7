# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about the settings of one backend, from the facts of tf_backend_info.

Pure. A setting is a finding if a run would change it: the facets' own plan is the comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from .._bucket import BUCKET, lifecycle, ownership
from .._core.commands import command, edit, in_note, is_note
from .._core.makers import makers_of
from .._core.model import EXISTENCE, Change, Facet, Params, Refusal, Resource, Target, Values, desire, plan
from .._core.url_credentials import without_credentials
from .._policy.baseline import KMS_KEY
from .._table import TABLE
from .._table.existence import KEY
from .access import access, grants_in_the_way, with_private_acl
from .contents import digests, locks, states
from .convergence import Convergence, Plan, planned
from .expectations import NO_HOST, Expectations, Facts, requested_keys
from .findings import Finding, finding_of
from .hazards import dropping, hazards, public_statements
from .keys import keys
from .logs import access_logs
from .lost import creation, had_states, table
from .retention import asks_for_lifecycle, retention
from .unseen import severity_of, unknown, unseen

#: The most paths that are compared with code.
MANY = 5000


def audit(facts: Facts, wanted: Expectations) -> list[Finding]:
    """All findings of one backend, before the user's settings apply."""
    convergence = _convergence(facts, wanted)
    of_settings = [
        *_of_resource(BUCKET, facts, wanted.bucket, wanted, convergence),
        *_of_resource(TABLE, facts, wanted.table, wanted, convergence),
        *_shared_management(facts, wanted),
        *hazards(facts, wanted, convergence),
        *retention(facts, wanted, convergence),
        *keys(facts, wanted),
        *access_logs(facts, wanted),
        *access(facts, wanted, convergence),
    ]
    found = {each.id for each in of_settings}
    return [
        # AWS takes either MFA delete or a lifecycle, so there is one finding: the lifecycle, unless it is not wanted.
        *(each for each in of_settings if each.id != "bucket.mfa_delete" or "bucket.lifecycle" not in found),
        *locks(facts, wanted),
        *digests(facts, wanted),
        *states(facts, wanted),
        *unknown(facts, wanted),
    ]


def _convergence(facts: Facts, wanted: Expectations) -> Convergence:
    def replan(kind: str, options: Params) -> Plan | None:
        resource, params = (BUCKET, wanted.bucket) if kind == BUCKET.kind else (TABLE, wanted.table)
        there = facts.get(kind)
        if not there or not there.get("exists"):
            return None
        params = {**params, **options}
        target, facets, observed = _compared(resource, there, facts, params)
        asked, baseline = (desire(facets, target, each, observed) for each in (params, {}))
        instead = [Change(name, baseline[name], asked[name]) for name in asked if baseline[name] != asked[name]]
        found = plan(facets, target, observed, asked)
        known = planned(resource, target, found, there, params, instead, wanted.guard)
        return _with_grants(known, facts) if resource is BUCKET else known

    return Convergence(wanted, replan)


def _with_grants(plan: Plan, facts: Facts) -> Plan:
    """A run is refused while an ACL grants something to others than the owner and everybody: that is read later."""
    reason = grants_in_the_way(facts)
    is_due = any(change.facet == ownership.NAME and change.after == ownership.NEW for change in plan.changes)
    if not (reason and is_due):
        return plan
    before = plan.refused.get(ownership.NAME, ())
    return replace(plan, refused={**plan.refused, ownership.NAME: (*before, Refusal(reason))})


def _of_resource(
    resource: Resource, facts: Facts, params: Params, wanted: Expectations, convergence: Convergence
) -> Iterator[Finding]:
    there = facts.get(resource.kind)
    if there is None:
        return
    name, region = there["name"], facts["region"]
    if there.get("exists") is False:
        where = f"{resource.kind} {name} in {region}"
        # A table of another region than its bucket's is of no use.
        fix = _corrected_region(facts, wanted) if _is_elsewhere(facts) else creation(facts, wanted)
        yield finding_of(f"{resource.kind}.missing", name, f"There is no {where}.", fix)
    elif there.get("exists"):
        misplaced = [*_misplaced(resource, there, facts, wanted)]
        yield from misplaced
        if any(each.id == "table.key" for each in misplaced):
            return  # no run changes a table that is none of ours
        yield from _unnamed_keys(resource, there, facts, params, wanted)
        for change in changes(resource, there, facts, params):
            detail = _difference(resource, change) + convergence.why(resource.kind, change.facet)
            fix = _convergence_of(resource.kind, change, wanted, convergence)
            if change.facet == ownership.NAME:
                fix = with_private_acl(fix, facts, wanted)
            yield finding_of(f"{resource.kind}.{change.facet}", name, detail, fix)


def _shared_management(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    """That another tool manages bucket or table. What is left to it already is nobody's dispute."""
    asked = {"bucket": wanted.bucket, "table": wanted.table}
    there = [(kind, facts.get(kind) or {}) for kind in asked]
    for found in makers_of(((kind, str(each.get("name")), each) for kind, each in there), asked):
        managed = [each for each in found.sets_back if each not in (asked[found.kind].get("unmanaged") or ())]
        if not managed and found.sets_back:
            continue
        loss = f" Its next run may set back {', '.join(managed)}." if managed else ""
        name = f"terraform_backend_{found.kind}_unmanaged"
        how = f"list in {name} what it is to go on managing, or take the {found.kind} out of it"
        detail = f"{found.maker.name} made it or manages it, by {found.evidence}.{loss}"
        fix = edit("group_vars/all.yml", how)
        yield finding_of(f"{found.kind}.shared_management", str(facts[found.kind]["name"]), detail, fix)


def _convergence_of(kind: str, change: Change, wanted: Expectations, convergence: Convergence) -> str:
    if change.facet == "policy" and (public := public_statements(change.before)):
        return dropping(public, convergence)  # beside which AWS would take no other policy
    if change.facet != "lifecycle" or change.before or asks_for_lifecycle(wanted.bucket):
        return convergence.command(kind, change.facet)
    days, newer = (lifecycle.BASELINE[name] for name in list(lifecycle.OPTIONS)[:2])
    note = f"then old versions go after {days} days, but for the newest {newer}"
    return convergence.command(kind, "lifecycle", note=note, **lifecycle.BASELINE, allow=["shorten_retention"])


def _is_elsewhere(facts: Facts) -> bool:
    """Whether the bucket lies in another region than the inventory says."""
    region = (facts.get("bucket") or {}).get("region")
    return bool(region) and region != facts["region"]


def _corrected_region(facts: Facts, wanted: Expectations) -> str:
    sources = [word for source in wanted.inventory or () for word in ("-i", source)]
    note = f"correct the region to {in_note(facts['bucket']['region'])}"
    fix = command("ansible-inventory", *sources, "--host", wanted.name, note=note)
    return NO_HOST if wanted.inventory is None else fix


def _misplaced(resource: Resource, there: Values, facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    """What a run cannot change: the region of the bucket, and the key of the table."""
    name = there["name"]
    region = there.get("region")
    if resource is BUCKET and _is_elsewhere(facts):
        detail = f"It lies in {region}, not in {facts['region']}."
        yield finding_of("bucket.region", name, detail, _corrected_region(facts, wanted))
    key = there.get("key")
    if resource is TABLE and key and key != KEY:
        then = table(wanted.name, wanted.inventory, facts.get("states") == [])
        fix = f"# It is of something else: set another terraform_backend_table_name for {wanted.name}. Then: {then}"
        fix = then if then.startswith("#") or not is_note(wanted.name) else fix
        yield finding_of("table.key", name, f"Its key is {_shown(key)}.", fix)


def changes(resource: Resource, there: Values, facts: Facts, params: Params) -> tuple[Change, ...]:
    """What a run with `params` would change, and the lifecycle that a new bucket would have."""
    target, facets, observed = _compared(resource, there, facts, params)
    found = plan(facets, target, observed, desire(facets, target, params, observed))
    untouched = [each for each in facets if each.name == "lifecycle" and not observed["lifecycle"]]
    if untouched and not asks_for_lifecycle(params):
        # A run leaves the lifecycle of an existing bucket as it is, even none; a new bucket would have a rule.
        new = Target(target.name, target.region, fresh=True)
        found += plan(tuple(untouched), new, observed, desire(untouched, new, params, observed))
    return found


def _compared(
    resource: Resource, there: Values, facts: Facts, params: Params
) -> tuple[Target, tuple[Facet, ...], dict[str, Any]]:
    """What a run would look at, as far as it could be read."""
    known = [each for each in resource.facets if there.get(each.name) is not None and each.name != EXISTENCE]
    facets = tuple(each for each in known if each.is_managed(params))
    return _target(resource, there, facts, params), facets, {each.name: there[each.name] for each in facets}


def _keys(resource: Resource, there: Values, params: Params) -> dict[str, str | None]:
    """The requested keys and their ARNs; None if it is not known whether it is the key in use."""
    seen, known = _seen_key(there), there.get("keys") or {}
    keys: dict[str, str | None] = {}
    for name in requested_keys(resource, params):
        by_id = seen if seen.endswith(f"/{name}") else None
        keys[name] = known.get(name) or by_id or (name if not seen or ":key/" in name else None)
    return keys


def _seen_key(there: Values) -> str:
    return str((there.get("encryption") or {}).get("kms_key_id") or "")


def _unnamed_keys(
    resource: Resource, there: Values, facts: Facts, params: Params, wanted: Expectations
) -> Iterator[Finding]:
    for name, arn in _keys(resource, there, params).items():
        if arn is None:
            fix = wanted.aws(facts, "kms", "describe-key", "--key-id", name)
            detail = f"Whether {_seen_key(there)} is the key {name} was not found out."
            what = f"{resource.kind}.encryption"
            yield finding_of("audit.unknown", what, detail, fix, severity_of(what, "other", facts))


def _target(resource: Resource, there: Values, facts: Facts, params: Params) -> Target:
    arn = there.get("arn") or ""
    return Target(
        there["name"],
        facts["region"],
        partition=arn.split(":")[1] if arn.count(":") > 1 else "aws",
        account_id=facts.get("account_id"),
        arn=arn,
        keys={name: known or _seen_key(there) for name, known in _keys(resource, there, params).items()},
    )


def _difference(resource: Resource, change: Change) -> str:
    before, after = change.before, change.after
    facet = next(each for each in resource.facets if each.name == change.facet)
    if facet.difference is not None:
        return facet.difference(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        pairs = [f"{name}: {_shown(before.get(name))}, should be {_shown(after.get(name))}" for name in names]
        return "; ".join(pairs)
    return f"It is {_shown(before)}, should be {_shown(after)}."


def _shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _default_paths(facts: Facts) -> list[str] | None:
    """The paths of states of default workspaces; None if they were not read, or are too many."""
    states = facts.get("states")
    there = [each for each in states or () if not each.get("is_deleted")]
    paths = None if states is None else [str(each["path"]) for each in there if each.get("path") == each.get("key")]
    return None if paths is None or len(paths) > MANY else sorted(paths)


def _owner_enforced(facts: Facts, wanted: Expectations) -> str | None:
    """Since when the owner of the bucket owns all objects; None if not, or if that is unknown."""
    seen = (facts.get("bucket") or {}).get("ownership")
    if seen == ownership.NEW:
        return "now"
    is_managed = ownership.NAME not in (wanted.bucket.get("unmanaged") or ())
    is_due = is_managed and (wanted.bucket.get("object_ownership") or ownership.NEW) == ownership.NEW
    return "after the next bootstrap" if seen and is_due else None


def summary(facts: Facts, wanted: Expectations) -> dict[str, Any]:
    """What a report shows of a backend, and what code is compared with."""
    bucket = facts.get("bucket") or {}
    states = facts.get("states")
    there = None if states is None else [each for each in states if not each.get("is_deleted")]
    counted: dict[str, Iterable[Any] | None] = {
        "states": there,
        **{name: facts.get(name) for name in ("locks", "digests")},
    }
    return {
        "name": wanted.name,
        "region": facts["region"],
        "account_id": facts.get("account_id"),
        "lock_mode": wanted.lock_mode,
        "endpoint_url": without_credentials(str(wanted.connection.get("endpoint_url") or "")) or None,
        "backup": wanted.has_backup,
        "had_states": had_states(facts, wanted),
        "bucket": {
            **{name: bucket.get(name) for name in ("name", "exists", "region", "encryption", "keys")},
            "requires_key": any(
                each.get("Sid") == KMS_KEY for each in (bucket.get("policy") or {}).get("statements", ())
            ),
            "owner_enforced": _owner_enforced(facts, wanted),
        },
        "table": {name: facts["table"].get(name) for name in ("name", "exists")} if facts.get("table") else None,
        "paths": _default_paths(facts),
        "kms_keys": facts.get("kms_keys"),
        "unseen": unseen(facts),
        "others": list(facts.get("others") or ())[:MANY],
        "counts": {name: None if value is None else len(list(value)) for name, value in counted.items()},
    }

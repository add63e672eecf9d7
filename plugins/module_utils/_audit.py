# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One backend's facts, as tf_backend_info gathers them, to findings.

Pure. Settings are not compared here: what the facets' own plan would change is what is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._bucket import BUCKET
from ._core import EXISTENCE, Change, Params, Resource, Target, Values, desire, plan
from ._findings import Finding, command, found
from ._lock_record import MOVING
from ._table import TABLE
from ._table.existence import KEY

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Expectations:
    """What the backend is held against."""

    #: What the inventory calls it.
    name: str
    #: Options of tf_state_bucket and tf_lock_table; none at all is the baseline.
    bucket: Params = field(default_factory=dict)
    table: Params = field(default_factory=dict)
    stale_lock_s: float = 4 * 3600

    @property
    def converge(self) -> str:
        return command("ansible-playbook", "cornerstone.tfstate.bootstrap", "-l", self.name)


def audit(facts: Facts, wanted: Expectations) -> list[Finding]:
    """Everything that is to be found in one backend, before the user's tuning."""
    return [
        *_of_resource(BUCKET, facts, wanted.bucket, wanted),
        *_of_resource(TABLE, facts, wanted.table, wanted),
        *_locks(facts, wanted),
        *_digests(facts),
        *_states(facts),
        *_unknown(facts),
    ]


def _of_resource(resource: Resource, facts: Facts, params: Params, wanted: Expectations) -> Iterator[Finding]:
    there = facts.get(resource.kind)
    if there is None:
        return
    name, region = there["name"], facts["region"]
    if there.get("exists") is False:
        where = f"{resource.kind} {name} in {region}"
        yield found(f"{resource.kind}.missing", name, f"There is no {where}.", wanted.converge)
    elif there.get("exists"):
        yield from _misplaced(resource, there, facts)
        for change in changes(resource, there, facts, params):
            detail = _difference(change)
            yield found(f"{resource.kind}.{change.facet}", name, detail, f"{wanted.converge} --diff")


def _misplaced(resource: Resource, there: Values, facts: Facts) -> Iterator[Finding]:
    """What cannot be converged: where the bucket lies, and the key of the table."""
    name = there["name"]
    region = there.get("region")
    if resource is BUCKET and region and region != facts["region"]:
        fix = command("ansible-inventory", "--host", facts["region"], note=f"correct the region to {region}")
        yield found("bucket.region", name, f"It lies in {region}, not in {facts['region']}.", fix)
    key = there.get("key")
    if resource is TABLE and key and key != KEY:
        fix = command("aws", "dynamodb", "describe-table", "--table-name", name, note="choose another name for locks")
        yield found("table.key", name, f"Its key is {_shown(key)}.", fix)


def changes(resource: Resource, there: Values, facts: Facts, params: Params) -> tuple[Change, ...]:
    """What a run would change that is asked for `params`."""
    known = [each for each in resource.facets if there.get(each.name) is not None and each.name != EXISTENCE]
    facets = tuple(each for each in known if each.is_managed(params))
    observed = {each.name: there[each.name] for each in facets}
    target = _target(there, facts, params)
    planned = plan(facets, target, observed, desire(facets, target, params, observed))
    untouched = [each for each in facets if each.name == "lifecycle" and not observed["lifecycle"]]
    if untouched and "lifecycle" not in [change.facet for change in planned]:
        # Of an old bucket a run keeps what it finds, and of none at all, nothing: a new one would have a rule.
        new = Target(target.name, target.region, fresh=True)
        planned += plan(tuple(untouched), new, observed, desire(untouched, new, params, observed))
    return planned


def _target(there: Values, facts: Facts, params: Params) -> Target:
    arn = there.get("arn") or ""
    key, seen = params.get("kms_key_id"), (there.get("encryption") or {}).get("kms_key_id")
    is_same = key and seen and (seen.endswith(f":{key}") or seen.endswith(f"/{key}") or key.startswith("alias/"))
    return Target(
        there["name"],
        facts["region"],
        partition=arn.split(":")[1] if arn.count(":") > 1 else "aws",
        account_id=facts.get("account_id"),
        arn=arn,
        keys={str(key): str(seen)} if is_same else {},  # which key an alias stands for cannot be told from here
    )


def _difference(change: Change) -> str:
    before, after = change.before, change.after
    if change.facet == "policy":
        lacking = [each for each in after["statements"] if each not in before["statements"]]
        return f"It lacks {', '.join(str(each.get('Sid') or 'a statement') for each in lacking)}."
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        pairs = [f"{name}: {_shown(before.get(name))}, should be {_shown(after.get(name))}" for name in names]
        return "; ".join(pairs)
    return f"It is {_shown(before)}, should be {_shown(after)}."


def _shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _locks(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for lock in facts.get("locks") or ():
        where, path = f"{lock['path']} ({lock['store']})", lock["path"]
        if lock.get("is_wedged"):
            detail = f"{lock.get('problem') or 'It is no lock information.'}"
            yield found("lock.wedged", where, detail, _release(wanted, path, older_than="1h"))
            continue
        if _is_fence(lock, facts):
            yield found("lock.fence", where, f"{lock.get('info') or 'No word of where to'}.", _come_along())
            continue
        age_s = lock.get("age_s")
        by = f"{lock.get('who') or 'somebody'}, {lock.get('operation') or 'unknown operation'}"
        if age_s is not None and age_s > wanted.stale_lock_s:
            release = _release(wanted, path, lock_id=str(lock.get("lock_id")))
            yield found("lock.stale", where, f"Held for {duration(age_s)} by {by}.", release)
        elif lock.get("is_canonical") is False:
            release = _release(wanted, path, lock_id=str(lock.get("lock_id")))
            yield found("lock.not_canonical", where, f"Held by {by}.", release)
    for path in facts.get("orphan_lock_files") or ():
        yield found("lock.orphan_file", path, "There is no state beside it.", _release(wanted, path, older_than="1d"))


def _is_fence(lock: Values, facts: Facts) -> bool:
    """Where a move that was cut short leads to, its lock is none."""
    there = f" to s3://{(facts.get('bucket') or {}).get('name')}/{lock['path']}"
    return lock.get("operation") == MOVING and not str(lock.get("info")).endswith(there)


def _come_along() -> str:
    return command("terraform", "init", "-reconfigure", note="in each checkout of it, then retire the old bucket")


def duration(age_s: float) -> str:
    minutes = int(age_s // 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


def _release(wanted: Expectations, path: str, **which: str) -> str:
    told = json.dumps({"key": path.removesuffix(".tflock"), **which})
    return command("ansible-playbook", "cornerstone.tfstate.unlock", "-l", wanted.name, "-e", told)


def _operate(module: str, facts: Facts, **options: str) -> str:
    """An ad-hoc command: it needs no inventory."""
    table = {"table": facts["table"]["name"]} if facts.get("table") else {}
    given = {"region": facts["region"], "bucket": facts["bucket"]["name"], **table, **options}
    return command("ansible", "localhost", "-m", f"cornerstone.tfstate.{module}", "-a", json.dumps(given))


#: What is wrong with a digest, by its status: the finding, what is told, and the command.
DIGESTS = {
    "mismatch": "digest.mismatch",
    "deleted": "digest.deleted",
    "orphan": "digest.orphan",
    "malformed": "digest.malformed",
    "missing": "digest.missing",
}


def _digests(facts: Facts) -> Iterator[Finding]:
    for digest in facts.get("digests") or ():
        kind, path = DIGESTS.get(digest["status"]), digest["path"]
        if kind == "digest.deleted":
            fix = _operate("tf_state_version", facts, key=path)
            yield found(kind, path, "The state can be undeleted from its versions.", fix)
        elif kind:
            yield found(kind, path, _said_of(digest), _operate("tf_state_digest", facts, key=path))


def _said_of(digest: Mapping[str, Any]) -> str:
    if digest["status"] == "mismatch" and digest.get("matches_version"):
        return f"It is that of the version {digest['matches_version']}: the state was written past the table since."
    expected, actual = digest.get("digest") or "none", digest.get("actual") or "none"
    return f"The table says {expected}, the state has {actual}."


def _states(facts: Facts) -> Iterator[Finding]:
    told = {each["path"] for each in facts.get("digests") or () if each["status"] == "deleted"}
    for state in facts.get("states") or ():
        fix = _operate("tf_state_version", facts, key=state["path"])
        if state.get("is_deleted") and state["path"] not in told:
            yield found("state.deleted", state["path"], "Its newest version is a delete marker.", fix)
        elif state.get("problem") and not state.get("is_deleted"):
            yield found("state.unreadable", state["path"], str(state["problem"]), fix)


def _unknown(facts: Facts) -> Iterator[Finding]:
    for each in facts.get("unknown") or ():
        look = command(
            "aws", "sts", "get-caller-identity", note="then give this identity what docs/permissions.md says"
        )
        yield found("audit.unknown", str(each["what"]), str(each["why"]), look)


def summary(facts: Facts, wanted: Expectations) -> dict[str, Any]:
    """What a report tells of a backend, and what code is compared with."""
    counted: dict[str, Iterable[Any] | None] = {name: facts.get(name) for name in ("states", "locks")}
    return {
        "name": wanted.name,
        "region": facts["region"],
        "account_id": facts.get("account_id"),
        "bucket": {name: (facts.get("bucket") or {}).get(name) for name in ("name", "exists", "encryption")},
        "table": {name: facts["table"].get(name) for name in ("name", "exists")} if facts.get("table") else None,
        "counts": {name: None if value is None else len(list(value)) for name, value in counted.items()},
    }

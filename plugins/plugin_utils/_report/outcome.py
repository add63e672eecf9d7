# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role leaves of each backend for later tasks and for the summary: `terraform_backend.backends`.

An entry is small, since each result of a loop carries those of the backends before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.estimate import Cost, monthly_cost
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import facts_at_rest

#: The variable that the role registers.
RESULT = "terraform_backend"


#: The parts of a backend, which are also the tags of the role's task.
PARTS = ("bucket", "table", "files")


def entry_of(
    place: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    check_mode: bool,
    parts: Sequence[str] | None = None,
    preflight: bool = False,
) -> dict[str, Any]:
    """The entry of a backend, from where it is and what its modules returned. Without results, it was refused.

    `parts`: those that were worked on, if not all.
    """
    bucket, table, config = (results.get(kind) or {} for kind in ("bucket", "table", "config"))
    has_ended = bool(results) if parts else bool(config.get("backend"))
    is_finished = parts == [] or (has_ended and not any(each.get("failed") for each in results.values()))
    if is_finished and "files" not in (parts or PARTS) and parts is not None:
        place = {name: value for name, value in place.items() if name != "directory"}
    accounts = [(each.get(kind) or {}).get("account_id") for kind, each in results.items() if kind != "config"]
    credentials = [each.get("credentials") for each in results.values()]
    lock_mode = place.get("lock_mode")
    cost = _cost(bucket, table, lock_mode) if is_finished and parts is None else None
    entry = {
        **{name: value for name, value in place.items() if name != "name"},
        "table": None if lock_mode == "lockfile" else place.get("table"),
        "account_id": next(filter(None, accounts), None),
        "credentials": next(filter(None, credentials), None),
        "check_mode": check_mode,
        "changed": any(each.get("changed") for each in results.values()),
        "changes": _changes(bucket, table, config) or None,
        "cost": None if cost is None else str(cost),
        "failed": not is_finished,
        **({} if parts is None else {"parts": list(parts)}),
        **({"preflight": True} if preflight else {}),
    }
    if is_finished:
        return entry
    # Ansible shows all of a failed result: what is not known, and files that may not exist, are left out.
    return {name: value for name, value in entry.items() if name != "directory" and value not in (None, False)}


def _cost(bucket: Mapping[str, Any], table: Mapping[str, Any], lock_mode: str | None) -> Cost | None:
    facts = bucket.get("bucket") or {}
    if "region" not in facts:
        return None
    is_new = any(change["facet"] == "existence" for change in bucket.get("changes") or ())
    return monthly_cost(facts_at_rest(facts, table.get("table"), lock_mode or "both", is_new))


def _changes(bucket: Mapping[str, Any], table: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    files = "files" if config.get("changes") else ""
    parts = [each for each in (_changed("bucket", bucket), _changed("table", table), files) if each]
    is_new = parts == ["bucket created", *(["table created"] if table else []), "files"]
    return "all created" if is_new else "; ".join(parts)


def _changed(kind: str, result: Mapping[str, Any]) -> str:
    facets = dict.fromkeys(change["facet"] for change in result.get("changes") or ())
    if not facets:
        return ""
    return f"{kind} created" if "existence" in facets else f"{kind}: {', '.join(facets)}"


def with_entry(registered: Any, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The backends that were converged before, with this one. Two of one name are told apart by their buckets."""
    known = backends_in(registered)
    key = name
    if key in known and known[key].get("bucket") not in (None, entry.get("bucket")):
        key = f"{name} ({entry.get('bucket') or 'without a bucket'})"
    known.pop(key, None)
    return {**known, key: dict(entry)}


def is_of_role(registered: Any) -> bool:
    """Whether the role has left it in this run: a cached fact, and the result of another task, say nothing of it."""
    if not isinstance(registered, Mapping) or "changed" not in registered:
        return False
    return bool(backends_in(registered) or any(registered.get(each) for each in ("failed", "unreachable", "skipped")))


def backends_in(registered: Any) -> dict[str, dict[str, Any]]:
    """The backends in a result of the role. The reason of the one that it failed for is its message."""
    if not isinstance(registered, Mapping) or not isinstance(found := registered.get("backends"), Mapping):
        return {}
    return {name: _with_reason(each, registered) for name, each in found.items() if isinstance(each, Mapping)}


def _with_reason(entry: Mapping[str, Any], registered: Mapping[str, Any]) -> dict[str, Any]:
    is_the_failed_one = entry.get("failed") and "msg" not in entry
    return {**entry, "msg": reason_of(registered)} if is_the_failed_one else dict(entry)


def reason_of(registered: Mapping[str, Any]) -> str:
    reason = str(registered.get("msg") or "failed without a message")
    return f"unreachable: {reason}" if registered.get("unreachable") else reason

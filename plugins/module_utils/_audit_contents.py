# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies in a backend, to findings: locks, digests and states that need somebody. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from glob import escape
from typing import Any

from ._commands import command, is_harmless, is_plain
from ._expectations import Expectations, Facts
from ._findings import Finding, found
from ._lock_record import is_fence, lock_name

Row = Mapping[str, Any]

#: By the status of a digest: the module that mends it, and how it is asked to.
MENDED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "mismatch": ("tf_state_digest", {}),
    "deleted": ("tf_state_version", {"state": "undeleted"}),
    "orphan": ("tf_state_digest", {"state": "absent", "allow": ["forget_state"]}),
    "malformed": ("tf_state_digest", {}),
    "missing": ("tf_state_digest", {}),
}


def locks(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for lock in facts.get("locks") or ():
        where, path = f"{lock['path']} ({lock['store']})", lock["path"]
        if lock.get("is_wedged"):
            seen = {"lock_id": lock_name(lock["seen"].strip('"'))} if lock.get("seen") else {}
            detail = f"{lock.get('problem') or 'It is no lock information.'}"
            yield found("lock.wedged", where, detail, wanted.release(path, **seen))
            continue
        if _is_fence(lock, facts):
            yield found("lock.fence", where, f"{lock.get('info') or 'No word of where to'}.", _come_along())
            continue
        age_s = lock.get("age_s")
        by = f"{lock.get('who') or 'somebody'}, {lock.get('operation') or 'unknown operation'}"
        release = wanted.release(path, lock_id=lock_name(str(lock.get("lock_id"))))
        if age_s is None and lock.get("is_wedged") is False:
            yield found("lock.unknown_age", where, f"Held since an unknown time by {by}.", wanted.release(path))
        elif age_s is not None and age_s > wanted.stale_lock_s:
            yield found("lock.stale", where, f"Held for {duration(age_s)} by {by}.", release)
        elif lock.get("is_canonical") is False and lock["store"] == "table":  # files are not compared
            yield found("lock.not_canonical", where, f"Held by {by}.", release)
    for path in facts.get("orphan_lock_files") or ():
        yield found("lock.orphan_file", path, "There is no state beside it.", wanted.release(path, older_than="1h"))


def _is_fence(lock: Row, facts: Facts) -> bool:
    bucket = str((facts.get("bucket") or {}).get("name"))
    return is_fence(str(lock.get("operation")), str(lock.get("info")), bucket, lock["path"])


def _come_along() -> str:
    return command("terraform", "init", "-reconfigure", note="in each checkout of it, then retire the old bucket")


def duration(age_s: float) -> str:
    minutes = int(age_s // 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


def digests(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for digest in facts.get("digests") or ():
        status, path = digest["status"], digest["path"]
        if status in MENDED_BY:
            yield found(f"digest.{status}", path, _said_of(digest), _mending(status, path, facts, wanted))


def _mending(status: str, path: str, facts: Facts, wanted: Expectations) -> str:
    """Nothing but a state that is whole is given a digest."""
    states = {state["path"]: state for state in facts.get("states") or () if not state.get("is_deleted")}
    if status != "deleted" and states.get(path, {}).get("is_readable") is False:
        return _restoration(path, facts, wanted)
    is_gone = facts.get("states") is not None and path not in states
    module, asked = MENDED_BY["orphan" if status == "malformed" and is_gone else status]
    return wanted.operate(module, facts, key=path, **asked)


def _said_of(digest: Row) -> str:
    if digest["status"] == "deleted":
        return "The state can be undeleted from its versions."
    if digest["status"] == "mismatch" and digest.get("matches_version"):
        return f"It is that of the version {digest['matches_version']}: the state was written past the table since."
    expected, actual = digest.get("digest") or "none", digest.get("actual") or "none"
    return f"The table says {expected}, the state has {actual}."


def states(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    told = {each["path"] for each in facts.get("digests") or () if each["status"] == "deleted"}
    for state in facts.get("states") or ():
        path = state["path"]
        if state.get("is_deleted") and path not in told:
            fix = wanted.operate("tf_state_version", facts, key=path, state="undeleted")
            yield found("state.deleted", path, "Its newest version is a delete marker.", fix)
        elif state.get("is_readable") is False:
            yield found("state.unreadable", path, str(state["problem"]), _restoration(path, facts, wanted))


def _restoration(path: str, facts: Facts, wanted: Expectations) -> str:
    version_id = _version_before(path, facts)
    if version_id and is_plain(version_id):  # as those of S3 are
        return wanted.operate("tf_state_version", facts, key=path, state="restored", version_id=version_id)
    note = "then tf_state_version with state: restored and the version_id of one that is whole"
    return wanted.operate("tf_backend_info", facts, note, gather=["states", "versions"], keys=[_pattern(path)])


def _pattern(path: str) -> str:
    """A shell pattern of a path; what is not harmless in a command is any character."""
    return "".join(escape(each) if is_harmless(each) else "?" for each in path)


def _version_before(path: str, facts: Facts) -> str | None:
    """That which the digest is of, or else the newest one before the current, as far as they are known."""
    by_digest = [each.get("matches_version") for each in facts.get("digests") or () if each["path"] == path]
    kept = [state.get("versions") or () for state in facts.get("states") or () if state["path"] == path]
    older = [each["version_id"] for versions in kept for each in versions if not each["is_latest"] and each["size"]]
    return next((str(version_id) for version_id in [*by_digest, *older] if version_id), None)

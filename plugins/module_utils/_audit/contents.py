# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about the contents of a backend: locks, digests and states that need attention. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from typing import Any

from .._core.commands import NO_COMMAND, command, is_harmless, is_note, is_plain, percent_encoded
from .._core.printable import shortened
from .._core.storage_classes import ARCHIVES, RESTORE_HOURS, TIERED
from .._policy.document import MOVED
from .._terraform.protocol import (
    FREEZE,
    IS_STATE,
    UNFINISHED,
    freeze_sentence,
    is_of_moved_state,
    lock_file,
    lock_name,
)
from .._terraform.state_parser import NEWER
from .convergence import DECIDE
from .expectations import Expectations, Facts, words_in_note
from .findings import Finding, finding_of
from .retention import archiving_rules

FactRow = Mapping[str, Any]

#: By the status of a digest: the playbook that repairs it.
REPAIRED_BY = {
    "mismatch": "repair_digest",
    "deleted": "restore_version",
    "malformed": "repair_digest",
    "missing": "repair_digest",
}
ORPHAN = "orphan"
#: Instead of a path: all objects of a bucket.
EVERYTHING = "*"
#: From this number of digests without a state, and this share of all digests, states were lost and not deleted.
MANY, PART = 2, 0.1
#: The number of entries that a detail names.
NAMED = 5
#: For a lock whose holder may be at work.
LEAVE_IT = "# Leave it while its holder may be at work. Once it is stale, the audit prints the command that releases it"
#: Of a digest that does not match behind a lock that was left.
BEHIND_LOCK = " A lock on it was left behind, so nobody is about to write the digest."
LOCK_FIRST = "# First release the lock, as its own finding says, and audit again: then the command is printed"
#: Before states are thawed.
ASK_WHO_FROZE = "# Ask who froze them first: is the repair complete, and verified? If so"
#: For a state of a later version. An older one would lack what the newer client has made since.
UPGRADE = (
    "# A newer client wrote it: upgrade Terraform or OpenTofu wherever it is used, and this collection. Restore an "
    "older version only if that client should not have been used, and nothing was applied with it."
)
#: The stores that clients of a lock mode check.
STORES = {"dynamodb": ("table",), "lockfile": ("file",), "both": ("file", "table")}


def locks(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for lock in facts.get("locks") or ():
        where, path = f"{lock['path']} ({lock['store']})", lock["path"]
        if lock.get("problem") == IS_STATE.reason:
            yield _under_a_lock_file(lock_file(path), wanted)
            continue
        if lock.get("is_wedged"):
            detail = f"{lock.get('problem') or 'It is no lock information.'}"
            yield finding_of("lock.wedged", where, detail, wanted.show_lock(path))
            continue
        if _is_of_moved_state(lock, facts):
            yield finding_of(
                "lock.moved_state", where, f"{shortened(lock.get('info') or 'No word of where to')}.", _come_along()
            )
            continue
        if lock.get("operation") == FREEZE:
            continue
        age_s = lock.get("age_s")
        who, operation = lock.get("who") or "somebody", lock.get("operation") or "unknown operation"
        by = f"{shortened(who)}, {shortened(operation)}"
        release = wanted.release(path, lock_id=lock_name(str(lock.get("lock_id"))))
        if age_s is None and lock.get("is_wedged") is False:
            yield finding_of("lock.unknown_age", where, f"Held since an unknown time by {by}.", wanted.show_lock(path))
        elif age_s is not None and age_s > wanted.stale_lock_s:
            yield finding_of("lock.stale", where, f"Held for {duration(age_s)} by {by}.", release)
        elif lock.get("is_canonical") is False and lock["store"] == "table":  # files are not compared
            held = "" if age_s is None else f" for {duration(age_s)}"
            yield finding_of("lock.not_canonical", where, f"Held{held} by {by}.", LEAVE_IT)
    yield from _frozen(facts, wanted)
    yield from _half_moved_states(facts, wanted)
    frozen = {lock["path"] for lock in facts.get("locks") or () if lock.get("operation") == FREEZE}
    for path in [each for each in facts.get("orphan_lock_files") or () if each not in frozen]:
        yield finding_of(
            "lock.orphan_file", path, "There is no state beside it.", wanted.release(path, older_than="1h")
        )


def _frozen(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for freeze in freezes(facts.get("locks") or ()):
        detail = f"{freeze_sentence(freeze)}."
        fix = f"{ASK_WHO_FROZE}: {wanted.play('thaw', lock_id=lock_name(str(freeze['lock_id'])))}"
        yield finding_of("lock.frozen", str(facts["bucket"]["name"]), detail, fix)


def freezes(locks: Sequence[FactRow]) -> list[dict[str, Any]]:
    """By their ids: who froze how many states, since when and why."""
    found: dict[str, list[FactRow]] = defaultdict(list)
    for lock in locks:
        if lock.get("operation") == FREEZE:
            found[str(lock.get("lock_id"))].append(lock)
    return [
        {
            **{name: rows[0].get(name) for name in ("lock_id", "lock_id_sha256", "who", "created")},
            "reason": str(rows[0].get("info") or "").removesuffix(UNFINISHED),
            "states": len({row["path"] for row in rows}),
        }
        for _id, rows in sorted(found.items())
    ]


def _is_of_moved_state(lock: FactRow, facts: Facts) -> bool:
    bucket = str((facts.get("bucket") or {}).get("name"))
    return is_of_moved_state(str(lock.get("operation")), str(lock.get("info")), bucket, lock["path"])


def _under_a_lock_file(key: str, wanted: Expectations) -> Finding:
    note = "then move it to another key, with tf_state_move"
    fix = wanted.play("info", note=note, gather=["states"], keys=[_pattern(key)])
    return finding_of("state.lock_file_name", key, "Its name ends in .tflock.", fix)


def _half_moved_states(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    """Moved states that are locked in one store only, while clients lock in another one."""
    found_in: dict[tuple[str, str], set[str]] = defaultdict(set)
    for lock in facts.get("locks") or ():
        if not lock.get("is_wedged") and _is_of_moved_state(lock, facts):
            found_in[lock["path"], str(lock.get("lock_id"))].add(lock["store"])
    needed = [store for store in STORES[wanted.lock_mode] if _is_listed(store, facts)]
    denied = _denied(facts)
    held = {path: set().union(*(found_in[each] for each in found_in if each[0] == path)) for path, _id in found_in}
    for path, lock_id in sorted(found_in):
        missing = [store for store in needed if store not in held[path]]
        if missing and not denied & {path, EVERYTHING}:
            names = {"file": "lock file", "table": "item in the lock table"}
            half = f"{names[missing[0]]} of the source protection {lock_name(lock_id)}"
            detail = f"The {half} is missing, and clients lock there."
            yield finding_of("lock.half_moved_state", path, detail, _other_half(path, lock_id, wanted))


def _other_half(path: str, lock_id: str, wanted: Expectations) -> str:
    """A lock is taken by its full ID, which anybody who can write locks may have chosen."""
    if is_plain(lock_id):
        return wanted.play_on("lock", path, lock_id=lock_id)
    note = "then run the move again, which takes what is missing"
    return wanted.play("info", note=note, gather=["locks"], keys=[_pattern(path)])


def _is_listed(store: str, facts: Facts) -> bool:
    """Whether the locks of a store are known."""
    unknown = {each["what"] for each in facts.get("unknown") or ()}
    if store == "file":
        return "states" not in unknown
    return bool((facts.get("table") or {}).get("exists")) and "table.items" not in unknown


def _denied(facts: Facts) -> set[str]:
    """The moved states that the bucket policy denies to all clients, whatever their locks."""
    policy = (facts.get("bucket") or {}).get("policy") or {}
    moved = [each for each in policy.get("statements") or () if each.get("Sid") == MOVED]
    named = [name for each in moved for name in _listed(each.get("Resource"))]
    paths = {name.partition(":::")[2].partition("/")[2] for name in named}
    return {path for path in paths if lock_file(path) in paths}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _come_along() -> str:
    return command("terraform", "init", "-reconfigure", note="in each checkout of it, then retire the old bucket")


def duration(age_s: float) -> str:
    minutes = int(age_s // 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


def digests(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    rows = [each for each in facts.get("digests") or () if not _is_told(each, facts)]
    orphans = [each["path"] for each in rows if _status(each, facts, wanted) == ORPHAN]
    are_many = _are_many(orphans, facts)
    if are_many:
        yield _lost(orphans, facts, wanted)
    for digest in rows:
        status, path = _status(digest, facts, wanted), digest["path"]
        if status == ORPHAN and not are_many:
            yield finding_of("digest.orphan", path, _describe_digest(digest), _return_of([path], wanted))
        elif status in REPAIRED_BY:
            more = BEHIND_LOCK if _is_behind(digest, status) else ""
            detail = f"{_describe_digest({**digest, 'status': status})}{more}"
            fix = _repair(digest, status, facts, wanted)
            if digest.get("conflict") and fix == wanted.play_on(REPAIRED_BY["mismatch"], path):
                fix = _accepting(digest, wanted)
            yield finding_of(f"digest.{status}", path, detail, fix)


def _status(digest: FactRow, facts: Facts, wanted: Expectations) -> str:
    """While somebody holds the lock, a digest may be late. Behind a lock that nobody holds any more it stays so."""
    status, path = str(digest["status"]), digest["path"]
    if status != "in_progress":
        return status
    locks_on = [each for each in facts.get("locks") or () if each["path"] == path]
    if not locks_on or not all(_is_left(each, wanted) for each in locks_on):
        return status
    if digest.get("actual"):
        return "mismatch"
    is_kept = any(each["path"] == path and each.get("is_deleted") for each in facts.get("states") or ())
    return "deleted" if is_kept else ORPHAN


def _is_left(lock: FactRow, wanted: Expectations) -> bool:
    """Whether nobody is known to be at work under a lock: it is stale, says no age, or cannot be read."""
    age_s = lock.get("age_s")
    is_stale = age_s is None or age_s > wanted.stale_lock_s
    return bool(lock.get("is_wedged")) or (lock.get("is_wedged") is False and is_stale)


def _is_behind(digest: FactRow, status: str) -> bool:
    return bool(digest["status"] != status)


def _is_told(digest: FactRow, facts: Facts) -> bool:
    """Whether its state, or the table that lacks it, has another finding."""
    has_no_table = (facts.get("table") or {}).get("exists") is False
    return bool(digest["status"] == "missing" and (has_no_table or digest["path"].endswith(".tflock")))


def _are_many(orphans: Sequence[str], facts: Facts) -> bool:
    """Whether the bucket was emptied, or deleted and created again, and not just a state deleted."""
    states = facts.get("states")
    is_empty = states is not None and all(state.get("is_deleted") for state in states)
    there = [each for each in facts.get("digests") or () if each["status"] != "missing"]
    are_part = len(orphans) >= PART * len(there)
    return bool(orphans) and (is_empty or (len(orphans) >= MANY and are_part))


def _lost(orphans: Sequence[str], facts: Facts, wanted: Expectations) -> Finding:
    named = ", ".join(orphans[:NAMED]) + (f" and {len(orphans) - NAMED} more" if orphans[NAMED:] else "")
    detail = f"There are digests and no version of a state for {named}."
    return finding_of("digest.states_lost", str(facts["bucket"]["name"]), detail, _return_of([], wanted))


def _return_of(paths: Sequence[str], wanted: Expectations) -> str:
    """The command that restores them from a backup, in check mode first."""
    keys = {"keys": [_pattern(path) for path in paths]} if paths else {}
    note = "stop pipelines, then run it again without --check. With no backup follow docs/runbooks/lost-bucket.md"
    return wanted.play("restore_backup", "--check", "--diff", note=note, **keys)


def _repair(digest: FactRow, status: str, facts: Facts, wanted: Expectations) -> str:
    """Only a state that can be read gets a digest."""
    path = str(digest["path"])
    if _is_behind(digest, status):
        return LOCK_FIRST
    states = {state["path"]: state for state in facts.get("states") or () if not state.get("is_deleted")}
    state = states.get(path, {})
    if status != "deleted" and state.get("is_readable") is False:
        return UPGRADE if is_newer(state) else _restoration(path, facts, wanted)
    if status == "malformed" and facts.get("states") is not None and path not in states:
        return _return_of([path], wanted)
    return wanted.play_on(REPAIRED_BY[status], path)


def _accepting(digest: FactRow, wanted: Expectations) -> str:
    """For a state that a repair refuses to accept without a word, as it does not continue an older version."""
    play = wanted.play_on("repair_digest", digest["path"], allow=["accept_state"])
    conflict = digest["conflict"] if is_note(digest["conflict"]) else "the state does not continue its history"
    if play.startswith("#"):
        return play
    return (
        f"{DECIDE} {conflict}. If an older version is right, restore it with the playbook restore_version. If the "
        f"state is right as it is now: {play}"
    )


def _describe_digest(digest: FactRow) -> str:
    if digest["status"] == "deleted":
        return "The state can be undeleted from its versions."
    if digest.get("conflict"):
        return f"The table says {digest['digest']}, the state has {digest.get('actual')}: {digest['conflict']}."
    if digest["status"] == "mismatch" and digest.get("matches_version"):
        return f"It is that of the version {digest['matches_version']}: the state was written past the table since."
    expected, actual = digest.get("digest") or "none", digest.get("actual") or "none"
    if digest["status"] == ORPHAN:
        return f"The table says {expected}, and there is no version of a state."
    if digest["status"] in ("missing", "malformed") and not digest.get("actual"):
        return f"The table says {expected}; the state was not compared."
    return f"The table says {expected}, the state has {actual}."


def states(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    rows = facts.get("digests") or ()
    known = {each["path"]: {each["status"], _status(each, facts, wanted)} for each in rows}
    told = {path for path, statuses in known.items() if statuses & {"deleted", "in_progress"}}
    for state in facts.get("states") or ():
        path = state["path"]
        if path.endswith(".tflock") and not state.get("is_deleted"):
            yield _under_a_lock_file(path, wanted)
        if state.get("is_deleted") and path not in told:
            yield _deleted(state, facts, wanted)
        elif state.get("is_archived"):
            yield _archived(state, facts, wanted)
        elif state.get("is_readable") is False:
            fix = UPGRADE if is_newer(state) else _restoration(path, facts, wanted)
            yield finding_of("state.unreadable", path, _damage(state), fix)


def is_newer(state: FactRow) -> bool:
    """Whether it is no damage: a client wrote it that knows a later version of states."""
    return NEWER in str(state.get("problem"))


def _damage(state: FactRow) -> str:
    older = state.get("older_version_id")
    return (
        f"{state['problem']}. The version {shortened(older)} before it is a state." if older else str(state["problem"])
    )


def _deleted(state: FactRow, facts: Facts, wanted: Expectations) -> Finding:
    """What it held decides how bad that is, and not whether code names it: resources do not go with their code."""
    path, held = state["path"], state.get("resources")
    what = (
        "What it held is not known." if held is None else f"It held {held} {'resource' if held == 1 else 'resources'}."
    )
    is_moved = any(each["path"] == path and _is_of_moved_state(each, facts) for each in facts.get("locks") or ())
    detail = f"Its newest version is a delete marker. {what}{' It has moved.' if is_moved else ''}"
    note = "undeletes it. If its resources are gone, too, leave it deleted and waive this finding"
    fix = _come_along() if is_moved else wanted.play_on("restore_version", path, note=note)
    return finding_of("state.deleted", path, detail, fix, "info" if held == 0 or is_moved else None)


def _archived(state: FactRow, facts: Facts, wanted: Expectations) -> Finding:
    path, storage_class = str(state["path"]), str(state.get("storage_class") or "an archive")
    rules = archiving_rules(facts, state, wanted)
    which = "rule " if len(rules) == 1 else "rules "
    by = f" The lifecycle {which}{', '.join(sorted(rules))} moves states there." if rules else ""
    is_copied = state.get("is_readable") and storage_class in ARCHIVES
    until = "is read from a restored copy, which expires" if is_copied else "cannot be read until it is restored"
    detail = f"It is in {storage_class}, and {until}.{by}"
    return finding_of("state.archived", path, detail, _unarchive(path, storage_class, bool(is_copied), facts, wanted))


def _unarchive(path: str, storage_class: str, is_copied: bool, facts: Facts, wanted: Expectations) -> str:
    """The request to restore it, and the copy in place that makes it last."""
    bucket = str(facts["bucket"]["name"])
    where = ("--bucket", bucket, "--key", path)
    copying = (*where, "--copy-source", f"{bucket}/{percent_encoded(path)}", "--storage-class", "STANDARD")
    rule_first = "after the lifecycle rule is gone (bucket.archiving), and while nobody applies"
    if is_copied:
        fix = wanted.aws(facts, "s3api", "copy-object", *copying, note=rule_first)
    elif storage_class in ARCHIVES:
        then = f"then, in {RESTORE_HOURS[storage_class]} hours, {rule_first}, copy it in place: "
        words = ("aws", "s3api", "copy-object", *wanted.aws_options(facts), *copying)
        note = then + words_in_note(words)
        fix = wanted.aws(facts, "s3api", "restore-object", *where, "--restore-request", "Days=7", note=note)
    elif storage_class == TIERED:
        note = "it can be read in 12 hours. Take states out of the archive tiers of the bucket, too"
        fix = wanted.aws(facts, "s3api", "restore-object", *where, "--restore-request", {}, note=note)
    else:
        fix = NO_COMMAND
    return fix if fix != NO_COMMAND else list_archived(facts, wanted)


def list_archived(facts: Facts, wanted: Expectations) -> str:
    shown = ("--query", "Contents[].[StorageClass,Key]", "--output", "text")
    note = "restore what is in GLACIER or DEEP_ARCHIVE with aws s3api restore-object, which takes hours"
    return wanted.aws(facts, "s3api", "list-objects-v2", "--bucket", facts["bucket"]["name"], *shown, note=note)


def _restoration(path: str, facts: Facts, wanted: Expectations) -> str:
    version_id = _version_before(path, facts)
    if version_id and is_plain(version_id):  # as those of S3 are
        return wanted.play_on("restore_version", path, version_id=version_id)
    note = "then the playbook restore_version with the version_id of one that is whole"
    return wanted.play("info", note=note, gather=["states", "versions"], keys=[_pattern(path)])


def _pattern(path: str) -> str:
    """A shell pattern of a path; what is not harmless in a command is any character."""
    return "".join(escape(each) if is_harmless(each) else "?" for each in path)


def _version_before(path: str, facts: Facts) -> str | None:
    """The version that the digest matches, or that is a state, or else the newest before the current, if known."""
    by_digest = [each.get("matches_version") for each in facts.get("digests") or () if each["path"] == path]
    rows = [state for state in facts.get("states") or () if state["path"] == path]
    by_digest += [state.get("older_version_id") for state in rows]
    kept = [state.get("versions") or () for state in rows]
    older = [each["version_id"] for versions in kept for each in versions if not each["is_latest"] and each["size"]]
    return next((str(version_id) for version_id in [*by_digest, *older] if version_id), None)

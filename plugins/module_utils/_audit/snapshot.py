# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend held at a moment, without the contents of its states, and how it differs from that later. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.model import Invalid
from .._core.printable import shortened
from .._terraform.protocol import FREEZE
from .expectations import Facts

FORMAT = 1
#: Of a state. What is left out is not compared, such as the versions of another backend.
OF_STATE = ("lineage", "serial", "md5", "version_id", "version_count")
OF_LOCK = ("path", "store", "lock_id", "who", "operation")

State = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """`states`: by path; a deleted one has `is_deleted`. `digests`: by path. `locks`: None if they are not compared."""

    bucket: str
    region: str
    taken: str
    states: Mapping[str, State]
    digests: Mapping[str, str | None] | None
    locks: Sequence[Mapping[str, Any]] | None
    #: Objects that are no states, if that is known.
    others: Sequence[str] = ()

    def text(self) -> str:
        members = {
            "format": FORMAT,
            **{"bucket": self.bucket, "region": self.region, "taken": self.taken},
            **{"states": self.states, "digests": self.digests, "locks": self.locks},
        }
        return json.dumps(members, indent=2, sort_keys=True) + "\n"

    def is_like(self, other: Snapshot) -> bool:
        """Whether the same was there at another moment."""
        return (self.bucket, self.region, self.states, self.digests, self.locks) == (
            *(other.bucket, other.region, other.states, other.digests, other.locks),
        )


@dataclass(frozen=True)
class Difference:
    path: str
    what: str
    text: str
    before: Any = None
    now: Any = None


def snapshot_of(facts: Facts, taken: str) -> Snapshot:
    """Locks of a freeze are left out: it comes and goes while something is repaired."""
    states = {
        row["path"]: {"is_deleted": True, **{name: row.get(name) for name in OF_STATE[3:]}}
        if row["is_deleted"]
        else {name: row.get(name) for name in OF_STATE}
        for row in facts["states"] or ()
    }
    digests = {row["path"]: row["digest"] for row in facts["digests"] or () if row["digest"] is not None}
    locks = [
        {name: row.get(name) for name in OF_LOCK} for row in facts["locks"] or () if row.get("operation") != FREEZE
    ]
    bucket = facts["bucket"]["name"]
    return Snapshot(bucket, facts["region"], taken, states, digests, locks, tuple(facts.get("others") or ()))


def parsed_snapshot(text: str, where: str) -> Snapshot:
    """Raises Invalid if the file is none that a run has written."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise Invalid(f"{where} is no snapshot of tf_backend_verify of format {FORMAT}: name the file that it wrote")
    named, states, digests, locks = (told.get(name) for name in ("bucket", "states", "digests", "locks"))
    is_whole = (
        all(isinstance(told.get(name), str) for name in ("bucket", "region", "taken"))
        and isinstance(states, dict)
        and all(isinstance(state, dict) for state in states.values())
        and isinstance(digests, dict)
        and isinstance(locks, list)
        and all(isinstance(lock, dict) and isinstance(lock.get("path"), str) for lock in locks)
    )
    if not is_whole:
        raise Invalid(f"{where} is a snapshot of tf_backend_verify that somebody changed: take another one")
    return Snapshot(str(named), told["region"], told["taken"], states or {}, digests, locks)


def differences(before: Snapshot, now: Snapshot) -> list[Difference]:
    """In the order of the paths. The versions and locks of another backend are not compared."""
    is_same = (before.bucket, before.region) == (now.bucket, now.region)
    found = [
        *_of_states(before, now, OF_STATE if is_same else OF_STATE[:3]),
        *_of_digests(before, now),
        *(_of_locks(before, now) if is_same else ()),
    ]
    return sorted(found, key=lambda each: each.path)


def mismatches(facts: Facts) -> list[Difference]:
    """The digests that do not fit now, whatever there was before."""
    return [
        Difference(
            row["path"],
            "digest",
            f"{row['path']}: its digest is {row['digest']}, which is not that of the state: every client stops",
            now=row["digest"],
        )
        for row in facts["digests"] or ()
        if row["status"] == "mismatch"
    ]


def _of_states(before: Snapshot, now: Snapshot, names: Sequence[str]) -> Iterator[Difference]:
    for path in sorted({*before.states, *now.states}):
        was, is_now = before.states.get(path), now.states.get(path)
        if was is None and is_now is not None:
            if not is_now.get("is_deleted"):
                yield Difference(path, "appeared", f"{path}: it was not there; now it has {_named(is_now)}", None, True)
        elif was is not None and (is_now is None or is_now.get("is_deleted")):
            if not was.get("is_deleted") and path not in now.others:
                how = "it was deleted; its versions are there" if is_now else "it is gone, with all versions"
                yield Difference(path, "vanished", f"{path}: it had {_named(was)}, and {how}", True, None)
        elif was is not None and is_now is not None:
            yield from _of_state(path, was, is_now, names)


def _of_state(path: str, was: State, is_now: State, names: Sequence[str]) -> Iterator[Difference]:
    if was.get("is_deleted"):
        yield Difference(path, "appeared", f"{path}: it was deleted; now it has {_named(is_now)}", None, True)
        return
    for name in names:
        old, new = was.get(name), is_now.get(name)
        if name in was and old != new and not (name == "md5" and None in (old, new)):
            yield Difference(path, name, f"{path}: {_sentence(name, old, new, was, is_now)}", old, new)


def _sentence(name: str, old: Any, new: Any, was: State, is_now: State) -> str:
    if name == "lineage":
        return f"it has the lineage {new}, and had {old}: it is another state"
    if name == "serial":
        went_back = isinstance(old, int) and isinstance(new, int) and new < old
        return f"it has the serial {new}, and had {old}: " + ("it went back" if went_back else "somebody wrote it")
    if name == "md5":
        is_alike = all(was.get(each) == is_now.get(each) for each in ("lineage", "serial"))
        return "its content differs" + (", with the same lineage and serial" if is_alike else "")
    if name == "version_id":
        return f"its current version is {new}, and was {old}"
    return f"it has {new} versions, and had {old}"


def _named(state: State) -> str:
    if state.get("lineage") is None and state.get("serial") is None:
        return "no lineage or serial that can be read"
    return f"lineage {state.get('lineage')} and serial {state.get('serial')}"


def _of_digests(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    if before.digests is None or now.digests is None:
        return
    for path in sorted({*before.digests, *now.digests}):
        old, new = before.digests.get(path), now.digests.get(path)
        if old != new:
            yield Difference(
                path, "digest", f"{path}: its digest is {new or 'gone'}, and was {old or 'none'}", old, new
            )


def _of_locks(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    was, is_now = (
        {(each["path"], each.get("store"), each.get("lock_id")): each for each in snapshot.locks or ()}
        for snapshot in (before, now)
    )
    for name in sorted({*was} ^ {*is_now}, key=str):
        lock = was.get(name) or is_now[name]
        who = f"by {shortened(lock.get('who'))} ({lock.get('store')}, {shortened(lock.get('operation'))})"
        text = f"it was locked {who}, and is not any more" if name in was else f"it is locked {who}, and was not"
        yield Difference(name[0], "lock", f"{name[0]}: {text}", was.get(name), is_now.get(name))

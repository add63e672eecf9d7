# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who holds a lock, since when and for what: for results and for messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .._core.model import Invalid
from .._core.printable import shortened
from .._terraform.protocol import LockInfo, Wedged, id_hash, is_canonical, lock_name
from .stores import Lock

UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_PART = re.compile("([0-9]+)([wdhms])")


def seconds(duration: str) -> int:
    """`90`, `2h` or `1d12h` in seconds."""
    if duration.isascii() and duration.isdigit():
        return int(duration)
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise Invalid(f"{duration!r} is not a duration; use 2h, 90m, 1d12h or a number of seconds")
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def age_s(lock: Lock, locks: Sequence[Lock], now: datetime) -> int | None:
    """How long a lock has been held, in seconds; None if unknown.

    A client that locks in both stores holds one lock: the later of its two times counts, as its clock may be slow.
    """
    times = [each.since for each in locks if each.id == lock.id and each.since]
    return int((now - max(times)).total_seconds()) if times and lock.since else None


def to_result(locks: Sequence[Lock], now: datetime) -> list[dict[str, Any]]:
    """Locks for results. The content of an unreadable one is not shown, as it may be anything."""
    return [_lock_result(lock, age_s(lock, locks, now)) for lock in locks]


def _lock_result(lock: Lock, age: int | None) -> dict[str, Any]:
    known = lock.record if isinstance(lock.record, LockInfo) else None
    return {
        "store": lock.store,
        "path": lock.path,
        "lock_id": lock.id or None,
        "lock_id_sha256": id_hash(lock.id) if lock.id else None,
        "operation": known and known.operation,
        "info": known and known.info,
        "who": known and known.who,
        "client": known and known.version,
        "created": known.created_if_known if known else None,
        "age_s": age,
        "is_wedged": known is None,
        "is_canonical": is_canonical(lock.text),
        "problem": lock.record.reason if isinstance(lock.record, Wedged) else None,
    }


def sentence(path: str, locks: Sequence[Lock], now: datetime) -> str:
    """Who holds the lock of a state, as `app/one.tfstate is locked by me@here since ...`."""
    found: dict[str, list[Lock]] = {}
    for lock in locks:
        found.setdefault(lock.id, []).append(lock)
    if not found:
        return f"{path} is not locked"
    return f"{path} is locked {', and '.join(_held(same, age_s(same[0], locks, now)) for same in found.values())}"


def _held(same: Sequence[Lock], age: int | None) -> str:
    record, where = same[0].record, " and ".join(lock.store for lock in same)
    name = f", lock id {lock_name(same[0].id)}" if same[0].id else ""
    if isinstance(record, Wedged):
        return f"by a record that no client can read or release ({record.reason}; {where}{_for(age)}{name})"
    info = f", {shortened(record.info)!r}" if record.info else ""
    about = f"{shortened(record.operation)}{info}, {shortened(record.version)}; {where}{_for(age)}{name}"
    return f"by {shortened(record.who)} since {record.since_in_words} ({about})"


def _for(age: int | None) -> str:
    """The two largest units: `, for 2 h 5 m`."""
    if age is None or age < 0:
        return ""
    parts = []
    for unit, size in UNITS.items():
        count, age = divmod(age, size)
        if count:
            parts.append(f"{count} {unit}")
    return f", for {' '.join(parts[:2]) or '0 s'}"

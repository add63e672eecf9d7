# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Terraform and OpenTofu write when they lock a state, and under which names: the same bytes, out and in.

Source: internal/states/statemgr/locker.go and internal/backend/remote-state/s3 of hashicorp/terraform.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from .._core.commands import is_plain
from .._core.printable import shortened

DEFAULT_WORKSPACE, WORKSPACE_KEY_PREFIX = "default", "env:"

#: Terraform's uploader (aws-sdk-go-v2, feature/s3/manager) writes what is larger in parts of this size.
PART_BYTES = 5 * 2**20

#: How the hash of a lock's id begins, by which it is named where the id could run as code.
HASH = "sha256:"
_SHORTEST, _LONG = len(HASH) + 12, len(HASH) + 16

#: The operation of locks that protect the source of a state that has moved, or is being moved.
MOVING = "tf_state_move"
#: The operation of locks that hold the states of a backend while people repair it.
FREEZE = "freeze"
#: At the end of the info of such a lock, from the first write of a restore under it to the last one.
UNFINISHED = " (not restored completely yet)"

#: The members of a record, in Go's order and that of LockInfo.
MEMBERS = ("ID", "Operation", "Info", "Who", "Version", "Created", "Path")
_PLACES = {name.casefold(): place for place, name in enumerate(MEMBERS)}
_CREATED = MEMBERS.index("Created")
#: Go's zero time: what a record without `Created` is read as.
_NEVER = "0001-01-01T00:00:00Z"
#: No client wrote a lock earlier: this is before Terraform's first release. Go's and Unix's zero times are, too.
_FIRST_CLIENT = datetime(2014, 1, 1, tzinfo=timezone.utc)

#: What Go's json.Marshal escapes and Python's does not. No str but a broken one has surrogates.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_SURROGATE = re.compile("[\ud800-\udfff]")

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def put_requests(size: int) -> int:
    """In how many requests Terraform writes a state: one, or the parts, what opens them and what completes them."""
    return 1 if size <= PART_BYTES else 2 + -(-size // PART_BYTES)


@dataclass(frozen=True)
class LockInfo:
    """A lock record. `created` is as Go writes a time; `path` is bucket/path, also in a lock file."""

    id: str
    operation: str
    info: str
    who: str
    version: str
    created: str
    path: str

    @property
    def since(self) -> datetime | None:
        """When the client took the lock, by its own clock, in UTC; nanoseconds are cut off. None if it is unknown."""
        moment = _instant(self.created)
        return moment if moment >= _FIRST_CLIENT else None

    @property
    def created_if_known(self) -> str | None:
        """As the client wrote it; None for Go's zero time and any other time before there were clients."""
        return self.created if self.since else None

    @property
    def since_in_words(self) -> str:
        return self.created_if_known or "an unknown time"


@dataclass(frozen=True)
class Wedged:
    """A lock that no client can read, and so none can wait for or release."""

    reason: str
    #: A state lies where the lock file of another one would: it is never released, which would delete it.
    is_state: bool = False


IS_STATE = Wedged("it is a state under the name of a lock file, and no lock", is_state=True)


def marshal(info: LockInfo) -> str:
    """Byte for byte what Go's json.Marshal makes of it."""
    record = dict(zip(MEMBERS, astuple(info), strict=True))
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return _SURROGATE.sub(r"\\ufffd", text.translate(_ESCAPES))


def parsed(text: str | None) -> LockInfo | Wedged:
    """The record in an item's `Info` or in a lock file, as Go's json.Unmarshal reads it; None: it has none."""
    if text is None:
        return Wedged("it has no Info")
    try:
        members = json.loads(text, object_pairs_hook=tuple, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Wedged("it is not JSON" if text.strip() else "it is empty")
    if not isinstance(members, tuple):
        return Wedged("it is no JSON object")
    found = ["", "", "", "", "", _NEVER, ""]
    for name, value in members:
        place = _PLACES.get(name.casefold())
        if place is None or value is None:
            continue
        if not isinstance(value, str):
            return Wedged(f"its {MEMBERS[place]} is no text")
        found[place] = _SURROGATE.sub("\ufffd", value)
    created = _as_go_writes(found[_CREATED])
    if created is None:
        return Wedged("its Created is no time")
    if not found[0]:
        return Wedged("it has no ID")
    found[_CREATED] = created
    return LockInfo(*found)


def is_canonical(text: str | None) -> bool:
    """Whether OpenTofu can release a table's lock: it deletes what equals its own re-marshalled JSON."""
    info = parsed(text)
    return isinstance(info, LockInfo) and marshal(info) == text


def seen_id(info: Mapping[str, Any] | None) -> str:
    """What a table's lock without an id goes by: its `Info` as DynamoDB gives it, hashed. None: it has none."""
    text = info["S"] if info and "S" in info else json.dumps(info, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def id_hash(id: str) -> str:
    return HASH + hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()


def lock_name(id: str) -> str:
    """What a person types for a lock: its id, or the begin of its hash where the id could run as code."""
    return id if is_plain(id) and not id.startswith(HASH) else id_hash(id)[:_LONG]


def is_named(id: str, name: str) -> bool:
    """Whether the lock of this id is meant. A name that begins as a hash is never an id."""
    if name.startswith(HASH):
        return len(name) >= _SHORTEST and id_hash(id).startswith(name.lower())
    return id == name


def rfc3339nano(moment: datetime) -> str:
    """An aware time as Go writes it: in UTC, without trailing zeros."""
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    whole, _dot, fraction = utc.isoformat(timespec="microseconds").partition(".")
    return _joined(whole, fraction, "Z")


def uuid_of(sixteen: bytes) -> str:
    """Sixteen bytes in the layout of a UUID, of no version, as the clients make their lock ids."""
    digits = sixteen.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def state_path(key: str, workspace: str, workspace_key_prefix: str = WORKSPACE_KEY_PREFIX) -> str:
    """The object key of a workspace's state: `key` as it is, or Go's path.Join, which resolves `//`, `.` and `..`."""
    if workspace == DEFAULT_WORKSPACE:
        return key
    joined = "/".join(part for part in (workspace_key_prefix, workspace, key) if part)
    return posixpath.normpath(re.sub("//+", "/", joined))


def lock_file(path: str) -> str:
    return f"{path}.tflock"


def lock_id(bucket: str, path: str) -> str:
    """The `LockID` of a state's lock in a table. It names no account and no region."""
    return f"{bucket}/{path}"


def digest_id(bucket: str, path: str) -> str:
    return f"{lock_id(bucket, path)}-md5"


def split_id(item_id: str) -> tuple[str, str]:
    """A LockID to bucket and path. Whether the item is a digest, only its attributes say, never its name."""
    bucket, _slash, path = item_id.partition("/")
    return bucket, path


def is_frozen_by(record: object) -> bool:
    """Whether a record is that of a freeze."""
    return isinstance(record, LockInfo) and record.operation == FREEZE


def is_unfinished(record: object) -> bool:
    """Whether a run that works under a freeze has begun with the state, and not ended."""
    return isinstance(record, LockInfo) and is_frozen_by(record) and record.info.endswith(UNFINISHED)


def freeze_sentence(freeze: Mapping[str, Any]) -> str:
    states = "1 state is" if freeze["states"] == 1 else f"{freeze['states']} states are"
    why = f" because {shortened(freeze['reason'])!r}" if freeze["reason"] else ", without a reason"
    since = freeze["created"] or "an unknown time"
    return f"{states} frozen by {shortened(freeze['who'])} since {since}{why}"


def as_unfinished(record: LockInfo) -> LockInfo:
    return replace(record, info=as_finished(record).info + UNFINISHED)


def as_finished(record: LockInfo) -> LockInfo:
    return replace(record, info=record.info.removesuffix(UNFINISHED))


def is_of_moved_state(operation: str, info: str, bucket: str, path: str) -> bool:
    """Whether a lock keeps a state that has moved away; where a move that was cut short leads to, its lock is none."""
    return operation == MOVING and not info.endswith(f" to s3://{bucket}/{path}")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are none of JSON's


def _as_go_writes(text: str) -> str | None:
    """A time as Go reads it and writes it again; None: it cannot read it."""
    matched = _TIME.fullmatch(text)
    if not matched:
        return None
    try:
        _instant(text)
    except (ValueError, OverflowError):
        return None
    whole, fraction, zone = matched.groups(default="")
    return _joined(whole, fraction, "Z" if zone in ("+00:00", "-00:00") else zone)


def _joined(whole: str, fraction: str, zone: str) -> str:
    digits = fraction[:9].rstrip("0")
    return f"{whole}.{digits}{zone}" if digits else whole + zone


def _instant(text: str) -> datetime:
    whole, fraction, zone = re.fullmatch(_TIME, text).groups(default="")  # type: ignore[union-attr]
    aware = datetime.strptime(whole + zone, "%Y-%m-%dT%H:%M:%S%z")
    return aware.replace(microsecond=int(fraction[:6].ljust(6, "0"))).astimezone(timezone.utc)

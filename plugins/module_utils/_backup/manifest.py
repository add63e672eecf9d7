# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup says of itself: each version with where its body lies, oldest first, and the items of the table. Pure.

The last version of a key was the current one when the backup was taken.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeAlias

from .._core.model import Invalid
from .manifest_checks import WrongMember, check_members

#: The name of the file, or object.
MANIFEST = "backup.json"
FORMAT = 1
#: So many of a kind are named.
NAMED = 5

#: What tells a version from all others. Of an unversioned object only its time and content do.
Identity: TypeAlias = tuple[str, str, str, str | None]
#: An item of the table as DynamoDB gives it.
RawItem: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """A version or delete marker as a listing tells of it. Times are ISO 8601 in UTC, so that they sort as text."""

    key: str
    version_id: str
    last_modified: str
    etag: str | None
    size: int
    is_latest: bool
    is_delete_marker: bool

    @property
    def identity(self) -> Identity:
        return (self.key, self.version_id, self.last_modified, self.etag)

    def __str__(self) -> str:
        return f"version {self.version_id} of {self.key}"


@dataclass(frozen=True)
class Entry:
    """A version as it was saved. A delete marker has no body."""

    key: str
    version_id: str
    last_modified: str
    etag: str | None = None
    is_delete_marker: bool = False
    size: int = 0
    sha256: str | None = None
    md5: str | None = None
    #: As PutObject takes it: ContentType, Metadata and the like.
    content: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    #: How it was encrypted, for people: what is restored is encrypted as its new bucket says.
    encryption: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return (self.key, self.version_id, self.last_modified, self.etag)


@dataclass(frozen=True)
class Manifest:
    bucket: str
    region: str
    account_id: str | None
    table: str | None
    taken_at: str
    entries: tuple[Entry, ...] = ()
    items: tuple[RawItem, ...] = ()

    @property
    def identities(self) -> frozenset[Identity]:
        return frozenset(entry.identity for entry in self.entries)

    @property
    def bodies(self) -> dict[str, int]:
        """The size of each body, by its SHA-256."""
        return {entry.sha256: entry.size for entry in self.entries if entry.sha256}

    def histories(self) -> dict[str, tuple[Entry, ...]]:
        """The versions of each key, oldest first."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.key, []).append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

    def to_result(self) -> dict[str, Any]:
        """What is in it, in numbers."""
        return {
            "bucket": self.bucket,
            "region": self.region,
            "account_id": self.account_id,
            "table": self.table,
            "versions": len([entry for entry in self.entries if not entry.is_delete_marker]),
            "delete_markers": len([entry for entry in self.entries if entry.is_delete_marker]),
            "bytes": sum(entry.size for entry in self.entries),
            "items": len(self.items),
        }


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")


def oldest_first(versions: Iterable[Listed], markers: Iterable[Listed]) -> list[Listed]:
    """All of a listing, which gives versions and markers apart, each of them the newest first.

    Seconds are all the time that S3 tells. Within one, what was deleted had been written before.
    """
    both = [*reversed([*versions]), *reversed([*markers])]
    return sorted(both, key=lambda each: (each.key, each.is_latest, each.last_modified))


def grown(known: Iterable[Entry], more: Iterable[Entry], current: Collection[Identity] = ()) -> tuple[Entry, ...]:
    """Both together. What was found later was written later.

    What is current now comes last of its key: whoever deletes the newest version makes an older one current again.
    """
    return tuple(sorted([*known, *more], key=lambda each: (each.key, each.identity in current)))


def is_same(one: Manifest, other: Manifest) -> bool:
    """But for when it was taken."""
    return replace(one, taken_at="") == replace(other, taken_at="")


def text_of(manifest: Manifest) -> str:
    about = {name: value for name, value in asdict(manifest).items() if name not in ("entries", "items")}
    rows = {"versions": [*map(_row, manifest.entries)], "items": [_packed(item) for item in manifest.items]}
    return json.dumps({"format": FORMAT, **about, **rows}, indent=1, sort_keys=False) + "\n"


def manifest_of(text: str, where: str) -> Manifest:
    """Raises Invalid, naming the member, on what cannot be relied on to be restored."""
    try:
        told = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"{where} is not a backup: {MANIFEST} is not JSON ({type(problem).__name__})") from None
    _check_format(told, where)
    try:
        check_members(told)
    except WrongMember as wrong:
        raise Invalid(f"{where} is not a backup that can be restored: in {MANIFEST}, {wrong}") from None
    about = {each.name: told[each.name] for each in fields(Manifest) if each.name not in ("entries", "items")}
    entries = tuple(Entry(**row) for row in told["versions"])
    return Manifest(**about, entries=entries, items=tuple(_unpacked(item) for item in told["items"]))


def _check_format(told: Any, where: str) -> None:
    """First, as another format may have other members."""
    said = told.get("format") if isinstance(told, dict) else None
    if isinstance(said, int) and not isinstance(said, bool) and said != FORMAT:
        raise Invalid(f"{where} is a backup of format {said}; this version reads format {FORMAT}")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # JSON has no NaN and no Infinity


def _row(entry: Entry) -> dict[str, Any]:
    """What says nothing is left out."""
    return {name: value for name, value in asdict(entry).items() if value not in (None, {}, False, 0, "")} | (
        {} if entry.is_delete_marker else {"size": entry.size}
    )


def _packed(value: Any) -> Any:
    """Bytes, which only B and BS have, as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: _packed(each) for name, each in value.items()}
    return [_packed(each) for each in value] if isinstance(value, list) else value


def _unpacked(item: Mapping[str, Any]) -> RawItem:
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Mapping[str, Any]) -> Mapping[str, Any]:
    ((kind, held),) = value.items()
    if kind == "B":
        return {kind: base64.b64decode(held, validate=True)}
    if kind == "BS":
        return {kind: [base64.b64decode(each, validate=True) for each in held]}
    if kind == "M":
        return {kind: _unpacked(held)}
    return {kind: [_attribute(each) for each in held]} if kind == "L" else {kind: held}


@dataclass(frozen=True)
class Progress:
    """How many versions of a history are where it goes. `is_surpassed`: somebody went on from there."""

    count: int
    is_surpassed: bool = False


def progress(there: Sequence[str], markers: int, is_deleted: bool, wanted: Sequence[str | None]) -> Progress | None:
    """How far `there`, the hashes of a key's versions, is on its way to `wanted`, in which None is a delete marker.

    A listing does not tell how versions and markers of one second follow each other: they are compared apart, and
    `is_deleted`, whether a marker is the latest, tells the rest. A version that is there twice in a row is one whose
    reply was lost. None: what is there is the beginning of something else.
    """
    bodies = [each for each in wanted if each]
    count = 0
    for hashed in there:
        if count < len(bodies) and bodies[count] == hashed:
            count += 1
        elif count == len(bodies) > 0 and hashed != bodies[-1]:
            return Progress(len(wanted), True) if markers >= len(wanted) - count else None
        elif count == 0 or bodies[count - 1] != hashed:
            return None
    first, last = _stretch(wanted, count)
    earlier = first - count
    if markers < earlier:
        # The newest version was deleted for good when the backup was made: where it stayed so, all is as it was.
        return Progress(len(wanted), True) if count == len(bodies) > 0 and wanted[-1] and not is_deleted else None
    if not is_deleted:
        return Progress(first)
    if first == last:
        return Progress(len(wanted), True) if count == len(bodies) > 0 else None
    return Progress(min(last, first + max(1, markers - earlier)))


def _stretch(wanted: Sequence[str | None], count: int) -> tuple[int, int]:
    """Where the delete markers after so many bodies begin, and where they end."""
    places: Iterator[int] = (place for place, each in enumerate(wanted) if each)
    first = 0
    for _unused in range(count):
        first = next(places) + 1
    last = first
    while last < len(wanted) and wanted[last] is None:
        last += 1
    return first, last

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a backup: every version with the name of its body, oldest first, and the items of the table. Pure.

The last version of a key was the current version when the backup was made.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeAlias

from .._core.model import Invalid
from .manifest_checks import WrongMember, check_members

#: The name of the file, or object.
MANIFEST = "backup.json"
FORMAT = 1
#: Messages name at most this many objects.
NAMED = 5
#: The members of a manifest that are lists.
LISTS = ("entries", "items", "skipped")

#: Identifies a version. Unversioned objects differ only in time and content.
Identity: TypeAlias = tuple[str, str, str, str | None]
#: An item of the table as DynamoDB gives it.
RawItem: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """A version or delete marker as ListObjectVersions returns it. Times are ISO 8601 in UTC and sort as text."""

    key: str
    version_id: str
    last_modified: str
    etag: str | None
    size: int
    is_latest: bool
    is_delete_marker: bool
    storage_class: str | None = None

    @property
    def identity(self) -> Identity:
        return (self.key, self.version_id, self.last_modified, self.etag)

    def __str__(self) -> str:
        return f"version {self.version_id} of {self.key}"


@dataclass(frozen=True)
class Entry:
    """A version in the backup. A delete marker has no body."""

    key: str
    version_id: str
    last_modified: str
    etag: str | None = None
    is_delete_marker: bool = False
    size: int = 0
    sha256: str | None = None
    md5: str | None = None
    #: Parameters of PutObject, such as ContentType and Metadata.
    content: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    #: How it was encrypted, for information only: a restored version gets the encryption of its new bucket.
    encryption: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return (self.key, self.version_id, self.last_modified, self.etag)


@dataclass(frozen=True)
class Skipped:
    """An archived version that is not in the backup."""

    key: str
    version_id: str
    last_modified: str
    etag: str | None
    size: int
    #: Its storage class, or archive tier.
    storage_class: str

    @property
    def identity(self) -> Identity:
        return (self.key, self.version_id, self.last_modified, self.etag)

    def __str__(self) -> str:
        return f"version {self.version_id} of {self.key} ({self.storage_class})"


@dataclass(frozen=True)
class Manifest:
    bucket: str
    region: str
    account_id: str | None
    table: str | None
    taken_at: str
    entries: tuple[Entry, ...] = ()
    items: tuple[RawItem, ...] = ()
    #: Without these the backup is complete. They stay named until they are saved.
    skipped: tuple[Skipped, ...] = ()

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
        """The summary that modules return."""
        return {
            "bucket": self.bucket,
            "region": self.region,
            "account_id": self.account_id,
            "table": self.table,
            "versions": len([entry for entry in self.entries if not entry.is_delete_marker]),
            "delete_markers": len([entry for entry in self.entries if entry.is_delete_marker]),
            "bytes": sum(entry.size for entry in self.entries),
            "items": len(self.items),
            "skipped": len(self.skipped),
        }


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")


def oldest_first(versions: Iterable[Listed], markers: Iterable[Listed]) -> list[Listed]:
    """Merges the versions and markers of a listing, which returns each of the two newest first.

    S3 tells times in seconds. Within one second, a version comes before the marker that deletes it.
    """
    both = [*reversed([*versions]), *reversed([*markers])]
    return sorted(both, key=lambda each: (each.key, each.is_latest, each.last_modified))


def inserted(known: Iterable[Entry], late: Sequence[Entry], listed: Sequence[Listed]) -> list[Entry]:
    """Adds `late`, which earlier backups skipped, each where `listed`, the versions of the bucket, have it."""
    found = [*known]
    for entry in reversed(late):
        of_key = [each.identity for each in listed if each.key == entry.key]
        newer = {*of_key[of_key.index(entry.identity) + 1 :]}
        places = (place for place, each in enumerate(found) if each.identity in newer)
        found.insert(next(places, len(found)), entry)
    return found


def grown(known: Iterable[Entry], more: Iterable[Entry], current: Collection[Identity] = ()) -> tuple[Entry, ...]:
    """Adds `more`, which were written after those that are known.

    The current version comes last of its key: deleting the newest version makes an older one current again.
    """
    return tuple(sorted([*known, *more], key=lambda each: (each.key, each.identity in current)))


def is_same(one: Manifest, other: Manifest) -> bool:
    """Compares everything except the time of the backup."""
    return replace(one, taken_at="") == replace(other, taken_at="")


def text_of(manifest: Manifest) -> str:
    about = {name: value for name, value in asdict(manifest).items() if name not in LISTS}
    skipped = {"skipped": [asdict(each) for each in manifest.skipped]} if manifest.skipped else {}
    rows = {"versions": [*map(_row, manifest.entries)], "items": [_packed(item) for item in manifest.items]}
    return json.dumps({"format": FORMAT, **about, **rows, **skipped}, indent=1, sort_keys=False) + "\n"


def manifest_of(text: str, where: str) -> Manifest:
    """Raises Invalid, with the name of the member, if the manifest cannot be restored from."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"{where} is not a backup: {MANIFEST} is not JSON ({type(problem).__name__})") from None
    _check_format(data, where)
    try:
        check_members(data)
    except WrongMember as wrong:
        raise Invalid(f"{where} is not a backup that can be restored: in {MANIFEST}, {wrong}") from None
    about = {each.name: data[each.name] for each in fields(Manifest) if each.name not in LISTS}
    entries = tuple(Entry(**row) for row in data["versions"])
    skipped = tuple(Skipped(**row) for row in data.get("skipped", ()))
    return Manifest(**about, entries=entries, items=tuple(_unpacked(item) for item in data["items"]), skipped=skipped)


def _check_format(data: Any, where: str) -> None:
    """Checked first, because other formats can have other members."""
    written = data.get("format") if isinstance(data, dict) else None
    if isinstance(written, int) and not isinstance(written, bool) and written != FORMAT:
        raise Invalid(f"{where} is a backup of format {written}; this version reads format {FORMAT}")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # JSON has no NaN and no Infinity


def _row(entry: Entry) -> dict[str, Any]:
    """Empty members are left out."""
    return {name: value for name, value in asdict(entry).items() if value not in (None, {}, False, 0, "")} | (
        {} if entry.is_delete_marker else {"size": entry.size}
    )


def _packed(value: Any) -> Any:
    """Encodes bytes (B and BS) as base64."""
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

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backs up a backend: fetches new versions and reads them back, hashes the others again, and never drops any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from .._aws.errors import NO_SUCH_VERSION, cause_of
from .._aws.protocols import BackendClient
from .._core.model import Call, Failure, Target, TfstateError, WriteCallback, no_op
from .._engine.guard import Refused
from .._state.inspection import etag_md5
from .archived import Archived, archived_among, unreadable
from .bodies import Measure, Measured, damaged
from .inventory import items, name_of, raw_items_of, versions
from .manifest import (
    MANIFEST,
    Entry,
    Identity,
    Listed,
    Manifest,
    RawItem,
    Skipped,
    grown,
    inserted,
    is_same,
    manifest_of,
    some,
    text_of,
)
from .storage import PIECE, Storage, rewriting, scratch

#: How often versions that were written during the backup are fetched, too.
ROUNDS = 3
#: Returned by GetObject and accepted by PutObject.
CONTENT = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Metadata")
_UNSAVED = "cannot be saved"
#: Names the call that `on_saved` gets, which is none of AWS.
SAVED = "save_version"
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")


@dataclass(frozen=True)
class BackendContents:
    """The versions and items of the backend, without excluded ones."""

    versions: tuple[Listed, ...]
    #: None without a table.
    items: tuple[RawItem, ...] | None

    @property
    def identities(self) -> frozenset[Identity]:
        return frozenset(each.identity for each in self.versions)

    @property
    def current(self) -> frozenset[Identity]:
        return frozenset(each.identity for each in self.versions if each.is_latest)


@dataclass(frozen=True)
class BackupResult:
    """A complete backup, of which every body was read back."""

    manifest: Manifest
    #: The versions that this run fetched.
    entries: tuple[Entry, ...]
    is_changed: bool
    #: How many versions were written during the backup and are not in it.
    missed: int = 0

    @property
    def fetched(self) -> dict[str, Any]:
        return {"versions": len(self.entries), "bytes": sum(entry.size for entry in self.entries)}


@dataclass(frozen=True)
class Backup:
    """`excludes` and `excludes_item` tell which versions and items are not backed up, such as our own locks.

    `keeps_items`: items of the bucket that are no longer in the table were removed by the teardown that continues now.
    """

    aws: BackendClient
    bucket: Target
    table: str | None
    storage: Storage
    has_bucket: bool = True
    excludes: Callable[[Listed], bool] = lambda _listed: False
    excludes_item: Callable[[RawItem], bool] = lambda _item: False
    keeps_items: bool = False
    #: Called for each version that was saved.
    on_saved: WriteCallback = no_op
    #: Whether archived versions are left out. What is current never is.
    skips_archived: bool = False
    #: Advice: what leaves archived versions out.
    how_to_skip: str = "skip_archived: true to leave them out of the backup"
    #: The versions whose restore this run requests.
    requested: set[Identity] = field(default_factory=set)

    def check(self) -> tuple[str | None, Manifest | None]:
        """The existing manifest, as text and parsed. Raises TfstateError if this backend must not be saved there."""
        self.storage.check()
        text = self.storage.manifest()
        known = manifest_of(text, self.storage.url) if text is not None else None
        for name, mine, theirs in self._identity_of(known) if known else ():
            if None not in (mine, theirs) and mine != theirs:
                raise Refused(
                    f"{self.storage.url} holds the backup of another backend, whose {name} is {theirs} and not {mine}: "
                    "choose another place"
                )
        return text, known

    def _identity_of(self, known: Manifest) -> list[tuple[str, str | None, str | None]]:
        return [
            ("bucket", self.bucket.name, known.bucket),
            ("region", self.bucket.region, known.region),
            ("account", self.bucket.account_id, known.account_id),
            ("table", self.table, known.table),
        ]

    def check_sizes(self, listed: Iterable[Listed]) -> None:
        """Raises Refused if a version is too large for the storage."""
        most = self.storage.largest
        large = [str(each) for each in listed if most is not None and each.size > most]
        if large:
            raise Refused(
                f"{self.storage.url} cannot hold {some(large)}: AWS takes at most {most} bytes at once; name a folder"
            )

    def contents(self) -> BackendContents:
        found = versions(self.aws, self.bucket) if self.has_bucket else []
        held = None if self.table is None else items(self.aws, self.table)
        return BackendContents(
            tuple(each for each in found if not self.excludes(each)),
            None if held is None else tuple(each for each in held if not self.excludes_item(each)),
        )

    # Archived versions.

    def plan_restores(self) -> list[Archived]:
        """The archived versions that are not in the backup, and whose restore nobody has requested."""
        _text, known = self.check()
        archived = archived_among(self.aws, self.bucket, self._due(known, self.contents(), ()))
        found = [each for each in archived if not each.is_requested]
        self.requested.update(each.version.identity for each in found)
        return found

    def check_archived(self, listed: Iterable[Listed]) -> None:
        """Raises Refused if archived versions that are not in the backup keep it from being complete."""
        _text, known = self.check()
        saved = known.identities if known else frozenset()
        self._readable([each for each in listed if not self.excludes(each) and each.identity not in saved])

    def _readable(self, due: Sequence[Listed]) -> tuple[list[Listed], list[Skipped]]:
        """The versions to save, and those that are skipped."""
        skipped = self._skipped(archived_among(self.aws, self.bucket, due))
        names = {each.identity for each in skipped}
        return [each for each in due if each.identity not in names], skipped

    def _skipped(self, archived: Iterable[Archived]) -> list[Skipped]:
        """Raises Refused for archived versions that must not be skipped."""
        found = [
            replace(each, is_requested=each.is_requested or each.version.identity in self.requested)
            for each in archived
        ]
        needed = [each for each in found if each.version.is_latest or not self.skips_archived]
        if needed:
            raise Refused(unreadable(needed, self.how_to_skip))
        return [Skipped(*each.version.identity, each.version.size, each.tier) for each in found]

    # The backup.

    def plan(self) -> BackupResult:
        """The result of a backup, from listings alone."""
        (_text, known), now = self.check(), self.contents()
        due, skipped = self._readable(self._due(known, now, self._damaged(known)))
        self.check_sizes(due)
        entries = tuple(Entry(*each.identity, is_delete_marker=each.is_delete_marker, size=each.size) for each in due)
        known_ones = known.identities if known else frozenset()
        grown_by = [each for each in entries if each.identity not in known_ones]
        manifest = self._manifest(known, grown_by, now, skipped)
        return BackupResult(manifest, entries, bool(due) or known is None or not is_same(known, manifest))

    def carry_out(self) -> BackupResult:
        """Backs up until a listing shows nothing new. Raises TfstateError unless every body is stored and matches."""
        text, known = self.check()
        broken, now = self._damaged(known), self.contents()
        was_damaged = bool(broken)
        manifest = known or self._manifest(None, (), now)
        fetched: list[Entry] = []
        skipped: list[Skipped] = []
        for _unused in range(ROUNDS):
            names = {each.identity for each in skipped}
            due, more_skipped = self._readable([e for e in self._due(manifest, now, broken) if e.identity not in names])
            self.check_sizes(due)
            more, gone, late = self._fetch(due)
            skipped += [*more_skipped, *self._skipped(late)]
            broken -= {entry.identity for entry in more}
            fetched += more
            known_ones = manifest.identities
            new = [entry for entry in more if entry.identity not in known_ones]
            manifest = self._manifest(self._replaced(manifest, more), new, now, skipped)
            before, now = now, self.contents()
            self._check_gone(gone, now)
            if now.identities == before.identities and now.items == before.items:
                break
        if was_damaged:
            self._check_whole(manifest)
        if known is None or not is_same(known, manifest):
            self._write_manifest(manifest, text)
        missed = len(now.identities - manifest.identities - {each.identity for each in manifest.skipped})
        return BackupResult(
            manifest, tuple(fetched), bool(fetched) or known is None or not is_same(known, manifest), missed
        )

    def _damaged(self, known: Manifest | None) -> set[Identity]:
        """The versions whose bodies are missing or do not match the manifest."""
        return {entry.identity for entry in damaged(self.aws, self.storage, known.entries)} if known else set()

    def _check_whole(self, manifest: Manifest) -> None:
        """Raises TfstateError if a body still does not match the manifest."""
        lost = [
            f"version {each.version_id} of {each.key}" for each in damaged(self.aws, self.storage, manifest.entries)
        ]
        if lost:
            raise TfstateError(
                f"the backup in {self.storage.url} is damaged, and its bucket no longer has what would mend it: "
                f"{some(lost)}"
            )

    @staticmethod
    def _due(known: Manifest | None, now: BackendContents, broken: Collection[Identity]) -> list[Listed]:
        whole = known.identities - {*broken} if known else frozenset()
        return [each for each in now.versions if each.identity not in whole]

    @staticmethod
    def _replaced(manifest: Manifest, fetched: Iterable[Entry]) -> Manifest:
        """Replaces the entries of versions that were fetched again."""
        found = {entry.identity: entry for entry in fetched}
        return replace(manifest, entries=tuple(found.get(each.identity, each) for each in manifest.entries))

    def _manifest(
        self, known: Manifest | None, more: Sequence[Entry], now: BackendContents, skipped: Iterable[Skipped] = ()
    ) -> Manifest:
        """Adds versions and never removes any."""
        base = known or Manifest(self.bucket.name, self.bucket.region, self.bucket.account_id, self.table, "")
        were_skipped = {each.identity: each for each in base.skipped}
        late = [each for each in more if each.identity in were_skipped]
        entries = inserted(base.entries, late, now.versions)
        entries = [*grown(entries, [each for each in more if each.identity not in were_skipped], now.current)]
        left_out = were_skipped | {each.identity: each for each in skipped}
        for each in entries:
            left_out.pop(each.identity, None)
        return replace(
            base,
            table=base.table or self.table,
            account_id=base.account_id or self.bucket.account_id,
            entries=tuple(entries),
            items=self._items(base, now),
            skipped=tuple(sorted(left_out.values(), key=lambda each: (each.key, each.last_modified, each.version_id))),
        )

    def _items(self, base: Manifest, now: BackendContents) -> tuple[RawItem, ...]:
        """The items of the table; if the table is gone, those of the last backup."""
        if now.items is None:
            return base.items
        names = {name_of(each) for each in now.items}
        mine = raw_items_of(base.items, self.bucket.name) if self.keeps_items else []
        gone = [each for each in mine if name_of(each) not in names]
        return tuple(sorted([*now.items, *gone], key=lambda each: str(name_of(each))))

    def _write_manifest(self, manifest: Manifest, expected: str | None) -> None:
        moment = datetime.now(timezone.utc).isoformat(timespec="seconds")
        text = text_of(replace(manifest, taken_at=moment))
        manifest_of(text, self.storage.url)  # raises if it could not be restored from
        self.storage.write_manifest(text, expected)
        if self.storage.manifest() != text:
            raise TfstateError(f"{MANIFEST} in {self.storage.url} reads back other than it was written")

    def _fetch(self, due: Sequence[Listed]) -> tuple[list[Entry], dict[Identity, str], list[Archived]]:
        """The fetched versions, and those that no longer exist, for instance because lifecycle expired them.

        And those that turn out to be archived: a restored copy expires, and other stores may not list a storage class.
        """
        found = self.aws.together([partial(self._fetch_version, each) for each in due]) if due else []
        both = [*zip(due, found, strict=True)]
        gone = {each.identity: f"{each} {_UNSAVED}: {answer}" for each, answer in both if isinstance(answer, Failure)}
        archived = [each for each in found if isinstance(each, Archived)]
        return [each for each in found if isinstance(each, Entry)], gone, archived

    @staticmethod
    def _check_gone(gone: Mapping[Identity, str], now: BackendContents) -> None:
        """Raises TfstateError if a later listing still has the version."""
        for identity in gone.keys() & now.identities:
            raise TfstateError(gone[identity])

    def _fetch_version(self, each: Listed) -> Entry | Failure | Archived:
        if each.is_delete_marker:
            return Entry(*each.identity, is_delete_marker=True)
        self.aws.renew()
        with scratch() as body:
            fetch = Call("s3", "get_object", self._version(each))
            answer = self.aws.stream(fetch, rewriting(body))
            if isinstance(answer, Failure) and answer.code in NO_SUCH_VERSION:
                return answer
            if isinstance(answer, Failure) and cause_of(answer) == "archived":
                return Archived(each, each.storage_class or answer.code)
            if isinstance(answer, Failure):
                raise TfstateError(f"{each} {_UNSAVED}: {answer}")
            found = _measure(body)
            if found.size != each.size or etag_md5(answer) not in (None, found.md5):
                raise TfstateError(f"{each} {_UNSAVED}: it reads back other than S3 says; run again")
            if self.storage.measure(found.sha256) != found:  # another version may have the same body
                body.seek(0)
                self.storage.write_body(found.sha256, body)
                if self.storage.measure(found.sha256) != found:
                    raise TfstateError(f"{each} reads back from {self.storage.url} other than it was written")
        self.on_saved(replace(fetch, operation=SAVED))
        return Entry(
            *each.identity,
            size=found.size,
            sha256=found.sha256,
            md5=found.md5,
            content={name: answer[name] for name in CONTENT if answer.get(name)},
            tags=self._tags(each) if answer.get("TagCount") else {},
            encryption={name: answer[name] for name in ENCRYPTION if answer.get(name)},
        )

    def _tags(self, each: Listed) -> dict[str, str]:
        (answer,) = self.aws.read([Call("s3", "get_object_tagging", self._version(each))])
        if isinstance(answer, Failure):
            raise TfstateError(f"{each} cannot be saved with its tags: {answer}")
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def _version(self, each: Listed) -> dict[str, str]:
        return {**self.bucket.bucket, "Key": each.key, "VersionId": each.version_id}


def _measure(body: Any) -> Measured:
    measure = Measure()
    body.seek(0)
    while piece := body.read(PIECE):
        measure.take(piece)
    return measure.result

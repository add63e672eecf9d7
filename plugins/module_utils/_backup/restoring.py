# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup brought back: every version in order, under the lock of its state until the last one and its digest are in.

The lock stays when a run is cut short, so that no client takes an older version for the current one. What is there is
never overwritten: it is the beginning of what has to be there, or the whole is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from .._aws_errors import MAYBE_UNSEEN
from .._core import TfstateError
from .._guard import Refused
from .._lock_record import digest_id, lock_id
from .._state.digest_item import digest_of, put_item
from .._state.listing import item_of
from .._state.scope import SUFFIX, Scope
from .census import items, versions
from .fence import Fence, is_lock_file
from .manifest import Entry, Listed, Manifest, Progress, RawItem
from .objections import some
from .target import Destination, fits

#: What the destination holds, by key and by the id of an item.
ByKey: TypeAlias = Mapping[str, Sequence[Listed]]
Present: TypeAlias = Mapping[str | None, RawItem]

WORK = "tf_backend_restore"
RESTORE, FINISH, NOTHING = "restore", "finish", "none"


@dataclass
class Row:
    """An object and its history. `digest` is its item of the backup, under the name that it has where it goes."""

    path: str
    wanted: tuple[Entry, ...]
    digest: RawItem | None
    done: Progress | None
    #: Nothing is left of it but our lock, or its digest.
    is_unfinished: bool = False
    is_restored: bool = False

    @property
    def action(self) -> str:
        if self.done is None or self.done.count < len(self.wanted):
            return RESTORE
        return FINISH if self.is_unfinished else NOTHING

    @property
    def left(self) -> tuple[Entry, ...]:
        return self.wanted[self.done.count if self.done else 0 :]

    def told(self) -> dict[str, Any]:
        return {
            "key": self.path,
            "action": self.action,
            "versions": len(self.wanted),
            "written": len(self.left),
            "bytes": sum(entry.size for entry in self.left),
        }


@dataclass
class Restoring:
    to: Destination
    manifest: Manifest
    #: Shell patterns; none means all.
    keys: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    #: Digests that are about other buckets, which the table has not.
    foreign: list[RawItem] = field(default_factory=list)
    #: Lock files and locks that were held when the backup was made.
    left_out: int = 0

    @property
    def fence(self) -> Fence:
        info = f"being restored from {self.to.vault.url}"
        return Fence(self.to.aws, self.to.bucket, self.to.table, WORK, info, self.to.encryption)

    # What is to be done.

    def foresee(self) -> None:
        """Finds out, and refuses what cannot be done. It only reads."""
        scope = Scope(self.to.bucket, self.to.table, self.keys)
        histories = {
            key: each for key, each in self.manifest.histories().items() if scope.takes(key.removesuffix(SUFFIX))
        }
        wanted = {key: history for key, history in histories.items() if not key.endswith(SUFFIX)}
        self._verify([entry for history in wanted.values() for entry in history])
        present = {_name(raw): raw for raw in (items(self.to.aws, self.to.table) if self.to.table else [])}
        listed = _by_key(versions(self.to.aws, self.to.bucket))
        digests = self._digests(scope)
        seen = [partial(self._row, key, history, digests.get(key), listed, present) for key, history in wanted.items()]
        self.rows = self.to.aws.together(seen) if seen else []
        self.left_out += sum(len(history) for key, history in histories.items() if key.endswith(SUFFIX))
        self.foreign = list(self._foreign(present))
        refused = [row.path for row in self.rows if row.done is None]
        if refused:
            raise Refused(
                f"{self.to.bucket.name} holds other versions of {some(refused)} than the backup: nothing is "
                "overwritten; restore into another bucket, or name other keys"
            )
        self._check_locks(listed, present)

    def _verify(self, entries: Sequence[Entry]) -> None:
        """Every body, whole, before the first write."""
        names = sorted({entry.sha256 for entry in entries if entry.sha256})
        read = [partial(self.to.vault.sha256_of, name) for name in names]
        hashes = self.to.aws.together(read) if read else []
        wrong = {name for name, found in zip(names, hashes, strict=True) if name != found}
        lost = [f"version {entry.version_id} of {entry.key}" for entry in entries if entry.sha256 in wrong]
        if lost:
            raise Refused(f"the backup in {self.to.vault.url} is damaged: {some(lost)}; nothing was restored")

    def _digests(self, scope: Scope) -> dict[str, RawItem]:
        """Those of the backup's own bucket, by the path of their state; its locks are left out."""
        found: dict[str, RawItem] = {}
        for raw in self.manifest.items if self.to.table else ():
            bucket, item = item_of(raw)
            if not item.is_digest:
                self.left_out += 1
            elif bucket == self.manifest.bucket and scope.takes(item.path):
                found[item.path] = self.to.named(raw, item.path)
        return found

    def _foreign(self, present: Present) -> Iterator[RawItem]:
        for raw in self.manifest.items if self.to.table and not self.keys else ():
            bucket, item = item_of(raw)
            is_foreign = bucket not in (self.manifest.bucket, self.to.bucket.name)
            if item.is_digest and is_foreign and _name(raw) not in present:
                yield raw

    def _row(
        self, path: str, wanted: tuple[Entry, ...], digest: RawItem | None, listed: ByKey, present: Present
    ) -> Row:
        done = self.to.progress_of(listed.get(path, []), wanted)
        lacks_digest = digest is not None and digest != present.get(digest_id(self.to.bucket.name, path))
        is_ours_to_write = done is not None and not done.is_surpassed
        item = present.get(lock_id(self.to.bucket.name, path))
        has_item = item is not None and self.fence.has_item(item)
        has_file = bool(_held_file(path, listed)) and self.fence.has_file(path)
        if digest and not fits(wanted, digest):
            self.to.aws.warnings.append(f"the digest of {path} in the backup does not fit it: see tf_state_digest")
        return Row(path, wanted, digest, done, (lacks_digest and is_ours_to_write) or has_item or has_file)

    def _check_locks(self, listed: ByKey, present: Present) -> None:
        """Raises Refused if somebody else holds one."""
        held = [row.path for row in self.rows if row.action != NOTHING and self._is_held(row.path, listed, present)]
        if held:
            raise Refused(f"somebody else holds the lock of {some(held)}: wait until it is released")

    def _is_held(self, path: str, listed: ByKey, present: Present) -> bool:
        item = present.get(lock_id(self.to.bucket.name, path))
        by_item = item is not None and not item_of(item)[1].is_digest and not self.fence.has_item(item)
        return by_item or (bool(_held_file(path, listed)) and not self.fence.has_file(path))

    # What is done.

    def carry_out(self) -> None:
        due = [partial(self._carry, row) for row in self.rows if row.action != NOTHING]
        if due:
            self.to.aws.together(due)
        for item in self.foreign:
            self.to.put_if_absent(item)

    def _carry(self, row: Row) -> None:
        fence, begun = self.fence, row.done is not None and row.done.count > 0
        fence.take(row.path)
        try:
            now = self.to.progress(row.path, row.wanted)
            if now is None:
                raise Refused(f"somebody wrote {row.path} meanwhile: nothing is overwritten")
            for count in range(now.count, len(row.wanted)):
                begun = True
                self.to.advance(row.wanted, count)
            if not now.is_surpassed:
                self._finish(row)
        except BaseException:
            self.to.aws.warnings.extend(() if begun else fence.release(row.path))
            raise
        problems = fence.release(row.path)
        if problems:
            raise TfstateError("; ".join(problems))
        row.is_restored = True

    def _finish(self, row: Row) -> None:
        if self.to.progress(row.path, row.wanted) != Progress(len(row.wanted)):
            other = f"{row.path} reads back other than it was written: somebody else writes there"
            raise TfstateError(other + MAYBE_UNSEEN)
        if row.digest:
            place = self.to.place(row.path)
            seen = digest_of(self.to.aws, place)
            if seen.attribute != row.digest["Digest"]:
                put_item(self.to.aws, place, seen, row.digest)


def _by_key(listed: Iterable[Listed]) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for each in listed:
        found.setdefault(each.key, []).append(each)
    return found


def _held_file(path: str, listed: ByKey) -> list[Listed]:
    return [each for each in listed.get(f"{path}{SUFFIX}", []) if is_lock_file(each, (path,))]


def _name(raw: RawItem) -> str | None:
    name: str | None = raw.get("LockID", {}).get("S")
    return name

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a backup is restored to: what is there of each state, and what is written to bring it further."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from .._aws.errors import MAYBE_UNSEEN
from .._aws.protocols import BackendClient
from .._core.model import Call, CallFailed, Failure, Target, TfstateError
from .._locks.locking import UNCONDITIONAL, UNMET
from .._locks.stores import Place
from .._terraform.protocol import digest_id
from .backup import CONTENT
from .inventory import versions_of, versions_on
from .manifest import Entry, Listed, Progress, RawItem, progress
from .storage import Storage


@dataclass(frozen=True)
class Destination:
    aws: BackendClient
    bucket: Target
    table: str | None
    storage: Storage
    #: What an upload says of it; nothing leaves it to the bucket.
    encryption: Mapping[str, str]

    def place(self, path: str) -> Place:
        return Place(self.bucket.name, path, self.table, self.bucket.owner, self.encryption)

    def progress(self, path: str, wanted: Sequence[Entry]) -> Progress | None:
        """By every byte that is there. None: what is there is something else."""
        return self.progress_of(self.versions(path), wanted)

    def versions(self, path: str) -> list[Listed]:
        """The oldest first; the last one is current."""
        return versions_of(self.aws, self.bucket, path)

    def progress_of(self, there: Sequence[Listed], wanted: Sequence[Entry]) -> Progress | None:
        bodies = [each for each in there if not each.is_delete_marker]
        hashes = [self._sha256_of(each) for each in bodies]
        is_deleted = any(each.is_latest and each.is_delete_marker for each in there)
        return progress(hashes, len(there) - len(bodies), is_deleted, [entry.sha256 for entry in wanted])

    def _sha256_of(self, each: Listed) -> str:
        hashes = [hashlib.sha256()]

        def begin() -> Callable[[bytes], object]:
            hashes[:] = [hashlib.sha256()]
            return hashes[0].update

        self.aws.renew()
        call = Call("s3", "get_object", {**self._object(each.key), "VersionId": each.version_id})
        answer = self.aws.stream(call, begin)
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        return hashes[0].hexdigest()

    def advance(self, wanted: Sequence[Entry], count: int, newest: Listed | None) -> Listed:
        """Writes the next version on top of `newest`, and returns it as it is listed.

        Raises TfstateError where anything else was written there meanwhile. Conditions do not tell all of it: equal
        bodies have equal ETags, and a delete marker counts as absent. So the listing has to show our version on top of
        `newest`. If it is current and lies on something else, it is removed again.
        """
        entry = wanted[count]
        try:
            version_id = self._write(entry, newest)
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            version_id = None  # of a write whose reply was lost, if it was ours
            now = self.progress(entry.key, wanted)
            if now is None or now.count != count + 1:
                raise TfstateError(_meanwhile(entry.key)) from refused
        there = self._newest_two(entry.key)
        expected = [newest.version_id] if newest else []
        if [each.version_id for each in there[:-1]] != expected or version_id not in (None, there[-1].version_id):
            if there and there[-1].version_id == version_id:
                self._remove(entry.key, version_id)
            raise TfstateError(_meanwhile(entry.key) + MAYBE_UNSEEN)
        return there[-1]

    def _remove(self, key: str, version_id: str | None) -> None:
        """A version of this run that is current, and lies on what somebody else wrote."""
        try:
            self.aws.write(Call("s3", "delete_object", {**self._object(key), "VersionId": version_id}))
        except TfstateError as error:
            self.aws.warnings.append(
                f"version {version_id} of {key} was written by this run on top of what somebody else wrote, and could "
                f"not be removed: {error}; remove that version"
            )

    def _newest_two(self, path: str) -> list[Listed]:
        """The last one is current. A listing begins with the newest version of the key that is the prefix itself."""
        asked = {**self.bucket.bucket, "Prefix": path, "MaxKeys": 2}
        (page,) = self.aws.read([Call("s3", "list_object_versions", asked)])
        return [each for each in versions_on([page]) if each.key == path]

    def _write(self, entry: Entry, newest: Listed | None) -> str | None:
        """The id of the new version, written on top of `newest` and of nothing else."""
        self.aws.renew()
        is_there = newest is not None and not newest.is_delete_marker
        current = f'"{newest.etag}"' if newest and is_there else None
        if entry.sha256 is None:
            return self._hide(entry.key, current)
        condition = {"IfMatch": current} if current else {"IfNoneMatch": "*"}
        checksum = {"ChecksumSHA256": base64.b64encode(bytes.fromhex(entry.sha256)).decode()}
        tags = {"Tagging": urlencode(entry.tags)} if entry.tags else {}
        with self.storage.opened(entry.sha256) as body:
            content = {name: entry.content[name] for name in CONTENT if name in entry.content}
            said = {**content, **tags, **self.encryption, **checksum, **condition, "Body": body}
            return self.aws.write(Call("s3", "put_object", {**self._object(entry.key), **said})).get("VersionId")

    def _hide(self, key: str, current: str | None) -> str | None:
        condition = {"IfMatch": current} if current else {}
        try:
            answer = self.aws.write(Call("s3", "delete_object", {**self._object(key), **condition}))
        except CallFailed as refused:
            if refused.failure.code not in UNCONDITIONAL:
                raise
            answer = self.aws.write(Call("s3", "delete_object", self._object(key)))
        return answer.get("VersionId")

    def _object(self, key: str) -> dict[str, str]:
        return {**self.bucket.bucket, "Key": key}

    def named(self, item: RawItem, path: str, md5: str) -> RawItem:
        """The digest of a state under the name that it has here, and as it has to be."""
        return {**item, "LockID": {"S": digest_id(self.bucket.name, path)}, "Digest": {"S": md5}}


def _meanwhile(key: str) -> str:
    return f"somebody without a lock writes {key} meanwhile, and nothing more is written there: run again"


def digest_in(entries: Sequence[Entry]) -> str | None:
    """What clients compare the current version with. They take an empty one for no state at all."""
    return entries[-1].md5 if entries[-1].size else None

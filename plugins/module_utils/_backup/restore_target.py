# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The destination of a restore: which versions it has of each object, and how the next version is written."""

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
from .manifest import Entry, Listed, RawItem
from .progress import Progress, progress
from .storage import Storage


@dataclass(frozen=True)
class Destination:
    aws: BackendClient
    bucket: Target
    table: str | None
    storage: Storage
    #: Parameters of uploads; empty for the default encryption of the bucket.
    encryption: Mapping[str, str]

    def place(self, path: str) -> Place:
        return Place(self.bucket.name, path, self.table, self.bucket.owner, self.encryption)

    def progress(self, path: str, wanted: Sequence[Entry]) -> Progress:
        """Reads every version whole and compares hashes."""
        return self.progress_of(self.versions(path), wanted)

    def versions(self, path: str) -> list[Listed]:
        """Oldest first; the last one is the current version."""
        return versions_of(self.aws, self.bucket, path)

    def progress_of(self, there: Sequence[Listed], wanted: Sequence[Entry]) -> Progress:
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

        Raises TfstateError if anything else was written meanwhile. Conditional writes alone do not detect that: equal
        bodies have equal ETags, and a delete marker counts as absent. So the listing must show the new version directly
        on top of `newest`. If the new version is current but on top of another version, it is removed.
        """
        entry = wanted[count]
        try:
            version_id = self._write(entry, newest)
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            version_id = None  # the write may be ours, with its reply lost
            now = self.progress(entry.key, wanted)
            if now.count != count + 1:
                raise TfstateError(_concurrent_write(entry.key)) from refused
        there = self._newest_two(entry.key)
        expected = [newest.version_id] if newest else []
        if [each.version_id for each in there[:-1]] != expected or version_id not in (None, there[-1].version_id):
            if there and there[-1].version_id == version_id:
                self._remove(entry.key, version_id)
            raise TfstateError(_concurrent_write(entry.key) + MAYBE_UNSEEN)
        return there[-1]

    def _remove(self, key: str, version_id: str | None) -> None:
        """Removes a version of this run that is current, and on top of a version that somebody else wrote."""
        try:
            self.aws.write(Call("s3", "delete_object", {**self._object(key), "VersionId": version_id}))
        except TfstateError as error:
            self.aws.warnings.append(
                f"version {version_id} of {key} was written by this run on top of what somebody else wrote, and could "
                f"not be removed: {error}; remove that version"
            )

    def _newest_two(self, path: str) -> list[Listed]:
        """The last one is current. A listing begins with the newest version of the key that equals the prefix."""
        params = {**self.bucket.bucket, "Prefix": path, "MaxKeys": 2}
        (page,) = self.aws.read([Call("s3", "list_object_versions", params)])
        return [each for each in versions_on([page]) if each.key == path]

    def _write(self, entry: Entry, newest: Listed | None) -> str | None:
        """Returns the id of the new version, which is written only on top of `newest`."""
        self.aws.renew()
        is_there = newest is not None and not newest.is_delete_marker
        current = f'"{newest.etag}"' if newest and is_there else None
        if entry.sha256 is None:
            return self._write_delete_marker(entry.key, current)
        condition = {"IfMatch": current} if current else {"IfNoneMatch": "*"}
        checksum = {"ChecksumSHA256": base64.b64encode(bytes.fromhex(entry.sha256)).decode()}
        tags = {"Tagging": urlencode(entry.tags)} if entry.tags else {}
        with self.storage.open_body(entry.sha256) as body:
            content = {name: entry.content[name] for name in CONTENT if name in entry.content}
            params = {**content, **tags, **self.encryption, **checksum, **condition, "Body": body}
            return self.aws.write(Call("s3", "put_object", {**self._object(entry.key), **params})).get("VersionId")

    def _write_delete_marker(self, key: str, current: str | None) -> str | None:
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

    def digest_item(self, item: RawItem, path: str, md5: str) -> RawItem:
        """The digest item of a state in the destination."""
        return {**item, "LockID": {"S": digest_id(self.bucket.name, path)}, "Digest": {"S": md5}}


def _concurrent_write(key: str) -> str:
    return f"somebody without a lock writes {key} meanwhile, and nothing more is written there: run again"


def digest_in(entries: Sequence[Entry]) -> str | None:
    """The digest of the current version. An empty object has none: clients take it for no state."""
    return entries[-1].md5 if entries[-1].size else None

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a backup is restored to: what is there of each state, and what is written to bring it further."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from .._core import Call, CallFailed, Failure, Target, TfstateError
from .._lock_record import digest_id
from .._state.contents import GONE
from .._state.lock_stores import Place
from .._state.locking import UNCONDITIONAL, UNMET
from .census import Keeper, versions_of
from .manifest import Entry, Listed, Progress, RawItem, progress
from .saving import CONTENT
from .vaults import Vault


@dataclass(frozen=True)
class Destination:
    aws: Keeper
    bucket: Target
    table: str | None
    vault: Vault
    #: What an upload says of it; nothing leaves it to the bucket.
    encryption: Mapping[str, str]

    def place(self, path: str) -> Place:
        return Place(self.bucket.name, path, self.table, self.bucket.owner, self.encryption)

    def progress(self, path: str, wanted: Sequence[Entry]) -> Progress | None:
        """By every byte that is there. None: what is there is something else."""
        return self.progress_of(versions_of(self.aws, self.bucket, path), wanted)

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

    def advance(self, wanted: Sequence[Entry], count: int) -> None:
        """Writes the next version, unless a write of ours whose reply was lost has done it."""
        entry = wanted[count]
        try:
            self._write(entry)
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            now = self.progress(entry.key, wanted)
            if now is None or now.count != count + 1:
                raise TfstateError(f"somebody without a lock writes {entry.key} meanwhile: run again") from refused

    def _write(self, entry: Entry) -> None:
        """Upon what is current now, and nothing else."""
        self.aws.renew()
        current = self._etag(entry.key)
        if entry.sha256 is None:
            self._hide(entry.key, current)
            return
        condition = {"IfMatch": current} if current else {"IfNoneMatch": "*"}
        checksum = {"ChecksumSHA256": base64.b64encode(bytes.fromhex(entry.sha256)).decode()}
        tags = {"Tagging": urlencode(entry.tags)} if entry.tags else {}
        with self.vault.opened(entry.sha256) as body:
            content = {name: entry.content[name] for name in CONTENT if name in entry.content}
            said = {**content, **tags, **self.encryption, **checksum, **condition, "Body": body}
            self.aws.write(Call("s3", "put_object", {**self._object(entry.key), **said}))

    def _hide(self, key: str, current: str | None) -> None:
        condition = {"IfMatch": current} if current else {}
        try:
            self.aws.write(Call("s3", "delete_object", {**self._object(key), **condition}))
        except CallFailed as refused:
            if refused.failure.code not in UNCONDITIONAL:
                raise
            self.aws.write(Call("s3", "delete_object", self._object(key)))

    def _etag(self, key: str) -> str | None:
        (head,) = self.aws.read([Call("s3", "head_object", self._object(key))])
        if isinstance(head, Failure) and head.code not in GONE:
            raise CallFailed(head)
        return None if isinstance(head, Failure) else str(head["ETag"])

    def _object(self, key: str) -> dict[str, str]:
        return {**self.bucket.bucket, "Key": key}

    def named(self, item: RawItem, path: str, md5: str) -> RawItem:
        """The digest of a state under the name that it has here, and as it has to be."""
        return {**item, "LockID": {"S": digest_id(self.bucket.name, path)}, "Digest": {"S": md5}}


def digest_in(entries: Sequence[Entry]) -> str | None:
    """What clients compare the current version with. They take an empty one for no state at all."""
    return entries[-1].md5 if entries[-1].size else None

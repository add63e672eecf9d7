# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether states match their digests. A mismatch is read twice, long enough apart, before it is reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from .._aws.clock import clock
from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendReader
from .._core.model import Call, Failure
from .._locks.stores import LONGEST_RECORD, record_in
from .._state.inspection import Inspection, fingerprint, inspect
from .._state.listing import TableItem, Version, item_call, item_of, versions_of
from .._terraform.protocol import digest_id, is_frozen_by, lock_file, lock_id, parsed
from .._terraform.scope import Scope
from .._terraform.state_document import Document

#: How long clients themselves wait for a state to match its digest.
SETTLE_S = 12
#: How many versions of a state are compared with a digest.
MOST_VERSIONS = 20


@dataclass(frozen=True)
class Digest:
    """A digest and its state. `actual` is the MD5 of the state; None if there is none, or it was not read."""

    path: str
    status: str
    digest: str | None = None
    actual: str | None = None
    matches_version: str | None = None
    failure: Failure | None = None
    #: Why the state does not continue the version before it, so that a repair would refuse it.
    conflict: str | None = None
    #: The state was written so recently that its digest may follow.
    is_newly_created: bool = True


def check_digests(
    aws: BackendReader, scope: Scope, items: Iterable[TableItem], seen: Mapping[str, Inspection]
) -> list[Digest]:
    """The status of each digest in the table. `seen`: the states that were read already."""
    found = [_known_so_far(item, seen.get(item.path)) for item in items if item.is_digest]
    found = _compare_unknown(aws, scope, found)
    found = _confirm(aws, scope, found)
    found = _explain_all(aws, scope, found)
    return sorted((each for each in found if each.status != "gone"), key=lambda each: each.path)


def _compare_unknown(aws: BackendReader, scope: Scope, found: list[Digest]) -> list[Digest]:
    """First pass: with the states as they are now."""
    unknown = [each for each in found if each.status == "unknown" and not each.failure]
    return _replaced(found, aws.together([partial(_compared, aws, scope, each, reads=False) for each in unknown]))


def _confirm(aws: BackendReader, scope: Scope, found: list[Digest]) -> list[Digest]:
    """Second pass: what does not fit is read again, and once more after a while if the state was written lately."""
    found = _confirm_once(aws, scope, found, _misfits(found))
    recent = [each for each in _misfits(found) if each.is_newly_created]
    if not recent:
        return found
    aws.rest(SETTLE_S)
    return _confirm_once(aws, scope, found, recent)


def _confirm_once(aws: BackendReader, scope: Scope, found: list[Digest], suspects: list[Digest]) -> list[Digest]:
    return _replaced(found, aws.together([partial(_check_again, aws, scope, each) for each in suspects]))


def _explain_all(aws: BackendReader, scope: Scope, found: list[Digest]) -> list[Digest]:
    """Third pass: which version of the state a digest fits, if any."""
    return _replaced(found, aws.together([partial(_explain, aws, scope, each) for each in _misfits(found)]))


def _misfits(found: Iterable[Digest]) -> list[Digest]:
    return [each for each in found if each.status in ("mismatch", "absent")]


def _replaced(found: Iterable[Digest], newer: Iterable[Digest]) -> list[Digest]:
    return [*({each.path: each for each in (*found, *newer)}.values())]


def _known_so_far(item: TableItem, look: Inspection | None) -> Digest:
    digest = str(item.digest).lower()
    if not re.fullmatch("[0-9a-f]{32}", digest):
        return Digest(item.path, "malformed", item.digest)  # clients ignore it
    if look and look.failure and not look.is_gone:
        return Digest(item.path, "unknown", digest, failure=look.failure)
    if look and look.md5:
        return Digest(item.path, "match" if look.md5 == digest else "mismatch", digest, look.md5)
    return Digest(item.path, "unknown", digest)


def _compared(aws: BackendReader, scope: Scope, each: Digest, reads: bool) -> Digest:
    """Compares with the current state; with `reads`, with its body instead of its ETag."""
    answer = fingerprint(aws, scope, each.path, reads=reads)
    if isinstance(answer, Failure) and answer.code in NO_SUCH_OBJECT:
        return replace(each, status="absent", actual=None, is_newly_created=True)
    if isinstance(answer, Failure):
        return replace(each, status="unknown", failure=answer)
    age_s = (clock(answer["head"]) - answer["head"]["LastModified"]).total_seconds()
    status = "match" if answer["md5"] == each.digest else "mismatch"
    return replace(each, status=status, actual=answer["md5"], is_newly_created=age_s < SETTLE_S)


def _check_again(aws: BackendReader, scope: Scope, each: Digest) -> Digest:
    """Reads the lock, then the state, then the digest, so that a write between these reads is noticed."""
    locked = _locked(aws, scope, each.path)
    if isinstance(locked, Failure):
        return replace(each, status="unknown", failure=locked)
    compared = _compared(aws, scope, each, reads=True)
    (answer,) = aws.read([item_call(scope, digest_id(scope.bucket.name, each.path))])
    if isinstance(answer, Failure):
        return replace(each, status="unknown", failure=answer)
    if "Item" not in answer:
        return replace(each, status="gone")
    digest = str(item_of(answer["Item"])[1].digest).lower()
    if digest != each.digest:
        fits = "match" if digest == compared.actual else "mismatch"
        status = fits if compared.status in ("match", "mismatch") else compared.status
        compared = replace(compared, digest=digest, status=status, is_newly_created=True)
    is_settling = locked and compared.status in ("mismatch", "absent")
    return replace(compared, status="in_progress") if is_settling else compared


def _locked(aws: BackendReader, scope: Scope, path: str) -> bool | Failure:
    """Whether a client holds the lock, in either store. A freeze is none."""
    file = Call("s3", "head_object", {**scope.bucket.bucket, "Key": lock_file(path)})
    in_table, in_file = aws.read([item_call(scope, lock_id(scope.bucket.name, path)), file])
    if isinstance(in_table, Failure):
        return in_table
    if isinstance(in_file, Failure) and in_file.code not in NO_SUCH_OBJECT:
        return in_file
    is_in_table = "Item" in in_table and not is_frozen_by(parsed(item_of(in_table["Item"])[1].info))
    return is_in_table or (not isinstance(in_file, Failure) and not _is_frozen(aws, scope, path))


def _is_frozen(aws: BackendReader, scope: Scope, path: str) -> bool:
    """Whether the lock file is that of a freeze."""
    heads: list[bytearray] = []

    def begin() -> Callable[[bytes], object]:
        heads[:] = [bytearray()]
        return lambda piece: heads[0].extend(piece[: LONGEST_RECORD - len(heads[0])])

    answer = aws.stream(Call("s3", "get_object", {**scope.bucket.bucket, "Key": lock_file(path)}), begin)
    return not isinstance(answer, Failure) and is_frozen_by(record_in(bytes(heads[0])))


def _explain(aws: BackendReader, scope: Scope, each: Digest) -> Digest:
    """Finds the version of the state that matches a digest."""
    found = versions_of(aws, scope, each.path, MOST_VERSIONS)
    if isinstance(found, Failure):
        return replace(each, status="unknown" if each.status == "absent" else each.status, failure=found)
    bodies = [version for version in found if not version.is_delete_marker]
    matching = None
    for version in bodies:
        answer = fingerprint(aws, scope, each.path, version.version_id)
        if not isinstance(answer, Failure) and answer["md5"] == each.digest:
            matching = version.version_id
            break
    status = each.status if each.status == "mismatch" else "deleted" if bodies else "orphan"
    explained = replace(each, status=status, matches_version=matching)
    if status != "mismatch":
        return explained
    latest = next((version for version in bodies if version.is_latest), None)
    older = [version for version in bodies if not version.is_latest]
    before = next((version for version in older if version.version_id == matching), next(iter(older), None))
    return replace(explained, conflict=_conflict(aws, scope, each.path, latest, before) if latest and before else None)


def _conflict(aws: BackendReader, scope: Scope, path: str, latest: Version, older: Version) -> str | None:
    """One version stands for all before the state: that of the digest, or the newest of them."""
    looks = [inspect(aws, scope, path, each.size, False, VersionId=each.version_id) for each in (latest, older)]
    now, before = (look.document for look in looks)
    if not isinstance(now, Document) or not isinstance(before, Document):
        return None
    if now.lineage != before.lineage:
        return f"its lineage is not that of the older version {older.version_id}"
    serial, serial_before = now.serial or 0, before.serial or 0
    if serial_before > serial:
        return f"its serial is {serial}, and that of the older version {older.version_id} is {serial_before}"
    if serial_before == serial and looks[0].md5 != looks[1].md5:
        return f"the older version {older.version_id} has the same serial and other content"
    return None

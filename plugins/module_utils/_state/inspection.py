# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States and locks of a backend, streamed: no object is held in memory as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from .._aws.clock import clock
from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendReader
from .._core.model import Answer, Call, Failure, Response
from .._locks.stores import record_in
from .._terraform.protocol import LockInfo, Wedged, is_canonical, lock_file, parsed, seen_id
from .._terraform.scope import Scope
from .._terraform.state_document import Document, UnreadableState, head_of
from .._terraform.state_parser import Reading, may_end_state
from .kind import NAMED, Kind, is_named_as_state, kind_of
from .listing import HEAD_BYTES, Object, Objects, TableItem

#: A lock file without its state is an orphan only when it is older: the first run of a client locks before it writes.
ORPHAN_AGE_S = 3600
#: So much of the end of a long state is read.
TAIL_BYTES = 8192
EMPTY = UnreadableState("it is empty, which clients treat as no state")


@dataclass(frozen=True)
class Inspection:
    """What was read of an object. `md5` is that of the body; None if only the whole body would tell."""

    document: Document | UnreadableState | None
    md5: str | None
    version_id: str | None
    failure: Failure | None = None
    is_gone: bool = False

    def kind(self, is_known: bool = True) -> Kind:
        return kind_of(self.document, is_known)

    @property
    def is_readable(self) -> bool | None:
        """Whether it is a state; None: unknown."""
        kind = self.kind()
        return None if kind is Kind.UNKNOWN else kind in (Kind.STATE, Kind.ENCRYPTED)


@dataclass(frozen=True)
class ObservedLock:
    """A lock as it was read. `seen` changes with every byte of it."""

    path: str
    store: str
    info: LockInfo | Wedged | None
    is_canonical: bool
    seen: str | None
    age_s: int | None
    failure: Failure | None = None

    @property
    def problem(self) -> str | None:
        return str(self.failure) if self.failure else self.info.reason if isinstance(self.info, Wedged) else None


class _Body:
    """A body as it is streamed: hashed and parsed, not kept."""

    def __init__(self, reads: bool = True) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.length = 0
        self.reading = Reading() if reads else None
        self.head = b""

    def take(self, piece: bytes) -> None:
        self.head += piece[: HEAD_BYTES - len(self.head)]
        self.md5.update(piece)
        self.length += len(piece)
        if self.reading:
            self.reading.feed(piece)


class _Bodies:
    """The body of the last attempt to read one."""

    def __init__(self, reads: bool = True) -> None:
        self.reads = reads
        self.last = _Body(reads)

    def __call__(self) -> Callable[[bytes], object]:
        self.last = _Body(self.reads)
        return self.last.take


def inspect_states(aws: BackendReader, scope: Scope, found: Objects, wants_counts: bool) -> dict[str, Inspection]:
    """Inspects each state. `wants_counts`: all of it, however long it is, and else both ends of a long one."""
    paths = sorted(found.states)
    works = [
        partial(_inspect_whole if wants_counts else _inspect_head, aws, scope, path, found.states[path].size)
        for path in paths
    ]
    return dict(zip(paths, aws.together(works), strict=True))


def _inspect_head(aws: BackendReader, scope: Scope, path: str, size: int) -> Inspection:
    return inspect(aws, scope, path, size, wants_counts=False, reads_end=True)


def _inspect_whole(aws: BackendReader, scope: Scope, path: str, size: int) -> Inspection:
    """A long object without the suffix of a state is read to its end only if it begins like a state."""
    if size > HEAD_BYTES and not path.endswith(NAMED):
        head = _inspect_head(aws, scope, path, size)
        if head.kind(is_known=False) is Kind.OTHER:
            return head
    return inspect(aws, scope, path, size, wants_counts=True)


def other_objects(
    scope: Scope, found: Objects, seen: Mapping[str, Inspection], items: Iterable[TableItem]
) -> list[str]:
    """Objects that are certainly not states: by their content, and without the name, lock or digest of one."""
    locked = {*found.lock_files, *(item.path for item in items)}
    return [
        path
        for path, each in seen.items()
        if each.kind(is_known=path in locked or is_named_as_state(scope, path)) is Kind.OTHER
    ]


def inspect(
    aws: BackendReader,
    scope: Scope,
    path: str,
    size: int,
    wants_counts: bool,
    reads_end: bool = False,
    **version: str,
) -> Inspection:
    """Inspects an object, or a version of it. `reads_end`: of a long one the end, too, which costs one more request."""
    if size == 0:
        return Inspection(EMPTY, None, None)
    bodies = _Bodies()
    only_head = {} if wants_counts or size <= HEAD_BYTES else {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
    answer = aws.stream(get(scope, path, **version, **only_head), bodies)
    if isinstance(answer, Failure):
        return _failed(answer)
    body, version_id = bodies.last, answer.get("VersionId")
    length = _whole(answer, body.length)
    if body.length == length:
        document = body.reading.end() if body.reading else None
        return (
            Inspection(document, body.md5.hexdigest(), version_id)
            if body.length
            else Inspection(EMPTY, None, version_id)
        )
    head_document = head_of(body.head)
    if isinstance(head_document, Document) and reads_end:
        tail = _tail_of(aws, get(scope, path, **version), length)
        if isinstance(tail, Failure) and tail.code != "InvalidRange":  # it is shorter by now
            return _failed(tail)
        head_document = head_document if isinstance(tail, bytes) and may_end_state(body.head, tail) else None
    return (
        Inspection(head_document, etag_md5(answer), version_id)
        if head_document
        else inspect(aws, scope, path, size, True, False, **version)
    )


def _tail_of(aws: BackendReader, call: Call, length: int) -> bytes | Failure:
    """The last bytes of an object of this length."""
    tails: list[bytearray] = []

    def begin() -> Callable[[bytes], object]:
        tails[:] = [bytearray()]
        return lambda piece: tails[0].extend(piece)

    span = {"Range": f"bytes={max(length - TAIL_BYTES, 0)}-{length - 1}"}
    answer = aws.stream(replace(call, params={**call.params, **span}), begin)
    return answer if isinstance(answer, Failure) else bytes(tails[0][-TAIL_BYTES:])


def _failed(failure: Failure) -> Inspection:
    if failure.code == "InvalidRange":  # the object is empty by now
        return Inspection(EMPTY, None, None)
    return Inspection(None, None, None, failure, failure.code in NO_SUCH_OBJECT)


def get(scope: Scope, path: str, **more: str) -> Call:
    return Call("s3", "get_object", {**scope.bucket.bucket, "Key": path, **more})


def _whole(answer: Response, length: int) -> int:
    """The length of the whole object."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdigit() else length


def etag_md5(answer: Response) -> str | None:
    """The MD5 of a body as far as its ETag is just that: not of parts, and not of what KMS or a customer's key made.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    etag = str(answer.get("ETag", "")).strip('"')
    is_plain = answer.get("ServerSideEncryption") in (None, "AES256") and not answer.get("SSECustomerAlgorithm")
    return etag if is_plain and re.fullmatch("[0-9a-f]{32}", etag) else None


def fingerprint(
    aws: BackendReader, scope: Scope, path: str, version_id: str | None = None, reads: bool = False
) -> Answer:
    """`md5` of an object's body (None: it is empty) and `head`, what S3 says of it. Not `reads`: its ETag may tell."""
    version = {"VersionId": version_id} if version_id else {}
    if not reads:
        (head,) = aws.read([Call("s3", "head_object", {**scope.bucket.bucket, "Key": path, **version})])
        if isinstance(head, Failure):
            return head
        head_document = etag_md5(head)
        if head_document:
            return {"md5": head_document if head["ContentLength"] else None, "head": head}
    bodies = _Bodies(reads=False)
    answer = aws.stream(get(scope, path, **version), bodies)
    if isinstance(answer, Failure):
        return answer
    return {"md5": bodies.last.md5.hexdigest() if bodies.last.length else None, "head": answer}


def locks(
    aws: BackendReader, scope: Scope, found: Objects | None, items: list[TableItem], now: datetime
) -> list[ObservedLock]:
    """The locks of both stores, by path. `items` are what the table holds; `now` is the time on the clock of AWS."""
    files = found.lock_files.values() if found else ()
    in_files = aws.together([partial(_file_lock, aws, scope, each) for each in files])
    in_table = [_table_lock(item, now) for item in items if not item.is_digest]
    return sorted([*filter(None, in_files), *in_table], key=lambda lock: (lock.path, lock.store))


def _file_lock(aws: BackendReader, scope: Scope, each: Object) -> ObservedLock | None:
    """None if it was released meanwhile."""
    bodies = _Bodies(reads=False)
    head = {"Range": f"bytes=0-{HEAD_BYTES - 1}"} if each.size else {}  # S3 has no range of nothing
    answer = aws.stream(get(scope, lock_file(each.path), **head), bodies)
    if isinstance(answer, Failure):
        unread = ObservedLock(each.path, "file", None, False, None, None, answer)
        return None if answer.code in NO_SUCH_OBJECT else unread
    body = bodies.last.head
    text = body.decode("utf-8", "replace")
    age_s = int((clock(answer) - answer["LastModified"]).total_seconds())
    return ObservedLock(each.path, "file", record_in(body), is_canonical(text), str(answer["ETag"]), age_s)


def _table_lock(item: TableItem, now: datetime) -> ObservedLock:
    info = parsed(item.info)
    since = info.since if isinstance(info, LockInfo) else None
    age_s = int((now - since).total_seconds()) if since else None
    return ObservedLock(item.path, "table", info, is_canonical(item.info), seen_id(item.attribute), age_s)


def orphan_lock_files(found: Objects) -> list[str]:
    """The states that are locked for long and do not exist."""
    return sorted(
        path
        for path, each in found.lock_files.items()
        if path not in found.states and (found.now - each.last_modified).total_seconds() > ORPHAN_AGE_S
    )

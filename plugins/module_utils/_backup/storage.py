# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a backup lies: a folder, or the objects under a prefix of another bucket.

Bodies bear the name of their SHA-256, so none is ever overwritten by another one. The manifest comes last.
"""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .._aws.client import Aws
from .._bucket import public_access
from .._core.model import Call, CallFailed, Failure, Response, Target, TfstateError
from .._engine.guard import Refused
from .._local.files import PRIVATE_FILE, read_text, write_private_text
from .._locks.locking import UNMET
from .._locks.stores import ABSENT
from .bodies import Measure, Measured
from .manifest import MANIFEST

BODIES, ALONE = "objects", ".lock"
#: What lies in a backup is as secret as the states.
PRIVATE_FOLDER = 0o700
PIECE = 256 * 1024
#: No single PutObject takes more bytes. Source: https://docs.aws.amazon.com/general/latest/gr/s3.html
LARGEST = 5 * 1024**3


class Storage(Protocol):
    """Where a backup lies.

    Longer bodies than `largest` do not fit; with None, all do. `check` raises Refused where no secret may lie.
    `measured` is what the body of that name reads back as, None where there is none. In the context of `opened` a body
    can be read and sought. `keep_manifest` raises Overtaken unless what is there is what was `seen`: else a run that
    began earlier would drop what another one has saved meanwhile.
    """

    @property
    def url(self) -> str: ...
    @property
    def largest(self) -> int | None: ...
    def check(self) -> None: ...
    def manifest(self) -> str | None: ...
    def keep_manifest(self, text: str, seen: str | None) -> None: ...
    def keep(self, sha256: str, body: BinaryIO) -> None: ...
    def measured(self, sha256: str) -> Measured | None: ...
    @abstractmethod
    def opened(self, sha256: str) -> AbstractContextManager[BinaryIO]: ...


class Overtaken(TfstateError):
    """Somebody else has saved into the same place."""

    def __init__(self, url: str) -> None:
        super().__init__(f"somebody else saved into {url} meanwhile: run again")


@dataclass(frozen=True)
class Folder:
    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    @property
    def largest(self) -> None:
        return None

    def check(self) -> None:
        """A folder that we make is closed to others, and so is what we put into one that is there."""
        with _told(self.path):
            is_other = self.path.exists() and not self.path.is_dir()
        if is_other:
            raise Refused(f"{self.path} is no folder, so that no backup can lie there")

    def manifest(self) -> str | None:
        return read_text(str(self.path / MANIFEST))

    def keep_manifest(self, text: str, seen: str | None) -> None:
        self._prepare()
        with self._alone():
            if self.manifest() != seen:
                raise Overtaken(self.url)
            write_private_text(str(self.path / MANIFEST), text)
        for folder in (self.path / BODIES, self.path):  # so that the names outlive a power cut, too
            _synchronise(folder)

    def keep(self, sha256: str, body: BinaryIO) -> None:
        """Under its final name from the first byte on, so that whoever is killed leaves no secret under another one.

        A half is harmless: no manifest names a body before it was read back, and each run hashes it again. It is not
        cut off first, as two lanes may write the same bytes.
        """
        self._prepare()
        with _told(self.path):
            handle = os.open(self._body(sha256), os.O_WRONLY | os.O_CREAT, PRIVATE_FILE)
            with os.fdopen(handle, "wb") as stream:
                shutil.copyfileobj(body, stream, PIECE)
                stream.truncate()
                stream.flush()
                os.fsync(stream.fileno())

    def measured(self, sha256: str) -> Measured | None:
        measure = Measure()
        try:
            with self._body(sha256).open("rb") as stream:
                while piece := stream.read(PIECE):
                    measure.take(piece)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(self.path, error) from None
        return measure.result

    @contextmanager
    def opened(self, sha256: str) -> Iterator[BinaryIO]:
        with _told(self.path):
            stream = self._body(sha256).open("rb")
        with stream:
            yield stream

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other run writes its manifest inside; where the file system knows no locks, it may."""
        with _told(self.path):
            handle = os.open(self.path / ALONE, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _body(self, sha256: str) -> Path:
        return self.path / BODIES / sha256

    def _prepare(self) -> None:
        with _told(self.path):
            self.path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            (self.path / BODIES).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


@dataclass(frozen=True)
class Prefix:
    """`prefix` is empty, or ends in a slash."""

    aws: Aws
    bucket: Target
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.prefix}"

    @property
    def largest(self) -> int:
        return LARGEST

    def check(self) -> None:
        (answer,) = self.aws.read([public_access.read(self.bucket)])
        if isinstance(answer, Failure) and answer.code not in public_access.NOT_FOUND:
            raise CallFailed(answer)
        block = public_access.ABSENT if isinstance(answer, Failure) else public_access.normalise(answer, self.bucket)
        if block != public_access.NEW:
            raise Refused(
                f"{self.bucket.name} does not block all public access, and a backup holds every secret of the states: "
                "switch all four blocks on, or choose another bucket"
            )

    def manifest(self) -> str | None:
        return self._seen()[0]

    def _seen(self) -> tuple[str | None, dict[str, str]]:
        """The manifest, and the condition that it has not changed."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return body.extend

        answer = self._streamed(MANIFEST, begin)
        return (
            (body.decode("utf-8", "replace"), {"IfMatch": answer["ETag"]}) if answer else (None, {"IfNoneMatch": "*"})
        )

    def keep_manifest(self, text: str, seen: str | None) -> None:
        there, as_seen = self._seen()
        if there != seen:
            raise Overtaken(self.url)
        try:
            self._put(MANIFEST, text.encode(), {"ContentType": "application/json", **as_seen})
        except CallFailed as refused:
            if refused.failure.code not in UNMET:
                raise
            if self.manifest() != text:  # else a reply was lost
                raise Overtaken(self.url) from None

    def keep(self, sha256: str, body: BinaryIO) -> None:
        hashed = base64.b64encode(bytes.fromhex(sha256)).decode()
        self._put(f"{BODIES}/{sha256}", body, {"ChecksumSHA256": hashed})

    def measured(self, sha256: str) -> Measured | None:
        measures: list[Measure] = []

        def begin() -> Callable[[bytes], object]:
            measures[:] = [Measure()]
            return measures[0].take

        return measures[0].result if self._streamed(f"{BODIES}/{sha256}", begin) else None

    @contextmanager
    def opened(self, sha256: str) -> Iterator[BinaryIO]:
        with scratch() as body:
            if not self._streamed(f"{BODIES}/{sha256}", rewriting(body)):
                raise TfstateError(f"{self.url} has lost the body {sha256}")
            body.seek(0)
            yield body

    def _streamed(self, name: str, begin: Callable[[], Callable[[bytes], object]]) -> Response | None:
        """None if there is none."""
        self.aws.renew()
        answer = self.aws.stream(Call("s3", "get_object", self._object(name)), begin)
        if isinstance(answer, Failure) and answer.code not in ABSENT:
            raise CallFailed(answer)
        return None if isinstance(answer, Failure) else answer

    def _put(self, name: str, body: Any, more: dict[str, str]) -> None:
        self.aws.renew()
        self.aws.write(Call("s3", "put_object", {**self._object(name), "Body": body, **more}))

    def _object(self, name: str) -> dict[str, str]:
        return {**self.bucket.bucket, "Key": f"{self.prefix}{name}"}


@contextmanager
def scratch() -> Iterator[BinaryIO]:
    """A file without a name, which is gone even if we are killed."""
    with _told(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as body:
        yield body


def rewriting(body: BinaryIO) -> Callable[[], Callable[[bytes], object]]:
    """For a stream that may break off and begin again: a file that then does, too."""

    def begin() -> Callable[[bytes], object]:
        body.seek(0)
        body.truncate()
        return body.write

    return begin


def _synchronise(folder: Path) -> None:
    with _told(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(path, error) from None


def _failed(path: Path, error: OSError) -> TfstateError:
    return TfstateError(f"{path}: {error.strerror}; check its permissions, and the room on its disk")

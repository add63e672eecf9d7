# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The storage of a backup: a directory, or a prefix of another bucket.

Every body is named after its SHA-256, so no body overwrites another. The manifest is written last.
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
from .._aws.errors import NO_SUCH_OBJECT
from .._bucket import public_access
from .._core.model import Call, CallFailed, Failure, Response, Target, TfstateError
from .._engine.guard import Refused
from .._local.files import PRIVATE_FILE, read_text, write_private_text
from .._locks.locking import UNMET
from .bodies import Measure, Measured
from .manifest import MANIFEST

BODIES, LOCK = "objects", ".lock"
#: A backup is as secret as the states in it.
PRIVATE_FOLDER = 0o700
PIECE = 256 * 1024
#: The maximum size of one PutObject. Source: https://docs.aws.amazon.com/general/latest/gr/s3.html
LARGEST = 5 * 1024**3


class Storage(Protocol):
    """The storage of one backup.

    `largest` is the maximum size of a body; None for no limit. `check` raises Refused if secrets must not be stored
    there. `measure` reads a body and returns None if it does not exist. `open_body` returns a seekable body.
    `write_manifest` raises ConcurrentBackup unless the manifest is still the `expected` one: otherwise a run that
    started earlier would drop what another run has saved since.
    """

    @property
    def url(self) -> str: ...
    @property
    def largest(self) -> int | None: ...
    def check(self) -> None: ...
    def manifest(self) -> str | None: ...
    def write_manifest(self, text: str, expected: str | None) -> None: ...
    def write_body(self, sha256: str, body: BinaryIO) -> None: ...
    def measure(self, sha256: str) -> Measured | None: ...
    @abstractmethod
    def open_body(self, sha256: str) -> AbstractContextManager[BinaryIO]: ...


class ConcurrentBackup(TfstateError):
    """Another run wrote the manifest meanwhile."""

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
        """Only the type is checked: new folders and all files are created for their owner alone."""
        with _as_tfstate_error(self.path):
            is_other = self.path.exists() and not self.path.is_dir()
        if is_other:
            raise Refused(f"{self.path} is no folder, so that no backup can lie there")

    def manifest(self) -> str | None:
        return read_text(str(self.path / MANIFEST))

    def write_manifest(self, text: str, expected: str | None) -> None:
        self._create_folders()
        with self._manifest_lock():
            if self.manifest() != expected:
                raise ConcurrentBackup(self.url)
            write_private_text(str(self.path / MANIFEST), text)
        for folder in (self.path / BODIES, self.path):  # makes the file names survive a power failure
            _sync(folder)

    def write_body(self, sha256: str, body: BinaryIO) -> None:
        """Written under its final name from the start, so that a killed run leaves no secret under another name.

        A partial body is harmless: a manifest names only bodies that were read back, and every run hashes them again.
        It is not truncated first, because two workers may write the same body.
        """
        self._create_folders()
        with _as_tfstate_error(self.path):
            handle = os.open(self._body(sha256), os.O_WRONLY | os.O_CREAT, PRIVATE_FILE)
            with os.fdopen(handle, "wb") as stream:
                shutil.copyfileobj(body, stream, PIECE)
                stream.truncate()
                stream.flush()
                os.fsync(stream.fileno())

    def measure(self, sha256: str) -> Measured | None:
        measure = Measure()
        try:
            with self._body(sha256).open("rb") as stream:
                while piece := stream.read(PIECE):
                    measure.take(piece)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _disk_error(self.path, error) from None
        return measure.result

    @contextmanager
    def open_body(self, sha256: str) -> Iterator[BinaryIO]:
        with _as_tfstate_error(self.path):
            stream = self._body(sha256).open("rb")
        with stream:
            yield stream

    @contextmanager
    def _manifest_lock(self) -> Iterator[None]:
        """Keeps other runs from writing the manifest, if the file system supports locks."""
        with _as_tfstate_error(self.path):
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _body(self, sha256: str) -> Path:
        return self.path / BODIES / sha256

    def _create_folders(self) -> None:
        with _as_tfstate_error(self.path):
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
        return self._manifest_and_condition()[0]

    def _manifest_and_condition(self) -> tuple[str | None, dict[str, str]]:
        """The manifest, and the condition by which S3 writes only if it is unchanged."""
        body = bytearray()

        def begin() -> Callable[[bytes], object]:
            body.clear()
            return body.extend

        answer = self._stream(MANIFEST, begin)
        return (
            (body.decode("utf-8", "replace"), {"IfMatch": answer["ETag"]}) if answer else (None, {"IfNoneMatch": "*"})
        )

    def write_manifest(self, text: str, expected: str | None) -> None:
        there, unchanged = self._manifest_and_condition()
        if there != expected:
            raise ConcurrentBackup(self.url)
        try:
            self._put(MANIFEST, text.encode(), {"ContentType": "application/json", **unchanged})
        except CallFailed as error:
            if error.failure.code not in UNMET:
                raise
            if self.manifest() != text:  # it is ours, and the reply was lost
                raise ConcurrentBackup(self.url) from None

    def write_body(self, sha256: str, body: BinaryIO) -> None:
        hashed = base64.b64encode(bytes.fromhex(sha256)).decode()
        self._put(f"{BODIES}/{sha256}", body, {"ChecksumSHA256": hashed})

    def measure(self, sha256: str) -> Measured | None:
        measures: list[Measure] = []

        def begin() -> Callable[[bytes], object]:
            measures[:] = [Measure()]
            return measures[0].take

        return measures[0].result if self._stream(f"{BODIES}/{sha256}", begin) else None

    @contextmanager
    def open_body(self, sha256: str) -> Iterator[BinaryIO]:
        with scratch() as body:
            if not self._stream(f"{BODIES}/{sha256}", rewriting(body)):
                raise TfstateError(f"{self.url} has lost the body {sha256}")
            body.seek(0)
            yield body

    def _stream(self, name: str, begin: Callable[[], Callable[[bytes], object]]) -> Response | None:
        """None if the object does not exist."""
        self.aws.renew()
        answer = self.aws.stream(Call("s3", "get_object", self._object(name)), begin)
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
            raise CallFailed(answer)
        return None if isinstance(answer, Failure) else answer

    def _put(self, name: str, body: Any, more: dict[str, str]) -> None:
        self.aws.renew()
        self.aws.write(Call("s3", "put_object", {**self._object(name), "Body": body, **more}))

    def _object(self, name: str) -> dict[str, str]:
        return {**self.bucket.bucket, "Key": f"{self.prefix}{name}"}


@contextmanager
def scratch() -> Iterator[BinaryIO]:
    """A temporary file without a name, which disappears even if the process is killed."""
    with _as_tfstate_error(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as body:
        yield body


def rewriting(body: BinaryIO) -> Callable[[], Callable[[bytes], object]]:
    """Writes a stream to a file, from the start again each time the stream starts again."""

    def begin() -> Callable[[bytes], object]:
        body.seek(0)
        body.truncate()
        return body.write

    return begin


def _sync(folder: Path) -> None:
    with _as_tfstate_error(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _as_tfstate_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_error(path, error) from None


def _disk_error(path: Path, error: OSError) -> TfstateError:
    return TfstateError(f"{path}: {error.strerror}; check its permissions, and the room on its disk")

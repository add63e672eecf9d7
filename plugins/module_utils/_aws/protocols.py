# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Protocols of AWS clients, for each part of the code what it needs. `_aws.client.Aws` implements all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from .._core.model import Answer, Call, Response

T = TypeVar("T")


class ReadWriteClient(Protocol):
    """Reads and writes. `newly_created`: the resource was created a moment ago, so that not-found codes are retried."""

    @abstractmethod
    def read(self, calls: Sequence[Call], newly_created: bool = False) -> list[Answer]: ...
    def write(self, call: Call, newly_created: bool = False) -> Response: ...


class PolicyClient(ReadWriteClient, Protocol):
    """For the policy of a bucket or table, which takes effect some time after the write."""

    def partition(self) -> str: ...
    def late(self) -> bool: ...
    def pause(self, attempt: int) -> None: ...


class ResourceClient(PolicyClient, Protocol):
    """For buckets and tables with their settings."""

    warnings: list[str]

    def is_aws(self, service: str) -> bool: ...
    def owner(self) -> str | None: ...
    def http_endpoint(self) -> str: ...
    def key_arn(self, name: str, must_exist: bool) -> str: ...


class LockClient(ReadWriteClient, Protocol):
    """For the locks of states."""

    warnings: list[str]

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer: ...


class LeaseClient(LockClient, Protocol):
    """For a lock that is renewed before each write."""

    before_write: list[Callable[[Call], None]]

    def renew(self) -> None: ...
    def rest(self, seconds: float) -> None: ...


class BackendReader(Protocol):
    """For the objects of a bucket and the items of a table."""

    def read(self, calls: Sequence[Call], newly_created: bool = False) -> list[Answer]: ...
    def pages(self, call: Call) -> Iterator[Answer]: ...
    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer: ...
    def together(self, works: Sequence[Callable[[], T]]) -> list[T]: ...
    def rest(self, seconds: float) -> None: ...


class BackendClient(BackendReader, ResourceClient, LeaseClient, Protocol):
    """For all that is in a backend."""

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which state a task means if there is nothing under the name that it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from .._aws.protocols import BackendClient
from .._core.model import Call, Failure
from .._locks.locking import read_locks
from .._locks.stores import FileStore, Lock, Place, place_in
from .._terraform.protocol import DEFAULT_WORKSPACE, IS_STATE, digest_id, is_named
from .._terraform.scope import LEASE, SUFFIX, Scope
from .._terraform.state_name import TOLD, StateName, most_similar, options_for
from .errors import NoState
from .listing import TableItem, item_call, item_of, items, objects, versions_of

#: How many pages of a thousand keys are compared, of the folder and then of the bucket.
MOST_PAGES = 5

T = TypeVar("T")


@dataclass(frozen=True)
class FoundState:
    """The place of the state that is meant, its locks, and what the user should know about it."""

    place: Place
    locks: tuple[Lock, ...] = ()
    warning: str | None = None


@dataclass(frozen=True)
class Similar:
    """The paths of states whose names are like the one that was given, the most similar first."""

    paths: tuple[str, ...]
    #: How many keys were compared, if the bucket has more; None: all were.
    compared: int | None = None


def find_state(aws: BackendClient, scope: Scope, name: StateName, may_be_new: bool = False) -> FoundState:
    """For a name under which there is no lock. Raises NoState if there is nothing, and something similar elsewhere.

    What cannot be listed is unknown, and never refused. `may_be_new`: nothing is refused.
    """
    place = place_in(scope, name.path)
    exists = _exists(aws, scope, place)
    if exists is True:
        return FoundState(place)
    others = [place_in(scope, path) for path in name.alternatives()]
    locks = {other.path: read_locks(aws, other) for other in others}
    found = [other for other in others if locks[other.path] or _exists(aws, scope, other) is True]
    if len(found) == 1:
        taken = f"there is nothing under the key {name.key!r}, so it is taken for {found[0].path}"
        return FoundState(found[0], locks[found[0].path], taken)
    if name.is_url:
        place = others[0]
    if isinstance(exists, Failure):
        return FoundState(place, warning=f"whether there is a state {place.path} is unknown: {exists}")
    similar = Similar(tuple(other.path for other in found)) if found else similar_states(aws, scope, name)
    missing = f"there is no state {place.path} in {scope.bucket.name}, and no lock or digest of it"
    if isinstance(similar, Failure):
        return FoundState(place, warning=f"{missing}; its name could not be compared with those of others: {similar}")
    if similar.paths and not may_be_new:
        raise NoState(f"{missing}: correct key or workspace{describe(scope, similar, name)}")
    return FoundState(place, warning=f"{missing}: check key and workspace{describe(scope, similar, name)}")


def with_state(
    aws: BackendClient,
    scope: Scope,
    name: StateName,
    work: Callable[[Place], T],
    is_missing: Callable[[T], bool] = lambda _result: False,
    may_be_new: bool = False,
) -> tuple[Place, T]:
    """The result of the work on a state, and its place. Another state may be meant only if there is nothing.

    `work` raises NoState if there is nothing, or `is_missing` says so of its result.
    """
    place, reason = place_in(scope, name.path), None
    if not place.path.endswith(SUFFIX) or _is_state(aws, scope, place.path.removesuffix(SUFFIX)):
        try:
            result = work(place)
            if not is_missing(result):
                return place, result
        except NoState as error:
            reason = error
    found = find_state(aws, scope, name, may_be_new)
    aws.warnings += [found.warning] if found.warning else []
    if reason and found.place == place:
        raise reason
    return found.place, work(found.place)


def hint(aws: BackendClient, scope: Scope, name: StateName) -> str:
    """The end of a message about a state that is not there: the options for those that may be meant."""
    others = [path for path in name.alternatives() if _exists(aws, scope, place_in(scope, path)) is True]
    similar = Similar(tuple(others)) if others else similar_states(aws, scope, name)
    return "" if isinstance(similar, Failure) else describe(scope, similar, name)


def similar_states(aws: BackendClient, scope: Scope, name: StateName) -> Similar | Failure:
    """States, or lock files, with similar names: in the same folder, or else in the bucket, or else in the lock table.

    Without any, it is the state that a key in another form may mean, which need not exist.
    """
    others = name.alternatives()
    paths = [name.path, *others]
    compared = None
    for prefix in dict.fromkeys((*(path[: path.rfind("/") + 1] for path in paths), "")):
        found = _similar_under(aws, scope, paths, prefix)
        if isinstance(found, Failure) or found.paths:
            return found
        compared = found.compared
    in_table = _similar_in_table(aws, scope, paths)
    if isinstance(in_table, Failure) and (name.is_url or not others):
        return in_table
    if isinstance(in_table, Similar) and in_table.paths:
        return in_table
    return Similar(() if name.is_url else tuple(others[-1:]), compared)


def describe(scope: Scope, similar: Similar, name: StateName) -> str:
    """The end of a message: the options for the states of similar names."""
    has_workspace = name.workspace != DEFAULT_WORKSPACE
    names = "; or ".join(options_for(scope, path, has_workspace) for path in similar.paths[:TOLD])
    cut = f" (only {similar.compared} keys were compared)" if similar.compared else ""
    return (f"; perhaps this is meant: {names}" if names else "") + cut


def where_held(aws: BackendClient, scope: Scope, lock_name: str) -> str:
    """The end of a message about a lock that is not where it was looked for: the options of the states that have it."""
    found = objects(aws, scope)
    listed = items(aws, scope, scope.table) if scope.table else []
    if isinstance(found, Failure) or isinstance(listed, Failure):
        failure = found if isinstance(found, Failure) else listed
        return f"whether another state is locked under it is unknown: {failure}"
    places = [place_in(scope, path) for path in sorted({*found.lock_files, *(each.path for each in _locks_in(listed))})]
    locks = aws.together([partial(read_locks, aws, place) for place in places]) if places else []
    held = [lock.path for each in locks for lock in each if is_named(lock.id, lock_name)]
    names = [options_for(scope, path) for path in dict.fromkeys(held)]
    if not names:
        return f"no state of {scope.bucket.name} is locked under it"
    more = f"; and {len(names) - TOLD} more" if names[TOLD:] else ""
    return f"it is held elsewhere: {'; or '.join(names[:TOLD])}{more}"


def _locks_in(listed: Any) -> list[TableItem]:
    return [item for item in listed if not item.is_digest]


def _similar_under(aws: BackendClient, scope: Scope, paths: Sequence[str], prefix: str) -> Similar | Failure:
    keys: list[str] = []
    is_cut = False
    for number, page in enumerate(aws.pages(Call("s3", "list_objects_v2", {**scope.bucket.bucket, "Prefix": prefix}))):
        if isinstance(page, Failure):
            return page
        keys += [each["Key"] for each in page.get("Contents", [])]
        is_cut = bool(page.get("IsTruncated"))
        if number + 1 == MOST_PAGES:
            break
    others = {key.removesuffix(SUFFIX) for key in keys if not key.endswith("/")} - {LEASE, paths[0]}
    return Similar(tuple(most_similar(scope, paths, others)), len(keys) if is_cut else None)


def _similar_in_table(aws: BackendClient, scope: Scope, paths: Sequence[str]) -> Similar | Failure:
    """Only its lock in the table tells of a state that is not written yet."""
    found = items(aws, scope, scope.table) if scope.table else []
    if isinstance(found, Failure):
        return found
    others = {item.path for item in found} - {LEASE, paths[0]}  # somebody may just have locked this one
    return Similar(tuple(most_similar(scope, paths, others)))


def _exists(aws: BackendClient, scope: Scope, place: Place) -> bool | Failure:
    """Whether there is a state, a digest of it or an older version, so that the name is right."""
    if place.path == LEASE:
        return True
    asked = {**scope.bucket.bucket, "Prefix": place.path, "MaxKeys": 1}
    (listed,) = aws.read([Call("s3", "list_objects_v2", asked)])
    if not isinstance(listed, Failure) and any(each["Key"] == place.path for each in listed.get("Contents", [])):
        return not place.path.endswith(SUFFIX) or _is_state(aws, scope, place.path.removesuffix(SUFFIX))
    if place.table:
        (answer,) = aws.read([item_call(scope, digest_id(place.bucket, place.path))])
        if isinstance(answer, Failure):
            return answer
        if "Item" in answer and item_of(answer["Item"])[1].is_digest:
            return True
    if isinstance(listed, Failure):
        return listed
    if place.path.endswith(SUFFIX):  # every lock file has older versions
        return False
    # Without permission to list versions, a deleted state counts as none.
    versions = versions_of(aws, scope, place.path, 1)
    return not isinstance(versions, Failure) and bool(versions)


def _is_state(aws: BackendClient, scope: Scope, locked: str) -> bool:
    """Whether the lock file of this path is a state of its own."""
    lock = FileStore(place_in(scope, locked)).read_lock(aws)
    return lock is not None and lock.record == IS_STATE

# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The calls of a round, replayed one by one: who held each state as it was written, and what became of what was there.

Whatever is wrong is told as a `Fault` of one of `KINDS`, with the number of the call that did it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.plan import WORK as TEARING_DOWN
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import MOVING

from tests.overlap.client import STORES, Site

KINDS = (
    "lost",  # an acknowledged write is in no history any more
    "buried",  # an older version, or none, was made the current one over a newer one
    "two holders",  # written, or the lock taken away, while somebody else held it
    "wrong digest",  # a client could find a digest that does not fit
    "made anew",  # a client found no state and no lock where there was a state
    "stale",  # a client wrote upon another version than it had read
    "out of order",  # a history is not what was to be restored and then what clients wrote
    "twice",  # a version follows itself
    "unnamed",  # a refusal does not say who is at work
    "stuck",  # in the end somebody is still kept out
    "bug",  # a run ended with an exception
)
#: Who releases what a killed run has left, as its message advises.
BY_HAND = "run-by-hand"
SUFFIX, MARK = ".tflock", "-md5"


@dataclass(frozen=True)
class Fault:
    kind: str
    text: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind.upper()}: {self.text}" + (f" (call {self.number})" if self.number else "")


@dataclass(frozen=True)
class Version:
    id: str
    md5: str
    who: str
    serial: int | None = None
    lineage: str | None = None
    is_marker: bool = False


@dataclass(frozen=True)
class Holder:
    id: str
    who: str
    number: int
    operation: str = ""


@dataclass
class State:
    """What is known of one state. `wanted` is what a restore has to bring, by hash, None for a delete marker."""

    path: str
    lineage: str
    wanted: Sequence[str | None] | None = None
    stack: list[Version] = field(default_factory=list)
    #: All that ever was there, in order.
    ever: list[Version] = field(default_factory=list)
    file: Holder | None = None
    item: Holder | None = None
    digest: str | None = None
    #: A digest that did not fit before anybody of ours came.
    excused: str | None = None

    @property
    def top(self) -> Version | None:
        return self.stack[-1] if self.stack and not self.stack[-1].is_marker else None

    def holder(self, store: str) -> Holder | None:
        return self.file if store == "file" else self.item


@dataclass
class Replay:
    """One backend. `modes`: the lock modes of clients by name; `is_alive`: whether a run was at work at that time."""

    site: Site
    states: dict[str, State]
    modes: Mapping[str, str]
    is_alive: Callable[[str, float], bool]
    #: Runs that were stopped for longer than their lease: what they had begun to write may come when others are at
    #: work, but only where it would have been the next version anyhow.
    stopped: frozenset[str] = frozenset()
    faults: list[Fault] = field(default_factory=list)
    is_closed: bool = False
    is_gone: bool = False
    has_table: bool = True
    digests_denied: bool = False
    #: Which locks who has taken, ever.
    _taken_ids: set[tuple[str, str]] = field(default_factory=set)
    _reads: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        """The next call."""
        work = getattr(self, f"_{_name(line['op'])}", None)
        if work is None or (line["status"] >= 300 and line["op"] != "GetObject"):
            return
        if line.get("bucket", self.site.bucket) != self.site.bucket:
            return
        if line.get("table", self.site.table) != self.site.table:
            return
        work(line)

    def _fault(self, kind: str, text: str, line: Mapping[str, Any]) -> None:
        self.faults.append(Fault(kind, text, line["n"]))

    # S3.

    def _get_object(self, line: Mapping[str, Any]) -> None:
        if line["key"] in self.states:
            self._reads[line["who"], line["key"]] = line["version"] if line["status"] < 300 else None

    def _put_object(self, line: Mapping[str, Any]) -> None:
        key, who = line["key"], line["who"]
        if key.endswith(SUFFIX) and key.removesuffix(SUFFIX) in self.states:
            return self._take(self.states[key.removesuffix(SUFFIX)], "file", line)
        if key not in self.states:
            return None
        state = self.states[key]
        if state.wanted is None or who not in self.stopped:
            self._check_held(state, line, "wrote it")
        new = Version(line["version"], line["etag"], who, line.get("serial"), line.get("lineage"))
        if state.stack and state.stack[-1].md5 == new.md5:
            self._fault("twice", f"{who} wrote the same version of {key} twice in a row", line)
        (self._check_client if who in self.modes else self._check_run)(state, new, line)
        state.stack.append(new)
        state.ever.append(new)
        return self._check_digest(state, line)

    def _check_client(self, state: State, new: Version, line: Mapping[str, Any]) -> None:
        read = self._reads.get((new.who, state.path))
        top = state.top
        if read != (top.id if top else None):
            self._fault("stale", f"{new.who} read version {read} of {state.path}, and wrote over {_of(top)}", line)
        if new.lineage != state.lineage:
            self._fault("made anew", f"{new.who} found no state {state.path}, and began a new one", line)

    def _check_run(self, state: State, new: Version, line: Mapping[str, Any]) -> None:
        top, place = state.top, len(state.stack)
        if state.wanted is not None:
            if place >= len(state.wanted) or state.wanted[place] != new.md5:
                kind = "buried" if top and top.who in self.modes else "out of order"
                self._fault(kind, f"{new.who} wrote serial {new.serial} of {state.path} over {_of(top)}", line)
        elif top and (new.serial or 0) <= (top.serial or 0):
            self._fault("buried", f"{new.who} wrote serial {new.serial} of {state.path} over {_of(top)}", line)

    def _delete_object(self, line: Mapping[str, Any]) -> None:
        key = line["key"]
        if key.endswith(SUFFIX) and key.removesuffix(SUFFIX) in self.states:
            return self._release(self.states[key.removesuffix(SUFFIX)], "file", line)
        if key not in self.states:
            return None
        state = self.states[key]
        self._check_held(state, line, "deleted it")
        place = len(state.stack)
        is_wanted = state.wanted is not None and place < len(state.wanted) and state.wanted[place] is None
        if not is_wanted:
            self._fault("buried", f"{line['who']} deleted {key} over {_of(state.top)}", line)
        marker = Version(line["version"], "", line["who"], is_marker=True)
        state.stack.append(marker)
        state.ever.append(marker)
        return self._check_digest(state, line)

    def _delete_object_version(self, line: Mapping[str, Any]) -> None:
        self._forget(line["key"], line["of_version"], line)

    def _delete_objects(self, line: Mapping[str, Any]) -> None:
        for key, version in line["objects"]:
            self._forget(key, version, line)

    def _forget(self, key: str, version: str, line: Mapping[str, Any]) -> None:
        if key.endswith(SUFFIX) and key.removesuffix(SUFFIX) in self.states:
            state = self.states[key.removesuffix(SUFFIX)]
            if (state.file and state.file.id == version) or (state.file and version == self._file_versions.get(key)):
                self._release(state, "file", line)
            return
        if key not in self.states:
            return
        state = self.states[key]
        found = [each for each in state.stack if each.id == version]
        if found:
            self._check_held(state, line, "deleted a version of it")
            state.stack.remove(found[0])
            self._check_digest(state, line)

    _file_versions: dict[str, str] = field(default_factory=dict)

    def _put_bucket_policy(self, line: Mapping[str, Any]) -> None:
        self.is_closed = line["closes"]

    def _delete_bucket_policy(self, line: Mapping[str, Any]) -> None:
        self.is_closed = False

    def _delete_bucket(self, line: Mapping[str, Any]) -> None:
        self.is_gone = True
        for state in self.states.values():
            state.stack.clear()

    # DynamoDB.

    def _put_item(self, line: Mapping[str, Any]) -> None:
        path = line["item"].removeprefix(f"{self.site.bucket}/")
        if "lock" in line and path in self.states:
            self._take(self.states[path], "table", line)
        elif "digest" in line and path.removesuffix(MARK) in self.states:
            self._put_digest(self.states[path.removesuffix(MARK)], line["digest"], line)

    def _update_item(self, line: Mapping[str, Any]) -> None:
        raise NotImplementedError("nothing updates items")

    def _delete_item(self, line: Mapping[str, Any]) -> None:
        path = line["item"].removeprefix(f"{self.site.bucket}/")
        if path in self.states:
            self._release(self.states[path], "table", line)
        elif path.removesuffix(MARK) in self.states:
            self._put_digest(self.states[path.removesuffix(MARK)], None, line)

    def _put_digest(self, state: State, digest: str | None, line: Mapping[str, Any]) -> None:
        if not self.is_gone:
            self._check_held(state, line, "wrote its digest" if digest else "removed its digest")
        state.digest = digest
        self._check_digest(state, line)

    def _put_resource_policy(self, line: Mapping[str, Any]) -> None:
        """Where it denies digests to everybody, nobody is stopped by one."""
        self.digests_denied = line["denies"]
        for state in self.states.values():
            self._check_digest(state, line)

    def _delete_resource_policy(self, line: Mapping[str, Any]) -> None:
        self._put_resource_policy({**line, "denies": False})

    def _delete_table(self, line: Mapping[str, Any]) -> None:
        self.has_table = False
        for state in self.states.values():
            state.item, state.digest = None, None

    # Locks.

    def _take(self, state: State, store: str, line: Mapping[str, Any]) -> None:
        before = state.holder(store)
        self._taken_ids.add((line["who"], line["lock"]))
        if before:
            self._check_taken(state, before, line, "took over")
        self._hold(state, store, Holder(line["lock"], line["who"], line["n"], line["operation"]))
        if store == "file":
            self._file_versions[line["key"]] = line["version"]

    def _release(self, state: State, store: str, line: Mapping[str, Any]) -> None:
        before = state.holder(store)
        if before and before.who != line["who"]:
            self._check_taken(state, before, line, "released")
        self._hold(state, store, None)
        if line["who"] == BY_HAND:  # whoever releases by force finds the digest as the killed run left it
            state.excused = state.digest
        self._check_digest(state, line)

    def _hold(self, state: State, store: str, holder: Holder | None) -> None:
        if store == "file":
            state.file = holder
        else:
            state.item = holder

    def _shares(self, who: str, holder: Holder) -> bool:
        """Whether a run may work under the locks of another one.

        Runs of one move hold its locks together: whichever writes, writes the same, where nothing was. A teardown that
        goes on in a closed bucket, where nobody can write, keeps the locks in the table that an earlier one left.
        """
        if holder.operation == TEARING_DOWN:
            return self.is_closed and who not in self.modes
        return holder.operation == MOVING and (who, holder.id) in self._taken_ids

    def _check_taken(self, state: State, before: Holder, line: Mapping[str, Any], verb: str) -> None:
        if self._shares(line["who"], before):
            return
        is_at_work = before.who in self.modes or self.is_alive(before.who, line["t"])
        if is_at_work and before.who != line["who"]:
            self._fault("two holders", f"{line['who']} {verb} the lock of {before.who} on {state.path}", line)

    def _check_held(self, state: State, line: Mapping[str, Any], verb: str) -> None:
        """That whoever changes something holds all the locks that it has to take."""
        who = line["who"]
        needed = STORES[self.modes[who]] if who in self.modes else ("file", "table")
        for store in needed:
            holder = state.holder(store)
            is_needed = (store == "file" and not self._files_are_over) or (store == "table" and self._has_items)
            is_own = holder is not None and (holder.who == who or self._shares(who, holder))
            if is_needed and not is_own:
                whose = f"that of {holder.who}" if holder else "free"
                self._fault("two holders", f"{who} {verb}, {state.path}, while the lock ({store}) was {whose}", line)
                return

    @property
    def _files_are_over(self) -> bool:
        """Nobody can write lock files into a bucket that is closed."""
        return self.is_gone or self.is_closed

    @property
    def _has_items(self) -> bool:
        return self.site.table is not None and self.has_table

    def _check_digest(self, state: State, line: Mapping[str, Any]) -> None:
        """Whether a client that gets the lock now could find a digest that does not fit."""
        if self.is_gone or not self._has_items or self.digests_denied or state.digest is None:
            return
        is_held = state.item or (state.file and "dynamodb" not in self.modes.values())
        now = state.top.md5 if state.top else None
        if state.digest == now:
            state.excused = None
        elif not is_held and state.digest != state.excused:
            whose = f"of {_of(state.top)}" if now else "though there is no state"
            self._fault("wrong digest", f"{state.path} is free and its digest is not that {whose}", line)


def _name(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def _of(version: Version | None) -> str:
    return f"serial {version.serial} of {version.who}" if version else "nothing"

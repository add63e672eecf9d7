# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States on their way into a bucket, all of them, and then their project after them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

from ._aws import Aws
from ._backend_block import Edit, NotSimple
from ._backend_config import Backend
from ._core import CallFailed, Failure, Target, TfstateError
from ._guard import Refused
from ._lock_record import LockInfo, state_path
from ._project import Project, block_text
from ._state import listing
from ._state.fencing import denied_in, deny
from ._state.local_states import LocalState, local_states, remove
from ._state.lock_stores import Place
from ._state.moving import NOTHING, Move, NotAState, Source, Verdict
from ._state.scope import Scope
from ._state.stored import Stored

#: So many refusals are told one by one.
TOLD = 5


@dataclass
class Row:
    """A state of the task: what has to be done about it, or why nothing can be."""

    workspace: str
    move: Move
    verdict: Verdict | None = None
    problem: str | None = None
    #: No state at all, and nobody said that it was one.
    is_foreign: bool = False
    is_done: bool = False

    @property
    def path(self) -> str | None:
        """Where it lies in the source's bucket."""
        source = self.move.source
        return source.place.path if isinstance(source, Stored) else None

    @property
    def action(self) -> str:
        return self.verdict.action if self.verdict else NOTHING

    def told(self) -> dict[str, Any]:
        document = self.verdict.document if self.verdict else None
        return {
            "workspace": self.workspace,
            "source": self.move.source.url,
            "destination": self.move.target.url,
            "action": self.action,
            "lineage": document.lineage if document else None,
            "serial": document.serial if document else None,
            "size": self.verdict.size if self.verdict else None,
            "problem": self.problem,
        }


@dataclass
class Following:
    """What a project needs so as to follow its states, and what came of it."""

    project: Project
    backend: Backend
    edits: list[Edit]
    not_simple: NotSimple | None
    must_init: bool
    is_written: bool = False
    is_proven: bool = False
    removed: list[Path] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "edits": [edit.name for edit in self.edits],
            "not_simple": self.not_simple.reason if self.not_simple else None,
            "block": block_text(self.backend, self.project.tfbackend),
            "init": self.must_init,
            "proven": self.is_proven,
            "removed": [str(path) for path in self.removed],
        }


@dataclass(frozen=True)
class Side:
    """A backend that states come from, or go to. Without a `key` they are those of the whole bucket."""

    aws: Aws
    bucket: Target
    table: str | None
    key: str | None
    workspace_key_prefix: str

    def path(self, workspace: str) -> str:
        return state_path(self.key or "", workspace, self.workspace_key_prefix)

    def stored(self, path: str, encryption: Mapping[str, str]) -> Stored:
        return Stored(self.aws, Place(self.bucket.name, path, self.table, self.bucket.owner, encryption), encryption)


@dataclass
class Relocation:
    """One task: all of its states, then its project. Without a source they are the local states of the project."""

    source: Side | None
    target: Side
    #: Of what there is in a whole bucket, shell patterns; none means all.
    keys: tuple[str, ...]
    encryption: Mapping[str, str]
    fence: str
    lock_timeout_s: int
    #: What the locks say, but for id, path and info.
    info: LockInfo
    project: Project | None
    backend: Backend | None
    init: bool
    prove: bool
    remove_local: bool
    rows: list[Row] = field(default_factory=list)
    local: dict[str, LocalState] = field(default_factory=dict)
    following: Following | None = None

    # What is to be done.

    def foresee(self) -> None:
        """Finds out, and refuses what cannot be done. It only reads."""
        behind = denied_in(self.source.aws, self.source.bucket) if self.source and self.fence == "deny" else set()
        self.rows = list(self._rows())
        open_ones = [row for row in self.rows if row.path not in behind]
        for row in open_ones[:1]:  # makes the clients of both sides, which is not safe in threads
            self._judge(row)
        self.target.aws.together([partial(self._judge, row) for row in open_ones[1:]] or [_nothing])
        refused = [row.problem for row in self.rows if row.problem and not row.is_foreign]
        if refused:
            raise Refused("; ".join(refused[:TOLD]) + (f"; and {len(refused) - TOLD} more" if refused[TOLD:] else ""))
        if self.project and self.backend:
            self.following = self._follow(self.project, self.backend)

    def _judge(self, row: Row) -> None:
        try:
            row.verdict = row.move.foresee()
        except Refused as reason:
            row.problem = str(reason)
            row.is_foreign = isinstance(reason, NotAState) and not self.target.key

    def _rows(self) -> Iterator[Row]:
        for workspace, path, source in self._sources(self.source) if self.source else self._local_sources():
            target = self.target.stored(path, self.encryption)
            info = replace(self.info, info=f"moved, or on its way, from {source.url} to {target.url}")
            yield Row(workspace, Move(source, target, info, keeps_lock=self.fence != "tag"))

    def _local_sources(self) -> Iterator[tuple[str, str, Source]]:
        self.local = local_states(self.project.folder) if self.project else {}
        for workspace, state in self.local.items():
            yield workspace, self.target.path(workspace), state

    def _sources(self, side: Side) -> Iterator[tuple[str, str, Source]]:
        """Workspace, path at the destination, and the state."""
        patterns = (escape(side.key),) if side.key else self.keys
        scope = Scope(side.bucket, side.table, patterns, side.workspace_key_prefix)
        found = listing.objects(side.aws, scope)
        if isinstance(found, Failure):
            raise CallFailed(found)
        paths = sorted(path for path, each in found.states.items() if each.size)
        if not paths:
            raise Refused(f"there is no state {f'of {side.key} ' if side.key else ''}in {side.bucket.name} to move")
        for path in paths:
            workspace = scope.split(path)[1]
            yield workspace, self.target.path(workspace) if side.key else path, side.stored(path, {})

    def _follow(self, project: Project, backend: Backend) -> Following:
        found = project.edits(backend)
        not_simple = found if isinstance(found, NotSimple) else None
        edits = [] if isinstance(found, NotSimple) else found
        if not self.rows and not self.source and (edits or not_simple):
            raise Refused(f"{project.folder} holds no local state: name source_bucket, or the folder that does")
        self._check_checkout(project, backend)
        must_init = self.init and not not_simple and not project.is_initialised_to(backend)
        return Following(project, backend, edits, not_simple, must_init)

    def _check_checkout(self, project: Project, backend: Backend) -> None:
        """The code shall follow its own states, and no state shall lie where a client would stumble over it."""
        in_the_way = local_states(project.folder).values() if self.source else ()
        used = [state.url for state in in_the_way if state.is_in_use]
        if used:
            raise Refused(
                f"{', '.join(used)} would be taken for the state by {project.client} init: move it away first"
            )
        config = project.initialised
        if config is None or project.is_initialised_to(backend):
            return
        here = config.get("bucket"), config.get("key")
        of = (self.source.bucket.name, self.source.key) if self.source else None
        if here not in (of, (backend.bucket, backend.key)):
            raise Refused(f"{project.folder} is initialised to s3://{here[0]}/{here[1]}, which is not what moves here")

    # What is done.

    def carry_out(self) -> None:
        """Moves every state that can be moved. Raises once that is done if one of them could not."""
        until = time.monotonic() + self.lock_timeout_s
        with ExitStack() as locks:
            for state in self.local.values():
                locks.enter_context(state.held(replace(self.info, info="being moved", path=state.url)))
            due = [row for row in self.rows if row.action != NOTHING]
            self.target.aws.together([partial(self._carry, row, until) for row in due] or [_nothing])
            if self.source and self.fence == "deny":
                arrived = {row.path for row in self.rows if row.path and not row.problem}
                deny(self.source.aws, self.source.bucket, arrived)
            failed = [row.problem for row in due if row.problem]
            if failed:
                raise TfstateError("; ".join(failed))
            if self.following:
                self._bring(self.following)
        if self.following and not self.following.not_simple:
            self._prove(self.following)

    def _carry(self, row: Row, until: float) -> None:
        def patience(attempt: int) -> bool:
            is_left = time.monotonic() < until
            if is_left:
                self.target.aws.pause(attempt)
            return is_left

        try:
            row.verdict = row.move.carry_out(patience)
            row.is_done = True
        except TfstateError as error:
            row.problem = str(error)

    def _bring(self, following: Following) -> None:
        """The code first: from then on clients ask for `init`, and look no longer for the local state."""
        following.project.write(following.edits)
        following.is_written = True
        for state in self.local.values() if not following.not_simple else ():
            if state.is_in_use:
                state.set_aside()

    def _prove(self, following: Following) -> None:
        if following.must_init:
            following.project.init()
        if self.prove:
            for row in self.rows:
                following.project.prove(row.workspace)
            following.is_proven = True
        if self.remove_local:
            leftovers = [path for state in self.local.values() for path in state.leftovers]
            remove(leftovers)
            following.removed = leftovers


def _nothing() -> None:
    """For a task that has nothing to do side by side."""
